"""The half of a SQLite archive that makes turns findable: appends them with words and vectors, searches, reindexes."""

import sqlite3
from collections.abc import Sequence
from itertools import groupby
from typing import TYPE_CHECKING

from langchain_core.embeddings import Embeddings
from typing_extensions import override

from langchain_qwen_memory.archive.batch import Batch, Late, Made, Question
from langchain_qwen_memory.archive.embedding import Embedded, Embedder, Space, check_space
from langchain_qwen_memory.archive.finding.fulltext import count_words
from langchain_qwen_memory.archive.hybrid import HEALED, PATIENCE, HybridArchive
from langchain_qwen_memory.archive.sqlite import rows, spaces, vectors
from langchain_qwen_memory.archive.sqlite.file import SqliteFile
from langchain_qwen_memory.archive.sqlite.partitions import Partitions
from langchain_qwen_memory.archive.sqlite.search import Near, hits
from langchain_qwen_memory.archive.stored import pack
from langchain_qwen_memory.archive.turn import Appended, Found, Turn

if TYPE_CHECKING:
    from langchain_qwen_memory.archive.embedding import Vectors

__all__ = ["SearchedSqlite"]

_REBUILT = "all vectors are being made anew; until that is done, full text alone is searched"
_OF_USER = "WHERE m.space = ? AND m.user = ? AND m.tries = 0 ORDER BY m.turn LIMIT ?"
_REFUSED = "WHERE m.space = ? AND m.user = ? AND m.tries BETWEEN 1 AND ? ORDER BY m.tries, m.turn LIMIT 1"
_OF_ALL = "WHERE m.space = ? AND m.tries = 0 ORDER BY m.user, m.turn LIMIT ?"


class SearchedSqlite(HybridArchive):
    """Appends, searches and reindexes; the rest is `SqliteArchive`."""

    def __init__(
        self, file: SqliteFile, embeddings: Embeddings | None, embeddings_name: str | None, vector_memory: int
    ) -> None:
        """Search the turns of a file that is open."""
        self._file = file
        try:
            super().__init__(embeddings, embeddings_name)
        except BaseException:
            file.close()
            raise
        self._partitions = Partitions(vector_memory)  # only used by who holds the file's read lock

    @override
    def missing_vectors(self) -> int:
        with self._file.read() as db:
            known = [one for one in spaces.spaces(db) if one.state != "old"]
            if known:
                return vectors.count_missing(db, (spaces.current(known) or known[0]).id)
            return rows.count_all(db) if self._embedder else 0

    @override
    def _wanted(self, user: str, thread: str, turns: Sequence[Turn]) -> Batch:
        if self._embedder is None:
            return Batch()
        given = {turn.key: turn for turn in turns if turn.text.strip()}
        with self._file.read() as db:
            known = spaces.of_embedder(spaces.spaces(db), self._file.path, self._embedder.space())
            place = rows.find(db, user, thread)
            there = rows.stored_keys(db, place, given)
            late = self._left_behind(db, spaces.current(known), place.user)
        return Batch(fresh=[turn for key, turn in given.items() if key not in there], late=late)

    @staticmethod
    def _left_behind(db: sqlite3.Connection, searched: spaces.Stored | None, user: int) -> list[Late]:
        """Turns of a user without a vector; those that failed before come one by one, when there are no others."""
        if searched is None:
            return []
        untried = rows.late(db, _OF_USER, (searched.id, user, HEALED))
        return untried or rows.late(db, _REFUSED, (searched.id, user, PATIENCE - 1))

    @override
    def _store(self, user: str, thread: str, turns: Sequence[Turn], made: Made) -> Appended:
        ready = [(turn, pack(turn.messages, turn.text), count_words(turn.text)) for turn in turns]  # before the lock
        with self._file.write() as db:
            fitting = spaces.accept(db, self._file.path, made.space) if made.space else []
            place = rows.make_thread(db, user, thread)
            numbers = [(turn.key, rows.append(db, place, turn, body, words)) for turn, body, words in ready]
            new = {key: number for key, number in numbers if number is not None}  # a turn given twice is new once
            worded = {turn.key for turn in turns if turn.text.strip()}
            vectors.miss(db, place.user, [number for key, number in new.items() if key in worded])
            fresh = [(new[key], vector) for key, vector in made.fresh.items() if key in new]
            late = [(one.number, vector) for one, vector in made.late.items() if rows.owner(db, one) == place.user]
            for one in fitting:
                vectors.add(db, one.id, place.user, [*fresh, *late])
                vectors.failed(db, one.id, place.user, [late.number for late in made.failed])
        return Appended(len(new), made.problem)

    @override
    def _comparable(self, user: str) -> bool:
        with self._file.read() as db:
            searched = spaces.current(self._fitting(db, self._embedder))
            return searched is not None and vectors.any_of(db, searched.id, rows.find(db, user, None).user)

    @override
    def kept_vectors(self, user: str, thread: str, keys: Sequence[str]) -> "dict[str, Vectors]":
        with self._file.read() as db:
            searched = spaces.current(self._fitting(db, self._embedder))
            if searched is None:
                return {}
            place = rows.find(db, user, thread)
            numbers = rows.numbers(db, place, keys)
            return vectors.of_turns(db, searched.id, place.user, numbers)

    @override
    def _find(self, question: Question, made: Embedded) -> Found:
        with self._file.read() as db:
            problem = made.problem
            if self._embedder and not spaces.current(self._fitting(db, self._embedder)):
                rebuilt = spaces.current(spaces.spaces(db)) or spaces.spaces(db)
                problem = problem or (_REBUILT if rebuilt else "")
            return Found(hits(db, question, self._near(db, question, made.vectors)), problem)

    def _fitting(self, db: sqlite3.Connection, embedder: Embedder | None) -> list[spaces.Stored]:
        if embedder is None:
            return []
        return spaces.of_embedder(spaces.spaces(db), self._file.path, embedder.space())

    def _near(self, db: sqlite3.Connection, question: Question, made: "Vectors | None") -> Near | None:
        searched = spaces.current(self._fitting(db, self._embedder))
        if made is None or self._embedder is None or searched is None or searched.space.dimension is None:
            return None
        check_space(self._file.path, searched.space, self._embedder.space(made))
        user = rows.find(db, question.user, None).user
        return Near(made[0], self._partitions.of(db, searched.id, searched.space.dimension, user))

    @override
    def _begin(self, space: Space) -> tuple[int, int]:
        self._sweep()
        with self._file.write() as db:
            begun = spaces.build(db, space)
            return vectors.count_missing(db, begun.id), rows.count_all(db)

    @override
    def _next_late(self, space: Space, limit: int) -> list[Late]:
        with self._file.read() as db:
            begun = spaces.building(spaces.spaces(db), space)
            return rows.late(db, _OF_ALL, (begun.id, limit)) if begun else []

    @override
    def _fill(self, made: Made) -> int:
        assert made.space is not None
        with self._file.write() as db:
            begun = spaces.building(spaces.spaces(db), made.space)
            if begun is None:  # another process has finished it
                return 0
            spaces.accept_in(db, self._file.path, begun, made.space)
            owned = sorted((rows.owner(db, one) or -1, one) for one in [*made.late, *made.failed])
            done = 0
            for user, group in groupby(owned, key=lambda pair: pair[0]):
                mine = [one for _, one in group]
                new = [(one.number, made.late[one]) for one in mine if one in made.late]
                done += vectors.add(db, begun.id, user, new)
                vectors.failed(db, begun.id, user, [one.number for one in mine if one in made.failed])
            return done

    @override
    def _finish(self, space: Space) -> bool:
        with self._file.write() as db:
            begun = spaces.building(spaces.spaces(db), space)
            if begun is not None and not spaces.switch(db, begun):
                return False
        self._sweep()
        return True

    def _sweep(self) -> None:
        """Erase vectors that are searched no more, in steps, so that nobody waits long for the write lock."""
        more = True
        while more:
            with self._file.write() as db:
                more = spaces.sweep(db)
