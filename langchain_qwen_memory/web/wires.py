"""Wires the page's components to what they do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from langchain_qwen_memory.web.handlers import Handlers
from langchain_qwen_memory.web.texts import Words

if TYPE_CHECKING:
    import gradio as gr

    from langchain_qwen_memory.web.desk import Desk
    from langchain_qwen_memory.web.page import Parts

_OFTEN: dict[str, Any] = {"api_visibility": "private", "concurrency_limit": None, "show_progress": "hidden"}
"""Of each event: no public API, any number at a time (a thread's turns wait for one another by themselves)."""

_WIDE = "() => [window.innerWidth >= 1000]"
"""Asks the browser for its width, as page.css parts screens."""


def connect(desk: Desk, words: Words, parts: Parts, blocks: gr.Blocks, *, stand_in: bool) -> None:
    """Let each component do its work.

    What changes the thread comes first and is quick; then `follow` draws it and stays while a turn is under way.
    Whoever goes elsewhere meanwhile stops only the drawing: the turn goes on.
    """
    does = Handlers(desk, words, parts, stand_in=stand_in)
    here = [parts.thread, parts.limit, parts.run]
    following: list[Any] = []

    def then_follow(event: Any) -> None:
        more = event.then(does.follow, here, parts.all, trigger_mode="multiple", **_OFTEN)
        following.append(more)

    asking = {**_OFTEN, "trigger_mode": "once"}
    then_follow(blocks.load(does.arrive, [parts.wide], [parts.thread, parts.side], js=_WIDE, **_OFTEN))
    then_follow(parts.box.submit(does.ask, [parts.box, parts.thread], parts.all, **asking))
    then_follow(parts.chat.edit(does.edit, [parts.thread, parts.positions, parts.run], parts.all, **asking))
    then_follow(parts.chat.retry(does.retry, [parts.thread, parts.positions, parts.run], parts.all, **asking))
    then_follow(parts.chat.undo(does.undo, [parts.thread, parts.positions, parts.run], parts.all, **asking))
    then_follow(parts.back.click(does.go_back, [parts.thread, parts.turn, parts.run], parts.all, **asking))
    then_follow(parts.branches.input(does.go_over, [parts.thread, parts.branches, parts.run], parts.all, **asking))
    then_follow(parts.yes.click(does.forget, [parts.thread, parts.run], parts.all, **asking))
    then_follow(parts.earlier.click(does.show_earlier, [parts.limit], [parts.limit], **_OFTEN))
    elsewhere = {**_OFTEN, "cancels": list(following)}
    moved = [
        parts.threads.input(does.open, [parts.threads], parts.all, **elsewhere),
        parts.name.submit(does.open, [parts.name], parts.all, **elsewhere),
        parts.new.click(does.begin, None, parts.all, **elsewhere),
    ]
    for event in moved:
        then_follow(event)
    parts.box.stop(does.stop, [parts.run], None, **_OFTEN)
    parts.turn.input(does.show_turn, [parts.thread, parts.turn, parts.limit], parts.all, **_OFTEN)
    parts.chat.select(does.select, [parts.thread, parts.positions, parts.limit], parts.all, **_OFTEN)
    parts.forget.click(does.ask_to_forget, [parts.thread, parts.run], parts.all, **_OFTEN)
    parts.no.click(does.keep, None, [parts.confirm], **_OFTEN)
