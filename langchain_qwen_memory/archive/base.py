"""What every archive of finished turns promises: add once, read in pages, search one user's turns, forget."""

import asyncio
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from langchain_qwen_memory.archive.calls import ArchiveCalls
from langchain_qwen_memory.archive.keys import root_key, searchable_text, turn_key
from langchain_qwen_memory.archive.turn import (
    Appended,
    ArchivedThread,
    Found,
    Hit,
    Turn,
    check_ids,
    check_limit,
    check_periods,
    orphan,
)

if TYPE_CHECKING:
    from langchain_qwen_memory.retriever import ArchiveRetriever

__all__ = [
    "Appended",
    "Archive",
    "ArchivedThread",
    "Found",
    "Hit",
    "Turn",
    "check_ids",
    "check_limit",
    "check_periods",
    "orphan",
    "root_key",
    "searchable_text",
    "turn_key",
]


class Archive(ArchiveCalls):
    """An append-only store of turns, kept apart by user and thread; what its calls promise is told at `ArchiveCalls`.

    Each call has an async twin (`aappend`, `asearch` ...) that by default runs it in a thread.
    """

    @property
    def embeds(self) -> bool:
        """Whether turns are found by meaning too; else by their words alone."""
        return False

    def as_retriever(self, **options: Any) -> "ArchiveRetriever":
        """This archive as a LangChain retriever, for chains and tools that exist: the same recall.

        Args:
            options: Fields of `ArchiveRetriever`: `user_id`, `thread_id`, `k`, `max_tokens`, `timezone` ...
        """
        from langchain_qwen_memory.retriever import ArchiveRetriever

        return ArchiveRetriever(archive=self, **options)

    async def aappend(self, user: str, thread: str, turns: Sequence[Turn]) -> Appended:
        """Async twin of `append`."""
        return await asyncio.to_thread(self.append, user, thread, turns)

    async def aget(self, user: str, thread: str, keys: Sequence[str]) -> list[Turn]:
        """Async twin of `get`."""
        return await asyncio.to_thread(self.get, user, thread, keys)

    async def aknown_messages(self, user: str, thread: str, ids: Collection[str], *, head: str) -> set[str]:
        """Async twin of `known_messages`."""
        return await asyncio.to_thread(self.known_messages, user, thread, ids, head=head)

    async def apage(
        self, user: str, thread: str, *, head: str | None = None, before: int | None = None, limit: int = 50
    ) -> list[Turn]:
        """Async twin of `page`."""
        return await asyncio.to_thread(self.page, user, thread, head=head, before=before, limit=limit)

    async def asearch(
        self,
        query: str,
        *,
        user: str,
        thread: str | None = None,
        heads: Mapping[str, str] | None = None,
        limit: int = 10,
        exclude: Collection[str] = (),
        periods: Sequence[tuple[float, float]] = (),
        neighbours: bool = False,
    ) -> Found:
        """Async twin of `search`."""
        return await asyncio.to_thread(
            self.search,
            query,
            user=user,
            thread=thread,
            heads=heads,
            limit=limit,
            exclude=exclude,
            periods=periods,
            neighbours=neighbours,
        )

    async def ahead(self, user: str, thread: str) -> str | None:
        """Async twin of `head`."""
        return await asyncio.to_thread(self.head, user, thread)

    async def acount(self, user: str, thread: str | None = None) -> int:
        """Async twin of `count`."""
        return await asyncio.to_thread(self.count, user, thread)

    async def athreads(self, user: str) -> list[ArchivedThread]:
        """Async twin of `threads`."""
        return await asyncio.to_thread(self.threads, user)

    async def aturns(self, user: str, thread: str, *, after: str | None = None, limit: int = 100) -> list[Turn]:
        """Async twin of `turns`."""
        return await asyncio.to_thread(self.turns, user, thread, after=after, limit=limit)

    async def anotes(self, user: str, thread: str) -> list[tuple[str, dict[str, Any]]]:
        """Async twin of `notes`."""
        return await asyncio.to_thread(self.notes, user, thread)

    async def ausers(self) -> list[str]:
        """Async twin of `users`."""
        return await asyncio.to_thread(self.users)

    async def aforget(self, user: str, thread: str | None = None) -> int:
        """Async twin of `forget`."""
        return await asyncio.to_thread(self.forget, user, thread)

    async def aput_note(self, user: str, thread: str, key: str, note: dict[str, Any]) -> dict[str, Any]:
        """Async twin of `put_note`."""
        return await asyncio.to_thread(self.put_note, user, thread, key, note)

    async def aget_note(self, user: str, thread: str, key: str) -> dict[str, Any] | None:
        """Async twin of `get_note`."""
        return await asyncio.to_thread(self.get_note, user, thread, key)

    def ahold(self, user: str, thread: str, *, timeout: float | None = None) -> AbstractAsyncContextManager[None]:
        """Async twin of `hold`; whoever waits may be cancelled."""
        check_ids(user, thread)
        del timeout  # everyone is let in, as in `hold`
        return nullcontext()

    async def amissing_vectors(self) -> int:
        """Async twin of `missing_vectors`."""
        return await asyncio.to_thread(self.missing_vectors)

    async def areindex(self) -> AsyncIterator[tuple[int, int]]:
        """Async twin of `reindex`; each step runs in a thread."""
        steps = self.reindex()
        while (step := await asyncio.to_thread(next, steps, None)) is not None:
            yield step

    async def aclose(self) -> None:
        """Async twin of `close`."""
        await asyncio.to_thread(self.close)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()
