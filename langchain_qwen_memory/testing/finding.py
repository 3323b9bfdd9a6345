"""Finds, among all messages of a request, the sentence that says most about a question."""

import math
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from langchain_qwen_memory.testing.request import Said
from langchain_qwen_memory.testing.words import SPEAKER, asks, sentences, terms

ECHO = re.compile(r"^(?:(?:好的，我收到了|你说过|我收到的消息里写着)：|(?:Noted|You said|My messages say): )+")
"""How the stand-in begins where it only repeats; repeated again, the words alone count."""
_RECORDS = re.compile(r"\A.{0,400}?<records [0-9a-f]+>.*?</records>\s*", re.DOTALL)

ENOUGH = 0.5
"""The share of a question's weight that a sentence must hold to count as its answer."""

TRUST = {"assistant": 0.9}
"""What the assistant said counts a little less: it may only repeat."""


@dataclass(frozen=True, slots=True)
class Found:
    """A sentence and where it stands."""

    sentence: str
    """The sentence, without a bullet or the name of who says it."""
    role: str
    """Who said it: the message's role, or who is named before a quoted line."""
    number: int
    """The message it stands in, counted from 1."""


def question(said: Sequence[Said]) -> str:
    """What is asked: the last sentence of the last user message that asks, or its whole text if none does."""
    text = newest(said)
    asked = next((one for one in reversed(sentences(text)) if asks(one)), text.strip())
    after = asked.replace("：", ":").rpartition(":")[2]
    return asked[-len(after) :].strip() if after and asks(after) else asked


def newest(said: Sequence[Said]) -> str:
    """The newest user message in the user's own words: without records that a memory placed before them."""
    return _RECORDS.sub("", next((one.text for one in reversed(said) if one.role == "user"), ""))


def candidates(said: Sequence[Said], asked: str, skip: frozenset[str]) -> Iterator[Found]:
    """All sentences that state something: no questions, no headings, and nothing in `skip`."""
    for number, one in enumerate(said, 1):
        for sentence in sentences(one.text):
            if sentence in skip or asked in sentence or asks(sentence) or sentence.endswith((":", "：")):
                continue
            speaker = SPEAKER.match(sentence)
            told = SPEAKER.sub("", sentence).lstrip("-*• ")
            plain = ECHO.sub("", told)
            role = _role(speaker, one.role)
            yield Found(plain, "assistant" if role == "user" and plain != told else role, number)


def _role(speaker: Mapping[int, str] | object, role: str) -> str:
    named = speaker[1].lower() if speaker is not None else ""  # type: ignore[index]
    if named in {"user", "human", "用户"}:
        return "user"
    return "assistant" if named in {"assistant", "ai", "助手"} else role


def best(said: Sequence[Said], asked: str, *, skip: frozenset[str] = frozenset()) -> Found | None:
    """The sentence with most of the question's terms, rare ones counting more; of equals the newest.

    None if no sentence holds enough of them. A term that stands nowhere weighs most: that it is missing says
    that the question is about something else.
    """
    wanted = terms(asked)
    known = list(candidates(said, asked, skip)) if wanted else []
    held = [{term for term in wanted if term in terms(found.sentence)} for found in known]
    spread = Counter(term for has in held for term in has)
    worth = {term: weight * math.log(2 + len(known) / (spread[term] or 0.5)) for term, weight in wanted.items()}
    whole = sum(worth.values())
    top, most = None, 0.0
    for found, has in zip(known, held, strict=True):
        share = sum(worth[term] for term in has) / whole
        score = share * TRUST.get(found.role, 1.0)
        if share >= ENOUGH and score >= most:
            top, most = found, score
    return top
