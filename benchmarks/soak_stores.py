"""What a soak stores in: checkpoints and turns in one Postgres database, or in SQLite files."""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from soak_model import turn

ROOT = Path(__file__).resolve().parent.parent
SAVERS_POOL, ARCHIVES_POOL = 20, 8
"""Connections at most: the checkpointer's pool, the archive's pool for the loop."""


@dataclass
class Store:
    """A place for checkpoints and one for turns."""

    saver: Any
    archive: Any
    connections: int = 0
    """Most connections that the database had at once; 0: there are none to count."""


@asynccontextmanager
async def opened(kind: str, url: str | None, *, unlocked: bool) -> AsyncIterator[Store]:
    """Open the stores; what they leave behind is removed."""
    opening = postgres(url, unlocked=unlocked) if kind == "postgres" else sqlite()
    async with opening as store:
        for name in ("aget_tuple", "aput", "aput_writes"):
            setattr(store.saver, name, _timed(getattr(store.saver, name)))
        yield store


def _timed(call: Any) -> Any:
    """A call of the checkpointer that adds its seconds to the turn that made it."""

    async def timed(*given: Any, **options: Any) -> Any:
        begun = time.perf_counter()
        try:
            return await call(*given, **options)
        finally:
            now = turn.get()
            if now is not None:
                now.saved += time.perf_counter() - begun

    return timed


@asynccontextmanager
async def sqlite() -> AsyncIterator[Store]:
    from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver

    from langchain_qwen_memory import SqliteArchive

    with tempfile.TemporaryDirectory() as folder, SqliteArchive(Path(folder) / "archive.db") as archive:
        async with AsyncSqliteSaver.from_conn_string(str(Path(folder) / "checkpoints.db")) as saver:
            yield Store(saver, archive)


@asynccontextmanager
async def postgres(url: str | None, *, unlocked: bool) -> AsyncIterator[Store]:
    """A pool for the checkpointer, as in `docs/how-to/postgres.md`, and one for the archive."""
    from langgraph.checkpoint.postgres.aio import AsyncPostgresSaver
    from psycopg.rows import dict_row
    from psycopg_pool import AsyncConnectionPool

    from langchain_qwen_memory.archive.postgres.archive import PostgresArchive

    server = None if url else _server()
    place = url or server.database()
    options = {"autocommit": True, "prepare_threshold": 0, "row_factory": dict_row}
    pool: Any = AsyncConnectionPool(place, min_size=2, max_size=SAVERS_POOL, kwargs=options, open=False)
    try:
        async with pool:
            saver = AsyncPostgresSaver(pool)
            if unlocked:
                saver.lock = asyncio.Semaphore(SAVERS_POOL)  # type: ignore[assignment] # langgraph issue 7259
            await saver.setup()
            archive = PostgresArchive(place, max_connections=ARCHIVES_POOL)
            await archive.asetup()
            store = Store(saver, archive)
            counting = asyncio.create_task(_count(store, place))
            try:
                yield store
            finally:
                counting.cancel()
                await asyncio.gather(counting, return_exceptions=True)
                await archive.aclose()
    finally:
        if server is not None:
            server.close()


def _server() -> Any:
    """A server of its own, which flushes the disk as it does by default."""
    sys.path.insert(0, str(ROOT))
    from tests.postgres.server import Server

    return Server(settings="\nmax_connections = 600\n")


async def _count(store: Store, url: str) -> None:
    """Ask the database each second how many connections it has, this one not counted."""
    import psycopg

    query = (
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() "
        "AND backend_type = 'client backend' AND pid <> pg_backend_pid()"
    )
    async with await psycopg.AsyncConnection.connect(url, autocommit=True) as db:
        while True:
            row = await (await db.execute(query)).fetchone()
            store.connections = max(store.connections, int(row[0]) if row else 0)
            await asyncio.sleep(1)
