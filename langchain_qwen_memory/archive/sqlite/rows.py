"""Reads and writes the rows of a SQLite archive, inside transactions that the caller opened."""

import json
import sqlite3
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from typing import Any, NamedTuple

from langchain_qwen_memory.archive.base import Turn, orphan, root_key
from langchain_qwen_memory.archive.batch import Late
from langchain_qwen_memory.archive.sqlite import postings
from langchain_qwen_memory.archive.stored import loads, unpack, unpack_later

__all__ = [
    "Place",
    "append",
    "by_number",
    "count_all",
    "find",
    "known_messages",
    "late",
    "lineage",
    "make_thread",
    "newest",
    "note",
    "numbers",
    "one",
    "owner",
    "reach",
    "stored_keys",
    "to_turn",
]

Row = tuple[Any, ...]

_TURNS = """
SELECT t.key, t.parent, t.position, t.branch, t.at, t.tokens, t.body, h.name, t.id
FROM qwen_memory_turns t JOIN qwen_memory_threads h ON h.id = t.thread
"""
_LISTED = "(SELECT value FROM json_each(?))"
"""Numbers as one bound value, however many they are."""
_LINE = """
WITH RECURSIVE line(branch, last, depth) AS (
    {start} UNION ALL
    SELECT b.parent, b.fork_position, depth + 1
    FROM line JOIN qwen_memory_branches b ON b.id = line.branch WHERE b.parent IS NOT NULL)
SELECT branch, last FROM line ORDER BY depth
"""
_OF_TURN = _LINE.format(start="SELECT branch, position, 0 FROM qwen_memory_turns WHERE thread = ? AND key = ?")
_OF_THREAD = _LINE.format(
    start="SELECT head_branch, head_position, 0 FROM qwen_memory_threads WHERE id = ? AND turns > 0"
)
_OF_USER = _LINE.format(
    start="SELECT head_branch, head_position, 0 FROM qwen_memory_threads WHERE user = ? AND turns > 0"
)
_COUNT = """
UPDATE qwen_memory_threads SET
    turns = turns + 1, head = ?2, head_turn = ?3, head_branch = ?4, head_position = ?5,
    first_at = min(coalesce(first_at, ?6), ?6), last_at = max(coalesce(last_at, ?6), ?6)
WHERE id = ?1
"""


class Place(NamedTuple):
    """A user's and a thread's numbers in this file; -1 for what is not in it, which no row has."""

    user: int
    thread: int
    root: str
    """Parent of the thread's first turn."""


def find(db: sqlite3.Connection, user: str, thread: str | None) -> Place:
    """Look a user and a thread up; neither is made."""
    row = db.execute("SELECT id FROM qwen_memory_users WHERE name = ?", (user,)).fetchone()
    if row is None or thread is None:
        return Place(row[0] if row else -1, -1, "")
    query = "SELECT id FROM qwen_memory_threads WHERE user = ? AND name = ?"
    found = db.execute(query, (row[0], thread)).fetchone()
    return Place(row[0], found[0] if found else -1, root_key(user, thread))


def make_thread(db: sqlite3.Connection, user: str, thread: str) -> Place:
    """Look a user and a thread up, and make what is not there."""
    place = find(db, user, thread)
    if place.user < 0:
        db.execute("INSERT INTO qwen_memory_users (name, epoch) VALUES (?, random())", (user,))
        place = find(db, user, thread)
    if place.thread < 0:
        db.execute("INSERT INTO qwen_memory_threads (user, name, turns) VALUES (?, ?, 0)", (place.user, thread))
        place = find(db, user, thread)
    return place


def append(db: sqlite3.Connection, place: Place, turn: Turn, body: bytes, words: Counter[str]) -> int | None:
    """Add a turn unless it is there: its row, its words, and the thread's new head.

    Returns:
        The turn's number; None if it was there.

    Raises:
        ArchiveError: its parent is not there.
    """
    if _where(db, place, turn.key):
        return None
    branch, position = _grow(db, place, turn)
    row = (place.thread, branch, position, turn.key, turn.parent, turn.at, turn.tokens, body)
    number = db.execute(
        "INSERT INTO qwen_memory_turns (thread, branch, position, key, parent, at, tokens, body) "
        "VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        row,
    ).lastrowid
    assert number is not None
    named = ((place.thread, message.id, number) for message in turn.messages if message.id)
    db.executemany("INSERT OR IGNORE INTO qwen_memory_messages VALUES (?, ?, ?)", named)
    postings.add(db, place.user, (number, branch, position), words)
    db.execute(_COUNT, (place.thread, turn.key, number, branch, position, turn.at))
    return number


def _where(db: sqlite3.Connection, place: Place, key: str) -> Row | None:
    query = "SELECT branch, position FROM qwen_memory_turns WHERE thread = ? AND key = ?"
    found: Row | None = db.execute(query, (place.thread, key)).fetchone()
    return found


def _grow(db: sqlite3.Connection, place: Place, turn: Turn) -> tuple[int, int]:
    """A new turn's branch and position: behind its parent, on a new branch if another turn stands there."""
    branch, position = None, -1
    if turn.parent != place.root:
        parent = _where(db, place, turn.parent)
        if parent is None:
            raise orphan(turn)
        branch, position = parent
        taken = "SELECT 1 FROM qwen_memory_turns WHERE branch = ? AND position = ?"
        if not db.execute(taken, (branch, position + 1)).fetchone():
            return branch, position + 1
    fork = "INSERT INTO qwen_memory_branches (thread, parent, fork_position) VALUES (?, ?, ?)"
    made = db.execute(fork, (place.thread, branch, position)).lastrowid
    assert made is not None
    return made, position + 1


def lineage(db: sqlite3.Connection, place: Place, head: str | None) -> list[tuple[int, int]]:
    """The path to a turn, or to the newest one, as (branch, last position on it), newest branch first."""
    if head is None:
        return db.execute(_OF_THREAD, (place.thread,)).fetchall()
    return db.execute(_OF_TURN, (place.thread, head)).fetchall()


def reach(db: sqlite3.Connection, place: Place) -> list[tuple[int, int]]:
    """The paths to the newest turns of all threads of a user, as `lineage` tells them."""
    return db.execute(_OF_USER, (place.user,)).fetchall()


def one(db: sqlite3.Connection, place: Place, key: str) -> Row | None:
    """The row of a turn, for `to_turn`."""
    found: Row | None = db.execute(f"{_TURNS} WHERE t.thread = ? AND t.key = ?", (place.thread, key)).fetchone()
    return found


def known_messages(db: sqlite3.Connection, place: Place, ids: Collection[str], head: str) -> set[str]:
    """Which message ids stand in turns of a lineage."""
    query = """
    SELECT t.branch, t.position FROM qwen_memory_messages m JOIN qwen_memory_turns t ON t.id = m.turn
    WHERE m.thread = ? AND m.id = ?
    """
    line = dict(lineage(db, place, head))
    return {
        known
        for known in ids
        for branch, position in db.execute(query, (place.thread, known))
        if position <= line.get(branch, -1)
    }


def newest(db: sqlite3.Connection, line: Sequence[tuple[int, int]], before: int | None, limit: int) -> list[Row]:
    """The newest rows of a lineage below a position, newest first."""
    rows: list[Row] = []
    query = f"{_TURNS} WHERE t.branch = ? AND t.position <= ? ORDER BY t.position DESC LIMIT ?"
    for branch, last in line:
        if len(rows) < limit:
            upto = last if before is None else min(last, before - 1)
            rows += db.execute(query, (branch, upto, limit - len(rows))).fetchall()
    return rows


def by_number(db: sqlite3.Connection, user: str, numbers: Sequence[int]) -> dict[int, Turn]:
    """Turns that this transaction has found, by their numbers; their bodies are unpacked when they are looked into."""
    query = f"{_TURNS} WHERE t.id IN {_LISTED}"
    found = db.execute(query, (json.dumps(list(numbers)),))
    return {row[8]: _turn(user, row, *unpack_later(row[6])) for row in found}


def stored_keys(db: sqlite3.Connection, place: Place, keys: Iterable[str]) -> set[str]:
    """Which of these turns of a thread are archived."""
    return {key for key in keys if _where(db, place, key)}


def numbers(db: sqlite3.Connection, place: Place, keys: Iterable[str]) -> dict[int, str]:
    """The keys of these turns of a thread by number; those not archived are left out."""
    query = "SELECT id FROM qwen_memory_turns WHERE thread = ? AND key = ?"
    found = ((key, db.execute(query, (place.thread, key)).fetchone()) for key in keys)
    return {row[0]: key for key, row in found if row}


def late(db: sqlite3.Connection, where: str, values: Sequence[Any]) -> list[Late]:
    """Turns without a vector, chosen by a condition on the table of the missing ones."""
    query = f"SELECT t.id, t.key, t.body FROM qwen_memory_missing m JOIN qwen_memory_turns t ON t.id = m.turn {where}"  # noqa: S608
    return [Late(number, key, unpack(body)[1]) for number, key, body in db.execute(query, values)]


def count_all(db: sqlite3.Connection) -> int:
    """Turns of all users."""
    return int(db.execute("SELECT coalesce(sum(turns), 0) FROM qwen_memory_threads").fetchone()[0])


def owner(db: sqlite3.Connection, one: Late) -> int | None:
    """The number of the user whose turn it still is; None if it was forgotten meanwhile."""
    query = (
        "SELECT h.user FROM qwen_memory_turns t JOIN qwen_memory_threads h ON h.id = t.thread "
        "WHERE t.id = ? AND t.key = ?"
    )
    row = db.execute(query, (one.number, one.key)).fetchone()
    return row[0] if row else None


def appended(db: sqlite3.Connection, place: Place, after: str | None, limit: int) -> list[Row]:
    """The rows of a thread after a turn, of whatever branch, in the order in which they came."""
    behind = db.execute(
        "SELECT id FROM qwen_memory_turns WHERE thread = ? AND key = ?", (place.thread, after)
    ).fetchone()
    page = "SELECT id FROM qwen_memory_turns WHERE thread = ? AND id > ? ORDER BY id LIMIT ?"
    query = f"{_TURNS} WHERE t.id IN ({page}) ORDER BY t.id"
    return db.execute(query, (place.thread, behind[0] if behind else 0, limit)).fetchall()


def notes(db: sqlite3.Connection, place: Place) -> list[tuple[str, dict[str, Any]]]:
    """All notes of a thread."""
    query = "SELECT key, note FROM qwen_memory_notes WHERE thread = ? ORDER BY key"
    return [(key, dict(loads(data))) for key, data in db.execute(query, (place.thread,))]


def to_turn(user: str, row: Row) -> Turn:
    """A turn from its row."""
    return _turn(user, row, *unpack(row[6]))


def _turn(user: str, row: Row, messages: Any, text: Any) -> Turn:
    key, parent, position, branch, at, tokens, _, thread, _ = row
    return Turn(
        key=key,
        parent=parent,
        messages=messages,
        text=text,
        at=at,
        tokens=tokens,
        position=position,
        branch=str(branch),
        user=user,
        thread=thread,
    )


def note(db: sqlite3.Connection, place: Place, key: str) -> dict[str, Any] | None:
    """The note under a key of a thread."""
    query = "SELECT note FROM qwen_memory_notes WHERE thread = ? AND key = ?"
    row = db.execute(query, (place.thread, key)).fetchone()
    return dict(loads(row[0])) if row else None
