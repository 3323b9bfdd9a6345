"""The stand-in for an embedding model: vectors in which texts that share words are near each other.

It is no embedding model: it knows no meaning, so "car" is as far from "auto" as from "moon". The words are those by
which the archive finds turns, so Chinese works as English does, and function words count only where there are no
others.
"""

import math
import re
from collections.abc import Mapping
from functools import lru_cache
from hashlib import blake2b
from types import MappingProxyType

from langchain_qwen_memory.archive.finding.fulltext import count_words, query_words

_PLACES = 4
"""Places of a vector over which each word is spread, so that two words seldom fall on the same ones."""

_STRETCH = re.compile(r"(?s).{1,1000}")
"""Texts are looked through in stretches of so many characters, since of a longer question only the ends count."""


@lru_cache(maxsize=4096)
def weights(text: str) -> Mapping[str, float]:
    """Each telling word of a text and its weight; a word said often counts a little more."""
    counts = count_words(text)
    telling = {word for stretch in _STRETCH.findall(text) for word in query_words(stretch)}
    kept = telling & counts.keys() or {text.strip()}
    return MappingProxyType({word: 1 + math.log(counts[word] or 1) for word in sorted(kept)})


@lru_cache(maxsize=4096)
def spread(text: str, length: int) -> Mapping[int, float]:
    """The vector of a text, of unit length, as the places that are not zero."""
    places: dict[int, float] = {}
    for word, weight in weights(text).items():
        digest = blake2b(word.encode("utf-8", "surrogatepass"), digest_size=4 * _PLACES).digest()
        for at in range(0, len(digest), 4):
            number = int.from_bytes(digest[at : at + 4], "big")
            place = (number >> 1) % length
            places[place] = places.get(place, 0.0) + (weight if number & 1 else -weight)
    norm = math.hypot(*places.values())
    if not norm:  # every word met its own opposite: as good as impossible, and still a vector
        return MappingProxyType({0: 1.0})
    return MappingProxyType({place: value / norm for place, value in places.items()})


def vector(text: str, length: int) -> list[float]:
    """The vector of a text, of unit length."""
    places = spread(text, length)
    return [round(places.get(at, 0.0), 9) for at in range(length)]


def relevance(query: str, document: str) -> float:
    """How near a document is to a question, from 0 to 1."""
    asked, held = spread(query, 4096), spread(document, 4096)
    return round(min(max(sum(value * held.get(place, 0.0) for place, value in asked.items()), 0.0), 1.0), 12)


def word_number(word: str) -> int:
    """The number of a word in a vocabulary of 250,000."""
    return int.from_bytes(blake2b(word.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "big") % 250_000
