"""What every archive of finished turns promises: add once, read in pages, search one user's turns, forget."""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

from langchain_core.messages import BaseMessage

from langchain_qwen_memory.archive.keys import root_key, searchable_text, turn_key
from langchain_qwen_memory.errors import ArchiveError

__all__ = [
    "Archive",
    "ArchivedThread",
    "Hit",
    "Turn",
    "check_ids",
    "check_limit",
    "orphan",
    "root_key",
    "searchable_text",
    "turn_key",
]


@dataclass(frozen=True, kw_only=True, slots=True)
class Turn:
    """A finished turn: one user message and all that follows it up to the next."""

    key: str
    """`turn_key(parent, messages)`: the same turn after the same past has the same key, whoever writes it."""
    parent: str
    """Key of the turn before it; `root_key(user, thread)` for the first turn of a thread."""
    messages: tuple[BaseMessage, ...]
    """The messages themselves, tool calls and media references too."""
    text: str
    """What full text finds the turn by; usually `searchable_text(messages)`, perhaps with its date."""
    at: float
    """When the turn was finished: Unix seconds, UTC."""
    tokens: int
    """Tokens of all its messages."""
    position: int = -1
    """Number of turns before it in its lineage; set by the archive."""
    branch: str = ""
    """Which branch of the thread it was appended to, an opaque name; set by the archive."""
    user: str = ""
    """Whose turn it is, "" for an application without users; set by the archive."""
    thread: str = ""
    """The conversation it belongs to; set by the archive."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Hit:
    """A turn that a search found."""

    turn: Turn
    """The turn, whole."""
    score: float
    """BM25 score, above 0; comparable within one search only."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ArchivedThread:
    """One line of a user's list of threads."""

    thread: str
    """The thread's id."""
    turns: int
    """How many turns of it are archived, abandoned branches included."""
    first: float
    """When its oldest turn was finished: Unix seconds, UTC."""
    last: float
    """When its newest turn was finished: Unix seconds, UTC."""


def check_id(name: str, value: object) -> None:
    """Refuse a user or thread id that no archive could keep apart from others.

    Raises:
        ArchiveError: it is no string, or it holds half of a surrogate pair, which UTF-8 cannot write.
    """
    if not isinstance(value, str):
        kind = type(value).__name__
        raise ArchiveError(f"{name} must be a string, not {kind}; write {name}={str(value)!r}")
    try:
        value.encode()
    except UnicodeEncodeError:
        fix = f"clean it with {name}.encode('utf-8', 'replace').decode()"
        raise ArchiveError(f"{name} {value!r} holds half of a surrogate pair, which is no text; {fix}") from None


def check_ids(user: str, thread: str | None) -> None:
    """Refuse ids that are not text; a thread of None stands for all threads and is passed over."""
    check_id("user", user)
    if thread is not None:
        check_id("thread", thread)


def check_limit(limit: int) -> None:
    """Refuse a negative limit, which a database would take for "all".

    Raises:
        ArchiveError: the limit is below 0.
    """
    if limit < 0:
        raise ArchiveError(f"limit must be 0 or more, not {limit}")


def orphan(turn: Turn) -> ArchiveError:
    """The error for a turn whose parent is not archived."""
    return ArchiveError(
        f"turn {turn.key} follows {turn.parent}, which is not archived in this thread; append the turns before "
        "it first, oldest first; the first turn's parent is root_key(user, thread)"
    )


class Archive(ABC):
    """An append-only store of turns, kept apart by user and thread.

    A thread is a tree of turns, because a user may go back and say something else. The *lineage* of a turn
    is the path from the thread's first turn to it; the *head* is the turn whose lineage is meant, and without
    one it is the newest turn appended. Turns of other branches are kept, but `page` and `search` do not see
    them.

    User "" is a partition of its own: what is stored under a user's id is reached with that id only.

    Methods raise `ArchiveError` where the store fails; nothing is then half written. Each has an async twin
    (`aappend`, `asearch` ...) that by default runs it in a thread. An archive may be used from many threads.
    """

    @abstractmethod
    def append(self, user: str, thread: str, turns: Sequence[Turn]) -> int:
        """Add turns, oldest first, in one transaction; those already there are left as they are.

        Returns:
            How many were new.

        Raises:
            ArchiveError: a turn's parent is neither in the thread, nor earlier in `turns`, nor the thread's
                root. Nothing is written then.
        """

    @abstractmethod
    def get(self, user: str, thread: str, keys: Sequence[str]) -> list[Turn]:
        """Turns of a thread by key, in the order asked, of whatever branch; unknown keys are left out."""

    @abstractmethod
    def known_messages(self, user: str, thread: str, ids: Collection[str], *, head: str) -> set[str]:
        """Which of these message ids stand in turns of the lineage of `head`: messages delivered once more."""

    @abstractmethod
    def page(
        self, user: str, thread: str, *, head: str | None = None, before: int | None = None, limit: int = 50
    ) -> list[Turn]:
        """The newest `limit` turns of a lineage, oldest first.

        Args:
            user: whose thread.
            thread: which thread.
            head: the lineage's last turn; None for the newest appended. An unknown key has an empty lineage.
            before: only turns at positions below it; the first position of one page gives the page before.
            limit: turns in the page.
        """

    @abstractmethod
    def search(
        self,
        query: str,
        *,
        user: str,
        thread: str | None = None,
        heads: Mapping[str, str] | None = None,
        limit: int = 10,
        exclude: Collection[str] = (),
    ) -> list[Hit]:
        """Turns that share words with a query, best first, newer first among equals.

        In each thread only one lineage is searched: that of its newest turn, or of its head in `heads`.

        Args:
            query: plain text; no operators. Words as in `langchain_qwen_memory.archive.fulltext`.
            user: whose turns; never more than one user's.
            thread: one thread, or None for all threads of the user.
            heads: keys by thread, for threads where another lineage is meant; an unknown key has an empty lineage.
            limit: hits at most.
            exclude: keys of turns that are not wanted, such as those still in the window.

        """

    @abstractmethod
    def head(self, user: str, thread: str) -> str | None:
        """Key of the newest turn appended to a thread, or None for a thread without turns."""

    @abstractmethod
    def count(self, user: str, thread: str | None = None) -> int:
        """Turns of a thread, or of all threads of a user, abandoned branches included."""

    @abstractmethod
    def threads(self, user: str) -> list[ArchivedThread]:
        """The user's threads that have turns, most recently appended to first."""

    @abstractmethod
    def forget(self, user: str, thread: str | None = None) -> int:
        """Erase a thread, or all of a user: turns, full text and notes, in one transaction.

        Returns:
            How many turns were erased.
        """

    @abstractmethod
    def put_note(self, user: str, thread: str, key: str, note: dict[str, Any]) -> dict[str, Any]:
        """Keep a note under a key unless there is one: how a summary is made once, whoever is first.

        Returns:
            The note that stands: this one, or that of the first writer.

        Raises:
            ArchiveError: the note is not JSON data.
        """

    @abstractmethod
    def get_note(self, user: str, thread: str, key: str) -> dict[str, Any] | None:
        """The note under a key, or None."""

    @abstractmethod
    def close(self) -> None:
        """Let go of files and connections; closing twice is allowed."""

    async def aappend(self, user: str, thread: str, turns: Sequence[Turn]) -> int:
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
    ) -> list[Hit]:
        """Async twin of `search`."""
        return await asyncio.to_thread(
            self.search, query, user=user, thread=thread, heads=heads, limit=limit, exclude=exclude
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

    async def aforget(self, user: str, thread: str | None = None) -> int:
        """Async twin of `forget`."""
        return await asyncio.to_thread(self.forget, user, thread)

    async def aput_note(self, user: str, thread: str, key: str, note: dict[str, Any]) -> dict[str, Any]:
        """Async twin of `put_note`."""
        return await asyncio.to_thread(self.put_note, user, thread, key, note)

    async def aget_note(self, user: str, thread: str, key: str) -> dict[str, Any] | None:
        """Async twin of `get_note`."""
        return await asyncio.to_thread(self.get_note, user, thread, key)

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
