"""Asks the package's own recall what it places in the view, within a budget, and how much evidence stands there."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC
from functools import partial
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np
from langchain_core.embeddings import Embeddings
from langchain_core.messages import BaseMessage, HumanMessage

import langchain_qwen_memory.archive.memory_search as searching
from benchmarks.recall_data import THREAD, USER, Evidence, Talk
from langchain_qwen_memory.archive import Hit, InMemoryArchive, root_key
from langchain_qwen_memory.archive.finding.fusion import Candidates, Weights, fused
from langchain_qwen_memory.memory.base import Conversation, Limits, Recalled, Search, Selection, drive
from langchain_qwen_memory.memory.placing import quotes
from langchain_qwen_memory.memory.recall import RecallMemory
from langchain_qwen_memory.memory.render import beside
from langchain_qwen_memory.memory.turns import live_turns
from langchain_qwen_memory.tokens import count_message

MOST = 200
SAVED_AFTER = 250
"""New vectors after which they are written to the file."""
count = partial(count_message, model="qwen-plus")


class Cached(Embeddings):
    """Embeddings whose vectors are kept in a file, so that the second run embeds nothing."""

    def __init__(self, inner: Embeddings, folder: Path) -> None:
        self.inner, self.model = inner, str(getattr(inner, "model", type(inner).__name__))
        self._file = folder / f"{self.model}.npz"
        self._known: dict[str, Any] | None = None
        self._unsaved = 0

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        return self._learnt("document", texts, self.inner.embed_documents)

    def embed_query(self, text: str) -> list[float]:
        return self._learnt("query", [text], lambda texts: [self.inner.embed_query(text) for text in texts])[0]

    def _learnt(
        self, kind: str, texts: Sequence[str], embed: Callable[[list[str]], list[list[float]]]
    ) -> list[list[float]]:
        known = self._load()
        keys = [blake2b(f"{kind} {text}".encode(), digest_size=16).hexdigest() for text in texts]
        new = {key: text for key, text in zip(keys, texts, strict=True) if key not in known}
        if new:
            known.update(zip(new, np.asarray(embed([*new.values()]), dtype=np.float32), strict=True))
            self._unsaved += len(new)
        if self._unsaved >= SAVED_AFTER:
            self.save()
        return [known[key].tolist() for key in keys]

    def _load(self) -> dict[str, Any]:
        if self._known is None:
            stored = np.load(self._file) if self._file.exists() else {"keys": np.array([]), "vectors": []}
            self._known = dict(zip(stored["keys"].tolist(), stored["vectors"], strict=True))
        return self._known

    def save(self) -> None:
        if self._known and self._unsaved:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            new = self._file.with_suffix(".new.npz")
            np.savez(new, keys=np.array([*self._known]), vectors=np.stack([*self._known.values()]))
            new.replace(self._file)
            self._unsaved = 0


@dataclass
class Finder:
    """One talk in an archive, searched as `RecallMemory` asks for it, each question once for all budgets."""

    talk: Talk
    embeddings: Embeddings | None = None
    weights: Weights = field(default_factory=Weights)
    dated: bool = True
    naming: bool = True
    """Whether days that a question names come first, and neighbours of hits come along."""
    candidates: dict[str, Candidates] = field(default_factory=dict)
    views: dict[tuple[str, int], tuple[Recalled, ...]] = field(default_factory=dict)
    _hits: dict[str, list[Hit]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.turns = self.talk.turns(dated=self.dated)
        self.places = {turn.key: number for number, turn in enumerate(self.turns)}
        self.archive = InMemoryArchive(embeddings=self.embeddings)
        self.archive.append(USER, THREAD, self.turns)

    def search(self, need: Search) -> list[Hit]:
        if need.query not in self._hits:
            self._hits[need.query] = self._searched(need)
        return self._hits[need.query][: need.limit]

    def _searched(self, need: Search) -> list[Hit]:
        def weighed(candidates: Candidates) -> Any:
            self.candidates[need.query] = candidates
            return fused(candidates, self.weights)

        searching.fused = weighed  # the archive's own search, with the weights of this fold
        try:
            return self.archive.search(
                need.query,
                user=USER,
                thread=THREAD,
                limit=MOST,
                periods=need.periods if self.naming else (),
                neighbours=self.naming,
            )
        finally:
            searching.fused = fused


@dataclass
class Ordered:
    """What finds nothing: the newest turns, or any."""

    talk: Talk
    shuffled: bool = False
    views: dict[tuple[str, int], tuple[Recalled, ...]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.turns = self.talk.turns()
        self.places = {turn.key: number for number, turn in enumerate(self.turns)}

    def search(self, need: Search) -> list[Hit]:
        order = self.turns[::-1]
        if self.shuffled:
            order = random.Random(need.query).sample(self.turns, len(self.turns))
        return [Hit(turn=turn, score=1 / rank) for rank, turn in enumerate(order[:MOST], 1)]


def memory_for(talk: Talk, budget: int) -> RecallMemory:
    return RecallMemory(max_tokens=budget, timezone=UTC, clock=lambda: talk.now)


def conversation(question: str) -> Conversation:
    turns = live_turns([HumanMessage(question)], parent=root_key(USER, "new"), position=0, count=count)
    limits = Limits(input=100_000, overhead=0)
    return Conversation(turns=turns, record={}, phase="before", limits=limits, count=count)


def placed(finder: Finder | Ordered, question: str, budget: int) -> tuple[Recalled, ...]:
    """What recall places beside a question, once; the tokens are checked as they are rendered."""
    known = finder.views.get((question, budget))
    if known is not None:
        return known
    flow = memory_for(finder.talk, budget).select(conversation(question), Selection())
    chosen: tuple[Recalled, ...] = drive(flow, finder.search).recalled  # type: ignore[assignment,arg-type]
    asked: BaseMessage = HumanMessage(question)
    assert count(beside(HumanMessage(question), quotes(chosen))) - count(asked) <= budget or not chosen
    finder.views[question, budget] = chosen
    return chosen


def first(finder: Finder, question: str, number: int) -> list[int]:
    """The first turns that the search finds as recall asks it: places, best first."""
    found: list[Hit] = []

    def search(need: Any) -> list[Hit]:
        found.extend(finder.search(replace(need, limit=number)))
        return []

    drive(memory_for(finder.talk, 1_000).select(conversation(question), Selection()), search)
    return [finder.places[hit.turn.key] for hit in found]


def searched_for(finder: Finder, question: str) -> str:
    """What recall asks the archive for when it is asked this; the search is made if it was not yet."""
    asked: list[str] = []

    def search(need: Any) -> list[Hit]:
        asked.append(need.query)
        return finder.search(need)

    drive(memory_for(finder.talk, 1_000).select(conversation(question), Selection()), search)
    return asked[0]


def share(finder: Finder | Ordered, evidence: Evidence, shown: Sequence[Recalled]) -> float:
    """The share of the evidence that stands in the view word for word."""
    texts = {finder.places[one.turn.key]: one.text for one in shown}
    return float(np.mean([any(_stands(finder.talk, place, texts) for place in group) for group in evidence]))


def _stands(talk: Talk, place: tuple[int, int | None], texts: dict[int, str]) -> bool:
    turn, message = place
    said = talk.messages[turn] if message is None else [talk.messages[turn][message]]
    return turn in texts and all(str(one.text).strip() in texts[turn] for one in said)
