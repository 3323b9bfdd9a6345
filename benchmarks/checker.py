"""Reads each prompt as the provider would: is it valid, how much of it is in the cache, what does it cost."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from conversations import Planned, numbers_in
from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage, ToolMessage
from scripted import Summariser

from langchain_qwen_memory.counting.vocabulary import encoding

HIT = 0.2
"""Price of a cached prompt token: Model Studio's implicit cache."""
OUT = 3.0
"""Price of a written token."""
LITERAL_FROM = 60
"""Turns before this one do not count for "word for word": there was nothing to leave out."""
_THINKS = re.compile(r"</?think", re.IGNORECASE)
_OWN_WORDS = 24
"""Characters in which a question's number stands."""

_PIECES = 50_000
"""Messages held at most."""

_tokens: dict[str, int] = {}
_pieces: dict[int, tuple[BaseMessage, str]] = {}


def piece(message: BaseMessage) -> str:
    """A message as Qwen's template writes it; an object that is met again is not written again."""
    known = _pieces.get(id(message))
    if known is not None and known[0] is message:
        return known[1]
    if len(_pieces) > _PIECES:
        _pieces.clear()
    written = _written(message)
    _pieces[id(message)] = (message, written)
    return written


def _written(message: BaseMessage) -> str:
    content = message.content
    if not isinstance(content, str):
        content = json.dumps(content, ensure_ascii=False)
    if isinstance(message, AIMessage):
        content += "".join(map(_call, message.tool_calls))
    role = {"human": "user", "ai": "assistant"}.get(message.type, message.type)
    return f"<|im_start|>{role}\n{content}<|im_end|>\n"


def _call(call: Any) -> str:
    written = json.dumps({"name": call["name"], "arguments": call["args"]}, ensure_ascii=False)
    return f"\n<tool_call>\n{written}\n</tool_call>"


def encoded(text: str) -> list[int]:
    """The tokens of a text."""
    return encoding("qwen-151k").encode(text, allowed_special="all", disallowed_special=())


def size(text: str) -> int:
    """Number of tokens of a piece; each text is tokenised once."""
    known = _tokens.get(text)
    if known is None:
        known = _tokens[text] = len(encoded(text))
    return known


def size_of(messages: Sequence[BaseMessage]) -> int:
    """Tokens of messages: for peers that take a counter."""
    return sum(size(piece(message)) for message in messages)


def common(old: Sequence[str], new: Sequence[str]) -> int:
    """Tokens with which both prompts begin."""
    total = 0
    for one, other in zip(old, new, strict=False):
        if one != other:
            pairs = zip(encoded(one), encoded(other), strict=False)
            return total + next((at for at, (a, b) in enumerate(pairs) if a != b), 0)
        total += size(one)
    return total


@dataclass
class Checker:
    """What the prompts of one thread amount to."""

    limit: int
    """Tokens that a prompt may have."""
    oracle: Summariser = field(default_factory=Summariser)
    """Knows what its summaries stand for."""
    mine: bool = False
    """Also look for thinking left on earlier messages, which some chat models would drop by themselves."""
    turn: Planned | None = None
    """The turn that is being played."""
    calls: int = 0
    prompt: int = 0
    """Tokens of all prompts."""
    most: int = 0
    """Tokens of the largest one."""
    kept: int = 0
    """Tokens with which a prompt began like the one before it."""
    uncached: float = 0.0
    """Tokens of chat prompts that no earlier prompt began with."""
    folds: int = 0
    fold_prompt: int = 0
    fold_uncached: int = 0
    fold_written: int = 0
    literal: int | None = None
    """Fewest whole turns before the newest question that stood in a prompt word for word."""
    invalid: Counter[str] = field(default_factory=Counter)
    """Prompts that break a rule, by rule; `"any"`: prompts that break one or more."""
    asked: int = 0
    """Questions about a fact stated long before."""
    known: int = 0
    """Of these, such where the fact stood in the prompt."""
    shares: list[float] = field(default_factory=list)
    """Per turn: share of the last turn's last prompt with which this turn's last prompt began."""
    _chat: list[str] = field(default_factory=list)
    _fold: list[str] = field(default_factory=list)
    _turn_before: list[str] = field(default_factory=list)
    _last: Sequence[BaseMessage] = ()

    def begin(self, turn: Planned) -> None:
        """A new turn is going to be played."""
        if self.turn is not None:
            whole = sum(map(size, self._turn_before))
            if whole:
                self.shares.append(common(self._turn_before, self._chat) / whole)
            self._turn_before = self._chat
        self.turn = turn

    def chat(self, messages: Sequence[BaseMessage]) -> None:
        """A prompt of the chat."""
        pieces = [piece(message) for message in messages]
        tokens = sum(map(size, pieces))
        kept = common(self._chat, pieces)
        self.calls += 1
        self.prompt += tokens
        self.most = max(self.most, tokens)
        self.kept += kept
        self.uncached += tokens - max(kept, common(self._fold, pieces))
        self._chat = pieces
        broken = set(self._broken(messages, tokens))
        self.invalid.update([*broken, *(["any"] if broken else [])])
        self._look(messages)

    def summary(self, messages: Sequence[BaseMessage]) -> str:
        """A prompt of the summariser; its answer."""
        pieces = [piece(message) for message in messages]
        tokens = sum(map(size, pieces))
        self.folds += 1
        self.fold_prompt += tokens
        self.fold_uncached += tokens - max(common(self._chat, pieces), common(self._fold, pieces))
        self._fold = pieces
        answer = self.oracle(messages)
        self.fold_written += size(answer)
        return answer

    @property
    def effective(self) -> float:
        """Effective tokens of a call, its share of the summaries included."""
        chat = self.uncached + HIT * (self.prompt - self.uncached)
        folds = self.fold_uncached + HIT * (self.fold_prompt - self.fold_uncached) + OUT * self.fold_written
        return (chat + folds) / max(1, self.calls)

    @property
    def prefix(self) -> float:
        """Share of all prompt tokens that the prompt before began with."""
        return self.kept / max(1, self.prompt)

    @property
    def reachable(self) -> float:
        """Share of all turns so far that the last prompt held, word for word or through its summary."""
        text = "\n".join(str(message.content) for message in self._last)
        return len(self.oracle.reached(text)) / (self.turn.number + 1) if self.turn else 0.0

    def _look(self, messages: Sequence[BaseMessage]) -> None:
        """Which earlier turns reach the model."""
        turn = self.turn
        if turn is None:
            return
        if turn.asks and isinstance(messages[-1], HumanMessage):
            self.asked += 1
            self.known += any(turn.asks in str(message.content) for message in messages)
        if turn.number >= LITERAL_FROM:
            there = {
                number
                for message in messages
                if isinstance(message, HumanMessage)
                for number in numbers_in(str(message.content)[:_OWN_WORDS])
            }
            whole = next(back for back in range(turn.number + 1) if turn.number - 1 - back not in there)
            self.literal = whole if self.literal is None else min(self.literal, whole)
        self._last = messages

    def _broken(self, messages: Sequence[BaseMessage], tokens: int) -> Any:
        """The rules that a prompt breaks."""
        if tokens > self.limit:
            yield "over the limit"
        if not isinstance(messages[0], SystemMessage):
            yield "system not first"
        if sum(isinstance(message, SystemMessage) for message in messages) > 1:
            yield "several system messages"
        if len(messages) > 1 and isinstance(messages[0], SystemMessage) and not isinstance(messages[1], HumanMessage):
            yield "does not begin with a question"
        if not _paired(messages):
            yield "tool call without its result"
        yield from self._question(messages)
        if self.mine and any(map(_thinks, messages[: _newest(messages)])):
            yield "thinking of an earlier turn"

    def _question(self, messages: Sequence[BaseMessage]) -> Any:
        assert self.turn is not None
        asked = next((message for message in reversed(messages) if isinstance(message, HumanMessage)), None)
        if asked is None or not str(asked.content).endswith(self.turn.question):
            yield "newest question lost"
        if not isinstance(messages[-1], HumanMessage | ToolMessage):
            yield "newest question not last"


def _newest(messages: Sequence[BaseMessage]) -> int:
    return max((at for at, message in enumerate(messages) if isinstance(message, HumanMessage)), default=0)


def _paired(messages: Sequence[BaseMessage]) -> bool:
    waiting: set[str | None] = set()
    for message in messages:
        if isinstance(message, ToolMessage):
            if message.tool_call_id not in waiting:
                return False
            waiting.discard(message.tool_call_id)
        elif waiting:
            return False
        elif isinstance(message, AIMessage):
            waiting = {call["id"] for call in message.tool_calls}
    return not waiting


def _thinks(message: BaseMessage) -> bool:
    if not isinstance(message, AIMessage):
        return False
    if isinstance(message.content, list):
        return any(isinstance(part, dict) and "reason" in str(part.get("type")) for part in message.content)
    return bool(_THINKS.search(message.content)) or "reasoning_content" in message.additional_kwargs
