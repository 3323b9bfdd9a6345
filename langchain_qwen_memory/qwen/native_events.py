"""Parts a stream's bytes into the service's events, wherever they were cut on their way."""

import json
from typing import NamedTuple

__all__ = ["Event", "EventLines", "looks_framed"]

_STATUS = "HTTP_STATUS/"
_OK = 200


class Event(NamedTuple):
    """One event as it came."""

    name: str
    """result or error; empty if it has no name."""
    status: int
    """The HTTP status that stands in the event, under which the service would have sent it alone."""
    data: str
    """JSON, if it came whole."""


class EventLines:
    """Collects bytes to lines and lines to events.

    Lines are parted as bytes, at line feeds only, so that neither half a character nor one of Unicode's other line
    ends within a text is taken for an end. A frame without the blank line after it, as some gateways send them, ends
    where the next begins.
    """

    def __init__(self) -> None:
        self._rest = bytearray()
        self._looked = 0
        self._name, self._status = "", _OK
        self._data: list[str] = []

    def feed(self, piece: bytes) -> list[Event]:
        """Takes the next bytes and returns the events that are complete with them."""
        self._rest += piece
        events: list[Event] = []
        while (end := self._rest.find(b"\n", self._looked)) >= 0:
            line = bytes(self._rest[:end])
            del self._rest[: end + 1]
            self._looked = 0
            events += self._take(line.rstrip(b"\r").decode())
        self._looked = len(self._rest)
        return events

    def end(self) -> list[Event]:
        """Returns what stood at the end without a blank line after it."""
        rest, self._rest = bytes(self._rest), bytearray()
        return [*(self._take(rest.rstrip(b"\r").decode("utf-8", "replace")) if rest else []), *self._dispatch()]

    def _take(self, line: str) -> list[Event]:
        if not line:
            return self._dispatch()
        name, _, value = line.removeprefix("\ufeff").partition(":")
        value = value.removeprefix(" ")
        begins = name in {"id", "event"} or (not name and value.startswith(_STATUS))
        done = self._dispatch() if self._data and (begins or (name == "data" and self._is_whole())) else []
        if name == "event":
            self._name = value
        elif not name and value.startswith(_STATUS):
            told = value[len(_STATUS) :].strip()
            self._status = int(told) if told.isascii() and told.isdigit() else self._status
        elif name == "data":
            self._data.append(value)
        return done

    def _dispatch(self) -> list[Event]:
        events = [Event(self._name, self._status, "\n".join(self._data))] if self._data else []
        self._name, self._status, self._data = "", _OK, []
        return events

    def _is_whole(self) -> bool:
        try:
            json.loads("\n".join(self._data))
        except json.JSONDecodeError:
            return False
        return True


def looks_framed(text: str) -> bool:
    """Whether a text is framed as events, whatever its content type says."""
    return text.lstrip("\ufeff\r\n").startswith(("id:", "event:", "data:", ":"))
