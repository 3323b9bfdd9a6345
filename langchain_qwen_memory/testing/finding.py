"""Finds, among all messages of a request, the sentence that says most about a question."""

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from langchain_qwen_memory.testing.request import Said
from langchain_qwen_memory.testing.words import asks, sentences, terms

ENOUGH = 0.34
"""The share of a question's weight that a sentence must hold to count as its answer."""

TRUST = {"user": 1.0, "system": 1.0, "tool": 1.0, "assistant": 0.9}
"""What was said by whom counts how much: the assistant's own words may only repeat."""


@dataclass(frozen=True, slots=True)
class Found:
    """A sentence and where it stands."""

    sentence: str
    """The sentence, word for word."""
    role: str
    """Who said it."""
    number: int
    """The message it stands in, counted from 1."""


def question(said: Sequence[Said]) -> str:
    """What is asked: the last sentence of the last user message that asks, or its whole text if none does."""
    text = next((one.text for one in reversed(said) if one.role == "user"), "")
    return next((one for one in reversed(sentences(text)) if asks(one)), text.strip())


def candidates(said: Sequence[Said], asked: str, *, skip: frozenset[str] = frozenset()) -> Iterator[Found]:
    """All sentences that state something: no questions, and nothing in `skip`."""
    for number, one in enumerate(said, 1):
        for sentence in sentences(one.text):
            if sentence != asked and sentence not in skip and not asks(sentence):
                yield Found(sentence, one.role, number)


def best(said: Sequence[Said], asked: str, *, skip: frozenset[str] = frozenset()) -> Found | None:
    """The sentence with most of the question's terms, rare ones counting more; of equals the newest.

    None if no sentence holds enough of them.
    """
    wanted = terms(asked)
    known = list(candidates(said, asked, skip=skip))
    spread = Counter(term for found in known for term in terms(found.sentence) if term in wanted)
    worth = {
        term: weight * math.log(2 + len(known) / (spread[term] or 0.5)) for term, weight in wanted.items()
    }
    whole = sum(worth.values())
    if not known or not whole:
        return None

    def score(found: Found) -> float:
        has = terms(found.sentence)
        return TRUST.get(found.role, 1.0) * sum(value for term, value in worth.items() if term in has) / whole

    top = max(reversed(known), key=score)
    return top if score(top) >= ENOUGH else None
