"""Soaks one process: many users talk at once through `astream_turn`, and in the end each turn has to be there once.

    python benchmarks/soak.py --users 200 --minutes 10 --store postgres --write
    python benchmarks/soak.py --users 50 --minutes 10 --store sqlite --write
    python benchmarks/soak.py --users 5 --minutes 0.05 --store sqlite          # a try
    python benchmarks/soak.py --blame ...     # also say where the loop's thread was when it stood still

Each user has one to three threads and thinks for some seconds between turns; some readers leave midway, some turns are
sent two at a time on one thread, some ask for an earlier turn. Each question has a token that stands nowhere else, so
that transcripts and prompts show what was lost, doubled, or crossed to another user. The model is a local DashScope in
another process, ChatQwen streams. Memory is a summary of what is older than 6 to 12 turns, and recall of 3. LangGraph's
AsyncPostgresSaver works over a pool of connections, as `docs/how-to/postgres.md` sets it up, and takes a lock around
each call all the same (langgraph's issue 7259); with `--unlocked` as many run at once as there are connections.

The package's own time of a turn is its wall time, from the call of `astream_turn` to the end of its stream, without the
seconds in which the HTTP client waited for bytes of the model; memory's work after the answer is in it, and so is the
time for which the turn's task was ready and another's ran. Turns of which the reader left, and turns that wait for
another of their thread, are not timed. The loop stood still for the time by which a beat of 20 ms came late, without
the time for which the loop's thread, or one that may have held the interpreter's lock, was ready to run and the machine
gave its cores to others (Linux: schedstat); both are shown. Modules are taken out of garbage collection after the start
(`gc.freeze()`, as servers do: a full collection of them alone takes 50 to 150 ms). Ends with 1 if a promise is broken.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import logging
import os
import sys
import time
from typing import Any

from page import write_section
from soak_model import Prompts, metered_model, model_elsewhere
from soak_page import Outcome, figures, promises, section
from soak_stores import opened
from soak_users import Soak, live, settled, verify
from soak_watch import Watch

from langchain_qwen_memory import RecallMemory, SummaryBufferMemory, create_chat_graph


class Heard(logging.Handler):
    """Keeps what the package warned of."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        error = f": {record.exc_info[1]!r}" if record.exc_info else ""
        self.lines.append(f"{record.getMessage()}{error}")


async def run(options: argparse.Namespace, url: str) -> Outcome:
    """Soak, then verify."""
    heard, watch, prompts = Heard(), Watch(), Prompts()
    logging.getLogger("langchain_qwen_memory").addHandler(heard)
    async with opened(options.store, options.url, unlocked=options.unlocked) as store:
        memory = [SummaryBufferMemory(trigger=("turns", 12), keep=("turns", 6)), RecallMemory(k=3)]
        model = metered_model(url, prompts)
        graph = create_chat_graph(model, memory=memory, archive=store.archive, checkpointer=store.saver)
        await _warm(graph, prompts)
        load, cpu, begun = os.getloadavg()[0], time.process_time(), time.monotonic()
        soak = Soak(graph, pause=options.pause, until=begun + 60 * options.minutes)
        stuck = await _soaked(soak, watch, options)
        return Outcome(
            options=options,
            soak=soak,
            watch=watch,
            prompts=prompts,
            seconds=time.monotonic() - begun,
            cpu=time.process_time() - cpu,
            verdict=await verify(soak, store.archive),
            connections=store.connections,
            warnings=heard.lines,
            load=(load, os.getloadavg()[0]),
            stuck=stuck,
        )


async def _warm(graph: Any, prompts: Prompts) -> None:
    """One turn of nobody, so that what is imported and made at first use is not in the figures.

    As servers do, it then takes the modules out of garbage collection: a full one of theirs alone stops any Python
    program for 50 to 150 ms.
    """
    config = {"configurable": {"thread_id": "warm"}}
    await graph.ainvoke({"messages": "warm"}, config, context={"user_id": "warm"})
    prompts.crossed.clear()
    gc.collect()
    gc.freeze()


async def _soaked(soak: Soak, watch: Watch, options: argparse.Namespace) -> int:
    watch.time_steps()
    if options.blame:
        watch.look()
    watching = [asyncio.create_task(watch.beat()), asyncio.create_task(watch.sample())]
    try:
        await asyncio.gather(*(live(soak, user) for user in range(options.users)))
        return await settled()
    finally:
        watch.stop()
        for task in watching:
            task.cancel()
        await asyncio.gather(*watching, return_exceptions=True)


def blamed(watch: Watch) -> None:
    """Say what the loop stood still for."""
    for wall, cpu, whose in sorted(watch.steps, reverse=True)[:12]:
        print(f"      step of {wall * 1e3:.0f} ms ({cpu * 1e3:.0f} ms CPU): {whose}")
    for place, times in watch.blame.most_common(25):
        print(f"      {times:4} x  {place}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--users", type=int, default=200)
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--store", choices=["postgres", "sqlite"], default="postgres")
    parser.add_argument("--pause", type=float, default=20.0, help="seconds between two turns of a user, on average")
    parser.add_argument("--unlocked", action="store_true", help="a Postgres checkpointer without LangGraph's lock")
    parser.add_argument("--url", help="an empty Postgres database; without it a server of its own is started")
    parser.add_argument("--blame", action="store_true", help="say what the loop stood still for")
    parser.add_argument("--write", action="store_true", help="write the result into docs/benchmarks.md")
    options = parser.parse_args()
    os.environ.setdefault("LANGGRAPH_STRICT_MSGPACK", "true")
    with model_elsewhere() as url:
        made = asyncio.run(run(options, url))
    for name, value in figures(made):
        print(f"{name:78} {value}")
    broken = [words for held, words in promises(made) if not held]
    for held, words in promises(made):
        print(f"{'ok    ' if held else 'BROKEN'}  {words}")
    if options.blame:
        blamed(made.watch)
    if options.write:
        write_section(f"soak-{options.store}", section(made, broken))
    sys.exit(1 if broken else 0)


if __name__ == "__main__":
    main()
