"""The calls of an archive that wait for their answer; `base.py` adds the same calls for event loops."""

from abc import ABC, abstractmethod
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

from langchain_qwen_memory.archive.turn import Appended, ArchivedThread, Found, Turn, check_ids
from langchain_qwen_memory.errors import ArchiveError

__all__ = ["ArchiveCalls"]


class ArchiveCalls(ABC):
    """The calls of `Archive` that wait: an append-only store of turns, kept apart by user and thread.

    A thread is a tree of turns, because a user may go back and say something else. The *lineage* of a turn
    is the path from the thread's first turn to it; the *head* is the turn whose lineage is meant, and without
    one it is the newest turn appended. Turns of other branches are kept, but `page` and `search` do not see
    them.

    User "" is a partition of its own: what is stored under a user's id is reached with that id only.

    An archive with embeddings keeps a vector beside each turn's full text, and searches by both. The embeddings'
    name and the length of their vectors are stored: `append` and `search` with others raise
    `EmbeddingMismatchError` until `reindex` has made all vectors anew. Opened without embeddings, an archive with
    vectors is searched by full text; turns appended then have no vector yet.

    Methods raise `ArchiveError` where the store fails; nothing is then half written. An archive may be used from
    many threads.
    """

    @abstractmethod
    def append(self, user: str, thread: str, turns: Sequence[Turn]) -> Appended:
        """Add turns, oldest first, in one transaction; those already there are left as they are.

        Their vectors are made before the transaction and stored in it. Where the embeddings fail, the turns are
        stored all the same, are found by full text, and get their vectors with a later append of the same user.

        Returns:
            How many were new, and in `problem` why vectors are missing.

        Raises:
            ArchiveError: a turn's parent is neither in the thread, nor earlier in `turns`, nor the thread's
                root. Nothing is written then.
            EmbeddingMismatchError: the archive holds vectors of other embeddings. Nothing is written then.
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
    def turns(self, user: str, thread: str, *, after: str | None = None, limit: int = 100) -> list[Turn]:
        """Turns of a thread in the order in which they were appended, those of abandoned branches too.

        Args:
            user: whose thread.
            thread: which thread.
            after: the key of a turn; only those appended after it. None, or a key that is unknown: from the first.
            limit: turns at most.
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
        periods: Sequence[tuple[float, float]] = (),
        neighbours: bool = False,
    ) -> Found:
        """Turns that fit a query by its words and, with embeddings, by its meaning; best first, newer among equals.

        In each thread only one lineage is searched: that of its newest turn, or of its head in `heads`. How the
        two scores become one is told in `langchain_qwen_memory.archive.finding.fusion`.

        Args:
            query: plain text; no operators. Words as in `langchain_qwen_memory.archive.finding.fulltext`.
            user: whose turns; never more than one user's.
            thread: one thread, or None for all threads of the user.
            heads: keys by thread, for threads where another lineage is meant; an unknown key has an empty lineage.
            limit: hits at most.
            exclude: keys of turns that are not wanted, such as those still in the window.
            periods: (start, end) in Unix seconds: turns with start <= at < end of any of them come first.
            neighbours: fill `before` and `after` of each hit.

        Returns:
            The hits; where the query could not be embedded they are those of full text, and `problem` says why.

        Raises:
            EmbeddingMismatchError: the archive holds vectors of other embeddings.
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
    def users(self) -> list[str]:
        """Everyone who has turns, sorted."""

    @abstractmethod
    def forget(self, user: str, thread: str | None = None) -> int:
        """Erase a thread, or all of a user: turns, full text, vectors and notes, in one transaction.

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
    def notes(self, user: str, thread: str) -> list[tuple[str, dict[str, Any]]]:
        """All notes of a thread with their keys, sorted by key."""

    def hold(
        self,
        user: str,
        thread: str,
        *,
        timeout: float | None = None,
    ) -> AbstractContextManager[None]:
        """Let one run of a thread at a time into a block; this archive lets everyone in, those that can do better do.

        Args:
            user: whose thread.
            thread: which thread.
            timeout: seconds to wait for another's block to end; None: as long as it takes.

        Raises:
            ArchiveError: another held the thread for longer than that.
        """
        check_ids(user, thread)
        del timeout
        return nullcontext()

    def missing_vectors(self) -> int:
        """Turns that have no vector yet, of all users; 0 where there never were embeddings."""
        return 0

    def reindex(self) -> Iterator[tuple[int, int]]:
        """Make all vectors anew with the archive's embeddings, or those that are missing where these made the others.

        What was stored before is searched until the new vectors are all there. Stopped or killed, it goes on
        where it was when it is called again.

        Yields:
            (turns done, turns in all), first as it was found and then after each step.

        Raises:
            ArchiveError: the archive was opened without embeddings, or they fail.
        """
        raise ArchiveError(
            f"{type(self).__name__} was opened without embeddings, so that there is nothing to make vectors with; "
            "open it with embeddings=..."
        )

    @abstractmethod
    def close(self) -> None:
        """Let go of files and connections; closing twice is allowed."""
