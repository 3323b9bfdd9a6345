"""Merges the segments of a SQLite archive's full text: at once, or a few words at each append.

To merge segments of 512 turns at once would keep one append in 512 waiting for a tenth of a second. So the new segment
gets its table of turns at once, and its words come over in their order, some with each append: a word stands in the old
segments or in the new one, never in both, and a search reads all of them. Of several merges the newest goes on first:
it is the smallest.
"""

import sqlite3
from collections import defaultdict
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy.typing as npt

    Table = npt.NDArray[Any]

__all__ = [
    "ENTRY",
    "ENTRY_BYTES",
    "MOVES",
    "TURN",
    "TURN_BYTES",
    "alike",
    "begin",
    "finish",
    "go_on",
    "growing",
    "merge",
    "moves",
    "packed",
    "segments",
    "store",
]

TURN = [("turn", "<u4"), ("branch", "<u4"), ("position", "<u4"), ("length", "<u4")]
"""A turn in a segment's table; its place there is its slot."""
TURN_BYTES = 16
ENTRY = [("slot", "<u2"), ("count", "u1")]
"""A word's mention in a turn of the segment."""
ENTRY_BYTES = 3

MOVES = """
CREATE TABLE qwen_memory_moves (
    segment INTEGER PRIMARY KEY, user INTEGER, target INTEGER, start INTEGER, words INTEGER);
CREATE INDEX qwen_memory_moves_user ON qwen_memory_moves (user);
"""
"""Segments whose words are coming over to another one, the slot at which their turns begin there, and words a step."""

_ALIKE = """
SELECT id, turns FROM qwen_memory_segments
WHERE user = ?1 AND size >= ?2 AND size < ?3 AND id NOT IN (SELECT target FROM qwen_memory_moves WHERE user = ?1)
"""
_GROWING = """
SELECT 1 FROM qwen_memory_moves m JOIN qwen_memory_segments s ON s.id = m.target
WHERE m.user = ? AND s.size >= ? AND s.size < ? LIMIT 1
"""


def store(db: sqlite3.Connection, user: int, turns: "Table", lists: Iterable[tuple[str, bytes | bytearray]]) -> int:
    """Write a segment down; its number."""
    segment = db.execute(
        "INSERT INTO qwen_memory_segments (user, size, turns) VALUES (?, ?, ?)",
        (user, len(turns), turns.tobytes()),
    ).lastrowid
    assert segment is not None
    rows = ((segment, word, entries) for word, entries in sorted(lists))
    db.executemany("INSERT INTO qwen_memory_words VALUES (?, ?, ?)", rows)
    return segment


def segments(db: sqlite3.Connection, user: int) -> list[tuple[int, "Table"]]:
    """A user's segments with their tables, oldest first."""
    return _tables(packed(db, user))


def packed(db: sqlite3.Connection, user: int) -> list[tuple[int, bytes]]:
    """`segments` with the tables as they are stored."""
    return _in_order(db.execute("SELECT id, turns FROM qwen_memory_segments WHERE user = ?", (user,)).fetchall())


def alike(db: sqlite3.Connection, user: int, least: int, full: int) -> list[tuple[int, "Table"]]:
    """The oldest `segments` of `least` to `full` turns, words and all, as many as hold `full` together; else none."""
    parts, turns = [], 0
    for segment, table in _tables(_in_order(db.execute(_ALIKE, (user, least, full)).fetchall())):
        parts.append((segment, table))
        turns += len(table)
        if turns >= full:
            return parts
    return []


def growing(db: sqlite3.Connection, user: int, least: int, below: int) -> bool:
    """Whether words are coming over to a segment of so many turns."""
    return db.execute(_GROWING, (user, least, below)).fetchone() is not None


def _in_order(rows: list[tuple[int, bytes]]) -> list[tuple[int, bytes]]:
    return sorted(rows, key=lambda row: int.from_bytes(row[1][:4], "little"))  # the first turn's number


def _tables(rows: list[tuple[int, bytes]]) -> list[tuple[int, "Table"]]:
    import numpy as np

    return [(segment, np.frombuffer(turns, dtype=TURN)) for segment, turns in rows]


def moves(db: sqlite3.Connection, user: int) -> list[tuple[int, int, int, int]]:
    """Segments of a user whose words are coming over: (segment, target, start of its slots there, words a step)."""
    query = "SELECT segment, target, start, words FROM qwen_memory_moves WHERE user = ? ORDER BY start"
    return db.execute(query, (user,)).fetchall()


def begin(db: sqlite3.Connection, user: int, parts: list[tuple[int, "Table"]], steps: int) -> None:
    """Begin to merge segments, over so many appends, about."""
    import numpy as np

    counted = "SELECT count(*) FROM qwen_memory_words WHERE segment = ?"
    words = max(db.execute(counted, (segment,)).fetchone()[0] for segment, _ in parts) // steps + 1
    target, start = store(db, user, np.concatenate([table for _, table in parts]), ()), 0
    for segment, table in parts:
        db.execute("INSERT INTO qwen_memory_moves VALUES (?, ?, ?, ?, ?)", (segment, user, target, start, words))
        db.execute("DELETE FROM qwen_memory_segments WHERE id = ?", (segment,))
        start += len(table)


def finish(db: sqlite3.Connection, user: int) -> None:
    """Bring over all that is left."""
    while go_on(db, user):
        pass


def go_on(db: sqlite3.Connection, user: int) -> bool:
    """Bring some words over, if a merge was begun; whether one was."""
    import numpy as np

    begun = moves(db, user)
    if not begun:
        return False
    target = max(move[1] for move in begun)
    moving = [move for move in begun if move[1] == target]
    upto = _last_of_step(db, moving)
    if upto is None:
        db.execute("DELETE FROM qwen_memory_moves WHERE user = ? AND target = ?", (user, target))
        return True
    lists: defaultdict[str, list[bytes]] = defaultdict(list)
    for segment, _, start, _ in moving:
        query = "SELECT word, entries FROM qwen_memory_words WHERE segment = ? AND word <= ?"
        rows = db.execute(query, (segment, upto)).fetchall()
        entries = np.frombuffer(b"".join(row[1] for row in rows), dtype=ENTRY).copy()
        entries["slot"] += start
        data, place = entries.tobytes(), 0
        for word, old in rows:
            lists[word].append(data[place : place + len(old)])
            place += len(old)
        db.execute("DELETE FROM qwen_memory_words WHERE segment = ? AND word <= ?", (segment, upto))
    merged = [(target, word, b"".join(parts)) for word, parts in lists.items()]
    db.executemany("INSERT INTO qwen_memory_words VALUES (?, ?, ?)", merged)
    return True


def _last_of_step(db: sqlite3.Connection, moving: list[tuple[int, int, int, int]]) -> str | None:
    """Up to which word the next step goes; None: nothing is left."""
    query = "SELECT max(word) FROM (SELECT word FROM qwen_memory_words WHERE segment = ? ORDER BY word LIMIT ?)"
    for segment, _, _, words in moving:
        last: str | None = db.execute(query, (segment, words)).fetchone()[0]
        if last is not None:
            return last
    return None


def merge(db: sqlite3.Connection, user: int, parts: list[tuple[int, "Table"]], gone: "npt.NDArray[Any]") -> None:
    """Put segments into one, without the turns that are gone; nothing is stored where none stays."""
    import numpy as np

    lists: defaultdict[str, list[bytes]] = defaultdict(list)
    tables, start = [], 0
    for segment, table in parts:
        stays = ~np.isin(table["turn"], gone)
        slots = np.where(stays, np.cumsum(stays) - 1 + start, -1)
        for word, entries in _moved(db, segment, slots):
            lists[word].append(entries)
        tables.append(table[stays])
        start += len(tables[-1])
        db.execute("DELETE FROM qwen_memory_words WHERE segment = ?", (segment,))
        db.execute("DELETE FROM qwen_memory_segments WHERE id = ?", (segment,))
    if start:
        store(db, user, np.concatenate(tables), ((word, b"".join(held)) for word, held in lists.items()))


def _moved(db: sqlite3.Connection, segment: int, slots: "npt.NDArray[Any]") -> list[tuple[str, bytes]]:
    """A segment's lists with each slot replaced by its new one; -1 means that the turn is gone."""
    import numpy as np

    rows = db.execute("SELECT word, entries FROM qwen_memory_words WHERE segment = ?", (segment,)).fetchall()
    if not rows:
        return []
    entries = np.frombuffer(b"".join(row[1] for row in rows), dtype=ENTRY)
    places = slots[entries["slot"]]
    stays = places >= 0
    kept = entries[stays]  # indexing with flags copies
    kept["slot"] = places[stays]
    before = np.concatenate(([0], np.cumsum(stays)))
    ends = before[np.cumsum([len(row[1]) // ENTRY_BYTES for row in rows])] * ENTRY_BYTES
    data, begin, moved = kept.tobytes(), 0, []
    for (word, _), end in zip(rows, ends.tolist(), strict=True):
        if end > begin:
            moved.append((word, data[begin:end]))
        begin = end
    return moved
