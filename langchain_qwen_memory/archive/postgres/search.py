"""Searches a Postgres archive: gathers what words and vectors say of each turn, and picks the best.

The database tells which of a user's turns hold which word how often, and how near each vector is; it packs each answer
into one value, which is read as an array here. The scores are made from them as in every archive.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from langchain_qwen_memory.archive.base import Hit, Turn, root_key
from langchain_qwen_memory.archive.finding.fusion import Candidates, fused
from langchain_qwen_memory.archive.finding.ranking import bm25, in_reach, leaders
from langchain_qwen_memory.archive.hybrid import Question
from langchain_qwen_memory.archive.postgres.mentions import Scale, postings, rows_of
from langchain_qwen_memory.archive.postgres.ops import Op, Query, digest, raw
from langchain_qwen_memory.archive.postgres.rows import TURNS, to_turn
from langchain_qwen_memory.archive.postgres.vectors import Stored, kind, literal, table

if TYPE_CHECKING:
    import numpy.typing as npt

    from langchain_qwen_memory.archive.embedding import Vectors
    from langchain_qwen_memory.archive.finding.ranking import Flags, Floats, Integers

    Table = npt.NDArray[Any]

__all__ = ["Near", "hits"]

FOUND_NEAR = 400
"""Turns that an HNSW index is asked for; fusion takes the others for as far away as the last of them."""

_REACH = """
WITH RECURSIVE line(branch, last) AS (
    SELECT h.head_branch, h.head_position FROM {s}qwen_memory_threads h
    WHERE h.owner = (SELECT id FROM {s}qwen_memory_users WHERE digest = %(user)s) AND h.turns > 0
        AND (%(root)s::bytea IS NULL OR h.root = %(root)s) AND h.root <> ALL(%(roots)s::bytea[])
    UNION ALL
    SELECT t.branch, t.position FROM unnest(%(roots)s::bytea[], %(keys)s::bytea[]) meant(root, key)
    JOIN {s}qwen_memory_threads h ON h.root = meant.root AND (%(root)s::bytea IS NULL OR h.root = %(root)s)
    JOIN {s}qwen_memory_turns t ON t.thread = h.id AND t.key = meant.key
    UNION ALL
    SELECT b.parent, b.fork_position
    FROM line JOIN {s}qwen_memory_branches b ON b.id = line.branch WHERE b.parent IS NOT NULL)
SELECT (SELECT id FROM {s}qwen_memory_users WHERE digest = %(user)s),
    (SELECT id FROM {s}qwen_memory_threads WHERE root = %(root)s),
    (SELECT string_agg(int8send(branch) || int4send(last), ''::bytea) FROM line)
"""
_PLACES = """
SELECT string_agg(int8send(id) || int8send(thread) || int8send(branch) || int4send(position) || int4send(length)
    || float8send(at), ''::bytea) FROM {s}qwen_memory_turns WHERE owner = %s AND (%s::bigint IS NULL OR thread = %s)
"""
_PLACE = [
    ("turn", ">i8"),
    ("thread", ">i8"),
    ("branch", ">i8"),
    ("position", ">i4"),
    ("length", ">i4"),
    ("at", ">f8"),
]
_EXACT = """
SELECT string_agg(int8send(turn) || float8send(1 - (embedding OPERATOR({v}<=>) %s::{v}{kind})), ''::bytea)
FROM {table} WHERE owner = %s
"""
_NEAREST = """
SELECT string_agg(int8send(turn) || float8send(1 - away), ''::bytea) FROM (
    SELECT turn, embedding OPERATOR({v}<=>) %s::{v}{kind} AS away
    FROM {table} WHERE owner = %s ORDER BY away LIMIT %s) nearest
"""


@dataclass(frozen=True, kw_only=True, slots=True)
class Near:
    """A question's vector and where it is compared."""

    vector: "Vectors"
    """float32, of unit length."""
    space: Stored
    """Whose table it is compared with; its dimension is known."""
    exact_up_to: int | None = None
    """Turns of a user up to which each is compared; of more, the nearest are asked of the index. None: no index."""


def hits(question: Question, near: Near | None, scale: Scale) -> Op[list[Hit]]:
    """The best turns for a question."""
    import numpy as np

    yield from scale.learn()
    owner, thread, reach = yield from _reach(question)
    if not reach:
        return []
    rows = yield Query(_PLACES, (owner, thread, thread))
    places = np.frombuffer(rows[0][0] or b"", dtype=_PLACE)
    places = places[in_reach(places["branch"].astype(np.int64), places["position"], reach)]
    places = places[np.lexsort((places["position"], places["thread"]))]
    numbers = places["turn"].astype(np.int64)
    order = np.argsort(numbers)
    mentions = yield from postings(owner, question, numbers, order, scale)
    dense = None if near is None else (yield from _cosines(owner, near, numbers, order))
    lengths = places["length"].astype(np.int64)
    candidates = Candidates(
        ids=numbers,
        lexical=bm25(lengths, np.ones(len(places), dtype=np.bool_), mentions),
        dense=dense,
        inside=_inside(places["at"].astype(np.float64), question.periods),
        previous=_previous(places),
    )
    scores = np.asarray(fused(candidates), dtype=np.float64)
    best = leaders(scores, numbers, question.limit + len(question.exclude))
    return (yield from _chosen(question, candidates, [(row, float(scores[row])) for row in best]))


def _reach(question: Question) -> Op[tuple[int, int | None, list[tuple[int, int]]]]:
    """The numbers of user and thread, and the lineages searched as (branch, last position on it)."""
    import numpy as np

    heads = {raw(root_key(question.user, name)): raw(head) for name, head in question.heads.items()}
    root = None if question.thread is None else raw(root_key(question.user, question.thread))
    values = {"user": digest(question.user), "root": root, "roots": [*heads], "keys": [*heads.values()]}
    rows = yield Query(_REACH, values)
    owner, thread, packed = rows[0]
    reach = np.frombuffer(packed or b"", dtype=[("branch", ">i8"), ("last", ">i4")])
    return owner, thread, list(zip(reach["branch"].tolist(), reach["last"].tolist(), strict=True))


def _cosines(owner: int, near: Near, numbers: "Integers", order: "Integers") -> Op["Floats"]:
    """The cosine of each candidate to the question; nan for one without a vector."""
    import numpy as np

    assert near.space.space.dimension is not None
    nearest = near.exact_up_to is not None and len(numbers) > near.exact_up_to
    statement = _NEAREST if nearest else _EXACT
    statement = statement.replace("{table}", table(near.space.id)).replace("{kind}", kind(near.space.space.dimension))
    if nearest:
        yield Query("BEGIN")
        yield Query("SET LOCAL hnsw.iterative_scan = relaxed_order")
        yield Query(f"SET LOCAL hnsw.ef_search = {FOUND_NEAR}")
        rows = yield Query(statement, (literal(near.vector), owner, FOUND_NEAR))
        yield Query("COMMIT")
    else:
        rows = yield Query(statement, (literal(near.vector), owner))
    told = np.frombuffer(rows[0][0] or b"", dtype=[("turn", ">i8"), ("cosine", ">f8")])
    known, places = rows_of(told["turn"].astype(np.int64), numbers, order)
    cosines = np.full(len(numbers), told["cosine"].min() if nearest and len(told) else np.nan)
    cosines[places] = told["cosine"][known]
    return cosines


def _inside(at: "Floats", periods: Sequence[tuple[float, float]]) -> "Flags | None":
    """Which turns stand in one of the periods."""
    import numpy as np

    if not periods:
        return None
    within = [(start <= at) & (at < end) for start, end in periods]
    return np.asarray(np.logical_or.reduce(within))


def _previous(places: "Table") -> "Integers":
    """The row before each in its lineage, -1 for the first of a thread; rows are in order of thread and position."""
    import numpy as np

    before = np.arange(len(places)) - 1
    if len(places):
        before[1:][places["thread"][1:] != places["thread"][:-1]] = -1
    return before


def _chosen(question: Question, candidates: Candidates, best: Sequence[tuple[int, float]]) -> Op[list[Hit]]:
    """The best turns that are not excluded, read, with their neighbours if these are asked for."""
    assert candidates.previous is not None
    rows = yield from _read([int(candidates.ids[row]) for row, _ in best])
    unwanted = {raw(key) for key in question.exclude}
    kept: list[tuple[int, float, Turn]] = []
    for row, score in best:
        stored = rows.get(int(candidates.ids[row]))  # None: forgotten while this search was running
        if stored is not None and stored[1] not in unwanted and len(kept) < question.limit:
            kept.append((row, score, to_turn(question.user, stored)))
    if not question.neighbours:
        return [Hit(turn=turn, score=score) for _, score, turn in kept]
    previous = candidates.previous
    around = {row: (int(previous[row]), row + 1 if row + 1 < len(previous) and previous[row + 1] == row else -1)
              for row, _, _ in kept}  # fmt: skip
    rows |= yield from _read([int(candidates.ids[row]) for pair in around.values() for row in pair if row >= 0])

    def turn_at(row: int) -> Turn | None:
        stored = rows.get(int(candidates.ids[row])) if row >= 0 else None
        return None if stored is None else to_turn(question.user, stored)

    return [
        Hit(turn=turn, score=score, before=turn_at(around[row][0]), after=turn_at(around[row][1]))
        for row, score, turn in kept
    ]


def _read(numbers: Sequence[int]) -> Op[dict[int, Any]]:
    """The stored rows of turns by their number."""
    rows = (yield Query(f"{TURNS} WHERE t.id = ANY(%s)", (list(numbers),))) if numbers else []
    return {row[0]: row for row in rows}
