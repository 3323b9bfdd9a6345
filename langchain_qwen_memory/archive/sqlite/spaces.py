"""Whose vectors a SQLite archive holds: one space is searched, another one may be made to take its place."""

import sqlite3
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from langchain_qwen_memory.archive.embedding import Space, check_space
from langchain_qwen_memory.errors import EmbeddingMismatchError

__all__ = ["Stored", "accept", "accept_in", "build", "building", "current", "of_embedder", "spaces", "sweep", "switch"]


class Stored(NamedTuple):
    """A space in the file."""

    id: int
    space: Space
    state: str
    """`current`, `building`, or `old`: being erased."""


def spaces(db: sqlite3.Connection) -> list[Stored]:
    """All spaces of the file."""
    rows = db.execute("SELECT id, name, dimension, state FROM qwen_memory_spaces").fetchall()
    return [Stored(row[0], Space(name=row[1], dimension=row[2]), row[3]) for row in rows]


def current(known: Iterable[Stored]) -> Stored | None:
    """The space that is searched."""
    return next((one for one in known if one.state == "current"), None)


def of_embedder(known: Sequence[Stored], where: str, given: Space) -> list[Stored]:
    """The spaces in use that vectors of these embeddings belong to; none if nobody's vectors are there yet.

    Raises:
        EmbeddingMismatchError: the file holds vectors, and these are of other embeddings.
    """
    fitting, refused = [], None
    for one in known:
        if one.state == "current" and one.space.dimension is None:  # nobody's vectors are in it: it is anyone's
            fitting.append(one)
        elif one.state != "old":
            try:
                check_space(where, one.space, given)
                fitting.append(one)
            except EmbeddingMismatchError as error:
                refused = error if one.state == "current" else refused
    if refused and not fitting:
        raise refused
    return fitting


def make(db: sqlite3.Connection, space: Space, state: str) -> Stored:
    """A new space, in which each turn of the file lacks a vector."""
    query = "INSERT INTO qwen_memory_spaces (name, dimension, state) VALUES (?, ?, ?)"
    made = db.execute(query, (space.name, space.dimension, state)).lastrowid
    assert made is not None
    db.execute(
        "INSERT INTO qwen_memory_missing SELECT ?, h.user, t.id, 0 "
        "FROM qwen_memory_threads h JOIN qwen_memory_turns t ON t.thread = h.id",
        (made,),
    )
    return Stored(made, space, state)


def accept(db: sqlite3.Connection, where: str, given: Space) -> list[Stored]:
    """The spaces that vectors of these embeddings are stored in; made if nobody's vectors are there yet.

    Raises:
        EmbeddingMismatchError: the file holds vectors, and these are of other embeddings.
    """
    known = spaces(db)
    fitting = of_embedder(known, where, given)
    if not fitting:
        fitting.append(make(db, given, "current"))
    for one in fitting:
        _claim(db, one, given)
    return fitting


def accept_in(db: sqlite3.Connection, where: str, begun: Stored, given: Space) -> None:
    """Let vectors of these embeddings into a space.

    Raises:
        EmbeddingMismatchError: it holds vectors of another length.
    """
    check_space(where, begun.space, given)
    _claim(db, begun, given)


def _claim(db: sqlite3.Connection, one: Stored, given: Space) -> None:
    """Write down whose vectors a space holds, once that is known."""
    if (given.dimension and one.space.dimension is None) or one.space.name != given.name:
        query = "UPDATE qwen_memory_spaces SET name = ?, dimension = ? WHERE id = ?"
        db.execute(query, (given.name, given.dimension, one.id))


def building(known: Sequence[Stored], given: Space) -> Stored | None:
    """The space that is being made with these embeddings."""
    return next((one for one in known if one.state == "building" and one.space.name == given.name), None)


def build(db: sqlite3.Connection, given: Space) -> Stored:
    """The space that all vectors are made anew in: the one that was begun with these embeddings, or a new one."""
    known = spaces(db)
    begun = building(known, given)
    if begun is None:
        db.execute("UPDATE qwen_memory_spaces SET state = 'old' WHERE state = 'building'")
        return make(db, given, "building")
    db.execute("UPDATE qwen_memory_missing SET tries = 0 WHERE space = ? AND tries", (begun.id,))
    return begun


def switch(db: sqlite3.Connection, begun: Stored) -> bool:
    """Search a new space from now on, if each turn was tried; whether it was so."""
    left = "SELECT 1 FROM qwen_memory_missing WHERE space = ? AND tries = 0 LIMIT 1"
    if db.execute(left, (begun.id,)).fetchone():
        return False
    db.execute("UPDATE qwen_memory_spaces SET state = 'old' WHERE state = 'current'")
    db.execute("UPDATE qwen_memory_spaces SET state = 'current' WHERE id = ?", (begun.id,))
    return True


def sweep(db: sqlite3.Connection) -> bool:
    """Erase a part of the spaces that are searched no more; whether there is more of them."""
    old = next((one for one in spaces(db) if one.state == "old"), None)
    if old is None:
        return False
    held = "SELECT id FROM qwen_memory_vector_segments WHERE space = ? LIMIT 100"
    query = f"DELETE FROM qwen_memory_vector_segments WHERE id IN ({held})"  # noqa: S608
    if not db.execute(query, (old.id,)).rowcount:
        for table in ("vectors", "missing"):
            db.execute(f"DELETE FROM qwen_memory_{table} WHERE space = ?", (old.id,))  # noqa: S608
        db.execute("DELETE FROM qwen_memory_spaces WHERE id = ?", (old.id,))
    return True
