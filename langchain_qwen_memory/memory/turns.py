"""A conversation as turns: one user message and all that follows it, up to the next user message."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TypeAlias

from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage, ToolMessage

from langchain_qwen_memory.archive.base import turn_key

Counter: TypeAlias = Callable[[BaseMessage], int]
"""Says how many tokens a message costs in a prompt, its role header included."""

_CACHED_CHARACTERS = 20_000
"""Longer turns are hashed anew each time, so that the cache of keys stays small."""


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

    @property
    def finished(self) -> bool:
        """Whether the model has had the last word: an answer without open tool calls."""
        last = self.messages[-1]
        return isinstance(last, AIMessage) and not last.tool_calls


def part_system(messages: Iterable[BaseMessage]) -> tuple[list[SystemMessage], list[BaseMessage]]:
    """Part system messages, which never leave the prompt, from the conversation itself."""
    system: list[SystemMessage] = []
    rest: list[BaseMessage] = []
    for message in messages:
        if isinstance(message, SystemMessage):
            system.append(message)
        else:
            rest.append(message)
    return system, rest


def part_turns(messages: Iterable[BaseMessage]) -> list[list[BaseMessage]]:
    """Cut messages at each user message; what stands before the first one is a turn of its own."""
    turns: list[list[BaseMessage]] = []
    for message in messages:
        if isinstance(message, HumanMessage) or not turns:
            turns.append([])
        turns[-1].append(message)
    return turns


def live_turns(
    messages: Sequence[BaseMessage], *, parent: str, position: int, count: Counter
) -> tuple[LiveTurn, ...]:
    """Read the live turns out of a state's messages (system messages left out).

    Args:
        messages: The conversation's live messages, oldest first.
        parent: Key of the turn before the first of them; a thread's root key at its start.
        position: Place of the first of them in the thread, from 0.
        count: Tokens of one message.

    Returns:
        The turns, oldest first; the last one may be open.
    """
    turns = []
    for number, group in enumerate(part_turns(messages)):
        key = _key(parent, group)
        first = group[0]
        turns.append(
            LiveTurn(
                messages=tuple(group),
                position=position + number,
                parent=parent,
                key=key,
                tokens=sum(map(count, group)),
                question=first if isinstance(first, HumanMessage) else None,
            )
        )
        parent = key
    return tuple(turns)


class _Said:
    """A turn's messages, equal to others that say the same: hashing strings is cheap, canonical JSON is not."""

    __slots__ = ("fingerprint", "messages")

    def __init__(self, messages: list[BaseMessage]) -> None:
        self.messages = messages
        self.fingerprint = tuple(map(_fingerprint, messages))

    def __hash__(self) -> int:
        return hash(self.fingerprint)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Said) and self.fingerprint == other.fingerprint

    @property
    def size(self) -> int:
        """Characters."""
        return sum(len(part) for parts in self.fingerprint for part in parts)


@lru_cache(maxsize=4096)
def _cached_key(parent: str, said: _Said) -> str:
    return turn_key(parent, said.messages)


def _key(parent: str, messages: list[BaseMessage]) -> str:
    said = _Said(messages)
    return _cached_key(parent, said) if said.size < _CACHED_CHARACTERS else turn_key(parent, messages)


def _fingerprint(message: BaseMessage) -> tuple[str, ...]:
    content = message.content
    text = content if isinstance(content, str) else json.dumps(content, default=str)
    extra = ""
    if isinstance(message, AIMessage) and (message.tool_calls or message.invalid_tool_calls):
        extra = json.dumps([message.tool_calls, message.invalid_tool_calls], default=str)
    elif isinstance(message, ToolMessage):
        extra = f"{message.tool_call_id}\0{message.status}"
    return (message.type, message.name or "", text, extra)
