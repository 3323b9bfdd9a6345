"""Asks a LangChain document compressor for the order of texts, sync and async."""

from __future__ import annotations

from collections.abc import Sequence

from langchain_core.documents import Document

from langchain_qwen_memory.memory.base import Rerank

__all__ = ["areranked", "reranked"]

_NUMBER = "number"
"""Where a document tells which of the texts it is."""


def reranked(need: Rerank) -> list[tuple[int, float]]:
    """Which texts the reranker left, in its order, with its scores: (number of the text, score)."""
    return _order(need.reranker.compress_documents(_documents(need), need.query))


async def areranked(need: Rerank) -> list[tuple[int, float]]:
    """Async twin of `reranked`."""
    return _order(await need.reranker.acompress_documents(_documents(need), need.query))


def _documents(need: Rerank) -> list[Document]:
    return [Document(page_content=text, metadata={_NUMBER: number}) for number, text in enumerate(need.texts)]


def _order(documents: Sequence[Document]) -> list[tuple[int, float]]:
    """Numbers and scores of documents; 1, 1/2, 1/3 ... where the reranker tells no score."""
    return [
        (int(document.metadata[_NUMBER]), float(document.metadata.get("relevance_score", 1 / rank)))
        for rank, document in enumerate(documents, 1)
    ]
