"""One turn as events for the screen, and what becomes of a turn that was stopped or failed."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

if TYPE_CHECKING:
    from langchain_qwen_memory.state import Report
    from langchain_qwen_memory.terminal.bot import Bot


@dataclass(frozen=True, slots=True)
class Thinking:
    """A piece of the model's thinking."""

    text: str


@dataclass(frozen=True, slots=True)
class Answer:
    """A piece of the answer."""

    text: str


@dataclass(frozen=True, slots=True)
class Ended:
    """The answer is complete; what follows is bookkeeping."""


@dataclass(frozen=True, slots=True)
class Reported:
    """What memory did."""

    report: Report


Event: TypeAlias = Thinking | Answer | Ended | Reported
Fate: TypeAlias = Literal["finished", "kept", "withdrawn"]
"""Of a turn that did not come to its end: its answer was there and was remembered; a part of the answer was shown
and both stay in the thread; nothing was shown and the question does not stay."""


async def answer(bot: Bot, question: str | None) -> AsyncIterator[Event]:
    """Ask, and yield what comes.

    Args:
        bot: The open thread.
        question: None answers the question that stands unanswered in the thread.
    """
    given = None if question is None else {"messages": [("user", question)]}
    stream = bot.graph.astream(
        given, bot.config, context=bot.context, stream_mode=["messages", "custom"], durability="sync"
    )
    async for mode, payload in stream:
        if mode == "custom":
            if "memory_report" in payload:
                yield Reported(payload["memory_report"])
            continue
        chunk, about = payload
        if about.get("langgraph_node") == "model":
            for event in _pieces(chunk):
                yield event


def _pieces(chunk: Any) -> list[Event]:
    from langchain_core.messages import AIMessage

    if not isinstance(chunk, AIMessage):
        return []
    events: list[Event] = []
    if thought := chunk.additional_kwargs.get("reasoning_content"):
        events.append(Thinking(thought))
    if text := str(chunk.text):
        events.append(Answer(text))
    if chunk.response_metadata.get("finish_reason"):
        events.append(Ended())
    return events


async def unanswered(bot: Bot) -> str | None:
    """The question that stands in the thread without an answer because a program died; None if there is none.

    A turn whose answer is there, but was not remembered, is finished on the way.
    """
    state = await bot.graph.aget_state(bot.config)
    if not state.next:
        return None
    question = _open_question(state)
    if question is not None:
        from langchain_qwen_memory.terminal.bot import words

        return words(question)
    await _forward(bot, state)
    return None


async def settle(bot: Bot, shown: str) -> Fate:
    """Put a turn in order that was stopped or failed, so that the thread is whole and the next turn works.

    Args:
        bot: The open thread.
        shown: The part of the answer that the person has read.
    """
    from langchain_core.messages import AIMessage, RemoveMessage

    state = await bot.graph.aget_state(bot.config)
    question = _open_question(state)
    if question is None:
        had_begun = bool(state.next) and "__start__" not in state.next
        await _forward(bot, state)
        return "finished" if had_begun or shown else "withdrawn"
    if not shown.strip():
        gone = [RemoveMessage(id=question.id)]
        await bot.graph.aupdate_state(bot.config, {"messages": gone}, as_node="remember")
        return "withdrawn"
    part = AIMessage(shown, response_metadata={"finish_reason": "interrupted"})
    await bot.graph.aupdate_state(bot.config, {"messages": [part]}, as_node="model")
    await bot.graph.ainvoke(None, bot.config, context=bot.context, durability="sync")
    return "kept"


def _open_question(state: Any) -> Any:
    """The newest message if it is a question that a run was to answer."""
    from langchain_core.messages import HumanMessage

    messages = state.values.get("messages") or []
    waits = bool(state.next) and "__start__" not in state.next and not any(task.result for task in state.tasks)
    return messages[-1] if waits and messages and isinstance(messages[-1], HumanMessage) else None


async def _forward(bot: Bot, state: Any) -> None:
    """Run what is left of a turn whose answer is there; drop a run that had not begun."""
    from langgraph.graph import END

    if "__start__" in state.next:
        await bot.graph.aupdate_state(bot.config, None, as_node=END)
    elif state.next:
        await bot.graph.ainvoke(None, bot.config, context=bot.context, durability="sync")
