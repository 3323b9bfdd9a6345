"""Kills a process that talks, at a thousand random moments, and looks each time whether anything is lost or twice.

    python benchmarks/kill.py --write                           # 1,000 kills: SQLite and Postgres, sync and async
    python benchmarks/kill.py --kills 100 --store sqlite --colour async
    python benchmarks/kill.py --seconds 120                     # as many as fit

A conversation with summaries and recall runs in a process of its own, over HTTP, with checkpoints and archive in one
database. It dies by SIGKILL while it starts or at a random moment of a turn, is started again, looks at what is kept,
and goes on: with the same question sent again, or where the run stopped. Each time has to hold: every question once and
in order; every answer that the caller had, word for word, in transcript and archive; one answer to each question, each
turn archived once in its lineage. The model's answers are all different, so that one that was given anew is told from
one that was kept.

The four courses - SQLite or Postgres, sync or async - run at once, each with processes and a database of its own; a
process is forked from one that has all modules loaded. 1,000 kills take some ten minutes of one core.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "benchmarks")]

from page import version_line, write_section  # noqa: E402

from benchmarks.kill_life import MARK, PLACES, SUMMARISES, Life, warm  # noqa: E402
from langchain_qwen_memory.testing import LocalDashScope, Reply  # noqa: E402

MOST_TURNS = 5
"""A life is ended after no turn, or in the turn after one to four."""


class Answers(LocalDashScope):
    """A server whose chat answers are all different; a summary is the stand-in's."""

    _numbers = itertools.count()

    def next_reply(self, request: Any) -> Reply:
        if SUMMARISES in str(dict(request.body)["messages"][-1]["content"]):
            return super().next_reply(request)
        return Reply(content=f"answer {next(self._numbers)}: noted as KM-{random.randrange(10**6)}, all is well.")


def nursery() -> None:
    """Forks a life for each line that comes in, all modules loaded, and says its number and how it ended."""
    for line in sys.stdin:
        if not MARK:
            warm(Life(**json.loads(line)))
        child = os.fork()
        if not child:
            with open(f"{json.loads(line)['folder']}/log", "a") as log:  # noqa: PTH123 - as stderr
                os.dup2(log.fileno(), 2)
            with suppress(KeyboardInterrupt):
                Life(**json.loads(line)).live()
            os._exit(1)
        print(child, flush=True)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)


@dataclass
class Course:
    """All the kills of one store and one colour."""

    store: str
    colour: str
    database: str
    url: str
    folder: Path
    kills: int = 0
    where: Counter[str] = field(default_factory=Counter)
    living: int = 0
    """Number of the process that runs now."""
    seconds: float = 0.0
    _lines: list[dict[str, Any]] = field(default_factory=list)
    _read: int = 0
    """Bytes of the book that are read."""
    _before: Counter[str] = field(default_factory=Counter)
    """Lines that earlier lives have written, by kind."""
    _start_takes: float = 0.5
    _turn_takes: float = 0.2
    """Seconds, as they were the last time."""

    def run(self, kills: int, until: float, chance: random.Random, stop: threading.Event) -> None:
        """Kill so often, or until the time is over, or another course has found a fault."""
        begun = time.monotonic()
        (self.folder / "mark").write_bytes(b"\0")
        command = [sys.executable, __file__, "--nursery"]
        environment = {**os.environ, "LANGGRAPH_STRICT_MSGPACK": "true"}
        started = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment, bufsize=1
        )
        try:
            while self.kills < kills and time.monotonic() < until and not stop.is_set():
                self._kill_one(started, chance)
            self._last(started)
            self.seconds = time.monotonic() - begun
        finally:
            if self.living:
                os.kill(self.living, signal.SIGKILL)
            started.stdin.close()
            started.wait(20)

    def _kill_one(self, started: subprocess.Popen[str], chance: random.Random) -> None:
        process = self._start(started, chance)
        self._wait(chance)
        place = PLACES[(self.folder / "mark").read_bytes()[0]]
        os.kill(process, signal.SIGKILL)
        code, self.living = int(started.stdout.readline()), 0
        assert code == -signal.SIGKILL, f"the process ended by itself: see {self.folder}/log\n{self._log()}"
        self.kills += 1
        self.where[place] += 1
        self._look()

    def _wait(self, chance: random.Random) -> None:
        """Until a moment that hangs on chance, and as little as can be on how fast the machine is."""
        begun = time.monotonic()
        if self.kills % 4 == 0:  # while it starts
            time.sleep(chance.uniform(0, self._start_takes))
            return
        self._wait_for("checked", 1)
        self._start_takes = time.monotonic() - begun
        turns = chance.randrange(MOST_TURNS)
        begun = time.monotonic()
        if turns:
            self._wait_for("answered", turns)
            self._turn_takes = (time.monotonic() - begun) / turns
        time.sleep(chance.uniform(0, self._turn_takes))

    def _last(self, started: subprocess.Popen[str]) -> None:
        """Once more it has to come up and look."""
        process = self._start(started, random.Random(0))
        self._wait_for("checked", 1)
        os.kill(process, signal.SIGKILL)
        started.stdout.readline()
        self.living = 0
        self._look()

    def _start(self, started: subprocess.Popen[str], chance: random.Random) -> int:
        self._before = Counter(line["kind"] for line in self.book())
        life = Life(self.store, self.colour, self.database, self.url, str(self.folder), chance.randrange(10**9))
        started.stdin.write(json.dumps(life.__dict__) + "\n")
        self.living = int(started.stdout.readline())
        return self.living

    def _wait_for(self, kind: str, count: int) -> None:
        """Until this life has written so many lines of a kind."""
        until = time.monotonic() + 120
        while sum(line["kind"] == kind for line in self.book()) < self._before[kind] + count:
            assert time.monotonic() < until, f"the process does not go on: {self._log()}"
            time.sleep(0.005)

    def _look(self) -> None:
        for line in self.book():
            assert not line.get("problems"), f"{self.store}, {self.colour}: {line}"

    def book(self) -> list[dict[str, Any]]:
        """All lines so far; those read before are not read again."""
        path = self.folder / "book"
        if path.exists():
            with path.open("rb") as file:
                file.seek(self._read)
                whole, end, _ = file.read().rpartition(b"\n")  # the last may be under way
            self._read += len(whole) + len(end)
            self._lines += map(json.loads, whole.split(b"\n") if whole else [])
        return self._lines

    def _log(self) -> str:
        return (self.folder / "log").read_text()[-4_000:]

    def row(self) -> tuple[str, ...]:
        """The course's cells of the table."""
        book = self.book()
        asked, answered, checked = (
            sum(line["kind"] == kind for line in book) for kind in ("asked", "answered", "checked")
        )
        left = sum({line["thread"]: line["left"] for line in book if line["kind"] == "checked"}.values())
        counts = (self.kills, asked, answered, checked, 0, 0, left, *(self.where[place] for place in PLACES))
        return (f"{self.store}, {self.colour}", *(f"{count:,}" for count in counts), f"{self.seconds:,.0f}")


TITLES = (
    "store, colour",
    *("kills", "runs begun", "answered", "checks", "turns lost", "twice", "answers that no caller had, given anew"),
    *(f"killed: {place}" for place in PLACES),
    "seconds",
)


def table(courses: Sequence[Course]) -> list[str]:
    lines = [f"| {' | '.join(TITLES)} |", "|---" * len(TITLES) + "|"]
    return lines + [f"| {' | '.join(course.row())} |" for course in courses]


def section(courses: Sequence[Course], options: argparse.Namespace) -> str:
    """The text between the markers; a program that found a fault does not come to write it."""
    total = sum(course.kills for course in courses)
    return "\n".join(
        [
            f"Written by `python benchmarks/kill.py --kills {options.kills} --write`. {version_line()}",
            "",
            f"{total:,} times a process that talked, summed up and recalled was ended by SIGKILL at a random moment",
            "and started again. Each time: every question once and in order, every answer that a caller had word for",
            "word in transcript and archive, one answer to each question, each turn archived once in its lineage.",
            "",
            *table(courses),
        ]
    )


@contextmanager
def databases(stores: Sequence[str]) -> Iterator[Any]:
    """Makes databases by store and folder; one Postgres server for all."""
    server: Any = None
    if "postgres" in stores:
        from tests.postgres.server import Server

        server = Server()
    try:
        yield lambda store, folder: server.database() if store == "postgres" else str(folder / "chat.db")
    finally:
        if server is not None:
            server.close()


def run(courses: Sequence[Course], options: argparse.Namespace) -> None:
    """All at once; the first fault ends all."""
    until, stop, chance = time.monotonic() + options.seconds, threading.Event(), random.Random(options.seed)
    with ThreadPoolExecutor(len(courses)) as pool:
        running = []
        for number, course in enumerate(courses):
            kills = (options.kills + number) // len(courses)
            running.append(pool.submit(course.run, kills, until, random.Random(chance.random()), stop))
        try:
            for done in as_completed(running):
                done.result()
        finally:
            stop.set()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=1_000, help="of all courses together")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="stop after that, whatever was reached")
    parser.add_argument("--store", choices=["sqlite", "postgres", "both"], default="both")
    parser.add_argument("--colour", choices=["sync", "async", "both"], default="both")
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--write", action="store_true", help="write the result into docs/benchmarks.md")
    parser.add_argument("--nursery", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.nursery:
        nursery()
        return
    stores = ["sqlite", "postgres"] if options.store == "both" else [options.store]
    colours = ["sync", "async"] if options.colour == "both" else [options.colour]
    with (
        Answers(speed=0.002) as server,
        tempfile.TemporaryDirectory(prefix="qwen-memory-") as folder,
        databases(stores) as made,
    ):
        courses = []
        for store, colour in itertools.product(stores, colours):
            home = Path(folder, f"{store}-{colour}")
            home.mkdir()
            courses.append(Course(store, colour, made(store, home), server.base_url, home))
        run(courses, options)
        print("\n".join(table(courses)))
        print(f"{sum(course.kills for course in courses):,} kills: nothing lost, nothing twice")
        if options.write:
            write_section("kills", section(courses, options))


if __name__ == "__main__":
    main()
