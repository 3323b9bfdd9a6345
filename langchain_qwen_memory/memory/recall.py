"""Recall memory: archived turns that bear on the newest question, placed beside it."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, replace
from datetime import tzinfo
from typing import Any, ClassVar
from zoneinfo import ZoneInfo

from langchain_core.messages import HumanMessage

from langchain_qwen_memory.archive.base import Hit
from langchain_qwen_memory.archive.finding.dates import Period, date_words, periods
from langchain_qwen_memory.errors import MemoryOptionError
from langchain_qwen_memory.memory.base import Conversation, Flow, Memory, Need, Rerank, Scope, Search, Selection
from langchain_qwen_memory.memory.placing import Placing, after_all, in_order
from langchain_qwen_memory.memory.quoting import quotation
from langchain_qwen_memory.memory.small_talk import is_small_talk
from langchain_qwen_memory.memory.text import is_chinese, said

__all__ = ["RecallMemory", "quotation"]

_SPARE = 3
"""So many times `k` are asked for, since some may not fit into the budget."""
_SMALL = 20
"""Tokens of a small record: so many times less hits than tokens are asked for where `k` sets no limit."""
_LARGE = 120
"""Tokens of a large record, since long replies are cut."""
_TELLING = 4
"""So many live turns tell how long this conversation's turns are."""
_ROOMY = 2
"""Hits that are asked for would take so many times the budget."""
_MOST = 200
"""Hits that are asked for at most."""
_RERANKED = 50
"""Hits that a reranker is shown at most: each costs time and money."""
_BROAD = 100 * 86_400
"""Seconds: a named period that is longer, such as a year, is a word among others and brings nothing first."""


@dataclass(frozen=True, kw_only=True)
class RecallMemory(Memory):
    """Finds archived turns by the newest question and puts them beside it, as quoted records with their day.

    Turns are found by words and, where the archive has embeddings, by meaning. A day or a period that the question
    names ("last Friday", "5月1日") brings its turns first. Turns that stand in the view word for word are not
    repeated; the turns next to a hit come along while they are short; a long reply is cut to the sentences that
    share words with the question. What is placed is within `max_tokens` as the model's own tokenizer counts it,
    frame and headings included. Thanks, greetings and mere agreement ("好的，谢谢", "Sounds good!") recall nothing.

    Example:
        ```python
        RecallMemory(max_tokens=1_500, scope="user", timezone="Asia/Shanghai")    # from all threads of the same user
        ```

    Raises:
        MemoryOptionError: `k` or `max_tokens` is not above 0, `scope` is neither "thread" nor "user", `timezone` is
            unknown, or `reranker` is no document compressor.
    """

    name: ClassVar[str] = "recall"
    needs_archive: ClassVar[bool] = True

    k: int | None = None
    """How many turns at most; None: as many as fit into `max_tokens`."""
    max_tokens: int = 1_000
    """How many tokens they may take together. `docs/recall.md` says what share of the evidence more would bring."""
    scope: Scope = "thread"
    """Where to look: in this thread, or in all threads of the same user (needs a user id)."""
    timezone: str | tzinfo | None = None
    """Whose days "yesterday" and the records' headings mean, as "Asia/Shanghai"; None: the machine's local time."""
    reranker: Any = None
    """A LangChain document compressor that puts what was found in order, such as `QwenReranker()`; None: none."""
    clock: Callable[[], float] = time.time
    """When the question is asked, in unix seconds; another one is for replaying what was said long ago."""

    def __post_init__(self) -> None:
        """Refuse what cannot be."""
        if (self.k is not None and self.k < 1) or self.max_tokens < 1:
            raise MemoryOptionError(
                f"k={self.k}, max_tokens={self.max_tokens}: both must be at least 1, as in RecallMemory(k=6)."
            )
        if self.scope not in ("thread", "user"):
            raise MemoryOptionError(f'scope={self.scope!r} is neither "thread" nor "user".')
        if self.reranker is not None and not hasattr(self.reranker, "compress_documents"):
            raise MemoryOptionError(
                f"reranker={type(self.reranker).__name__} is no LangChain document compressor; "
                "give one, as in RecallMemory(reranker=QwenReranker()), or leave it out."
            )
        _zone(self.timezone)

    @property
    def zone(self) -> tzinfo | None:
        """The time zone, None for the machine's local time."""
        return _zone(self.timezone)

    def select(self, conversation: Conversation, selection: Selection) -> Flow:
        """Search once, before the model is called."""
        question = conversation.question
        if conversation.phase == "after" or question is None or is_small_talk(said(question)):
            return selection
        return (yield from self.find(conversation, question, selection))

    def find(self, conversation: Conversation, question: HumanMessage, selection: Selection) -> Flow:
        """Search for a question, whatever it says: small talk, too, if somebody asks for it."""
        asked, now = said(question), self.clock()
        named = [one for one in periods(asked, now=now, zone=self.zone) if one[1] - one[0] <= _BROAD]
        exclude = [turn.key for turn in conversation.kept(selection.start)]
        found = yield Search(
            query=self._query(asked, now),
            scope=self.scope,
            limit=self._limit(conversation),
            exclude=exclude,
            periods=named,
            neighbours=True,
        )
        if problem := getattr(found, "problem", ""):
            selection = replace(selection, errors=(*selection.errors, f"{self.name}: {problem}"))
        hits: list[Hit] = list(found)
        if self.reranker is not None and hits:
            hits, selection = yield from self._reranked(asked, hits, named, selection)
        placed = self._placing(conversation, question, exclude).place(hits)
        return replace(selection, recalled=(*selection.recalled, *placed))

    def _query(self, asked: str, now: float) -> str:
        """The question with the dates that its words mean, which stand in the turns' own text."""
        return f"{asked}\n{date_words(asked, at=now, zone=self.zone, chinese=is_chinese(asked))}".strip()

    def _limit(self, conversation: Conversation) -> int:
        """How many hits are asked for: each is read whole, so no more than may be placed, and some to choose from."""
        if self.k is not None:
            return min(_MOST, max(_SPARE, self.k * _SPARE))
        known = [min(turn.tokens, _LARGE) for turn in conversation.turns[:-1]]
        usual = sum(known) // len(known) if len(known) >= _TELLING else 0
        return min(_MOST, max(_SPARE, _ROOMY * self.max_tokens // max(usual, _ROOMY * _SMALL)))

    def _placing(self, conversation: Conversation, question: HumanMessage, exclude: Sequence[str]) -> Placing:
        return Placing(
            question=question,
            max_tokens=self.max_tokens,
            k=self.k,
            count=conversation.count,
            zone=self.zone,
            exclude=frozenset(exclude),
        )

    def _reranked(
        self, asked: str, hits: list[Hit], named: Sequence[Period], selection: Selection
    ) -> Generator[Need, Any, tuple[list[Hit], Selection]]:
        """The hits as the reranker puts them; as they were found, and a word in the report, where it fails."""
        shown = hits[:_RERANKED]
        try:
            order = yield Rerank(
                query=asked, texts=[quotation(hit.turn, zone=self.zone) for hit in shown], reranker=self.reranker
            )
        except Exception as error:  # noqa: BLE001 - found turns without an order are better than none
            return hits, replace(selection, errors=(*selection.errors, f"{self.name}: {type(error).__name__}"))
        rest = hits[_RERANKED:] if len(order) == len(shown) else []  # what it leaves out, it means to
        return in_order(shown, order, named) + after_all(rest), selection


def _zone(timezone: str | tzinfo | None) -> tzinfo | None:
    if not isinstance(timezone, str):
        return timezone
    try:
        return ZoneInfo(timezone)
    except (KeyError, ValueError, OSError):
        raise MemoryOptionError(
            f'timezone={timezone!r} is unknown here; write a name such as "Asia/Shanghai" or a tzinfo '
            '(on Windows: pip install "tzdata").'
        ) from None
