"""Tells whether a stream sends pieces or, each time, all that was said so far, and makes pieces of the latter."""

from collections.abc import Callable, Mapping
from typing import Any

__all__ = ["Growth"]


class Growth:
    """Reads one stream. Pieces are asked for; some models send whole texts all the same.

    A piece may begin with all that was said before ("哈", then "哈哈"), so that the texts alone do not tell. The
    service's count of tokens does: it grows by the tokens of a piece, or by those that a whole text has more. Where
    no counts come with the pieces, the catalogue must have said that the model sends whole texts.

    Args:
        count: Tokens of a text; None: a text that begins with all that was said before is taken for the whole.
    """

    def __init__(self, count: Callable[[str], int] | None = None) -> None:
        self._count = count
        self._whole: bool | None = None
        self._said: dict[Any, str] = {}
        self._tokens: dict[str, int] = {}
        self._ids: dict[Any, str] = {}
        self._last = False

    def piece_of(self, delta: dict[str, Any], usage: Mapping[str, Any], *, last: bool = False) -> dict[str, Any]:
        """Returns an event's message with what is new in it.

        Args:
            delta: The message.
            usage: Token counts so far, by the compatible protocol's names; empty: not said.
            last: It is the last one.
        """
        self._last, new = last, dict(delta)
        out = usage.get("completion_tokens")
        thought = (usage.get("completion_tokens_details") or {}).get("reasoning_tokens", out)
        for name, tokens in (("reasoning_content", thought), ("content", out)):
            if isinstance(text := delta.get(name), str) and text:
                new[name] = self._new(name, text, self._grown(name, tokens))
        if calls := delta.get("tool_calls"):
            new["tool_calls"] = [piece for call in calls if (piece := self._call(call))]
        if out is not None and thought is not None:
            self._tokens = {"content": out, "reasoning_content": thought}
        return new

    def _grown(self, name: str, tokens: int | None) -> int | None:
        return None if tokens is None or name not in self._tokens else tokens - self._tokens[name]

    def _call(self, call: dict[str, Any]) -> dict[str, Any] | None:
        """A piece of a call; None of one that was told before and is told again, as it is with whole texts."""
        function = call.get("function") or {}
        arguments = function.get("arguments")
        place = call["index"] if call.get("index") is not None else call.get("id")
        if not isinstance(arguments, str):
            return call
        # JSON does not begin twice: what starts with all that came before is the whole
        new = self._new(place, arguments, None) if arguments else ""
        known = self._ids.get(place)
        self._ids.setdefault(place, call.get("id") or "")
        if known is None or not self._whole or call.get("id") not in {known, "", None}:
            return {**call, "function": {**function, "arguments": new}}
        return {"index": call.get("index"), "id": "", "function": {"arguments": new}} if new else None

    def _new(self, name: Any, text: str, grown: int | None) -> str:
        was = self._said.get(name, "")
        if self._whole is None and was:
            self._whole = text.startswith(was) and self._tells(was, text, grown)
        if not self._whole:
            self._said[name] = was + text
            return text
        if not self._last:
            text = text.rstrip("\ufffd")  # the first bytes of a character whose others are still to come
        if len(text) > len(was):
            self._said[name] = text
        return text[_common(was, text) :]

    def _tells(self, was: str, text: str, grown: int | None) -> bool:
        if grown is None or self._count is None:
            return True
        alone = self._count(text)
        return abs(grown - (alone - self._count(was))) < abs(grown - alone)


def _common(one: str, other: str) -> int:
    """How many characters two texts begin with in common."""
    if other.startswith(one):
        return len(one)
    pairs = enumerate(zip(one, other, strict=False))
    return next((place for place, (a, b) in pairs if a != b), min(len(one), len(other)))
