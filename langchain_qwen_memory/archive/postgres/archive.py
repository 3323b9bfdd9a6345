"""An archive in a Postgres database, for many processes and machines; it may be PostgresSaver's own database."""

from collections.abc import Callable, Collection, Sequence
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from typing import Any, TypeVar

from langchain_core.embeddings import Embeddings
from typing_extensions import override

from langchain_qwen_memory.archive.base import ArchivedThread, Turn, check_ids, check_limit
from langchain_qwen_memory.archive.postgres import append, rows
from langchain_qwen_memory.archive.postgres.hold import ahold, hold
from langchain_qwen_memory.archive.postgres.link import Link
from langchain_qwen_memory.archive.postgres.ops import Op
from langchain_qwen_memory.archive.postgres.pools import LinkOptions
from langchain_qwen_memory.archive.postgres.rebuild import Rebuilding
from langchain_qwen_memory.archive.postgres.searched import SearchedPostgres
from langchain_qwen_memory.archive.stored import note_to_bytes
from langchain_qwen_memory.errors import ArchiveError

__all__ = ["PostgresArchive"]

T = TypeVar("T")


class PostgresArchive(SearchedPostgres):
    """Turns, full text, vectors and notes in one database; the way past one machine.

    Vectors are pgvector's (`CREATE EXTENSION vector`, made at setup where the user may), full text is Postgres' own.
    All tables begin with `qwen_memory_`, so that the database may be the checkpointer's. Connections are made when
    first needed, for callers that wait and for each event loop; an operation whose connection breaks is done once
    more. Tested with Postgres 18 and pgvector; RDS, PolarDB and AnalyticDB speak the same protocol.

    Locks: an append locks its thread's row; spaces of vectors and the schema are changed under advisory locks of the
    transaction; `hold` keeps a transaction of its own open. No lock outlives its transaction, so that a pooler in
    transaction mode may stand between.

    Example:
        ```python
        archive = PostgresArchive("postgresql://chat:secret@db.example:5432/chat")
        archive.setup()  # once, at deployment; else at first use
        graph = create_chat_graph(model, memory=RecallMemory(), archive=archive, checkpointer=saver)
        ```
    """

    def __init__(
        self,
        url: str,
        *,
        embeddings: Embeddings | None = None,
        embeddings_name: str | None = None,
        schema: str = "public",
        max_connections: int = 8,
        timeout: float = 10.0,
        prepare_threshold: int | None = 2,
        hnsw: bool = False,
        exact_up_to: int = 20_000,
    ) -> None:
        """Read the URL; nothing is opened yet.

        Args:
            url: `postgresql://user:password@host:5432/database`, or anything libpq takes; what is not in it comes from
                the `PG...` variables of the environment. The password is in no error and no log.
            embeddings: what makes vectors of turns and questions; None: search by full text alone.
            embeddings_name: what the vectors are stored under; None: the embeddings' own name.
            schema: where the tables are; made if it is not there.
            max_connections: of one pool at most; there is a pool for callers that wait and one for each event loop,
                and each `hold` has a connection more.
            timeout: seconds to wait for a connection.
            prepare_threshold: after so many times a statement is prepared on the server, which saves planning it; a
                connection that a pooler made prepares none. None: never.
            hnsw: keep an HNSW index on the vectors, for users of very many turns.
            exact_up_to: turns of a user up to which the question is compared with each; beyond it the index is asked,
                where there is one. By `benchmarks/postgres.py` the index costs less from about 20,000 turns on.

        Raises:
            ArchiveError: the URL or the schema's name cannot be what they should be.
            ImportError: psycopg is not installed.
        """
        if not schema or set(schema) & set('%{}\0"'):
            raise ArchiveError(f"schema must be the name of a Postgres schema, not {schema!r}; write schema='public'")
        options = LinkOptions(max_connections=max_connections, timeout=timeout, prepare_threshold=prepare_threshold)
        link = Link(url, schema, options, vectors=embeddings is not None)
        spaces = Rebuilding(link.place, schema, hnsw=hnsw)
        super().__init__(link, spaces, embeddings, embeddings_name, exact_up_to=exact_up_to if hnsw else None)

    def __repr__(self) -> str:
        return f"PostgresArchive({self._link.place!r})"

    def setup(self) -> None:
        """Make or migrate the tables, and the indexes that are asked for; the first use does it too.

        To be called once at deployment where the application's own user may not make tables. Safe to call from many
        machines at once.

        Raises:
            ArchiveError: the database cannot be reached or does not let this user.
        """
        self._link.run(self._spaces.make_indexes, writing=True)

    async def asetup(self) -> None:
        """Async twin of `setup`."""
        await self._link.arun(self._spaces.make_indexes, writing=True)

    def _read(self, op: Callable[..., Op[T]], *given: Any) -> T:
        return self._link.run(lambda: op(*given))

    async def _aread(self, op: Callable[..., Op[T]], *given: Any) -> T:
        return await self._link.arun(lambda: op(*given))

    @override
    def get(self, user: str, thread: str, keys: Sequence[str]) -> list[Turn]:
        check_ids(user, thread)
        return self._read(rows.get, user, thread, keys)

    @override
    async def aget(self, user: str, thread: str, keys: Sequence[str]) -> list[Turn]:
        check_ids(user, thread)
        return await self._aread(rows.get, user, thread, keys)

    @override
    def known_messages(self, user: str, thread: str, ids: Collection[str], *, head: str) -> set[str]:
        check_ids(user, thread)
        return self._read(rows.known_messages, user, thread, ids, head)

    @override
    async def aknown_messages(self, user: str, thread: str, ids: Collection[str], *, head: str) -> set[str]:
        check_ids(user, thread)
        return await self._aread(rows.known_messages, user, thread, ids, head)

    @override
    def page(
        self, user: str, thread: str, *, head: str | None = None, before: int | None = None, limit: int = 50
    ) -> list[Turn]:
        check_ids(user, thread)
        check_limit(limit)
        return self._read(rows.page, user, thread, head, before, limit)

    @override
    async def apage(
        self, user: str, thread: str, *, head: str | None = None, before: int | None = None, limit: int = 50
    ) -> list[Turn]:
        check_ids(user, thread)
        check_limit(limit)
        return await self._aread(rows.page, user, thread, head, before, limit)

    @override
    def turns(self, user: str, thread: str, *, after: str | None = None, limit: int = 100) -> list[Turn]:
        check_ids(user, thread)
        check_limit(limit)
        return self._read(rows.appended, user, thread, after, limit)

    @override
    async def aturns(self, user: str, thread: str, *, after: str | None = None, limit: int = 100) -> list[Turn]:
        check_ids(user, thread)
        check_limit(limit)
        return await self._aread(rows.appended, user, thread, after, limit)

    @override
    def head(self, user: str, thread: str) -> str | None:
        check_ids(user, thread)
        return self._read(rows.head, user, thread)

    @override
    async def ahead(self, user: str, thread: str) -> str | None:
        check_ids(user, thread)
        return await self._aread(rows.head, user, thread)

    @override
    def count(self, user: str, thread: str | None = None) -> int:
        check_ids(user, thread)
        return self._read(rows.count, user, thread)

    @override
    async def acount(self, user: str, thread: str | None = None) -> int:
        check_ids(user, thread)
        return await self._aread(rows.count, user, thread)

    @override
    def threads(self, user: str) -> list[ArchivedThread]:
        check_ids(user, None)
        return self._read(rows.threads, user)

    @override
    async def athreads(self, user: str) -> list[ArchivedThread]:
        check_ids(user, None)
        return await self._aread(rows.threads, user)

    @override
    def users(self) -> list[str]:
        return self._read(rows.users)

    @override
    async def ausers(self) -> list[str]:
        return await self._aread(rows.users)

    @override
    def forget(self, user: str, thread: str | None = None) -> int:
        check_ids(user, thread)
        return self._link.run(lambda: rows.forget(user, thread), writing=True)

    @override
    async def aforget(self, user: str, thread: str | None = None) -> int:
        check_ids(user, thread)
        return await self._link.arun(lambda: rows.forget(user, thread), writing=True)

    @override
    def put_note(self, user: str, thread: str, key: str, note: dict[str, Any]) -> dict[str, Any]:
        check_ids(user, thread)
        data = note_to_bytes(note)
        return self._link.run(lambda: append.put_note(user, thread, key, data), writing=True)

    @override
    async def aput_note(self, user: str, thread: str, key: str, note: dict[str, Any]) -> dict[str, Any]:
        check_ids(user, thread)
        data = note_to_bytes(note)
        return await self._link.arun(lambda: append.put_note(user, thread, key, data), writing=True)

    @override
    def get_note(self, user: str, thread: str, key: str) -> dict[str, Any] | None:
        check_ids(user, thread)
        return self._read(rows.get_note, user, thread, key)

    @override
    async def aget_note(self, user: str, thread: str, key: str) -> dict[str, Any] | None:
        check_ids(user, thread)
        return await self._aread(rows.get_note, user, thread, key)

    @override
    def notes(self, user: str, thread: str) -> list[tuple[str, dict[str, Any]]]:
        check_ids(user, thread)
        return self._read(rows.notes, user, thread)

    @override
    async def anotes(self, user: str, thread: str) -> list[tuple[str, dict[str, Any]]]:
        check_ids(user, thread)
        return await self._aread(rows.notes, user, thread)

    @override
    def hold(self, user: str, thread: str, *, timeout: float | None = None) -> AbstractContextManager[None]:
        check_ids(user, thread)
        return hold(self._link, user, thread, timeout)

    @override
    def ahold(self, user: str, thread: str, *, timeout: float | None = None) -> AbstractAsyncContextManager[None]:
        check_ids(user, thread)
        return ahold(self._link, user, thread, timeout)

    @override
    def close(self) -> None:
        self._link.close()

    @override
    async def aclose(self) -> None:
        await self._link.aclose()
