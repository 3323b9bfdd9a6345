"""Lets one run of a thread at a time into a block, over all machines that share a Postgres database.

Each block has a connection of its own with an open transaction, which holds an advisory lock. The server lets go of it
when the block ends, or when the connection does: at once when the process dies, within a minute when its machine
vanishes. A transaction holds the lock, and not a session, so that it works through a pooler too; one that has written
nothing and is between two statements hinders no vacuum.
"""

import logging
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Any

from langchain_qwen_memory.archive.postgres.link import Link
from langchain_qwen_memory.archive.postgres.ops import lock_key
from langchain_qwen_memory.archive.postgres.telling import failure
from langchain_qwen_memory.errors import ArchiveError

if TYPE_CHECKING:
    from psycopg import AsyncConnection, Connection, Error

__all__ = ["ahold", "hold"]

logger = logging.getLogger("langchain_qwen_memory")
SETTINGS = b"; ".join(
    (
        b"BEGIN ISOLATION LEVEL READ COMMITTED",
        b"SET LOCAL idle_in_transaction_session_timeout = 0",
        b"SET LOCAL statement_timeout = 0",
        b"SET LOCAL tcp_keepalives_idle = 20",
        b"SET LOCAL tcp_keepalives_interval = 10",
        b"SET LOCAL tcp_keepalives_count = 3",
        b"SET LOCAL lock_timeout = %d",
    )
)
"""How it begins, as one message: it stays however long the block takes, and a machine that is gone is noticed."""


@contextmanager
def hold(link: Link, user: str, thread: str, timeout: float | None) -> Iterator[None]:
    """Hold a thread, waiting at most so many seconds for another's block to end.

    Raises:
        ArchiveError: another held it for longer, or the server cannot be reached.
    """
    from psycopg import Error

    with ExitStack() as stack:
        began = time.monotonic()
        try:
            db = stack.enter_context(link.alone())
            for statement, values in _statements(link, user, thread, timeout):
                db.execute(statement, values, prepare=False)
        except Error as error:
            raise _told(link, error, thread, time.monotonic() - began, timeout) from error
        yield
        _tell_lost(db, thread)


@asynccontextmanager
async def ahold(link: Link, user: str, thread: str, timeout: float | None) -> AsyncIterator[None]:  # noqa: ASYNC109
    """Async twin of `hold`; whoever waits may be cancelled."""
    from psycopg import Error

    async with AsyncExitStack() as stack:
        began = time.monotonic()
        try:
            db = await stack.enter_async_context(link.aalone())
            for statement, values in _statements(link, user, thread, timeout):
                await db.execute(statement, values, prepare=False)
        except Error as error:
            raise _told(link, error, thread, time.monotonic() - began, timeout) from error
        yield
        _tell_lost(db, thread)


def _statements(link: Link, user: str, thread: str, timeout: float | None) -> Iterator[tuple[bytes, Any]]:
    wait = 0 if timeout is None else max(1, round(timeout * 1_000))  # to Postgres 0 is for ever
    yield SETTINGS % wait, None
    yield b"SELECT pg_advisory_xact_lock(%s)", (lock_key(link.names.schema, "hold", user, thread),)


def _told(link: Link, error: "Error", thread: str, waited: float, timeout: float | None) -> ArchiveError:
    from psycopg.errors import LockNotAvailable

    if isinstance(error, LockNotAvailable):
        return ArchiveError(
            f"waited {waited:.1f} s for thread {thread!r}, which another run holds in {link.place}; "
            f"wait for that run to end, or longer than timeout={timeout}"
        )
    return failure(link.place, error, link.options)


def _tell_lost(db: "Connection[Any] | AsyncConnection[Any]", thread: str) -> None:
    """Warn if the lock was lost while the block ran; closing the connection gives it back else."""
    from psycopg.pq import TransactionStatus

    if db.broken or db.pgconn.transaction_status == TransactionStatus.UNKNOWN:
        logger.warning("the connection that kept thread %r to one run was lost while it ran", thread)
