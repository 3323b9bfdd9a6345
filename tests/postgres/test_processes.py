"""Many clients in many processes share one Postgres archive: each turn is there once, though processes are killed."""

import os
import signal
import subprocess
import sys
import time
from collections import Counter, defaultdict
from pathlib import Path

import psycopg
import pytest

from langchain_qwen_memory.archive.postgres.archive import PostgresArchive
from langchain_qwen_memory.errors import ArchiveError
from tests.archive.contract import fill, found

ROOT = Path(__file__).parents[2]
PROCESSES, CLIENTS, TURNS = 4, 4, 125


def start(*command: str) -> subprocess.Popen[str]:
    """A process of `tests.postgres.child`."""
    environment = {**os.environ, "LANGGRAPH_STRICT_MSGPACK": "true"}
    whole = [sys.executable, "-m", "tests.postgres.child", *command]
    return subprocess.Popen(whole, stdout=subprocess.PIPE, text=True, cwd=ROOT, env=environment)


def writers(url: str, numbers: range) -> list[subprocess.Popen[str]]:
    return [start("write", url, str(number), str(CLIENTS), str(TURNS)) for number in numbers]


def acknowledged(lines: list[str]) -> dict[str, list[str]]:
    """Keys by thread, in the order in which they were acknowledged."""
    keys = defaultdict(list)
    for line in lines:
        thread, key = line.split()
        keys[thread].append(key)
    return keys


def test_sixteen_clients_in_four_processes_write_each_turn_once(url):
    """2,000 turns, each sent twice, one process killed in the middle and started again: each turn once, in order."""
    running = writers(url, range(PROCESSES))
    victim = running[0]
    assert victim.stdout is not None
    lines = [victim.stdout.readline() for _ in range(CLIENTS * TURNS // 2)]
    os.kill(victim.pid, signal.SIGKILL)
    lines += victim.communicate(timeout=60)[0].splitlines(keepends=True)
    before = acknowledged([line for line in lines if line.endswith("\n")])
    assert victim.returncode == -signal.SIGKILL
    running[0] = writers(url, range(1))[0]
    after = acknowledged([line for process in running for line in process.communicate(timeout=110)[0].splitlines()])
    assert [process.returncode for process in running] == [0] * PROCESSES
    with PostgresArchive(url) as archive:
        assert archive.count("u") == PROCESSES * CLIENTS * TURNS
        for known in archive.threads("u"):
            page = archive.page("u", known.thread, limit=TURNS + 1)
            keys = [turn.key for turn in page]
            assert [turn.position for turn in page] == list(range(TURNS))
            assert len({turn.branch for turn in page}) == 1
            assert keys[: len(before[known.thread])] == before[known.thread]
            assert keys[TURNS - len(after[known.thread]) :] == after[known.thread]
        hits = archive.search("alarm", user="u", limit=10_000)
        assert set(Counter(found(hits)).values()) == {1}
        assert len(hits) == archive.count("u")


def test_many_processes_make_the_tables_at_once(url):
    """Workers that start together on an empty database make its tables once, and none fails."""
    running = [start("write", url, str(number), "1", "2") for number in range(4)]
    assert [len(process.communicate(timeout=60)[0].splitlines()) for process in running] == [2] * 4
    with PostgresArchive(url) as archive:
        assert archive.count("u") == 8


def test_two_processes_on_one_thread_wait_for_each_other(url):
    """Who holds a thread in another process keeps this one out until its block ends, and says so meanwhile."""
    other = start("hold", url, "1.5")
    assert other.stdout is not None
    assert other.stdout.readline() == "held\n"
    with PostgresArchive(url) as archive:
        with (
            pytest.raises(ArchiveError, match="another run holds in postgresql://"),
            archive.hold("", "t1", timeout=0.1),
        ):
            pytest.fail("two held one thread")
        with archive.hold("", "t1", timeout=30):
            assert other.stdout.readline() == "let go\n"
    assert other.wait(10) == 0
    other.stdout.close()


def test_a_killed_process_lets_go_of_its_thread(url):
    """Killed while it holds a thread, a process keeps nobody out: the server sees its connection end."""
    other = start("hold", url, "100")
    assert other.stdout is not None
    assert other.stdout.readline() == "held\n"
    started = time.monotonic()
    os.kill(other.pid, signal.SIGKILL)
    with PostgresArchive(url) as archive, archive.hold("", "t1", timeout=30):
        assert time.monotonic() - started < 20
    other.communicate()


def test_a_forked_process_makes_its_own_connections(url):
    """A server that uses the archive and then forks its workers: parent and children all write, nothing is lost."""
    code = f"""
import os
from tests.archive.contract import chain, fill
from langchain_qwen_memory.archive import root_key
from langchain_qwen_memory.archive.postgres.archive import PostgresArchive
archive = PostgresArchive({url!r})
fill(archive, "u", "before", ["alarm"])
children = []
for number in range(3):
    child = os.fork()
    if not child:
        fill(archive, "u", f"t{{number}}", ["alarm"] * 20)
        os._exit(0)
    children.append(child)
fill(archive, "u", "after", ["alarm"] * 20)
assert all(os.waitpid(child, 0)[1] == 0 for child in children)
print(archive.count("u"))
archive.close()
"""
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False, capture_output=True, text=True)
    assert (run.stdout.strip(), run.returncode) == ("81", 0), run.stderr


def test_a_forgotten_user_is_in_no_row(url):
    """After forgetting, no table holds a word, an id, a vector or a note of it."""
    with PostgresArchive(url) as archive:
        fill(archive, "canaryuser", "canarythread", ["canarysaid"])
        archive.put_note("canaryuser", "other", "canarykey", {"canary": 1})
        fill(archive, "kept", "t", ["kept"])
        archive.forget("canaryuser")
    with psycopg.connect(url) as db:
        names = [row[0] for row in db.execute("SELECT tablename FROM pg_tables WHERE tablename LIKE 'qwen_memory_%'")]
        rows = {name: db.execute(f"SELECT count(*) FROM {name}".encode()).fetchone()[0] for name in names}
    assert {name.removeprefix("qwen_memory_"): count for name, count in rows.items() if count} == {
        "migrations": 1, "users": 1, "threads": 1, "branches": 1, "turns": 1, "words": 1,
    }  # fmt: skip
