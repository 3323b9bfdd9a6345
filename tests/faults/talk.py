"""A conversation through a real server, one file for checkpoints and archive, whose every word is noted and checked.

What is asked is noted when it is asked, what is answered when the caller has it; `check` compares both with what
is kept: each question once and in order, no answer lost that the caller had, each turn archived once, and the
summaries a chain without gap or overlap.
"""

import asyncio
import json
import sqlite3
from contextlib import closing

from langchain.agents import create_agent
from langchain_core.exceptions import ModelError
from langchain_core.messages import AIMessage, HumanMessage
from langgraph.checkpoint.sqlite import SqliteSaver
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver

from langchain_qwen_memory import (
    ChatQwen,
    MemoryMiddleware,
    SqliteArchive,
    WindowMemory,
    aread_reports,
    arun_turn,
    astream_turn,
    atranscript,
    create_chat_graph,
    read_reports,
    run_turn,
    stream_turn,
    transcript,
)

CONFIG = {"configurable": {"thread_id": "t1"}}
ALICE = {"user_id": "alice"}
WAYS = ("run", "arun", "stream", "astream")
SUMMARISES = "Merge the conversation above"


def of_the_chat(body):
    """Whether a request is the chat's own call."""
    return "messages" in body and SUMMARISES not in str(body["messages"][-1]["content"])


def of_the_summary(body):
    """Whether a request is the summariser's call."""
    return "messages" in body and SUMMARISES in str(body["messages"][-1]["content"])


def of_the_embeddings(body):
    """Whether a request is for vectors."""
    return "input" in body and "messages" not in body


class Talk:
    """One thread of one user, talked to in one way."""

    def __init__(
        self, server, folder, *, way="run", agent=False, memory=None, tools=(), embeddings=None, hasty=None, **model
    ):
        self.path, self.way = folder / "chat.db", way
        self.asked: list[HumanMessage] = []
        self.answered: dict[str, str] = {}
        self.errors: list[ModelError] = []
        self.runner = asyncio.Runner()
        self.archive = SqliteArchive(self.path, embeddings=embeddings)
        options = {"model": "qwen-plus", "base_url": server.base_url, "api_key": server.api_key, "max_retries": 0}
        self.model = ChatQwen(**{**options, **model})
        self.keeper = self._saver()
        memory = memory or [WindowMemory(trigger=("turns", 4), keep=("turns", 2))]
        made = self._agent if agent else self._chat
        self.graph = self._patient = made(self.model, memory, tools)
        self._hasty = made(ChatQwen(**{**options, **model, "timeout": hasty}), memory, tools) if hasty else self.graph

    def _saver(self):
        if self.way.startswith("a"):
            self._held = AsyncSqliteSaver.from_conn_string(str(self.path))
            return self.runner.run(self._held.__aenter__())
        self._held = SqliteSaver.from_conn_string(str(self.path))
        return self._held.__enter__()

    def _chat(self, model, memory, tools):
        return create_chat_graph(model, memory=memory, tools=tools, archive=self.archive, checkpointer=self.keeper)

    def _agent(self, model, memory, tools):
        middleware = MemoryMiddleware(memory, archive=self.archive, archive_folded=True)
        return create_agent(model, list(tools), middleware=[middleware], checkpointer=self.keeper)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.way.startswith("a"):
            self.runner.run(self._held.__aexit__(None, None, None))
        else:
            self._held.__exit__(None, None, None)
        self.archive.close()
        self.runner.close()

    def ask(self, text):
        """Ask something new; the answer, or None after an error of the model, which is noted."""
        self.asked.append(HumanMessage(text, id=f"m{len(self.asked)}"))
        return self._told(self.asked[-1])

    def ask_in_haste(self, text):
        """`ask`, waiting for each part of the answer for `hasty` seconds only, where that was given."""
        self.graph = self._hasty
        try:
            return self.ask(text)
        finally:
            self.graph = self._patient

    def again(self):
        """Send the newest question once more, as a client that got an error does."""
        return self._told(self.asked[-1])

    def go_on(self):
        """Go on where the run stopped."""
        return self._told(None)

    def _told(self, message):
        try:
            said = self._run(message)
        except ModelError as error:
            self.errors.append(error)
            return None
        self.answered[self.asked[-1].id] = said
        return said

    def _run(self, message):
        if self.way == "run":
            return run_turn(self.graph, message, CONFIG, context=ALICE)["messages"][-1].text
        if self.way == "arun":
            state = self.runner.run(arun_turn(self.graph, message, CONFIG, context=ALICE))
            return state["messages"][-1].text
        chunks = self._streamed(message) if self.way == "stream" else self.runner.run(self._astreamed(message))
        said = [chunk for chunk, _ in chunks if isinstance(chunk, AIMessage)]
        last = said[-1].id if said else None
        return "".join(chunk.text for chunk in said if chunk.id == last)

    def _streamed(self, message):
        return list(stream_turn(self.graph, message, CONFIG, context=ALICE))

    async def _astreamed(self, message):
        return [part async for part in astream_turn(self.graph, message, CONFIG, context=ALICE)]

    def turns(self):
        """The transcript, whole."""
        if self.way.startswith("a"):
            return self.runner.run(atranscript(self.graph, CONFIG, context=ALICE, limit=10_000))
        return transcript(self.graph, CONFIG, context=ALICE, limit=10_000)

    def reports(self):
        """The newest reports."""
        if self.way.startswith("a"):
            return self.runner.run(aread_reports(self.graph, CONFIG))
        return read_reports(self.graph, CONFIG)

    def check(self):
        """Nothing is lost, nothing is twice."""
        turns = self.turns()
        assert [turn.position for turn in turns] == list(range(len(turns)))
        assert [turn.messages[0].id for turn in turns] == [message.id for message in self.asked]
        assert [turn.messages[0].text for turn in turns] == [message.text for message in self.asked]
        for turn in turns:
            kept = [message.text for message in turn.messages if isinstance(message, AIMessage)]
            wanted = self.answered.get(turn.messages[0].id)
            assert kept[-1:] == ([] if wanted is None else [wanted])
        self.check_archive(len(turns))
        self.check_summaries()

    def check_archive(self, count):
        """Each turn has one row, whose lineage is the thread's."""
        page = self.archive.page("alice", "t1", limit=10_000)
        assert self.archive.count("alice", "t1") == len(page) == count
        assert [turn.messages[0].id for turn in page] == [message.id for message in self.asked]
        with closing(sqlite3.connect(self.path)) as db:
            assert db.execute("SELECT count(*) FROM qwen_memory_turns").fetchone()[0] == count

    def check_summaries(self):
        """Each note folds the turns that come right after those of the note before it."""
        notes = self.notes()
        edges = [tuple(note["turns"]) for note in notes]
        assert [first for first, _ in edges] == [0, *(last + 1 for _, last in edges)][: len(edges)]
        slot = self.record()["slots"].get("summary", {})
        assert slot.get("start", 0) in {0, *(last + 1 for _, last in edges)}
        if slot.get("text"):
            assert slot["text"] in {note["text"] for note in notes}

    def notes(self):
        """What was folded, in order."""
        with closing(sqlite3.connect(self.path)) as db:
            rows = db.execute("SELECT note FROM qwen_memory_notes").fetchall()
        return sorted((json.loads(row[0]) for row in rows), key=lambda note: note["turns"])

    def record(self):
        """What memory keeps in the newest checkpoint."""
        state = self.graph.aget_state(CONFIG) if self.way.startswith("a") else self.graph.get_state(CONFIG)
        values = self.runner.run(state).values if self.way.startswith("a") else state.values
        return values["record"]
