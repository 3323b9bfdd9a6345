"""Keeps the vectors of the users that are searched in memory, right whatever other processes append and erase."""

import sqlite3
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from langchain_qwen_memory.archive.embedding import Vectors
    from langchain_qwen_memory.archive.finding.fusion import Floats, Integers

from langchain_qwen_memory.archive.embedding import DIGITS

__all__ = ["Partition", "Partitions"]

BLOCK = 16
"""Vectors that are multiplied in one go: few enough that the array library stays in this thread, since its others
wait for each other, ten milliseconds at a time, where the machine is busy."""

_SEGMENTS = "SELECT id, turns, vectors FROM qwen_memory_vector_segments WHERE space = ? AND user = ? AND id > ?"
_SINGLE = "SELECT turn, vector FROM qwen_memory_vectors WHERE space = ? AND user = ?"


@dataclass(slots=True)
class Partition:
    """All vectors of one user, in one block of memory, in the order they were stored."""

    epoch: int
    """The user's epoch when it was read: another one means that turns were erased."""
    dimension: int
    """Length of a vector."""
    changes: int = -1
    """The user's count of changes when it was last read."""
    segment: int = -1
    """The newest segment that was read."""
    size: int = 0
    """Vectors in it."""
    known: set[int] = field(default_factory=set)
    """Their turns' numbers, as a set."""
    _turns: "npt.NDArray[np.int64] | None" = None
    _rows: "Vectors | None" = None

    @property
    def bytes(self) -> int:
        """Memory that it takes, about."""
        return 0 if self._rows is None else self._rows.nbytes + 100 * len(self.known)

    def read(self, db: sqlite3.Connection, space: int, user: int, changes: int) -> None:
        """Take in what came since it was last read."""
        import numpy as np

        if changes == self.changes:
            return
        for segment, held, vectors in db.execute(_SEGMENTS, (space, user, self.segment)):
            self._take(np.frombuffer(held, dtype="<u4"), np.frombuffer(vectors, dtype="<f4"))
            self.segment = max(self.segment, segment)
        single = db.execute(_SINGLE, (space, user)).fetchall()
        turns = np.array([row[0] for row in single], dtype="<u4")
        self._take(turns, np.frombuffer(b"".join(row[1] for row in single), dtype="<f4"))
        self.changes = changes

    def cosines(self, question: "Vectors", turns: "Integers") -> "Floats":
        """The cosine of each of these turns to a question; nan for one without a vector.

        Args:
            question: unit vector, float32.
            turns: numbers of all turns of the user, in any order.
        """
        import numpy as np

        found = np.full(len(turns), np.nan, dtype=np.float32)
        if self._rows is None or self._turns is None or not len(turns):
            return found
        blocks = self._rows[: -(-self.size // BLOCK) * BLOCK].reshape(-1, BLOCK, self.dimension)
        near = np.round((blocks @ question).ravel()[: self.size], DIGITS)
        mine = self._turns[: self.size]
        if self.size == len(turns) and np.array_equal(mine, turns):
            return near
        order = np.argsort(turns, kind="stable")
        place = np.minimum(np.searchsorted(turns, mine, sorter=order), len(turns) - 1)
        rows = order[place]
        same = turns[rows] == mine
        found[rows[same]] = near[same]
        return found

    def _take(self, turns: "Integers", vectors: "Vectors") -> None:
        """Add vectors of turns that are not in it yet."""
        import numpy as np

        new = [row for row, turn in enumerate(turns.tolist()) if turn not in self.known]
        if not new:
            return
        self._room(self.size + len(new))
        assert self._turns is not None
        assert self._rows is not None
        end = self.size + len(new)
        self._turns[self.size : end] = turns[new]
        self._rows[self.size : end] = vectors.reshape(len(turns), self.dimension)[np.array(new)]
        self.known.update(int(turns[row]) for row in new)
        self.size = end

    def _room(self, size: int) -> None:
        """Make room for so many vectors, and a quarter more, so that a growing history is seldom copied."""
        import numpy as np

        if self._rows is not None and size <= len(self._rows):
            return
        room = (size + size // 4) // BLOCK * BLOCK + BLOCK
        turns, rows = np.zeros(room, dtype=np.int64), np.zeros((room, self.dimension), dtype=np.float32)
        if self._rows is not None and self._turns is not None:
            turns[: self.size], rows[: self.size] = self._turns[: self.size], self._rows[: self.size]
        self._turns, self._rows = turns, rows


class Partitions:
    """The partitions of the users that were searched last, as many as fit into some memory. Not for several threads."""

    def __init__(self, room: int) -> None:
        """Keep partitions in so many bytes; one that is larger alone is read anew for each search."""
        self.room = room
        self._kept: OrderedDict[tuple[int, int], Partition] = OrderedDict()
        self._bytes = 0
        self._space = -1
        self._erasures: tuple[str] | None = None

    def of(self, db: sqlite3.Connection, space: int, dimension: int, user: int) -> Partition:
        """A user's vectors as they are in the file, in a transaction that the caller opened."""
        self._forget(db)
        if space != self._space:
            self.clear()
            self._space = space
        row = db.execute("SELECT epoch, changes FROM qwen_memory_users WHERE id = ?", (user,)).fetchone()
        epoch, changes = row or (0, 0)
        partition = self._kept.pop((space, user), None)
        if partition is not None:
            self._bytes -= partition.bytes
        if partition is None or partition.epoch != epoch or partition.dimension != dimension:
            partition = Partition(epoch=epoch, dimension=dimension)
        partition.read(db, space, user, changes)
        if partition.bytes <= self.room:
            self._kept[space, user] = partition
            self._bytes += partition.bytes
        while self._bytes > self.room:
            self._bytes -= self._kept.popitem(last=False)[1].bytes
        return partition

    def _forget(self, db: sqlite3.Connection) -> None:
        """Let go of what was erased anywhere since the last search, so that it does not stay in memory."""
        row = db.execute("SELECT value FROM qwen_memory_meta WHERE name = 'erasures'").fetchone()
        if row == self._erasures:
            return
        self._erasures = row
        for (space, user), partition in list(self._kept.items()):
            now = db.execute("SELECT epoch FROM qwen_memory_users WHERE id = ?", (user,)).fetchone()
            if now != (partition.epoch,):
                self._bytes -= self._kept.pop((space, user)).bytes

    def clear(self) -> None:
        """Let go of all of it."""
        self._kept.clear()
        self._bytes = 0
