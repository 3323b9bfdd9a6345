"""Real processes share one archive: all write, some are killed, and every acknowledged turn is there once."""

import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from langchain_qwen_memory.archive import SqliteArchive, root_key
from langchain_qwen_memory.errors import ArchiveError
from tests.archive.contract import asked, chain, fill, found

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
from langchain_qwen_memory.archive import SqliteArchive, postings, root_key
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
