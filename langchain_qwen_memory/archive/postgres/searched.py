"""What embeddings have to do with a Postgres archive: appending, searching, making all vectors anew."""

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from typing import TYPE_CHECKING, TypeVar

from langchain_core.embeddings import Embeddings
from typing_extensions import override

from langchain_qwen_memory.archive.embedding import Embedded, Space, check_space
from langchain_qwen_memory.archive.hybrid import Batch, HybridArchive, Late, Made, Question
from langchain_qwen_memory.archive.postgres import append
from langchain_qwen_memory.archive.postgres.kept import kept
from langchain_qwen_memory.archive.postgres.link import Link
from langchain_qwen_memory.archive.postgres.mentions import Scale
from langchain_qwen_memory.archive.postgres.ops import Op
from langchain_qwen_memory.archive.postgres.places import Kept
from langchain_qwen_memory.archive.postgres.rebuild import Rebuilding
from langchain_qwen_memory.archive.postgres.search import Near, hits
from langchain_qwen_memory.archive.postgres.spaces import Stored, current
from langchain_qwen_memory.archive.turn import Appended, Found, Turn, check_ids

if TYPE_CHECKING:
    from langchain_qwen_memory.archive.embedding import Vectors

__all__ = ["SearchedPostgres"]

T = TypeVar("T")
_REBUILT = "all vectors are being made anew; until that is done, full text alone is searched"


class SearchedPostgres(HybridArchive):
    """Appends, searches and reindexes; the rest is `PostgresArchive`."""

    def __init__(
        self,
        link: Link,
        spaces: Rebuilding,
        embeddings: Embeddings | None,
        embeddings_name: str | None,
        *,
        exact_up_to: int | None,
    ) -> None:
        """Search the turns of a database."""
        super().__init__(embeddings, embeddings_name)
        self._link = link
        self._spaces = spaces
        self._exact_up_to = exact_up_to
        self._scale = Scale()
        self._kept = Kept()

    @override
    async def aappend(self, user: str, thread: str, turns: Sequence[Turn]) -> Appended:
        check_ids(user, thread)
        batch = await self._link.arun(lambda: self._wanting(user, thread, turns)) if self._asks(turns) else Batch()
        fresh = late = None
        if self._embedder and batch.fresh:
            fresh = await self._embedder.adocuments([turn.text for turn in batch.fresh])
        if self._embedder and self._goes_on(batch, fresh):
            late = await self._embedder.adocuments([one.text for one in batch.late if one.text.strip()])
        storing = await asyncio.to_thread(self._storing, user, thread, turns, self._made(batch, fresh, late))
        return await self._link.arun(storing, writing=True) if turns else Appended()

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
        made, embedder = Embedded(), self._embedder
        if embedder and query.strip():
            given = embedder.space()
            if await self._link.arun(lambda: self._spaces.comparable(user, given)):
                made = await embedder.aquery(query)
        return await self._link.arun(lambda: self._finding(question, made))

    @override
    async def areindex(self) -> AsyncIterator[tuple[int, int]]:
        steps = self.reindex()  # reads and embeds thousands of turns: it has a thread to itself
        while (step := await asyncio.to_thread(next, steps, None)) is not None:
            yield step

    @override
    def missing_vectors(self) -> int:
        return self._link.run(lambda: self._spaces.missing(embeds=self._embedder is not None))

    @override
    async def amissing_vectors(self) -> int:
        return await self._link.arun(lambda: self._spaces.missing(embeds=self._embedder is not None))

    def _asks(self, turns: Sequence[Turn]) -> bool:
        return self._embedder is not None and bool(turns)

    @override
    def _wanted(self, user: str, thread: str, turns: Sequence[Turn]) -> Batch:
        return self._link.run(lambda: self._wanting(user, thread, turns)) if self._asks(turns) else Batch()

    def _wanting(self, user: str, thread: str, turns: Sequence[Turn]) -> Op[Batch]:
        assert self._embedder is not None
        given = {turn.key: turn for turn in turns if turn.text.strip()}
        there, late = yield from self._spaces.wanted(user, thread, [*given], self._embedder.space())
        return Batch(fresh=[turn for key, turn in given.items() if key not in there], late=late)

    @override
    def _store(self, user: str, thread: str, turns: Sequence[Turn], made: Made) -> Appended:
        return self._link.run(self._storing(user, thread, turns, made), writing=True) if turns else Appended()

    def _storing(self, user: str, thread: str, turns: Sequence[Turn], made: Made) -> Callable[[], Op[Appended]]:
        ready = [append.Ready.of(turn) for turn in turns]  # before the lock

        def store() -> Op[Appended]:
            if made.space is None:
                yield from self._spaces.share()
                fitting = []
            else:
                fitting = yield from self._spaces.accept(made.space)
            added = yield from append.append(user, thread, ready)
            fresh: dict[Late, Vectors | None] = {
                Late(number, key, ""): made.fresh[key] for number, key in added if key in made.fresh
            }
            for one in fitting:
                yield from self._spaces.keep(one, fresh | dict(made.late))
                yield from self._spaces.failed(one, made.failed)
            return Appended(len(added), made.problem)

        return store

    @override
    def _comparable(self, user: str) -> bool:
        assert self._embedder is not None
        given = self._embedder.space()
        return self._link.run(lambda: self._spaces.comparable(user, given))

    @override
    def kept_vectors(self, user: str, thread: str, keys: Sequence[str]) -> "dict[str, Vectors]":
        if self._embedder is None or not keys:
            return {}
        given = self._embedder.space()
        return self._link.run(lambda: kept(self._spaces, user, thread, keys, given))

    @override
    def _find(self, question: Question, made: Embedded) -> Found:
        return self._link.run(lambda: self._finding(question, made))

    def _finding(self, question: Question, made: Embedded) -> Op[Found]:
        if self._embedder is None:
            return Found((yield from hits(question, None, self._kept, self._scale))[0], made.problem)
        while True:
            known, (near, problem) = yield from self._spaces.seen_by(lambda known: self._near(known, made))
            try:
                found, seen = yield from hits(question, near, self._kept, self._scale)
            except Exception:
                self._spaces.seen = None  # its table may be gone since it was seen
                raise
            if seen is None or seen == known:
                return Found(found, problem)
            self._spaces.seen = seen

    def _near(self, known: list[Stored], made: Embedded) -> tuple[Near | None, str]:
        """What a question is compared with among these spaces, and what is to be told."""
        assert self._embedder is not None
        searched = current(self._spaces.fitting(known, self._embedder.space()))
        problem = made.problem or (_REBUILT if searched is None and known else "")
        if searched is None or searched.space.dimension is None or made.vectors is None:
            return None, problem
        check_space(self._link.place, searched.space, self._embedder.space(made.vectors))
        return Near(vector=made.vectors[0], space=searched, exact_up_to=self._exact_up_to), problem

    @override
    def _begin(self, space: Space) -> tuple[int, int]:
        return self._link.run(lambda: self._spaces.begin(space), writing=True)

    @override
    def _next_late(self, space: Space, limit: int) -> list[Late]:
        return self._link.run(lambda: self._spaces.next_late(space, limit))

    @override
    def _fill(self, made: Made) -> int:
        space = made.space
        assert space is not None
        return self._link.run(lambda: self._spaces.fill(made.late, made.failed, space), writing=True)

    @override
    def _finish(self, space: Space) -> bool:
        return self._link.run(lambda: self._spaces.finish(space), writing=True)
