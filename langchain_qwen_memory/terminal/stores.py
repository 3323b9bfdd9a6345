"""Opens what a command reads: the archive, and the checkpoints beside it, in a SQLite file or in Postgres."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any

from langchain_qwen_memory.terminal.place import MisuseError, Place
from langchain_qwen_memory.terminal.say import Say

if TYPE_CHECKING:
    from collections.abc import Mapping

    from langchain_core.embeddings import Embeddings

    from langchain_qwen_memory.archive.base import Archive


@contextmanager
def opening(place: Place, say: Say) -> Iterator[None]:
    """Tells what goes wrong with a place as one line.

    Raises:
        MisuseError: It cannot be opened, with the reason, in which no password stands.
    """
    from langchain_qwen_memory.errors import ArchiveError, EmbeddingMismatchError

    try:
        yield
    except EmbeddingMismatchError:
        raise
    except (ArchiveError, sqlite3.Error, OSError) as error:
        raise MisuseError(_told(place, error, say)) from error
    except Exception as error:
        if type(error).__module__.partition(".")[0] not in {"psycopg", "psycopg_pool"}:
            raise
        raise MisuseError(_told(place, error, say)) from None


def _told(place: Place, error: BaseException, say: Say) -> str:
    why = " ".join(str(error).split()) or type(error).__name__
    if place.is_postgres:
        return say("not_reached", db=place.shown, why=why.replace(str(place.given), place.shown))
    return say("not_a_database", db=place.shown, why=why)


def open_archive(place: Place, say: Say, *, embeddings: Embeddings | None = None, create: bool = False) -> Archive:
    """Open the archive of a place.

    Args:
        place: Checked.
        say: The language of errors.
        embeddings: For search by meaning; None: by words alone.
        create: Make the file if there is none.

    Raises:
        MisuseError: There is none, or it cannot be opened.
    """
    given: Mapping[str, Any] = {} if embeddings is None else {"embeddings": embeddings}
    if place.is_postgres:
        from langchain_qwen_memory.archive.postgres.archive import PostgresArchive

        with opening(place, say):
            return _set_up(PostgresArchive(str(place.given), **given))
    from langchain_qwen_memory.archive.sqlite.archive import SqliteArchive

    if not create and not place.path.exists():
        raise MisuseError(say("no_archive", db=place.shown))
    with opening(place, say):
        if place.given is None:
            place.path.parent.mkdir(parents=True, exist_ok=True)
        return SqliteArchive(place.path, **given)


def _set_up(archive: Any) -> Archive:
    """Make or migrate the schema, where an archive has such a step."""
    if hasattr(archive, "setup"):
        archive.setup()
    opened: Archive = archive
    return opened


@contextmanager
def saver_of(place: Place, say: Say) -> Iterator[Any]:
    """The checkpoints of a place, for reading; None where it holds none."""
    with ExitStack() as stack:
        with opening(place, say):
            saver = _postgres_saver(place, stack) if place.is_postgres else _sqlite_saver(place, stack)
        yield saver


def _sqlite_saver(place: Place, stack: ExitStack) -> Any:
    from langgraph.checkpoint.sqlite import SqliteSaver

    saver = stack.enter_context(SqliteSaver.from_conn_string(str(place.path)))
    there = saver.conn.execute("SELECT 1 FROM sqlite_master WHERE name = 'checkpoints'").fetchone()
    return saver if there else None


def _postgres_saver(place: Place, stack: ExitStack) -> Any:
    from langgraph.checkpoint.postgres import PostgresSaver

    saver = stack.enter_context(PostgresSaver.from_conn_string(str(place.given)))
    connection: Any = saver.conn
    row = connection.execute("SELECT to_regclass('checkpoints') AS there").fetchone()
    return saver if row["there"] else None
