"""The process that `benchmarks/kill.py` kills: a conversation that marks where it is and books what its caller had."""

from __future__ import annotations

import asyncio
import itertools
import json
import mmap
import random
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack, ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from langchain_core.messages import AIMessage, HumanMessage

from langchain_qwen_memory import (
    ChatQwen,
    InMemoryArchive,
    RecallMemory,
    SqliteArchive,
    SummaryBufferMemory,
    arun_turn,
    astream_turn,
    atranscript,
    create_chat_graph,
    run_turn,
    stream_turn,
    transcript,
)
from langchain_qwen_memory.nodes import wiring_of

USER = {"user_id": "alice"}
TURNS = 25
"""Turns of a thread; then another begins."""
PLACES = ("starting", "checking", "between turns", "model", "summary", "archive", "checkpoint", "elsewhere in a turn")
SUMMARISES = "Merge the conversation above"


class Marked:
    """Where the process is, in memory that outlives it."""

    def __init__(self, path: str) -> None:
        with open(path, "r+b") as file:  # noqa: PTH123 - mmap takes a file
            self._memory = mmap.mmap(file.fileno(), 1)

    def __call__(self, place: str) -> None:
        self._memory[0] = PLACES.index(place)

    @contextmanager
    def at(self, place: str) -> Iterator[None]:
        before = self._memory[0]
        self(place)
        try:
            yield
        finally:
            self._memory[0] = before


def wrapped(mark: Marked, owner: Any, name: str, place: str) -> None:
    """Let an object's method tell where the process is."""
    method = getattr(owner, name)
    if asyncio.iscoroutinefunction(method):

        async def marked(*what: Any, **how: Any) -> Any:
            with mark.at(place):
                return await method(*what, **how)
    else:

        def marked(*what: Any, **how: Any) -> Any:
            with mark.at(place):
                return method(*what, **how)

    setattr(owner, name, marked)


class Placed(ChatQwen):
    """ChatQwen that tells where the process is."""

    def _place(self, messages: Sequence[Any]) -> str:
        return "summary" if SUMMARISES in messages[-1].text else "model"

    def _generate(self, messages: Any, *what: Any, **how: Any) -> Any:
        with MARK[0].at(self._place(messages)):
            return super()._generate(messages, *what, **how)

    async def _agenerate(self, messages: Any, *what: Any, **how: Any) -> Any:
        with MARK[0].at(self._place(messages)):
            return await super()._agenerate(messages, *what, **how)

    def _stream(self, messages: Any, *what: Any, **how: Any) -> Any:
        with MARK[0].at(self._place(messages)):
            yield from super()._stream(messages, *what, **how)

    async def _astream(self, messages: Any, *what: Any, **how: Any) -> Any:
        with MARK[0].at(self._place(messages)):
            async for chunk in super()._astream(messages, *what, **how):
                yield chunk


MARK: list[Marked] = []


@dataclass
class Life:
    """One life of the process: what it is to do, and the book in which it writes what its caller had."""

    store: str
    colour: str
    database: str
    url: str
    folder: str
    seed: int

    def tell(self, kind: str, **what: Any) -> None:
        """Write a line at once; the system keeps it though the process dies."""
        with open(f"{self.folder}/book", "ab", buffering=0) as book:  # noqa: PTH123 - unbuffered
            book.write(json.dumps({"kind": kind, **what}).encode() + b"\n")

    def graph(self, saver: Any, archive: Any) -> Any:
        names = ("put", "put_writes") if self.colour == "sync" else ("aput", "aput_writes")
        for name in names:
            wrapped(MARK[0], saver, name, "checkpoint")
        for name in ("append", "put_note") if self.colour == "sync" else ("aappend", "aput_note"):
            wrapped(MARK[0], archive, name, "archive")
        memory = [SummaryBufferMemory(trigger=("turns", 4), keep=("turns", 2)), RecallMemory(k=2)]
        model = Placed(model="qwen-plus", base_url=self.url, api_key="sk-local")
        return create_chat_graph(model, memory=memory, archive=archive, checkpointer=saver)

    def archive(self) -> Any:
        if self.store == "sqlite":
            return SqliteArchive(self.database)
        from langchain_qwen_memory.archive.postgres.archive import PostgresArchive

        return PostgresArchive(self.database)

    def live(self) -> None:
        """Go on until somebody kills it."""
        MARK[:] = [Marked(f"{self.folder}/mark")]
        MARK[0]("starting")
        if self.colour == "async":
            asyncio.run(self._alive())
            return
        with ExitStack() as stack:
            if self.store == "sqlite":
                from langgraph.checkpoint.sqlite import SqliteSaver

                saver = stack.enter_context(SqliteSaver.from_conn_string(self.database))
            else:
                from langgraph.checkpoint.postgres import PostgresSaver

                saver = stack.enter_context(PostgresSaver.from_conn_string(self.database))
            saver.setup()
            graph, chance = self.graph(saver, self.archive()), random.Random(self.seed)
            for thread in itertools.count(self.first_thread()):
                config = {"configurable": {"thread_id": f"t{thread}"}}
                MARK[0]("checking")
                turns = transcript(graph, config, context=USER, limit=1_000)
                self.check(thread, turns, graph)
                for number, question, way in self.todo(turns, thread, chance):
                    MARK[0]("elsewhere in a turn")
                    self.tell("asked", thread=thread, question=question.text if question else None)
                    said = _told(graph, question, config) if way == "run" else _streamed(graph, question, config)
                    MARK[0]("between turns")
                    self.tell("answered", thread=thread, number=number, answer=said)

    async def _alive(self) -> None:
        async with AsyncExitStack() as stack:
            if self.store == "sqlite":
                from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver as Saver
            else:
                from langgraph.checkpoint.postgres.aio import AsyncPostgresSaver as Saver  # type: ignore[assignment]
            saver = await stack.enter_async_context(Saver.from_conn_string(self.database))
            await saver.setup()
            graph, chance = self.graph(saver, self.archive()), random.Random(self.seed)
            for thread in itertools.count(self.first_thread()):
                config = {"configurable": {"thread_id": f"t{thread}"}}
                MARK[0]("checking")
                self.check(thread, await atranscript(graph, config, context=USER, limit=1_000), graph)
                turns = await atranscript(graph, config, context=USER, limit=1_000)
                for number, question, way in self.todo(turns, thread, chance):
                    MARK[0]("elsewhere in a turn")
                    self.tell("asked", thread=thread, question=question.text if question else None)
                    said = await (_atold if way == "run" else _astreamed)(graph, question, config)
                    MARK[0]("between turns")
                    self.tell("answered", thread=thread, number=number, answer=said)

    def todo(self, turns: Sequence[Any], thread: int, chance: random.Random) -> Iterator[tuple[int, Any, str]]:
        """The question that has no answer yet, sent again or gone on with; then new ones."""
        done = len(turns)
        if turns and not isinstance(turns[-1].messages[-1], AIMessage):
            done -= 1
            if chance.random() < 0.5:
                yield done, None, chance.choice(("run", "stream"))
                done += 1
        for number in range(done, TURNS):
            text = f"My order number {number} of thread {thread} is KM-30{number:02}, keep it in mind."
            yield number, HumanMessage(text, id=f"m{thread}-{number}"), chance.choice(("run", "stream"))

    def book(self) -> list[dict[str, Any]]:
        path = Path(self.folder, "book")
        lines = path.read_bytes().split(b"\n")[:-1] if path.exists() else []  # the last may be under way
        return [json.loads(line) for line in lines]

    def first_thread(self) -> int:
        """The thread in which the life before this one ended, or the next where it was done."""
        return max((line["thread"] for line in self.book() if "thread" in line), default=0)

    def check(self, thread: int, turns: Sequence[Any], graph: Any) -> None:
        """Compare what is kept with the book."""
        archive = wiring_of(graph).archive
        problems = list(wrongs(thread, turns, self.book(), archive))
        left = left_behind(thread, archive)
        self.tell("checked", thread=thread, turns=len(turns), problems=problems, left=left)


def _told(graph: Any, question: Any, config: Any) -> str:
    return str(run_turn(graph, question, config, context=USER)["messages"][-1].text)


async def _atold(graph: Any, question: Any, config: Any) -> str:
    return str((await arun_turn(graph, question, config, context=USER))["messages"][-1].text)


def _streamed(graph: Any, question: Any, config: Any) -> str:
    chunks = stream_turn(graph, question, config, context=USER)
    said = "".join(chunk.text for chunk, _ in chunks if isinstance(chunk, AIMessage))
    return said or _last(graph.get_state(config))


async def _astreamed(graph: Any, question: Any, config: Any) -> str:
    chunks = [chunk async for chunk, _ in astream_turn(graph, question, config, context=USER)]
    return "".join(chunk.text for chunk in chunks if isinstance(chunk, AIMessage)) or _last(
        await graph.aget_state(config)
    )


def _last(state: Any) -> str:
    """Where a run that is gone on with had its answer already, nothing is streamed, and the caller reads it."""
    return str(state.values["messages"][-1].text)


def wrongs(thread: int, turns: Sequence[Any], book: Sequence[dict[str, Any]], archive: Any) -> Iterator[str]:
    """What is not as it has to be; nothing, if all is well."""
    book = [line for line in book if line.get("thread") == thread]
    asked = list(dict.fromkeys(line["question"] for line in book if line["kind"] == "asked" and line["question"]))
    had = {line["number"]: line["answer"] for line in book if line["kind"] == "answered"}
    kept = [turn.messages[0].text for turn in turns]
    if kept not in (asked, asked[:-1]) or len(kept) <= max(had, default=-1):
        yield f"asked {asked}, kept {kept}"
    answers = [[message.text for message in turn.messages[1:]] for turn in turns]
    if any([answer] != answers[number] for number, answer in had.items() if number < len(answers)):
        yield f"the caller had {had}, kept is {answers}"
    if any(len(one) > 1 for one in answers) or not all(answers[:-1]):
        yield f"a turn has not one answer: {answers}"
    if [turn.position for turn in turns] != list(range(len(turns))):
        yield f"positions {[turn.position for turn in turns]}"
    page = archive.page("alice", f"t{thread}", limit=1_000)
    archived = [turn.messages[0].text for turn in page]
    # LangGraph writes checkpoints while the run goes on: the archive may be ahead by a turn that nobody was told of.
    ahead = archived[:-1] == kept == asked[:-1] and archived[-1:] == asked[-1:]
    if not (archived == kept[: len(page)] or ahead) or len(page) <= max(had, default=-1):
        yield f"archived {archived}, kept {kept}, those answered: {list(had)}"
    if any([answer] != [message.text for message in page[number].messages[1:]] for number, answer in had.items()):
        yield f"the caller had {had}, archived is {[turn.messages[-1].text for turn in page]}"


def left_behind(thread: int, archive: Any) -> int:
    """Archived turns of branches that were left: their answers were lost with a checkpoint, and given anew."""
    user, name = "alice", f"t{thread}"
    return int(archive.count(user, name)) - len(archive.page(user, name, limit=1_000))


def warm(life: Life) -> None:
    """Talk once, so that modules and vocabulary are loaded before each life is forked, and none loads them again."""
    MARK.append(Marked(f"{life.folder}/mark"))
    from langgraph.checkpoint.memory import InMemorySaver

    graph = life.graph(InMemorySaver(), InMemoryArchive())
    config = {"configurable": {"thread_id": "warm"}}
    _told(graph, "warm?", config)
    _streamed(graph, "warm?", config)
    asyncio.run(_astreamed(graph, "warm?", config))
    until = time.monotonic() + 5
    while threading.active_count() > 1 and time.monotonic() < until:
        time.sleep(0.01)
    assert threading.active_count() == 1, threading.enumerate()
