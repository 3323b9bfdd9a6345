"""The pools of connections of a Postgres archive: one for callers that wait, one for each event loop."""

import asyncio
import weakref
from collections.abc import Coroutine
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pydantic import SecretStr

if TYPE_CHECKING:
    from psycopg import AsyncConnection, Connection
    from psycopg_pool import AsyncConnectionPool, ConnectionPool

__all__ = ["InLoop", "LinkOptions", "go_on", "inherited", "keywords", "new_pool", "running"]


_PROCESS = "SELECT pg_backend_pid()"
"""The number of the server's process; a pooler gives one of its own when a connection is made."""
inherited: list[Any] = []
"""Pools of a process that this one was forked from, kept so that they are not closed here."""
_closing: set["asyncio.Task[None]"] = set()


@dataclass(frozen=True, kw_only=True, slots=True)
class LinkOptions:
    """How connections are made."""

    max_connections: int = 8
    """Connections of a pool at most; there is one pool for calls that wait and one for each event loop."""
    timeout: float = 10.0
    """Seconds to wait for a new connection, or for a free one where all are in use."""
    prepare_threshold: int | None = 2
    """After so many times a statement is prepared on the server, unless a pooler stands between; None: never."""


class InLoop:
    """What belongs to one event loop."""

    def __init__(self) -> None:
        self.opening = asyncio.Lock()
        self.pool: AsyncConnectionPool[Any] | None = None
        self.failed: tuple[float, Exception] | None = None
        self._made: weakref.WeakSet[AsyncConnection[Any]] = weakref.WeakSet()

    async def configure(self, db: "AsyncConnection[Any]") -> None:
        """Make a new connection ready."""
        from psycopg import IsolationLevel

        await db.set_isolation_level(IsolationLevel.READ_COMMITTED)
        _told_by(db, await (await db.execute(_PROCESS)).fetchone())
        self._made.add(db)

    def give_up(self, pool: object) -> bool:
        """Open a new pool for who comes next, if this one is still in use; whether it was."""
        used = self.pool is pool
        self.pool = None if used else self.pool
        return used

    def finish(self) -> None:
        """Close the connections of a loop that does not run any more."""
        for db in list(self._made):
            db.pgconn.finish()

    def new_pool(self, url: SecretStr, options: LinkOptions) -> "AsyncConnectionPool[Any]":
        """A pool of connections of this loop, to be opened."""
        from psycopg_pool import AsyncConnectionPool

        return AsyncConnectionPool(
            url.get_secret_value(),
            kwargs=keywords(options),
            min_size=1,
            max_size=options.max_connections,
            timeout=options.timeout,
            open=False,
            configure=self.configure,
            name="qwen-memory",
        )


def keywords(options: LinkOptions) -> dict[str, Any]:
    """What each connection is made with."""
    return {
        "autocommit": True,
        "prepare_threshold": options.prepare_threshold,
        "connect_timeout": max(2, round(options.timeout)),
        "fallback_application_name": "langchain-qwen-memory",
    }


def new_pool(url: SecretStr, options: LinkOptions) -> "ConnectionPool[Any]":
    """A pool for callers that wait, open."""
    from psycopg_pool import ConnectionPool

    return ConnectionPool(
        url.get_secret_value(),
        kwargs=keywords(options),
        min_size=1,
        max_size=options.max_connections,
        timeout=options.timeout,
        open=True,
        configure=_configure,
        name="qwen-memory",
    )


def _configure(db: "Connection[Any]") -> None:
    from psycopg import IsolationLevel

    db.isolation_level = IsolationLevel.READ_COMMITTED
    _told_by(db, db.execute(_PROCESS).fetchone())


def _told_by(db: "Connection[Any] | AsyncConnection[Any]", told: Any) -> None:
    """Prepare no statement where a pooler stands between, which may send the next one to another server process."""
    if told is None or told[0] != db.info.backend_pid:
        db.prepare_threshold = None


def running() -> asyncio.AbstractEventLoop | None:
    """The event loop of this thread, if one runs."""
    with suppress(RuntimeError):
        return asyncio.get_running_loop()
    return None


def go_on(work: Coroutine[Any, Any, None]) -> None:
    """Run a coroutine that nobody waits for; the set keeps it from being collected half-way."""
    task = asyncio.get_running_loop().create_task(work)
    _closing.add(task)
    task.add_done_callback(_closing.discard)
