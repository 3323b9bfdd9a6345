"""Marks the stable parts of a view for the provider's explicit cache, which reads them at a tenth of the price.

A marked prefix of 1,024 tokens or more is written to the cache once, at a quarter above the plain price, and lives for
five minutes after each use. So marks stand where views agree with the ones that follow:

1. after system text and tools, which outlive every fold;
2. after the summary, which stands until the next fold;
3. after the turn before the newest question: at most one message from where the last call's fourth mark stood;
4. after the newest message, if the next view begins with it too: a question without recalled turns, a tool's result.

A summariser that is the chat's own model is sent the same blocks as far as its prompt repeats the chat's, with the
first two marks and one at the end of what it repeats, where a view had its third mark when that turn was the last but
one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage

from langchain_qwen_memory.counting.templates import UNSENT, sendable_answer
from langchain_qwen_memory.memory.render import framed_summary
from langchain_qwen_memory.memory.turns import Counter

MARK = {"type": "ephemeral"}
"""What a mark is, as the value of `cache_control` in a content block."""
MOST_MARKS = 4
"""Marks that the service takes; of more, the last ones."""
Repeats = Literal["system", "summary", "turns"]
"""How far a summariser's prompt is the chat's own: system text, summary too, or all but the order."""
LEAST_TOKENS = 1_024
"""A shorter prefix is not kept, so a mark there would be one of the four for nothing."""


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a mark may stand: after a block of a message."""

    message: int
    block: int
    tokens: int
    """Of the prompt up to there."""


def marked(
    messages: Sequence[BaseMessage], *, summary: str, quoted: bool, tools: int, count: Counter
) -> list[BaseMessage]:
    """The view with marks; the messages given stay as they are.

    Args:
        messages: The view, system message first if there is one.
        summary: The summary that stands at the end of the system message; empty: none.
        quoted: Whether the newest question carries recalled turns, which the next view shows without them.
        tools: Tokens of the tool schemas, which stand before the first message.
        count: Tokens of a message.

    Returns:
        Messages whose text is what it was. Marks that the user set count among the four and stay.
    """
    newest = max((at for at, message in enumerate(messages) if isinstance(message, HumanMessage)), default=-1)
    last = len(messages) - 1
    steady = not quoted or newest < last  # a tool loop sends the question again as it is
    ends = {_nonempty(messages, newest - 1), _nonempty(messages, last) if steady else -1}
    parted = _head_parted(messages, summary)
    return _with_marks(parted, list(_places(parted, ends, tools=tools, count=count)))


def marked_order(
    messages: Sequence[BaseMessage], *, summary: str, repeats: Repeats, tools: int, count: Counter
) -> list[BaseMessage]:
    """The prompt of a summariser with marks where the chat's views had theirs; the messages given stay as they are.

    Args:
        messages: System message, turns, and the order as the last message.
        summary: The summary that stands at the end of the system message; empty: none.
        repeats: How far the prompt is that of the chat's views; what comes after it is in no cache.
        tools: Tokens of the tool schemas.
        count: Tokens of a message.
    """
    parted = _head_parted(messages, summary)
    ends = {_nonempty(messages, len(messages) - 2)} if repeats == "turns" else set()
    places = list(_places(parted, ends, tools=tools, count=count))
    if repeats == "system" and summary:  # the block of the summary is new
        places = [place for place in places if place.block < len(_blocks(parted[0])) - 1]
    return _with_marks(parted, places)


def _with_marks(messages: list[BaseMessage], places: Sequence[_Place]) -> list[BaseMessage]:
    """The messages with marks at the places most wanted, as many as are free."""
    own = sum(isinstance(block, dict) and "cache_control" in block for one in messages for block in _blocks(one))
    for place in _most_wanted([place for place in places if place.tokens >= LEAST_TOKENS])[: max(0, MOST_MARKS - own)]:
        messages[place.message] = _with_mark(messages[place.message], place.block)
    return messages


def is_marked(messages: Sequence[BaseMessage]) -> bool:
    """Whether there is a mark in the messages."""
    return any(
        isinstance(block, dict) and "cache_control" in block
        for message in messages
        if not isinstance(message.content, str)
        for block in message.content
    )


def _head_parted(messages: Sequence[BaseMessage], summary: str) -> list[BaseMessage]:
    """The messages, with system text and summary as two blocks where they were one text."""
    parted = list(messages)
    head, frame = parted[0] if parted else None, framed_summary(summary) if summary else ""
    if isinstance(head, SystemMessage) and isinstance(head.content, str) and frame and head.content.endswith(frame):
        texts = [head.content.removesuffix(frame).removesuffix("\n\n")]
        texts.append(head.content[len(texts[0]) :])
        blocks: list[Any] = [{"type": "text", "text": text} for text in texts if text]
        parted[0] = head.model_copy(update={"content": blocks})
    return parted


def _places(messages: Sequence[BaseMessage], ends: set[int], *, tools: int, count: Counter) -> Iterator[_Place]:
    """Where marks may stand, first to last: after system text, summary, and the messages of which `ends` are places."""
    tokens = tools
    for at, message in enumerate(messages):
        blocks = _blocks(message)
        if at == 0 and isinstance(message, SystemMessage) and len(blocks) > 1:
            before = count(message.model_copy(update={"content": blocks[:-1]}))
            yield _Place(at, len(blocks) - 2, tokens + before)
        tokens += count(message)
        if (at in ends or isinstance(message, SystemMessage)) and (last_sent := _last_sent(message)) >= 0:
            yield _Place(at, last_sent, tokens)


def _nonempty(messages: Sequence[BaseMessage], at: int) -> int:
    """The place of the last message up to `at` that has something to mark: a bare tool call has not."""
    while at >= 0 and _last_sent(messages[at]) < 0:
        at -= 1
    return at


def _last_sent(message: BaseMessage) -> int:
    """The place of the last block that is sent: of an answer words only, not what it spoke or which tools it called."""
    blocks = list(enumerate(_blocks(message)))
    return next((at for at, block in reversed(blocks) if _is_sent(block, isinstance(message, AIMessage))), -1)


def _is_sent(block: Any, answer: bool) -> bool:
    if isinstance(block, str):
        return bool(block)
    if block.get("type") == "text":
        return bool(block.get("text"))
    return sendable_answer(block) if answer else block.get("type") not in UNSENT


def _most_wanted(places: list[_Place]) -> list[_Place]:
    """The last place first, for it covers all; then the first ones, which outlive what comes after them."""
    return [*places[-1:], *places[:-1]]


def _blocks(message: BaseMessage) -> list[Any]:
    content = message.content
    if isinstance(content, str):
        return [{"type": "text", "text": content}] if content else []
    return content


def _with_mark(message: BaseMessage, at: int) -> BaseMessage:
    blocks = list(_blocks(message))
    block = blocks[at]
    blocks[at] = {**(block if isinstance(block, dict) else {"type": "text", "text": block}), "cache_control": MARK}
    return message.model_copy(update={"content": blocks})
