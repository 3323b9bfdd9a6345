"""What archives with embeddings have in common: when vectors are made, outside of any lock, and what failures mean."""

import asyncio
from abc import abstractmethod
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, TypeVar

from langchain_core.embeddings import Embeddings
from typing_extensions import override

from langchain_qwen_memory.archive.base import Archive
from langchain_qwen_memory.archive.batch import Batch, Late, Made, Question
from langchain_qwen_memory.archive.embedding import Embedded, Embedder, Space
from langchain_qwen_memory.archive.turn import Appended, Found, Turn, check_ids
from langchain_qwen_memory.errors import ArchiveError

if TYPE_CHECKING:
    from langchain_qwen_memory.archive.embedding import Vectors

__all__ = ["HEALED", "PATIENCE", "Batch", "HybridArchive", "Late", "Made", "Question"]

HEALED = 32
"""Turns without a vector, left behind by a failure, that one append makes up for at most."""
PATIENCE = 5
"""Failures of a turn alone, while others can be embedded, after which only `reindex` tries it again."""
REINDEXED = 64
"""Turns of one step of `reindex`."""
FEW = 3
"""Turns that are refused one after the other before the embeddings are taken to be down."""


Name = TypeVar("Name", str, Late)


class HybridArchive(Archive):
    """An archive that searches by full text and, given embeddings, by meaning too.

    A store says what is to be embedded (`_wanted`) and takes it in (`_store`); in between no lock is held.
    """

    def __init__(self, embeddings: Embeddings | None, embeddings_name: str | None) -> None:
        """Ask these embeddings for vectors; None: full text only."""
        self._embedder = None if embeddings is None else Embedder(embeddings, embeddings_name)

    @property
    def embedder(self) -> Embedder | None:
        """What makes its vectors; None: full text only."""
        return self._embedder

    @property
    @override
    def embeds(self) -> bool:
        return self._embedder is not None

    def embedded(self, query: str, user: str) -> Embedded:
        """The vector of a question, if the user has vectors that it can be compared with.

        Raises:
            EmbeddingMismatchError: the archive holds vectors of other embeddings.
        """
        if self._embedder and query.strip() and self._comparable(user):
            return self._embedder.query(query)
        return Embedded()

    async def aembedded(self, query: str, user: str) -> Embedded:
        """Async twin of `embedded`."""
        if self._embedder and query.strip():
            comparable = await asyncio.to_thread(self._comparable, user)
            return await self._embedder.aquery(query) if comparable else Embedded()
        return Embedded()

    def kept_vectors(self, user: str, thread: str, keys: Sequence[str]) -> "dict[str, Vectors]":
        """Stored vectors of turns of a thread by key, those that are searched; turns without one are left out."""
        del user, thread, keys
        return {}

    @override
    def append(self, user: str, thread: str, turns: Sequence[Turn]) -> Appended:
        check_ids(user, thread)
        batch = self._wanted(user, thread, turns)
        fresh = late = None
        if self._embedder and batch.fresh:
            fresh = self._embedder.documents([turn.text for turn in batch.fresh])
        if self._embedder and self._goes_on(batch, fresh):
            late = self._embedder.documents([one.text for one in _worded(batch.late)])
        return self._store(user, thread, turns, self._made(batch, fresh, late))

    @override
    async def aappend(self, user: str, thread: str, turns: Sequence[Turn]) -> Appended:
        check_ids(user, thread)
        batch = await asyncio.to_thread(self._wanted, user, thread, turns)
        fresh = late = None
        if self._embedder and batch.fresh:
            fresh = await self._embedder.adocuments([turn.text for turn in batch.fresh])
        if self._embedder and self._goes_on(batch, fresh):
            late = await self._embedder.adocuments([one.text for one in _worded(batch.late)])
        return await asyncio.to_thread(self._store, user, thread, turns, self._made(batch, fresh, late))

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
        return self._find(question, self.embedded(query, user))

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
        return await asyncio.to_thread(self._find, question, await self.aembedded(query, user))

    @override
    def reindex(self) -> Iterator[tuple[int, int]]:
        if self._embedder is None:
            return super().reindex()
        return self._reindexed(self._embedder)

    def _reindexed(self, embedder: Embedder) -> Iterator[tuple[int, int]]:
        missing, total = self._begin(embedder.space())
        yield total - missing, total
        answered = False
        while True:
            while late := self._next_late(embedder.space(), REINDEXED):
                made = _anew(embedder, late, answered=answered)
                answered = answered or bool(made.space and made.space.dimension)
                missing = max(missing - self._fill(made), 0)
                yield total - missing, total
            if self._finish(embedder.space()):
                return

    @staticmethod
    def _goes_on(batch: Batch, fresh: Embedded | None) -> bool:
        """Whether turns left behind are embedded too: not while the embeddings are down."""
        return any(_worded(batch.late)) and (fresh is None or fresh.vectors is not None)

    def _made(self, batch: Batch, fresh: Embedded | None, late: Embedded | None) -> Made:
        if self._embedder is None:
            return Made()
        fresh, late = fresh or Embedded(), late or Embedded()
        vectors = late.vectors if fresh.vectors is None else fresh.vectors
        return Made(
            fresh=_by([turn.key for turn in batch.fresh], fresh),
            late=_settled(batch.late, _by(_worded(batch.late), late)),
            failed=_worded(batch.late) if late.problem and not fresh.problem else (),
            space=self._embedder.space(vectors),
            problem=fresh.problem or late.problem,
        )

    @abstractmethod
    def _wanted(self, user: str, thread: str, turns: Sequence[Turn]) -> Batch:
        """What an append should embed; empty without embeddings.

        Raises:
            EmbeddingMismatchError: the archive holds vectors of other embeddings.
        """

    @abstractmethod
    def _store(self, user: str, thread: str, turns: Sequence[Turn], made: Made) -> Appended:
        """Add turns and vectors in one transaction; a turn that got a vector meanwhile keeps that one."""

    @abstractmethod
    def _comparable(self, user: str) -> bool:
        """Whether the user has vectors that a question's vector can be compared with.

        Raises:
            EmbeddingMismatchError: the archive holds vectors of other embeddings.
        """

    @abstractmethod
    def _find(self, question: Question, made: Embedded) -> Found:
        """Search by full text and, if there is one, by the question's vector."""

    @abstractmethod
    def _begin(self, space: Space) -> tuple[int, int]:
        """Begin to make all vectors anew, or go on with what was begun: (turns without a new vector, all turns)."""

    @abstractmethod
    def _next_late(self, space: Space, limit: int) -> list[Late]:
        """Turns without a new vector; those that failed since `_begin` are left out."""

    @abstractmethod
    def _fill(self, made: Made) -> int:
        """Store new vectors; how many turns of those that had none are done with."""

    @abstractmethod
    def _finish(self, space: Space) -> bool:
        """Search the new vectors from now on and erase the old ones; False if turns came that have none yet."""


def _by(names: Sequence[Name], made: Embedded) -> "dict[Name, Vectors]":
    return {} if made.vectors is None else dict(zip(names, made.vectors, strict=True))


def _worded(late: Sequence[Late]) -> list[Late]:
    """Those in which there is something to embed."""
    return [one for one in late if one.text.strip()]


def _settled(late: Sequence[Late], made: "Mapping[Late, Vectors]") -> "dict[Late, Vectors | None]":
    """The vectors made, and None for turns without a word."""
    return {**made, **{one: None for one in late if not one.text.strip()}}


def _anew(embedder: Embedder, late: Sequence[Late], *, answered: bool) -> Made:
    """New vectors of stored turns; those of a batch that fails are tried one by one, as one of them may be refused.

    Raises:
        ArchiveError: the embeddings are down: none of them can be embedded, or none of the first few.
    """
    worded = _worded(late)
    whole = embedder.documents([one.text for one in worded]) if worded else Embedded()
    if whole.vectors is not None or not worded:
        vectors = _by(worded, whole)
        return Made(late=_settled(late, vectors), space=embedder.space(whole.vectors))
    vectors = {}
    for tried, one in enumerate(worded):
        if tried == FEW and not vectors:
            break
        made = embedder.documents([one.text])
        if made.vectors is not None:
            vectors[one] = made.vectors[0]
    if not vectors and (len(worded) > FEW or not answered):
        raise ArchiveError(f"{whole.problem}; what is done is kept: call it again once they answer")
    failed = [one for one in worded if one not in vectors]
    dimension = next((len(vector) for vector in vectors.values()), None)
    space = Space(name=embedder.name, dimension=dimension)
    return Made(late=_settled(late, vectors), failed=failed, space=space)
