"""Keeps an index as far as its archive: takes in what is missing, in the order in which the archive got it.

Each thread has a cursor in the index: key and branch of the newest turn taken in, and how many were. It is written
after the turns, so that a process that dies in between takes them in again; and it is compared with the archive's own
head and count, so that an index that is missing, behind, or of a thread that was begun anew is noticed.
"""

import threading
import time
from typing import NamedTuple

from langchain_qwen_memory.archive.base import Archive
from langchain_qwen_memory.archive.hybrid import HybridArchive
from langchain_qwen_memory.archive.index.base import Entry, Index, line_of, owner_of
from langchain_qwen_memory.archive.turn import Turn

__all__ = ["Cursor", "Filling"]

PAGE = 64
"""Turns that are read and taken in at once."""
HEALED = 64
"""Turns whose vector came late that one append gives to the index at most."""


class Cursor(NamedTuple):
    """How far a thread was taken in."""

    key: str = ""
    branch: str = ""
    taken: int = 0

    @classmethod
    def read(cls, text: str) -> "Cursor":
        """What `str` of a cursor wrote; the empty cursor for ""."""
        if not text:
            return cls()
        key, count, branch = text.split(" ", 2)
        return cls(key, branch, int(count))

    def __str__(self) -> str:
        return f"{self.key} {self.taken} {self.branch}"


class Filling:
    """Takes turns of an archive into an index, one thread of the machine at a time."""

    def __init__(self, archive: Archive, index: Index) -> None:
        """Fill this index from this archive."""
        self._archive = archive
        self.index = index
        self._number = 0
        self.lock = threading.RLock()

    def sync(self, user: str, thread: str, most: int) -> tuple[int, bool]:
        """Take in what the index lacks of a thread.

        Args:
            user: whose thread.
            thread: which thread.
            most: turns, about; what is left is for the next call.

        Returns:
            How many were taken in, and whether nothing is left.
        """
        owner, line, taken = owner_of(user), line_of(user, thread), 0
        with self.lock:
            emptied = self.index.emptied
            cursor = self._start(user, thread, owner, line)
            count = self._archive.count(user, thread)  # before each look, so that what comes meanwhile is looked at
            while turns := self._archive.turns(user, thread, after=cursor.key or None, limit=PAGE):
                last = turns[-1]
                cursor = Cursor(last.key, last.branch, cursor.taken + len(turns))
                self.index.add(owner, line, self._entries(user, thread, turns), str(cursor))
                taken += len(turns)
                if taken >= most:
                    return taken, False
                count = self._archive.count(user, thread)
            if cursor.taken == count:
                return taken, self.index.emptied == emptied
            self.index.forget(owner, line)  # a turn came in before the cursor: all once more, with the next calls
            return taken, False

    def _start(self, user: str, thread: str, owner: str, line: str) -> Cursor:
        """The cursor of a thread, if the archive still knows its turn; else the thread is taken in anew."""
        cursor = Cursor.read(self.index.cursor(owner, line))
        if cursor.key:
            there = self._archive.get(user, thread, [cursor.key])
            if there and there[0].branch == cursor.branch:
                return cursor
            self.index.forget(owner, line)
        return Cursor()

    def _entries(self, user: str, thread: str, turns: list[Turn]) -> list[Entry]:
        vectors = {}
        if isinstance(self._archive, HybridArchive) and self._archive.embedder and not self.index.embeds:
            keys = [turn.key for turn in turns if turn.text.strip()]
            vectors = self._archive.kept_vectors(user, thread, keys)
        entries = []
        for turn in turns:
            self._number = max(self._number + 1, int(time.time() * 1e6))
            entry = Entry(
                key=turn.key,
                parent=turn.parent,
                branch=turn.branch,
                position=turn.position,
                at=turn.at,
                number=self._number,
                text=turn.text,
                vector=vectors.get(turn.key),
            )
            entries.append(entry)
        return entries

    def heal(self, user: str) -> None:
        """Give the index vectors of a user that the archive has got since."""
        if not isinstance(self._archive, HybridArchive) or self._archive.embedder is None or self.index.embeds:
            return
        with self.lock:
            blank = self.index.blank(owner_of(user), HEALED)
            if not blank:
                return
            names = {line_of(user, known.thread): known.thread for known in self._archive.threads(user)}
            for line in {near.line for near in blank if near.line in names}:
                keys = [near.key for near in blank if near.line == line]
                vectors = self._archive.kept_vectors(user, names[line], keys)
                if vectors:
                    self.index.fill(vectors)
