"""Recall by meaning in a graph: vectors come with the turn, or later, and the report says which."""

import pytest
from langchain.agents import create_agent
from langgraph.checkpoint.memory import InMemorySaver

from langchain_qwen_memory import (
    InMemoryArchive,
    MemoryMiddleware,
    RecallMemory,
    SqliteArchive,
    WindowMemory,
    arun_turn,
    create_chat_graph,
    read_reports,
    run_turn,
)
from tests.archive.meaning import Meaning
from tests.scripted import ScriptedChatModel

CONFIG = {"configurable": {"thread_id": "t1"}}
MEMORY = [WindowMemory(trigger=("turns", 2), keep=("turns", 1)), RecallMemory(k=1)]
TALK = ("my dog is called Rex", "one", "two", "three", "what about the puppy?")


def archive_at(kind, folder, embeddings):
    return (
        SqliteArchive(folder / "a.db", embeddings=embeddings)
        if kind == "sqlite"
        else InMemoryArchive(embeddings=embeddings)
    )


@pytest.mark.parametrize("kind", ["sqlite", "memory"])
@pytest.mark.parametrize("agent", [False, True])
def test_a_turn_is_found_by_what_it_means(kind, agent, tmp_path):
    """The question shares no word with the turn that answers it."""
    model, embeddings = ScriptedChatModel(fallback=lambda _: "ok"), Meaning()
    with archive_at(kind, tmp_path, embeddings) as archive:
        if agent:
            memory = MemoryMiddleware(MEMORY, archive=archive)
            graph = create_agent(model, [], middleware=[memory], checkpointer=InMemorySaver())
        else:
            graph = create_chat_graph(model, memory=MEMORY, archive=archive, checkpointer=InMemorySaver())
        for text in TALK:
            run_turn(graph, text, CONFIG)
        assert "Rex" in str(model.prompts[-1][-1].content)
        assert archive.missing_vectors() == 0


@pytest.mark.parametrize("agent", [False, True])
def test_a_failed_embedding_call_is_told_and_made_up_for(agent, tmp_path):
    """The turn is archived and found by its words; the report says what is missing; the vector comes later, once."""
    model, embeddings = ScriptedChatModel(fallback=lambda _: "ok"), Meaning()
    with archive_at("sqlite", tmp_path, embeddings) as archive:
        memory = [WindowMemory()]
        graph = (
            create_agent(
                model, [], middleware=[MemoryMiddleware(memory, archive=archive)], checkpointer=InMemorySaver()
            )
            if agent
            else create_chat_graph(model, memory=memory, archive=archive, checkpointer=InMemorySaver())
        )
        embeddings.down = True
        run_turn(graph, "my dog is called Rex", CONFIG)
        assert (archive.count("", "t1"), archive.missing_vectors()) == (1, 1)
        errors = read_reports(graph, CONFIG)[-1]["errors"]
        assert len(errors) == 1
        assert errors[0].startswith("embeddings: ")
        assert "sk-secret" not in errors[0]
        embeddings.down = False
        run_turn(graph, "good", CONFIG)
        assert archive.missing_vectors() == 0
        assert read_reports(graph, CONFIG)[-1]["errors"] == []
        assert sum("Rex" in text for text in embeddings.documents) == 1


async def test_async_graphs_embed_without_blocking(tmp_path):
    """An async run awaits the embeddings' own async methods."""
    model, embeddings = ScriptedChatModel(fallback=lambda _: "ok"), Meaning()
    async with archive_at("sqlite", tmp_path, embeddings) as archive:
        graph = create_chat_graph(model, memory=MEMORY, archive=archive, checkpointer=InMemorySaver())
        for text in TALK:
            await arun_turn(graph, text, CONFIG)
    assert set(embeddings.calls) == {"aembed_documents", "aembed_query"}
    assert "Rex" in str(model.prompts[-1][-1].content)


def test_a_question_that_cannot_be_embedded_is_searched_by_its_words(tmp_path):
    """And the report says so."""
    model, embeddings = ScriptedChatModel(fallback=lambda _: "ok"), Meaning()
    with archive_at("sqlite", tmp_path, embeddings) as archive:
        graph = create_chat_graph(model, memory=MEMORY, archive=archive, checkpointer=InMemorySaver())
        for text in TALK[:-1]:
            run_turn(graph, text, CONFIG)
        embeddings.down = True
        run_turn(graph, "what is my dog called?", CONFIG)
        assert "Rex" in str(model.prompts[-1][-1].content)
        assert any("embed" in error.lower() or "recall" in error for error in read_reports(graph, CONFIG)[-1]["errors"])


@pytest.mark.parametrize(("embeddings", "said"), [(None, "words"), (Meaning(), "words and meaning")])
def test_the_report_says_how_recall_finds(embeddings, said):
    """By words alone where the archive has no embeddings; nothing where nothing is recalled."""
    model = ScriptedChatModel()
    for memory, expected in ((RecallMemory(), said), (WindowMemory(), None)):
        archive = InMemoryArchive(embeddings=embeddings)
        graph = create_chat_graph(model, memory=memory, archive=archive, checkpointer=InMemorySaver())
        assert run_turn(graph, "hi", CONFIG)["record"]["report"].get("found_by") == expected


def test_an_archive_is_a_retriever_too():
    """For chains that exist: the turns of one user, by words and meaning."""
    archive = InMemoryArchive(embeddings=Meaning())
    graph = create_chat_graph(ScriptedChatModel(), archive=archive, checkpointer=InMemorySaver())
    run_turn(graph, "my dog is called Rex", CONFIG, context={"user_id": "alice"})
    found = archive.as_retriever(user_id="alice", k=1).invoke("what about the puppy?")
    assert "Rex" in found[0].page_content
    assert archive.as_retriever(user_id="bob").invoke("what about the puppy?") == []
