"""Searches through an index: asks it for candidates, ranks them, and reads the best from the archive."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Any

from langchain_qwen_memory.archive.base import Archive
from langchain_qwen_memory.archive.batch import Question
from langchain_qwen_memory.archive.embedding import Embedded
from langchain_qwen_memory.archive.finding.fulltext import count_words, query_words
from langchain_qwen_memory.archive.index.base import Ask, Index, Near, Nearest, line_of, owner_of
from langchain_qwen_memory.archive.index.lines import Line
from langchain_qwen_memory.archive.index.ranking import ranked
from langchain_qwen_memory.archive.turn import Found, Hit, Turn

__all__ = ["IndexSearch", "plainly"]

ROOM = 200
"""Turns that each half of an index brings at first, so that the best of both are among them."""
ROUNDS = 3
"""How often that is made four times as many before the archive itself is searched."""


def plainly(archive: Archive, question: Question) -> Found:
    """What an archive finds by itself."""
    return archive.search(
        question.query,
        user=question.user,
        thread=question.thread,
        heads=question.heads,
        limit=question.limit,
        exclude=question.exclude,
        periods=question.periods,
        neighbours=question.neighbours,
    )


class IndexSearch:
    """Finds turns of an archive through an index."""

    def __init__(self, archive: Archive, index: Index, lock: AbstractContextManager[Any]) -> None:
        """Search this archive through this index, which is written to under the lock."""
        self._archive = archive
        self._index = index
        self._lock = lock

    def found(self, question: Question, made: Embedded, lines: Mapping[str, Line]) -> Found | None:
        """The best turns of these lineages; None where there are so many others that the archive knows better."""
        words = query_words(question.query)
        room = max(ROOM, 4 * (question.limit + len(question.exclude)))
        for _ in range(ROUNDS):
            nearest = self._index.search(_ask(question, words, made, room))
            if not self._index.full_text:
                nearest = self._with_words(nearest, words, question, room)
            hits = self._hits(ranked(nearest, lines, words, question), lines, question)
            if nearest.whole or len(hits) == question.limit:
                return Found(hits, made.problem)
            room *= 4
        return None

    def _with_words(self, nearest: Nearest, words: Sequence[str], question: Question, room: int) -> Nearest:
        """What the index found by meaning together with what the archive's full text finds."""
        plain = replace(question, limit=room, exclude=(), periods=(), neighbours=False)
        found = plainly(self._archive, plain)
        lexical = {hit.turn.key: hit.score for hit in found}
        turns = {hit.turn.key: hit.turn for hit in found}
        worded = len(found) < room
        if question.periods:
            dated = plainly(self._archive, replace(plain, periods=question.periods))
            turns.update({hit.turn.key: hit.turn for hit in dated})
        near = {one.key: one for one in nearest.turns}
        for key, turn in turns.items():
            counts = count_words(turn.text)
            dense = near[key].dense if key in near else None
            near[key] = Near(
                key=key, line=line_of(turn.user, turn.thread), parent=turn.parent, branch=turn.branch,
                position=turn.position, at=turn.at, number=near[key].number if key in near else 0,
                words={word: counts[word] for word in words if word in counts}, length=counts.total(),
                lexical=lexical.get(key, 0.0), dense=dense,
            )  # fmt: skip
        return Nearest(turns=[*near.values()], worded=worded, whole=nearest.whole and worded, least=nearest.least)

    def _hits(self, order: Sequence[tuple[Near, float]], lines: Mapping[str, Line], question: Question) -> list[Hit]:
        """The best turns, read from the archive; what it has no more is erased from the index."""
        wanted = iter([(near, score) for near, score in order if near.key not in question.exclude])
        hits: list[Hit] = []
        gone: list[str] = []
        while len(hits) < question.limit and (part := _some(wanted, question.limit - len(hits))):
            turns = self._read(question.user, lines, [near for near, _ in part])
            for near, score in part:
                turn, line = turns.get(near.key), lines[near.line]
                if turn is None:
                    gone.append(near.key)
                elif line.holds(turn.branch, turn.position):
                    hits.append(self._hit(question, line, turn, score))
        if gone:
            with self._lock:
                self._index.remove(gone)
        return hits

    def _read(self, user: str, lines: Mapping[str, Line], found: Sequence[Near]) -> dict[str, Turn]:
        turns: dict[str, Turn] = {}
        for name in {near.line for near in found}:
            keys = [near.key for near in found if near.line == name]
            turns.update({turn.key: turn for turn in self._archive.get(user, lines[name].thread, keys)})
        return turns

    def _hit(self, question: Question, line: Line, turn: Turn, score: float) -> Hit:
        if not question.neighbours:
            return Hit(turn=turn, score=score)
        before = turn.position + 2
        page = self._archive.page(question.user, line.thread, head=line.head, before=before, limit=3)
        around = {other.position - turn.position: other for other in page}
        return Hit(turn=turn, score=score, before=around.get(-1), after=around.get(1))


def _ask(question: Question, words: Sequence[str], made: Embedded, room: int) -> Ask:
    return Ask(
        owner=owner_of(question.user),
        line=None if question.thread is None else line_of(question.user, question.thread),
        query=question.query,
        words=words,
        vector=None if made.vectors is None else made.vectors[0],
        limit=room,
        periods=question.periods,
    )


def _some(items: Iterator[tuple[Near, float]], count: int) -> list[tuple[Near, float]]:
    return [item for _, item in zip(range(count), items, strict=False)]
