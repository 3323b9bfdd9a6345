"""An archive that cannot be read for a while: the user is answered, and nothing is taken in twice."""

import asyncio

import pytest
from langchain.agents import create_agent
from langchain_core.messages import AIMessage, HumanMessage
from langgraph.checkpoint.memory import InMemorySaver

from langchain_qwen_memory import (
    InMemoryArchive,
    MemoryMiddleware,
    RecallMemory,
    WindowMemory,
    arun_turn,
    create_chat_graph,
    read_reports,
    run_turn,
    transcript,
)
from langchain_qwen_memory.errors import ArchiveError
from tests.scripted import ScriptedChatModel

CONFIG = {"configurable": {"thread_id": "t1"}}
UNREAD = "archive: ArchiveError on reading"


class Moody(InMemoryArchive):
    """Reads nothing while `blind`, writes nothing while `deaf`."""

    blind = deaf = False

    def known_messages(self, *what, **how):
        if self.blind:
            raise ArchiveError("the disk does not answer")
        return super().known_messages(*what, **how)

    def append(self, *what):
        if self.deaf:
            raise ArchiveError("the disk does not answer")
        return super().append(*what)


def made(archive, *, agent):
    memory = [WindowMemory(trigger=("turns", 2), keep=("turns", 1)), RecallMemory(k=1)]
    model = ScriptedChatModel(fallback=lambda messages: f"answer to {messages[-1].text.split()[-1]}")
    if agent:
        middleware = MemoryMiddleware(memory, archive=archive, archive_folded=True)
        return create_agent(model, [], middleware=[middleware], checkpointer=InMemorySaver())
    return create_chat_graph(model, memory=memory, archive=archive, checkpointer=InMemorySaver())


def asked(graph):
    return [turn.messages[0].text for turn in transcript(graph, CONFIG, limit=100)]


@pytest.mark.parametrize("agent", [False, True])
@pytest.mark.parametrize("colour", ["sync", "async"])
@pytest.mark.parametrize("deaf", [False, True], ids=["reads fail", "reads and writes fail"])
def test_each_question_is_answered_while_the_archive_is_down(agent, colour, deaf):
    """Turns stay in the state meanwhile, the report says why, and the first turn after it takes them all in."""
    archive = Moody()
    graph = made(archive, agent=agent)

    def ask(number):
        question = HumanMessage(f"question {number}", id=f"m{number}")
        if colour == "sync":
            return run_turn(graph, question, CONFIG)
        return asyncio.run(arun_turn(graph, question, CONFIG))

    for number in range(4):
        ask(number)
    archive.blind, archive.deaf = True, deaf
    for number in range(4, 7):
        assert isinstance(ask(number)["messages"][-1], AIMessage)
        assert read_reports(graph, CONFIG, limit=1)[-1]["errors"][0] == UNREAD
    assert archive.count("", "t1") == 4
    archive.blind = archive.deaf = False
    ask(7)
    assert read_reports(graph, CONFIG, limit=1)[-1]["errors"] == []
    assert asked(graph) == [f"question {number}" for number in range(8)]
    assert archive.count("", "t1") == 8


@pytest.mark.parametrize("agent", [False, True])
def test_a_history_sent_whole_again_is_not_archived_twice(agent):
    """A client that sends all it has with each question, while nobody can look up what is there."""
    archive = Moody()
    graph = made(archive, agent=agent)
    history = []
    for number in range(4):
        history.append(HumanMessage(f"question {number}", id=f"m{number}"))
        state = run_turn(graph, list(history), CONFIG)
        history.append(state["messages"][-1])
    archive.blind = True
    history.append(HumanMessage("question 4", id="m4"))
    history.append(run_turn(graph, list(history), CONFIG)["messages"][-1])
    assert archive.count("", "t1") == 4
    archive.blind = False
    history.append(HumanMessage("question 5", id="m5"))
    run_turn(graph, list(history), CONFIG)
    assert asked(graph) == [f"question {number}" for number in range(6)]
    assert archive.count("", "t1") == 6
