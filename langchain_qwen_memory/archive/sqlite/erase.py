"""Erases turns from a SQLite archive, with every trace of them, inside transactions that the caller opened."""

import sqlite3

from langchain_qwen_memory.archive.sqlite import postings, vectors
from langchain_qwen_memory.archive.sqlite.rows import Place

__all__ = ["erase_thread", "erase_user"]


def erase_thread(db: sqlite3.Connection, place: Place) -> int:
    """Erase a thread and every word of it; the number of its turns."""
    turns = [row[0] for row in db.execute("SELECT id FROM qwen_memory_turns WHERE thread = ?", (place.thread,))]
    postings.drop(db, place.user, turns)
    vectors.drop(db, place.user, turns)
    db.execute("UPDATE qwen_memory_users SET epoch = random() WHERE id = ?", (place.user,))
    _erase(db, place.thread)
    _erased(db)
    return len(turns)


def erase_user(db: sqlite3.Connection, place: Place) -> int:
    """Erase all of a user; the number of turns."""
    threads = db.execute("SELECT id, turns FROM qwen_memory_threads WHERE user = ?", (place.user,)).fetchall()
    for thread, _ in threads:
        _erase(db, thread)
    postings.drop_user(db, place.user)
    vectors.drop_user(db, place.user)
    db.execute("DELETE FROM qwen_memory_users WHERE id = ?", (place.user,))
    _erased(db)
    return sum(turns for _, turns in threads)


def _erased(db: sqlite3.Connection) -> None:
    """Tell the processes that keep vectors in memory that something is to go."""
    db.execute("INSERT INTO qwen_memory_meta VALUES ('erasures', 1) ON CONFLICT (name) DO UPDATE SET value = value + 1")


def _erase(db: sqlite3.Connection, thread: int) -> None:
    for table in ("turns", "branches", "messages", "notes"):
        db.execute(f"DELETE FROM qwen_memory_{table} WHERE thread = ?", (thread,))  # noqa: S608
    db.execute("DELETE FROM qwen_memory_threads WHERE id = ?", (thread,))
