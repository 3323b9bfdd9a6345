"""An archive in one SQLite file, which may be the file of LangGraph's SqliteSaver too."""

import os
import sqlite3
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from typing_extensions import override

from langchain_qwen_memory.archive import postings
from langchain_qwen_memory.archive import sqlite_rows as rows
from langchain_qwen_memory.archive.base import (
    Archive,
    ArchivedThread,
    Hit,
    Turn,
    check_ids,
    check_limit,
)
from langchain_qwen_memory.archive.fulltext import count_words, query_words
from langchain_qwen_memory.archive.sqlite_file import SqliteFile
from langchain_qwen_memory.archive.stored import note_to_bytes, pack

__all__ = ["SqliteArchive"]


class SqliteArchive(Archive):
    """Turns, full text and notes in one file; several processes may write to it.

    An acknowledged turn survives the death of the process and, on a disk that keeps its word, a power cut.
    The tables' names begin with `qwen_memory_`, so that the file may be a checkpointer's or your own.

    Example:
        >>> with SqliteArchive(":memory:") as archive:
        ...     archive.count("alice")
        0
    """

    def __init__(self, path: str | os.PathLike[str], *, timeout: float = 30.0) -> None:
        """Open or make the file.

        Args:
            path: the file, whose folder must exist; ":memory:" for one that is gone when closed.
            timeout: seconds to wait while another process writes.

        Raises:
            ArchiveError: the file cannot be opened or written, or a newer version of this package wrote it.
        """
        self._file = SqliteFile(path, timeout=timeout)

    @override
    def append(self, user: str, thread: str, turns: Sequence[Turn]) -> int:
        check_ids(user, thread)
        ready = [(turn, pack(turn.messages, turn.text), count_words(turn.text)) for turn in turns]  # before the lock
        with self._file.write() as db:
            place = rows.make_thread(db, user, thread)
            return sum(rows.append(db, place, *entry) for entry in ready)

    @override
    def get(self, user: str, thread: str, keys: Sequence[str]) -> list[Turn]:
        check_ids(user, thread)
        with self._file.read() as db:
            place = rows.find(db, user, thread)
            found = [rows.one(db, place, key) for key in keys]
        return [rows.to_turn(user, row) for row in found if row]

    @override
    def known_messages(self, user: str, thread: str, ids: Collection[str], *, head: str) -> set[str]:
        check_ids(user, thread)
        with self._file.read() as db:
            return rows.known_messages(db, rows.find(db, user, thread), ids, head)

    @override
    def page(
        self, user: str, thread: str, *, head: str | None = None, before: int | None = None, limit: int = 50
    ) -> list[Turn]:
        check_ids(user, thread)
        check_limit(limit)
        with self._file.read() as db:
            line = rows.lineage(db, rows.find(db, user, thread), head)
            found = rows.newest(db, line, before, limit)
        return [rows.to_turn(user, row) for row in reversed(found)]

    @override
    def search(
        self,
        query: str,
        *,
        user: str,
        thread: str | None = None,
        heads: Mapping[str, str] | None = None,
        limit: int = 10,
        exclude: Collection[str] = (),
    ) -> list[Hit]:
        check_ids(user, thread)
        check_limit(limit)
        words = query_words(query)
        with self._file.read() as db:
            place = rows.find(db, user, thread)
            reach = self._reach(db, user, thread, heads or {})
            best = postings.best(db, place.user, words, reach, limit + len(exclude))
            found = rows.wanted(db, best, exclude, limit)
        return [Hit(turn=rows.to_turn(user, row), score=score) for row, score in found]

    @staticmethod
    def _reach(
        db: sqlite3.Connection, user: str, thread: str | None, heads: Mapping[str, str]
    ) -> Sequence[tuple[int, int]]:
        place = rows.find(db, user, thread)
        if thread is not None:
            return rows.lineage(db, place, heads.get(thread))
        reach = dict(rows.reach(db, place))
        for name, head in heads.items():
            place = rows.find(db, user, name)
            for branch, _ in rows.lineage(db, place, None):
                del reach[branch]
            reach.update(rows.lineage(db, place, head))
        return list(reach.items())

    @override
    def head(self, user: str, thread: str) -> str | None:
        check_ids(user, thread)
        with self._file.read() as db:
            place = rows.find(db, user, thread)
            row = db.execute("SELECT head FROM qwen_memory_threads WHERE id = ?", (place.thread,)).fetchone()
        return row[0] if row else None

    @override
    def count(self, user: str, thread: str | None = None) -> int:
        check_ids(user, thread)
        with self._file.read() as db:
            place = rows.find(db, user, thread)
            where, value = ("user", place.user) if thread is None else ("id", place.thread)
            query = f"SELECT coalesce(sum(turns), 0) FROM qwen_memory_threads WHERE {where} = ?"  # noqa: S608
            return int(db.execute(query, (value,)).fetchone()[0])

    @override
    def threads(self, user: str) -> list[ArchivedThread]:
        check_ids(user, None)
        query = (
            "SELECT name, turns, first_at, last_at FROM qwen_memory_threads "
            "WHERE user = ? AND turns ORDER BY head_turn DESC"
        )
        with self._file.read() as db:
            found = db.execute(query, (rows.find(db, user, None).user,)).fetchall()
        return [ArchivedThread(thread=row[0], turns=row[1], first=row[2], last=row[3]) for row in found]

    @override
    def forget(self, user: str, thread: str | None = None) -> int:
        check_ids(user, thread)
        with self._file.write() as db:
            place = rows.find(db, user, thread)
            gone = rows.erase_user(db, place) if thread is None else rows.erase_thread(db, place)
        self._file.empty_log()
        return gone

    @override
    def put_note(self, user: str, thread: str, key: str, note: dict[str, Any]) -> dict[str, Any]:
        check_ids(user, thread)
        data = note_to_bytes(note)
        with self._file.write() as db:
            place = rows.make_thread(db, user, thread)
            db.execute("INSERT OR IGNORE INTO qwen_memory_notes VALUES (?, ?, ?)", (place.thread, key, data))
            return rows.note(db, place, key) or {}

    @override
    def get_note(self, user: str, thread: str, key: str) -> dict[str, Any] | None:
        check_ids(user, thread)
        with self._file.read() as db:
            return rows.note(db, rows.find(db, user, thread), key)

    @override
    def close(self) -> None:
        self._file.close()
