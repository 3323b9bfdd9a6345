"""Real processes share one archive: all write, some are killed, and every acknowledged turn is there once."""

import os
import signal
import sqlite3
import subprocess
import sys
import time
from array import array
from collections import Counter
from pathlib import Path

import pytest

from langchain_qwen_memory.archive import SqliteArchive, root_key
from langchain_qwen_memory.errors import ArchiveError
from tests.archive.contract import asked, chain, fill, found
from tests.archive.meaning import Meaning

ROOT = Path(__file__).parents[2]

WRITER = """
import sys
from langchain_qwen_memory.archive import SqliteArchive, root_key
from tests.archive.contract import chain
path, thread, first, count = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
archive = SqliteArchive(path)
parent = archive.head("u", thread) or root_key("u", thread)
print("ready", flush=True)
for number in range(first, first + count):
    turns = chain(parent, [f"alarm {thread} number{number}"])
    archive.append("u", thread, turns)
    archive.append("u", thread, turns)
    parent = turns[-1].key
    print(parent, flush=True)
"""


def writer(path: Path, thread: str, first: int, count: int) -> subprocess.Popen[str]:
    """A process that appends turns, each of them twice, and prints a turn's key once it is acknowledged."""
    command = [sys.executable, "-c", WRITER, str(path), thread, str(first), str(count)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT)


def keys(process: subprocess.Popen[str]) -> list[str]:
    """What a writer acknowledged."""
    ready, *acknowledged = process.communicate(timeout=90)[0].split()
    assert ready == "ready"
    return acknowledged


def test_four_processes_write_to_one_file(tmp_path):
    """Four processes open a new file at the same moment and append at once; each turn is there once, in order."""
    path = tmp_path / "chat.db"
    writers = [writer(path, f"t{number}", 0, 100) for number in range(4)]
    acknowledged = [keys(process) for process in writers]
    assert [process.returncode for process in writers] == [0] * 4
    with SqliteArchive(path) as archive:
        assert archive.count("u") == 400
        for number, expected in enumerate(acknowledged):
            page = archive.page("u", f"t{number}", limit=1_000)
            assert [turn.key for turn in page] == expected
            assert [turn.position for turn in page] == list(range(100))
        assert len(archive.search("alarm", user="u", limit=1_000)) == 400


def test_four_processes_fork_one_thread(tmp_path):
    """Four processes that answer the same turn make four branches of one thread, none mixed with another."""
    path = tmp_path / "chat.db"
    with SqliteArchive(path) as archive:
        [start] = fill(archive, "u", "t", ["start"])
        writers = [writer(path, "t", 1_000 * number, 40) for number in range(4)]
        acknowledged = [keys(process) for process in writers]
        for number, expected in enumerate(acknowledged):
            line = archive.page("u", "t", head=expected[-1], limit=1_000)
            numbers = [text.rpartition("number")[2] for text in asked(line)][-40:]
            assert [turn.key for turn in line][-40:] == expected
            assert numbers == [str(1_000 * number + step) for step in range(40)]
            assert (line[0].key, [turn.position for turn in line]) == (start.key, list(range(len(line))))
        assert archive.count("u") == 161


@pytest.mark.parametrize("after", [1, 30, 66])
def test_a_killed_process_loses_nothing_it_acknowledged(tmp_path, after):
    """`kill -9` in the middle of writing: every acknowledged turn is there once, found once, and writing goes on."""
    path = tmp_path / "chat.db"
    process = writer(path, "t", 0, 100_000)
    assert process.stdout is not None
    lines = [process.stdout.readline().strip() for _ in range(after + 1)]
    os.kill(process.pid, signal.SIGKILL)
    acknowledged = [*lines, *process.communicate()[0].split()][1:]
    assert process.returncode == -signal.SIGKILL
    with SqliteArchive(path) as archive:
        page = archive.page("u", "t", limit=100_000)
        assert [turn.key for turn in page][: len(acknowledged)] == acknowledged
        assert len(page) - len(acknowledged) in {0, 1}  # one more may be written and not yet acknowledged
        assert set(Counter(found(archive.search("alarm", user="u", limit=100_000))).values()) == {1}
        assert len(archive.search("alarm", user="u", limit=100_000)) == archive.count("u") == len(page)
    again = keys(writer(path, "t", len(page), 10))
    with SqliteArchive(path) as archive:
        assert [turn.key for turn in archive.page("u", "t", limit=10)] == again


def test_a_process_killed_inside_a_transaction_leaves_no_half_turn(tmp_path):
    """Killed between a turn's row and its words, the next process finds neither, and can write at once."""
    path = tmp_path / "chat.db"
    code = f"""
import os, signal
from langchain_qwen_memory.archive import SqliteArchive, root_key
from langchain_qwen_memory.archive.sqlite import postings
from tests.archive.contract import chain
archive = SqliteArchive({str(path)!r})
turns = chain(root_key("u", "t"), ["alarm one", "alarm two"])
archive.append("u", "t", turns[:1])
postings.add = lambda *args: os.kill(os.getpid(), signal.SIGKILL)
archive.append("u", "t", turns[1:])
"""
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False)
    assert run.returncode == -signal.SIGKILL
    with SqliteArchive(path) as archive:
        assert asked(archive.page("u", "t")) == found(archive.search("alarm", user="u")) == ["alarm one"]
        started = time.monotonic()
        assert archive.append("u", "t", chain(root_key("u", "t"), ["alarm one", "alarm two"])) == 1
        assert time.monotonic() - started < 5


def test_a_forked_process_opens_its_own_connections(tmp_path):
    """A server that opens the archive and then forks its workers: parent and child both write, nothing is lost."""
    path = tmp_path / "chat.db"
    code = f"""
import os
from langchain_qwen_memory.archive import SqliteArchive, root_key
from tests.archive.contract import chain
archive = SqliteArchive({str(path)!r})
archive.append("u", "before", chain(root_key("u", "before"), ["alarm"]))
children = []
for number in range(3):
    child = os.fork()
    if not child:
        for one in chain(root_key("u", f"t{{number}}"), ["alarm"] * 20):
            archive.append("u", f"t{{number}}", [one])
        os._exit(0)
    children.append(child)
archive.append("u", "after", chain(root_key("u", "after"), ["alarm"] * 20))
assert all(os.waitpid(child, 0)[1] == 0 for child in children)
print(archive.count("u"))
"""
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False, capture_output=True, text=True)
    assert (run.stdout.strip(), run.returncode) == ("81", 0), run.stderr


def test_a_forked_memory_archive_is_refused(tmp_path):
    """An archive in memory cannot be shared with a forked process; using it there is an error, not a copy."""
    with SqliteArchive(":memory:") as archive:
        fill(archive, "u", "t", ["a"])
        archive._file._pid -= 1  # as it looks to a child
        with pytest.raises(ArchiveError, match="belongs to the process that made it"):
            archive.count("u")
        archive._file._pid += 1


def test_a_turns_root_is_the_same_in_every_process(tmp_path):
    """Keys do not hang on a process's hash seed: another process continues the thread that this one began."""
    path = tmp_path / "chat.db"
    with SqliteArchive(path) as archive:
        archive.append("u", "t", chain(root_key("u", "t"), ["alarm t number0"]))
    keys(writer(path, "t", 1, 1))
    with SqliteArchive(path) as archive:
        assert [turn.position for turn in archive.page("u", "t")] == [0, 1]
        assert len({turn.branch for turn in archive.page("u", "t")}) == 1


EMBEDDER = """
import sys
from langchain_qwen_memory.archive import SqliteArchive, root_key
from tests.archive.contract import chain
from tests.archive.meaning import Meaning
path, name, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
meaning = Meaning()
archive = SqliteArchive(path, embeddings=meaning)
parents = {user: root_key(user, name) for user in ("u", "v")}
print("ready", flush=True)
for number in range(count):
    meaning.down = number % 10 == 7  # now and then the embeddings fail, and a later append makes up for it
    for user in parents:
        turns = chain(parents[user], [f"puppy {name} number{number} {part}" for part in "abc"])
        archive.append(user, name, turns)
        parents[user] = turns[-1].key
    print(parents["v"], flush=True)
"""


def check_vectors(path: Path) -> int:
    """Each turn of the file has one vector or is written down as missing, in its user's rows; returns the turns."""
    with sqlite3.connect(path) as db:
        owners = dict(
            db.execute("SELECT t.id, h.user FROM qwen_memory_turns t JOIN qwen_memory_threads h ON h.id = t.thread")
        )
        placed = list(db.execute("SELECT turn, user FROM qwen_memory_vectors"))
        placed += db.execute("SELECT turn, user FROM qwen_memory_missing").fetchall()
        for user, turns in db.execute("SELECT user, turns FROM qwen_memory_vector_segments"):
            placed += [(turn, user) for turn in array("I", turns)]
    db.close()
    assert sorted(placed) == sorted(owners.items())
    return len(owners)


def test_four_processes_write_turns_and_vectors_and_one_is_killed(tmp_path):
    """Of thousands of turns by four processes, one killed in the middle, each is there once, and so is its vector."""
    path = tmp_path / "chat.db"
    command = [sys.executable, "-c", EMBEDDER, str(path)]
    writers = [
        subprocess.Popen([*command, f"t{number}", "150"], stdout=subprocess.PIPE, text=True, cwd=ROOT)
        for number in range(4)
    ]
    victim = writers[0]
    assert victim.stdout is not None
    seen = [victim.stdout.readline() for _ in range(60)]
    os.kill(victim.pid, signal.SIGKILL)
    acknowledged = [*"".join(seen).split(), *victim.communicate()[0].split()][1:]
    for process in writers[1:]:
        assert len(keys(process)) == 150
    assert check_vectors(path) >= 3 * 900 + 59 * 6
    with SqliteArchive(path, embeddings=Meaning()) as archive:
        kept = {turn.key for turn in archive.page("v", "t0", limit=1_000)}
        assert set(acknowledged) <= kept
        for user, thread in ((user, f"t{number}") for user in "uv" for number in (1, 2, 3)):
            assert archive.count(user, thread) == 450
        for user in ("u", "v"):  # two appends more make up for what the killed process left behind
            for number in range(2):
                archive.append(
                    user, "last", chain(archive.head(user, "last") or root_key(user, "last"), [f"q{number}"])
                )
        assert archive.missing_vectors() == 0
        hits = archive.search("hound", user="u", limit=10_000)
        assert len({hit.turn.key for hit in hits}) == len(hits) > 1_000
    check_vectors(path)


def test_a_killed_process_lets_go_of_its_thread(tmp_path):
    """While one process runs a thread another waits for it; `kill -9` ends the waiting, for nobody cleans up then."""
    path = tmp_path / "chat.db"
    code = f"""
import time
from langchain_qwen_memory.archive import SqliteArchive
with SqliteArchive({str(path)!r}) as archive, archive.hold("u", "t"):
    print("held", flush=True)
    time.sleep(60)
"""
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, cwd=ROOT)
    assert process.stdout is not None
    assert process.stdout.readline().strip() == "held"
    with SqliteArchive(path) as archive:
        with pytest.raises(ArchiveError, match=r"waited 0\.\d s for thread 't', which another run holds.*-locks"):
            archive.hold("u", "t", timeout=0.2).__enter__()
        with archive.hold("u", "other", timeout=0.2):
            pass
        os.kill(process.pid, signal.SIGKILL)
        with archive.hold("u", "t", timeout=10):
            pass
    process.communicate()


def test_a_forked_process_does_not_hold_what_its_parent_holds(tmp_path):
    """A worker forked while its parent runs a thread is kept out of it, and let in when the parent is done."""
    path = tmp_path / "chat.db"
    code = f"""
import os, sys
from langchain_qwen_memory.archive import SqliteArchive
from langchain_qwen_memory.errors import ArchiveError
archive = SqliteArchive({str(path)!r})
with archive.hold("u", "t"):
    child = os.fork()
    if not child:
        try:
            with archive.hold("u", "t", timeout=0.1):
                os._exit(1)
        except ArchiveError:
            with archive.hold("u", "s", timeout=0.1):
                print("kept out", flush=True)
        with archive.hold("u", "t", timeout=30):
            print("let in", flush=True)
            os._exit(0)
    import time
    time.sleep(0.5)
print("done", flush=True)
assert os.waitpid(child, 0)[1] == 0
"""
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False, capture_output=True, text=True)
    assert (run.returncode, run.stdout.split("\n")[0]) == (0, "kept out"), run.stderr
    assert sorted(run.stdout.splitlines()) == ["done", "kept out", "let in"]


def test_processes_run_a_thread_one_after_the_other(tmp_path):
    """Four processes that read, think and write under the same lock lose no update."""
    path, count = tmp_path / "chat.db", tmp_path / "count"
    count.write_text("0")
    code = f"""
import pathlib, time
from langchain_qwen_memory.archive import SqliteArchive
count = pathlib.Path({str(count)!r})
with SqliteArchive({str(path)!r}) as archive:
    for _ in range(25):
        with archive.hold("u", "t", timeout=60):
            seen = int(count.read_text())
            time.sleep(0.001)
            count.write_text(str(seen + 1))
"""
    processes = [subprocess.Popen([sys.executable, "-c", code], cwd=ROOT) for _ in range(4)]
    assert [process.wait(90) for process in processes] == [0] * 4
    assert count.read_text() == "100"


def test_a_reindex_killed_in_the_middle_goes_on(tmp_path):
    """`kill -9` of a rebuild: the old vectors are searched as before, and the next rebuild does only what is left."""
    path = tmp_path / "chat.db"
    with SqliteArchive(path, embeddings=Meaning()) as archive:
        fill(archive, "u", "t", ["a puppy", *(f"q{number}" for number in range(400))])
    code = f"""
import os, signal
from langchain_qwen_memory.archive import SqliteArchive
from tests.archive.meaning import Meaning
for done, total in SqliteArchive({str(path)!r}, embeddings=Meaning("new", 32)).reindex():
    print(done, flush=True)
    if done > 200:
        os.kill(os.getpid(), signal.SIGKILL)
"""
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False, capture_output=True, text=True)
    assert run.returncode == -signal.SIGKILL
    with SqliteArchive(path, embeddings=Meaning()) as archive:
        assert "a puppy" in found(archive.search("hound", user="u", limit=3))
    new = Meaning("new", 32)
    with SqliteArchive(path, embeddings=new) as archive:
        assert next(archive.reindex())[0] == int(run.stdout.split()[-1]) > 200
        assert list(archive.reindex())[-1] == (401, 401)
        assert len(new.documents) < 201
        assert archive.missing_vectors() == 0
    check_vectors(path)
