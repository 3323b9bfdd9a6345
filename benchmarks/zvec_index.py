"""Measures when a zvec index pays: search and append of one user's long history, with it and without.

    python benchmarks/zvec_index.py                      # 10,000 and 100,000 turns; about half an hour
    python benchmarks/zvec_index.py --turns 10000        # one size

Turns and questions are those of `benchmarks/search.py`: drawn words, random vectors of 384 numbers, which are the worst
case of an approximate index (real embeddings lie closer together). "Same" is the share of the ten turns found by the
archive alone that the index finds too. Medians in milliseconds; the question's embedding is not in them.
"""

from __future__ import annotations

import argparse
import os
import random
import resource
import subprocess
import tempfile
import time
from pathlib import Path

import numpy as np
from archive import QUESTIONS, turns
from search import NAMES, Drawn, median

from langchain_qwen_memory.archive import Archive, SqliteArchive
from langchain_qwen_memory.archive.index.archive import IndexedArchive
from langchain_qwen_memory.archive.index.zvec import ZvecIndex

DIMENSION = 384
APPENDED = 200


def searches(archive: Archive) -> tuple[list[float], list[list[str]]]:
    """Milliseconds of a search per kind of question, and the keys of what each found."""
    asked = [ask(NAMES) for ask in QUESTIONS.values()]
    times = [median(lambda question=question: archive.search(question, user="alice")) for question in asked]
    rng = np.random.default_rng(1)
    found = []
    for question in asked:
        vector = rng.standard_normal(DIMENSION, dtype=np.float32)
        drawn = archive.embedder.embeddings  # type: ignore[attr-defined]
        drawn.embed_query = lambda _, vector=vector: vector
        found.append([hit.turn.key for hit in archive.search(question, user="alice")])
        del drawn.embed_query
    return times, found


def appends(archive: Archive, more: list) -> tuple[float, float]:
    """Median and worst milliseconds of appending turns one by one."""
    wall = []
    for turn in more:
        begun = time.perf_counter()
        archive.append("alice", "t", [turn])
        wall.append((time.perf_counter() - begun) * 1e3)
    return float(np.median(wall)), max(wall)


def told(what: str, times: list[float], appended: tuple[float, float], same: str, more: str) -> str:
    cells = [" / ".join(f"{one:.1f}" for one in times), f"{appended[0]:.1f} ({appended[1]:.0f})", same, more]
    return f"| {what} | {' | '.join(cells)} |"


def size(path: Path) -> int:
    """MiB on disk."""
    return int(subprocess.run(["du", "-sm", str(path)], capture_output=True, text=True, check=True).stdout.split()[0])


def memory() -> int:
    """MiB that the process takes now."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() // 2**20


def measured(count: int, folder: Path) -> list[str]:
    path = folder / f"{count}.db"
    made = list(turns("alice", "t", count + 3 * APPENDED, NAMES, random.Random(count)))
    lines = []
    with SqliteArchive(path, embeddings=Drawn(DIMENSION)) as archive:
        for start in range(0, count, 5_000):
            archive.append("alice", "t", made[start : min(start + 5_000, count)])
        appended = appends(archive, made[count : count + APPENDED])
        times, alone = searches(archive)
        lines.append(told(f"{count:,}: archive alone", times, appended, "", f"{size(path)} MiB"))
    print(lines[-1], flush=True)
    with IndexedArchive(SqliteArchive(path, embeddings=Drawn(DIMENSION)), ZvecIndex(folder / "index")) as archive:
        begun = time.perf_counter()
        *_, last = archive.catch_up()
        spent = time.perf_counter() - begun
        times, found = searches(archive)
        same = np.mean(
            [len(set(one) & set(other)) / max(len(other), 1) for one, other in zip(found, alone, strict=True)]
        )
        appended = appends(archive, made[count + APPENDED : count + 2 * APPENDED])
        kept = f"{size(folder / 'index')} MiB; filled in {spent:.0f} s"
        lines.append(told(f"{count:,}: with the index", times, appended, f"{same:.2f}", kept))
        print(lines[-1], last, flush=True)
        times, _ = searches(archive)
        lines.append(told(f"{count:,}: and {APPENDED} turns that are not settled", times, appended, "", ""))
        print(lines[-1], f"{memory()} MiB of memory", flush=True)
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--turns", type=int, nargs="*", default=[10_000, 100_000])
    parser.add_argument("--folder", help="where the files are made; a temporary one by default")
    options = parser.parse_args()
    print(f"| turns | search: {' / '.join(QUESTIONS)} | append (worst) | same | on disk |\n|---|---|---|---|---|")
    for count in options.turns:
        with tempfile.TemporaryDirectory(dir=options.folder) as made:
            measured(count, Path(made))


if __name__ == "__main__":
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "2")
    main()
