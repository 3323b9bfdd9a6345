"""The vectors of a Postgres archive, kept by pgvector: a table for each space, those that the same embeddings made.

One space is `current` and searched; while all vectors are made anew another is `building`, and then takes its place.
Which turns lack a vector in a space is written down in the transaction that adds the turn, so that each gets one once.
Spaces are changed under a lock that appends share, so that no turn slips in between.
"""

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, TypeVar

from langchain_qwen_memory.archive.base import root_key
from langchain_qwen_memory.archive.embedding import Space, check_space
from langchain_qwen_memory.archive.hybrid import HEALED, PATIENCE, Late
from langchain_qwen_memory.archive.postgres.ops import Op, Query, digest, lock_key, raw, text
from langchain_qwen_memory.archive.postgres.spaces import LISTED, Stored, current, kind, listed, literal, table
from langchain_qwen_memory.archive.stored import unpack
from langchain_qwen_memory.errors import ArchiveError, EmbeddingMismatchError

if TYPE_CHECKING:
    from langchain_qwen_memory.archive.embedding import Vectors

__all__ = ["LATE", "Spaces", "late_of"]

T = TypeVar("T")

LONGEST = 4_000
"""Numbers of a vector that a row holds at all."""
LATE = "SELECT t.id, t.key, t.body FROM {s}qwen_memory_missing m JOIN {s}qwen_memory_turns t ON t.id = m.turn "
REMEMBERED = 10_000
"""Users that are known to have vectors, so that their next question is embedded without asking first."""
_USER = "SELECT id FROM {s}qwen_memory_users WHERE digest = %(user)s"
_TRIED = LATE.replace("t.body", "t.body, m.tries") + f"WHERE m.space = %(space)s AND m.owner = ({_USER}) AND m.tries "
_OF_USER = (
    f"({_TRIED} = 0 ORDER BY m.turn LIMIT {HEALED}) UNION ALL "
    f"({_TRIED} BETWEEN 1 AND {PATIENCE - 1} ORDER BY m.tries, m.turn LIMIT 1)"
)
"""Turns of a user without a vector: those that were not tried yet, and of the others the one that comes next."""
_THERE = """
SELECT t.key FROM {s}qwen_memory_turns t JOIN {s}qwen_memory_threads h ON h.id = t.thread
WHERE h.root = %s AND t.key = ANY(%s)
"""
_TABLE = """
CREATE TABLE {table} (
    turn bigint PRIMARY KEY REFERENCES {s}qwen_memory_turns ON DELETE CASCADE, owner bigint NOT NULL,
    embedding {v}{kind}({dimension}) NOT NULL)
"""
_KEEP = """
WITH made AS (
    SELECT * FROM unnest(%s::bigint[], %s::bytea[], %s::text[]) made(turn, key, embedding)
), done AS (
    DELETE FROM {s}qwen_memory_missing m USING made, {s}qwen_memory_turns t
    WHERE m.space = %s AND m.turn = made.turn AND t.id = m.turn AND t.key = made.key
    RETURNING m.turn, m.owner, made.embedding
), kept AS (
    INSERT INTO {table} (turn, owner, embedding)
    SELECT turn, owner, embedding::{v}{kind} FROM done WHERE embedding IS NOT NULL ON CONFLICT DO NOTHING
)
SELECT count(*) FROM done
"""


class Spaces:
    """The operations on the spaces of one archive."""

    def __init__(self, place: str, schema: str, *, hnsw: bool) -> None:
        """Speak of the archive by its place; with `hnsw`, give each table of vectors such an index."""
        self.place = place
        self._lock = lock_key(schema, "spaces")
        self._hnsw = hnsw
        self.seen: list[Stored] | None = None
        self._having: set[tuple[bytes, int]] = set()

    def known(self) -> Op[list[Stored]]:
        """All spaces."""
        rows = yield Query(LISTED)
        return listed(rows[0][0])

    def fitting(self, known: Sequence[Stored], given: Space) -> list[Stored]:
        """The spaces that vectors of these embeddings belong to; none if nobody's vectors are there yet.

        Raises:
            EmbeddingMismatchError: the archive holds vectors, and these are of other embeddings.
        """
        fitting, refused = [], None
        for one in known:
            try:
                check_space(self.place, one.space, given)
                fitting.append(one)
            except EmbeddingMismatchError as error:
                refused = error if one.state == "current" and one.space.dimension else refused
        if refused and not fitting:
            raise refused
        return fitting

    def seen_by(self, embedded: "Callable[[list[Stored]], T]") -> Op[tuple[list[Stored], T]]:
        """What a function says of the spaces as they were seen last; as they are now if none was searched or none fits.

        Raises:
            EmbeddingMismatchError: these do not either.
        """
        if self.seen and current(self.seen):
            with suppress(EmbeddingMismatchError):
                return self.seen, embedded(self.seen)
        self.seen = yield from self.known()
        return self.seen, embedded(self.seen)

    def share(self) -> Op[None]:
        """Keep the spaces as they are to the end of the transaction."""
        yield Query("SELECT pg_advisory_xact_lock_shared(%s)", (self._lock,))

    def own(self) -> Op[None]:
        """Keep all others from the spaces to the end of the transaction."""
        yield Query("SELECT pg_advisory_xact_lock(%s)", (self._lock,))

    def accept(self, given: Space) -> Op[list[Stored]]:
        """The spaces that vectors of these embeddings are stored in; made if nobody's vectors are there yet."""
        fitting = (yield from self.seen_by(lambda known: self._ready(known, given)))[1]
        if fitting is None:
            self.seen = yield from self.known()
            fitting = self._ready(self.seen, given)
        if fitting is not None:
            yield from self.share()
            self.seen = yield from self.known()
            fitting = self._ready(self.seen, given)
        if fitting is None:
            self.seen = None  # what is made now may be undone
            yield from self.own()
            fitting = yield from self._prepare(given)
        return fitting

    def _ready(self, known: Sequence[Stored], given: Space) -> list[Stored] | None:
        """The fitting spaces if nothing has to be made or named first."""
        fitting = self.fitting(known, given)
        unnamed = any(given.dimension and one.space.dimension is None for one in fitting)
        return None if unnamed or not fitting else fitting

    def _prepare(self, given: Space) -> Op[list[Stored]]:
        known = yield from self.known()
        fitting = self.fitting(known, given)
        searched = current(known)
        if searched is None and not fitting:
            fitting.append((yield from self.make(given, "current")))
        elif searched is not None and searched.space.dimension is None and searched not in fitting:
            fitting.append(searched)
        for place, one in enumerate(fitting):
            fitting[place] = yield from self.claim(one, given)
        return fitting

    def make(self, given: Space, state: str) -> Op[Stored]:
        """A new space, in which each turn of the archive lacks a vector."""
        rows = yield Query(
            "INSERT INTO {s}qwen_memory_spaces (name, state) VALUES (%s, %s) RETURNING id", (given.name, state)
        )
        number = int(rows[0][0])
        yield Query(
            "INSERT INTO {s}qwen_memory_missing (space, turn, owner) SELECT %s, id, owner FROM {s}qwen_memory_turns",
            (number,),
        )
        return Stored(number, Space(name=given.name), state)

    def claim(self, one: Stored, given: Space) -> Op[Stored]:
        """Write down whose vectors a space holds, and make their table, once that is known."""
        if one.space.dimension is not None:
            return one
        if given.dimension is not None:
            yield from self._make_table(one.id, given.dimension)
        yield Query(
            "UPDATE {s}qwen_memory_spaces SET name = %s, dimension = %s WHERE id = %s",
            (given.name, given.dimension, one.id),
        )
        return one._replace(space=given)

    def _make_table(self, number: int, dimension: int) -> Op[None]:
        if dimension > LONGEST:
            raise ArchiveError(
                f"the archive {self.place} takes vectors of at most {LONGEST:,} numbers, not {dimension:,}; "
                "give the embeddings fewer dimensions"
            )
        made = _TABLE.replace("{table}", table(number)).replace("{kind}", kind(dimension))
        yield Query(made.replace("{dimension}", str(dimension)))
        yield Query(f"ALTER TABLE {table(number)} ALTER embedding SET STORAGE PLAIN")
        yield Query(f"CREATE INDEX qwen_memory_vectors_{number}_owner ON {table(number)} (owner)")
        if self._hnsw:
            yield from self.make_index(number, dimension)

    def make_index(self, number: int, dimension: int) -> Op[None]:
        """Give a table of vectors its HNSW index, unless it has it."""
        yield Query(
            f"CREATE INDEX IF NOT EXISTS qwen_memory_vectors_{number}_near ON {table(number)} "
            f"USING hnsw (embedding {{v}}{kind(dimension)}_cosine_ops)"
        )

    def keep(self, one: Stored, made: Mapping[Late, "Vectors | None"]) -> Op[int]:
        """Store vectors of turns, None for one that needs none; how many turns are done with that were not before."""
        if not made:
            return 0
        if one.space.dimension is None:  # no vector is among these, for a vector has a length
            statement = _KEEP.replace("    INSERT INTO {table} (turn, owner, embedding)\n", "").replace(
                "SELECT turn, owner, embedding::{v}{kind} FROM done WHERE embedding IS NOT NULL ON CONFLICT DO NOTHING",
                "SELECT 1",
            )
        else:
            statement = _KEEP.replace("{table}", table(one.id)).replace("{kind}", kind(one.space.dimension))
        written = [None if vector is None else literal(vector) for vector in made.values()]
        rows = yield Query(
            statement, ([late.number for late in made], [raw(late.key) for late in made], written, one.id)
        )
        return int(rows[0][0])

    def failed(self, one: Stored, late: Sequence[Late]) -> Op[None]:
        """Count a failure of turns, so that others are tried before them."""
        if late:
            query = "UPDATE {s}qwen_memory_missing SET tries = tries + 1 WHERE space = %s AND turn = ANY(%s)"
            yield Query(query, (one.id, [other.number for other in late]))

    def wanted(self, user: str, thread: str, keys: Sequence[str], given: Space) -> Op[tuple[set[str], list[Late]]]:
        """Which of these keys are stored already, and which stored turns of the user lack a vector."""
        known, _ = yield from self.seen_by(lambda known: self.fitting(known, given))
        rows = yield Query(_THERE, (raw(root_key(user, thread)), [raw(key) for key in keys]))
        there = {text(row[0]) for row in rows}
        searched = current(known)
        if searched is None:
            return there, []
        rows = yield Query(_OF_USER, {"space": searched.id, "user": digest(user)})
        untried = [row for row in rows if not row[3]]
        return there, [late_of(*row[:3]) for row in untried or rows]

    def comparable(self, user: str, given: Space) -> Op[bool]:
        """Whether a user has vectors that a question's vector can be compared with.

        Who had some is not asked for again: that they are gone costs one embedding, and the search says what is there.
        """
        if any((digest(user), one.id) in self._having and one.space.name == given.name for one in self.seen or ()):
            return True
        self.seen = yield from self.known()
        searched = current(self.fitting(self.seen, given))
        if searched is None or searched.space.dimension is None:
            return False
        held = f"SELECT EXISTS (SELECT FROM {table(searched.id)} WHERE owner = ({_USER}))"  # noqa: S608 - a number
        rows = yield Query(held, {"user": digest(user)})
        if rows[0][0]:
            self._having = self._having if len(self._having) < REMEMBERED else set()
            self._having.add((digest(user), searched.id))
        return bool(rows[0][0])


def late_of(number: int, key: bytes, body: bytes) -> Late:
    """A turn without a vector, from its row."""
    return Late(number, text(key), unpack(body)[1])
