"""An archive in one SQLite file, which may be the file of LangGraph's SqliteSaver too."""

import os
from collections.abc import Collection, Sequence
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from typing import Any

from langchain_core.embeddings import Embeddings
from typing_extensions import override

from langchain_qwen_memory.archive.holding import ThreadLocks
from langchain_qwen_memory.archive.sqlite import rows
from langchain_qwen_memory.archive.sqlite.erase import erase_thread, erase_user
from langchain_qwen_memory.archive.sqlite.file import MEMORY, SqliteFile
from langchain_qwen_memory.archive.sqlite.searched import SearchedSqlite
from langchain_qwen_memory.archive.stored import note_to_bytes
from langchain_qwen_memory.archive.turn import ArchivedThread, Turn, check_ids, check_limit

__all__ = ["SqliteArchive"]


class SqliteArchive(SearchedSqlite):
    """Turns, full text, vectors and notes in one file; several processes may write to it.

    An acknowledged turn survives the death of the process and, on a disk that keeps its word, a power cut.
    The tables' names begin with `qwen_memory_`, so that the file may be a checkpointer's or your own. `hold` keeps
    threads apart over all processes of a machine, by locks in an empty file beside it, `chat.db-locks`; they end with
    the process that holds them.

    Example:
        >>> with SqliteArchive(":memory:") as archive:
        ...     archive.count("alice")
        0
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        embeddings: Embeddings | None = None,
        embeddings_name: str | None = None,
        timeout: float = 30.0,
        vector_memory: int = 256 * 1024 * 1024,
    ) -> None:
        """Open or make the file.

        Args:
            path: the file, whose folder must exist; ":memory:" for one that is gone when closed.
            embeddings: what makes the vectors that turns are found by beside their words; any LangChain embeddings.
                The first 8,000 characters of a turn are embedded. None: full text alone.
            embeddings_name: the name that the vectors are stored under; None: the embeddings' own `model` or
                `model_name`, else the name of their class.
            timeout: seconds to wait while another process writes.
            vector_memory: bytes of memory for the vectors of users that were searched lately, in this process. A
                user's vectors are read from the file once and then stay, the least lately searched leaving first.

        Raises:
            ArchiveError: the file cannot be opened or written, or a newer version of this package wrote it.
        """
        super().__init__(SqliteFile(path, timeout=timeout), embeddings, embeddings_name, vector_memory)
        self._locks = ThreadLocks("" if self._file.path == MEMORY else f"{self._file.path}-locks")

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
    def turns(self, user: str, thread: str, *, after: str | None = None, limit: int = 100) -> list[Turn]:
        check_ids(user, thread)
        check_limit(limit)
        with self._file.read() as db:
            found = rows.appended(db, rows.find(db, user, thread), after, limit)
        return [rows.to_turn(user, row) for row in found]

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
    def users(self) -> list[str]:
        query = (
            "SELECT name FROM qwen_memory_users u WHERE EXISTS "
            "(SELECT 1 FROM qwen_memory_threads h WHERE h.user = u.id AND h.turns) ORDER BY name"
        )
        with self._file.read() as db:
            return [row[0] for row in db.execute(query)]

    @override
    def forget(self, user: str, thread: str | None = None) -> int:
        check_ids(user, thread)
        with self._file.write() as db:
            place = rows.find(db, user, thread)
            gone = erase_user(db, place) if thread is None else erase_thread(db, place)
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
    def notes(self, user: str, thread: str) -> list[tuple[str, dict[str, Any]]]:
        check_ids(user, thread)
        with self._file.read() as db:
            return rows.notes(db, rows.find(db, user, thread))

    @override
    def hold(self, user: str, thread: str, *, timeout: float | None = None) -> AbstractContextManager[None]:
        check_ids(user, thread)
        return self._locks.held(user, thread, timeout)

    @override
    def ahold(self, user: str, thread: str, *, timeout: float | None = None) -> AbstractAsyncContextManager[None]:
        check_ids(user, thread)
        return self._locks.aheld(user, thread, timeout)

    @override
    def close(self) -> None:
        self._file.close()
