"""Measures what one more turn costs on a thread of 100, 1,000 and 10,000 turns: CPU time, bytes, state, prompts.

    python benchmarks/peers_env.py benchmarks/growth.py    # tables and plot go into docs/; some twelve minutes
    python benchmarks/growth.py --quick                    # 100 and 1,000 turns, nothing is written
    python benchmarks/growth.py --only default             # only memories and peers with this in their name

Each memory gets a thread of each length, with SqliteSaver and SqliteArchive in files of their own, a model that takes
no time, and the conversation of `conversations.py`. The last 60 turns of a thread are played one by one and those
before in runs of 20 (`--every-turn`: all one by one); then 100 more turns are measured, the three threads taking turns,
so that a busy machine slows all alike. CPU time is the whole process's, without the checker's; the median is shown.
Bytes are those of the rows that a turn adds to the checkpointer's tables, keys included: the median turn's (most call
no tool and move no edge) and the mean. The growth of the file, after its log is moved into it, holds SQLite's pages and
indexes too. The archive's file is apart.

Peers that keep all messages in the state get a long thread imported at once, with a summary that stands for it where
they have one, and fewer turns are measured, since one takes up to a second.

Then the prompts are judged and priced over 1,000 turns, as `cost.py` does. The program ends with 1 if a target is
missed.
"""

from __future__ import annotations

import argparse
import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cost
from checker import Checker
from conversations import SYSTEM, TOOLS, Planned, conversation
from langchain_core.messages import BaseMessage, HumanMessage
from langgraph.checkpoint.sqlite import SqliteSaver
from langmem.short_term import RunningSummary
from page import needs, plot, version_line, write_section
from peers import FORGETFUL, NEEDED, PEERS, Peer
from scripted import ScriptedModel
from view import view_milliseconds

from langchain_qwen_memory import (
    Memory,
    RecallMemory,
    SqliteArchive,
    SummaryBufferMemory,
    WindowMemory,
    create_chat_graph,
)

SIZES = (100, 1_000, 10_000)
MEASURED = 100
SINGLY = 60
"""Turns at the end of a thread that are always played one by one: more than a window holds at most."""
AT_ONCE = 20
"""Turns that are played in one run before that."""
PEER_TURNS = {100: 40, 1_000: 20, 10_000: 6}
HEAD_ROOM = 1_000_000
"""Tokens of a prompt that peers are allowed here: their prompts are judged in the second table."""

CPU_MOST, CPU_GROWTH, BYTES_MOST, STATE_GROWTH, VIEW_MOST = 12.0, 1.2, 8_000, 1.2, 0.1
"""Milliseconds; times those at 100 turns; bytes; times that at 100 turns; milliseconds."""

OURS: dict[str, tuple[tuple[Memory, ...], int]] = {
    "window (default)": ((WindowMemory(),), cost.LIMIT),
    "summary (default)": ((SummaryBufferMemory(),), cost.WIDE),
    "window + recall (default)": ((WindowMemory(), RecallMemory()), cost.LIMIT),
    "summary + recall (default)": ((SummaryBufferMemory(), RecallMemory()), cost.WIDE),
}


@dataclass
class Thread:
    """One thread of one memory, and what its measured turns cost."""

    length: int
    graph: Any
    model: ScriptedModel
    saver: SqliteSaver
    file: Path
    checker: Checker
    archive_file: Path | None = None
    cpu: list[float] = field(default_factory=list)
    """Milliseconds, per measured turn."""
    state: int = 0
    """Bytes of the largest state met."""
    stored: list[int] = field(default_factory=list)
    """Bytes of rows, per measured turn."""
    grown: float = 0.0
    """Bytes by which the file grew, per measured turn."""
    archived: float = 0.0
    """The same for the archive."""
    _last: tuple[int, int] = (0, 0)

    def play(self, turns: Sequence[Planned], **options: Any) -> dict[str, Any]:
        """Play turns in one run: the last one is asked, those before it are handed over."""
        begun = time.process_time()
        self.checker.begin(turns[-1])
        self.model.spent += time.process_time() - begun
        self.model.script.extend(turns[-1].answers)
        before: list[BaseMessage] = [message for turn in turns[:-1] for message in turn.messages]
        asked = HumanMessage(turns[-1].question, id=f"h{turns[-1].number}")
        given = {"messages": [*before, asked]}
        made: dict[str, Any] = self.graph.invoke(given, cost.CONFIG, context=cost.CONTEXT, **options)
        return made

    def measure(self, turn: Planned) -> None:
        _, last = self.row_bytes() if not self.stored else (0, self._last)
        spent, begun = self.model.spent, time.process_time()
        self.play([turn])
        self.cpu.append((time.process_time() - begun - (self.model.spent - spent)) * 1e3)
        stored, self._last = self.row_bytes(last)
        self.stored.append(stored)

    def weigh(self) -> None:
        """Look how large the state is."""
        values = self.graph.get_state(cost.CONFIG).values
        self.state = max(self.state, len(self.saver.serde.dumps_typed(values)[1]))

    def file_bytes(self) -> tuple[int, int]:
        """Sizes of the checkpointer's and of the archive's file, each with its log."""
        with self.saver.lock:
            self.saver.conn.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        return self.file.stat().st_size, with_log(self.archive_file) if self.archive_file else 0

    def row_bytes(self, after: tuple[int, int] = (0, 0)) -> tuple[int, tuple[int, int]]:
        """Bytes of all rows after those given, and the last rows."""
        total, last = 0, []
        for table, since in zip(("checkpoints", "writes"), after, strict=True):
            with self.saver.lock:
                columns = [row[1] for row in self.saver.conn.execute(f"PRAGMA table_info({table})")]
                size = " + ".join(f"coalesce(length(CAST({column} AS BLOB)), 0)" for column in columns)
                query = f"SELECT coalesce(sum({size}), 0), coalesce(max(rowid), 0) FROM {table} WHERE rowid > ?"
                found, newest = self.saver.conn.execute(query, (since,)).fetchone()
            total += found
            last.append(max(newest, since))
        return total, (last[0], last[1])


def with_log(file: Path) -> int:
    """Bytes of a database, its log read along."""
    with closing(sqlite3.connect(file)) as db:
        (pages,), (page,) = db.execute("PRAGMA page_count").fetchone(), db.execute("PRAGMA page_size").fetchone()
    return int(pages * page)


def ours_thread(memory: Sequence[Memory], limit: int, length: int, folder: Path, stack: ExitStack) -> Thread:
    """A thread of ours, empty."""
    folder.mkdir()
    checker = Checker(limit=limit, mine=True)
    model = ScriptedModel(seen=checker.chat, summarise=checker.summary)
    saver = stack.enter_context(SqliteSaver.from_conn_string(str(folder / "checkpoints.db")))
    archive = stack.enter_context(SqliteArchive(folder / "archive.db"))
    graph = create_chat_graph(
        model,
        memory=list(memory),
        tools=TOOLS,
        system_prompt=SYSTEM,
        archive=archive,
        checkpointer=saver,
        max_input_tokens=limit,
    )
    return Thread(length, graph, model, saver, folder / "checkpoints.db", checker, folder / "archive.db")


def grow(thread: Thread, turns: Iterator[Planned], *, singly: bool) -> None:
    """Bring a thread of ours to its length."""
    played: list[Planned] = []
    for number, turn in zip(range(thread.length), turns, strict=False):
        played.append(turn)
        if singly or number >= thread.length - SINGLY or len(played) == AT_ONCE:
            thread.play(played, durability="exit")
            played = []


def measure(threads: Sequence[Thread], rest: Sequence[Sequence[Planned]]) -> None:
    """Play measured turns on all threads by turns."""
    starts = [thread.file_bytes() for thread in threads]
    for number in range(max(map(len, rest))):
        for thread, turns in zip(threads, rest, strict=True):
            if number < len(turns):
                thread.measure(turns[number])
                if number % 10 == 0 or len(turns) < 10:
                    thread.weigh()
    for thread, turns, sizes in zip(threads, rest, starts, strict=True):
        pairs = zip(thread.file_bytes(), sizes, strict=True)
        thread.grown, thread.archived = ((new - old) / len(turns) for new, old in pairs)


def run_ours(name: str, sizes: Sequence[int], folder: Path, *, singly: bool) -> tuple[list[Thread], float]:
    """Grow and measure a memory of ours; its threads, and milliseconds to compute a view on the longest."""
    memory, limit = OURS[name]
    with ExitStack() as stack:
        threads, rest = [], []
        for length in sizes:
            thread = ours_thread(memory, limit, length, folder / f"{length}", stack)
            turns = conversation(length + MEASURED)
            grow(thread, turns, singly=singly)
            threads.append(thread)
            rest.append(list(turns))
        measure(threads, rest)
        return threads, view_milliseconds(threads[-1].graph, cost.CONFIG, cost.CONTEXT)


def run_peer(peer: Peer, sizes: Sequence[int], folder: Path) -> list[Thread]:
    """Import and measure a peer."""
    assert peer.graph is not None
    with ExitStack() as stack:
        threads, rest = [], []
        for length in sizes:
            path = folder / f"{length}"
            path.mkdir()
            checker = Checker(limit=HEAD_ROOM)
            model = ScriptedModel(seen=checker.chat)
            summariser = ScriptedModel(summarise=checker.oracle, only_summaries=True)
            saver = stack.enter_context(SqliteSaver.from_conn_string(str(path / "checkpoints.db")))
            graph = peer.graph(model, summariser, saver)
            thread = Thread(length, graph, model, saver, path / "checkpoints.db", checker)
            turns = list(conversation(length + PEER_TURNS[length]))
            graph.update_state(cost.CONFIG, imported(peer, turns[: length - 1]), as_node="model")
            thread.play([turns[length - 1]])
            threads.append(thread)
            rest.append(turns[length:])
        measure(threads, rest)
        return threads


def imported(peer: Peer, turns: Sequence[Planned]) -> dict[str, Any]:
    """A state as it would be after these turns."""
    state: dict[str, Any] = {"messages": [message for turn in turns for message in turn.messages]}
    if "langmem" in peer.name:
        folded = [message.id for turn in turns[:-30] for message in turn.messages]
        if folded:
            text = "第1卷摘要。用户在安排周末的行程，同时推进一个项目。" * 8
            summary = RunningSummary(
                summary=text, summarized_message_ids=set(folded), last_summarized_message_id=folded[-1]
            )
            state["context"] = {"running_summary": summary}
    return state


def checks(name: str, threads: Sequence[Thread], view: float) -> Iterator[tuple[bool, str]]:
    """What one more turn may cost, and whether it held."""
    first, last = threads[0], threads[-1]
    short, long = statistics.median(first.cpu), statistics.median(last.cpu)
    at = f"{name} at {last.length:,} turns"
    yield long <= CPU_MOST, f"{at}: {long:.1f} ms CPU a turn (at most {CPU_MOST:g})"
    ratio = long / short
    yield ratio <= CPU_GROWTH, f"{at}: {ratio:.2f} times the CPU time at {first.length} (at most {CPU_GROWTH})"
    stored = statistics.median(last.stored)
    yield stored <= BYTES_MOST, f"{at}: {stored:,.0f} bytes of checkpoint rows a turn (at most {BYTES_MOST:,})"
    bound = STATE_GROWTH * first.state
    yield last.state <= bound, f"{at}: state of {last.state:,} bytes at most ({first.state:,} at {first.length}; x1.2)"
    yield view <= VIEW_MOST, f"{at}: {view:.3f} ms to compute a view, tokens known (at most {VIEW_MOST})"
    for thread in threads:
        broken, calls = thread.checker.invalid["any"], thread.checker.calls
        yield not broken, f"{name} at {thread.length:,} turns: {broken} invalid prompts of {calls:,} (0)"


def row(name: str, threads: Sequence[Thread], view: float | None) -> str:
    """A line of the table in the docs."""

    def each(show: Any) -> str:
        return " / ".join(show(thread) for thread in threads)

    cells = (
        name,
        each(lambda thread: f"{statistics.median(thread.cpu):,.1f}"),
        each(lambda thread: f"{statistics.median(thread.stored):,.0f} ({statistics.mean(thread.stored):,.0f})"),
        each(lambda thread: f"{thread.grown:,.0f}"),
        f"{threads[-1].archived:,.0f}" if threads[-1].archive_file else "-",
        each(lambda thread: f"{thread.state:,}"),
        "-" if view is None else f"{view:.3f}",
    )
    return f"| {' | '.join(cells)} |"


def head(sizes: Sequence[int]) -> list[str]:
    lengths = " / ".join(f"{size:,}" for size in sizes)
    titles = (
        "memory",
        f"CPU ms a turn at {lengths} turns",
        "bytes of checkpoint rows a turn, median (mean)",
        "growth of the checkpoint file a turn",
        "archive, bytes a turn",
        "largest state, bytes",
        "view, ms",
    )
    return [f"| {' | '.join(titles)} |", "|---" * len(titles) + "|"]


def section(growth: Sequence[str], prompts: Sequence[str], turns: int) -> str:
    """The text between the markers."""
    return "\n".join(
        [
            f"Written by `python benchmarks/peers_env.py benchmarks/growth.py`. {version_line()}",
            "",
            "One more turn on a long thread: SqliteSaver and SqliteArchive in files, a model that takes no time, the",
            "median of the turns measured. Rows are what the saver stores, keys included; the file also holds SQLite's",
            "pages and indexes. Peers have the long thread imported at once. SummarizationMiddleware is flat because",
            "it removes for good what it has summarised; ours keep every turn in the archive. deepagents writes what",
            "it has summarised into a file of the state too. The classic memories store nothing and are in the second",
            "table only. The view is what stands between the live messages and a prompt, the tokens of all messages",
            "known; with recall, most of it is choosing which records fit and writing them beside the question.",
            "",
            *growth,
            "",
            "![CPU time and bytes of one more turn](growth.svg)",
            "",
            f"What the model is sent, and what it costs, over {turns:,} turns with an oracle for a summariser (about",
            "180 tokens a summary). Effective tokens: uncached + 0.2 x cached + the summariser's prompt likewise + 3 x",
            "what it writes, per call of the chat model. Peers may send 8,000 tokens, and cut from 5,600 on.",
            "",
            *cost.HEAD.split("\n"),
            *prompts,
        ]
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="100 and 1,000 turns; writes nothing")
    parser.add_argument("--every-turn", action="store_true", help="play all turns of our threads one by one")
    parser.add_argument("--only", help="only memories and peers with this in their name; writes nothing")
    options = parser.parse_args()
    needs("matplotlib", *(() if options.only else NEEDED))
    sizes, begun = SIZES[:2] if options.quick else SIZES, time.monotonic()
    lines, promises, curves = head(sizes), [], {}
    print("\n".join(lines))
    with tempfile.TemporaryDirectory() as temporary:
        others = {peer.name: peer for peer in (FORGETFUL, *PEERS) if peer.graph}
        for number, name in enumerate([*OURS, *others]):
            if options.only and options.only not in name:
                continue
            folder, view = Path(temporary) / f"{number}", None
            folder.mkdir()
            if name in OURS:
                threads, view = run_ours(name, sizes, folder, singly=options.every_turn)
                promises += list(checks(name, threads, view))
            else:
                threads = run_peer(others[name], sizes, folder)
            lines.append(row(name, threads, view))
            curves[name] = [
                (thread.length, statistics.median(thread.cpu), statistics.median(thread.stored)) for thread in threads
            ]
            print(lines[-1], flush=True)
    if not options.only:
        turns = 300 if options.quick else 1_000
        prompts, more = cost.run(turns)
        promises += more
        if not options.quick:
            plot(curves, "growth.svg")
            write_section("growth", section(lines, prompts, turns))
    missed = cost.told(promises)
    print(f"{missed} of {len(promises)} targets missed; {time.monotonic() - begun:,.0f} seconds")
    sys.exit(1 if missed else 0)


if __name__ == "__main__":
    main()
