"""What an archive takes in and gives back: turns, hits, lists of threads; and what it refuses at its door."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Generic, Self, TypeVar, overload

from langchain_core.messages import BaseMessage

from langchain_qwen_memory.errors import ArchiveError

__all__ = ["Appended", "ArchivedThread", "Found", "Hit", "Turn", "check_ids", "check_limit", "check_periods", "orphan"]


_T = TypeVar("_T")


class Later(Generic[_T]):
    """A field that may be given as a function, called when it is first read: most turns found are not looked into."""

    def __set_name__(self, owner: type, name: str) -> None:
        """The field's name."""
        self._name = name

    @overload
    def __get__(self, turn: None, owner: type) -> Self: ...
    @overload
    def __get__(self, turn: object, owner: type) -> _T: ...
    def __get__(self, turn: object | None, owner: type) -> Any:
        """What was given, or what the function that was given brings."""
        if turn is None:
            raise AttributeError(self._name)  # tells the dataclass that there is no default
        value = vars(turn)[self._name]
        if callable(value):
            value = vars(turn)[self._name] = value()
        return value

    def __set__(self, turn: object, value: _T | Callable[[], _T]) -> None:
        """Keep what was given."""
        vars(turn)[self._name] = value


@dataclass(frozen=True, kw_only=True)
class Turn:
    """A finished turn: one user message and all that follows it up to the next."""

    key: str
    """`turn_key(parent, messages)`: the same turn after the same past has the same key, whoever writes it."""
    parent: str
    """Key of the turn before it; `root_key(user, thread)` for the first turn of a thread."""
    messages: Later[tuple[BaseMessage, ...]] = Later()
    """The messages themselves, tool calls and media references too."""
    text: Later[str] = Later()
    """What full text finds the turn by; usually `searchable_text(messages)`, perhaps with its date."""
    at: float
    """When the turn was finished: Unix seconds, UTC."""
    tokens: int
    """Tokens of all its messages."""
    position: int = -1
    """Number of turns before it in its lineage; set by the archive."""
    branch: str = ""
    """Which branch of the thread it was appended to, an opaque name; set by the archive."""
    user: str = ""
    """Whose turn it is, "" for an application without users; set by the archive."""
    thread: str = ""
    """The conversation it belongs to; set by the archive."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Hit:
    """A turn that a search found."""

    turn: Turn
    """The turn, whole."""
    score: float
    """How well it fits, above 0; comparable within one search only."""
    before: Turn | None = None
    """The turn before it in the lineage that was searched, where neighbours were asked for and there is one."""
    after: Turn | None = None
    """The turn after it in the lineage that was searched, likewise."""


class Appended(int):
    """How many turns were new: a number, with a word on what is missing of them."""

    problem: str
    """Why turns have no vector yet, in one line without secrets; "" where nothing is missing."""

    def __new__(cls, new: int = 0, problem: str = "") -> Self:
        """A count of new turns."""
        made = super().__new__(cls, new)
        made.problem = problem
        return made

    def __getnewargs__(self) -> tuple[Any, ...]:
        return int(self), self.problem


class Found(list[Hit]):
    """Hits, best first: a list, with a word on what could not be searched."""

    problem: str
    """Why the search went by full text alone, in one line without secrets; "" where it did not have to."""

    def __init__(self, hits: Iterable[Hit] = (), problem: str = "") -> None:
        """Hits in their order."""
        super().__init__(hits)
        self.problem = problem


@dataclass(frozen=True, kw_only=True, slots=True)
class ArchivedThread:
    """One line of a user's list of threads."""

    thread: str
    """The thread's id."""
    turns: int
    """How many turns of it are archived, abandoned branches included."""
    first: float
    """When its oldest turn was finished: Unix seconds, UTC."""
    last: float
    """When its newest turn was finished: Unix seconds, UTC."""


def check_id(name: str, value: object) -> None:
    """Refuse a user or thread id that no archive could keep apart from others.

    Raises:
        ArchiveError: it is no string, or it holds half of a surrogate pair, which UTF-8 cannot write.
    """
    if not isinstance(value, str):
        kind = type(value).__name__
        raise ArchiveError(f"{name} must be a string, not {kind}; write {name}={str(value)!r}")
    try:
        value.encode()
    except UnicodeEncodeError:
        fix = f"clean it with {name}.encode('utf-8', 'replace').decode()"
        raise ArchiveError(f"{name} {value!r} holds half of a surrogate pair, which is no text; {fix}") from None


def check_ids(user: str, thread: str | None) -> None:
    """Refuse ids that are not text; a thread of None stands for all threads and is passed over."""
    check_id("user", user)
    if thread is not None:
        check_id("thread", thread)


def check_limit(limit: int) -> None:
    """Refuse a negative limit, which a database would take for "all".

    Raises:
        ArchiveError: the limit is below 0.
    """
    if limit < 0:
        raise ArchiveError(f"limit must be 0 or more, not {limit}")


def check_periods(periods: Iterable[tuple[float, float]]) -> None:
    """Refuse periods that are no pairs of times, or end before they begin.

    Raises:
        ArchiveError: such a period.
    """
    for period in periods:
        start, end = period if isinstance(period, tuple | list) and len(period) == 2 else (None, None)  # noqa: PLR2004
        if not (isinstance(start, int | float) and isinstance(end, int | float) and start <= end):
            raise ArchiveError(
                f"a period is (start, end) in Unix seconds with start <= end, not {period!r}; "
                "write periods=[(start, end)]"
            )


def orphan(turn: Turn) -> ArchiveError:
    """The error for a turn whose parent is not archived."""
    return ArchiveError(
        f"turn {turn.key} follows {turn.parent}, which is not archived in this thread; append the turns before "
        "it first, oldest first; the first turn's parent is root_key(user, thread). In a running thread it means that "
        "its archive was lost: put the archive back, or begin a new thread with the messages that are live"
    )
