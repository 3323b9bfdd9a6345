"""Chooses which found turns stand in the view, and how much of each, so that they fit a budget of tokens exactly."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import tzinfo
from functools import cached_property, lru_cache
from threading import Lock
from typing import NamedTuple, TypeAlias

from langchain_core.messages import HumanMessage

from langchain_qwen_memory.archive.base import Hit, Turn
from langchain_qwen_memory.archive.finding.fulltext import query_words
from langchain_qwen_memory.memory.base import Recalled
from langchain_qwen_memory.memory.quoting import extract, quotation
from langchain_qwen_memory.memory.render import Quote, beside
from langchain_qwen_memory.memory.text import is_chinese, said
from langchain_qwen_memory.memory.turns import Counter

AFTER, BEFORE = 0.4, 0.25
"""Share of a hit's score that the turns after and before it are placed with, where they are no hits themselves."""
SHORT = 160
"""Tokens up to which a neighbour that is no hit comes along."""
REPLY = 120
"""Tokens up to which a reply stands whole in any case."""
REPLY_SHARE = 12
"""In a larger budget: up to one part in so many of it."""
_LEAST = 12
"""Tokens of the shortest record."""
_ROUNDS = 4
"""How often what room is left is filled up: parts are counted alone, and take a little less side by side."""
_RANKED = 0.5
"""Score of the last turn that a reranker left: above that of the best one's neighbours."""
_UNSEEN = 0.1
"""Score of the first hit that a reranker was not shown: below all that it was, and their neighbours."""
_MISFITS = 6
"""Turns that are too long for the room left before the search for a shorter one is given up."""
_ONE_TOKEN = {True: Quote(key="", text="好"), False: Quote(key="", text="a")}
"""Whether Chinese, and the shortest record, which stands in the frame of its language."""


class _Written(NamedTuple):
    """A turn as it may be shown."""

    day: str
    words: str
    tokens: int
    """Without the day's heading."""
    cut: bool
    """Whether words were left out."""


_REMEMBERED = 4_096
"""Records of all threads that are kept as they were written down."""
_Place: TypeAlias = tuple[str, float, tzinfo | None, int, Counter]
_written_before: dict[_Place, _Written] = {}
"""A turn's key tells what was said in it; said again in a thread that was forgotten, it has another day."""
_guard = Lock()


@dataclass(frozen=True, kw_only=True)
class Placing:
    """One question's budget."""

    question: HumanMessage
    """What is asked: records are placed beside it."""
    max_tokens: int
    """What they may cost, frame and headings included."""
    k: int | None
    """How many turns at most; None: as many as fit."""
    count: Counter
    """Tokens of a message, by the model's own tokenizer."""
    zone: tzinfo | None = None
    """Whose days; None for local time."""
    exclude: frozenset[str] = frozenset()
    """Keys of turns that stand in the view anyway."""
    records: dict[str, _Written] = field(default_factory=dict, repr=False)
    """What was written down, by the turn's key."""

    def place(self, hits: Sequence[Hit]) -> tuple[Recalled, ...]:
        """The turns to show, most wanted first; together they cost `max_tokens` at most."""
        waiting = list(self._wanted(hits))
        chosen: list[Recalled] = []
        most = self.max_tokens if self.k is None else self.k
        left = self.max_tokens - _frame_tokens(self.count, chinese=is_chinese(said(self.question)))
        for _ in range(_ROUNDS):
            added, waiting = self._filled(chosen, waiting, left, most)
            if not added:
                break
            chosen += added
            while (cost := self.cost(chosen)) > self.max_tokens and chosen:
                chosen.pop()
            left = self.max_tokens - cost
        return tuple(chosen)

    def cost(self, chosen: Sequence[Recalled]) -> int:
        """What these records add to the question, exactly as they are rendered."""
        return self.count(beside(self.question, quotes(chosen))) - self.count(self.question)

    def _wanted(self, hits: Sequence[Hit]) -> Iterable[tuple[float, Turn, bool]]:
        """Hits and, after what they are worth, the neighbours that are no hits: (score, turn, whether a hit)."""
        found = {hit.turn.key: (hit.score, hit.turn, True) for hit in hits}
        beside_them: dict[str, tuple[float, Turn, bool]] = {}
        for hit in hits:
            for turn, share in ((hit.after, AFTER), (hit.before, BEFORE)):
                if turn is None or turn.key in found or turn.key in self.exclude:
                    continue
                known = beside_them.get(turn.key, (0.0, turn, False))
                beside_them[turn.key] = (max(known[0], share * hit.score), turn, False)
        return sorted([*found.values(), *beside_them.values()], key=lambda wanted: -wanted[0])

    def _filled(
        self, chosen: Sequence[Recalled], waiting: Iterable[tuple[float, Turn, bool]], left: float, most: int
    ) -> tuple[list[Recalled], list[tuple[float, Turn, bool]]]:
        """As many of those waiting as fit into what is left; and those that did not."""
        added: list[Recalled] = []
        later: list[tuple[float, Turn, bool]] = []
        days = {one.text.partition("\n")[0] for one in chosen}
        for score, turn, is_hit in waiting:
            if len(chosen) + len(added) >= most or left < _LEAST or len(later) >= _MISFITS:
                break
            written = self._record(turn)
            day = written.day
            cost = written.tokens + (0 if day in days else _heading_tokens(self.count, day))
            if not written.words or (not is_hit and (written.cut or cost > SHORT)):
                continue
            if cost > left:
                later.append((score, turn, is_hit))
                continue
            added.append(Recalled(turn=turn, score=score, text=f"{day}\n{written.words}"))
            days.add(day)
            left -= cost
        return added, later

    def _record(self, turn: Turn) -> _Written:
        """The turn's record: the user's words whole, unless they alone are over half of the budget; the reply cut."""
        if turn.key not in self.records:
            self.records[turn.key] = self._known(turn) or self._write(turn)
        return self.records[turn.key]

    def _known(self, turn: Turn) -> _Written | None:
        """What was written of this turn for an earlier question: whole, it is the same for every question."""
        return _written_before.get(self._at(turn))

    def _at(self, turn: Turn) -> _Place:
        return turn.key, turn.at, self.zone, self.max_tokens, self.count

    def _write(self, turn: Turn) -> _Written:
        left: list[bool] = []
        text = quotation(
            turn,
            zone=self.zone,
            cut=lambda words: self._cut(words, self._reply, left),
            cut_user=lambda words: self._cut(words, self.max_tokens // 2, left),
        )
        day, _, words = text.partition("\n")
        written = _Written(day, words, _tokens(self.count, words), cut=any(left))
        if not written.cut:
            with _guard:
                _written_before[self._at(turn)] = written
                while len(_written_before) > _REMEMBERED:
                    _written_before.pop(next(iter(_written_before)))
        return written

    def _cut(self, words: str, room: int, left: list[bool]) -> str:
        """The words within `room` tokens, about; `left` is told whether any were left out."""
        if len(words) <= room:  # a token is a character at least, nearly always
            return words
        tokens = _tokens(self.count, words)
        left.append(tokens > room)
        return words if tokens <= room else extract(words, query_words(said(self.question)), room / tokens)

    @cached_property
    def _reply(self) -> int:
        """Tokens up to which a reply stands whole."""
        return max(REPLY, self.max_tokens // REPLY_SHARE)


def _tokens(count: Counter, text: str) -> int:
    """Tokens of a text in the middle of a message."""
    return count(HumanMessage(f"\n\n{text}")) - _line_break(count)


@lru_cache(maxsize=64)
def _line_break(count: Counter) -> int:
    return count(HumanMessage("\n"))


@lru_cache(maxsize=1_024)
def _heading_tokens(count: Counter, day: str) -> int:
    return _tokens(count, f"{day}\n") - _tokens(count, "")


@lru_cache(maxsize=64)
def _frame_tokens(count: Counter, *, chinese: bool) -> int:
    """What stands around records."""
    empty = HumanMessage("")
    return count(beside(empty, [_ONE_TOKEN[chinese]])) - count(empty) - 1


def quotes(chosen: Iterable[Recalled]) -> list[Quote]:
    """Records as the view takes them."""
    return [Quote(key=one.turn.key, text=one.text, at=one.turn.at, position=one.turn.position) for one in chosen]


def shown(one: Hit | Recalled) -> str:
    """How a recalled turn is shown: as it was placed, or whole where a memory names the mere hit."""
    return one.text if isinstance(one, Recalled) else quotation(one.turn)


def in_order(
    hits: Sequence[Hit], order: Sequence[tuple[int, float]], first: Sequence[tuple[float, float]]
) -> list[Hit]:
    """Hits as a reranker put them, before all neighbours; those of the periods in `first` come first.

    What it left out does not come along as a neighbour either.
    """
    scores = [score for _, score in order]
    least, span = min(scores, default=0.0), (max(scores, default=0.0) - min(scores, default=0.0)) or 1.0
    gone = {hit.turn.key for hit in hits} - {hits[number].turn.key for number, _ in order}
    ranked = []
    for number, score in order:
        hit = hits[number]
        named = any(start <= hit.turn.at < end for start, end in first)
        before, after = (turn if turn and turn.key not in gone else None for turn in (hit.before, hit.after))
        worth = named + _RANKED + (1 - _RANKED) * (score - least) / span
        ranked.append(replace(hit, score=worth, before=before, after=after))
    return sorted(ranked, key=lambda hit: -hit.score)


def after_all(hits: Sequence[Hit]) -> list[Hit]:
    """Hits that a reranker was not shown, in their order, after those that it was."""
    most = max((hit.score for hit in hits), default=1.0)
    return [replace(hit, score=_UNSEEN * hit.score / most) for hit in hits]
