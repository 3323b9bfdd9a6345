"""How many words of the right answers stand in the view: the measure for summaries, which quote nothing."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias

import numpy as np
from langchain_core.messages import HumanMessage

from benchmarks.recall_data import Question, Talk
from benchmarks.recall_views import Finder, Ordered, count, placed
from langchain_qwen_memory.archive.finding.fulltext import count_words, query_words

BUDGETS = (1_000, 2_000, 4_000, 8_000)
Show: TypeAlias = Callable[[Question, int], str]
"""What stands in the view of a question, within a budget."""
ADVERSARIAL = "5"
"""Questions without an answer in the talk."""


def measured(
    talks: Sequence[Talk], finders: Mapping[str, Sequence[Finder | Ordered]], best: str
) -> dict[str, dict[int, float]]:
    """Share of the answers' words in the view: way to fill it -> budget -> share.

    Args:
        talks: Talks with summaries and answers.
        finders: By the way's name, one for each talk.
        best: Which of them stands beside the summary.
    """
    ways = {name: {one.talk.name: _shown(one) for one in ones} for name, ones in finders.items()}
    ways["summary"] = {talk.name: _summarised(talk) for talk in talks}
    half = f"summary and {best}, half each"
    ways[half] = {one.talk.name: _both(one.talk, _shown(one)) for one in finders[best]}
    return {name: _shares(talks, shows) for name, shows in ways.items()}


def _shares(talks: Sequence[Talk], shows: Mapping[str, Show]) -> dict[int, float]:
    found: dict[int, list[float]] = {budget: [] for budget in BUDGETS}
    for talk in talks:
        show = shows[talk.name]
        for question in talk.questions:
            words = set(query_words(question.answer))
            if question.kind == ADVERSARIAL or not words:
                continue
            for budget in BUDGETS:
                seen = count_words(show(question, budget))
                found[budget].append(sum(word in seen for word in words) / len(words))
    return {budget: float(np.mean(shares)) for budget, shares in found.items()}


def _shown(finder: Finder | Ordered) -> Show:
    return lambda question, budget: "\n".join(one.text for one in placed(finder, question.text, budget))


def _both(talk: Talk, recall: Show) -> Show:
    return lambda question, budget: f"{summary(talk, budget // 2)}\n{recall(question, budget // 2)}"


def _summarised(talk: Talk) -> Show:
    return lambda _, budget: summary(talk, budget)


_summaries: dict[tuple[str, int], str] = {}


def summary(talk: Talk, budget: int) -> str:
    """The summaries of as many of the newest sessions as fit: a summary forgets from its far end, too."""
    if (talk.name, budget) not in _summaries:
        kept: list[str] = []
        for text in reversed(talk.summaries):
            if count(HumanMessage("\n".join([text, *kept]))) > budget:
                break
            kept.insert(0, text)
        _summaries[talk.name, budget] = "\n".join(kept)
    return _summaries[talk.name, budget]
