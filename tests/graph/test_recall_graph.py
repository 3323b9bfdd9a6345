"""Recall inside a chat graph: what the model saw, what the archive indexed, what the report says."""

from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from langchain_core.embeddings import DeterministicFakeEmbedding
from langgraph.checkpoint.memory import InMemorySaver

from langchain_qwen_memory import InMemoryArchive, RecallMemory, WindowMemory, create_chat_graph
from tests.memory.test_recall import Broken, ByLength
from tests.scripted import ScriptedChatModel

CONFIG: Any = {"configurable": {"thread_id": "t1"}}
ALICE: Any = {"user_id": "alice"}
SAID = ("my pump is red", "hello", "my pump is a KM-3000 and it is loud", "good night")


def chat(recall, archive=None):
    model = ScriptedChatModel(fallback=lambda _: "ok")
    graph = create_chat_graph(
        model,
        memory=[WindowMemory(trigger=("turns", 1)), recall],
        archive=archive or InMemoryArchive(),
        checkpointer=InMemorySaver(),
    )
    return model, graph


async def asked(graph, colour, question="which pump?", said=SAID):
    for text in (*said, question):
        message = {"messages": text}
        if colour == "sync":
            state = graph.invoke(message, CONFIG, context=ALICE)
        else:
            state = await graph.ainvoke(message, CONFIG, context=ALICE)
    return state["record"]["report"]


@pytest.mark.parametrize("colour", ["sync", "async"])
async def test_what_was_found_stands_beside_the_question(colour):
    """Oldest first, under one heading of the day, within the budget, and in the report."""
    model, graph = chat(RecallMemory(max_tokens=200))
    report = await asked(graph, colour)
    seen = model.prompts[-1][-1].text
    day = f"[{datetime.now().astimezone():%Y-%m-%d}"
    assert seen.count(day) == 1
    assert seen.index("User: my pump is red") < seen.index("User: my pump is a KM-3000")
    assert seen.endswith("\n\nwhich pump?")
    assert 0 < report["recalled_tokens"] <= 200
    assert report["errors"] == []


@pytest.mark.parametrize("colour", ["sync", "async"])
async def test_a_reranker_is_asked_in_both_colours(colour):
    """Through the nodes; what it leaves is what the model sees."""
    model, graph = chat(RecallMemory(reranker=ByLength(top_n=1)))
    report = await asked(graph, colour)
    assert "my pump is red" in model.prompts[-1][-1].text
    assert "KM-3000" not in model.prompts[-1][-1].text
    assert report["errors"] == []


@pytest.mark.parametrize("colour", ["sync", "async"])
async def test_a_broken_reranker_costs_the_order_only(colour):
    """The user is answered with what was found, and the report says what failed."""
    model, graph = chat(RecallMemory(reranker=Broken()))
    report = await asked(graph, colour)
    assert "KM-3000" in model.prompts[-1][-1].text
    assert report["errors"] == ["recall: ConnectionError"]


class Down(DeterministicFakeEmbedding):
    """Embeddings that answer for turns and not for questions."""

    def embed_query(self, text):
        raise TimeoutError


@pytest.mark.parametrize("colour", ["sync", "async"])
async def test_embeddings_that_fail_are_told_once_a_turn(colour):
    """Full text still finds; an archive without embeddings is no failure and says nothing."""
    model, graph = chat(RecallMemory(), InMemoryArchive(embeddings=Down(size=4)))
    report = await asked(graph, colour)
    assert "KM-3000" in model.prompts[-1][-1].text
    assert report["errors"] == ["recall: the embeddings failed: TimeoutError"]


def test_a_turn_is_indexed_with_its_day_in_the_time_zone_of_recall():
    """So that it is found by its date, and by what "yesterday" meant in it."""
    zone = ZoneInfo("Pacific/Kiritimati")  # 14 hours ahead: often another day than here
    archive = InMemoryArchive()
    _, graph = chat(RecallMemory(timezone="Pacific/Kiritimati"), archive)
    graph.invoke({"messages": "I saw her yesterday"}, CONFIG, context=ALICE)
    (turn,) = archive.page("alice", "t1")
    now = datetime.fromtimestamp(turn.at, zone)
    assert turn.text.splitlines()[0].startswith(f"{now:%Y-%m-%d %A}")
    assert turn.text.splitlines()[1] == "I saw her yesterday"
    assert len(turn.text.splitlines()) == 4


async def test_the_state_holds_what_was_shown_as_plain_json():
    """Records in the selection are strings and numbers; no message of theirs reaches the user's stream."""
    _, graph = chat(RecallMemory())
    for text in SAID:
        await graph.ainvoke({"messages": text}, CONFIG, context=ALICE)
    streamed = [
        chunk.text
        async for chunk, _ in graph.astream({"messages": "which pump?"}, CONFIG, context=ALICE, stream_mode="messages")
    ]
    assert not any("KM-3000" in text for text in streamed[:-1])
