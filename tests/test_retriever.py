"""Archived turns as a LangChain retriever: the same recall for chains and tools that exist already."""

import logging
from datetime import UTC, datetime
from typing import Any

import pytest
from langchain_core.embeddings import DeterministicFakeEmbedding, Embeddings
from langchain_core.messages import AIMessage, HumanMessage
from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.retrievers import BaseRetriever
from langchain_tests.integration_tests.retrievers import RetrieversIntegrationTests
from pydantic import ValidationError

from langchain_qwen_memory import InMemoryArchive
from langchain_qwen_memory.archive import Turn, root_key, searchable_text, turn_key
from langchain_qwen_memory.retriever import ArchiveRetriever
from tests.memory.test_recall import ByLength
from tests.scripted import ScriptedChatModel

MAY_1 = datetime(2026, 5, 1, 12, tzinfo=UTC).timestamp()
PUMPS = ["the pump is red", "the pump is old", "the pump leaks", "my pump is loud", "I sold the pump", "hello"]


def filled(*, user="alice", thread="t1", said=PUMPS, archive=None, embeddings: Embeddings | None = None):
    archive = archive or InMemoryArchive(embeddings=embeddings)
    turns: list[Turn] = []
    for number, question in enumerate(said):
        messages, at = (HumanMessage(question), AIMessage("ok")), MAY_1 + number * 86_400
        parent = turns[-1].key if turns else root_key(user, thread)
        text = searchable_text(messages, at=at, zone=UTC)
        turns.append(Turn(key=turn_key(parent, messages), parent=parent, messages=messages, text=text, at=at, tokens=9))
    archive.append(user, thread, turns)
    return archive


class TestStandard(RetrieversIntegrationTests):
    """LangChain's own suite for retrievers."""

    @property
    def retriever_constructor(self) -> type[BaseRetriever]:
        return ArchiveRetriever

    @property
    def retriever_constructor_params(self) -> dict[str, Any]:
        return {"archive": filled(), "user_id": "alice"}

    @property
    def retriever_query_example(self) -> str:
        return "which pump?"


@pytest.mark.parametrize("embeddings", [None, DeterministicFakeEmbedding(size=8)], ids=["words", "words and vectors"])
async def test_a_document_is_a_turn(embeddings):
    """Quoted as in the view; its metadata say where and when it was said. Sync and async find the same."""
    retriever = ArchiveRetriever(archive=filled(embeddings=embeddings), user_id="alice", k=2, timezone="Asia/Shanghai")
    documents = retriever.invoke("What leaks?")
    assert documents == await retriever.ainvoke("What leaks?")
    assert documents[0].page_content == "[2026-05-03 Sun]\nUser: the pump leaks\nAssistant: ok"
    assert documents[0].metadata["thread"] == "t1"
    assert documents[0].metadata["date"] == "2026-05-03T20:00:00+08:00"
    assert documents[0].metadata["key"] == documents[0].id
    assert documents[0].metadata["score"] > 0


def test_whoever_asks_for_small_talk_gets_it():
    """In a chat it recalls nothing; a chain that asks for it means it. Nothing is found for nothing."""
    retriever = ArchiveRetriever(archive=filled(), user_id="alice", k=1)
    assert "hello" in retriever.invoke("hello")[0].page_content
    assert retriever.invoke("  ") == []


def test_days_of_a_question_come_first():
    """As in recall, by the clock and the time zone that were given."""
    retriever = ArchiveRetriever(
        archive=filled(), user_id="alice", k=1, timezone="UTC", clock=lambda: MAY_1 + 4 * 86_400
    )
    assert "loud" in retriever.invoke("Which pump was it yesterday?")[0].page_content


def test_only_ones_own_turns_are_found():
    """Another user's turns are out of reach, and so are other threads where one is named."""
    archive = filled(user="bob", thread="b1", said=["the pump is Bob's"])
    filled(archive=archive, thread="t1", said=["the pump is red"])
    filled(archive=archive, thread="t2", said=["the pump is blue"])
    everywhere = ArchiveRetriever(archive=archive, user_id="alice").invoke("pump")
    assert sorted(document.metadata["thread"] for document in everywhere) == ["t1", "t2"]
    assert not any("Bob" in document.page_content for document in everywhere)
    here = ArchiveRetriever(archive=archive, user_id="alice", thread_id="t2").invoke("pump")
    assert [document.metadata["thread"] for document in here] == ["t2"]


@pytest.mark.parametrize(
    "options", [{}, {"user_id": ""}, {"user_id": "alice", "k": 0}, {"user_id": "a", "timezone": "X"}]
)
def test_options_that_cannot_be(options):
    """Whose turns must be said; the rest as `RecallMemory` takes it."""
    with pytest.raises(ValidationError):
        ArchiveRetriever(archive=InMemoryArchive(), **options)


async def test_a_reranker_orders_the_documents():
    """Any document compressor, sync and async."""
    retriever = ArchiveRetriever(archive=filled(), user_id="alice", reranker=ByLength(top_n=1), timezone="UTC")
    found = [document.page_content.splitlines()[1] for document in retriever.invoke("which pump")]
    assert found[0] == "User: the pump leaks"
    assert [document.page_content.splitlines()[1] for document in await retriever.ainvoke("which pump")] == found


class Failing(DeterministicFakeEmbedding):
    def embed_query(self, text):
        raise TimeoutError


def test_a_search_by_words_alone_is_logged(caplog):
    """When the question cannot be embedded, what full text finds comes all the same."""
    retriever = ArchiveRetriever(archive=filled(embeddings=Failing(size=8)), user_id="alice")
    with caplog.at_level(logging.WARNING, "langchain_qwen_memory"):
        assert retriever.invoke("what leaks?")
    assert "recall: the embeddings failed: TimeoutError" in caplog.messages


def test_it_drops_into_a_chain():
    """A prompt with quoted turns, from the usual pieces."""
    retriever = ArchiveRetriever(archive=filled(), user_id="alice", k=1, timezone="UTC")
    prompt = ChatPromptTemplate.from_template("{records}\n\n{question}")
    model = ScriptedChatModel()
    chain = (
        {"records": retriever | (lambda found: found[0].page_content), "question": lambda asked: asked}
        | prompt
        | model
        | StrOutputParser()
    )
    chain.invoke("what leaks?")
    assert model.prompts[0][0].text == "[2026-05-03 Sun]\nUser: the pump leaks\nAssistant: ok\n\nwhat leaks?"
