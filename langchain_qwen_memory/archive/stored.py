"""How messages and notes are written down: JSON that any message survives, whatever a tool put into it."""

import json
import zlib
from base64 import b64encode
from collections.abc import Callable, Iterable
from functools import cached_property, partial
from typing import Any

from langchain_core.messages import (
    BaseMessage,
    BaseMessageChunk,
    message_chunk_to_message,
    messages_from_dict,
)

from langchain_qwen_memory.errors import ArchiveError

__all__ = ["dumps", "loads", "note_to_bytes", "pack", "plain", "unpack", "unpack_later", "whole"]

DEEPEST = 100
"""Nesting of stored data; below it a value is kept as its repr."""


def pack(messages: Iterable[BaseMessage], text: str) -> bytes:
    """Messages and searchable text, compressed; the text repeats them and so costs next to nothing."""
    data = [
        {"type": message.type, "data": plain(message.model_dump(exclude_defaults=True))}
        for message in map(whole, messages)
    ]
    return zlib.compress(dumps({"messages": data, "text": text}), level=1)


def unpack(body: bytes) -> tuple[tuple[BaseMessage, ...], str]:
    """The messages and the text that `pack` wrote down."""
    data = loads(zlib.decompress(body))
    return tuple(messages_from_dict(data["messages"])), data["text"]


class _Body:
    """A body that is unpacked when it is first looked into."""

    def __init__(self, packed: bytes) -> None:
        self._packed = packed

    @cached_property
    def whole(self) -> tuple[tuple[BaseMessage, ...], str]:
        return unpack(self._packed)


def unpack_later(body: bytes) -> tuple[Callable[[], tuple[BaseMessage, ...]], Callable[[], str]]:
    """`unpack` as two functions: a search brings many turns, of which few are shown."""
    packed = _Body(body)
    return partial(_messages, packed), partial(_text, packed)


def _messages(body: _Body) -> tuple[BaseMessage, ...]:
    return body.whole[0]


def _text(body: _Body) -> str:
    return body.whole[1]


def note_to_bytes(note: dict[str, Any]) -> bytes:
    """A note as JSON.

    Raises:
        ArchiveError: the note holds something that JSON does not know; it would not come back as it was.
    """
    try:
        return dumps(note)
    except (TypeError, ValueError) as error:
        raise ArchiveError(
            f"a note must be JSON data: {error}; keep strings, numbers, lists and dicts in it"
        ) from error


def dumps(value: Any) -> bytes:
    """JSON in UTF-8; half of a surrogate pair, as in the text of a stream that was cut, is kept as it is."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass")


def loads(data: bytes) -> Any:
    """What `dumps` wrote."""
    return json.loads(data.decode("utf-8", "surrogatepass"))


def whole(message: BaseMessage) -> BaseMessage:
    """The message that a chunk of a stream stands for; other messages as they are."""
    return message_chunk_to_message(message) if isinstance(message, BaseMessageChunk) else message


def plain(value: Any, depth: int = 0) -> Any:
    """A JSON-ready copy of any value; what JSON does not know becomes its repr, bytes become base64."""
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if depth < DEEPEST:
        if isinstance(value, dict):
            return {str(key): plain(item, depth + 1) for key, item in value.items()}
        if isinstance(value, list | tuple):
            return [plain(item, depth + 1) for item in value]
        if isinstance(value, set | frozenset):
            return sorted((plain(item, depth + 1) for item in value), key=repr)
    if isinstance(value, bytes | bytearray):
        return b64encode(value).decode()
    kind = type(value)
    told = any("__repr__" in vars(base) for base in kind.__mro__[:-1])  # object's own repr is an address
    return repr(value) if told else f"<{kind.__module__}.{kind.__qualname__}>"
