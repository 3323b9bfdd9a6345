"""Archived turns as a LangChain retriever: the same recall, for chains and tools that exist already."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from datetime import datetime
from functools import lru_cache, partial
from typing import Any, Self

from langchain_core.callbacks import AsyncCallbackManagerForRetrieverRun, CallbackManagerForRetrieverRun
from langchain_core.documents import Document
from langchain_core.messages import HumanMessage
from langchain_core.retrievers import BaseRetriever
from pydantic import ConfigDict, Field, model_validator
from typing_extensions import override

from langchain_qwen_memory.archive.base import Archive
from langchain_qwen_memory.errors import MemoryOptionError
from langchain_qwen_memory.memory.base import (
    Conversation,
    Flow,
    Limits,
    Need,
    Rerank,
    Search,
    Selection,
    adrive,
    drive,
)
from langchain_qwen_memory.memory.placing import shown
from langchain_qwen_memory.memory.recall import RecallMemory
from langchain_qwen_memory.memory.turns import Counter, live_turns
from langchain_qwen_memory.steps.reranking import areranked, reranked
from langchain_qwen_memory.tokens import count_message

__all__ = ["ArchiveRetriever"]

logger = logging.getLogger("langchain_qwen_memory")


class ArchiveRetriever(BaseRetriever):
    """Finds one user's archived turns: a `BaseRetriever` over any archive, sync and async.

    It finds what `RecallMemory` would place in the view, best first: by words and, where the archive has
    embeddings, by meaning, days that the question names first, long replies cut to what matters.

    Use:
        ```python
        from langchain_qwen_memory import SqliteArchive
        from langchain_qwen_memory.retriever import ArchiveRetriever

        retriever = ArchiveRetriever(archive=SqliteArchive("chat.db"), user_id="alice", k=4)
        for document in retriever.invoke("What am I allergic to?"):
            print(document.page_content, document.metadata["date"])
        ```

    A document's `page_content` is the turn as it is quoted: its day, then who said what. Its `metadata` are `key`,
    `thread`, `date` (ISO, with time zone) and `score`, comparable within one question only. What is quoted was said
    by people and models: it is no instruction.

    Raises:
        MemoryOptionError: `user_id` is empty and no `thread_id` given, or an option is none of `RecallMemory`'s.
    """

    model_config = ConfigDict(arbitrary_types_allowed=True)

    archive: Archive
    """Where the turns are."""
    user_id: str = ""
    """Whose turns: never another's. Empty for an application without users, which then names a thread."""
    thread_id: str | None = None
    """One thread; None for all threads of the user."""
    k: int | None = Field(default=None, ge=1)
    """How many turns at most; None: as many as fit into `max_tokens`."""
    max_tokens: int = Field(default=1_000, ge=1)
    """How many tokens they may take together, side by side, as Qwen's tokenizer counts them."""
    timezone: str | None = None
    """Whose days, as "Asia/Shanghai"; None: the machine's local time."""
    reranker: Any = None
    """A LangChain document compressor, such as `QwenReranker()`; None: none."""
    model: str = "qwen-plus"
    """Whose tokenizer counts."""
    clock: Callable[[], float] = Field(default=time.time, exclude=True, repr=False)
    """When the question is asked, in unix seconds."""

    @model_validator(mode="after")
    def _has_owner(self) -> Self:
        if not self.user_id and self.thread_id is None:
            raise MemoryOptionError('Whose turns? Write ArchiveRetriever(archive=..., user_id="alice").')
        self._memory(self.k)
        return self

    @override
    def _get_relevant_documents(
        self, query: str, *, run_manager: CallbackManagerForRetrieverRun, k: int | None = None
    ) -> list[Document]:
        return self._documents(drive(self._flow(query, k), self._meet))

    @override
    async def _aget_relevant_documents(
        self, query: str, *, run_manager: AsyncCallbackManagerForRetrieverRun, k: int | None = None
    ) -> list[Document]:
        return self._documents(await adrive(self._flow(query, k), self._ameet))

    def _flow(self, query: str, k: int | None) -> Flow:
        count = _counter(self.model)
        question = HumanMessage(query)
        turns = live_turns([question], parent="", position=0, count=count)
        limits = Limits(input=self.max_tokens, overhead=0)
        asked = Conversation(turns=turns, record={}, phase="before", limits=limits, count=count)
        return self._memory(k or self.k).find(asked, question, Selection())

    def _memory(self, k: int | None) -> RecallMemory:
        return RecallMemory(
            k=k,
            max_tokens=self.max_tokens,
            scope="user" if self.thread_id is None else "thread",
            timezone=self.timezone,
            reranker=self.reranker,
            clock=self.clock,
        )

    def _meet(self, need: Need) -> Any:
        if isinstance(need, Rerank):
            return reranked(need)
        assert isinstance(need, Search)
        return self.archive.search(need.query, **self._search(need))

    async def _ameet(self, need: Need) -> Any:
        if isinstance(need, Rerank):
            return await areranked(need)
        assert isinstance(need, Search)
        return await self.archive.asearch(need.query, **self._search(need))

    def _search(self, need: Search) -> dict[str, Any]:
        return {
            "user": self.user_id,
            "thread": self.thread_id,
            "limit": need.limit,
            "periods": need.periods,
            "neighbours": need.neighbours,
        }

    def _documents(self, selection: Selection) -> list[Document]:
        for error in selection.errors:
            logger.warning("%s", error)
        zone = self._memory(self.k).zone
        return [
            Document(
                id=one.turn.key,
                page_content=shown(one),
                metadata={
                    "key": one.turn.key,
                    "thread": one.turn.thread,
                    "date": datetime.fromtimestamp(one.turn.at, zone).astimezone(zone).isoformat(timespec="seconds"),
                    "score": round(one.score, 4),
                },
            )
            for one in selection.recalled
        ]


@lru_cache(maxsize=16)
def _counter(model: str) -> Counter:
    """One counter for a model, so that what was counted for it is found again."""
    return partial(count_message, model=model)
