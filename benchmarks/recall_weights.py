"""Chooses the weights of the search by leaving one conversation out: each is scored with what the others chose."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from itertools import product
from typing import Any

import numpy as np

from benchmarks.recall_data import Question
from benchmarks.recall_views import Finder, count, searched_for
from langchain_qwen_memory.archive.finding.fusion import Weights, fused

BUDGETS = (500, 1_000, 2_000, 4_000)
DENSE = (0.3, 0.4, 0.5, 0.6, 0.7)
NEIGHBOURS = ((0.0, 0.0), (0.3, 0.2), (0.5, 0.3), (0.7, 0.4))
FURTHER = (0.0, 0.4)


def grid(*, dense: bool) -> list[Weights]:
    """All weights that are tried; without embeddings, how much vectors count makes no difference."""
    shares = DENSE if dense else (Weights().dense,)
    return [
        Weights(dense=share, follows=follows, leads=leads, further=further)
        for share, (follows, leads), further in product(shares, NEIGHBOURS, FURTHER)
    ]


def folds(sets: Mapping[str, Sequence[Finder]], *, dense: bool) -> dict[tuple[str, str], Weights]:
    """For each conversation the weights that do best on all others, each set counting alike."""
    tried = grid(dense=dense)
    scores = {(name, finder.talk.name): _scores(finder, tried) for name, finders in sets.items() for finder in finders}
    chosen = {}
    for left_out in scores:
        means = []
        for name in sets:
            kept = [rows for place, rows in scores.items() if place[0] == name and place != left_out]
            if kept:
                means.append(np.concatenate(kept).mean(axis=0))
        chosen[left_out] = tried[int(np.argmax(np.mean(means, axis=0)))]
    return chosen


def said_of(chosen: Mapping[Any, Weights]) -> list[str]:
    """Which weights how many folds chose, most often chosen first."""
    told = Counter(", ".join(f"{name} {value:g}" for name, value in asdict(one).items()) for one in chosen.values())
    return [f"{number} of {len(chosen)} folds: {text}" for text, number in told.most_common()]


def _scores(finder: Finder, tried: Sequence[Weights]) -> Any:
    """Mean share of the evidence over the budgets, shape (questions, weights tried).

    Turns are taken whole, best first, at what their messages cost: rendering each view for each weight would take
    hours, and the order is what the weights decide.
    """
    costs = np.array([sum(map(count, turn.messages)) for turn in finder.turns])
    rows = []
    for question in finder.talk.questions:
        candidates = finder.candidates[searched_for(finder, question.text)]
        rows.append([_share(question, fused(candidates, weights), costs) for weights in tried])
    return np.array(rows)


def _share(question: Question, scores: Any, costs: Any) -> float:
    order = np.argsort(-scores, kind="stable")
    order = order[scores[order] > 0]
    spent = np.empty(len(costs))
    spent.fill(np.inf)
    spent[order] = np.cumsum(costs[order])
    needed = [min(spent[turn] for turn, _ in group) for group in question.evidence]
    return float(np.mean([[need <= budget for need in needed] for budget in BUDGETS]))
