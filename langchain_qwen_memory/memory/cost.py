"""The cheapest moment to fold: worked out from prices and from how fast a conversation grows.

A fold costs once (the summariser reads and writes, and the provider's cache of what follows the summary is lost);
not folding costs with each call (a longer prompt, though at the cache price). All in *effective tokens*, an
uncached prompt token being 1; a cached one is `hit`, a written one `out`. Between two folds the turns grow by `leap`:

    calls * leap / growth * hit * (fixed + summary + kept + leap / 2)     what each call reads from the cache
    + (1 - hit) * (leap + summary + kept)                                 what is read for the first time
    + hit * (fixed + summary + leap) + asking + out * summary             the summariser, on the chat's own prefix

Divided by the `leap / growth` turns between two folds, all that depends on `leap` is

    calls * hit * leap / 2  +  growth * once / leap
    where once = (1 - hit) * (summary + kept) + hit * (fixed + summary) + asking + out * summary

which is least at `leap = sqrt(2 * growth * once / (calls * hit))`.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import sqrt
from typing import Any

_HIT = 0.2
"""Price of a cached prompt token where it is unknown: what Model Studio asks for its implicit cache."""
_OUT = 3.0
"""Price of a written token where it is unknown."""
_LEAST_HIT = 0.01
"""A cache that is free would never pay a fold; the limit of the model does then."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Rates:
    """Prices relative to an uncached prompt token."""

    hit: float = _HIT
    """Of a prompt token read from the provider's cache."""
    out: float = _OUT
    """Of a written token."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Course:
    """How a conversation goes on between two folds; all in tokens but `calls`."""

    growth: float
    """What a turn adds."""
    calls: float = 1.0
    """Calls of the chat model in a turn: 1, and 1 for each round of tool calls."""
    fixed: float = 0.0
    """System text and tool schemas."""
    kept: float = 0.0
    """Turns that a fold leaves word for word."""
    summary: float = 0.0
    """The summary with its frame."""
    asking: float = 0.0
    """The instruction to the summariser, which no cache holds."""


def relative(price: Any) -> Rates:
    """Rates from a `catalogue.Price`; what is missing or 0 gets the defaults (hit 20 %, output threefold)."""
    paid = float(getattr(price, "input", None) or 0)
    if not paid:
        return Rates()
    hit, out = (float(getattr(price, name, None) or 0) / paid for name in ("cache_hit", "output"))
    return Rates(hit=min(hit, 1.0) or _HIT, out=out or _OUT)


def cheapest_leap(course: Course, rates: Rates) -> float:
    """Tokens by which turns should outgrow `kept` before they are folded; at least what one turn adds."""
    hit = max(rates.hit, _LEAST_HIT)
    return max(course.growth, sqrt(2 * course.growth * _once(course, rates) / (course.calls * hit)))


def tokens_per_call(course: Course, rates: Rates, leap: float) -> float:
    """Effective tokens of one call of the chat model, its share of the folds included, if it folds each `leap`."""
    reading = course.calls * rates.hit * (course.fixed + course.summary + course.kept + leap / 2)
    folding = course.growth / leap * _once(course, rates)
    return (reading + course.growth + folding) / course.calls


def _once(course: Course, rates: Rates) -> float:
    new = (1 - rates.hit) * (course.summary + course.kept)
    read = rates.hit * (course.fixed + course.summary)
    return new + read + course.asking + rates.out * course.summary
