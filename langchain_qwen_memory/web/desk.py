"""What the page works with: threads of one user, their turns, and what is under way; knows nothing of the page."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from langchain_qwen_memory.web.branches import Branch, branches, go_back, go_over
from langchain_qwen_memory.web.moments import Moment, Moments
from langchain_qwen_memory.web.turns import Content, Running, Turns

if TYPE_CHECKING:
    from langchain_qwen_memory.archive.base import Archive, ArchivedThread, Turn
    from langchain_qwen_memory.steps.model_facts import ModelFacts
    from langchain_qwen_memory.terminal.bot import Bot
    from langchain_qwen_memory.terminal.figures import Figures
    from langchain_qwen_memory.threads import TranscriptTurn

LONGEST_NAME = 100
"""Characters of a thread's name."""
_NAMED = 28
"""Characters of a question that a new thread is named by."""
_MOMENTS = 60
"""Turns that are looked back on."""
_LISTED = 100
"""Threads in the list."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Past:
    """A thread, read for the page."""

    turns: Sequence[TranscriptTurn]
    """Its newest turns, oldest first."""
    moments: Sequence[Moment]
    """What its checkpoints tell of them."""
    branches: Sequence[Branch]
    """Ways that it has left."""


class Desk:
    """One user's threads; the page's handlers call it, many at a time."""

    def __init__(self, bot: Bot) -> None:
        self._bot = bot
        self._moments = Moments()
        self._turns = Turns(self._held)

    @property
    def archive(self) -> Archive:
        """Where finished turns are."""
        assert self._bot.wiring.archive is not None
        return self._bot.wiring.archive

    @property
    def user(self) -> str:
        """Whose threads these are."""
        return self._bot.context.user_id or ""

    @property
    def model(self) -> str:
        """The model's name."""
        return self._bot.wiring.facts.name

    @property
    def facts(self) -> ModelFacts:
        """What memory knows of the model."""
        return self._bot.wiring.facts

    @property
    def sees(self) -> bool:
        """Whether the model takes pictures in."""
        from langchain_qwen_memory.catalogue import model_info

        return "image" in model_info(self.model).inputs

    def at(self, thread: str) -> Bot:
        """The bot with another thread open."""
        return replace(self._bot, config={"configurable": {"thread_id": thread}})

    # -- reading

    async def threads(self) -> list[ArchivedThread]:
        """The threads that were spoken in last."""
        return (await self.archive.athreads(self.user))[:_LISTED]

    async def past(self, thread: str, *, limit: int) -> Past:
        """A thread's newest turns.

        Raises:
            ThreadError: Another user began it.
        """
        from langchain_qwen_memory.threads import atranscript

        bot = self.at(thread)
        turns = await atranscript(bot.graph, bot.config, context=bot.context, limit=limit)
        return Past(turns=turns, moments=await self._moments.of(bot, limit=_MOMENTS), branches=await branches(bot))

    async def check(self, thread: str) -> None:
        """Refuse another user's thread.

        Raises:
            ThreadError: Another user began it.
        """
        if thread:
            await self.at(thread).thread()

    async def recalled(self, thread: str, moment: Moment) -> list[tuple[dict[str, Any], Turn | None]]:
        """What a report says of each recalled turn, and the turn as the archive has it."""
        own = (await self.at(thread).thread()).head
        found = []
        for quote in moment.report["recalled"]:
            place = quote.get("thread", thread)
            head = own if place == thread else None
            page = await self.archive.apage(self.user, place, head=head, before=quote["position"] + 1, limit=1)
            right = [turn for turn in page if turn.position == quote["position"]]
            found.append((quote, right[0] if right else None))
        return found

    async def figures(self, thread: str, past: Past, moment: Moment) -> Figures:
        """The figures of a turn's view."""
        from langchain_qwen_memory.memory.turns import live_turns
        from langchain_qwen_memory.terminal.figures import figures

        read = await self.at(thread).thread()
        position = moment.report["turn"]
        messages = [message for turn in past.turns if turn.position == position for message in turn.messages]
        turns = live_turns(messages, parent=read.owner.root, position=position, count=self.facts.count)
        return figures(moment.report, replace(read, turns=turns), self._bot.wiring)

    async def question(self, thread: str, turn: int) -> Content | None:
        """What was asked in a turn, pictures and all; None if there is no such turn."""
        from langchain_qwen_memory.threads import atranscript

        bot = self.at(thread)
        found = await atranscript(bot.graph, bot.config, context=bot.context, before=turn + 1, limit=1)
        return found[0].messages[0].content if found and found[0].position == turn else None

    async def newest(self, thread: str) -> int:
        """Position of the newest turn; -1 if there is none."""
        read = await self.at(thread).thread()
        return read.turns[-1].position if read.turns else -1

    async def name_for(self, text: str) -> str:
        """A name for a new thread: the beginning of its first question, told apart from those there are."""
        line = " ".join("".join(sign if sign.isprintable() else " " for sign in text).split())
        base = (line if len(line) <= _NAMED else f"{line[: _NAMED - 1]}…") or "main"
        name, number = base, 1
        while await self._taken(name):
            number += 1
            name = f"{base} ({number})"
        return name

    async def _taken(self, name: str) -> bool:
        bot = self.at(name)
        state = await bot.graph.aget_state(bot.config)
        return bool(state.values) or self._turns.of(name) is not None

    # -- turns

    def ask(self, thread: str, content: Content | None) -> Running:
        """Begin a turn; None answers the question that stands unanswered."""
        return self._turns.start(self.at(thread), content)

    def turn(self, number: int) -> Running | None:
        """A turn under way or lately ended, by its number."""
        return self._turns.numbered(number)

    def running(self, thread: str) -> Running | None:
        """The thread's turn under way."""
        return self._turns.of(thread)

    def stop(self, number: int) -> None:
        """Stop a turn."""
        self._turns.stop(number)

    async def left_open(self, thread: str) -> bool:
        """Whether a question stands unanswered because a program died; an answered turn is finished on the way."""
        from langchain_qwen_memory.terminal.turn import unanswered

        bot = self.at(thread)
        async with self._held(bot):
            return bool((await bot.thread()).turns) and await unanswered(bot) is not None

    # -- going back, forgetting

    async def go_back(self, thread: str, turn: int) -> bool:
        """Let the thread stand after an earlier turn; False if its checkpoint is gone."""
        bot = self.at(thread)
        async with self._held(bot):
            return await go_back(bot, self._moments, turn)

    async def go_over(self, thread: str, checkpoint: str) -> None:
        """Let the thread stand where a branch ended."""
        bot = self.at(thread)
        async with self._held(bot):
            await go_over(bot, checkpoint)

    async def forget(self, thread: str) -> int:
        """Remove a thread from checkpoints and archive; gives how many turns it had."""
        from langchain_qwen_memory.threads import aforget

        removed = await aforget(self._bot.graph, user=self.user, thread=thread)
        self._moments.forget(thread)
        return removed

    async def close(self) -> None:
        """Put turns in order that are under way, and let go of the file."""
        await self._turns.close()
        await self._bot.close()

    @asynccontextmanager
    async def _held(self, bot: Bot) -> AsyncIterator[None]:
        """One at a time in a thread: other tabs wait here, as do `run_turn` and other programs on the same archive."""
        from langchain_qwen_memory.steps.locks import aalone

        async with aalone(bot.graph, bot.config, bot.context, bot.wiring.archive):
            yield
