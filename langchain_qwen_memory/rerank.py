"""QwenReranker: sorts documents by how well they answer a question, as LangChain's document compressor."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from langchain_core.callbacks import Callbacks
from langchain_core.documents import Document
from langchain_core.documents.compressor import BaseDocumentCompressor
from pydantic import Field

from langchain_qwen_memory.counting.vocabulary import Vocabulary, count
from langchain_qwen_memory.qwen.pieces import cut, sendable
from langchain_qwen_memory.qwen.service import QwenService, UnusableAnswerError, gathered
from langchain_qwen_memory.qwen.vector_limits import RerankLimits, rerank_limits

__all__ = ["QwenReranker", "Reranked"]

_PATH = "/services/rerank/text-rerank/text-rerank"

_VOCABULARY: Vocabulary = "qwen-151k"

AROUND_PAIR = 16
"""Tokens counted for what the service puts around a question and a document; on recorded requests about 6."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Reranked:
    """The order of some documents, and what it cost."""

    scores: list[tuple[int, float]]
    """Position of each document in what was given, and its relevance from 0 to 1; best first."""
    tokens: int
    """Tokens that the service counted, over all requests."""
    requests: int
    """Requests that it took, retries aside."""


class QwenReranker(QwenService, BaseDocumentCompressor):
    """Rerank models of Alibaba's Model Studio (百炼, DashScope).

    Any number of documents of any length can be given. What does not fit into one request goes out in several, whose
    answers are merged by score; question and documents over the model's limit are cut at its length, as the service
    itself would do. Its documentation calls scores relative within one request; in recorded traffic the same pair of
    question and document has the same score in every request, to the last digit, so merging by score is sound.
    Documents without any word are not sent: they come last, with score 0.

    Setup:
        ```bash
        pip install -U langchain-qwen-memory
        export DASHSCOPE_API_KEY="sk-..."
        ```

    Use:
        ```python
        from langchain_qwen_memory.rerank import QwenReranker

        reranker = QwenReranker(model="qwen3-rerank", top_n=3)
        best = reranker.compress_documents(documents, "他不能吃什么？")
        best[0].metadata["relevance_score"]
        reranker.rerank(["花生", "大米"], "他对什么过敏？").tokens
        ```

    Errors:
        As ChatQwen's, `langchain_qwen_memory.qwen.model_errors`.
    """

    model: str = "qwen3-rerank"
    """Name of the model."""

    top_n: int | None = Field(default=None, ge=1)
    """How many documents are returned; None: all, sorted."""

    instruct: str | None = None
    """What counts as relevant, best in English; None: that the document answers the question. For texts of like
    meaning: "Retrieve semantically similar text."."""

    max_request_tokens: int | None = Field(default=None, ge=1_000)
    """Tokens of one request, those of the question once for each document; None: the model's limit."""

    def compress_documents(
        self,
        documents: Sequence[Document],
        query: str,
        callbacks: Callbacks | None = None,  # noqa: ARG002
    ) -> list[Document]:
        """Returns the best documents, best first, as copies with `relevance_score` in their metadata.

        Raises:
            ValueError: If the question is blank.
        """
        return _scored(documents, self.rerank([document.page_content for document in documents], query))

    async def acompress_documents(
        self,
        documents: Sequence[Document],
        query: str,
        callbacks: Callbacks | None = None,  # noqa: ARG002
    ) -> list[Document]:
        """Returns the best documents, best first, as `compress_documents`."""
        return _scored(documents, await self.arerank([document.page_content for document in documents], query))

    def rerank(self, texts: Sequence[str], query: str) -> Reranked:
        """Returns the order of texts together with what it cost; safe between threads.

        Args:
            texts: Any number of texts; none is no request.
            query: The question.

        Raises:
            ValueError: If the question is blank.
        """
        return self._merged(texts, [self._post(**request) for request in self._requests(texts, query)])

    async def arerank(self, texts: Sequence[str], query: str) -> Reranked:
        """Returns the order of texts together with what it cost, as `rerank`."""
        jobs = [partial(self._apost, **request) for request in self._requests(texts, query)]
        return self._merged(texts, await gathered(jobs, most=self.max_concurrency))

    # --- requests ---

    @property
    def _limits(self) -> RerankLimits:
        return rerank_limits(self.model)

    def _requests(self, texts: Sequence[str], query: str) -> list[dict[str, Any]]:
        if isinstance(texts, str):
            raise ValueError(f"texts={texts[:40]!r} is one string; give a list: [{texts[:40]!r}]")  # noqa: TRY004
        if not query.strip():
            raise ValueError(f"query={query!r} asks nothing; give the question that documents are sorted by.")
        asked = cut(sendable(query), self._limits.tokens, _VOCABULARY)
        url = self._native(_PATH)
        requests = []
        for group in self._groups(texts, asked):
            wanted = min(self.top_n or len(group), len(group))
            parameters = {"top_n": wanted if self.top_n else None, "instruct": self.instruct}
            body = {
                "model": self.model,
                "input": {"query": asked, "documents": [text for _, text in group]},
                "parameters": {name: value for name, value in parameters.items() if value is not None},
            }
            read = partial(_read, places=[place for place, _ in group], wanted=wanted)
            requests.append({"url": url, "body": body, "holds": "output", "read": read})
        return requests

    def _groups(self, texts: Sequence[str], query: str) -> list[list[tuple[int, str]]]:
        """The documents that have words, cut, with their places, in as few requests as their order allows."""
        limits = self._limits
        room = self.max_request_tokens or limits.request
        every = count(query, _VOCABULARY) + count(self.instruct or "", _VOCABULARY) + AROUND_PAIR
        groups: list[list[tuple[int, str]]] = []
        left = 0
        for place, text in enumerate(texts):
            if not text.strip():
                continue
            most = min(limits.tokens, max(room - every, AROUND_PAIR))
            document = cut(sendable(text), most, _VOCABULARY)
            tokens = every + count(document, _VOCABULARY)
            if not groups or tokens > left or len(groups[-1]) == limits.documents:
                groups.append([])
                left = room
            groups[-1].append((place, document))
            left -= tokens
        return groups

    def _merged(self, texts: Sequence[str], parts: Sequence[Reranked]) -> Reranked:
        found = [score for part in parts for score in part.scores]
        blank = [(place, 0.0) for place, text in enumerate(texts) if not text.strip()]
        ordered = sorted([*found, *blank], key=lambda one: (-one[1], not texts[one[0]].strip(), one[0]))
        tokens = sum(part.tokens for part in parts)
        return Reranked(scores=ordered[: self.top_n], tokens=tokens, requests=len(parts))


def _read(body: dict[str, Any], *, places: list[int], wanted: int) -> Reranked:
    results = body["output"]["results"]
    found = {result["index"]: float(result["relevance_score"]) for result in results}
    if len(found) != wanted or not found.keys() <= set(range(len(places))):
        raise UnusableAnswerError(f"scores of the documents {sorted(found)}, where {wanted} of {len(places)} were due.")
    tokens = (body.get("usage") or {}).get("total_tokens") or 0
    return Reranked(scores=[(places[at], score) for at, score in found.items()], tokens=tokens, requests=1)


def _scored(documents: Sequence[Document], reranked: Reranked) -> list[Document]:
    return [
        documents[place].model_copy(update={"metadata": {**documents[place].metadata, "relevance_score": score}})
        for place, score in reranked.scores
    ]
