"""Where finished turns live outside the state, and how they are found again."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from langchain_qwen_memory.archive.base import (
        Appended,
        Archive,
        ArchivedThread,
        Found,
        Hit,
        Turn,
        root_key,
        searchable_text,
        turn_key,
    )
    from langchain_qwen_memory.archive.memory import InMemoryArchive
    from langchain_qwen_memory.archive.postgres.archive import PostgresArchive
    from langchain_qwen_memory.archive.sqlite.archive import SqliteArchive

__all__ = [
    "Appended",
    "Archive",
    "ArchivedThread",
    "Found",
    "Hit",
    "InMemoryArchive",
    "PostgresArchive",
    "SqliteArchive",
    "Turn",
    "root_key",
    "searchable_text",
    "turn_key",
]

_ELSEWHERE = {"InMemoryArchive": "memory", "PostgresArchive": "postgres.archive", "SqliteArchive": "sqlite.archive"}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_ELSEWHERE.get(name, 'base')}"), name)


def __dir__() -> list[str]:
    return __all__
