"""What a thread's checkpoints tell of each turn: its report, the summary after it, and where one can go back to."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from langchain_core.runnables import RunnableConfig

    from langchain_qwen_memory.state import Report
    from langchain_qwen_memory.terminal.bot import Bot

_REMEMBERED = 4_000
"""Checkpoints that are kept in mind: reading one costs milliseconds, and what is written never changes."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Moment:
    """A thread as it stood when a turn was finished."""

    report: Report
    """What memory did in it."""
    summary: str
    """The summary after it, with the facts that are kept beside it; empty while nothing is folded."""
    config: RunnableConfig
    """With the checkpoint's id."""


@dataclass(frozen=True, slots=True)
class _Seen:
    """What is kept in mind of a checkpoint."""

    moment: Moment | None
    parent: RunnableConfig | None


class Moments:
    """Reads moments, newest first, and remembers what it has read."""

    def __init__(self) -> None:
        self._seen: OrderedDict[tuple[str, str], _Seen] = OrderedDict()

    async def of(self, bot: Bot, *, limit: int) -> list[Moment]:
        """The newest turns' moments, oldest first; turns of a branch that was left are not among them.

        Args:
            bot: With the thread in its config.
            limit: Turns at most.
        """
        found: dict[int, Moment] = {}
        at: RunnableConfig | None = (await bot.graph.aget_state(bot.config)).config
        while at is not None and len(found) < limit:
            seen = await self._see(bot, at)
            if seen.moment is not None:
                found.setdefault(seen.moment.report["turn"], seen.moment)
            at = seen.parent
        return [found[turn] for turn in sorted(found)]

    async def at(self, bot: Bot, turn: int) -> RunnableConfig | None:
        """Where one can go back to: the checkpoint after a turn, or with -1 that of the empty thread."""
        at: RunnableConfig | None = (await bot.graph.aget_state(bot.config)).config
        first = None
        while at is not None:
            seen = await self._see(bot, at)
            if seen.moment is not None and seen.moment.report["turn"] == turn:
                return seen.moment.config
            first, at = at, seen.parent
        return first if turn < 0 else None

    def forget(self, thread: str) -> None:
        """Keep nothing in mind of a thread."""
        for key in [key for key in self._seen if key[0] == thread]:
            del self._seen[key]

    async def _see(self, bot: Bot, config: RunnableConfig) -> _Seen:
        key = (_part(config, "thread_id"), _part(config, "checkpoint_id"))
        seen = self._seen.get(key)
        if seen is None:
            state = await bot.graph.aget_state(config)
            seen = _Seen(_moment(state), state.parent_config)
            if key[1]:
                self._seen[key] = seen
            if len(self._seen) > _REMEMBERED:
                self._seen.popitem(last=False)
        return seen


def _part(config: RunnableConfig, name: str) -> str:
    return str(config.get("configurable", {}).get(name, ""))


def _moment(state: Any) -> Moment | None:
    record: Mapping[str, Any] = state.values.get("record") or {}
    if state.next or "report" not in record:
        return None
    return Moment(report=record["report"], summary=summary_of(record), config=state.config)


def summary_of(record: Mapping[str, Any]) -> str:
    """The summary as a view shows it, with the facts that are kept beside it."""
    from langchain_qwen_memory.memory.ledger import with_ledger
    from langchain_qwen_memory.memory.text import is_chinese

    slot = record.get("slots", {}).get("summary", {})
    text, ledger = str(slot.get("text", "")), tuple(slot.get("ledger", ()))
    return with_ledger(text, ledger, chinese=is_chinese(text or " ".join(ledger)))


def last_change(moments: Sequence[Moment], moment: Moment) -> tuple[Moment | None, str]:
    """The turn up to `moment` that changed the summary last, and the summary before it.

    The turn is None where none of those that are looked back on did.
    """
    until = list(moments).index(moment) + 1
    summaries = ["" if moments[0].report["turn"] == 0 else moments[0].summary, *(one.summary for one in moments)]
    for at in range(until, 0, -1):
        if summaries[at] != summaries[at - 1]:
            return moments[at - 1], summaries[at - 1]
    return None, ""
