"""An archive that passes each call on to another: what wrappers are made of."""

from collections.abc import Collection, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from typing import Any

from typing_extensions import override

from langchain_qwen_memory.archive.base import Archive
from langchain_qwen_memory.archive.turn import Appended, ArchivedThread, Turn

__all__ = ["PassingArchive"]


class PassingArchive(Archive):
    """Does what the archive inside does; a subclass says how it is searched."""

    def __init__(self, archive: Archive) -> None:
        """Pass calls on to this archive."""
        self.archive = archive

    @override
    def append(self, user: str, thread: str, turns: Sequence[Turn]) -> Appended:
        return self.archive.append(user, thread, turns)

    @override
    async def aappend(self, user: str, thread: str, turns: Sequence[Turn]) -> Appended:
        return await self.archive.aappend(user, thread, turns)

    @override
    def get(self, user: str, thread: str, keys: Sequence[str]) -> list[Turn]:
        return self.archive.get(user, thread, keys)

    @override
    async def aget(self, user: str, thread: str, keys: Sequence[str]) -> list[Turn]:
        return await self.archive.aget(user, thread, keys)

    @override
    def known_messages(self, user: str, thread: str, ids: Collection[str], *, head: str) -> set[str]:
        return self.archive.known_messages(user, thread, ids, head=head)

    @override
    async def aknown_messages(self, user: str, thread: str, ids: Collection[str], *, head: str) -> set[str]:
        return await self.archive.aknown_messages(user, thread, ids, head=head)

    @override
    def page(
        self, user: str, thread: str, *, head: str | None = None, before: int | None = None, limit: int = 50
    ) -> list[Turn]:
        return self.archive.page(user, thread, head=head, before=before, limit=limit)

    @override
    async def apage(
        self, user: str, thread: str, *, head: str | None = None, before: int | None = None, limit: int = 50
    ) -> list[Turn]:
        return await self.archive.apage(user, thread, head=head, before=before, limit=limit)

    @override
    def turns(self, user: str, thread: str, *, after: str | None = None, limit: int = 100) -> list[Turn]:
        return self.archive.turns(user, thread, after=after, limit=limit)

    @override
    async def aturns(self, user: str, thread: str, *, after: str | None = None, limit: int = 100) -> list[Turn]:
        return await self.archive.aturns(user, thread, after=after, limit=limit)

    @override
    def head(self, user: str, thread: str) -> str | None:
        return self.archive.head(user, thread)

    @override
    async def ahead(self, user: str, thread: str) -> str | None:
        return await self.archive.ahead(user, thread)

    @override
    def count(self, user: str, thread: str | None = None) -> int:
        return self.archive.count(user, thread)

    @override
    async def acount(self, user: str, thread: str | None = None) -> int:
        return await self.archive.acount(user, thread)

    @override
    def threads(self, user: str) -> list[ArchivedThread]:
        return self.archive.threads(user)

    @override
    async def athreads(self, user: str) -> list[ArchivedThread]:
        return await self.archive.athreads(user)

    @override
    def users(self) -> list[str]:
        return self.archive.users()

    @override
    async def ausers(self) -> list[str]:
        return await self.archive.ausers()

    @override
    def forget(self, user: str, thread: str | None = None) -> int:
        return self.archive.forget(user, thread)

    @override
    def put_note(self, user: str, thread: str, key: str, note: dict[str, Any]) -> dict[str, Any]:
        return self.archive.put_note(user, thread, key, note)

    @override
    async def aput_note(self, user: str, thread: str, key: str, note: dict[str, Any]) -> dict[str, Any]:
        return await self.archive.aput_note(user, thread, key, note)

    @override
    def get_note(self, user: str, thread: str, key: str) -> dict[str, Any] | None:
        return self.archive.get_note(user, thread, key)

    @override
    async def aget_note(self, user: str, thread: str, key: str) -> dict[str, Any] | None:
        return await self.archive.aget_note(user, thread, key)

    @override
    def notes(self, user: str, thread: str) -> list[tuple[str, dict[str, Any]]]:
        return self.archive.notes(user, thread)

    @override
    async def anotes(self, user: str, thread: str) -> list[tuple[str, dict[str, Any]]]:
        return await self.archive.anotes(user, thread)

    @override
    def hold(self, user: str, thread: str, *, timeout: float | None = None) -> AbstractContextManager[None]:
        return self.archive.hold(user, thread, timeout=timeout)

    @override
    def ahold(self, user: str, thread: str, *, timeout: float | None = None) -> AbstractAsyncContextManager[None]:
        return self.archive.ahold(user, thread, timeout=timeout)

    @override
    def missing_vectors(self) -> int:
        return self.archive.missing_vectors()

    @override
    async def amissing_vectors(self) -> int:
        return await self.archive.amissing_vectors()

    @override
    def reindex(self) -> Iterator[tuple[int, int]]:
        return self.archive.reindex()

    @override
    def close(self) -> None:
        self.archive.close()
