"""An archive in the memory of one process, for tests and first tries: gone when the process ends."""

import threading
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from langchain_core.embeddings import Embeddings
from typing_extensions import override

from langchain_qwen_memory.archive.base import root_key
from langchain_qwen_memory.archive.batch import Batch, Late, Made, Question
from langchain_qwen_memory.archive.embedding import Embedded, Space, check_space
from langchain_qwen_memory.archive.finding.fulltext import count_words
from langchain_qwen_memory.archive.holding import ThreadLocks
from langchain_qwen_memory.archive.hybrid import HEALED, PATIENCE, HybridArchive
from langchain_qwen_memory.archive.memory_search import Branches, cosines, rank
from langchain_qwen_memory.archive.stored import loads, note_to_bytes
from langchain_qwen_memory.archive.turn import (
    Appended,
    ArchivedThread,
    Found,
    Turn,
    check_ids,
    check_limit,
    orphan,
)

if TYPE_CHECKING:
    from langchain_qwen_memory.archive.embedding import Vectors

__all__ = ["InMemoryArchive"]


class InMemoryArchive(HybridArchive):
    """Turns, full text, vectors and notes in dictionaries.

    It keeps what `SqliteArchive` keeps and finds what that finds, with the same scores; a search reads all
    turns of a lineage, so it is not for long use.
    """

    def __init__(self, *, embeddings: Embeddings | None = None, embeddings_name: str | None = None) -> None:
        """Make an empty archive.

        Args:
            embeddings: what makes the vectors that turns are found by beside their words. None: full text alone.
            embeddings_name: what the embeddings are called; None: their own name.
        """
        super().__init__(embeddings, embeddings_name)
        self._threads: dict[tuple[str, str], Branches] = {}
        self._locks = ThreadLocks("")
        self._lock = threading.RLock()
        self._appended = 0
        self._vectors: dict[str, Vectors] = {}  # by a turn's key, which no other user's turn has
        self._anew: dict[str, Vectors] | None = None  # those of a `reindex` that is not done yet
        self._tries: Counter[str] = Counter()  # failures of turns that were embedded alone

    @override
    def _wanted(self, user: str, thread: str, turns: Sequence[Turn]) -> Batch:
        if self._embedder is None:
            return Batch()
        with self._lock:
            there = {key for _, known in self._known(user, thread) for key in known.turns}
            late = [one for one in self._late(self._vectors, user) if self._tries[one.key] < PATIENCE]
        given = {turn.key: turn for turn in turns if turn.key not in there and turn.text.strip()}
        untried = [one for one in late if not self._tries[one.key]][:HEALED]
        alone = sorted(late, key=lambda one: self._tries[one.key])[:1]
        return Batch(fresh=list(given.values()), late=untried or alone)

    def _late(self, vectors: "Mapping[str, Vectors]", user: str | None = None) -> list[Late]:
        """Turns of a user, or of all, that these vectors lack."""
        return [
            Late(known.numbers[key], key, turn.text)
            for (owner, _), known in self._threads.items()
            for key, turn in known.turns.items()
            if user in (None, owner) and key not in vectors and turn.text.strip()
        ]

    @override
    def _store(self, user: str, thread: str, turns: Sequence[Turn], made: Made) -> Appended:
        with self._lock:
            self._check(made)
            known = self._threads.get((user, thread), Branches())
            new: dict[str, Turn] = {}
            for turn in turns:
                if turn.key in known.turns or turn.key in new:
                    continue
                if turn.parent not in known.turns and turn.parent not in new and turn.parent != root_key(user, thread):
                    raise orphan(turn)
                new[turn.key] = turn
            self._threads[user, thread] = known
            for turn in new.values():
                self._add(known, replace(turn, user=user, thread=thread))
            vectors = {**made.fresh, **{late.key: vector for late, vector in made.late.items() if vector is not None}}
            there = {key for _, held in self._known(user, None) for key in held.turns}
            for key, vector in vectors.items():
                if key in there:
                    self._vectors.setdefault(key, vector)
            self._tries.update(late.key for late in made.failed)
            return Appended(len(new), made.problem)

    def _check(self, made: Made) -> None:
        held = next((len(vector) for vector in self._vectors.values()), None)
        if self._embedder and made.space:
            check_space("in memory", Space(name=self._embedder.name, dimension=held), made.space)

    def _add(self, known: Branches, turn: Turn) -> None:
        parent = known.turns.get(turn.parent)
        taken = parent is None or any(
            other.parent == turn.parent and other.branch == parent.branch for other in known.turns.values()
        )
        known.branches += taken
        branch = str(known.branches) if parent is None or taken else parent.branch
        position = 0 if parent is None else parent.position + 1
        known.turns[turn.key] = replace(turn, branch=branch, position=position)
        known.words[turn.key] = count_words(turn.text)
        self._appended += 1
        known.numbers[turn.key] = self._appended

    def _known(self, user: str, thread: str | None) -> Iterator[tuple[str, Branches]]:
        check_ids(user, thread)
        for (owner, name), known in self._threads.items():
            if owner == user and thread in (None, name):
                yield name, known

    @override
    def get(self, user: str, thread: str, keys: Sequence[str]) -> list[Turn]:
        with self._lock:
            return [known.turns[key] for _, known in self._known(user, thread) for key in keys if key in known.turns]

    @override
    def known_messages(self, user: str, thread: str, ids: Collection[str], *, head: str) -> set[str]:
        with self._lock:
            turns = [turn for _, known in self._known(user, thread) for turn in known.line(head)]
        return {message.id for turn in turns for message in turn.messages if message.id in ids and message.id}

    @override
    def page(
        self, user: str, thread: str, *, head: str | None = None, before: int | None = None, limit: int = 50
    ) -> list[Turn]:
        check_limit(limit)
        with self._lock:
            line = [turn for _, known in self._known(user, thread) for turn in known.line(head)]
        below = [turn for turn in line if before is None or turn.position < before]
        return below[max(0, len(below) - limit) :]

    @override
    def turns(self, user: str, thread: str, *, after: str | None = None, limit: int = 100) -> list[Turn]:
        check_limit(limit)
        with self._lock:
            found = [turn for _, known in self._known(user, thread) for turn in known.turns.values()]
        keys = [turn.key for turn in found]
        first = keys.index(after) + 1 if after in keys else 0
        return found[first : first + limit]

    @override
    def kept_vectors(self, user: str, thread: str, keys: Sequence[str]) -> "dict[str, Vectors]":
        with self._lock:
            there = {key for _, known in self._known(user, thread) for key in known.turns}
            return {key: self._vectors[key] for key in keys if key in there and key in self._vectors}

    @override
    def _comparable(self, user: str) -> bool:
        with self._lock:
            return any(key in self._vectors for _, known in self._known(user, None) for key in known.turns)

    @override
    def _find(self, question: Question, made: Embedded) -> Found:
        with self._lock:
            if made.vectors is not None and self._embedder:
                self._check(Made(space=self._embedder.space(made.vectors)))
            found = [
                (turn, known.words[turn.key], known.numbers[turn.key])
                for name, known in self._known(question.user, question.thread)
                for turn in known.line(question.heads.get(name))
            ]
            vectors = [self._vectors.get(turn.key) for turn, _, _ in found]
        dense = None if made.vectors is None else cosines(made.vectors[0], vectors)
        return Found(rank(found, dense, question), made.problem)

    @override
    def missing_vectors(self) -> int:
        with self._lock:
            return len(self._late(self._vectors)) if self._embedder else 0

    @override
    def _begin(self, space: Space) -> tuple[int, int]:
        with self._lock:
            self._anew = {} if self._anew is None else self._anew
            self._tries.clear()
            turns = sum(len(known.turns) for known in self._threads.values())
            return len(self._late(self._anew)), turns

    @override
    def _next_late(self, space: Space, limit: int) -> list[Late]:
        with self._lock:
            late = self._late(self._vectors if self._anew is None else self._anew)
            return [one for one in late if not self._tries[one.key]][:limit]

    @override
    def _fill(self, made: Made) -> int:
        with self._lock:
            vectors = {late.key: vector for late, vector in made.late.items() if vector is not None}
            self._tries.update(late.key for late in made.failed)
            if self._anew is not None:
                self._anew.update(vectors)
            return len(vectors)

    @override
    def _finish(self, space: Space) -> bool:
        with self._lock:
            if self._next_late(space, 1):
                return False
            there = {key for known in self._threads.values() for key in known.turns}
            self._vectors = {key: vector for key, vector in (self._anew or {}).items() if key in there}
            self._anew = None
            return True

    @override
    def head(self, user: str, thread: str) -> str | None:
        with self._lock:
            return next((next(reversed(known.turns), None) for _, known in self._known(user, thread)), None)

    @override
    def count(self, user: str, thread: str | None = None) -> int:
        with self._lock:
            return sum(len(known.turns) for _, known in self._known(user, thread))

    @override
    def threads(self, user: str) -> list[ArchivedThread]:
        with self._lock:
            found = [(name, known) for name, known in self._known(user, None) if known.turns]
            found.sort(key=lambda pair: -max(pair[1].numbers.values()))
            times = [(name, [turn.at for turn in known.turns.values()]) for name, known in found]
        return [ArchivedThread(thread=name, turns=len(at), first=min(at), last=max(at)) for name, at in times]

    @override
    def users(self) -> list[str]:
        with self._lock:
            return sorted({user for (user, _), known in self._threads.items() if known.turns})

    @override
    def forget(self, user: str, thread: str | None = None) -> int:
        with self._lock:
            gone = [(name, len(known.turns)) for name, known in self._known(user, thread)]
            for name, _ in gone:
                for key in self._threads.pop((user, name)).turns:
                    self._vectors.pop(key, None)
                    self._tries.pop(key, None)
                    (self._anew or {}).pop(key, None)
        return sum(turns for _, turns in gone)

    @override
    def put_note(self, user: str, thread: str, key: str, note: dict[str, Any]) -> dict[str, Any]:
        check_ids(user, thread)
        data = note_to_bytes(note)
        with self._lock:
            known = self._threads.setdefault((user, thread), Branches())
            return dict(loads(known.notes.setdefault(key, data)))

    @override
    def notes(self, user: str, thread: str) -> list[tuple[str, dict[str, Any]]]:
        with self._lock:
            found = [one for _, known in self._known(user, thread) for one in known.notes.items()]
        return [(key, dict(loads(data))) for key, data in sorted(found)]

    @override
    def get_note(self, user: str, thread: str, key: str) -> dict[str, Any] | None:
        with self._lock:
            found = [known.notes[key] for _, known in self._known(user, thread) if key in known.notes]
        return dict(loads(found[0])) if found else None

    @override
    def hold(self, user: str, thread: str, *, timeout: float | None = None) -> AbstractContextManager[None]:
        check_ids(user, thread)
        return self._locks.held(user, thread, timeout)

    @override
    def ahold(self, user: str, thread: str, *, timeout: float | None = None) -> AbstractAsyncContextManager[None]:
        check_ids(user, thread)
        return self._locks.aheld(user, thread, timeout)

    @override
    def close(self) -> None:
        """Nothing to let go of; the turns stay."""
