"""Makes one score of what full text, vectors, neighbours and named dates say about each turn."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Floats = npt.NDArray[np.floating[Any]]
    Integers = npt.NDArray[np.integer[Any]]
    Flags = npt.NDArray[np.bool_]

__all__ = ["Candidates", "Weights", "fused"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Candidates:
    """What is known of the turns of the searched lineages: parallel arrays of shape (n,), one row a turn."""

    ids: "Integers"
    """The store's number of each turn; a greater one is newer."""
    lexical: "Floats"
    """BM25 score, 0 for a turn that shares no word with the question."""
    dense: "Floats | None" = None
    """Cosine to the question, nan for a turn that has no vector yet; None: no embeddings."""
    inside: "Flags | None" = None
    """Whether the turn stands in a period that the question names; None: it names none."""
    previous: "Integers | None" = None
    """Row of the turn before it in its lineage, -1 for none; None: not known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Weights:
    """What counts how much. The defaults were chosen by `benchmarks/recall.py`, by leave-one-conversation-out."""

    dense: float = 0.5
    """Share of the vectors in a turn's own score; the rest is full text's."""
    follows: float = 0.5
    """Share of the score of the turn before that a turn is given too: an answer stands after what it answers."""
    leads: float = 0.3
    """The same of the turn after it."""
    further: float = 0.4
    """What these shares shrink to for the turns one step further away."""
    inside: float = 3.0
    """What standing in a named period is worth: more than all else together, so that these turns come first."""


DEFAULT = Weights()
DIGITS = 10
"""Of a score: what is equal but for the order in which it was added up shall be equal."""


def fused(candidates: Candidates, weights: Weights = DEFAULT) -> "Floats":
    """The final score of each row, shape (n,), comparable within one search only; 0 means: not wanted.

    Full text and vectors are brought to 0..1 each (least to greatest of this search) before they are added, since
    rank fusion and raw sums both lose to BM25 alone. A turn beside other finds gains by them; one that shares
    nothing with the question stays out, unless it stands in a period that the question names.
    """
    import numpy as np

    own = _own(candidates, weights)
    scores = own
    if candidates.previous is not None and len(own):
        scores = _with_neighbours(own, candidates.previous, weights)
    if candidates.inside is not None:
        scores = scores + weights.inside * candidates.inside
    return np.round(scores, DIGITS)


def _own(candidates: Candidates, weights: Weights) -> "Floats":
    """What each turn says by itself, 0..1."""
    import numpy as np

    lexical = np.asarray(candidates.lexical, dtype=np.float64)
    most = lexical.max(initial=0.0)
    lexical = lexical / most if most > 0 else lexical
    if candidates.dense is None:
        return lexical
    known = ~np.isnan(candidates.dense)
    if not known.any():
        return lexical
    cosines = candidates.dense[known]
    least, span = cosines.min(), cosines.max() - cosines.min()
    dense = lexical.copy()  # a turn without a vector yet stands for itself by its words
    dense[known] = (cosines - least) / span if span > 0 else 1.0
    return np.asarray((1 - weights.dense) * lexical + weights.dense * dense)


def _with_neighbours(own: "Floats", previous: "Integers", weights: Weights) -> "Floats":
    import numpy as np

    total, share = own.copy(), 1.0
    rows = np.flatnonzero(own > 0)  # the others gain nothing and have nothing to give
    before = np.asarray(previous)[rows]
    for _ in range(2):
        has = before >= 0
        rows, before = rows[has], before[has]
        total[rows] += share * weights.follows * own[before]
        total += np.bincount(before, weights=share * weights.leads * own[rows], minlength=len(own))
        share *= weights.further
        before = np.asarray(previous)[before]
    return np.where(own > 0, total, 0.0)
