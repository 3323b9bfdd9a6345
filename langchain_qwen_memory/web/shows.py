"""Puts together what the page shows of a thread: chat, panel, lists."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import TYPE_CHECKING, Any

import gradio as gr
from markupsafe import Markup

from langchain_qwen_memory.terminal.show import clean, short
from langchain_qwen_memory.web import drawing, telling
from langchain_qwen_memory.web.chart import money_table, thought, token_table
from langchain_qwen_memory.web.messages import Chat, shown
from langchain_qwen_memory.web.moments import last_change
from langchain_qwen_memory.web.money import cost
from langchain_qwen_memory.web.texts import Words

if TYPE_CHECKING:
    from langchain_qwen_memory.threads import TranscriptTurn
    from langchain_qwen_memory.web.desk import Desk, Past
    from langchain_qwen_memory.web.moments import Moment
    from langchain_qwen_memory.web.page import Parts
    from langchain_qwen_memory.web.turns import Running

Changes = dict[Any, Any]
_LABEL = 34
"""Characters of a name or a question in a list: a new thread's name with the number that tells it from others."""
_SHORT = 24
"""The same, where a line has less room."""


class Shows:
    """Draws threads for every tab."""

    def __init__(self, desk: Desk, words: Words, parts: Parts, *, stand_in: bool) -> None:
        self._desk, self._words, self._parts, self._stand_in = desk, words, parts, stand_in

    # -- a turn under way

    async def growing(self, running: Running, limit: int, note: str) -> AsyncIterator[Changes]:
        """The chat while a turn is answered; the box has a stop button."""
        parts, known = self._parts, -2
        turns: Sequence[TranscriptTurn] = ()
        changes: Changes = {
            parts.box: self.busy_box(),
            parts.run: running.number,
            parts.head: self._head(running.thread),
        }
        changes[parts.thread] = running.thread
        async for now in running.looks():
            if now.position != known:
                known = now.position
                turns = await self._finished_turns(running, limit)
            chat = self._chat(turns).add_running(now, now.position)
            changes[parts.chat], changes[parts.positions] = chat.messages, chat.positions
            changes[parts.status] = self._status(note or self._phase(now))
            yield changes
            changes = {}

    async def _finished_turns(self, running: Running, limit: int) -> Sequence[TranscriptTurn]:
        past = await self._desk.past(running.thread, limit=limit)
        return [turn for turn in past.turns if running.position < 0 or turn.position < running.position]

    def _phase(self, running: Running) -> str:
        return self._words(running.phase) if running.phase in ("queued", "waiting", "remembering") else ""

    # -- a thread at rest

    async def whole(self, thread: str, limit: int, ran: Running | None, note: str) -> Changes:
        """Everything, after a turn or when a thread is opened.

        Args:
            thread: Its name; empty for one that has not begun.
            limit: Turns to show.
            ran: The turn that was followed until now.
            note: What was said of it.
        """
        parts = self._parts
        box, note = self._afterwards(ran, note)
        common = {parts.box: box, parts.run: 0, parts.status: self._status(note), parts.head: self._head(thread)}
        if not thread:
            return {**common, **self._empty(), **await self._lists("", None)}
        past = await self._desk.past(thread, limit=limit)
        chat = self._chat(past.turns)
        return {
            **common,
            parts.chat: chat.messages,
            parts.positions: chat.positions,
            parts.earlier: gr.Button(visible=bool(past.turns) and past.turns[0].position > 0),
            **await self._lists(thread, past),
            **await self._panel(thread, past, None),
        }

    async def one(self, thread: str, turn: int, limit: int) -> Changes:
        """The panel for one turn."""
        return await self._panel(thread, await self._desk.past(thread, limit=limit), turn) or gr.skip()

    async def confirming(self, thread: str) -> Changes:
        """The question whether a thread is to be forgotten."""
        turns = await self._desk.archive.acount(self._desk.user, thread)
        told = self._words("forget_ask", thread=_plain_markdown(thread), turns=self._words.turns(turns))
        return {self._parts.confirm: gr.Group(visible=True), self._parts.question: told}

    def busy_box(self) -> gr.MultimodalTextbox:
        """Empty, with a stop button."""
        return gr.MultimodalTextbox(value={"text": "", "files": []}, submit_btn=False, stop_btn=True)

    def free_box(self, content: Any = None) -> gr.MultimodalTextbox:
        """With a send button; `content` goes back into it."""
        box: dict[str, Any] = {"submit_btn": True, "stop_btn": False, "interactive": True}
        if content is not None:
            text = content if isinstance(content, str) else "\n".join(b["text"] for b in content if "text" in b)
            box["value"] = {"text": text, "files": []}
        return gr.MultimodalTextbox(**box)

    # -- parts of it

    def _chat(self, turns: Sequence[TranscriptTurn]) -> Chat:
        return Chat(self._words, self._parts.chat.GRADIO_CACHE).add_turns(turns)

    def _afterwards(self, ran: Running | None, note: str) -> tuple[gr.MultimodalTextbox, str]:
        if ran is None or not (ran.fate or ran.error):
            return self.free_box(), "" if ran is None or not ran.error else note
        told = [self._words("failed", error=ran.error)] if ran.error else []
        if ran.fate:
            told.append(self._words(f"settled_{ran.fate}"))
        return self.free_box(ran.content if ran.fate == "withdrawn" else None), " ".join(told)

    def _status(self, text: str) -> str:
        return Markup('<p role="status">{}</p>').format(text)

    def _head(self, thread: str) -> str:
        name = clean(thread) or self._words("new_thread")
        note = (
            Markup('<small role="note" class="qm-warn">{}</small>').format(self._words("stand_in"))
            if self._stand_in
            else ""
        )
        return Markup("<h1>{}</h1><p><small>{}</small>{}</p>").format(name, self._desk.model, note)

    def _empty(self) -> Changes:
        parts = self._parts
        return {
            parts.chat: [],
            parts.positions: [],
            parts.earlier: gr.Button(visible=False),
            **self._empty_panel(),
        }

    def _empty_panel(self) -> Changes:
        parts = self._parts
        return {
            parts.turn: gr.Dropdown(choices=[], value=None, visible=False),
            parts.back: gr.Button(visible=False),
            parts.view: drawing.nothing(self._words),
            parts.more: gr.Column(visible=False),
        }

    async def _lists(self, thread: str, past: Past | None) -> Changes:
        parts, words = self._parts, self._words
        known = await self._desk.threads()
        lines = [
            (
                words(
                    "thread_line", name=short(one.thread, _LABEL), turns=words.turns(one.turns), when=_when(one.last)
                ),
                one.thread,
            )
            for one in known
        ]
        if thread and thread not in {name for _, name in lines}:
            lines.insert(0, (words("thread_new", name=short(thread, _LABEL)), thread))
        left = past.branches if past else ()
        ways = [
            (words("branch_line", turns=words.turns(one.turns), said=short(one.said, _LABEL)), one.checkpoint)
            for one in left
        ]
        return {
            parts.threads: gr.Radio(choices=lines, value=thread or None),
            parts.branches: gr.Radio(choices=ways, value=None, visible=bool(ways)),
            parts.forget: gr.Button(visible=bool(thread)),
            parts.confirm: gr.Group(visible=False),
        }

    async def _panel(self, thread: str, past: Past, turn: int | None) -> Changes:
        parts = self._parts
        chosen = [moment for moment in past.moments if turn is None or moment.report["turn"] == turn][-1:]
        if not chosen:
            return self._empty_panel() if turn is None else gr.skip()
        tokens, (money, currency) = token_table(past, self._words), self._money(past)
        label = self._words("chart_money", currency=currency) if currency else self._words("chart_money_none")
        return {
            parts.turn: self._choices(past, chosen[0]),
            parts.back: gr.Button(visible=True),
            parts.more: gr.Column(visible=True),
            parts.view: await self._view(thread, past, chosen[0]),
            parts.recalled: telling.recalled(await self._desk.recalled(thread, chosen[0]), self._words),
            parts.summary: self._summary(past, chosen[0]),
            parts.tokens: tokens,
            parts.money: gr.LinePlot(value=money, label=label, y_title=label, visible=bool(currency)),
        }

    def _choices(self, past: Past, chosen: Moment) -> gr.Dropdown:
        from langchain_qwen_memory.terminal.bot import words as said

        asked = {turn.position: short(said(turn.messages[0]), _SHORT) for turn in past.turns}
        lines = [
            (self._words("turn_choice", turn=turn + 1, said=asked.get(turn, "")), turn)
            for turn in (moment.report["turn"] for moment in reversed(past.moments))
        ]
        return gr.Dropdown(choices=lines, value=chosen.report["turn"], visible=True)

    def _money(self, past: Past) -> Any:
        facts = self._desk.facts
        return money_table(past, model=facts.name, region=facts.region, words=self._words)

    async def _view(self, thread: str, past: Past, chosen: Moment) -> str:
        seen = await self._desk.figures(thread, past, chosen)
        facts = self._desk.facts
        paid = cost(chosen.report, model=facts.name, region=facts.region, thought=thought(past.turns, chosen))
        here = {quote["position"] + 1 for quote in chosen.report["recalled"] if "thread" not in quote}
        return drawing.view(seen, self._words, here=here, paid=paid)

    def _summary(self, past: Past, chosen: Moment) -> str:
        moment, old = last_change(past.moments, chosen)
        turn = None if moment is None else moment.report["turn"] + 1
        return telling.summary(chosen.summary, self._words, before=old, turn=turn, own=moment is chosen)


def _plain_markdown(text: str) -> str:
    return "".join(f"\\{sign}" if sign in "\\`*_[]()#!|~" else sign for sign in shown(clean(text)))


def _when(at: float) -> str:
    from datetime import datetime

    moment, today = datetime.fromtimestamp(at).astimezone(), datetime.now().astimezone()
    return f"{moment:%H:%M}" if moment.date() == today.date() else f"{moment:%Y-%m-%d}"
