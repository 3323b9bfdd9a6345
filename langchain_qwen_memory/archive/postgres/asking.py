"""Asks a Postgres server all that a search needs to know, in one statement and so of one state of the database."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from langchain_qwen_memory.archive.base import root_key
from langchain_qwen_memory.archive.hybrid import Question
from langchain_qwen_memory.archive.postgres.mentions import lexemes, mentioned
from langchain_qwen_memory.archive.postgres.ops import Op, Query, digest, raw
from langchain_qwen_memory.archive.postgres.places import PLACE, Held
from langchain_qwen_memory.archive.postgres.spaces import LISTED, Stored, kind, listed, literal, table

if TYPE_CHECKING:
    from langchain_qwen_memory.archive.embedding import Vectors

__all__ = ["FOUND_NEAR", "Near", "Told", "ask", "owner_of", "places"]

FOUND_NEAR = 400
"""Turns that an HNSW index is asked for, and as many that are compared to know the rest by."""

_LINE = """
line(branch, last) AS (
    SELECT h.head_branch, h.head_position FROM {s}qwen_memory_threads h
    WHERE h.owner = %(owner)s AND h.turns > 0
        AND (%(root)s::bytea IS NULL OR h.root = %(root)s) AND h.root <> ALL(%(roots)s::bytea[])
    UNION ALL
    SELECT t.branch, t.position FROM unnest(%(roots)s::bytea[], %(keys)s::bytea[]) meant(root, key)
    JOIN {s}qwen_memory_threads h ON h.root = meant.root AND (%(root)s::bytea IS NULL OR h.root = %(root)s)
    JOIN {s}qwen_memory_turns t ON t.thread = h.id AND t.key = meant.key
    UNION ALL
    SELECT b.parent, b.fork_position
    FROM line JOIN {s}qwen_memory_branches b ON b.id = line.branch WHERE b.parent IS NOT NULL)
"""
_EXACT = """
(SELECT string_agg(int8send(turn) || float8send(1 - (embedding OPERATOR({v}<=>) %(vector)s::{v}{kind})), ''::bytea)
FROM {table} WHERE owner = %(owner)s)
"""
_NEAREST = f"""
(SELECT string_agg(int8send(turn) || float8send(1 - away), ''::bytea) FROM (
    SELECT turn, embedding OPERATOR({{v}}<=>) %(vector)s::{{v}}{{kind}} AS away FROM {{table}}
    WHERE owner = %(owner)s AND (SELECT set_config('hnsw.iterative_scan', 'relaxed_order', true)
        || set_config('hnsw.ef_search', '{FOUND_NEAR}', true)) IS NOT NULL
    ORDER BY away LIMIT {FOUND_NEAR}) nearest)
"""  # noqa: S608
"""The condition sets what the index reads when it is first asked, for this statement alone."""
_OF_TURNS = _EXACT.replace("owner = %(owner)s", "turn = ANY(%(turns)s)").replace("(SELECT", "SELECT", 1).rstrip()[:-1]
_ASK = f"""
WITH RECURSIVE {_LINE}, {{asked}}
SELECT (SELECT id FROM {{s}}qwen_memory_users WHERE digest = %(user)s),
    (SELECT string_agg(int8send(id) || int4send(turns), ''::bytea) FROM {{s}}qwen_memory_threads
        WHERE owner = %(owner)s AND turns > 0),
    (SELECT string_agg(int8send(branch) || int4send(last), ''::bytea) FROM line),
    (SELECT string_agg({PLACE}, ''::bytea) FROM {{s}}qwen_memory_turns
        WHERE owner = %(owner)s AND id > %(newest)s),
    {{mentions}}, {{dense}}, ({LISTED})
"""  # noqa: S608
_PLACES = f"SELECT string_agg({PLACE}, ''::bytea) FROM {{s}}qwen_memory_turns WHERE owner = %s"  # noqa: S608


@dataclass(frozen=True, kw_only=True, slots=True)
class Near:
    """A question's vector and where it is compared."""

    vector: "Vectors"
    """float32, of unit length."""
    space: Stored
    """Whose table it is compared with; its dimension is known."""
    exact_up_to: int | None = None
    """Turns of a user up to which each is compared; of more, the nearest are asked of the index. None: no index."""

    def asks_index(self, turns: int) -> bool:
        """Whether the index is asked among so many turns."""
        return self.exact_up_to is not None and turns > self.exact_up_to

    def statement(self, turns: int) -> str:
        """The part of the statement that compares."""
        return self._written(_NEAREST if self.asks_index(turns) else _EXACT)

    def of_turns(self, turns: Sequence[int]) -> Op[bytes | None]:
        """These turns and their cosines."""
        values = {"vector": literal(self.vector), "turns": [*turns]}
        packed: bytes | None = (yield Query(self._written(_OF_TURNS), values))[0][0]
        return packed

    def _written(self, statement: str) -> str:
        assert self.space.space.dimension is not None
        return statement.replace("{table}", table(self.space.id)).replace("{kind}", kind(self.space.space.dimension))


class Told(NamedTuple):
    """What the server says of a question."""

    owner: int | None
    """The user's number now; another one than was asked with: all of this is nobody's."""
    threads: bytes | None
    """Number of each thread of the user, and how many turns it has."""
    reach: bytes | None
    """The lineages searched as (branch, last position on it)."""
    places: bytes | None
    """Places of the turns that came since."""
    words: list[bytes | None] | None
    """Mentions of each word of the question."""
    dense: bytes | None
    """Turns and their cosines."""
    spaces: list[Stored]
    """All spaces of vectors."""


def owner_of(user: str) -> Op[int | None]:
    """The number of a user, None for nobody."""
    rows = yield Query("SELECT id FROM {s}qwen_memory_users WHERE digest = %s", (digest(user),))
    return rows[0][0] if rows else None


def ask(question: Question, held: Held, near: Near | None) -> Op[Told]:
    """Ask for all that is not held."""
    heads = {raw(root_key(question.user, name)): raw(head) for name, head in question.heads.items()}
    values: dict[str, Any] = {
        "user": digest(question.user),
        "owner": held.owner,
        "root": None if question.thread is None else raw(root_key(question.user, question.thread)),
        "roots": [*heads],
        "keys": [*heads.values()],
        "newest": held.newest,
        "words": lexemes(held.owner, question.query),
    }
    dense = "NULL::bytea"
    if near is not None:
        dense = near.statement(len(held.table))
        values["vector"] = literal(near.vector)
    asked, mentions = mentioned(len(values["words"]), len(held.table))
    statement = _ASK.replace("{asked}", asked).replace("{mentions}", mentions).replace("{dense}", dense)
    # A general plan goes by users of average length, of whose turns each is compared: no plan for the index is kept.
    rows = yield Query(statement, values, False if near and near.asks_index(len(held.table)) else None)
    *told, spaces = rows[0]
    return Told._make((*told, listed(spaces)))


def places(owner: int) -> Op[Held]:
    """The places of all turns of a user, read anew."""
    rows = yield Query(_PLACES, (owner,))
    return Held.of(owner, rows[0][0])
