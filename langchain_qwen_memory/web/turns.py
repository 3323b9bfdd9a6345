"""Turns that are being answered: each in a task of its own, so that a page may be closed, opened again, or stop it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal, TypeAlias

if TYPE_CHECKING:
    from langchain_qwen_memory.terminal.bot import Bot

Phase: TypeAlias = Literal["queued", "waiting", "thinking", "answering", "remembering", "done"]
Content: TypeAlias = str | list[Any]
"""What a message says: a text, or blocks with pictures."""
Holding: TypeAlias = Callable[["Bot"], AbstractAsyncContextManager[Any]]

_KEPT = 100
"""Ended turns that are kept in mind."""
_LOOK = 0.08
"""Seconds between two looks at a turn: so often a page is drawn anew."""


@dataclass(kw_only=True)
class Running:
    """A turn under way, as far as it has come."""

    number: int
    """Told apart by it."""
    thread: str
    """Of which thread."""
    content: Content | None
    """The question; None: the one that stands unanswered in the thread."""
    phase: Phase = "queued"
    position: int = -1
    """The turn's place in the thread, from 0; -1 while it waits for the thread."""
    thinking: str = ""
    answer: str = ""
    thought_for: float | None = None
    """Seconds of thinking, once it is over."""
    fate: str = ""
    """What became of a turn that was stopped or failed."""
    error: str = ""
    """Why it failed."""
    task: asyncio.Task[None] | None = field(default=None, repr=False)
    _began: float = field(default_factory=time.monotonic, repr=False)

    @property
    def done(self) -> bool:
        """Whether nothing more will come."""
        return self.phase == "done"

    def think(self, piece: str) -> None:
        """Take a piece of thinking in."""
        if not self.thinking:
            self._began = time.monotonic()
        self.thinking, self.phase = self.thinking + piece, "thinking"

    def say(self, piece: str) -> None:
        """Take a piece of the answer in."""
        if self.thinking and self.thought_for is None:
            self.thought_for = round(time.monotonic() - self._began, 1)
        self.answer, self.phase = self.answer + piece, "answering"

    async def looks(self) -> AsyncIterator[Running]:
        """The turn, again and again while it changes, for the last time when it is done."""
        shown: tuple[Any, ...] = ()
        while not self.done:
            now = (self.phase, len(self.thinking), len(self.answer))
            if now != shown:
                shown = now
                yield self
            await asyncio.sleep(_LOOK)
        yield self


class Turns:
    """Starts, finds and stops turns. A thread's second question waits until the first is answered."""

    def __init__(self, held: Holding) -> None:
        self._held = held
        self._running: dict[int, Running] = {}
        self._ended: dict[int, Running] = {}
        self._last = 0

    def start(self, bot: Bot, content: Content | None) -> Running:
        """Begin to answer."""
        self._last += 1
        thread = str(bot.config["configurable"]["thread_id"])
        running = Running(number=self._last, thread=thread, content=content)
        self._running[running.number] = running
        running.task = asyncio.get_running_loop().create_task(self._work(bot, running))
        return running

    def of(self, thread: str) -> Running | None:
        """The thread's turn under way, the one that was asked first."""
        return next((one for one in self._running.values() if one.thread == thread), None)

    def numbered(self, number: int) -> Running | None:
        """A turn under way, or one that ended lately: it may be over before its page has looked at it."""
        return self._running.get(number) or self._ended.get(number)

    def stop(self, number: int) -> None:
        """Stop a turn, if it is still under way; asking again does not hurry what is being put in order."""
        running = self._running.get(number)
        if running is not None and running.task is not None and not running.fate:
            running.fate = "open"
            running.task.cancel()

    async def close(self) -> None:
        """Stop all and wait until they are in order."""
        tasks = [running.task for running in self._running.values() if running.task]
        for number in list(self._running):
            self.stop(number)
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _work(self, bot: Bot, running: Running) -> None:
        try:
            async with self._held(bot):
                running.phase = "waiting"
                await _answer(bot, running)
        except asyncio.CancelledError:  # while it waited for the thread: nothing was asked yet
            running.fate = "withdrawn"
        except Exception as error:  # noqa: BLE001 - the page shows it
            running.error = running.error or _text(error)
        finally:
            running.phase = "done"
            self._ended[running.number] = self._running.pop(running.number)
            while len(self._ended) > _KEPT:
                del self._ended[next(iter(self._ended))]


async def _answer(bot: Bot, running: Running) -> None:
    from langchain_qwen_memory.terminal.turn import settle, unanswered

    try:
        if running.content is not None and (await bot.thread()).turns:
            await unanswered(bot)  # finishes a turn that was answered and not remembered
        running.position = await _position(bot, running)
        async for mode, payload in _stream(bot, running.content):
            _take(running, mode, payload)
    except (asyncio.CancelledError, Exception) as error:  # noqa: BLE001 - whatever it failed at, the thread goes on
        if isinstance(error, Exception):
            running.error = _text(error)
        running.phase, running.fate = "remembering", "open"
        running.fate = await settle(bot, running.answer)
        await _drop_rest(bot)


async def _drop_rest(bot: Bot) -> None:
    """Let nothing wait to be run where no turn is left: of a thread whose first question was taken back."""
    from langgraph.graph import END

    state = await bot.graph.aget_state(bot.config)
    if state.next and not state.values.get("messages"):
        await bot.graph.aupdate_state(bot.config, None, as_node=END)


async def _position(bot: Bot, running: Running) -> int:
    thread = await bot.thread()
    turns = thread.record.get("position", 0) + len(thread.turns)
    return turns if running.content is not None else max(0, turns - 1)


def _stream(bot: Bot, content: Content | None) -> AsyncIterator[Any]:
    given = None if content is None else {"messages": [{"role": "user", "content": content}]}
    stream: AsyncIterator[Any] = bot.graph.astream(
        given, bot.config, context=bot.context, stream_mode=["messages", "custom"], durability="sync"
    )
    return stream


def _take(running: Running, mode: str, payload: Any) -> None:
    from langchain_core.messages import AIMessage

    if mode == "custom":
        return
    chunk, about = payload
    if about.get("langgraph_node") != "model" or not isinstance(chunk, AIMessage):
        return
    if thought := chunk.additional_kwargs.get("reasoning_content"):
        running.think(thought)
    if text := str(chunk.text):
        running.say(text)
    if chunk.response_metadata.get("finish_reason"):
        running.phase = "remembering"


def _text(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
