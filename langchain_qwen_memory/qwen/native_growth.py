"""Tells whether a stream sends pieces or, each time, all that was said so far, and makes pieces of the latter."""

from collections.abc import Callable
from typing import Any

__all__ = ["Growth"]


class Growth:
    """Reads one stream. Pieces are asked for; some models send whole texts all the same.

    A piece may begin with all that was said before ("哈", then "哈哈"), so that the texts alone do not tell. The
    service's count of tokens does: it grows by the tokens of a piece, or by those that a whole text has more.

    Args:
        count: Tokens of a text.
    """

    def __init__(self, count: Callable[[str], int]) -> None:
        self._count = count
        self._whole: bool | None = None
        self._said: dict[Any, str] = {}
        self._tokens: int | None = None
        self._last = False

    def piece_of(self, delta: dict[str, Any], tokens: int | None, *, last: bool = False) -> dict[str, Any]:
        """Returns an event's message with what is new in it.

        Args:
            delta: The message.
            tokens: Output tokens so far; None: not said.
            last: It is the last one.
        """
        self._last = last
        grown = None if tokens is None or self._tokens is None else tokens - self._tokens
        new = dict(delta)
        for name in ("reasoning_content", "content"):
            if isinstance(text := delta.get(name), str) and text:
                new[name] = self._new(name, text, lambda was, text: self._tells(was, text, grown))
        if calls := delta.get("tool_calls"):
            new["tool_calls"] = [self._call(call) for call in calls]
        self._tokens = tokens if tokens is not None else self._tokens
        return new

    def _call(self, call: dict[str, Any]) -> dict[str, Any]:
        function = call.get("function") or {}
        if not isinstance(arguments := function.get("arguments"), str) or not arguments:
            return call
        # JSON does not begin twice: what starts with all that came before is the whole
        new = self._new(call.get("index"), arguments, lambda _was, _text: True)
        return {**call, "function": {**function, "arguments": new}}

    def _new(self, name: Any, text: str, tells: Callable[[str, str], bool]) -> str:
        was = self._said.get(name, "")
        if self._whole is None and was:
            self._whole = text.startswith(was) and tells(was, text)
        if not self._whole:
            self._said[name] = was + text
            return text
        if not self._last:
            text = text.rstrip("\ufffd")  # the first bytes of a character whose others are still to come
        if len(text) > len(was):
            self._said[name] = text
        return text[_common(was, text) :]

    def _tells(self, was: str, text: str, grown: int | None) -> bool:
        if grown is None:
            return True
        alone = self._count(text)
        return abs(grown - (alone - self._count(was))) < abs(grown - alone)


def _common(one: str, other: str) -> int:
    """How many characters two texts begin with in common."""
    if other.startswith(one):
        return len(one)
    pairs = enumerate(zip(one, other, strict=False))
    pairs = enumerate(zip(one, other, strict=False))
    return next((place for place, (a, b) in pairs if a != b), min(len(one), len(other)))
