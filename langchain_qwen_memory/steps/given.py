"""What a user gives - memories, an archive or where it is, a model and tools - as a graph works with it."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from os import PathLike
from typing import Any

from langchain_core.runnables import Runnable
from langgraph.errors import GraphBubbleUp

from langchain_qwen_memory.archive.base import Archive
from langchain_qwen_memory.errors import MemoryOptionError
from langchain_qwen_memory.memory.base import Memory
from langchain_qwen_memory.memory.window import WindowMemory

CONTROL = (GraphBubbleUp,)
"""How LangGraph stops a run on purpose, as for an interrupt: no failure of a memory."""


def as_memories(memory: Memory | Sequence[Memory] | None) -> tuple[Memory, ...]:
    """One memory, several or none, as a tuple; what is no memory is in it too, for `Wiring` to refuse."""
    if memory is None:
        return ()
    several = isinstance(memory, Iterable) and not isinstance(memory, str)
    return tuple(memory) if several else (memory,)  # type: ignore[arg-type,return-value]


def with_window(memories: tuple[Memory, ...]) -> tuple[Memory, ...]:
    """Where no memory lets turns leave, a window does: a thread has no end, a prompt has."""
    moves = any(isinstance(memory, Memory) and memory.moves_edge for memory in memories)
    return memories if moves else (WindowMemory(), *memories)


def open_archive(archive: Archive | str | PathLike[str] | None) -> Archive | None:
    """Open an archive by its path or URL, or give back the one that is open.

    Raises:
        MemoryOptionError: A URL of a database that is not supported, or nothing that names an archive.
        ImportError: A Postgres URL without psycopg.
    """
    if archive is None or isinstance(archive, Archive):
        return archive
    if not isinstance(archive, str | PathLike):
        raise MemoryOptionError(
            f'archive={archive!r} is neither a path, a URL nor an Archive; write archive="chat.db".'
        )
    path = str(archive)
    if path.startswith(("postgresql://", "postgres://")):
        from langchain_qwen_memory.archive.postgres.archive import PostgresArchive

        return PostgresArchive(path)
    if "://" in path:
        raise MemoryOptionError(
            f'archive={path.rpartition("@")[2]!r}: this version opens SQLite files, as in archive="chat.db", Postgres '
            'databases, as in archive="postgresql://user:password@host/name", and takes Archive objects of your own.'
        )
    from langchain_qwen_memory.archive.sqlite.archive import SqliteArchive

    return SqliteArchive(path)


def with_tools(model: Runnable[Any, Any], tools: Sequence[Any]) -> Runnable[Any, Any]:
    """The model with its tools bound.

    Raises:
        MemoryOptionError: It is no model, or one that cannot bind tools.
    """
    if not isinstance(model, Runnable):
        raise MemoryOptionError(
            f'model={model!r} is no chat model; write create_chat_graph(ChatQwen(model="qwen-plus"), ...).'
        )
    if not tools:
        return model
    if not hasattr(model, "bind_tools"):
        raise MemoryOptionError(
            f"{type(model).__name__} cannot bind tools. Bind them to the chat model inside it, "
            "and leave tools=... out; or give the chat model itself."
        )
    return model.bind_tools(tools)  # type: ignore[no-any-return]
