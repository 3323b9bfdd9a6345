"""The numbers of a turn's view, worked out of its report for drawing."""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from langchain_qwen_memory.state import Report
    from langchain_qwen_memory.steps.thread import Thread
    from langchain_qwen_memory.steps.wiring import Wiring


@dataclass(frozen=True, kw_only=True, slots=True)
class Figures:
    """What a view held; all sizes in tokens."""

    turn: int
    """Number of the turn as people count, from 1."""
    parts: dict[str, int]
    """System, summary, kept, recalled and question, in the order of the view."""
    view: int
    """The whole view."""
    scale: int
    """What a full bar stands for: the largest view that memory plans, or the model's limit."""
    planned: bool
    """Whether memory plans one: its sizes are in tokens."""
    limit: int
    """What the model takes in."""
    kept: int
    """Turns word for word, the question's own included."""
    gone: int
    """Turns before them."""
    folds: bool
    """Whether those are in a summary."""
    folded_now: int
    """Turns that were folded after this turn's answer: the next view will show it."""
    recalled: list[int]
    """Numbers of the recalled turns, as people count."""
    sent: int
    """Prompt tokens as the provider counted them."""
    cached: int
    """Of these, read from its cache."""
    prefix: float | None
    """Share of the last view with which this one begins."""
    whole: int
    """What the view would be with the whole transcript in it."""
    saved: float | None
    """Money saved; None where prices are unknown."""
    currency: str
    """Of `saved`."""
    errors: list[str]
    """Failures that were got around."""

    @property
    def share_saved(self) -> float:
        """Share of the whole transcript's tokens that was not sent, 0 to 1."""
        return max(0.0, 1 - self.view / self.whole) if self.whole else 0.0


def figures(report: Report, thread: Thread, wiring: Wiring) -> Figures:
    """Work out the figures of the thread's newest turn."""
    newest = thread.turns[-1] if thread.turns and thread.turns[-1].position == report["turn"] else None
    count = wiring.facts.count
    question = count(newest.question) if newest and newest.question else 0
    answered = newest.tokens - question if newest else 0
    view, system = report["view_tokens"], report["system_tokens"]
    summary, recalled = report["summary_tokens"], report["recalled_tokens"]
    scale, planned = _scale(wiring, report["limit"], system)
    return Figures(
        turn=report["turn"] + 1,
        parts={
            "system": system,
            "summary": summary,
            "kept": max(0, view - system - summary - recalled - question),
            "recalled": recalled,
            "question": question,
        },
        view=view,
        scale=scale,
        planned=planned,
        limit=report["limit"],
        kept=report["kept"],
        gone=report["turn"] + 1 - report["kept"],
        folds=any(memory.name == "summary" for memory in wiring.memories),
        folded_now=report["folded"],
        recalled=[int(quote["position"]) + 1 for quote in report["recalled"]],
        sent=report["input_tokens"],
        cached=report["cached_tokens"],
        prefix=report.get("prefix_kept"),
        whole=max(view, system + report["transcript_tokens"] - answered),
        saved=report.get("saved"),
        currency=report.get("currency", ""),
        errors=report["errors"],
    )


def _scale(wiring: Wiring, limit: int, system: int) -> tuple[int, bool]:
    """The largest view that memory plans; the model's limit where no memory sets a size in tokens."""
    from langchain_qwen_memory.memory.base import Limits
    from langchain_qwen_memory.memory.recall import RecallMemory
    from langchain_qwen_memory.memory.window import capacity

    limits = Limits(input=limit, overhead=system)
    sizes: list[Any] = [getattr(memory, "trigger", None) for memory in wiring.memories]
    known = [size for size in sizes if size and size[0] in ("tokens", "fraction")]
    turns = min((capacity(size, limits)[0] for size in known), default=float("inf"))
    if not isfinite(turns):
        return limit, False
    recalled = sum(memory.max_tokens for memory in wiring.memories if isinstance(memory, RecallMemory))
    return min(limit, int(turns) + system + recalled), True
