"""Remembers which turns are in an index whose engine cannot tell, in a small SQLite file."""

import os
import sqlite3
import threading
from collections.abc import Iterable

from langchain_qwen_memory.errors import ArchiveError

__all__ = ["Marks"]

_SCHEMA = """
CREATE TABLE IF NOT EXISTS turns (key TEXT PRIMARY KEY, owner TEXT, line TEXT) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS turns_line ON turns (owner, line);
CREATE TABLE IF NOT EXISTS cursors (owner TEXT, line TEXT, cursor TEXT, PRIMARY KEY (owner, line)) WITHOUT ROWID;
"""


class Marks:
    """Keys of turns and cursors of threads; digests only, nothing that was said."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        """Open or make the file; ":memory:" for one that is gone when closed.

        Raises:
            ArchiveError: the file cannot be opened or written.
        """
        self._lock = threading.Lock()
        try:
            self._db = sqlite3.connect(path, check_same_thread=False, timeout=30)
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.executescript(_SCHEMA)
        except sqlite3.Error as error:
            raise ArchiveError(f"the marks file {os.fspath(path)} cannot be opened: {error}") from error

    def cursor(self, owner: str, line: str) -> str:
        """The cursor of a thread, "" for none."""
        rows = self._all("SELECT cursor FROM cursors WHERE owner = ? AND line = ?", owner, line)
        return str(rows[0][0]) if rows else ""

    def add(self, owner: str, line: str, keys: Iterable[str]) -> None:
        """Write down turns before they are added: a mark too many is erased with its thread, one too few never."""
        with self._lock, self._db:
            rows = ((key, owner, line) for key in keys)
            self._db.executemany("INSERT OR IGNORE INTO turns VALUES (?, ?, ?)", rows)

    def reach(self, owner: str, line: str, cursor: str) -> None:
        """Write a thread's cursor down, after its turns were added."""
        with self._lock, self._db:
            self._db.execute("INSERT OR REPLACE INTO cursors VALUES (?, ?, ?)", (owner, line, cursor))

    def held(self, keys: Iterable[str]) -> list[str]:
        """Which of these turns may be in the index already."""
        return [key for key in keys if self._all("SELECT 1 FROM turns WHERE key = ?", key)]

    def keys(self, owner: str, line: str | None) -> list[str]:
        """The turns of a thread, or of all of an owner."""
        where = "owner = ?" if line is None else "owner = ? AND line = ?"
        values = (owner,) if line is None else (owner, line)
        return [row[0] for row in self._all(f"SELECT key FROM turns WHERE {where}", *values)]  # noqa: S608

    def lines(self) -> list[tuple[str, str]]:
        """All threads, as (owner, line)."""
        rows = self._all("SELECT owner, line FROM turns UNION SELECT owner, line FROM cursors")
        return [(row[0], row[1]) for row in rows]

    def any(self, owner: str, line: str | None) -> bool:
        """Whether a thread, or anything of an owner, is in the index."""
        where, values = ("", ()) if line is None else (" AND line = ?", (line,))
        return bool(self._all(f"SELECT 1 FROM turns WHERE owner = ?{where} LIMIT 1", owner, *values))  # noqa: S608

    def drop(self, keys: Iterable[str]) -> None:
        """Turns that are in the index no more."""
        with self._lock, self._db:
            self._db.executemany("DELETE FROM turns WHERE key = ?", ((key,) for key in keys))

    def forget(self, owner: str, line: str | None) -> None:
        """A thread, or all of an owner."""
        with self._lock, self._db:
            for table in ("turns", "cursors"):
                where, values = ("", ()) if line is None else (" AND line = ?", (line,))
                self._db.execute(f"DELETE FROM {table} WHERE owner = ?{where}", (owner, *values))  # noqa: S608

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def _all(self, query: str, *values: str) -> list[tuple[str, ...]]:
        with self._lock:
            return self._db.execute(query, values).fetchall()
