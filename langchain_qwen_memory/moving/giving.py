"""How turns leave an archive: a flow of lines that says which of the archive's methods it needs next."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass, field, replace
from typing import Any, Self, TypeAlias, TypeVar

from langchain_qwen_memory.moving.lines import Marks, Note, end_line, header_line, note_line, turn_line

__all__ = ["PAGE", "Call", "Flow", "Giving", "Line"]

PAGE = 100
"""Turns that are read or written at once."""
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Call:
    """Need of a flow: a method of the archive."""

    name: str
    what: tuple[Any, ...] = ()
    how: dict[str, Any] = field(default_factory=dict)


Flow: TypeAlias = Generator[Call | T, Any, None]


class Line(str):  # noqa: SLOT000 - a string with attributes; slots would save nothing here
    """A line of an export, without its newline; and how far the export is."""

    done: int
    """Turns written, this one included; with those of the file that is gone on with."""
    total: int
    """Turns in all, as counted at the beginning."""

    def __new__(cls, text: str, *, done: int = 0, total: int = 0) -> Self:
        """A line with its numbers."""
        line = super().__new__(cls, text)
        line.done, line.total = done, total
        return line


@dataclass(kw_only=True)
class Giving:
    """An export under way."""

    user: str | None
    """Whose turns; None: everyone's."""
    thread: str | None
    """Which thread; None: all."""
    marks: Marks
    """What an earlier export has; counted on as this one goes."""
    total: int = 0
    """Turns in all."""
    written: int = 0
    """Notes written, those of the earlier export included."""

    def all(self) -> Flow[Line]:
        """Every line."""
        users = [self.user] if self.user is not None else (yield Call("users"))
        for user in users:
            self.total += yield Call("count", (user, self.thread))
        self.written = len(self.marks.notes)
        if not self.marks.offset:
            yield self._line(header_line())
        for user in users:
            found = [] if self.thread is not None else (yield Call("threads", (user,)))
            names = [self.thread] if self.thread is not None else sorted(one.thread for one in found)
            for thread in names:
                yield from self._thread(user, thread)
        yield self._line(end_line(self.marks.turns, self.written))

    def _thread(self, user: str, thread: str) -> Flow[Line]:
        after = self.marks.last.get((user, thread))  # where the earlier export ends; forgotten since: from the first
        while page := (yield Call("turns", (user, thread), {"after": after, "limit": PAGE})):
            for turn in page:
                self.marks.turns += 1
                yield self._line(turn_line(replace(turn, user=user, thread=thread)))
            after = page[-1].key
        yield from self._notes(user, thread)

    def _notes(self, user: str, thread: str) -> Flow[Line]:
        for key, note in (yield Call("notes", (user, thread))):
            if (user, thread, key) not in self.marks.notes:
                self.written += 1
                yield self._line(note_line(Note(user=user, thread=thread, key=key, note=note)))

    def _line(self, text: str) -> Line:
        return Line(text, done=self.marks.turns, total=max(self.total, self.marks.turns))
