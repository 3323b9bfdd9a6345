"""Ranks what an index found by the archive's own formulas, as far as the index let all candidates through."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from langchain_qwen_memory.archive.batch import Question
from langchain_qwen_memory.archive.embedding import DIGITS
from langchain_qwen_memory.archive.finding.fusion import Candidates, fused
from langchain_qwen_memory.archive.finding.ranking import Postings, bm25, leaders
from langchain_qwen_memory.archive.index.base import Near, Nearest
from langchain_qwen_memory.archive.index.lines import Line

if TYPE_CHECKING:
    from langchain_qwen_memory.archive.finding.fusion import Floats

__all__ = ["ranked"]


def ranked(
    nearest: Nearest, lines: Mapping[str, Line], words: Sequence[str], question: Question
) -> list[tuple[Near, float]]:
    """The turns found that lie on the searched lineages, best first, with their scores."""
    import numpy as np

    found = [
        near for near in nearest.turns if near.line in lines and lines[near.line].holds(near.branch, near.position)
    ]
    if not found:
        return []
    found.sort(key=lambda near: (near.at, near.number))
    ids = np.arange(len(found))
    rows = {near.key: row for row, near in enumerate(found)}
    inside = [any(start <= near.at < end for start, end in question.periods) for near in found]
    total = sum(line.length for line in lines.values())
    fusion = fused(
        Candidates(
            ids=ids,
            lexical=_lexical(found, words, total) if nearest.worded else np.array([near.lexical for near in found]),
            dense=_dense(found, nearest),
            inside=np.array(inside) if question.periods else None,
            previous=np.array([rows.get(near.parent, -1) for near in found]),
        )
    )
    scores = np.asarray(fusion, dtype=np.float64)
    return [(found[row], float(scores[row])) for row in leaders(scores, ids, len(found))]


def _lexical(found: Sequence[Near], words: Sequence[str], total: int) -> "Floats":
    """BM25 over the searched lineages, all of whose turns with a word of the question are known.

    Turns that were not found have none of the words; their lengths, which nobody knows, are taken to be usual.
    """
    import numpy as np

    mentions = [
        (row, word, min(near.words[name], 255))
        for row, near in enumerate(found)
        for word, name in enumerate(words)
        if name in near.words
    ]
    if not mentions:
        return np.zeros(len(found))
    known = [row for row, near in enumerate(found) if near.length]
    usual = sum(found[row].length for row in known) / len(known)
    lengths = np.full(max(total, len(found)), usual)
    for row in known:
        lengths[row] = found[row].length
    scores = bm25(lengths, np.ones(len(lengths), dtype=np.bool_), Postings(*np.array(mentions).T))
    return scores[: len(found)]


def _dense(found: Sequence[Near], nearest: Nearest) -> "Floats | None":
    """Likeness of each turn, nan for one without a vector; one that was not near enough to be told is least like."""
    import numpy as np

    if nearest.least is None:
        return None
    told = np.array([nearest.least if near.dense is None else near.dense for near in found])
    return np.asarray(np.round(np.maximum(told, nearest.least), DIGITS))
