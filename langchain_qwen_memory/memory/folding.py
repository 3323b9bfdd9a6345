"""Which turns a fold takes: decided from the edge onwards, so that turns added later do not change the answer.

A fold that is due is planned as it would have been when the trigger was first crossed. The same turns are then
chosen, and the same note is found, whether it is made at once, prepared while nobody waits, or resumed after a crash
with a turn or two more.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import accumulate

from langchain_core.messages import AIMessage

from langchain_qwen_memory.memory.base import Limits
from langchain_qwen_memory.memory.turns import LiveTurn
from langchain_qwen_memory.memory.window import LEAP, Size, newest_within

CEILING = 0.7
"""Share of what the model takes in that is never passed before a fold is due."""
_FLOOR = 0.7
"""Where system text and tools fill most of the input, this part of a fraction is taken of what they leave."""
_BACKLOG = 8
"""Turns that stand beyond a fold that was due, and are past the trigger themselves: a thread was imported whole, or
no fold was possible for long. Then turns are folded in large pieces."""
_PIECE = 4
"""Triggers in a large piece: few calls for thousands of messages, yet little enough for a summary to be faithful."""


@dataclass(frozen=True, slots=True)
class Grown:
    """What the oldest so many turns since the edge amount to."""

    turns: int
    """How many."""
    tokens: int
    """What they cost in a prompt."""
    calls: int
    """Answers of the model in them."""
    kept: int
    """Tokens of those of them that a fold would keep."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Rule:
    """When a fold is due and what it leaves; `inf` where a bound does not hold."""

    turns: float
    """More turns than this are due."""
    tokens: Callable[[Grown], float]
    """More tokens than this, the summary's among them, are due."""
    keep_turns: float
    """Turns that are left at most."""
    keep_tokens: float
    """Tokens that are left at most, those of the summary among them."""
    reserve: int
    """Tokens set aside for the summary beside the turns that are left."""
    takes: int
    """Tokens of turns that the summariser takes in at once, the old summary not counted."""

    def due(self, grown: Grown, summary: int, mark: float = 1.0) -> bool:
        """Whether turns and summary are past `mark` times the trigger."""
        return grown.turns > mark * self.turns or grown.tokens + summary > mark * self.tokens(grown)

    def past(self, turns: Sequence[LiveTurn], summary: int, mark: float = 1.0) -> bool:
        """`due` for all of the turns."""
        return self.due(whole(turns, self.keep_turns, self.keep_tokens), summary, mark)

    def kept_from(self, turns: Sequence[LiveTurn], limits: Limits, tokens: float | None = None) -> int:
        """Position of the first turn that a fold leaves, within `keep` or `tokens`; the last one is always left."""
        most = self.keep_tokens if tokens is None else tokens
        sizes: list[Size] = [("turns", self.keep_turns), ("tokens", most)]
        besides = min(self.reserve, int(most) // 2) if most < float("inf") else 0
        return max(newest_within(tuple(turns), size, limits, besides=besides) for size in sizes)

    def end(
        self, turns: Sequence[LiveTurn], *, summary: int, limits: Limits, mark: float = 1.0, least: float = 0
    ) -> int:
        """Where the next fold ends: the position of the first turn that it leaves.

        Args:
            turns: The live turns since the edge; at least one.
            summary: Tokens of the summary that stands.
            limits: The room of a view.
            mark: Share of the trigger from which a fold is due.
            least: Tokens below which nothing is due: a fold at fewer has not shrunk the view.

        Returns:
            The position of the first of `turns` where nothing is due.
        """
        grown = measured(turns, self.keep_turns, self.keep_tokens)
        for past in grown:
            if past.tokens + summary >= least and self.due(past, summary, mark):
                end = self.kept_from(turns[: past.turns], limits)
                beyond = turns[past.turns :]
                if len(beyond) >= _BACKLOG and self.past(beyond, 0):
                    end = self.kept_from(turns, limits)
                if end > turns[0].position:
                    return self.piece(turns, end, summary)
        return turns[0].position

    def piece(self, turns: Sequence[LiveTurn], end: int, summary: int) -> int:
        """The end brought forward to what one call may be given; a turn at least, if there is one to fold."""
        first = turns[0].position
        foldable = turns[: max(0, end - first)]
        most = min(self.takes - summary, _PIECE * self.tokens(whole(turns, self.keep_turns, self.keep_tokens)))
        taken = sum(total <= most for total in accumulate(turn.tokens for turn in foldable))
        return first + min(len(foldable), max(1, min(taken, int(min(_PIECE * self.turns, len(foldable))))))


def whole(turns: Sequence[LiveTurn], keep_turns: float, keep_tokens: float) -> Grown:
    """What all turns amount to."""
    kept = turns[-int(min(keep_turns, len(turns))) :]
    return Grown(
        turns=len(turns),
        tokens=sum(turn.tokens for turn in turns),
        calls=sum(map(_calls, turns)),
        kept=int(min(keep_tokens, sum(turn.tokens for turn in kept))),
    )


def measured(turns: Sequence[LiveTurn], keep_turns: float, keep_tokens: float) -> list[Grown]:
    """What the first turn, the first two, ... all turns amount to."""
    tokens = [0, *accumulate(turn.tokens for turn in turns)]
    calls = accumulate(map(_calls, turns))
    return [
        Grown(
            turns=number,
            tokens=tokens[number],
            calls=called,
            kept=int(min(keep_tokens, tokens[number] - tokens[max(0, number - int(min(keep_turns, number)))])),
        )
        for number, called in enumerate(calls, start=1)
    ]


def _calls(turn: LiveTurn) -> int:
    return sum(isinstance(message, AIMessage) for message in turn.messages)


def tokens_in(fraction: float, limits: Limits) -> float:
    """What a fraction of the input leaves for summary and turns; never nothing, however long the system text."""
    return max(fraction * limits.input - limits.overhead, fraction * _FLOOR * limits.history, 1.0)


def keeping(size: Size, limits: Limits, *, turns: float, tokens: float) -> tuple[float, float]:
    """What `keep` leaves: (turns, tokens), within three quarters of a trigger, so that a fold is a leap in any case."""
    kind, number = size
    most_turns = max(1, int(LEAP * turns)) if turns < float("inf") else turns
    if kind == "turns":
        return min(number, most_turns), LEAP * tokens
    kept = number if kind == "tokens" else tokens_in(number, limits)
    return most_turns, min(kept, LEAP * tokens)
