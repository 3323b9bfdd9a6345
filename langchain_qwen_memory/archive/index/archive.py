"""An archive whose turns are searched through an exchangeable index, and through itself while that is behind.

It is a wrapper, so that any archive goes with any index and no store knows of one. The archive is the truth: whatever
an index names is read from the archive before it is handed out.
"""

import asyncio
import logging
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

from typing_extensions import override

from langchain_qwen_memory.archive.base import Archive
from langchain_qwen_memory.archive.batch import Question
from langchain_qwen_memory.archive.embedding import Embedded, Embedder
from langchain_qwen_memory.archive.hybrid import HybridArchive
from langchain_qwen_memory.archive.index.base import Index, line_of, owner_of
from langchain_qwen_memory.archive.index.filling import Filling
from langchain_qwen_memory.archive.index.passing import PassingArchive
from langchain_qwen_memory.archive.index.scope import Behind, Scope
from langchain_qwen_memory.archive.index.search import IndexSearch, plainly
from langchain_qwen_memory.archive.turn import Appended, Found, Turn
from langchain_qwen_memory.errors import ArchiveError, MemoryOptionError

__all__ = ["IndexedArchive"]

CAUGHT = 256
"""Turns that an index is behind which one append or search makes up for; more is for `catch_up`."""

IDLE = 3
"""Steps of `catch_up` without a turn, after which a thread that others keep changing is left to the next call."""

logger = logging.getLogger("langchain_qwen_memory")


class IndexedArchive(PassingArchive):
    """Any archive with any index.

    Turns are stored in the archive first and then taken into the index; a process that dies in between, and an index
    that was deleted, cost nothing: the next calls make up for a few turns each, `catch_up` for all, and until then the
    archive itself is searched. The same goes for an index that fails.

    Example:
        >>> with IndexedArchive(SqliteArchive("chat.db"), ZvecIndex("chat.index")) as archive:  # doctest: +SKIP
        ...     archive.search("peanuts", user="alice")
    """

    def __init__(self, archive: Archive, index: Index) -> None:
        """Search an archive through an index.

        Args:
            archive: where turns live. Its embeddings, if any, make the vectors, which the index is given.
            index: such as `ZvecIndex` or `VectorStoreIndex`. It belongs to this archive alone.

        Raises:
            MemoryOptionError: both would embed each turn.
        """
        super().__init__(archive)
        if index.embeds and self._embedder:
            raise MemoryOptionError(
                f"{type(index).__name__} embeds by itself, and the {type(archive).__name__} was opened with embeddings "
                "too, so that each turn would be embedded twice; open the archive without embeddings="
            )
        index.begin(self._embedder.name if self._embedder else None)
        self.index = index
        self._filling = Filling(archive, index)
        self._scope = Scope(archive, self._filling)
        self._search = IndexSearch(archive, index, self._filling.lock)

    @property
    @override
    def embeds(self) -> bool:
        return self.index.embeds or self.archive.embeds

    @property
    def _embedder(self) -> Embedder | None:
        return self.archive.embedder if isinstance(self.archive, HybridArchive) else None

    @override
    def append(self, user: str, thread: str, turns: Sequence[Turn]) -> Appended:
        return self._taken(user, thread, turns, self.archive.append(user, thread, turns))

    @override
    async def aappend(self, user: str, thread: str, turns: Sequence[Turn]) -> Appended:
        added = await self.archive.aappend(user, thread, turns)
        return await asyncio.to_thread(self._taken, user, thread, turns, added)

    def _taken(self, user: str, thread: str, turns: Sequence[Turn], added: Appended) -> Appended:
        """Take what was appended into the index."""
        if not turns:
            return added
        try:
            self._filling.sync(user, thread, max(CAUGHT, len(turns)))
            self._filling.heal(user)
        except ArchiveError:
            raise
        except Exception as error:  # noqa: BLE001 - whatever an engine raises, the turns are stored
            return Appended(added, added.problem or _told(error, "the turns are stored and taken in later"))
        return added

    @override
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
        question = Question(
            query=query, user=user, thread=thread, heads=heads or {}, limit=limit, exclude=exclude,
            periods=periods, neighbours=neighbours,
        )  # fmt: skip
        made = self.archive.embedded(query, user) if isinstance(self.archive, HybridArchive) else Embedded()
        return self._searched(question, made)

    @override
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
        question = Question(
            query=query, user=user, thread=thread, heads=heads or {}, limit=limit, exclude=exclude,
            periods=periods, neighbours=neighbours,
        )  # fmt: skip
        made = await self.archive.aembedded(query, user) if isinstance(self.archive, HybridArchive) else Embedded()
        return await asyncio.to_thread(self._searched, question, made)

    def _searched(self, question: Question, made: Embedded) -> Found:
        try:
            found = self._through_index(question, made)
        except ArchiveError:
            raise
        except Behind:
            return self._by_archive(question, "the index is behind; until it has caught up the archive is searched")
        except Exception as error:  # noqa: BLE001 - whatever an engine raises, the archive can be searched
            return self._by_archive(question, _told(error, "the archive itself was searched"))
        return self._by_archive(question, "") if found is None else found

    def _through_index(self, question: Question, made: Embedded) -> Found | None:
        """The best turns by the index; None where the archive knows better."""
        if self._embedder and made.vectors is None and not made.problem and question.query.strip():
            return None  # there is no vector to compare with yet, or all are being made anew
        return self._search.found(question, made, self._scope.lines(question, CAUGHT))

    def _by_archive(self, question: Question, problem: str) -> Found:
        found = plainly(self.archive, question)
        # only an index that embeds finds what the archive does not find by itself
        return Found(found, found.problem or (problem if self.index.embeds else ""))

    @override
    def forget(self, user: str, thread: str | None = None) -> int:
        """Erase a thread, or all of a user, from the index and then from the archive.

        Raises:
            ArchiveError: one of them failed; what is left is forgotten when it is called again.
        """
        self.archive.count(user, thread)  # refuses ids that are no text
        with self._filling.lock:
            self._scope.clear()
            try:
                self.index.forget(owner_of(user), None if thread is None else line_of(user, thread))
            except Exception as error:  # noqa: BLE001 - its own text may repeat a key
                fix = "nothing was forgotten; call it again once it answers"
                raise ArchiveError(_told(error, fix)) from None
            return self.archive.forget(user, thread)

    @override
    def reindex(self) -> Iterator[tuple[int, int]]:
        """Make all vectors anew, as the archive does; the index is filled with them afterwards, as by `catch_up`."""
        return self._emptied_after(self.archive.reindex())

    def _emptied_after(self, steps: Iterator[tuple[int, int]]) -> Iterator[tuple[int, int]]:
        yield from steps
        with self._filling.lock:
            self.index.clear()
            self._scope.clear()

    def catch_up(self) -> Iterator[tuple[int, int]]:
        """Take in all that the index lacks, and erase from it the threads that the archive has no more.

        Stopped or killed, it goes on where it was when it is called again.

        Yields:
            (turns looked at, turns in all).
        """
        users = self.archive.users()
        known = {user: self.archive.threads(user) for user in users}
        lines = {(owner_of(user), line_of(user, one.thread)) for user in users for one in known[user]}
        total, done = sum(one.turns for threads in known.values() for one in threads), 0
        with self._filling.lock:
            self.index.keep(lambda owner, line: (owner, line) in lines)
        yield done, total
        for user in users:
            for one in reversed(known[user]):
                for taken in self._caught(user, one.thread):
                    yield min(done + taken, total), total
                done += one.turns
        self.index.settle()
        yield total, total

    def _caught(self, user: str, thread: str) -> Iterator[int]:
        """Take a thread in; how many turns that were after each step."""
        taken, all_in, idle = 0, False, 0
        while not all_in and idle < IDLE:
            step, all_in = self._filling.sync(user, thread, CAUGHT)
            idle = 0 if step else idle + 1
            taken += step
            yield taken

    @override
    def close(self) -> None:
        self.index.close()
        self.archive.close()

    @override
    async def aclose(self) -> None:
        await asyncio.to_thread(self.index.close)
        await self.archive.aclose()

    def __getattr__(self, name: str) -> Any:
        """What this archive has beyond the contract."""
        if name.startswith("_") or name == "archive":
            raise AttributeError(name)
        return getattr(self.archive, name)


def _told(error: Exception, then: str) -> str:
    problem = f"the index failed: {type(error).__name__}; {then}"
    logger.warning(problem)
    return problem
