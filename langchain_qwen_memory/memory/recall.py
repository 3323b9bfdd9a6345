"""Recall memory: archived turns that bear on the newest question, placed beside it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

from langchain_core.messages import AIMessage, BaseMessage, HumanMessage

from langchain_qwen_memory.archive.base import Hit, Turn
from langchain_qwen_memory.errors import MemoryOptionError
from langchain_qwen_memory.memory.base import Conversation, Flow, Memory, Scope, Search, Selection
from langchain_qwen_memory.memory.text import day_and_time, is_chinese, said

_SPARE = 2
"""So many times `k` are asked for, since some may not fit into the budget."""


@dataclass(frozen=True, kw_only=True)
class RecallMemory(Memory):
    """Finds archived turns by the newest question and puts them beside it, as quoted records with their date.

    Turns that stand in the view word for word are not repeated. What is placed is within `max_tokens`.

    Example:
        ```python
        RecallMemory(k=6, max_tokens=1_500, scope="user")    # from all threads of the same user
        ```

    Raises:
        MemoryOptionError: `k` or `max_tokens` is not above 0, or `scope` is neither "thread" nor "user".
    """

    name: ClassVar[str] = "recall"
    needs_archive: ClassVar[bool] = True

    k: int = 6
    """How many turns at most."""
    max_tokens: int = 1_500
    """How many tokens they may take together."""
    scope: Scope = "thread"
    """Where to look: in this thread, or in all threads of the same user (needs a user id)."""

    def __post_init__(self) -> None:
        """Refuse what cannot be."""
        if self.k < 1 or self.max_tokens < 1:
            raise MemoryOptionError(
                f"k={self.k}, max_tokens={self.max_tokens}: both must be at least 1, as in RecallMemory(k=6)."
            )
        if self.scope not in ("thread", "user"):
            raise MemoryOptionError(f'scope={self.scope!r} is neither "thread" nor "user".')

    def select(self, conversation: Conversation, selection: Selection) -> Flow:
        """Search once, before the model is called."""
        question = conversation.question
        if conversation.phase == "after" or question is None or not said(question).strip():
            return selection
        hits: list[Hit] = yield Search(
            query=said(question),
            scope=self.scope,
            limit=self.k * _SPARE,
            exclude=[turn.key for turn in conversation.kept(selection.start)],
        )
        return replace(selection, recalled=(*selection.recalled, *self._within(conversation, hits)))

    def _within(self, conversation: Conversation, hits: list[Hit]) -> list[Hit]:
        chosen: list[Hit] = []
        left = self.max_tokens
        for hit in hits:
            if len(chosen) == self.k:
                break
            cost = conversation.count(HumanMessage(quotation(hit.turn)))
            if cost <= left:
                chosen.append(hit)
                left -= cost
        return chosen


def quotation(turn: Turn) -> str:
    """A turn as a record: its date, then who said what; tool calls and thinking left out."""
    lines = [f"[{day_and_time(turn.at)}]"]
    for message in turn.messages:
        who = _speaker(message)
        words = said(message).strip()
        if who and words:
            lines.append(f"{who}{words}")
    return "\n".join(lines)


def _speaker(message: BaseMessage) -> str:
    chinese = is_chinese(said(message))
    if isinstance(message, HumanMessage):
        return "用户：" if chinese else "User: "
    if isinstance(message, AIMessage):
        return "助手：" if chinese else "Assistant: "
    return ""
