"""Searches a Postgres archive: gathers what words and vectors say of each turn, and picks the best.

The database tells which of a user's turns hold which word how often, and how near each vector is; it packs each answer
into one value, which is read as an array here. The scores are made from them as in every archive. A search takes two
statements: one that asks, one that reads the turns found.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from langchain_qwen_memory.archive.base import Hit
from langchain_qwen_memory.archive.finding.fusion import Candidates, fused
from langchain_qwen_memory.archive.finding.ranking import bm25, in_reach, leaders
from langchain_qwen_memory.archive.hybrid import Question
from langchain_qwen_memory.archive.postgres.asking import FOUND_NEAR, Near, Told, ask, owner_of, places
from langchain_qwen_memory.archive.postgres.mentions import Scale, postings, rows_of
from langchain_qwen_memory.archive.postgres.ops import Op, Query, digest, raw
from langchain_qwen_memory.archive.postgres.places import Held, Kept
from langchain_qwen_memory.archive.postgres.rows import TURNS, found_turn
from langchain_qwen_memory.archive.postgres.spaces import Stored

if TYPE_CHECKING:
    import numpy.typing as npt

    from langchain_qwen_memory.archive.finding.ranking import Flags, Floats, Integers

    Table = npt.NDArray[Any]

__all__ = ["Near", "hits"]

AHEAD = 200
"""Turns that are compared, with two on each side, where the index has told the nearest alone."""
_BEST = f"""
WITH best AS (
    SELECT asked.turn, asked.before, asked.after
    FROM unnest(%s::bigint[], %s::bigint[], %s::bigint[]) WITH ORDINALITY asked(turn, before, after, place)
    JOIN {{s}}qwen_memory_turns t ON t.id = asked.turn WHERE t.key <> ALL(%s::bytea[]) ORDER BY place LIMIT %s)
{TURNS} WHERE t.id IN (SELECT turn FROM best UNION SELECT before FROM best UNION SELECT after FROM best)
"""  # noqa: S608


def hits(question: Question, near: Near | None, kept: Kept, scale: Scale) -> Op[tuple[list[Hit], list[Stored] | None]]:
    """The best turns for a question, and the spaces of vectors there were; None where nothing was asked of them."""
    import numpy as np

    yield from scale.learn()
    held, told = yield from _told(question, near, kept)
    if told is None:
        return [], None
    candidates = yield from _candidates(question, near, held, told, scale)
    if not len(candidates.ids):
        return [], told.spaces
    scores = np.asarray(fused(candidates), dtype=np.float64)
    best = leaders(scores, candidates.ids, question.limit + len(question.exclude))
    chosen = yield from _chosen(question, candidates, [(row, float(scores[row])) for row in best])
    return chosen, told.spaces


def _told(question: Question, near: Near | None, kept: Kept) -> Op[tuple[Held, Told | None]]:
    """The places of a user's turns as they are now, and what the server says of them; None: there is no such user."""
    user = digest(question.user)
    held = kept.get(user)
    while True:
        anew = held is None
        if held is None:
            owner = yield from owner_of(question.user)
            if owner is None:
                return Held.of(0), None
            held = yield from places(owner)
        told = yield from ask(question, held, near)
        if told.places:
            held = Held.of(held.owner, told.places, held)
        # What is read anew may lack a turn of this moment, with a lower number: that one is found next time.
        if told.owner == held.owner and (anew or held.has_all(told.threads)):
            kept.put(user, held)
            return held, told
        kept.put(user, None)  # turns were forgotten, or one came late that has a lower number than one held
        held = None


def _candidates(question: Question, near: Near | None, held: Held, told: Told, scale: Scale) -> Op[Candidates]:
    import numpy as np

    lineages = np.frombuffer(told.reach or b"", dtype=[("branch", ">i8"), ("last", ">i4")]).tolist()
    table, order = held.table, held.order
    reached = in_reach(table["branch"], table["position"], lineages)
    if not reached.all():
        table = table[reached]
        order = np.argsort(table["turn"])
    numbers = table["turn"]
    mentions = postings(told.words or [], numbers, order, scale)
    candidates = Candidates(
        ids=numbers,
        lexical=bm25(table["length"].astype(np.int64), np.ones(len(table), dtype=np.bool_), mentions),
        dense=None if near is None else _cosines(told.dense, numbers, order),
        inside=_inside(table["at"], question.periods),
        previous=_previous(table),
    )
    if near is not None and near.asks_index(len(held.table)):
        return replace(candidates, dense=(yield from _filled(candidates, near, order)))
    return candidates


def _cosines(packed: bytes | None, numbers: "Integers", order: "Integers") -> "Floats":
    """The cosine of each candidate to the question; nan for one without a vector, or that was not compared."""
    import numpy as np

    told = np.frombuffer(packed or b"", dtype=[("turn", ">i8"), ("cosine", ">f8")])
    known, rows = rows_of(told["turn"].astype(np.int64), numbers, order)
    cosines = np.full(len(numbers), np.nan)
    cosines[rows] = told["cosine"][known]
    return cosines


def _filled(candidates: Candidates, near: Near, order: "Integers") -> Op["Floats"]:
    """The cosines of all candidates, where the index has told those of the nearest.

    Who is ahead by what is known so far is compared too, with those beside, as a turn gains by them; and some of all,
    evenly: the rest is as near as these are on average. So words and vectors weigh what they weigh in an exact search.
    """
    import numpy as np

    nearest, numbers = candidates.dense, candidates.ids
    assert nearest is not None
    told = ~np.isnan(nearest)
    so_far = np.where(told, nearest, nearest[told].min() if told.any() else np.nan)
    scores = np.asarray(fused(replace(candidates, dense=so_far)), dtype=np.float64)
    ahead = leaders(scores, numbers, AHEAD)
    beside = np.add.outer(np.array(ahead, dtype=np.int64), np.arange(-2, 3)).ravel()
    some = order[:: max(len(order) // FOUND_NEAR, 1)]
    asked = np.union1d(some, beside[(beside >= 0) & (beside < len(numbers))])
    cosines = _cosines((yield from near.of_turns(numbers[asked].tolist())), numbers, order)
    known = cosines[some][~np.isnan(cosines[some])]
    cosines = np.where(np.isnan(cosines), nearest, cosines)
    return np.where(np.isnan(cosines), known.mean() if len(known) else np.nan, cosines)


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
    if not best:
        return []
    numbers = candidates.ids
    around = [_around(candidates, row) if question.neighbours else (-1, -1) for row, _ in best]
    asked = [[int(numbers[row]) if row >= 0 else -1 for row in rows]
             for rows in ([row for row, _ in best], *zip(*around, strict=True))]  # fmt: skip
    unwanted = {raw(key) for key in question.exclude}
    stored = yield Query(_BEST, (*asked, [*unwanted], question.limit))
    turns = {row[0]: found_turn(question.user, row) for row in stored}
    excluded = {row[0] for row in stored if row[1] in unwanted}
    found = [  # one that is not there was excluded, or forgotten while this search was running
        Hit(turn=turns[turn], score=score, before=turns.get(before), after=turns.get(after))
        for turn, before, after, (_, score) in zip(*asked, best, strict=True)
        if turn in turns and turn not in excluded
    ]
    return found[: question.limit]


def _around(candidates: Candidates, row: int) -> tuple[int, int]:
    """Rows of the turns before and after one in its lineage, -1 where there is none."""
    previous = candidates.previous
    assert previous is not None
    after = row + 1 if row + 1 < len(previous) and previous[row + 1] == row else -1
    return int(previous[row]), after
