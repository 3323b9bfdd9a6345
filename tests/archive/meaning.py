"""Embeddings small enough to reason about: a text is the sum of its words, and words of one meaning are one word."""

import asyncio
import zlib

from langchain_core.embeddings import Embeddings

from langchain_qwen_memory.archive.finding.fulltext import count_words

SAME = {"puppi": "dog", "hound": "dog", "狗": "dog", "car": "automobil", "vehicl": "automobil", "车": "automobil"}
"""Stems that mean the same."""


class Meaning(Embeddings):
    """Counts what it is asked, and fails when it is told to."""

    def __init__(self, model: str = "meaning-1", dimension: int = 64) -> None:
        self.model = model
        self.dimension = dimension
        self.documents: list[str] = []
        self.questions: list[str] = []
        self.calls: list[str] = []
        self.down = False
        self.refused: tuple[str, ...] = ()

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        self.calls.append("embed_documents")
        return self._documents(texts)

    def embed_query(self, text: str) -> list[float]:
        self.calls.append("embed_query")
        return self._query(text)

    async def aembed_documents(self, texts: list[str]) -> list[list[float]]:
        self.calls.append("aembed_documents")
        await asyncio.sleep(0)
        return self._documents(texts)

    async def aembed_query(self, text: str) -> list[float]:
        self.calls.append("aembed_query")
        await asyncio.sleep(0)
        return self._query(text)

    def _documents(self, texts: list[str]) -> list[list[float]]:
        self._fail(texts)
        self.documents += texts
        return [self.vector(text) for text in texts]

    def _query(self, text: str) -> list[float]:
        self._fail([text])
        self.questions.append(text)
        return self.vector(text)

    def _fail(self, texts: list[str]) -> None:
        if self.down:
            raise ConnectionError("the service at https://example.com is down; your key sk-secret was not sent")
        if any(word in text for word in self.refused for text in texts):
            raise ValueError("inappropriate content for sk-secret")
        if not all(text.strip() for text in texts):
            raise ValueError("a text without any word")

    def vector(self, text: str) -> list[float]:
        vector = [0.0] * self.dimension
        vector[0] = 0.5  # all texts have something in common
        for word, count in count_words(text).items():
            vector[1 + zlib.crc32(SAME.get(word, word).encode()) % (self.dimension - 1)] += count
        return vector
