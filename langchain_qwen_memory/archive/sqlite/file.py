"""The connections of a SQLite archive: opened safely, shared by threads, with errors that say what to do."""

import os
import sqlite3
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from langchain_qwen_memory.archive.sqlite import merging, postings, vectors
from langchain_qwen_memory.errors import ArchiveError

__all__ = ["SCHEMA_VERSION", "SqliteFile"]

MEMORY = ":memory:"

SCHEMA = """
CREATE TABLE qwen_memory_meta (name TEXT PRIMARY KEY, value TEXT) WITHOUT ROWID;
CREATE TABLE qwen_memory_users (id INTEGER PRIMARY KEY, name TEXT UNIQUE);
CREATE TABLE qwen_memory_threads (
    id INTEGER PRIMARY KEY, user INTEGER, name TEXT, turns INTEGER, first_at REAL, last_at REAL,
    head TEXT, head_turn INTEGER, head_branch INTEGER, head_position INTEGER, UNIQUE (user, name));
CREATE TABLE qwen_memory_branches (
    id INTEGER PRIMARY KEY, thread INTEGER, parent INTEGER, fork_position INTEGER);
CREATE INDEX qwen_memory_branches_thread ON qwen_memory_branches (thread);
CREATE TABLE qwen_memory_turns (
    id INTEGER PRIMARY KEY, thread INTEGER, branch INTEGER, position INTEGER,
    key TEXT, parent TEXT, at REAL, tokens INTEGER, body BLOB);
CREATE UNIQUE INDEX qwen_memory_turns_key ON qwen_memory_turns (thread, key);
CREATE UNIQUE INDEX qwen_memory_turns_place ON qwen_memory_turns (branch, position);
CREATE TABLE qwen_memory_messages (thread INTEGER, id TEXT, turn INTEGER, PRIMARY KEY (thread, id, turn)) WITHOUT ROWID;
CREATE TABLE qwen_memory_notes (thread INTEGER, key TEXT, note BLOB, PRIMARY KEY (thread, key)) WITHOUT ROWID;
"""

VERSIONS = {
    1: SCHEMA + postings.SCHEMA,
    2: """
ALTER TABLE qwen_memory_users ADD COLUMN epoch INTEGER NOT NULL DEFAULT 0;
ALTER TABLE qwen_memory_users ADD COLUMN changes INTEGER NOT NULL DEFAULT 0;
CREATE INDEX qwen_memory_turns_at ON qwen_memory_turns (thread, at);
"""
    + vectors.SCHEMA,
    3: merging.MOVES,
    4: "",  # several merges at once, which an older version would mix up
}
"""What each version of the schema added; a file of an older one is brought up to date when it is opened."""
SCHEMA_VERSION = max(VERSIONS)

FIXES = {
    sqlite3.SQLITE_CANTOPEN: "make its folder (mkdir -p {folder}) and let this process write there",
    sqlite3.SQLITE_READONLY: "let this process write the file and its folder (chmod u+w {path} {folder})",
    sqlite3.SQLITE_PERM: "let this process write the file and its folder (chmod u+w {path} {folder})",
    sqlite3.SQLITE_FULL: "the disk is full: free some space under {folder} and try again",
    sqlite3.SQLITE_IOERR: "the disk refused: see free space, quota and health of {folder}, and try again",
    sqlite3.SQLITE_BUSY: "another process is writing: try again, or wait longer than timeout={timeout}",
    sqlite3.SQLITE_LOCKED: "another process is writing: try again, or wait longer than timeout={timeout}",
    sqlite3.SQLITE_NOTADB: "it is no SQLite database: give another path",
    sqlite3.SQLITE_CORRUPT: "the file is damaged: put a copy back, or rescue it: sqlite3 {path} .recover",
}

CACHE_KIB = 8_192
"""Memory for pages of the file, for each connection: about what the searches of one long thread read."""


class SqliteFile:
    """One connection that writes and one that reads, so that no search waits for somebody's write lock."""

    def __init__(self, path: str | os.PathLike[str], *, timeout: float) -> None:
        """Open the file, make it if it is not there, and its tables.

        Args:
            path: the file, or ":memory:".
            timeout: seconds to wait for another process's write lock.

        Raises:
            ArchiveError: the file cannot be opened or written, or a newer version wrote it.
        """
        self.path = os.fspath(path)
        if not self.path:
            raise ArchiveError("the archive needs a path, not ''; write SqliteArchive('chat.db') or ':memory:'")
        self._full_path = self.path if self.path == MEMORY else os.path.realpath(self.path)
        self.timeout = timeout
        self._closed = False
        self._inherited: list[sqlite3.Connection] = []
        self._open()
        try:
            with self._told():
                self._make()
        except BaseException:
            self.close()
            raise

    @contextmanager
    def write(self) -> Iterator[sqlite3.Connection]:
        """A transaction that holds the write lock from its start; undone if the block raises."""
        with self._told(), self._lock(writing=True) as db:
            try:
                db.execute("BEGIN IMMEDIATE")
                self._check_place()
                yield db
                db.execute("COMMIT")
            except BaseException:
                if db.in_transaction:  # SQLite itself has undone it after some errors
                    db.execute("ROLLBACK")
                raise

    @contextmanager
    def read(self) -> Iterator[sqlite3.Connection]:
        """A transaction that sees one state of the file, whatever others write meanwhile."""
        with self._told(), self._free() as db:
            try:
                db.execute("BEGIN")
                yield db
            finally:
                if db.in_transaction:
                    db.execute("ROLLBACK")

    def empty_log(self) -> None:
        """Move the write-ahead log into the file and empty it, so that erased turns are not left there.

        Best effort: a reader elsewhere may hold the log; the next checkpoint of any connection then does it.
        """
        with suppress(sqlite3.Error), self._lock(writing=True) as db:
            db.execute("PRAGMA busy_timeout = 500")
            try:
                db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            finally:
                db.execute(f"PRAGMA busy_timeout = {int(self.timeout * 1000)}")

    def close(self) -> None:
        """Close both connections, after what is running; in a forked process they are the parent's."""
        if self._pid != os.getpid():
            self._closed = True
            return
        with self._write_lock, self._read_lock:
            if not self._closed:
                self._reader.close()
                self._writer.close()
            self._closed = True

    def _open(self) -> None:
        self._write_lock = threading.RLock()
        self._read_lock = self._write_lock if self.path == MEMORY else threading.RLock()
        with self._told():
            self._writer = self._connect()
            self._reader = self._writer if self.path == MEMORY else self._connect()
        self._place = _file_at(self._full_path)
        self._pid = os.getpid()  # last: another thread of a forked process must not take the parent's connections

    def _check_place(self) -> None:
        """Refuse to write to a file that has lost its name: what it took in would be gone with this process."""
        if self._place and _file_at(self._full_path) != self._place:
            raise ArchiveError(
                f"the archive {self.path} was removed or replaced while it was open; put it back, or start this "
                "process anew to go on with what is there now; turns stay in the state until then"
            )

    def _connect(self) -> sqlite3.Connection:
        db = sqlite3.connect(self.path, timeout=self.timeout, isolation_level=None, check_same_thread=False)
        try:
            self._log_ahead(db)
            # FULL: a turn leaves the checkpointed state once the archive has it, so that it must not be
            # less durable than the checkpoint, which LangGraph's SqliteSaver writes with FULL.
            db.execute("PRAGMA synchronous = FULL")
            db.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
            db.execute("PRAGMA secure_delete = ON")  # forgotten turns are overwritten, not just unlinked
        except BaseException:
            db.close()
            raise
        return db

    def _log_ahead(self, db: sqlite3.Connection) -> None:
        """Turn write-ahead logging on; SQLite does not wait for others at this step, so we do."""
        deadline = time.monotonic() + self.timeout
        while True:
            try:
                db.execute("PRAGMA journal_mode = WAL")
            except sqlite3.OperationalError as error:
                if _code(error) != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                    raise
                time.sleep(0.01)
            else:
                return

    def _make(self) -> None:
        version = self._version(self._writer)
        if version < SCHEMA_VERSION:
            with self.write() as db:
                version = self._version(db)  # somebody may have been faster
                for newer in range(version + 1, SCHEMA_VERSION + 1):
                    for statement in filter(str.strip, VERSIONS[newer].split(";")):
                        db.execute(statement)
                keep = "INSERT OR REPLACE INTO qwen_memory_meta VALUES ('schema', ?)"
                db.execute(keep, (str(max(version, SCHEMA_VERSION)),))
        if version > SCHEMA_VERSION:
            raise ArchiveError(
                f"the archive {self.path} has schema {version}, which a newer version wrote; this one reads up "
                f"to schema {SCHEMA_VERSION}: pip install -U langchain-qwen-memory"
            )

    @staticmethod
    def _version(db: sqlite3.Connection) -> int:
        """The file's schema; 0 where there is none."""
        if not db.execute("SELECT 1 FROM sqlite_master WHERE name = 'qwen_memory_meta'").fetchone():
            return 0
        return int(db.execute("SELECT value FROM qwen_memory_meta WHERE name = 'schema'").fetchone()[0])

    @contextmanager
    def _lock(self, *, writing: bool) -> Iterator[sqlite3.Connection]:
        if self._pid != os.getpid():
            self._reopen()
        with self._write_lock if writing else self._read_lock:
            if self._closed:
                raise ArchiveError(f"the archive {self.path} is closed; open it again with SqliteArchive(...)")
            yield self._writer if writing else self._reader

    @contextmanager
    def _free(self) -> Iterator[sqlite3.Connection]:
        """The reader's turn, on the writing connection while nothing is written: a commit empties the other's pages."""
        with self._lock(writing=False) as reader:
            if not self._write_lock.acquire(blocking=False):
                yield reader
                return
            try:
                yield reader if self._writer.in_transaction else self._writer
            finally:
                self._write_lock.release()

    def _reopen(self) -> None:
        """After a fork the connections are the parent's: using or closing them here could damage the file."""
        if self.path == MEMORY:
            raise ArchiveError("an archive in ':memory:' belongs to the process that made it; give it a file")
        self._inherited += [self._writer, self._reader]
        self._open()

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise ArchiveError(self._tell(error)) from error

    def _tell(self, error: sqlite3.Error) -> str:
        folder = Path(self.path).absolute().parent
        fix = FIXES.get(_code(error), "see the error that caused this one")
        if Path(self.path).is_dir():
            fix = "it is a folder: name a file in it, as in {path}/chat.db"
        fix = fix.format(path=self.path, folder=folder, timeout=self.timeout)
        return f"the archive {self.path} failed: {error}; {fix}"


def _code(error: sqlite3.Error) -> int:
    """SQLite's primary result code, -1 where the error is Python's own."""
    return getattr(error, "sqlite_errorcode", -1) & 0xFF


def _file_at(path: str) -> tuple[int, int] | None:
    """Which file stands at a path now; None where there is none, or where an open one cannot be taken away."""
    if path == MEMORY or sys.platform == "win32":
        return None
    try:
        found = os.stat(path)  # noqa: PTH116 - a string, as SQLite has it
    except OSError:
        return None
    return found.st_dev, found.st_ino
