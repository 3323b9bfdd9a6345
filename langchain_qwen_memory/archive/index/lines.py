"""Which turns a search of an indexed archive may hand out: the lineages of threads, asked from the archive."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from langchain_qwen_memory.archive.base import Archive
from langchain_qwen_memory.archive.index.base import line_of
from langchain_qwen_memory.archive.turn import Turn

__all__ = ["Line", "line_at"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A lineage of a thread."""

    thread: str
    """The thread's id."""
    name: str
    """What an index knows the thread by."""
    head: str
    """Key of its last turn."""
    length: int
    """Turns in it."""
    spans: Mapping[str, int] = field(default_factory=dict)
    """Last position of the lineage on each of its branches."""

    def holds(self, branch: str, position: int) -> bool:
        """Whether the turn at a place of a branch is on the lineage."""
        return position <= self.spans.get(branch, -1)


def line_at(archive: Archive, user: str, thread: str, head: str | None) -> Line | None:
    """The lineage of a turn, or of the newest one; None where it is empty.

    One look where the thread has one branch; some more, as the logarithm of its length, for each branching.
    """
    last = _turn(archive, user, thread, head, None)
    if last is None:
        return None
    spans, top = {last.branch: last.position}, last
    while (first := _first(archive, user, thread, last.key, top)) > 0:
        below = _turn(archive, user, thread, last.key, first - 1)
        if below is None:  # forgotten meanwhile
            return None
        spans[below.branch], top = below.position, below
    name = line_of(user, thread)
    return Line(thread=thread, name=name, head=last.key, length=last.position + 1, spans=spans)


def _first(archive: Archive, user: str, thread: str, head: str, top: Turn) -> int:
    """The lowest position of the lineage that is on the branch of a turn of it."""

    def same(position: int) -> bool:
        turn = _turn(archive, user, thread, head, position)
        return turn is None or turn.branch == top.branch

    low, high = 0, top.position
    if high == 0 or same(0):
        return 0
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if same(middle) else (middle, high)
    return high


def _turn(archive: Archive, user: str, thread: str, head: str | None, position: int | None) -> Turn | None:
    """The turn at a position of a lineage, or its last one."""
    before = None if position is None else position + 1
    return next(iter(archive.page(user, thread, head=head, before=before, limit=1)), None)
