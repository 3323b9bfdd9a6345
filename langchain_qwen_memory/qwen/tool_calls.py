"""Puts streamed tool calls together, also from servers that mix up their indices and ids."""

import json
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

from langchain_core.messages import InvalidToolCall, ToolCall
from langchain_core.messages.tool import (
    ToolCallChunk,
    invalid_tool_call,
    tool_call,
    tool_call_chunk,
)
from langchain_core.utils.json import parse_partial_json

__all__ = ["CallBook", "parse_arguments"]


@dataclass(slots=True)
class _Call:
    """One call as far as it has come."""

    id: str
    name: str
    pieces: list[str] = field(default_factory=list)

    @property
    def arguments(self) -> str:
        return "".join(self.pieces)


class CallBook:
    """Keeps the calls of one answer and says of each fragment to which call it belongs.

    Fragments are placed by what servers do, not by what the protocol says: DashScope repeats ids as empty strings,
    vLLM has announced a second call under index 1 and sent its arguments under 0, others have sent every call under
    index 0 or a fresh id with each fragment.
    """

    def __init__(self) -> None:
        self._calls: list[_Call] = []
        self._by_index: dict[Any, int] = {}

    def __len__(self) -> int:
        return len(self._calls)

    def add(self, fragments: list[dict[str, Any]]) -> list[ToolCallChunk]:
        """Takes a delta's `tool_calls` and returns LangChain's chunks, with indices that can be trusted."""
        return [self._add(fragment) for fragment in fragments]

    def finished(self, *, cut: bool = False) -> tuple[list[ToolCall], list[InvalidToolCall]]:
        """Returns the calls whose arguments are a JSON object, and the others as they came.

        Args:
            cut: The answer was cut off for its length: a last call without arguments has not come to them.
        """
        valid, invalid = [], []
        for call in self._calls:
            args, error = parse_arguments(call.arguments)
            if cut and call is self._calls[-1] and not call.arguments:
                error = "The answer was cut off before the arguments."
            if error is None:
                valid.append(tool_call(name=call.name, args=args, id=call.id))
            else:
                invalid.append(invalid_tool_call(name=call.name, args=call.arguments, id=call.id, error=error))
        return valid, invalid

    def spoilers(self, *, cut: bool = False) -> list[ToolCallChunk]:
        """Returns fragments that keep cut-off arguments from being completed by guess.

        LangChain reads summed chunks with a parser that closes open brackets, so that `{"path": "/home/a` would run a
        tool on half a path. A closing bracket that fits nothing makes the call an invalid one, as it is in `invoke`.
        """
        return [
            tool_call_chunk(name=None, args=spoiler, id=None, index=position)
            for position, call in enumerate(self._calls)
            if (spoiler := _spoiler(call.arguments, cut=cut and call is self._calls[-1]))
        ]

    def _add(self, fragment: dict[str, Any]) -> ToolCallChunk:
        function = fragment.get("function") or {}
        name, arguments = function.get("name") or None, _text(function.get("arguments"))
        position = self._position(fragment.get("index"), fragment.get("id") or None, name)
        new = position == len(self._calls)
        if new:
            self._calls.append(_Call(fragment.get("id") or f"call_{uuid4().hex[:24]}", name or ""))
        call = self._calls[position]
        late = None if new or call.name else name
        call.name = call.name or late or ""
        self._by_index[fragment.get("index")] = position
        call.pieces.append(arguments)
        return tool_call_chunk(
            name=call.name if new else late, args=arguments, id=call.id if new else None, index=position
        )

    def _position(self, index: Any, call_id: str | None, name: str | None) -> int:
        latest = len(self._calls) - 1
        known = self._by_index.get(index)
        if latest < 0:
            return 0
        if name is not None and not self._repeats(
            latest if known is None else known, call_id, name, fresh=known is None
        ):
            return latest + 1
        if known is None or known == latest:
            return latest
        earlier = self._calls[known].arguments
        return latest if earlier and parse_arguments(earlier)[1] is None else known

    def _repeats(self, position: int, call_id: str | None, name: str, *, fresh: bool) -> bool:
        """Whether a named fragment goes on with a call: some servers repeat the id or the name, or both."""
        call = self._calls[position]
        if call_id is not None:
            begun_anew = fresh and bool(call.arguments) and parse_arguments(call.arguments)[1] is None
            return call_id == call.id and not begun_anew
        if not call.name:
            return True
        return not fresh and name == call.name


def parse_arguments(text: str) -> tuple[dict[str, Any], str | None]:
    """Reads a call's arguments strictly; returns them and None, or nothing and what is wrong."""
    try:
        args = json.loads(text, parse_constant=_no_number) if text.strip() else {}
    except ValueError as error:
        return {}, f"The arguments are not JSON: {error}."
    if not isinstance(args, dict):
        return {}, f"The arguments are a JSON {type(args).__name__}, not an object."
    return args, None


def _no_number(name: str) -> None:
    raise ValueError(f"{name} is no JSON number")


def _spoiler(arguments: str, *, cut: bool) -> str:
    if cut and not arguments:
        return "]"
    if parse_arguments(arguments)[1] is None or not _completed(arguments):
        return ""
    return next(end for end in ("]", "}", '"]', '"}', '\\"]', '\\"}') if not _completed(arguments + end))


def _completed(arguments: str) -> bool:
    try:
        return isinstance(parse_partial_json(arguments), dict)
    except json.JSONDecodeError:
        return False


def _text(arguments: Any) -> str:
    if arguments is None or isinstance(arguments, str):
        return arguments or ""
    return json.dumps(arguments, ensure_ascii=False)
