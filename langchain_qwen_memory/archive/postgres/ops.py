"""How the statements of a Postgres archive are written once and run by connections of both kinds.

An operation is a generator: it yields queries, is sent their rows and returns its result. `drive` runs it on a
connection that waits, `adrive` on one of an event loop.
"""

from collections.abc import Callable, Generator, Mapping, Sequence
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias, TypeVar

if TYPE_CHECKING:
    from psycopg import AsyncConnection, Connection

__all__ = ["Names", "Op", "Query", "Row", "adrive", "digest", "drive", "lock_key", "raw", "text"]

T = TypeVar("T")
Row: TypeAlias = tuple[Any, ...]


class Query(NamedTuple):
    """A statement and its values, which never stand in its text."""

    text: str
    """SQL. `{s}` stands before each table for the archive's schema, `{v}` before each name of pgvector for its own."""
    values: Sequence[Any] | Mapping[str, Any] = ()
    """What the `%s` in it stand for."""
    prepared: bool | None = None
    """Whether its plan is kept on the server; None: once it was sent so often as the connection says."""


Op: TypeAlias = Generator[Query, list[Row], T]


class Names:
    """The names of schemas that statements are written with."""

    def __init__(self, schema: str) -> None:
        """Quote the archive's schema; pgvector's own is set once it is known."""
        self.schema = '"' + schema.replace('"', '""') + '"'  # the archive has refused what quoting cannot help
        self.vector = ""
        self._written: dict[str, bytes] = {}

    def write(self, statement: str) -> bytes:
        """A statement as it is sent."""
        written = self._written.get(statement)
        if written is None:
            named = statement.replace("{s}", self.schema + ".").replace("{v}", self.vector)
            written = named.replace("{name}", self.schema).encode()
            self._written[statement] = written
        return written

    def tell(self, vector: str) -> None:
        """Learn where pgvector lives."""
        if vector != self.vector:
            self.vector = vector
            self._written = {}


def drive(db: "Connection[Row]", names: Names, op: Op[T]) -> T:
    """Run an operation on a connection that waits."""
    cursor = db.cursor(binary=True)
    step: Callable[[Any], Query] = op.send
    value: Any = None
    while True:
        try:
            query = step(value)
        except StopIteration as done:
            return done.value  # type: ignore[no-any-return]
        try:
            cursor.execute(names.write(query.text), query.values or None, prepare=query.prepared)
            step, value = op.send, cursor.fetchall() if cursor.description else []
        except Exception as error:  # noqa: BLE001 - the operation decides what a failure means
            step, value = op.throw, error


async def adrive(db: "AsyncConnection[Row]", names: Names, op: Op[T]) -> T:
    """Run an operation on a connection of an event loop."""
    cursor = db.cursor(binary=True)
    step: Callable[[Any], Query] = op.send
    value: Any = None
    while True:
        try:
            query = step(value)
        except StopIteration as done:
            return done.value  # type: ignore[no-any-return]
        try:
            await cursor.execute(names.write(query.text), query.values or None, prepare=query.prepared)
            step, value = op.send, await cursor.fetchall() if cursor.description else []
        except Exception as error:  # noqa: BLE001 - the operation decides what a failure means
            step, value = op.throw, error


def raw(text: str) -> bytes:
    """Any string as bytes: Postgres text holds no NUL."""
    return text.encode("utf-8", "surrogatepass")


def text(raw: bytes) -> str:
    """The string that `raw` wrote down."""
    return raw.decode("utf-8", "surrogatepass")


def digest(text: str) -> bytes:
    """16 bytes that stand for a string in an index, however long it is."""
    return blake2b(raw(text), digest_size=16).digest()


def lock_key(*parts: str) -> int:
    """The 64-bit key of an advisory lock."""
    return int.from_bytes(blake2b(raw("\0\0".join(parts)), digest_size=8).digest(), "big", signed=True)
