"""Measures the SQLite archive: what a turn costs to append and to find, alone and among other users' turns.

    python benchmarks/archive.py                 # prints a table; about two minutes
    python benchmarks/archive.py --turns 1000    # sizes of one user's history, repeatable

Turns are made of words drawn by Zipf's law from 20,000 Chinese and 20,000 English words (a question and an answer, half
of the turns in each language, about 60 words), so that common and rare words exist as in real text. Times are medians;
CPU time is the thread's own, wall time contains the disk's flush.
"""

import argparse
import itertools
import random
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from langchain_core.messages import AIMessage, HumanMessage

from langchain_qwen_memory.archive import SqliteArchive, Turn, root_key, searchable_text, turn_key

VOCABULARY = 20_000
WORDS = 30
QUESTIONS = {
    "common en": lambda names: " ".join(names[0][:6]),
    "rare en": lambda names: " ".join(names[0][3_000:3_006]),
    "common zh": lambda names: "".join(names[1][:6]),
    "rare zh": lambda names: "".join(names[1][3_000:3_006]),
}


def vocabulary(rng: random.Random) -> tuple[list[str], list[str]]:
    """Two lists of words, the most frequent first."""
    syllables = [a + b for a in "bcdfghjklmnprstvw" for b in ("a", "e", "i", "o", "u", "an", "or", "ick")]
    english = {"".join(rng.choices(syllables, k=rng.randint(2, 4))) for _ in range(VOCABULARY * 2)}
    chinese = {
        "".join(chr(0x4E00 + int(rng.paretovariate(0.4)) % 4_000) for _ in range(2)) for _ in range(VOCABULARY * 4)
    }
    return sorted(english, key=len)[:VOCABULARY], sorted(chinese)[:VOCABULARY]


def turns(
    user: str, thread: str, count: int, names: tuple[list[str], list[str]], rng: random.Random, *, words: int = WORDS
) -> Iterator[Turn]:
    """A thread of `count` turns, English and Chinese by turns, with so many words in each message."""
    weights = [1 / (rank + 2) for rank in range(VOCABULARY)]
    totals = list(itertools.accumulate(weights))
    parent = root_key(user, thread)
    for number in range(count):
        drawn = rng.choices(names[number % 2], cum_weights=totals, k=2 * words)
        glue = "" if number % 2 else " "
        messages = (HumanMessage(glue.join(drawn[:words])), AIMessage(glue.join(drawn[words:])))
        key = turn_key(parent, messages)
        yield Turn(
            key=key, parent=parent, messages=messages, text=searchable_text(messages), at=float(number), tokens=100
        )
        parent = key


def timed(call: Callable[[], object], times: int) -> tuple[float, float]:
    """Median CPU and wall milliseconds."""
    cpu, wall = [], []
    for _ in range(times):
        started, begun = time.thread_time(), time.perf_counter()
        call()
        cpu.append(time.thread_time() - started)
        wall.append(time.perf_counter() - begun)
    return statistics.median(cpu) * 1e3, statistics.median(wall) * 1e3


def grow(archive: SqliteArchive, user: str, made: list[Turn]) -> tuple[list[float], list[float]]:
    """CPU and wall milliseconds of appending each turn by itself."""
    cpu, wall = [], []
    for turn in made:
        started, begun = time.thread_time(), time.perf_counter()
        archive.append(user, "t", [turn])
        cpu.append((time.thread_time() - started) * 1e3)
        wall.append((time.perf_counter() - begun) * 1e3)
    return cpu, wall


def size(path: Path) -> int:
    """Bytes of the file, its log moved into it."""
    return path.stat().st_size


def searches(archive: SqliteArchive, user: str, names: tuple[list[str], list[str]]) -> str:
    """Median wall milliseconds of a search for ten turns, per kind of question."""
    kinds = []
    for name, ask in QUESTIONS.items():
        question = ask(names)
        archive.search(question, user=user)
        _, wall = timed(lambda question=question: archive.search(question, user=user), 31)
        kinds.append(f"{name} {wall:.2f}")
    return ", ".join(kinds)


def one_user(count: int, names: tuple[list[str], list[str]], folder: Path) -> None:
    path = folder / f"{count}.db"
    made = list(turns("alice", "t", count, names, random.Random(count)))
    with SqliteArchive(path) as archive:
        cpu, wall = grow(archive, "alice", made)
        _, paged = timed(lambda: archive.page("alice", "t", before=count // 2, limit=20), 31)
        found = searches(archive, "alice", names)
    print(f"\n{count:,} turns of one user: {size(path) / count:,.0f} bytes a turn")
    print(
        f"  append, ms: CPU median {statistics.median(cpu):.2f}, mean {statistics.mean(cpu):.2f}, "
        f"worst {max(cpu):.0f}; wall median {statistics.median(wall):.2f}"
    )
    print(f"  search, ms: {found}")
    print(f"  page of 20 from the middle: {paged:.2f} ms")


def many_users(users: int, each: int, names: tuple[list[str], list[str]], folder: Path) -> None:
    alone, among = folder / "alone.db", folder / "among.db"
    mine = list(turns("alice", "t", each, names, random.Random(1)))
    with SqliteArchive(alone) as archive:
        grow(archive, "alice", mine)
        print(f"\na user with {each} turns alone, ms: {searches(archive, 'alice', names)}")
    with SqliteArchive(among) as archive:
        grow(archive, "alice", mine)
        begun = time.perf_counter()
        for number in range(users - 1):
            user = f"user-{number}"
            archive.append(user, "t", list(turns(user, "t", each, names, random.Random(number))))
        spent = time.perf_counter() - begun
        print(f"  among {users * each:,} turns of {users:,} users, ms: {searches(archive, 'alice', names)}")
        print(
            f"  (bulk append of {each} turns a call: {spent / users / each * 1e3:.2f} ms a turn, making them included)"
        )
        _, forgotten = timed(lambda: archive.forget("user-1"), 1)
        print(f"  forget one user of {each} turns: {forgotten:.0f} ms")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--turns", type=int, nargs="*", default=[100, 1_000, 10_000])
    parser.add_argument("--users", type=int, default=1_000, help="users of 100 turns each; 0 leaves this part out")
    options = parser.parse_args()
    names = vocabulary(random.Random(7))
    with tempfile.TemporaryDirectory() as folder:
        for count in options.turns:
            one_user(count, names, Path(folder))
        if options.users:
            many_users(options.users, 100, names, Path(folder))


if __name__ == "__main__":
    main()
