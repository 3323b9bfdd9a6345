"""An archive in the memory of one process, for tests and first tries: gone when the process ends."""

import threading
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from typing_extensions import override

from langchain_qwen_memory.archive.base import (
    Archive,
    ArchivedThread,
    Hit,
    Turn,
    check_ids,
    check_limit,
    orphan,
    root_key,
)
from langchain_qwen_memory.archive.fulltext import count_words, query_words
from langchain_qwen_memory.archive.ranking import Postings, bm25, leaders
from langchain_qwen_memory.archive.stored import loads, note_to_bytes

__all__ = ["InMemoryArchive"]


@dataclass(slots=True)
class _Thread:
    """A thread's turns by key, in the order they came; a tree by their parents."""

    turns: dict[str, Turn] = field(default_factory=dict)
    words: dict[str, Counter[str]] = field(default_factory=dict)
    numbers: dict[str, int] = field(default_factory=dict)
    notes: dict[str, bytes] = field(default_factory=dict)
    branches: int = 0

    def line(self, head: str | None) -> list[Turn]:
        """The turns of a lineage, oldest first."""
        turn = self.turns.get(next(reversed(self.turns), "") if head is None else head)
        line = []
        while turn is not None:
            line.append(turn)
            turn = self.turns.get(turn.parent)
        return line[::-1]


class InMemoryArchive(Archive):
    """Turns, full text and notes in dictionaries.

    It keeps what `SqliteArchive` keeps and finds what that finds, with the same scores; a search reads all
    turns of a lineage, so it is not for long use.
    """

    def __init__(self) -> None:
        """Make an empty archive."""
        self._threads: dict[tuple[str, str], _Thread] = {}
        self._lock = threading.RLock()
        self._appended = 0

    @override
    def append(self, user: str, thread: str, turns: Sequence[Turn]) -> int:
        check_ids(user, thread)
        with self._lock:
            known = self._threads.get((user, thread), _Thread())
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
            return len(new)

    def _add(self, known: _Thread, turn: Turn) -> None:
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

    def _known(self, user: str, thread: str | None) -> Iterator[tuple[str, _Thread]]:
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
    def search(
        self,
        query: str,
        *,
        user: str,
        thread: str | None = None,
        heads: Mapping[str, str] | None = None,
        limit: int = 10,
        exclude: Collection[str] = (),
    ) -> list[Hit]:
        check_limit(limit)
        words = sorted(query_words(query))
        with self._lock:
            found = [
                (turn, known.words[turn.key], known.numbers[turn.key])
                for name, known in self._known(user, thread)
                for turn in known.line((heads or {}).get(name))
            ]
        hits = _rank(found, words, limit + len(exclude))
        return [hit for hit in hits if hit.turn.key not in exclude][:limit]

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
    def forget(self, user: str, thread: str | None = None) -> int:
        with self._lock:
            gone = [(name, len(known.turns)) for name, known in self._known(user, thread)]
            for name, _ in gone:
                del self._threads[user, name]
        return sum(turns for _, turns in gone)

    @override
    def put_note(self, user: str, thread: str, key: str, note: dict[str, Any]) -> dict[str, Any]:
        check_ids(user, thread)
        data = note_to_bytes(note)
        with self._lock:
            known = self._threads.setdefault((user, thread), _Thread())
            return dict(loads(known.notes.setdefault(key, data)))

    @override
    def get_note(self, user: str, thread: str, key: str) -> dict[str, Any] | None:
        with self._lock:
            found = [known.notes[key] for _, known in self._known(user, thread) if key in known.notes]
        return dict(loads(found[0])) if found else None

    @override
    def close(self) -> None:
        """Nothing to let go of; the turns stay."""


def _rank(found: list[tuple[Turn, Counter[str], int]], words: list[str], limit: int) -> list[Hit]:
    import numpy as np

    mentions = [
        (row, word, min(counts[name], 255))
        for row, (_, counts, _) in enumerate(found)
        for word, name in enumerate(words)
        if name in counts
    ]
    if not mentions:
        return []
    lengths = np.array([counts.total() for _, counts, _ in found])
    scores = bm25(lengths, np.ones(len(found), dtype=np.bool_), Postings(*np.array(mentions).T))
    numbers = np.array([number for _, _, number in found])
    return [Hit(turn=found[row][0], score=float(scores[row])) for row in leaders(scores, numbers, limit)]
