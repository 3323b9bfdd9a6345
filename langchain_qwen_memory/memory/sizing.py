"""The sizes of a summary memory in tokens and turns, for the model, the prices and the conversation at hand."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeAlias

from langchain_qwen_memory.errors import MemoryOptionError
from langchain_qwen_memory.memory.base import Conversation, Limits
from langchain_qwen_memory.memory.cost import Course, cheapest_leap, relative
from langchain_qwen_memory.memory.folding import CEILING, Grown, Rule, keeping, tokens_in
from langchain_qwen_memory.memory.window import Size, checked_size, half

Trigger: TypeAlias = Size | tuple[Literal["cost"], Literal["auto"] | float]
"""A size; or `("cost", "auto")`: the cheapest one, `("cost", 150)` where turns are known to add 150 tokens each."""

_SUMMARY_SHARE, _LEDGER_SHARE = 4, 8
"""A summary is at most a quarter of the trigger, its ledger an eighth: the rest is for turns."""
_FRAME = 40
"""Tokens of a summary's frame and of the ledger's title, roughly."""
_KEEP_FOR_COST: Size = ("turns", 8)
"""What a cost trigger keeps unless told: the fewest turns with which answers stay connected."""


_LEDGER_FOR_COST = 100
"""Tokens of a ledger with a cost trigger, which is small: an eighth of the 800 tokens that a call is to cost."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Sizes:
    """What the user set."""

    trigger: Trigger
    """How much summary and turns may be together."""
    keep: Size | None
    """How much a fold leaves; None: the default."""
    summary: int
    """Tokens of a summary at most."""
    ledger: int
    """Tokens of a ledger at most."""

    def check(self) -> None:
        """Refuse what cannot be.

        Raises:
            MemoryOptionError: A size is not one, or `keep` is above `trigger`.
        """
        match self.trigger:
            case ("cost", "auto"):
                pass
            case ("cost", growth) if isinstance(growth, int | float) and growth > 0 and growth is not True:
                pass
            case ("cost", *_):
                raise MemoryOptionError(
                    f'trigger={self.trigger!r}: write ("cost", "auto"), or ("cost", 150) if a turn adds 150 tokens.'
                )
            case _:
                checked_size("trigger", self.trigger, also=' A summary also takes ("cost", "auto").')
        self._check_numbers()

    def _check_numbers(self) -> None:
        if self.summary < 1 or self.ledger < 0:
            raise MemoryOptionError(
                f"max_summary_tokens={self.summary} must be at least 1 and max_ledger_tokens={self.ledger} "
                "at least 0; the defaults are 400 and 200."
            )
        if self.keep is None:
            return
        kept, most = checked_size("keep", self.keep), self.trigger
        if most[0] != "cost" and kept[0] == most[0] and kept[1] > most[1]:
            raise MemoryOptionError(
                f"keep={kept!r} is above trigger={most!r}: a fold would leave more than it found. "
                f"Write keep={half(most)!r}, or leave it out."
            )

    @property
    def leaves(self) -> Size:
        """How much a fold leaves."""
        if self.keep is not None:
            return self.keep
        return _KEEP_FOR_COST if self.trigger[0] == "cost" else half(self.trigger)

    def bound(self, limits: Limits) -> float:
        """Tokens of summary and turns that are never passed before a fold is due."""
        most = tokens_in(CEILING, limits)
        match self.trigger:
            case ("tokens", number):
                return min(float(number), most)
            case ("fraction", number):
                return min(tokens_in(float(number), limits), most)
            case _:
                return most

    def written(self, limits: Limits) -> tuple[int, int]:
        """Tokens of a summary, and of the ledger beside it, at most."""
        most = int(self.bound(limits))
        ledger = min(self.ledger, _LEDGER_FOR_COST) if self.trigger[0] == "cost" else self.ledger
        return max(1, min(self.summary, most // _SUMMARY_SHARE)), min(ledger, most // _LEDGER_SHARE)

    def rule(self, conversation: Conversation, *, summary: int, asking: int) -> Rule:
        """When a fold is due and what it leaves.

        Args:
            conversation: Whose limits and prices count.
            summary: Tokens of the summary that stands.
            asking: Tokens of the instruction to the summariser.
        """
        limits, most = conversation.limits, self.bound(conversation.limits)
        written, ledger = self.written(limits)
        cost = self.trigger[0] == "cost"
        trigger = float(self.trigger[1]) if self.trigger[0] == "turns" else float("inf")
        turns, tokens = keeping(self.leaves, limits, turns=trigger, tokens=most)
        return Rule(
            turns=trigger,
            tokens=self._cheapest(conversation, summary, asking) if cost else lambda _: most,
            keep_turns=turns,
            keep_tokens=tokens,
            reserve=written + ledger + _FRAME,
            takes=max(1, limits.history - written - asking),
        )

    def _cheapest(self, conversation: Conversation, summary: int, asking: int) -> Callable[[Grown], float]:
        """The trigger in tokens, worked out anew for what the turns amount to."""
        rates, most = relative(conversation.prices), self.bound(conversation.limits)
        given, limits = self.trigger[1], conversation.limits
        expected = summary or self.written(limits)[0] // 2

        def tokens(grown: Grown) -> float:
            course = Course(
                growth=grown.tokens / grown.turns if isinstance(given, str) else float(given),
                calls=max(1.0, grown.calls / grown.turns),
                fixed=limits.overhead,
                kept=grown.kept,
                summary=expected,
                asking=asking,
            )
            return min(most, summary + grown.kept + cheapest_leap(course, rates))

        return tokens
