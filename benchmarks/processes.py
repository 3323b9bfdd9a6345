"""Measures four processes that write turns and vectors to one SQLite archive, while one is killed and comes back.

    python benchmarks/processes.py                  # 20,000 turns; about a minute
    python benchmarks/processes.py --turns 2000

Each process appends a thread of its own, one turn at a time, with random vectors of 384 numbers. In the middle the
first one is killed with SIGKILL and a new one goes on where the archive says it was. At the end each turn has to be
there once, in order, with one vector.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from array import array
from pathlib import Path

from archive import turns, vocabulary

from langchain_qwen_memory.archive import SqliteArchive

PROCESSES = 4


def write(path: str, thread: str, count: int) -> None:
    """Append what is missing of a thread; the same turns whoever makes them."""
    from search import Drawn

    made = list(turns("u", thread, count, vocabulary(random.Random(7)), random.Random(thread)))
    with SqliteArchive(path, embeddings=Drawn(384)) as archive:
        for turn in made[archive.count("u", thread) :]:
            archive.append("u", thread, [turn])
            print(turn.key, flush=True)


def start(path: Path, number: int, count: int) -> subprocess.Popen[str]:
    command = [sys.executable, __file__, "--write", str(path), f"t{number}", "--turns", str(count)]
    same = {**os.environ, "PYTHONHASHSEED": "0"}  # on it hangs which words are drawn
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=same)


def vectors(path: Path) -> list[int]:
    """The turns that have a vector, sorted, each as often as it has one."""
    with sqlite3.connect(path) as db:
        found = [row[0] for row in db.execute("SELECT turn FROM qwen_memory_vectors")]
        for (held,) in db.execute("SELECT turns FROM qwen_memory_vector_segments"):
            found += array("I", held)
    db.close()
    return sorted(found)


def check(path: Path, told: list[list[str]], count: int) -> None:
    with SqliteArchive(path) as archive:
        for number, keys in enumerate(told):
            page = [turn.key for turn in archive.page("u", f"t{number}", limit=count)]
            assert len(page) == len(set(page)) == archive.count("u", f"t{number}") == count
            assert set(keys) <= set(page), "an acknowledged turn is lost"
    with sqlite3.connect(path) as db:
        there = sorted(row[0] for row in db.execute("SELECT id FROM qwen_memory_turns"))
    db.close()
    assert vectors(path) == there, "a turn has no vector, or two"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--turns", type=int, default=20_000, help="of all processes together")
    parser.add_argument("--write", nargs=2, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.write:
        write(*options.write, options.turns)
        return
    count = options.turns // PROCESSES
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "chat.db"
        begun = time.perf_counter()
        running = [start(path, number, count) for number in range(PROCESSES)]
        first = running[0]
        told = [first.stdout.readline().strip() for _ in range(count // 2)]
        os.kill(first.pid, signal.SIGKILL)
        told += first.communicate()[0].split()
        killed_at = len(told)
        running[0] = start(path, 0, count)
        said = [process.communicate()[0].split() for process in running]
        spent = time.perf_counter() - begun
        assert [process.returncode for process in running] == [0] * PROCESSES
        said[0] += told
        check(path, said, count)
    print(
        f"{count * PROCESSES:,} turns by {PROCESSES} processes, one killed after {killed_at:,}: each turn and each "
        f"vector once; {spent:.0f} s, {count * PROCESSES / spent:,.0f} turns a second"
    )


if __name__ == "__main__":
    main()
