"""Measures the search of a SQLite archive with vectors: one user's long history, and one user among very many.

    python benchmarks/search.py                            # prints tables; about four minutes
    python benchmarks/search.py --write                    # and puts them into docs/benchmarks.md
    python benchmarks/search.py --users 0 --turns 10000    # one long history alone

Turns are drawn as in `benchmarks/archive.py` (about 60 words, half of them Chinese). Vectors are random unit vectors,
since what they mean changes no time; the query's vector is given at once, so that no time of an embedding is in the
figures. "Dense" is the comparison with all vectors of the user alone; "full text" and "hybrid" are whole searches for
ten turns: words looked up, scores fused, turns read and unpacked. Medians in milliseconds.
"""

# ruff: noqa: SLF001 - what is measured lies inside

from __future__ import annotations

import argparse
import os
import random
import resource
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
from archive import QUESTIONS, timed, turns, vocabulary
from langchain_core.embeddings import Embeddings
from page import version_line, write_section

from langchain_qwen_memory.archive import SqliteArchive, Turn, root_key, turn_key
from langchain_qwen_memory.archive.finding.fulltext import count_words
from langchain_qwen_memory.archive.sqlite import searched as sqlite_searched
from langchain_qwen_memory.archive.stored import pack

TIMES = 51


class Drawn(Embeddings):
    """Random vectors, at no cost."""

    def __init__(self, dimension: int) -> None:
        self.model = "drawn"
        self.dimension = dimension
        self.rng = np.random.default_rng(0)

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        return self.rng.standard_normal((len(texts), self.dimension), dtype=np.float32)  # type: ignore[return-value]

    def embed_query(self, text: str) -> list[float]:
        return self.embed_documents([text])[0]


def moved(made: list[Turn], user: str) -> Iterator[Turn]:
    """The same turns as another user's: what they hold costs the same, and making them costs next to nothing."""
    parent = root_key(user, "t")
    for turn in made:
        key = turn_key(parent, turn.messages)
        yield replace(turn, key=key, parent=parent)
        parent = key


def quicken() -> None:
    """Let the archive pack and count the same texts once: the fill is not what is measured."""
    packed: dict[str, bytes] = {}

    def pack_once(messages, text):
        if text not in packed:
            packed[text] = pack(messages, text)
        return packed[text]

    sqlite_searched.pack = pack_once
    sqlite_searched.count_words = cache(count_words)


def median(call) -> float:
    """Milliseconds of wall time."""
    call()
    return timed(call, TIMES)[1]


def dense(archive: SqliteArchive, user: str) -> float:
    """Milliseconds of comparing a question with each vector of a user."""
    question = np.asarray(archive._embedder.embeddings.embed_query(""), dtype=np.float32)
    with archive._file.read() as db:
        place, space = db.execute("SELECT id FROM qwen_memory_users WHERE name = ?", (user,)).fetchone()[0], 1
        partition = archive._partitions.of(db, space, len(question), place)
        return median(lambda: partition.cosines(question, partition._turns[: partition.size]))


def searches(path: Path, user: str, embeddings: Embeddings | None) -> list[float]:
    """Milliseconds of a search per kind of question; with new archives, so that nothing is left from before."""
    with SqliteArchive(path, embeddings=embeddings) as archive:
        return [median(lambda ask=ask: archive.search(ask(NAMES), user=user)) for ask in QUESTIONS.values()]


def first(path: Path, user: str, embeddings: Embeddings) -> float:
    """Milliseconds of the first search of a process, which reads the user's vectors."""
    with SqliteArchive(path, embeddings=embeddings) as archive:
        archive.search("load modules", user="nobody")
        return timed(lambda: archive.search(QUESTIONS["rare en"](NAMES), user=user), 1)[1]


def row(what: str, path: Path, user: str, embeddings: Embeddings) -> tuple[str, list[float]]:
    """A row of the table, and its figures of hybrid search."""
    with SqliteArchive(path, embeddings=embeddings) as archive:
        alone = dense(archive, user)
    text, both = searches(path, user, None), searches(path, user, embeddings)
    cells = [f"{alone:.2f}", " / ".join(f"{one:.2f}" for one in text), " / ".join(f"{one:.2f}" for one in both)]
    return f"| {what} | {' | '.join(cells)} | {first(path, user, embeddings):.1f} |", both


def one_user(count: int, dimension: int, folder: Path) -> list[str]:
    path, embeddings = folder / f"{count}.db", Drawn(dimension)
    made = list(turns("alice", "t", count, NAMES, random.Random(count)))
    wall = []
    with SqliteArchive(path, embeddings=embeddings) as archive:
        archive.append("alice", "t", made[:-600])
        for turn in made[-600:]:
            begun = time.perf_counter()
            archive.append("alice", "t", [turn])
            wall.append((time.perf_counter() - begun) * 1e3)
    line, _ = row(f"{count:,} turns of one user, {dimension} dimensions", path, "alice", embeddings)
    size = path.stat().st_size / count
    print(line, flush=True)
    print(f"append, ms: median {np.median(wall):.2f}, worst {max(wall):.1f}; {size:,.0f} bytes a turn", flush=True)
    return [line, f"{size:,.0f}", f"{np.median(wall):.1f} (worst {max(wall):.0f})"]


def many_users(users: int, each: int, dimension: int, folder: Path) -> list[str]:
    embeddings, made = Drawn(dimension), list(turns("alice", "t", each, NAMES, random.Random(1)))
    kinds = [list(turns("x", "t", each, NAMES, random.Random(seed))) for seed in range(2, 22)]
    alone, among = folder / "alone.db", folder / "among.db"
    for path in (alone, among):
        with SqliteArchive(path, embeddings=embeddings) as archive:
            archive.append("alice", "t", made)
    quicken()
    begun = time.perf_counter()
    with SqliteArchive(among, embeddings=embeddings) as archive:
        archive._file._writer.execute("PRAGMA synchronous = OFF")
        for number in range(users - 1):
            archive.append(f"user-{number}", "t", list(moved(kinds[number % len(kinds)], f"user-{number}")))
    spent = time.perf_counter() - begun
    lines = [
        row(what, path, "alice", embeddings)[0]
        for what, path in (
            (f"{each} turns of one user alone", alone),
            (f"the same among {users * each:,} turns of {users:,} users", among),
        )
    ]
    size = among.stat().st_size
    print(*lines, f"fill {spent:.0f} s, {size / 2**30:.2f} GiB", sep="\n", flush=True)
    return [*lines, f"{size / 2**30:.2f} GiB, {size / users / each:,.0f} bytes a turn"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--turns", type=int, nargs="*", default=[10_000])
    parser.add_argument("--dimensions", type=int, nargs="*", default=[384, 1_024])
    parser.add_argument("--users", type=int, default=10_000, help="users of 100 turns each; 0 leaves this part out")
    parser.add_argument("--folder", help="where the files are made; a temporary one by default")
    parser.add_argument("--write", action="store_true", help="put the tables into docs/benchmarks.md")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder) as made:
        folder = Path(made)
        lines, notes = [], []
        for count in options.turns:
            for dimension in options.dimensions:
                line, size, wall = one_user(count, dimension, folder)
                lines.append(line)
                notes.append(f"{dimension} dimensions: {size} bytes a turn on disk, append {wall} ms.")
                (folder / f"{count}.db").unlink()
        if options.users:
            *more, size = many_users(options.users, 100, options.dimensions[0], folder)
            lines += more
            notes.append(f"{options.users * 100:,} turns with {options.dimensions[0]} dimensions: {size}.")
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**10
    notes.append(f"Most memory that the process took: {memory:,.0f} MiB.")
    print(*notes, sep="\n")
    if options.write:
        write_section("search", section(lines, notes))


def section(lines: list[str], notes: list[str]) -> str:
    """What stands in the docs."""
    kinds = " / ".join(QUESTIONS)
    return "\n".join(
        [
            f"Written by `python benchmarks/search.py`. {version_line()}",
            "",
            "SqliteArchive, medians in milliseconds; the embedding of the question is not in them. Questions of six",
            f"words, in this order: {kinds}.",
            "",
            "| turns | dense alone | full text | hybrid | first search of a process |",
            "|---|---|---|---|---|",
            *lines,
            "",
            *(f"- {note}" for note in notes),
        ]
    )


NAMES = vocabulary(random.Random(7))

if __name__ == "__main__":
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "2")
    main()
