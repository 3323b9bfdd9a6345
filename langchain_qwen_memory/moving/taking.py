"""How turns enter an archive: a flow that reads lines and says which of the archive's methods it needs next."""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import dataclass, field, replace
from typing import Any

from langchain_qwen_memory.archive.base import Turn, root_key, turn_key
from langchain_qwen_memory.errors import ArchiveError
from langchain_qwen_memory.moving.giving import PAGE, Call, Flow
from langchain_qwen_memory.moving.lines import Note, read_line

__all__ = ["Moved", "Taking"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Moved:
    """How far an import is."""

    line: int = 0
    """Number of the line that was read last, from 1."""
    turns: int = 0
    """Turns that are in the archive now."""
    new: int = 0
    """Of these, such as were not there before."""
    notes: int = 0
    """Notes that are there now."""
    left_notes: int = 0
    """Notes that were left out, since a renamed thread has other keys."""
    problem: str = ""
    """Why turns have no vector yet; empty where nothing is missing."""


@dataclass
class Taking:
    """An import under way."""

    to_user: str | None = None
    """Whose the turns are to be; None: as told."""
    to_thread: str | None = None
    """What the thread is to be called; None: as told."""
    moved: Moved = field(default_factory=Moved)
    """How far it is."""
    _whose: tuple[str, str] | None = None
    _page: list[Turn] = field(default_factory=list)
    _keys: dict[str, str] = field(default_factory=dict)
    _told: list[int] = field(default_factory=lambda: [0, 0])
    _ended: bool = False

    def feed(self, line: str | bytes, number: int) -> Flow[Moved]:
        """Take a line in.

        Raises:
            ArchiveError: The line is broken or was changed; what came before it is taken in.
        """
        try:
            found = read_line(line, number)
            if isinstance(found, Turn | Note):
                self._check_whose(found, number)
        except ArchiveError:
            yield from self._flush()
            raise
        self.moved = replace(self.moved, line=number)
        if isinstance(found, Turn):
            yield from self._turn(found, number)
        elif isinstance(found, Note):
            yield from self._note(found)
        elif isinstance(found, tuple):
            yield from self._count(found, number)

    def end(self) -> Flow[Moved]:
        """There are no more lines.

        Raises:
            ArchiveError: The last one was not an end line.
        """
        yield from self._flush()
        if not self._ended:
            raise ArchiveError(
                f"the file ends with line {self.moved.line} and has no end line: it was cut, or the export was "
                f"stopped; its {self.moved.turns} turns are imported. Export again, and import that: what is there "
                "is passed over"
            )

    def _check_whose(self, found: Turn | Note, number: int) -> None:
        """Two users' or two threads' turns under one name would be mixed up."""
        self._ended = False
        before = self._whose or (found.user, found.thread)
        for given, was, now, option in (
            (self.to_user, before[0], found.user, "to_user"),
            (self.to_thread, before[1], found.thread, "to_thread"),
        ):
            if given is not None and was != now:
                what = option.removeprefix("to_")
                raise ArchiveError(
                    f"line {number} is of {what} {now!r}, lines before it of {was!r}: {option}={given!r} would mix "
                    f"them; export one {what}, or leave {option} out"
                )

    def _turn(self, turn: Turn, number: int) -> Flow[Moved]:
        whose = turn.user, turn.thread
        if whose != self._whose or len(self._page) >= PAGE:
            yield from self._flush()
        fresh = whose != self._whose
        if fresh:
            self._whose, self._keys = whose, {root_key(*whose): root_key(*self._target(whose))}
        root = turn.parent == root_key(*whose)
        turn = self._renamed(turn, number)
        if fresh and root:
            yield from self._check_free(turn)
        self._page.append(turn)
        self._told[0] += 1

    def _target(self, whose: tuple[str, str]) -> tuple[str, str]:
        user, thread = whose
        return user if self.to_user is None else self.to_user, thread if self.to_thread is None else self.to_thread

    def _renamed(self, turn: Turn, number: int) -> Turn:
        """The turn in its new thread: keys grow out of the thread's root, so all of them change with it."""
        whose = turn.user, turn.thread
        user, thread = self._target(whose)
        if (user, thread) == whose:
            return turn
        parent = self._keys.get(turn.parent)
        if parent is None:
            raise ArchiveError(
                f"line {number} follows turn {turn.parent}, which does not stand before it; an export that is renamed "
                "must be whole and in its own order"
            )
        key = self._keys[turn.key] = turn_key(parent, turn.messages)
        return replace(turn, user=user, thread=thread, parent=parent, key=key)

    def _check_free(self, first: Turn) -> Generator[Call, Any, None]:
        """A thread of that name with another beginning is another conversation, which must not be hidden by this."""
        if (yield Call("count", (first.user, first.thread))) == 0:
            return
        if not (yield Call("get", (first.user, first.thread, [first.key]))):
            raise ArchiveError(
                f"user {first.user!r} has another conversation in thread {first.thread!r} already; give the imported "
                f"one another name: to_thread={first.thread + '-2'!r}"
            )

    def _flush(self) -> Flow[Moved]:
        page, self._page = self._page, []
        if not page:
            return
        try:
            new = yield Call("append", (page[0].user, page[0].thread, page))
        except ArchiveError as error:
            first = self.moved.line - len(page)
            raise type(error)(
                f"the turns up to line {self.moved.line} (from {first}) are not taken in: {error}"
            ) from error
        self.moved = replace(
            self.moved,
            turns=self.moved.turns + len(page),
            new=self.moved.new + new,
            problem=getattr(new, "problem", ""),
        )
        yield self.moved

    def _note(self, note: Note) -> Flow[Moved]:
        yield from self._flush()
        self._told[1] += 1
        whose = note.user, note.thread
        if self._target(whose) != whose:
            self.moved = replace(self.moved, left_notes=self.moved.left_notes + 1)
            return
        yield Call("put_note", (*whose, note.key, note.note))
        self.moved = replace(self.moved, notes=self.moved.notes + 1)

    def _count(self, told: tuple[int, int], number: int) -> Flow[Moved]:
        yield from self._flush()
        read, self._told = tuple(self._told), [0, 0]
        if told != read:
            raise ArchiveError(
                f"line {number} says that there are {told[0]} turns and {told[1]} notes; there were {read[0]} and "
                f"{read[1]}: lines are missing. What was there is imported; export again, and import that"
            )
        self._ended = True
        yield self.moved
