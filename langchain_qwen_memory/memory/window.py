"""Window memory: the newest turns word for word, with an edge that leaps instead of sliding."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar, Literal, TypeAlias

from langchain_qwen_memory.errors import MemoryOptionError
from langchain_qwen_memory.memory.base import Conversation, Limits, Memory, Selection
from langchain_qwen_memory.memory.turns import LiveTurn

Size: TypeAlias = tuple[Literal["tokens", "turns", "fraction"], float]
"""`("tokens", 8_000)`, `("turns", 40)` or `("fraction", 0.7)` of what the model takes in."""

CEILING: Size = ("fraction", 0.7)
"""However large `trigger` is, the window leaves room for what else a prompt holds."""


def checked_size(name: str, size: object, *, also: str = "") -> Size:
    """Give `size` back if it is one, else say what is accepted, and what else is."""
    accepted = '("tokens", 8_000), ("turns", 40) or ("fraction", 0.7)'
    match size:
        case ("tokens" | "turns" as kind, int(number)) if number > 0 and not isinstance(number, bool):
            return (kind, number)
        case ("fraction", float(number)) if 0 < number <= 1:
            return ("fraction", number)
        case _:
            raise MemoryOptionError(f"{name}={size!r} is not a size; write {accepted}.{also}")


LEAP = 0.75
"""Of a trigger, the most that a leap leaves: an edge that slides with each turn empties the provider's cache."""


def leap_leaves(size: Size) -> Size:
    """The most that a leap leaves of what is past a trigger of this size."""
    kind, number = size
    return (kind, LEAP * number if kind == "fraction" else max(1, int(LEAP * number)))


def half(size: Size) -> Size:
    """Half of a size, at least one."""
    kind, number = size
    return (kind, number / 2 if kind == "fraction" else max(1, int(number) // 2))


def capacity(size: Size, limits: Limits) -> tuple[float, float]:
    """What a size allows: (tokens, turns), each infinite where it does not bind."""
    kind, number = size
    if kind == "turns":
        return float("inf"), number
    if kind == "tokens":
        return number, float("inf")
    return max(0.0, number * limits.input - limits.overhead), float("inf")


def fits(turns: tuple[LiveTurn, ...], size: Size, limits: Limits, *, besides: int = 0) -> bool:
    """Whether the turns, and `besides` tokens beside them, are within a size."""
    tokens, number = capacity(size, limits)
    return len(turns) <= number and besides + sum(turn.tokens for turn in turns) <= tokens


def newest_within(turns: tuple[LiveTurn, ...], size: Size, limits: Limits, *, besides: int = 0) -> int:
    """Position of the first of the newest turns that are within a size; the last turn is always within.

    Args:
        turns: Live turns, oldest first; at least one.
        size: How much may stay.
        limits: The room of a view.
        besides: Tokens that stand beside the turns (a summary).
    """
    tokens, number = capacity(size, limits)
    used = float(besides)
    for taken, turn in enumerate(reversed(turns)):
        used += turn.tokens
        if taken and (taken >= number or used > tokens):
            return turn.position + 1
    return turns[0].position


@dataclass(frozen=True, kw_only=True)
class WindowMemory(Memory):
    """Keeps the newest turns word for word; older ones leave the view, and stay in the archive.

    The edge does not slide with each turn, which would empty the provider's prompt cache each time: past `trigger` it
    leaps, so that `keep` is left. Until the next leap each prompt begins with the one before it.

    Example:
        ```python
        WindowMemory(trigger=("turns", 40), keep=("turns", 20))   # 20 to 40 turns word for word
        ```

    Raises:
        MemoryOptionError: A size is not one, or `keep` is above `trigger`.
    """

    name: ClassVar[str] = "window"
    moves_edge: ClassVar[bool] = True

    trigger: Size = ("turns", 40)
    """How much stands in the view at most: past it the edge leaps."""
    keep: Size | None = None
    """How much a leap leaves; half of `trigger` unless told, three quarters at most."""

    def __post_init__(self) -> None:
        """Refuse what is not a size."""
        checked_size("trigger", self.trigger)
        if self.keep is not None:
            checked_size("keep", self.keep)
            if self.keep[0] == self.trigger[0] and self.keep[1] > self.trigger[1]:
                raise MemoryOptionError(
                    f"keep={self.keep!r} is above trigger={self.trigger!r}: a leap would leave more than it found. "
                    f"Write keep={half(self.trigger)!r}, or leave it out."
                )

    @property
    def leaves(self) -> Size:
        """How much a leap leaves."""
        return self.keep or half(self.trigger)

    def select(self, conversation: Conversation, selection: Selection) -> Selection:
        """Keep the turns since the edge; move the edge if they have grown past `trigger`, or past what fits well."""
        start, limits = max(selection.start, self._edge(conversation)), conversation.limits
        turns = conversation.kept(start)
        if turns and not (fits(turns, self.trigger, limits) and fits(turns, CEILING, limits)):
            sizes = (self.leaves, leap_leaves(self.trigger), half(CEILING))
            start = max(newest_within(turns, size, limits) for size in sizes)
        first = conversation.kept(start)
        parent = first[0].parent if first else ""
        return replace(selection, start=start).keeping(self.name, start=start, parent=parent)

    def _edge(self, conversation: Conversation) -> int:
        """Where the window began; at the first live turn, if turns were edited or taken out of the state since."""
        slot = conversation.slot(self.name)
        start = int(slot.get("start", 0))
        turns = conversation.turns[max(0, start - conversation.first) :]
        same = bool(turns) and turns[0].position == start and turns[0].parent == slot.get("parent")
        return start if same else conversation.first
