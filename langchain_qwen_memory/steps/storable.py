"""Makes an answer that a checkpoint can hold of one that it cannot: numbers beyond 64 bits as their digits."""

from __future__ import annotations

from typing import Any

from langchain_core.messages import AIMessage, BaseMessage

_LEAST, _MOST = -(2**63), 2**64 - 1
"""Integers that the checkpoint's format has."""


def storable(message: BaseMessage) -> BaseMessage:
    """The message with integers that no checkpoint can hold, in the arguments of its calls, as texts of their digits.

    A model may well write such a number, as for an order of twenty digits. A tool's argument that is declared as a
    number or a text takes the digits for what they are.
    """
    if not isinstance(message, AIMessage) or not _holds_large(message.tool_calls):
        return message
    return message.model_copy(update={"tool_calls": _written(message.tool_calls), "content": _written(message.content)})


def _is_large(value: Any) -> bool:
    return isinstance(value, int) and not _LEAST <= value <= _MOST


def _holds_large(value: Any) -> bool:
    if isinstance(value, dict):
        return any(map(_holds_large, value.values()))
    return any(map(_holds_large, value)) if isinstance(value, list) else _is_large(value)


def _written(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _written(held) for name, held in value.items()}
    if isinstance(value, list):
        return [_written(held) for held in value]
    return str(value) if _is_large(value) else value
