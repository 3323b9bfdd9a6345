"""Cuts texts that are longer than a model takes, and puts the vectors of their pieces together again."""

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from operator import mul
from typing import TypeVar

from langchain_qwen_memory.counting.vocabulary import Vocabulary, count

__all__ = ["Piece", "cut", "fits", "joined", "joined_sparse", "pieces_of", "sendable"]

T = TypeVar("T")

SPARE = 8
"""Tokens left free in each text: the service counts its own marks too, one at most on recorded requests."""

_WIDEST = 6
"""Characters of a piece for each token it may have; ordinary text has fewer, so no more is ever looked at."""

_STEP = 16
"""Characters; a cut is not sought more finely."""

_ENDS = (re.compile(r"[\n。！？；…]+\s*|[.!?;]\s+"), re.compile(r"\s+"))
"""Where a text is cut, best first: after a sentence, or else after a word."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Piece:
    """A text, or one of several pieces of a text."""

    owner: int
    """Which text it is of, counted from 0."""
    text: str
    """What is sent."""
    weight: int
    """Tokens, by which pieces of one text are averaged; 1 for a text that is whole."""


def fits(text: str, most: int, vocabulary: Vocabulary) -> bool:
    """Whether a text has at most so many tokens and a few to spare; those of a short one are not even counted."""
    room = most - SPARE
    return len(text.encode("utf-8", "surrogatepass")) <= room or count(text, vocabulary) <= room


def cut(text: str, most: int, vocabulary: Vocabulary) -> str:
    """Returns a text's beginning of at most so many tokens; the whole text if it has no more."""
    return text if fits(text, most, vocabulary) else text[: _length(text, most - SPARE, vocabulary)]


def sendable(text: str) -> str:
    """Returns the text as UTF-8 can carry it: half of a surrogate pair, left by a broken stream, becomes "?"."""
    return text.encode("utf-8", "replace").decode("utf-8")


def pieces_of(texts: Sequence[str], *, most: int, vocabulary: Vocabulary) -> list[Piece]:
    """Cuts each text that has more tokens than that into pieces, at the end of a sentence where one is near."""
    pieces: list[Piece] = []
    for owner, given in enumerate(texts):
        text = sendable(given)
        if fits(text, most, vocabulary):
            pieces.append(Piece(owner=owner, text=text, weight=1))
            continue
        while text.strip():
            end = _length(text, most - SPARE, vocabulary)
            part, text = text[:end], text[end:]
            if part.strip():
                pieces.append(Piece(owner=owner, text=part, weight=count(part, vocabulary)))
    return pieces


def joined(pieces: Sequence[Piece], vectors: Sequence[list[float]]) -> list[list[float]]:
    """Returns one vector a text: of a text in pieces their mean by weight, as long as they are themselves."""
    return [
        own[0][1] if len(own) == 1 else _mean([piece.weight for piece, _ in own], [vector for _, vector in own])
        for own in _by_owner(pieces, vectors)
    ]


def joined_sparse(pieces: Sequence[Piece], maps: Sequence[dict[int, float]]) -> list[dict[int, float]]:
    """Returns one map of weights a text: of a text in pieces, the greatest weight that a word has in any."""
    whole: list[dict[int, float]] = []
    for own in _by_owner(pieces, maps):
        words: dict[int, float] = {}
        for _, one in own:
            words |= {word: max(weight, words.get(word, weight)) for word, weight in one.items()}
        whole.append(words)
    return whole


def _by_owner(pieces: Sequence[Piece], things: Sequence[T]) -> list[list[tuple[Piece, T]]]:
    grouped: dict[int, list[tuple[Piece, T]]] = {}
    for piece, thing in zip(pieces, things, strict=True):
        grouped.setdefault(piece.owner, []).append((piece, thing))
    return list(grouped.values())


def _mean(weights: Sequence[int], vectors: Sequence[list[float]]) -> list[float]:
    total = sum(weights)
    mean = [sum(map(mul, weights, column)) / total for column in zip(*vectors, strict=True)]
    length = sum(weight * math.hypot(*vector) for weight, vector in zip(weights, vectors, strict=True)) / total
    found = math.hypot(*mean)
    return [value * length / found for value in mean] if found else mean


def _length(text: str, most: int, vocabulary: Vocabulary) -> int:
    """How many characters the first piece has: as many as fit, less what stands after the last sentence in them."""
    low, high = 1, min(len(text), most * _WIDEST)
    if count(text[:high], vocabulary) <= most:
        low = high
    while high - low > _STEP:
        middle = (low + high) // 2
        low, high = (middle, high) if count(text[:middle], vocabulary) <= most else (low, middle)
    for kind in _ENDS:
        if ends := [match.end() for match in kind.finditer(text, low * 7 // 8, low)]:
            return ends[-1]
    return low
