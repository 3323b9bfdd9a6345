"""Ranks turns by BM25, for all words of a question at once in a few array operations."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Floats = npt.NDArray[np.float64]
    Integers = npt.NDArray[np.integer[Any]]
    Flags = npt.NDArray[np.bool_]

__all__ = ["Postings", "bm25", "in_reach", "leaders"]

K1 = 1.2
"""How soon repeating a word stops helping; the textbook's value."""
B = 0.75
"""How much long turns are held back; the textbook's value."""


class Postings(NamedTuple):
    """Which word of the question stands in which turn, how often: three arrays of the same length."""

    rows: "Integers"
    """Row of the turn in the table of turns."""
    words: "Integers"
    """Number of the word in the question."""
    counts: "Integers"
    """How often, 1 or more."""


def in_reach(branches: "Integers", positions: "Integers", reach: Sequence[tuple[int, int]]) -> "Flags":
    """Which turns lie on a lineage, told as (branch, last position of it) pairs, each branch once."""
    import numpy as np

    if not reach:
        return np.zeros(len(branches), dtype=np.bool_)
    if len(reach) == 1:
        branch, upto = reach[0]
        return np.asarray((branches == branch) & (positions <= upto))
    known, last = np.array(sorted(reach), dtype=np.int64).T
    place = np.minimum(np.searchsorted(known, branches), len(known) - 1)
    return np.asarray((known[place] == branches) & (positions <= last[place]))


def bm25(lengths: "Integers", reach: "Flags", postings: Postings) -> "Floats":
    """The score of each turn, 0 for one without a word of the question or out of reach.

    Counts and lengths of turns out of reach change nothing: their words are as if never said.
    """
    import numpy as np

    rows, words, counts = postings
    total = int(np.count_nonzero(reach))
    if total < len(reach):
        seen = reach[rows]
        rows, words, counts = rows[seen], words[seen], counts[seen]
    if not total or not len(rows):
        return np.zeros(len(lengths))
    holders = np.bincount(words)
    rarity = (K1 + 1) * np.log1p((total - holders + 0.5) / (holders + 0.5))
    usual = float((lengths if total == len(reach) else lengths[reach]).mean())
    hold = K1 * (1 - B + B * lengths[rows] / max(usual, 1.0))
    gain = rarity[words]
    gain *= counts  # in place: a question of common words has a hundred thousand mentions
    gain /= counts + hold
    return np.asarray(np.bincount(rows, weights=gain, minlength=len(lengths)), dtype=np.float64)


def leaders(scores: "Floats", ids: "Integers", limit: int) -> list[int]:
    """Rows of the best scores above 0, best first, the greater id first among equals."""
    import numpy as np

    found = np.flatnonzero(scores > 0)
    if not 0 < limit < len(found):
        found = found if limit > 0 else found[:0]
    else:
        least = np.partition(scores[found], -limit)[-limit]
        found = found[scores[found] >= least]
    order = np.lexsort((-ids[found].astype(np.int64), -scores[found]))
    return [int(row) for row in found[order][:limit]]
