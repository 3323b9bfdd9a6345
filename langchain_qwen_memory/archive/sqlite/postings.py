"""The full text of a SQLite archive: per user, newest turns one by one, older ones in inverted segments.

Updating a list per word at each turn would rewrite a page of the file for each word of the turn. So the words
of a turn are first kept in one row (`fresh`); 64 such rows are turned over into a segment, a row per word, and
small segments are merged when they hold 512 turns together, those again when they hold 4,096, a little with each
append. A turn is thus rewritten three times in its life, and a search reads at most 64 rows and then, per word, one
row of each segment. Everything is keyed by user: others' turns cost nothing.
"""

import sqlite3
from collections import Counter, defaultdict
from collections.abc import Collection, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from langchain_qwen_memory.archive.finding.ranking import Postings, bm25, in_reach
from langchain_qwen_memory.archive.sqlite.merging import (
    ENTRY,
    ENTRY_BYTES,
    TURN,
    TURN_BYTES,
    alike,
    begin,
    finish,
    go_on,
    growing,
    merge,
    moves,
    packed,
    segments,
    store,
)

if TYPE_CHECKING:
    import numpy.typing as npt

    from langchain_qwen_memory.archive.finding.ranking import Flags, Floats

    Table = npt.NDArray[Any]

__all__ = ["SCHEMA", "add", "drop", "drop_user", "scored"]

MANY = 2_000
"""Mentions of a question's words that are looked at in a longer history than this, about."""
FEWEST = 4
"""Words of a question that are looked up however common they are."""
FRESH = 64
"""Turns of a user that are kept one by one before they become a segment."""
FULL, LARGE = 512, 4_096
"""Turns that segments of fewer must hold together to be merged: first into one of the former size, then, once and for
all, of the latter."""
MOST_TURNS = 1 << 16
"""Turns that a segment can number; none comes near it."""
STEPS, MORE_STEPS = 256, 512
"""Appends over which the one merge and the other is spread: fewer than come before the next of its kind begins."""
MOST = 255
"""A count that fills its byte; BM25 tells no difference above it."""

SCHEMA = """
CREATE TABLE qwen_memory_fresh (
    user INTEGER, slot INTEGER, turn INTEGER, branch INTEGER, position INTEGER, length INTEGER, words TEXT,
    PRIMARY KEY (user, slot)) WITHOUT ROWID;
CREATE TABLE qwen_memory_segments (id INTEGER PRIMARY KEY, user INTEGER, size INTEGER, turns BLOB);
CREATE INDEX qwen_memory_segments_user ON qwen_memory_segments (user, size);
CREATE TABLE qwen_memory_words (
    segment INTEGER, word TEXT, entries BLOB, PRIMARY KEY (segment, word)) WITHOUT ROWID;
"""
_SAMPLE = """
SELECT id, size FROM qwen_memory_segments
WHERE user = ?1 AND id NOT IN (SELECT target FROM qwen_memory_moves WHERE user = ?1)
ORDER BY size < ?2, abs(size - ?2), id DESC LIMIT 1
"""


def add(db: sqlite3.Connection, user: int, turn: tuple[int, int, int], words: Counter[str]) -> None:
    """Index one turn, given as (id, branch, position), inside the caller's transaction."""
    slot = db.execute("SELECT coalesce(max(slot), -1) + 1 FROM qwen_memory_fresh WHERE user = ?", (user,)).fetchone()[0]
    listed = "".join(f"{word} {min(count, MOST)}\n" for word, count in words.items())
    row = (user, slot, *turn, words.total(), "\n" + listed)
    db.execute("INSERT INTO qwen_memory_fresh VALUES (?, ?, ?, ?, ?, ?, ?)", row)
    go_on(db, user)
    if slot + 1 >= FRESH:
        _seal(db, user)


def scored(
    db: sqlite3.Connection, user: int, words: Collection[str], reach: Sequence[tuple[int, int]]
) -> tuple["Table", "Flags", "Floats"]:
    """All turns of a user, which of them lie on the lineages searched, and their scores for a question's words.

    `reach` tells the lineages as (branch, last position) pairs. Must run inside one transaction.
    """
    import numpy as np

    numbers = {word: number for number, word in enumerate(sorted(words))}  # in one order, so that equals add up equally
    turns, starts, fresh = _turns(db, user)
    reached = in_reach(turns["branch"], turns["position"], reach)
    if not numbers or not len(turns):
        return turns, reached, np.zeros(len(turns))
    if len(turns) > MANY:
        numbers = _telling(db, user, numbers, len(turns))
    postings = _postings(db, numbers, starts, fresh, len(turns) - len(fresh))
    return turns, reached, bm25(turns["length"], reached, postings)


def drop(db: sqlite3.Connection, user: int, turns: Collection[int]) -> None:
    """Take turns of a user out of the index; no word of them stays."""
    import numpy as np

    db.executemany("DELETE FROM qwen_memory_fresh WHERE user = ? AND turn = ?", ((user, turn) for turn in turns))
    gone = np.array(sorted(turns), dtype="<u4")
    finish(db, user)
    for segment, table in segments(db, user):
        if np.isin(table["turn"], gone).any():
            merge(db, user, [(segment, table)], gone)


def drop_user(db: sqlite3.Connection, user: int) -> None:
    """Take all turns of a user out of the index."""
    for named in ("id FROM qwen_memory_segments", "segment FROM qwen_memory_moves"):
        db.execute(f"DELETE FROM qwen_memory_words WHERE segment IN (SELECT {named} WHERE user = ?)", (user,))  # noqa: S608
    db.execute("DELETE FROM qwen_memory_moves WHERE user = ?", (user,))
    db.execute("DELETE FROM qwen_memory_segments WHERE user = ?", (user,))
    db.execute("DELETE FROM qwen_memory_fresh WHERE user = ?", (user,))


def _seal(db: sqlite3.Connection, user: int) -> None:
    """Turn the fresh rows over into a segment, and merge small segments that are enough for a full one."""
    import numpy as np

    query = "SELECT turn, branch, position, length, words FROM qwen_memory_fresh WHERE user = ? ORDER BY slot"
    rows = db.execute(query, (user,)).fetchall()
    lists: defaultdict[str, bytearray] = defaultdict(bytearray)
    for slot, row in enumerate(rows):
        place = slot.to_bytes(2, "little")
        for word, count in _counted(row[4]).items():
            lists[word] += place + bytes((count,))
    store(db, user, np.array([row[:4] for row in rows], dtype=TURN), lists.items())
    db.execute("DELETE FROM qwen_memory_fresh WHERE user = ?", (user,))
    for least, full, most, steps in ((0, FULL, LARGE, STEPS), (FULL, LARGE, MOST_TURNS, MORE_STEPS)):
        parts = alike(db, user, least, full)
        if parts and not growing(db, user, full, most):
            begin(db, user, parts, steps)


def _turns(db: sqlite3.Connection, user: int) -> tuple["Table", dict[int, int], list[str]]:
    """All turns of a user in one table, the row where each segment starts, and the words of the last rows."""
    import numpy as np

    query = "SELECT turn, branch, position, length, words FROM qwen_memory_fresh WHERE user = ? ORDER BY slot"
    fresh = db.execute(query, (user,)).fetchall()
    starts, start, tables = {}, 0, []
    for segment, table in packed(db, user):
        starts[segment] = start
        start += len(table) // TURN_BYTES
        tables.append(table)
    starts |= {segment: starts[target] + first for segment, target, first, _ in moves(db, user)}
    tables.append(np.array([row[:4] for row in fresh], dtype=TURN).tobytes())
    return np.frombuffer(b"".join(tables), dtype=TURN), starts, [row[4] for row in fresh]


def _postings(
    db: sqlite3.Connection, numbers: dict[str, int], starts: dict[int, int], fresh: list[str], first: int
) -> Postings:
    """Where the words of a question stand: in segments, then in fresh turns, whose rows begin at `first`."""
    import numpy as np

    marks, owned = ", ".join("?" * len(numbers)), ", ".join(map(str, starts))
    where = f"segment IN ({owned}) AND word IN ({marks})"
    query = f"SELECT segment, word, entries FROM qwen_memory_words WHERE {where}"  # noqa: S608
    found = db.execute(query, tuple(numbers)).fetchall()
    late = np.array(_mentions(numbers, fresh, first), dtype=np.int64).reshape(-1, 3)
    entries = np.frombuffer(b"".join(row[2] for row in found), dtype=ENTRY)
    sizes = [len(row[2]) // ENTRY_BYTES for row in found] + [1] * len(late)
    starting = np.array([starts[row[0]] for row in found] + late[:, 0].tolist(), dtype=np.int64)
    naming = np.array([numbers[row[1]] for row in found] + late[:, 1].tolist(), dtype=np.int64)
    rows, words = np.repeat(starting, sizes), np.repeat(naming, sizes)
    rows[: len(entries)] += entries["slot"]
    return Postings(rows, words, np.concatenate((entries["count"], late[:, 2])))


def _telling(db: sqlite3.Connection, user: int, numbers: dict[str, int], turns: int) -> dict[str, int]:
    """The rarest words of a question, as many as have MANY mentions together, and the four rarest in any case.

    A word that stands in every other turn tells next to nothing and costs the most: without it, a search in a long
    history takes little longer than in a short one. How common a word is, one full segment tells, the newest whose
    words are all in it; a word that is not there counts as rare, and is looked up.
    """
    sample, size = db.execute(_SAMPLE, (user, FULL)).fetchone() or (-1, 1)
    marks = ", ".join("?" * len(numbers))
    query = f"SELECT word, length(entries) FROM qwen_memory_words WHERE segment = ? AND word IN ({marks})"  # noqa: S608
    scale = turns / size / ENTRY_BYTES
    mentions = {word: scale * stored for word, stored in db.execute(query, (sample, *numbers))}
    kept: dict[str, int] = {}
    total = 0.0
    for word in sorted(numbers, key=lambda word: (mentions.get(word, 0), word)):
        total += mentions.get(word, 0)
        if total > MANY and len(kept) >= FEWEST:
            break
        kept[word] = numbers[word]
    return kept


def _mentions(numbers: dict[str, int], fresh: list[str], first: int) -> list[tuple[int, int, int]]:
    """Mentions of the words in fresh turns: (row, word, count)."""
    told = [(row, _counted(listed)) for row, listed in enumerate(fresh, first)]
    return [(row, number, counts[word]) for word, number in numbers.items() for row, counts in told if word in counts]


@lru_cache(maxsize=1_024)
def _counted(listed: str) -> dict[str, int]:
    """The words of a fresh turn, which is read by each search until it is in a segment."""
    pairs = (line.split(" ") for line in listed.split("\n")[1:-1])
    return {word: int(count) for word, count in pairs}
