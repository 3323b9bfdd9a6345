"""Searches a SQLite archive: gathers what words and vectors say of each turn, and picks the best."""

import sqlite3
from collections.abc import Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any, NamedTuple

from langchain_qwen_memory.archive.batch import Question
from langchain_qwen_memory.archive.finding.fulltext import query_words
from langchain_qwen_memory.archive.finding.fusion import Candidates, fused
from langchain_qwen_memory.archive.finding.ranking import leaders
from langchain_qwen_memory.archive.sqlite import postings, rows
from langchain_qwen_memory.archive.sqlite.partitions import Partition
from langchain_qwen_memory.archive.turn import Hit

if TYPE_CHECKING:
    import numpy.typing as npt

    from langchain_qwen_memory.archive.embedding import Vectors
    from langchain_qwen_memory.archive.finding.ranking import Flags, Integers

    Table = npt.NDArray[Any]

__all__ = ["Near", "hits"]

_FORKS = """
SELECT b.id, b.parent, b.fork_position FROM qwen_memory_branches b
JOIN qwen_memory_threads h ON h.id = b.thread WHERE h.user = ?
"""
_PERIOD = """
SELECT t.id FROM qwen_memory_threads h JOIN qwen_memory_turns t ON t.thread = h.id
WHERE h.user = ? AND (?2 < 0 OR h.id = ?2) AND t.at >= ? AND t.at < ?
"""


class Near(NamedTuple):
    """A question's vector and the vectors it is compared with."""

    vector: "Vectors"
    partition: Partition


def hits(db: sqlite3.Connection, question: Question, near: Near | None) -> list[Hit]:
    """The best turns for a question, inside one transaction that the caller opened."""
    import numpy as np

    place = rows.find(db, question.user, question.thread)
    reach = _reach(db, place, question)
    table, reached, lexical = postings.scored(db, place.user, query_words(question.query), reach)
    numbers = table["turn"].astype("int64")
    candidates = _narrowed(
        Candidates(
            ids=numbers,
            lexical=lexical,
            dense=None if near is None else near.partition.cosines(near.vector, numbers),
            inside=_inside(db, place, numbers, question),
            previous=_previous(table, db.execute(_FORKS, (place.user,)).fetchall()),
        ),
        reached,
    )
    scores = np.asarray(fused(candidates), dtype=np.float64)
    best = leaders(scores, candidates.ids, question.limit + len(question.exclude))
    return _chosen(db, question, candidates, [(row, float(scores[row])) for row in best])


def _reach(db: sqlite3.Connection, place: rows.Place, question: Question) -> Sequence[tuple[int, int]]:
    if question.thread is not None:
        return rows.lineage(db, place, question.heads.get(question.thread))
    reach = dict(rows.reach(db, place))
    for name, head in question.heads.items():
        place = rows.find(db, question.user, name)
        for branch, _ in rows.lineage(db, place, None):
            del reach[branch]
        reach.update(rows.lineage(db, place, head))
    return list(reach.items())


def _inside(db: sqlite3.Connection, place: rows.Place, numbers: "Integers", question: Question) -> "Flags | None":
    """Which turns stand in one of the periods."""
    import numpy as np

    if not question.periods:
        return None
    thread = -1 if question.thread is None else place.thread
    found = [row[0] for period in question.periods for row in db.execute(_PERIOD, (place.user, thread, *period))]
    return np.isin(numbers, np.array(found, dtype=np.int64))


def _previous(table: "Table", forks: Sequence[tuple[int, int | None, int]]) -> "Integers":
    """The row of each turn's parent, -1 for the first turn of a thread.

    A turn's parent stands before it on its branch; the first of a branch has it where the branch was forked.
    """
    import numpy as np

    places = (table["branch"].astype(np.int64) << 32) + table["position"]
    rising = bool((places[1:] > places[:-1]).all())  # as of one thread without forks
    order = np.arange(len(places)) if rising else np.argsort(places, kind="stable")
    ordered = places if rising else places[order]
    previous = np.full(len(table), -1, dtype=np.int64)
    follows = np.flatnonzero((ordered[1:] - ordered[:-1] == 1) & (table["position"][order[1:]] > 0)) + 1
    previous[order[follows]] = order[follows - 1]
    starts = [((branch << 32) + at + 1, (parent << 32) + at) for branch, parent, at in forks if parent is not None]
    if starts and len(table):
        first, last = np.array(starts, dtype=np.int64).T
        rows, parents = (np.minimum(np.searchsorted(ordered, one), len(ordered) - 1) for one in (first, last))
        there = (ordered[rows] == first) & (ordered[parents] == last)
        previous[order[rows[there]]] = order[parents[there]]
    return previous


def _narrowed(candidates: Candidates, reached: "Flags") -> Candidates:
    """The candidates that lie on the lineages searched."""
    import numpy as np

    if reached.all():
        return candidates
    kept = np.flatnonzero(reached)
    moved = np.full(len(reached) + 1, -1, dtype=np.int64)
    moved[kept] = np.arange(len(kept))
    previous = candidates.previous
    return Candidates(
        ids=candidates.ids[kept],
        lexical=candidates.lexical[kept],
        dense=None if candidates.dense is None else candidates.dense[kept],
        inside=None if candidates.inside is None else candidates.inside[kept],
        previous=None if previous is None else moved[previous[kept]],
    )


def _chosen(
    db: sqlite3.Connection, question: Question, candidates: Candidates, best: Sequence[tuple[int, float]]
) -> list[Hit]:
    """The best turns that are not excluded, read, with their neighbours if these are asked for."""
    chosen: list[Hit] = []
    left = iter(best)
    while part := list(islice(left, question.limit - len(chosen))):
        around = {row: _around(candidates, row, question) for row, _ in part}
        read = {*around, *(other for pair in around.values() for other in pair)} - {-1}
        ids = {row: int(candidates.ids[row]) for row in sorted(read)}
        found = rows.by_number(db, question.user, [*ids.values()])
        turns = {row: found[number] for row, number in ids.items()}
        for row, score in part:
            if turns[row].key not in question.exclude:
                before, after = around[row]
                chosen.append(Hit(turn=turns[row], score=score, before=turns.get(before), after=turns.get(after)))
    return chosen


def _around(candidates: Candidates, row: int, question: Question) -> tuple[int, int]:
    """Rows of the turns before and after one, -1 where there is none or none is asked for."""
    import numpy as np

    previous = candidates.previous
    if not question.neighbours or previous is None:
        return -1, -1
    if row + 1 < len(previous) and previous[row + 1] == row:  # nearly always: a turn has a lower number than its next
        return int(previous[row]), row + 1
    following = np.flatnonzero(previous == row)[:1]
    return int(previous[row]), int(following[0]) if len(following) else -1
