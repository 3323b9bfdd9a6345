"""The vectors of a SQLite archive: per user, newest turns one by one, older ones in segments read in one go.

A turn's vector is written in the transaction of the turn. 64 of them are turned over into a segment, two blobs, so
that a user's vectors stand together in the file. Vectors belong to a *space*, those that the same embeddings made:
one space is `current` and searched; while all vectors are made anew another is `building`, and then takes its place.
Which turns lack a vector in a space is written down in the transaction that adds the turn, so that each gets one once.
"""

import sqlite3
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from langchain_qwen_memory.archive.sqlite.spaces import spaces

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from langchain_qwen_memory.archive.embedding import Vectors

    Numbers = npt.NDArray[np.uint32]

__all__ = ["SCHEMA", "add", "any_of", "count_missing", "drop", "drop_user", "failed", "miss", "of_turns"]

FRESH = 64
"""Vectors of a user that are kept one by one before they become a segment."""
MOST = 4_096
"""Vectors of a segment: SQLite takes no blob above a gigabyte."""

SCHEMA = """
CREATE TABLE qwen_memory_spaces (id INTEGER PRIMARY KEY, name TEXT, dimension INTEGER, state TEXT);
CREATE TABLE qwen_memory_missing (
    space INTEGER, user INTEGER, turn INTEGER, tries INTEGER, PRIMARY KEY (space, user, turn)) WITHOUT ROWID;
CREATE TABLE qwen_memory_vectors (
    space INTEGER, user INTEGER, turn INTEGER, vector BLOB, PRIMARY KEY (space, user, turn)) WITHOUT ROWID;
CREATE TABLE qwen_memory_vector_segments (
    id INTEGER PRIMARY KEY, space INTEGER, user INTEGER, turns BLOB, vectors BLOB);
CREATE INDEX qwen_memory_vector_segments_user ON qwen_memory_vector_segments (space, user);
"""


def miss(db: sqlite3.Connection, user: int, turns: Collection[int]) -> None:
    """Write down that new turns have no vector, in each space."""
    rows = ((one.id, user, turn) for one in spaces(db) for turn in turns)
    db.executemany("INSERT INTO qwen_memory_missing VALUES (?, ?, ?, 0)", rows)


def add(db: sqlite3.Connection, space: int, user: int, made: Sequence[tuple[int, "Vectors | None"]]) -> int:
    """Store vectors of a user's turns, None for one that needs none; one that has a vector keeps it.

    Returns:
        How many turns are done with that were not before.
    """
    gone = "DELETE FROM qwen_memory_missing WHERE space = ? AND user = ? AND turn = ?"
    done = [(turn, vector) for turn, vector in made if db.execute(gone, (space, user, turn)).rowcount]
    due = [(turn, vector) for turn, vector in done if vector is not None]
    if not due:
        return len(done)
    keep = "INSERT INTO qwen_memory_vectors VALUES (?, ?, ?, ?)"
    db.executemany(keep, ((space, user, turn, vector.astype("<f4").tobytes()) for turn, vector in due))
    db.execute("UPDATE qwen_memory_users SET changes = changes + 1 WHERE id = ?", (user,))
    single = "SELECT count(*) FROM qwen_memory_vectors WHERE space = ? AND user = ?"
    if db.execute(single, (space, user)).fetchone()[0] >= FRESH:
        _seal(db, space, user)
    return len(done)


def failed(db: sqlite3.Connection, space: int, user: int, turns: Iterable[int]) -> None:
    """Count a failure of turns, so that others are tried before them."""
    query = "UPDATE qwen_memory_missing SET tries = tries + 1 WHERE space = ? AND user = ? AND turn = ?"
    db.executemany(query, ((space, user, turn) for turn in turns))


def drop(db: sqlite3.Connection, user: int, turns: Collection[int]) -> None:
    """Erase the vectors of turns of a user, in each space."""
    import numpy as np

    gone = np.array(sorted(turns), dtype="<u4")
    for one in spaces(db):
        for table in ("vectors", "missing"):
            query = f"DELETE FROM qwen_memory_{table} WHERE space = ? AND user = ? AND turn = ?"  # noqa: S608
            db.executemany(query, ((one.id, user, turn) for turn in turns))
        query = "SELECT id, turns, vectors FROM qwen_memory_vector_segments WHERE space = ? AND user = ?"
        for segment, held, vectors in db.execute(query, (one.id, user)).fetchall():
            numbers = np.frombuffer(held, dtype="<u4")
            stays = ~np.isin(numbers, gone)
            if not stays.all():
                _rewrite(
                    db, segment, numbers[stays], np.frombuffer(vectors, dtype="<f4").reshape(len(stays), -1)[stays]
                )


def drop_user(db: sqlite3.Connection, user: int) -> None:
    """Erase all vectors of a user, in each space."""
    for one in spaces(db):
        for table in ("vectors", "missing", "vector_segments"):
            db.execute(f"DELETE FROM qwen_memory_{table} WHERE space = ? AND user = ?", (one.id, user))  # noqa: S608


def count_missing(db: sqlite3.Connection, space: int) -> int:
    """Turns without a vector in a space."""
    return int(db.execute("SELECT count(*) FROM qwen_memory_missing WHERE space = ?", (space,)).fetchone()[0])


def any_of(db: sqlite3.Connection, space: int, user: int) -> bool:
    """Whether a user has vectors in a space."""
    tables = ("vectors", "vector_segments")
    queries = (f"SELECT 1 FROM qwen_memory_{table} WHERE space = ? AND user = ? LIMIT 1" for table in tables)  # noqa: S608
    return any(db.execute(query, (space, user)).fetchone() for query in queries)


def of_turns(db: sqlite3.Connection, space: int, user: int, turns: Mapping[int, str]) -> "dict[str, Vectors]":
    """Vectors of a user's turns, told as names by number; those without one are left out."""
    import numpy as np

    query = "SELECT vector FROM qwen_memory_vectors WHERE space = ? AND user = ? AND turn = ?"
    single = {turn: db.execute(query, (space, user, turn)).fetchone() for turn in turns}
    found = {turns[turn]: np.frombuffer(row[0], dtype="<f4") for turn, row in single.items() if row}
    sought = np.array([turn for turn, row in single.items() if not row], dtype="<u4")
    if not len(sought):
        return found
    query = "SELECT id, turns FROM qwen_memory_vector_segments WHERE space = ? AND user = ?"
    for segment, held in db.execute(query, (space, user)).fetchall():
        numbers = np.frombuffer(held, dtype="<u4")
        rows = np.flatnonzero(np.isin(numbers, sought))
        if len(rows):
            query = "SELECT vectors FROM qwen_memory_vector_segments WHERE id = ?"
            block = np.frombuffer(db.execute(query, (segment,)).fetchone()[0], dtype="<f4").reshape(len(numbers), -1)
            found |= {turns[int(numbers[row])]: block[row] for row in rows}
    return found


def _rewrite(db: sqlite3.Connection, segment: int, turns: "Numbers", vectors: "Vectors") -> None:
    if len(turns):
        query = "UPDATE qwen_memory_vector_segments SET turns = ?, vectors = ? WHERE id = ?"
        db.execute(query, (turns.tobytes(), vectors.tobytes(), segment))
    else:
        db.execute("DELETE FROM qwen_memory_vector_segments WHERE id = ?", (segment,))


def _seal(db: sqlite3.Connection, space: int, user: int) -> None:
    """Turn the single vectors over into segments."""
    import numpy as np

    query = "SELECT turn, vector FROM qwen_memory_vectors WHERE space = ? AND user = ? ORDER BY turn"
    rows = db.execute(query, (space, user)).fetchall()
    for start in range(0, len(rows), MOST):
        part = rows[start : start + MOST]
        turns = np.array([row[0] for row in part], dtype="<u4").tobytes()
        db.execute(
            "INSERT INTO qwen_memory_vector_segments (space, user, turns, vectors) VALUES (?, ?, ?, ?)",
            (space, user, turns, b"".join(row[1] for row in part)),
        )
    db.execute("DELETE FROM qwen_memory_vectors WHERE space = ? AND user = ?", (space, user))
