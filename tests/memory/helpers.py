"""Small builders for tests of memories: conversations without a graph."""

from collections.abc import Mapping, Sequence
from typing import Any

from langchain_core.messages import AIMessage, BaseMessage, HumanMessage

from langchain_qwen_memory.archive.base import root_key
from langchain_qwen_memory.memory.base import Conversation, Limits, Phase
from langchain_qwen_memory.memory.turns import live_turns


def count(message: BaseMessage) -> int:
    """A tokenizer for tests: a token a character, and five for the header."""
    return 5 + len(str(message.content))


def dialogue(*pairs: tuple[str, str] | str) -> list[BaseMessage]:
    """Messages from (question, answer) pairs; a lone string is a question still open."""
    messages: list[BaseMessage] = []
    for pair in pairs:
        if isinstance(pair, str):
            messages.append(HumanMessage(pair))
        else:
            messages += [HumanMessage(pair[0]), AIMessage(pair[1])]
    return messages


def conversation(
    messages: Sequence[BaseMessage],
    *,
    phase: Phase = "before",
    record: Mapping[str, Mapping[str, Any]] | None = None,
    room: int = 10_000,
    overhead: int = 0,
    position: int = 0,
) -> Conversation:
    """A conversation as a memory reads it, with `room` tokens for the view."""
    turns = live_turns(messages, parent=root_key("alice", "t1"), position=position, count=count)
    limits = Limits(input=room, overhead=overhead)
    return Conversation(turns=turns, record=record or {}, phase=phase, limits=limits, count=count)
