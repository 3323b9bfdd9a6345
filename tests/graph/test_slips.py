"""Slips of a first try: each is told at once, with what was given and what to write in its place."""

import asyncio
import logging
import re

import pytest
from langchain.agents import create_agent
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import START, StateGraph

from langchain_qwen_memory import (
    ArchiveError,
    InMemoryArchive,
    MemoryMiddleware,
    MemoryOptionError,
    MemoryState,
    RecallMemory,
    SummaryBufferMemory,
    ThreadError,
    WindowMemory,
    arun_turn,
    create_chat_graph,
    forget,
    run_turn,
    transcript,
)
from langchain_qwen_memory.steps import unsaved
from tests.scripted import ScriptedChatModel

CONFIG = {"configurable": {"thread_id": "t1"}}


def graph(**options):
    return create_chat_graph(ScriptedChatModel(), **{"archive": InMemoryArchive(), **options})


@pytest.fixture
def told(caplog):
    """What is logged about checkpointers; it is told once a process, so the process is made to forget it."""
    unsaved._warn.cache_clear()
    caplog.set_level(logging.WARNING, logger="langchain_qwen_memory")
    yield lambda: [record.message for record in caplog.records if "no checkpointer" in record.message]
    unsaved._warn.cache_clear()


def test_a_thread_without_a_checkpointer_is_told_once(told):
    """A thread_id whose turns nobody keeps is told in the log, in both colours, once, with what to write."""
    graph().invoke({"messages": "hi"}, CONFIG)
    asyncio.run(graph().ainvoke({"messages": "hi"}, CONFIG))
    assert len(told()) == 1
    assert "checkpointer=InMemorySaver()" in told()[0]


def test_an_agent_without_a_checkpointer_is_told_too(told):
    """`MemoryMiddleware` says the same."""
    agent = create_agent(ScriptedChatModel(), [], middleware=[MemoryMiddleware(WindowMemory())])
    agent.invoke({"messages": "hi"}, CONFIG)
    assert len(told()) == 1


def test_nothing_is_told_where_nothing_is_amiss(told):
    """Silent with a checkpointer, a parent's checkpointer, no thread, or a conversation that is handed over whole."""
    graph(checkpointer=InMemorySaver()).invoke({"messages": "hi"}, CONFIG)
    parent = StateGraph(MemoryState)
    parent.add_node("chat", graph())
    parent.add_edge(START, "chat")
    parent.compile(checkpointer=InMemorySaver()).invoke({"messages": "hi"}, CONFIG)
    graph(archive=None).invoke({"messages": "hi"})
    graph().invoke({"messages": ["hi", ("ai", "hello"), ("user", "well?")]}, CONFIG)
    assert told() == []


@pytest.mark.parametrize("slip", [RecallMemory, "summary", ["summary"], 3])
def test_what_is_no_memory_is_refused(slip):
    """A class, a name or a number in place of a memory, in a graph and in an agent."""
    with pytest.raises(MemoryOptionError, match="it takes Memory objects such as"):
        graph(memory=slip)
    with pytest.raises(MemoryOptionError, match="it takes Memory objects such as"):
        MemoryMiddleware(slip, archive=InMemoryArchive())


def test_what_is_no_archive_is_refused(tmp_path):
    """A number is no archive, and a folder is not a file; both are told when the graph is made."""
    with pytest.raises(MemoryOptionError, match=r'archive=42 is neither .* archive="chat.db"'):
        graph(archive=42)
    with pytest.raises(ArchiveError, match="it is a folder: name a file in it"):
        graph(archive=tmp_path)


def test_a_name_in_place_of_a_config():
    """`run_turn` and `transcript` take a config; given a thread's name they say how one is written."""
    talk = graph(checkpointer=InMemorySaver())
    for slip in (
        lambda: run_turn(talk, "hi", "t1"),
        lambda: asyncio.run(arun_turn(talk, "hi", "t1")),
        lambda: transcript(talk, "t1"),
    ):
        with pytest.raises(ThreadError, match="'t1' is no config; write"):
            slip()


def test_a_config_in_place_of_a_name():
    """`forget` takes a thread's name."""
    with pytest.raises(ThreadError, match='thread="t1"'):
        forget(graph(checkpointer=InMemorySaver()), thread=CONFIG)


def test_a_name_in_place_of_a_context():
    """A user's id by itself is refused: else the turns would be archived as nobody's."""
    talk = graph(checkpointer=InMemorySaver())
    with pytest.raises(ThreadError, match=re.escape("""context={"user_id": 'alice'}""")):
        talk.invoke({"messages": "hi"}, CONFIG, context="alice")
    with pytest.raises(ThreadError, match=re.escape("""context={"user_id": '7'}""")):
        asyncio.run(talk.ainvoke({"messages": "hi"}, CONFIG, context=7))


def test_a_bare_number_as_a_trigger():
    """The text says all that is accepted, what only summaries take among it."""
    with pytest.raises(MemoryOptionError, match=r'"tokens", 8_000.*"cost", "auto"'):
        SummaryBufferMemory(trigger=2_000)
