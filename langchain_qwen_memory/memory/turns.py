"""A conversation as turns: one user message and all that follows it, up to the next user message."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from operator import is_
from threading import Lock
from typing import NamedTuple, TypeAlias, TypeVar

from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage

from langchain_qwen_memory.archive.base import turn_key

Counter: TypeAlias = Callable[[BaseMessage], int]
"""Says how many tokens a message costs in a prompt, its role header included."""

_Message = TypeVar("_Message", bound=BaseMessage)

_CACHED_TURNS = 2_048
"""Turns of all threads that are kept as they were read last."""
_CACHED_CHARACTERS = 20_000
"""Longer turns are read anew each time, so that what is kept stays small."""
_CACHED_STATES = 64
"""Threads whose live turns are kept as a whole, as they were read last."""
_CACHED_TOKENS = 50_000
"""Larger states are put together from their turns each time."""


@dataclass(frozen=True, slots=True)
class LiveTurn:
    """A turn that stands in the checkpointed state, word for word."""

    messages: tuple[BaseMessage, ...]
    """The user's message first (a greeting before any question has none), then answers and tool results."""
    position: int
    """Its place in the whole thread, from 0; archived turns count."""
    parent: str
    """Key of the turn before it."""
    key: str
    """Hash of `parent` and of what was said; the archive's key once the turn is finished."""
    tokens: int
    """What its messages cost in a prompt."""
    question: HumanMessage | None = field(repr=False, default=None)
    """The user's message, or None where the assistant speaks first."""
    refused: bool = False
    """A question that the provider refused and that was never answered: it stands in no view."""
    shown: dict[bool, tuple[list[BaseMessage], int]] = field(repr=False, compare=False, default_factory=dict)
    """How it is sent as an earlier turn and what that costs, with thinking kept or not; filled by `render`."""

    def loaded(self, messages: tuple[BaseMessage, ...]) -> LiveTurn:
        """The same turn with its messages as they were loaded anew: the next node of the run brings these objects."""
        return LiveTurn(  # thirty to sixty in each run: `replace` takes twice the time
            messages=messages,
            position=self.position,
            parent=self.parent,
            key=self.key,
            tokens=self.tokens,
            question=self.question,
            refused=self.refused,
            shown=self.shown,
        )

    @property
    def finished(self) -> bool:
        """Whether the model has had the last word: an answer without open tool calls, and not one to be continued."""
        return is_finished(self.messages[-1])


def is_finished(last: BaseMessage) -> bool:
    """Whether a message ends a turn: an answer without open tool calls, and not one to be continued."""
    return isinstance(last, AIMessage) and not last.tool_calls and not last.additional_kwargs.get("partial")


def part_system(messages: Iterable[BaseMessage]) -> tuple[list[SystemMessage], list[BaseMessage]]:
    """Part system messages, which never leave the prompt, from the conversation itself."""
    system: list[SystemMessage] = []
    rest: list[BaseMessage] = []
    for message in messages:
        (system if message.type == "system" else rest).append(message)  # type: ignore[arg-type]
    return system, rest


def each_once(system: Iterable[_Message]) -> tuple[_Message, ...]:
    """System messages without repetitions: many apps put the same one before each question."""
    kept: list[_Message] = []
    for message in system:
        if all(message.content != other.content for other in kept):
            kept.append(message)
    return tuple(kept)


def part_turns(messages: Iterable[BaseMessage]) -> list[list[BaseMessage]]:
    """Cut messages at each user message; what stands before the first one is a turn of its own."""
    turns: list[list[BaseMessage]] = []
    for message in messages:
        if message.type == "human" or not turns:
            turns.append([message])
        else:
            turns[-1].append(message)
    return turns


def live_turns(messages: Sequence[BaseMessage], *, parent: str, position: int, count: Counter) -> tuple[LiveTurn, ...]:
    """Read the live turns out of a state's messages.

    Args:
        messages: The conversation's live messages, oldest first; system messages among them are passed over.
        parent: Key of the turn before the first of them; a thread's root key at its start.
        position: Place of the first of them in the thread, from 0.
        count: Tokens of one message.

    Returns:
        The turns, oldest first; the last one may be open.
    """
    return read_live(messages, parent=parent, position=position, count=count)[1]


def read_live(
    messages: Sequence[BaseMessage], *, parent: str, position: int, count: Counter
) -> tuple[tuple[SystemMessage, ...], tuple[LiveTurn, ...]]:
    """`live_turns`, and the system messages that stand among them."""
    place = (parent, position, count)
    known = _unchanged(place, messages)
    system, turns = list(known.system), list(known.turns)
    if turns:
        parent = turns[-1].key
    more, rest = part_system(messages[known.begun :])
    for number, group in enumerate(part_turns(rest), position + len(turns)):
        turn = _known(group, parent, number, count) or _read(group, parent, number, count)
        turns.append(turn)
        parent = turn.key
    read = (*system, *more), tuple(turns)
    if len(turns) != len(known.turns) + 1:
        _keep(place, messages, *read)
    return read


class _Settled(NamedTuple):
    """The beginning of a state that is known: all but its last turn, which may grow."""

    messages: tuple[BaseMessage, ...] = ()
    """These very objects, and the last turn's first message, which marks where the turn before it ends."""
    system: tuple[SystemMessage, ...] = ()
    turns: tuple[LiveTurn, ...] = ()

    @property
    def begun(self) -> int:
        """Where the last turn begins."""
        return max(0, len(self.messages) - 1)


_Place: TypeAlias = tuple[str, int, Counter]
_read_last: OrderedDict[_Place, _Settled] = OrderedDict()
"""States as they were read last: the next node of a run reads the same objects, and a few more."""


def _unchanged(place: _Place, messages: Sequence[BaseMessage]) -> _Settled:
    known = _read_last.get(place, _Settled())
    same = len(messages) >= len(known.messages) and all(map(is_, known.messages, messages))
    return known if same else _Settled()


def _keep(
    place: _Place, messages: Sequence[BaseMessage], system: tuple[SystemMessage, ...], turns: tuple[LiveTurn, ...]
) -> None:
    settled = _Settled()
    if len(turns) > 1 and sum(turn.tokens for turn in turns) <= _CACHED_TOKENS:
        begun = max(at for at, message in enumerate(messages) if message is turns[-1].messages[0])
        late = {id(message) for message in messages[begun:]}
        earlier = tuple(message for message in system if id(message) not in late)
        settled = _Settled(tuple(messages[: begun + 1]), earlier, turns[:-1])
    with _guard:
        _read_last[place] = settled
        while len(_read_last) > _CACHED_STATES:
            _read_last.popitem(last=False)


_read_before: OrderedDict[tuple[str, int, Counter, int, str | None], LiveTurn] = OrderedDict()
"""Turns as they were read last: each node of each run reads all live turns again, freshly loaded."""
_guard = Lock()


def _known(group: list[BaseMessage], parent: str, position: int, count: Counter) -> LiveTurn | None:
    """The turn as it was read before, if it says the same: comparing is much cheaper than hashing and counting."""
    place = (parent, position, count, len(group), group[0].id)
    turn = _read_before.get(place)
    if turn is None or all(map(is_, turn.messages, group)):
        return turn
    if any(old.__dict__ != new.__dict__ for old, new in zip(turn.messages, group, strict=True)):
        return None
    turn = turn.loaded(tuple(group))
    _read_before[place] = turn
    return turn


def _read(group: list[BaseMessage], parent: str, position: int, count: Counter) -> LiveTurn:
    first = group[0]
    turn = LiveTurn(
        messages=tuple(group),
        position=position,
        parent=parent,
        key=turn_key(parent, group),
        tokens=sum(map(count, group)),
        question=first if isinstance(first, HumanMessage) else None,
    )
    if sum(len(str(message.content)) for message in group) <= _CACHED_CHARACTERS:
        with _guard:
            _read_before[parent, position, count, len(group), first.id] = turn
            while len(_read_before) > _CACHED_TURNS:
                _read_before.popitem(last=False)
    return turn
