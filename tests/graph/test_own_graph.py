"""The nodes in a graph of one's own, and a memory of one's own."""

from dataclasses import dataclass, replace
from itertools import pairwise
from typing import ClassVar

import pytest
from langchain_core.messages import AIMessage, HumanMessage
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import END, START, StateGraph
from langgraph.types import Command, interrupt

from langchain_qwen_memory import (
    Ask,
    InMemoryArchive,
    Memory,
    MemoryOptionError,
    MemoryState,
    RecallMemory,
    Search,
    WindowMemory,
    create_chat_graph,
    model_node,
    read_reports,
    recall_node,
    remember_node,
    transcript,
)
from langchain_qwen_memory.memory.recall import quotation
from tests.scripted import ScriptedChatModel

CONFIG = {"configurable": {"thread_id": "t1"}}


class Mood(MemoryState):
    """The app's own key beside memory's."""

    mood: str


def by_hand(model, **parts):
    graph = StateGraph(Mood)
    graph.add_node("mood", lambda state: {"mood": "curious" if "?" in state["messages"][-1].text else "calm"})
    graph.add_node("recall", recall_node(model, **parts))
    graph.add_node("talk", model_node(model, **parts))
    graph.add_node("remember", remember_node(model, **parts))
    for edge in [(START, "mood"), ("mood", "recall"), ("recall", "talk"), ("talk", "remember"), ("remember", END)]:
        graph.add_edge(*edge)
    return graph.compile(checkpointer=InMemorySaver())


def test_the_nodes_work_in_a_graph_wired_by_hand():
    """Three nodes and a state mixin give any graph the same memory."""
    model, archive = ScriptedChatModel(), InMemoryArchive()
    graph = by_hand(model, memory=WindowMemory(trigger=("turns", 2)), archive=archive, system_prompt="Be kind.")
    for text in ["a", "b", "c", "d?"]:
        state = graph.invoke({"messages": text}, CONFIG)
    assert state["mood"] == "curious"
    assert [message.text for message in model.prompts[-1]] == ["Be kind.", "c", "answer to c", "d?"]
    assert [turn.messages[0].text for turn in transcript(graph, CONFIG)] == ["a", "b", "c", "d?"]
    assert [report["turn"] for report in read_reports(graph, CONFIG)] == [0, 1, 2, 3]


@pytest.mark.parametrize("nodes", [("recall", "talk"), ("talk",)], ids=["recall node", "model node alone"])
def test_a_run_may_hold_several_turns(nodes):
    """A graph that plays the user too, in one run: each of its questions has a window and records of its own."""
    questions = ["I am allergic to peanuts.", *(f"chat {n}" for n in range(8)), "Is a peanut sauce fine?", "bye"]
    model = ScriptedChatModel()
    parts = {"memory": [WindowMemory(trigger=("turns", 4)), RecallMemory()], "archive": InMemoryArchive()}
    said = iter(questions[1:])
    graph = StateGraph(MemoryState)
    graph.add_node("recall", recall_node(model, **parts))
    graph.add_node("talk", model_node(model, **parts))
    graph.add_node("remember", remember_node(model, **parts))
    graph.add_node("user", lambda _: {"messages": [HumanMessage(text) for text in [next(said, None)] if text]})
    for edge in [(START, nodes[0]), *pairwise(nodes), ("talk", "remember"), ("remember", "user")]:
        graph.add_edge(*edge)
    graph.add_conditional_edges(
        "user", lambda state: nodes[0] if state["messages"][-1].type == "human" else END, [nodes[0], END]
    )
    played = graph.compile(checkpointer=InMemorySaver())
    played.invoke({"messages": questions[0]}, {**CONFIG, "recursion_limit": 100})
    assert "User: I am allergic to peanuts." in model.prompts[9][-1].text
    assert model.prompts[10][-1].text == "bye"
    assert max(map(len, model.prompts)) == 7
    assert [turn.messages[0].text for turn in transcript(played, CONFIG)] == questions
    reports = read_reports(played, CONFIG)
    assert [report["turn"] for report in reports] == [*range(11)]
    assert not any(report["errors"] for report in reports)
    assert [report["kept"] for report in reports] == [len(prompt) // 2 + 1 for prompt in model.prompts]


async def test_the_nodes_work_in_async_graphs():
    """The same nodes, awaited."""
    model = ScriptedChatModel()
    graph = by_hand(model, memory=WindowMemory())
    await graph.ainvoke({"messages": "a"}, CONFIG)
    await graph.ainvoke({"messages": "b"}, CONFIG)
    assert [message.text for message in model.prompts[-1]] == ["a", "answer to a", "b"]


def test_a_graph_without_our_nodes_is_told_so():
    """Helpers that need the wiring say where it comes from."""
    graph = StateGraph(MemoryState)
    graph.add_node("model", lambda _: {"messages": AIMessage("hi")})
    graph.add_edge(START, "model")
    with pytest.raises(MemoryOptionError, match="create_chat_graph"):
        transcript(graph.compile(checkpointer=InMemorySaver()), CONFIG)


@dataclass(frozen=True, kw_only=True)
class Keywords(Memory):
    """A dozen lines: asks the model for keywords and searches with them."""

    name: ClassVar[str] = "keywords"
    needs_archive: ClassVar[bool] = True

    def select(self, conversation, selection):
        if conversation.phase == "after":
            return selection.keeping(self.name, turns=len(conversation.turns))
        answer = yield Ask(messages=[HumanMessage(f"keywords of: {conversation.question.text}")], max_tokens=20)
        shown = [turn.key for turn in conversation.kept(selection.start)]
        hits = yield Search(query=answer.text, limit=1, exclude=shown)
        return replace(selection, recalled=tuple(hits)).counting(asked=1)


@pytest.mark.parametrize("colour", ["sync", "async"])
async def test_a_memory_of_ones_own(colour):
    """One method that yields needs serves sync and async graphs; generators that return early may be plain."""
    model = ScriptedChatModel(fallback=lambda m: "peanuts" if "keywords of" in m[-1].text else "ok")
    graph = create_chat_graph(
        model,
        memory=[WindowMemory(trigger=("turns", 1)), Keywords()],
        archive=InMemoryArchive(),
        checkpointer=InMemorySaver(),
    )
    for text in ["I cannot eat peanuts", "hello", "what should I avoid?"]:
        if colour == "sync":
            state = graph.invoke({"messages": text}, CONFIG)
        else:
            state = await graph.ainvoke({"messages": text}, CONFIG)
    assert "I cannot eat peanuts" in model.prompts[-1][-1].text
    assert quotation(transcript_turn(graph)).splitlines()[1] == "User: I cannot eat peanuts"
    assert state["record"]["report"]["recalled"][0]["position"] == 0


def transcript_turn(graph):
    from langchain_qwen_memory.nodes import wiring_of

    archive = wiring_of(graph).archive
    return archive.page("", "t1")[0]


@dataclass(frozen=True, kw_only=True)
class Asking(Memory):
    """A memory that asks a person."""

    name: ClassVar[str] = "asking"

    def select(self, conversation, selection):
        if conversation.phase == "before" and not conversation.slot(self.name):
            return selection.keeping(self.name, told=interrupt("may I remember this?"))
        return selection


def test_a_memory_may_interrupt_the_run():
    """LangGraph's own way to stop is no failure of the memory."""
    graph = create_chat_graph(ScriptedChatModel(), memory=[Asking(), WindowMemory()], checkpointer=InMemorySaver())
    assert graph.invoke({"messages": "hi"}, CONFIG)["__interrupt__"][0].value == "may I remember this?"
    state = graph.invoke(Command(resume="yes"), CONFIG)
    assert state["record"]["slots"]["asking"] == {"told": "yes"}
    assert state["record"]["report"]["errors"] == []


@dataclass(frozen=True, kw_only=True)
class Broken(Memory):
    """A memory that raises."""

    name: ClassVar[str] = "broken"

    def select(self, conversation, selection):
        raise KeyError("oops")


class Forgetful(Memory):
    """A memory whose author left out the `return`."""

    name: ClassVar[str] = "forgetful"

    def select(self, conversation, selection):
        replace(selection, summary="notes")


def test_a_memory_that_gives_nothing_back_is_passed_over(caplog):
    """The user is answered by the memories beside it, and the log says what to write."""
    graph = create_chat_graph(ScriptedChatModel(), memory=[WindowMemory(), Forgetful()])
    state = graph.invoke({"messages": "hi"}, CONFIG)
    assert state["messages"][-1].text == "answer to hi"
    assert "forgetful: TypeError" in state["record"]["report"]["errors"]
    assert "return selection" in caplog.text


def test_a_memory_that_fails_is_passed_over():
    """The user is answered; the report names the memory and the error."""
    graph = create_chat_graph(ScriptedChatModel(), memory=[Broken(), WindowMemory()])
    state = graph.invoke({"messages": "hi"})
    assert state["messages"][-1].text == "answer to hi"
    assert state["record"]["report"]["errors"] == ["broken: KeyError", "broken: KeyError"]


def test_ten_tool_calls_in_one_turn():
    """A turn with many calls stays whole, in the prompts and in the transcript."""

    def look_up(key: str) -> str:
        """Look up."""
        return f"value of {key}"

    calls = [{"name": "look_up", "args": {"key": f"k{n}"}, "id": f"c{n}"} for n in range(10)]
    one_by_one = [AIMessage("", tool_calls=[call]) for call in calls[:5]]
    model = ScriptedChatModel(script=[*one_by_one, AIMessage("", tool_calls=calls[5:]), "done"])
    graph = create_chat_graph(
        model,
        tools=[look_up],
        memory=WindowMemory(trigger=("turns", 1)),
        archive=InMemoryArchive(),
        checkpointer=InMemorySaver(),
    )
    graph.invoke({"messages": "go"}, CONFIG)
    graph.invoke({"messages": "and now?"}, CONFIG)
    first, second = transcript(graph, CONFIG)
    assert [message.type for message in first.messages].count("tool") == 10
    assert len(model.prompts) == 8
    assert second.messages[-1].text == "answer to and now?"
