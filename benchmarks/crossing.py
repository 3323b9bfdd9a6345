"""Plays 100,000 random turns of a crowd of users, and looks in all that anybody sees for the words of the others.

    python benchmarks/crossing.py --write                       # 100,000 turns; some fifteen minutes of one core
    python benchmarks/crossing.py --turns 2000 --seed 7         # a try, the same each time

A run is 2,500 turns of 40 users on one archive and one checkpointer; then another begins with the next kind of store.
Users have look-alike and hostile ids (`tests/isolation/hostile.py`) and threads named after each other; they ask in
each other's words and numbers, imitate records, marks of templates and statements, send messages with each other's ids,
recall from all their threads, edit, go back, knock at each other's threads, are forgotten and come back. Half of the
turns are of six users at once on one loop. Each user's messages and answers carry a word that nobody else has; after
`forget` it is nobody's. It is looked for in each prompt of the chat model and of the summariser, in each state that a
turn gives back, in searches, pages, transcripts and errors. The model is scripted, no time is spent on HTTP. The first
word found where it does not belong ends the program with its seed.
"""

from __future__ import annotations

import argparse
import logging
import os
import random
import sys
import tempfile
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import ExitStack
from dataclasses import dataclass, field
from multiprocessing import get_context
from pathlib import Path
from typing import Any
from zlib import crc32

from langchain_core.embeddings import Embeddings
from page import version_line, write_section

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
MEMORY = "/dev/shm" if Path("/dev/shm").is_dir() else None
"""Where files are written: what a disk costs proves nothing here."""
USERS, A_RUN = 40, 2_500
WIDTH = 64


class Hashed(Embeddings):
    """Texts with the same words are near each other, whoever said them."""

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        return [self.embed_query(text) for text in texts]

    def embed_query(self, text: str) -> list[float]:
        made = [0.01] * WIDTH
        for word in text.lower().split():
            made[crc32(word.encode("utf-8", "replace")) % WIDTH] += 1.0
        return made


KINDS = {
    "InMemoryArchive, InMemorySaver": ("memory", "memory"),
    "SqliteArchive, InMemorySaver": ("file", "memory"),
    "SqliteArchive with vectors, InMemorySaver": ("vectors", "memory"),
    "SqliteArchive and SqliteSaver in one file, sync": ("file", "file"),
}
"""What a row is called: where turns and where checkpoints are kept."""


@dataclass
class Played:
    """What was played on one kind of stores."""

    turns: int = 0
    runs: int = 0
    seconds: float = 0.0
    cpu: float = 0.0
    seen: Counter[str] = field(default_factory=Counter)

    def add(self, other: Played) -> None:
        """Add what another run played."""
        self.turns += other.turns
        self.runs += other.runs
        self.seconds += other.seconds
        self.cpu += other.cpu
        self.seen.update(other.seen)


def stores(kind: str, folder: Path, stack: ExitStack) -> dict[str, Any]:
    """An archive, a checkpointer, and what the crowd may use them from."""
    from langgraph.checkpoint.sqlite import SqliteSaver

    from langchain_qwen_memory import InMemoryArchive, SqliteArchive

    turns, checkpoints = KINDS[kind]
    path = folder / "chat.db"
    archive: Any = InMemoryArchive() if turns == "memory" else None
    archive = archive or SqliteArchive(path, embeddings=Hashed() if turns == "vectors" else None)
    made: dict[str, Any] = {"archive": stack.enter_context(archive)}
    if checkpoints == "file":
        made["saver"] = stack.enter_context(SqliteSaver.from_conn_string(str(path)))
        made["colours"] = ("sync",)
    return made


def play(kind: str, turns: int, seed: int) -> Played:
    """One run, in this process or in one of several."""
    from tests.isolation.crossing import Crowd

    logging.getLogger("langchain_qwen_memory").setLevel(logging.CRITICAL)  # who has no id is refused recall: no news
    begun, cpu = time.perf_counter(), time.process_time()
    with tempfile.TemporaryDirectory(prefix="qwen-memory-", dir=MEMORY) as folder, ExitStack() as stack:
        crowd = Crowd(users=USERS, seed=seed, **stores(kind, Path(folder), stack))
        stack.callback(crowd.close)
        try:
            while crowd.turns < turns:
                crowd.step()
        except BaseException as error:
            error.add_note(f"{kind}, seed {seed} of this run, after {crowd.turns:,} turns: {crowd.told()}")
            raise
    return Played(crowd.turns, 1, time.perf_counter() - begun, time.process_time() - cpu, crowd.seen)


def sizes_of(turns: int) -> list[int]:
    """Turns of each run; a try visits each kind of stores too."""
    if turns < A_RUN * len(KINDS):
        return [-(-turns // len(KINDS))] * len(KINDS)
    return [min(A_RUN, turns - begun) for begun in range(0, turns, A_RUN)]


def run(turns: int, seed: int, processes: int) -> dict[str, Played]:
    """All runs; what was played, by kind of stores."""
    played = {kind: Played() for kind in KINDS}
    seeds, sizes = random.Random(seed), sizes_of(turns)
    kinds = [list(KINDS)[number % len(KINDS)] for number in range(len(sizes))]
    runs = zip(kinds, sizes, [seeds.randrange(10**9) for _ in sizes], strict=True)
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        running = {pool.submit(play, *each): each[0] for each in runs}
        try:
            for done in as_completed(running):
                played[running[done]].add(done.result())
                total = sum(one.turns for one in played.values())
                print(f"{total:,} of {turns:,} turns", file=sys.stderr, flush=True)
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    return played


COLUMNS = ("prompts", "with recalled words", "with a summary", "talk together", "edit", "fork", "forget", "read")


def rows(played: dict[str, Played]) -> list[str]:
    """The table."""
    titles = ("stores", "turns", *COLUMNS, "turned away", "CPU ms a turn")
    titles = tuple("searches" if title == "read" else title for title in titles)
    lines = [f"| {' | '.join(titles)} |", "|---" * len(titles) + "|"]
    for kind, one in played.items():
        counts = [f"{one.seen[name]:,}" for name in (*COLUMNS, "turned away")]
        cost = f"{one.cpu / max(one.turns, 1) * 1e3:.1f}"
        lines.append(f"| {' | '.join((kind, f'{one.turns:,}', *counts, cost))} |")
    return lines


def section(played: dict[str, Played], options: argparse.Namespace, seed: int) -> str:
    """The text between the markers."""
    total, runs = (sum(getattr(one, name) for one in played.values()) for name in ("turns", "runs"))
    command = f"python benchmarks/crossing.py --turns {options.turns} --seed {seed}"
    return "\n".join(
        [
            f"Written by `{command} --write`. {version_line()}",
            "",
            f"{total:,} turns of {USERS} users in {runs} runs: nobody saw a word of another, nor of one who was",
            "forgotten. Looked through: each prompt of the chat model and the summariser, each state after a turn, and",
            "what users searched for, read, or were told when they were turned away from another's thread.",
            "",
            *rows(played),
            "",
            "Talk together: turns of six users at once on one event loop; it counts once there, and as six turns.",
        ]
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--turns", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--processes", type=int, default=1, help="runs at once")
    parser.add_argument("--write", action="store_true", help="write the result into docs/benchmarks.md")
    options = parser.parse_args()
    os.environ.setdefault("LANGGRAPH_STRICT_MSGPACK", "true")
    seed = random.randrange(10**6) if options.seed is None else options.seed
    print(f"seed {seed}", file=sys.stderr)
    played = run(options.turns, seed, options.processes)
    print("\n".join(rows(played)))
    cpu, seconds = (sum(getattr(one, name) for one in played.values()) for name in ("cpu", "seconds"))
    print(f"nobody saw another's word; {seconds:,.0f} seconds, {cpu:,.0f} of them CPU")
    if options.write:
        write_section("crossing", section(played, options, seed))


if __name__ == "__main__":
    main()
