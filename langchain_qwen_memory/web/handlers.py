"""What happens on the page: each method is one event, and gives back what is to be shown anew."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import gradio as gr

from langchain_qwen_memory.errors import ThreadError
from langchain_qwen_memory.web.desk import LONGEST_NAME
from langchain_qwen_memory.web.pictures import NotAPictureError, content_of, reworded
from langchain_qwen_memory.web.shows import Shows
from langchain_qwen_memory.web.texts import Words

if TYPE_CHECKING:
    from langchain_qwen_memory.web.desk import Desk
    from langchain_qwen_memory.web.page import Parts

Changes = dict[Any, Any] | Any
"""Component -> what it is to show; or `gr.skip()`: nothing changes."""
_EARLIER = 30
"""Turns more at a time."""


class Handlers:
    """The page's events; one object serves every tab."""

    def __init__(self, desk: Desk, words: Words, parts: Parts, *, stand_in: bool) -> None:
        self._desk, self._words, self._parts = desk, words, parts
        self._shows = Shows(desk, words, parts, stand_in=stand_in)

    # -- where one is

    async def arrive(self, wide: bool, request: gr.Request) -> tuple[str, gr.Sidebar]:
        """The thread that the address names; else the last one. Threads are listed if there is room."""
        asked = request.query_params.get("thread")
        side = gr.Sidebar(open=wide)
        if asked is not None or "new" in request.query_params:
            return (asked or "")[:LONGEST_NAME], side
        known = await self._desk.threads()
        return (known[0].thread if known else ""), side

    async def open(self, name: str | None) -> Changes:
        """Go to a thread, or begin one of that name."""
        name = (name or "").strip()
        if not name or len(name) > LONGEST_NAME:
            self._warn("bad_thread", most=LONGEST_NAME)
            return {self._parts.name: ""}
        return self._to(name)

    async def begin(self) -> Changes:
        """Go to a thread that has not begun; its first question names it."""
        return self._to("")

    def _to(self, thread: str) -> Changes:
        parts = self._parts
        hidden = gr.Group(visible=False)
        return {parts.thread: thread, parts.run: 0, parts.limit: _EARLIER, parts.name: "", parts.confirm: hidden}

    async def show_earlier(self, limit: int) -> int:
        """Show more of the transcript."""
        return limit + _EARLIER

    # -- turns

    async def follow(self, thread: str, limit: int, run: int) -> AsyncIterator[Changes]:
        """Draw the thread, and go on drawing while a turn of it is under way."""
        try:
            await self._desk.check(thread)
        except ThreadError:  # its name is all that is told of it
            self._warn("not_yours", thread=thread)
            thread = ""
            yield {self._parts.thread: thread}
        running = self._desk.turn(run) or self._desk.running(thread)
        note = ""
        if thread and running is None and await self._desk.left_open(thread):
            running, note = self._desk.ask(thread, None), self._words("unanswered")
        if running is not None:
            async for changes in self._shows.growing(running, limit, note):
                yield changes
        yield await self._shows.whole(thread, limit, running, note)

    async def ask(self, given: Mapping[str, Any], thread: str) -> Changes:
        """Begin a turn."""
        text, files = str(given.get("text") or "").strip(), list(given.get("files") or ())
        if not text and not files:
            return {self._parts.run: 0}
        try:
            content = content_of(text, files)
        except NotAPictureError as error:
            self._warn("bad_picture", name=error)
            return {self._parts.run: 0}
        if files and not self._desk.sees:
            self._warn("no_pictures", model=self._desk.model)
            return {self._parts.run: 0}
        name = thread or await self._desk.name_for(text or self._words("picture"))
        return self._begin(name, content)

    def _begin(self, thread: str, content: Any) -> Changes:
        running = self._desk.ask(thread, content)
        return {self._parts.thread: thread, self._parts.run: running.number, self._parts.box: self._shows.busy_box()}

    async def stop(self, run: int) -> None:
        """Stop the turn that this tab follows."""
        self._desk.stop(run)

    async def edit(self, thread: str, positions: Sequence[int], run: int, event: gr.EditData) -> Changes:
        """Go back to before a question, and ask it in other words; its pictures stay."""
        from langchain_qwen_memory.web.messages import meant

        turn = _turn(positions, event.index)
        question = await self._desk.question(thread, turn)
        text = meant(str(event.value)).strip()
        if self._is_busy(run) or question is None or not text:
            return gr.skip()
        return await self._again(thread, turn, reworded(question, text))

    async def retry(self, thread: str, positions: Sequence[int], run: int, event: gr.RetryData) -> Changes:
        """Go back to before a question, and ask it once more."""
        turn = _turn(positions, event.index)
        question = await self._desk.question(thread, turn)
        if self._is_busy(run) or question is None:
            return gr.skip()
        return await self._again(thread, turn, question)

    async def undo(self, thread: str, positions: Sequence[int], run: int, event: gr.UndoData) -> Changes:
        """Go back to before a question, which is in the box again."""
        turn = _turn(positions, event.index)
        question = await self._desk.question(thread, turn)
        if self._is_busy(run) or question is None or not await self._went_back(thread, turn - 1):
            return gr.skip()
        return {self._parts.box: self._shows.free_box(question)}

    async def _again(self, thread: str, turn: int, content: Any) -> Changes:
        return self._begin(thread, content) if await self._went_back(thread, turn - 1) else gr.skip()

    # -- branches

    async def go_back(self, thread: str, turn: int | None, run: int) -> Changes:
        """Let the thread stand after the turn that is looked at."""
        if turn is None or self._is_busy(run):
            return gr.skip()
        if turn == await self._desk.newest(thread):
            self._tell("branch_newest")
        else:
            await self._went_back(thread, turn)
        return gr.skip()

    async def _went_back(self, thread: str, turn: int) -> bool:
        went = await self._desk.go_back(thread, turn)
        if went:
            self._tell("branched" if turn >= 0 else "branched_start", turn=turn + 1)
        else:
            self._warn("branch_gone", turn=turn + 1)
        return went

    async def go_over(self, thread: str, checkpoint: str | None, run: int) -> Changes:
        """Let the thread stand where a branch ended."""
        if checkpoint and not self._is_busy(run):
            await self._desk.go_over(thread, checkpoint)
            self._tell("resumed")
        return gr.skip()

    # -- forgetting

    async def ask_to_forget(self, thread: str, run: int) -> Changes:
        """Ask whether it is meant."""
        if not thread or self._is_busy(run):
            return gr.skip()
        return await self._shows.confirming(thread)

    async def keep(self) -> gr.Group:
        """It was not meant."""
        return gr.Group(visible=False)

    async def forget(self, thread: str, run: int) -> Changes:
        """Remove the thread everywhere, and begin a new one."""
        if not thread or self._is_busy(run):
            return gr.skip()
        await self._desk.forget(thread)
        self._tell("forgotten", thread=thread)
        return self._to("")

    def _tell(self, key: str, **values: Any) -> None:
        gr.Info(self._words(key, **values))

    def _warn(self, key: str, **values: Any) -> None:
        gr.Warning(self._words(key, **values))

    def _is_busy(self, run: int) -> bool:
        running = self._desk.turn(run)
        if running is None or running.done:
            return False
        self._warn("busy")
        return True

    # -- looking at a turn

    async def show_turn(self, thread: str, turn: int | None, limit: int) -> Changes:
        """Show what memory did in a turn."""
        return await self._shows.one(thread, turn, limit) if thread and turn is not None else gr.skip()

    async def select(self, thread: str, positions: Sequence[int], limit: int, event: gr.SelectData) -> Changes:
        """The same, for the turn of a message that was clicked."""
        return await self.show_turn(thread, _turn(positions, event.index), limit)


def _turn(positions: Sequence[int], index: Any) -> int:
    """The turn of a message, by its place in the chat."""
    at = index[0] if isinstance(index, list | tuple) else index
    return positions[at] if 0 <= at < len(positions) else -1
