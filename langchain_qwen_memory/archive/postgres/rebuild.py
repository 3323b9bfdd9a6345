"""Makes all vectors of a Postgres archive anew, beside the old ones, which are searched until all is done."""

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from langchain_qwen_memory.archive.embedding import Space, check_space
from langchain_qwen_memory.archive.hybrid import Late
from langchain_qwen_memory.archive.postgres.ops import Op, Query
from langchain_qwen_memory.archive.postgres.spaces import Stored, current, table
from langchain_qwen_memory.archive.postgres.vectors import LATE, Spaces, late_of

if TYPE_CHECKING:
    from langchain_qwen_memory.archive.embedding import Vectors

__all__ = ["Rebuilding"]

_OF_ALL = f"{LATE} WHERE m.space = %s AND m.tries = 0 ORDER BY m.owner, m.turn LIMIT %s"


class Rebuilding(Spaces):
    """The operations on spaces, and those that change the one that is searched."""

    def make_indexes(self) -> Op[None]:
        """Give the tables of vectors that are there their HNSW index, if the archive wants it."""
        known = (yield from self.known()) if self._hnsw else []
        for one in known:
            if one.space.dimension:
                yield from self.make_index(one.id, one.space.dimension)

    def missing(self, *, embeds: bool) -> Op[int]:
        """Turns without a vector."""
        known = yield from self.known()
        if not known:
            return (yield from _count_all()) if embeds else 0
        return (yield from _count_missing((current(known) or known[0]).id))

    def begin(self, given: Space) -> Op[tuple[int, int]]:
        """Begin a space, or go on with the one begun, inside the caller's transaction: (turns without, all turns)."""
        yield from self.own()
        known = yield from self.known()
        begun = _building(known, given)
        if begun is None:
            for other in known:
                if other.state == "building":
                    yield from self._drop(other)
            begun = yield from self.make(given, "building")
        yield Query("UPDATE {s}qwen_memory_missing SET tries = 0 WHERE space = %s AND tries > 0", (begun.id,))
        return (yield from _count_missing(begun.id)), (yield from _count_all())

    def next_late(self, given: Space, limit: int) -> Op[list[Late]]:
        """Turns without a new vector."""
        begun = _building((yield from self.known()), given)
        rows = (yield Query(_OF_ALL, (begun.id, limit))) if begun else []
        return [late_of(*row) for row in rows]

    def fill(self, made: Mapping[Late, "Vectors | None"], failed: Sequence[Late], given: Space) -> Op[int]:
        """Store new vectors inside the caller's transaction; how many turns are done with."""
        yield from self.own()
        begun = _building((yield from self.known()), given)
        if begun is None:  # another process has finished it
            return 0
        check_space(self.place, begun.space, given)
        begun = yield from self.claim(begun, given)
        yield from self.failed(begun, failed)
        return (yield from self.keep(begun, made))

    def finish(self, given: Space) -> Op[bool]:
        """Search a new space from now on, inside the caller's transaction, if each turn was tried; whether it is so."""
        yield from self.own()
        known = yield from self.known()
        begun, searched = _building(known, given), current(known)
        if begun is None:
            return True
        if (yield Query("SELECT 1 FROM {s}qwen_memory_missing WHERE space = %s AND tries = 0 LIMIT 1", (begun.id,))):
            return False
        if searched is not None:
            yield from self._drop(searched)
        yield Query("UPDATE {s}qwen_memory_spaces SET state = 'current' WHERE id = %s", (begun.id,))
        return True

    @staticmethod
    def _drop(one: Stored) -> Op[None]:
        yield Query(f"DROP TABLE IF EXISTS {table(one.id)}")
        yield Query("DELETE FROM {s}qwen_memory_spaces WHERE id = %s", (one.id,))


def _building(known: Iterable[Stored], given: Space) -> Stored | None:
    return next((one for one in known if one.state == "building" and one.space.name == given.name), None)


def _count_missing(space: int) -> Op[int]:
    rows = yield Query("SELECT count(*) FROM {s}qwen_memory_missing WHERE space = %s", (space,))
    return int(rows[0][0])


def _count_all() -> Op[int]:
    rows = yield Query("SELECT coalesce(sum(turns), 0)::bigint FROM {s}qwen_memory_threads")
    return int(rows[0][0])
