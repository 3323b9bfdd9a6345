"""Kills a process that talks, at a thousand random moments, and looks each time whether anything is lost or twice.

    python benchmarks/kill.py                                   # 1,000 kills: SQLite and Postgres, sync and async
    python benchmarks/kill.py --kills 100 --store sqlite --colour async
    python benchmarks/kill.py --seconds 120                     # as many as fit

A conversation with summaries and recall runs in a process of its own, over HTTP, with checkpoints and archive in one
database. It dies by SIGKILL after a random time, is started again, looks at what is kept, and goes on: with the same
question sent again, or where the run stopped. Each time has to hold: every question once and in order; every answer
that the caller had, word for word, in transcript and archive; one answer to each question, each turn archived once in
its lineage. The model's answers are all different, so that one that was given anew is told from one that was kept.
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
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from benchmarks.kill_life import MARK, PLACES, SUMMARISES, Life, warm  # noqa: E402
from langchain_qwen_memory.testing import LocalDashScope, Reply  # noqa: E402


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

    def run(self, kills: int, until: float, chance: random.Random) -> None:
        (self.folder / "mark").write_bytes(b"\0")
        command = [sys.executable, __file__, "--nursery"]
        environment = {**os.environ, "LANGGRAPH_STRICT_MSGPACK": "true"}
        started = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment, bufsize=1
        )
        try:
            while self.kills < kills and time.monotonic() < until:
                self._kill_one(started, chance)
            self._last(started)
        finally:
            if self.living:
                os.kill(self.living, signal.SIGKILL)
            started.stdin.close()
            started.wait(20)

    def _kill_one(self, started: subprocess.Popen[str], chance: random.Random) -> None:
        process = self._start(started, chance)
        if self.kills % 4:  # else anywhere, its start too
            self._wait_for("checked")
        time.sleep(chance.uniform(0, 0.8))
        place = PLACES[(self.folder / "mark").read_bytes()[0]]
        os.kill(process, signal.SIGKILL)
        code, self.living = int(started.stdout.readline()), 0
        assert code == -signal.SIGKILL, f"the process ended by itself: see {self.folder}/log\n{self._log()}"
        self.kills += 1
        self.where[place] += 1
        self._look()

    def _last(self, started: subprocess.Popen[str]) -> None:
        """Once more it has to come up and look."""
        process = self._start(started, random.Random(0))
        self._wait_for("checked")
        os.kill(process, signal.SIGKILL)
        started.stdout.readline()
        self.living = 0
        self._look()

    def _start(self, started: subprocess.Popen[str], chance: random.Random) -> int:
        self._checked = sum(line["kind"] == "checked" for line in self.book())
        life = Life(self.store, self.colour, self.database, self.url, str(self.folder), chance.randrange(10**9))
        started.stdin.write(json.dumps(life.__dict__) + "\n")
        self.living = int(started.stdout.readline())
        return self.living

    def _wait_for(self, kind: str) -> None:
        until = time.monotonic() + 60
        while sum(line["kind"] == kind for line in self.book()) <= self._checked:
            assert time.monotonic() < until, f"the process does not come up: {self._log()}"
            time.sleep(0.01)

    def _look(self) -> None:
        for line in self.book():
            assert not line.get("problems"), f"{self.store}, {self.colour}: {line}"

    def book(self) -> list[dict[str, Any]]:
        return Life("", "", "", "", str(self.folder), 0).book()

    def _log(self) -> str:
        return (self.folder / "log").read_text()[-4_000:]

    def told(self) -> str:
        book = self.book()
        answered, asked = (sum(line["kind"] == kind for line in book) for kind in ("answered", "asked"))
        left = sum({line["thread"]: line["left"] for line in book if line["kind"] == "checked"}.values())
        places = ", ".join(f"{self.where[place]} {place}" for place in PLACES if self.where[place])
        return (
            f"{self.store}, {self.colour}: {self.kills} kills ({places}); {asked} runs begun, {answered} answered, "
            f"{sum(line['kind'] == 'checked' for line in book)} checks: nothing lost, nothing twice; "
            f"{left} answers that no caller had were given anew"
        )


@contextmanager
def databases(store: str) -> Iterator[Any]:
    """Makes databases of a store."""
    if store == "sqlite":
        yield lambda folder: str(folder / "chat.db")
        return
    from tests.postgres.server import Server

    server = Server()
    try:
        yield lambda _: server.database()
    finally:
        server.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=1_000, help="of all courses together")
    parser.add_argument("--seconds", type=float, default=float("inf"), help="stop after that, whatever was reached")
    parser.add_argument("--store", choices=["sqlite", "postgres", "both"], default="both")
    parser.add_argument("--colour", choices=["sync", "async", "both"], default="both")
    parser.add_argument("--seed", type=int, default=None)
    parser.add_argument("--nursery", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.nursery:
        nursery()
        return
    stores = ["sqlite", "postgres"] if options.store == "both" else [options.store]
    colours = ["sync", "async"] if options.colour == "both" else [options.colour]
    courses = list(itertools.product(stores, colours))
    chance, total = random.Random(options.seed), Counter[str]()
    with Answers(speed=0.002) as server, tempfile.TemporaryDirectory(prefix="qwen-memory-") as folder:
        for number, (store, colour) in enumerate(courses):
            home = Path(folder, f"{store}-{colour}")
            home.mkdir()
            with databases(store) as made:
                course = Course(store, colour, made(home), server.base_url, home)
                kills = (options.kills + number) // len(courses)
                course.run(kills, time.monotonic() + options.seconds / len(courses), chance)
            total.update(course.where)
            print(course.told(), flush=True)
    print(f"{total.total()} kills: " + ", ".join(f"{total[place]} {place}" for place in PLACES if total[place]))


if __name__ == "__main__":
    main()
