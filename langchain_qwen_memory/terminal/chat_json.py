"""The chat for programs: questions in, a line each, and events out as JSON Lines."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from langchain_qwen_memory.terminal.loop import LoopThread
from langchain_qwen_memory.terminal.options import ChatOptions
from langchain_qwen_memory.terminal.output import to_json, write
from langchain_qwen_memory.terminal.reports import row
from langchain_qwen_memory.terminal.say import Say
from langchain_qwen_memory.terminal.turn import Answer, Ended, Event, Reported, Thinking

if TYPE_CHECKING:
    from langchain_qwen_memory.terminal.bot import Bot


def chat_json(options: ChatOptions, say: Say) -> int:
    """Answer each line of standard input.

    Events: `question`, `thinking`, `answer` (pieces, as they come), `end` (the answer is whole), `report` (what memory
    did), `error`.

    Args:
        options: Checked ones.
        say: The language of errors.

    Returns:
        The exit code: 1 if a question could not be answered.
    """
    from langchain_qwen_memory.terminal.adopting import adopt
    from langchain_qwen_memory.terminal.bot import open_bot

    failed = False
    with LoopThread() as loop:
        bot = loop.run(open_bot(options, say))
        try:
            loop.run(adopt(bot))
            for question in _questions(loop, bot):
                failed |= not _answered(loop, bot, question)
        finally:
            loop.run(bot.close())
    return 1 if failed else 0


def _questions(loop: LoopThread, bot: Bot) -> Iterator[str | None]:
    """The question that a program that died left open, as None; then what comes in."""
    from langchain_qwen_memory.terminal.turn import unanswered

    left = loop.run(unanswered(bot))
    if left is not None:
        _event("question", text=left)
        yield None
    for line in sys.stdin:
        if text := line.strip():
            _event("question", text=text)
            yield text


def _answered(loop: LoopThread, bot: Bot, question: str | None) -> bool:
    from langchain_qwen_memory.terminal.turn import answer, settle

    shown = ""
    try:
        for event in loop.stream(answer(bot, question)):
            shown += event.text if isinstance(event, Answer) else ""
            _told(event, question)
    except Exception as error:  # noqa: BLE001 - whatever a turn failed at, the thread goes on
        fate = loop.run(settle(bot, shown))
        _event("error", kind=type(error).__name__, text=str(error), fate=fate)
        return False
    return True


def _told(event: Event, question: str | None) -> None:
    from langchain_core.messages import HumanMessage

    from langchain_qwen_memory.tokens import count_message

    if isinstance(event, Thinking | Answer):
        _event("thinking" if isinstance(event, Thinking) else "answer", text=event.text)
    elif isinstance(event, Reported):
        _event("report", **row(event.report, count_message(HumanMessage(question)) if question else 0))
    elif isinstance(event, Ended):
        _event("end")


def _event(name: str, **values: Any) -> None:
    write(to_json({"event": name, **values}))
