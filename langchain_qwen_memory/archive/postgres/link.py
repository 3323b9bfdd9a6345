"""The connections of a Postgres archive: opened when needed, mended when they break, their errors told with fixes.

A pool is opened behind a connection that has just worked: that one says at once what is wrong (and makes the schema),
where a pool would try in the background and time out. When a connection breaks, its pool is given up, and the operation
is done once more on a new one: all operations of an archive may be done twice.
"""

import asyncio
import os
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import SecretStr

from langchain_qwen_memory.archive.postgres.ops import Names, Op, adrive, drive
from langchain_qwen_memory.archive.postgres.pools import (
    InLoop,
    LinkOptions,
    go_on,
    inherited,
    keywords,
    new_pool,
    running,
)
from langchain_qwen_memory.archive.postgres.schema import open_schema
from langchain_qwen_memory.archive.postgres.telling import failure, place_of
from langchain_qwen_memory.errors import ArchiveError

if TYPE_CHECKING:
    from psycopg import AsyncConnection, Connection
    from psycopg_pool import AsyncConnectionPool, ConnectionPool

__all__ = ["Link", "LinkOptions"]

T = TypeVar("T")


class Link:
    """Runs operations in a database, for callers that wait and for event loops."""

    def __init__(self, url: str, schema: str, options: LinkOptions, *, vectors: bool) -> None:
        """Read the URL; nothing is opened yet. With `vectors`, the database needs pgvector.

        Raises:
            ArchiveError: the URL is none, or its password is not written as URLs want it.
            ImportError: psycopg is not installed.
        """
        self.place = place_of(url)
        self.names = Names(schema)
        self.options = options
        self._schema = schema
        self._vectors = vectors
        self._url = SecretStr(url)
        self._closed = False
        self._begin()

    def _begin(self) -> None:
        self._pid = os.getpid()
        self._lock = threading.Lock()
        self._opening = threading.Lock()
        self._failed: tuple[float, Exception] | None = None
        self._pool: ConnectionPool[Any] | None = None
        self._loops: dict[asyncio.AbstractEventLoop, InLoop] = {}

    def run(self, begin: Callable[[], Op[T]], *, writing: bool = False) -> T:
        """Run an operation, in one transaction if it writes; begun anew on a new connection if this one breaks."""
        from psycopg import Error

        tries = 2
        while True:
            tries -= 1
            pool = None
            try:
                pool = self._open()
                with pool.connection(self.options.timeout) as db:
                    if not writing:
                        return drive(db, self.names, begin())
                    with db.transaction():
                        return drive(db, self.names, begin())
            except Error as error:
                if not self._again(error, pool, tries):
                    raise failure(self.place, error, self.options) from error

    async def arun(self, begin: Callable[[], Op[T]], *, writing: bool = False) -> T:
        """Async twin of `run`."""
        from psycopg import Error

        tries = 2
        while True:
            tries -= 1
            pool = None
            try:
                pool = await self._aopen()
                async with pool.connection(self.options.timeout) as db:
                    if not writing:
                        return await adrive(db, self.names, begin())
                    async with db.transaction():
                        return await adrive(db, self.names, begin())
            except Error as error:
                if not self._again(error, pool, tries):
                    raise failure(self.place, error, self.options) from error

    @contextmanager
    def alone(self) -> Iterator["Connection[Any]"]:
        """A connection outside of the pool, closed in the end.

        Raises:
            psycopg.Error: it cannot be made.
        """
        import psycopg

        self._check()
        db = psycopg.connect(self._url.get_secret_value(), **keywords(self.options))
        try:
            yield db
        finally:
            db.close()

    @asynccontextmanager
    async def aalone(self) -> AsyncIterator["AsyncConnection[Any]"]:
        """Async twin of `alone`."""
        import psycopg

        self._check()
        db = await psycopg.AsyncConnection.connect(self._url.get_secret_value(), **keywords(self.options))
        try:
            yield db
        finally:
            await db.close()

    def _check(self) -> None:
        if self._closed:
            raise ArchiveError(f"the archive {self.place} is closed; open it again with PostgresArchive(...)")
        if self._pid != os.getpid():  # after a fork these connections are the parent's: not even closing is allowed
            inherited.append((self._pool, self._loops))
            self._begin()

    def _open(self) -> "ConnectionPool[Any]":
        self._check()
        pool = self._pool
        if pool is not None:
            return pool
        began = time.monotonic()
        with self._opening:  # many callers that wait for a server that is gone wait together, not one after the other
            if self._pool is not None:
                return self._pool
            if self._failed and self._failed[0] >= began:
                raise self._failed[1]
            try:
                with self.alone() as db:
                    self.names.tell(drive(db, self.names, open_schema(self.place, self._schema, vectors=self._vectors)))
            except Exception as error:
                self._failed = (time.monotonic(), error)
                raise
            self._pool = new_pool(self._url, self.options)
            return self._pool

    async def _aopen(self) -> "AsyncConnectionPool[Any]":
        self._check()
        with self._lock:
            mine = self._loops.get(asyncio.get_running_loop())
            if mine is None:
                for loop in [loop for loop in self._loops if loop.is_closed()]:
                    self._loops.pop(loop).finish()
                mine = self._loops[asyncio.get_running_loop()] = InLoop()
        pool = mine.pool
        if pool is not None:
            return pool
        began = time.monotonic()
        async with mine.opening:
            pool = mine.pool
            if pool is not None:
                return pool
            if mine.failed and mine.failed[0] >= began:
                raise mine.failed[1]
            try:
                async with self.aalone() as db:
                    self.names.tell(
                        await adrive(db, self.names, open_schema(self.place, self._schema, vectors=self._vectors))
                    )
            except Exception as error:
                mine.failed = (time.monotonic(), error)
                raise
            pool = mine.new_pool(self._url, self.options)
            await pool.open()
            mine.pool = pool
            return pool

    def _again(self, error: Exception, pool: Any, tries: int) -> bool:
        """Whether an operation that failed is done once more; a pool whose connections break is given up."""
        from psycopg import errors
        from psycopg_pool import PoolTimeout

        if isinstance(error, PoolTimeout) or pool is None:
            return False
        if isinstance(error, errors.SerializationFailure | errors.DeadlockDetected | errors.UndefinedTable):
            return tries > 0  # a table of vectors that were made anew goes while a search has its name in hand
        if isinstance(error, errors.OperationalError | errors.InterfaceError) and (
            error.sqlstate is None or error.sqlstate[:3] in {"57P", "080"}
        ):
            self._give_up(pool)
            return tries > 0
        return False

    def _give_up(self, pool: Any) -> None:
        """Open a new pool for who comes next; connections in use are closed when they are given back."""
        from psycopg_pool import ConnectionPool

        if isinstance(pool, ConnectionPool):
            with self._lock:
                if self._pool is not pool:
                    return
                self._pool = None
            pool.close(timeout=0)
            return
        mine = self._loops.get(asyncio.get_running_loop())
        if mine is not None and mine.give_up(pool):
            go_on(pool.close(timeout=0))

    def close(self) -> None:
        """Close all connections, those of event loops too."""
        self._closed = True
        if self._pid != os.getpid():
            return
        with self._lock:
            pool, self._pool = self._pool, None
            loops, self._loops = self._loops, {}
        if pool is not None:
            pool.close(timeout=2)
        for loop, mine in loops.items():
            other = mine.pool
            if other is None or not loop.is_running():
                mine.finish()
            elif loop is running():
                go_on(other.close(timeout=2))
            else:
                with suppress(Exception):  # the loop may end at this moment, and its connections with it
                    asyncio.run_coroutine_threadsafe(other.close(timeout=2), loop).result(3)

    async def aclose(self) -> None:
        """Async twin of `close`."""
        with self._lock:
            mine = self._loops.pop(asyncio.get_running_loop(), None) if self._pid == os.getpid() else None
        pool = mine.pool if mine else None
        if pool is not None:
            await pool.close(timeout=2)
        await asyncio.to_thread(self.close)
