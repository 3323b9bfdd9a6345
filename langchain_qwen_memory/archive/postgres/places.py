"""Keeps where the turns of the users searched last stand, so that a search reads only what came since.

A stored turn never changes, and a thread's turns get rising numbers; so what is kept is right exactly when each thread
has as many turns as are kept of it, which every search is told. Numbers and times are kept, no word of anybody.
"""

import threading
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy.typing as npt

    from langchain_qwen_memory.archive.finding.ranking import Integers

    Table = npt.NDArray[Any]

__all__ = ["KEPT_TURNS", "PLACE", "Held", "Kept"]

KEPT_TURNS = 1_000_000
"""Turns whose places one archive keeps at most, at about 60 bytes each."""
PLACE = (
    "int8send(id) || int8send(thread) || int8send(branch) || int4send(position) || int4send(length) || float8send(at)"
)
"""A turn's place as bytes, read from the index alone."""
_PLACE = [
    ("turn", ">i8"),
    ("thread", ">i8"),
    ("branch", ">i8"),
    ("position", ">i4"),
    ("length", ">i4"),
    ("at", ">f8"),
]
_NATIVE = [(name, kind.replace(">", "=")) for name, kind in _PLACE]


@dataclass(frozen=True, slots=True, eq=False)
class Held:
    """The places of all turns of one user, in order of thread and position; never changed, only followed by another."""

    owner: int
    """The user's number."""
    table: "Table"
    """A row for each turn."""
    order: "Integers"
    """Rows in order of the turns' numbers."""

    @classmethod
    def of(cls, owner: int, packed: bytes | None = None, before: "Held | None" = None) -> "Held":
        """Read places as the server packs them, and add those held before."""
        import numpy as np

        table = np.frombuffer(packed or b"", dtype=_PLACE).astype(_NATIVE)
        if before is not None:
            table = np.concatenate((before.table, table))
        table = table[np.lexsort((table["position"], table["thread"]))]
        return cls(owner, table, np.argsort(table["turn"]))

    @property
    def newest(self) -> int:
        """The greatest number of a turn, 0 for none."""
        return int(self.table["turn"][self.order[-1]]) if len(self.order) else 0

    def has_all(self, threads: bytes | None) -> bool:
        """Whether it holds as many turns of each thread as the server says, and of no other."""
        import numpy as np

        told = np.frombuffer(threads or b"", dtype=[("thread", ">i8"), ("turns", ">i4")])
        told = told[np.argsort(told["thread"])]
        thread = self.table["thread"]
        ends = np.flatnonzero(np.diff(thread, append=-1))
        counts = np.diff(ends, prepend=-1)
        return np.array_equal(thread[ends], told["thread"]) and np.array_equal(counts, told["turns"])


class Kept:
    """The places of the users that were searched last, for all threads of a process."""

    def __init__(self, room: int = KEPT_TURNS) -> None:
        """Keep the places of so many turns; a user of more is read anew for each search."""
        self._room = room
        self._held: OrderedDict[bytes, Held] = OrderedDict()
        self._turns = 0
        self._lock = threading.Lock()

    def get(self, user: bytes) -> Held | None:
        """What is held of a user, told by the digest of the name."""
        with self._lock:
            if user in self._held:
                self._held.move_to_end(user)
            return self._held.get(user)

    def put(self, user: bytes, held: Held | None) -> None:
        """Hold the newest places of a user; None: nothing any more."""
        with self._lock:
            before = self._held.pop(user, None)
            self._turns -= len(before.table) if before is not None else 0
            if held is not None and len(held.table) <= self._room:
                self._held[user] = held
                self._turns += len(held.table)
            while self._turns > self._room:
                self._turns -= len(self._held.popitem(last=False)[1].table)
