"""The threads of an archive in memory, and how their turns are ranked: by the formulas of the other archives."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from langchain_qwen_memory.archive.batch import Question
from langchain_qwen_memory.archive.embedding import DIGITS
from langchain_qwen_memory.archive.finding.fulltext import query_words
from langchain_qwen_memory.archive.finding.fusion import Candidates, fused
from langchain_qwen_memory.archive.finding.ranking import Postings, bm25, leaders
from langchain_qwen_memory.archive.turn import Hit, Turn

if TYPE_CHECKING:
    from langchain_qwen_memory.archive.embedding import Vectors
    from langchain_qwen_memory.archive.finding.fusion import Floats

__all__ = ["Branches", "cosines", "rank"]


@dataclass(slots=True)
class Branches:
    """A thread's turns by key, in the order they came; a tree by their parents."""

    turns: dict[str, Turn] = field(default_factory=dict)
    words: dict[str, Counter[str]] = field(default_factory=dict)
    numbers: dict[str, int] = field(default_factory=dict)
    notes: dict[str, bytes] = field(default_factory=dict)
    branches: int = 0

    def line(self, head: str | None) -> list[Turn]:
        """The turns of a lineage, oldest first."""
        turn = self.turns.get(next(reversed(self.turns), "") if head is None else head)
        line = []
        while turn is not None:
            line.append(turn)
            turn = self.turns.get(turn.parent)
        return line[::-1]


def cosines(question: "Vectors", vectors: "Sequence[Vectors | None]") -> "Floats":
    """The cosine of each vector to a question's, nan where there is none."""
    import numpy as np

    rows = [row for row, vector in enumerate(vectors) if vector is not None]
    found = np.full(len(vectors), np.nan, dtype=np.float32)
    if rows:
        found[rows] = np.round(np.stack([vector for vector in vectors if vector is not None]) @ question, DIGITS)
    return found


def rank(found: list[tuple[Turn, Counter[str], int]], dense: "Floats | None", question: Question) -> list[Hit]:
    """The best of some turns, each with its words and its number, for a question."""
    import numpy as np

    if not found:
        return []
    turns = [turn for turn, _, _ in found]
    rows = {turn.key: row for row, turn in enumerate(turns)}
    previous = np.array([rows.get(turn.parent, -1) for turn in turns])
    numbers = np.array([number for _, _, number in found])
    inside = np.array([any(start <= turn.at < end for start, end in question.periods) for turn in turns])
    candidates = Candidates(
        ids=numbers,
        lexical=_lexical([counts for _, counts, _ in found], sorted(query_words(question.query))),
        dense=dense,
        inside=inside if question.periods else None,
        previous=previous,
    )
    scores = np.asarray(fused(candidates), dtype=np.float64)
    best = leaders(scores, numbers, question.limit + len(question.exclude))
    after = {int(parent): turns[row] for row, parent in enumerate(previous) if parent >= 0}
    hits = [
        Hit(
            turn=turns[row],
            score=float(scores[row]),
            before=turns[previous[row]] if question.neighbours and previous[row] >= 0 else None,
            after=after.get(row) if question.neighbours else None,
        )
        for row in best
    ]
    return [hit for hit in hits if hit.turn.key not in question.exclude][: question.limit]


def _lexical(words_of: Sequence[Counter[str]], words: Sequence[str]) -> "Floats":
    """The BM25 score of each turn for the words of a question."""
    import numpy as np

    mentions = [
        (row, word, min(counts[name], 255))
        for row, counts in enumerate(words_of)
        for word, name in enumerate(words)
        if name in counts
    ]
    if not mentions:
        return np.zeros(len(words_of))
    lengths = np.array([counts.total() for counts in words_of])
    return bm25(lengths, np.ones(len(words_of), dtype=np.bool_), Postings(*np.array(mentions).T))
