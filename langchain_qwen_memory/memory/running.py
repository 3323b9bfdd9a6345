"""The running summary: what a summary memory keeps in the record from one call to the next."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from langchain_qwen_memory.memory.base import Conversation
from langchain_qwen_memory.memory.ledger import with_ledger
from langchain_qwen_memory.memory.summary_text import summary_cost
from langchain_qwen_memory.memory.text import is_chinese
from langchain_qwen_memory.memory.turns import Counter, LiveTurn

_LONGEST_WAIT = 16
"""Turns: a summariser that is down is tried again after 1, 2, 4, 8 and then each 16 turns."""
_GROWN = 1.25
"""A fold that would not have shrunk the view is tried again when the history has grown by a quarter."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Running:
    """A summary, the facts beside it, and where the turns begin that are not in it."""

    start: int
    """Position of the first turn that is not folded: the window's edge."""
    text: str = ""
    """The summary."""
    ledger: tuple[str, ...] = ()
    """Facts that it leaves out."""
    key: str = ""
    """Key of the note that holds it; the next note's key is made from it."""
    head: str = ""
    """Key of the newest turn in it."""
    tokens: int = 0
    """What it costs in the view."""
    kept: int = 0
    """Facts that summary and ledger hold."""
    lost: int = 0
    """Facts that neither holds, since the thread began."""
    wait: Mapping[str, Any] = field(default_factory=dict)
    """After a fold that failed: `turn` and `times`; after one that did not shrink the view: `tokens` to grow to."""

    @classmethod
    def read(cls, conversation: Conversation, name: str) -> Running:
        """What stands in the record; nothing, if it sums up turns that are no longer this thread's (an edit)."""
        slot = conversation.slot(name)
        first = conversation.first
        if not slot:
            return cls(start=first)
        start, head = int(slot.get("start", first)), str(slot.get("head", ""))
        if _parted(conversation, start, head):
            return cls(start=first)
        return cls(
            start=max(start, first),
            text=str(slot.get("text", "")),
            ledger=tuple(slot.get("ledger", ())),
            key=str(slot.get("key", "")),
            head=head,
            tokens=int(slot.get("tokens", 0)),
            kept=int(slot.get("kept", 0)),
            lost=int(slot.get("lost", 0)),
            wait=dict(slot.get("wait", {})),
        )

    def slot(self) -> dict[str, Any]:
        """For the record: plain JSON, without what is empty."""
        values = {
            "text": self.text,
            "ledger": list(self.ledger),
            "key": self.key,
            "head": self.head,
            "tokens": self.tokens,
            "kept": self.kept,
            "lost": self.lost,
            "wait": dict(self.wait),
        }
        return {"start": self.start, **{name: value for name, value in values.items() if value}}

    @property
    def view(self) -> str:
        """The summary as the view shows it."""
        chinese = is_chinese(self.text or " ".join(self.ledger))
        return with_ledger(self.text, self.ledger, chinese=chinese)

    def grown(self, note: Mapping[str, Any], turns: tuple[LiveTurn, ...], *, key: str, count: Counter) -> Running:
        """The summary after a fold of `turns`, whose note stands under `key`."""
        lost = int(note.get("lost", 0))
        bare = Running(start=turns[-1].position + 1, text=note["text"], ledger=tuple(note.get("ledger", ())))
        return replace(
            bare,
            key=key,
            head=turns[-1].key,
            tokens=summary_cost(bare.view, count),
            kept=int(note.get("facts", 0)) - lost,
            lost=self.lost + lost,
        )

    def failed(self, turn: int) -> Running:
        """The same, with the next try put off: longer each time."""
        return replace(self, wait={**self.wait, "turn": turn, "times": int(self.wait.get("times", 0)) + 1})

    def refused(self, history: int) -> Running:
        """The same, with the next try put off until the history has grown."""
        return replace(self, wait={"tokens": int(history * _GROWN) + 1})

    def ready(self, turn: int) -> bool:
        """Whether a failed fold may be tried again at the turn in this position."""
        times = int(self.wait.get("times", 0))
        return not times or turn >= int(self.wait.get("turn", 0)) + min(2 ** (times - 1), _LONGEST_WAIT)

    @property
    def least(self) -> int:
        """Tokens of history below which no fold is tried."""
        return int(self.wait.get("tokens", 0))


def _parted(conversation: Conversation, start: int, head: str) -> bool:
    """Whether the live turns show that the newest folded turn is not the one before the edge."""
    if not head or not conversation.turns:
        return False
    at = start - conversation.first
    if 0 <= at < len(conversation.turns):
        return conversation.turns[at].parent != head
    return at > len(conversation.turns) or (at > 0 and conversation.turns[at - 1].key != head)
