"""What memories chose for a turn, as plain JSON in the state, and the view that is made of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from langchain_qwen_memory.archive.base import Hit
from langchain_qwen_memory.memory.base import Recalled, Selection
from langchain_qwen_memory.memory.caching import is_marked, marked
from langchain_qwen_memory.memory.media import MEDIA, readable_view
from langchain_qwen_memory.memory.placing import shown
from langchain_qwen_memory.memory.render import Quote, View, render, system_message
from langchain_qwen_memory.memory.turns import LiveTurn
from langchain_qwen_memory.state import RECORD_VERSION, Record
from langchain_qwen_memory.steps.thread import Thread, without_refused
from langchain_qwen_memory.steps.wiring import Wiring

REFUSED = "model: an unanswered question was refused and is left out"
"""What a report says of an earlier question that the provider does not take."""

OVERFLOW = "model: ContextOverflowError"
"""What a report says of a view that the provider found too long in spite of the count."""

_OVERFLOW_SHRINK = 0.6
"""After that: how much of the limit the second try may use."""
EASED = (1.0, 1.3, 1.6)
"""So many times that, where system text, tools and the newest turn alone take more: as little as can be."""


def selected(
    thread: Thread, selection: Selection, *, before: Mapping[str, Any] | None = None, problem: str = ""
) -> dict[str, Any]:
    """The selection as an update of the state; a list of messages in it would reach the user's stream.

    Args:
        thread: What it was chosen for.
        selection: What memories chose.
        before: The selection whose view was too long, if this is the second of the turn.
        problem: What the report is to say of the messages that came in.
    """
    chosen = {
        "after": thread.turns[-1].parent,
        "start": selection.start,
        "summary": selection.summary,
        "quotes": [_quote(thread, hit) for hit in selection.recalled],
        "errors": [*([problem] if problem else []), *selection.errors],
        "numbers": dict(selection.numbers),
    }
    if before is not None:
        chosen["errors"] = [*before["errors"], OVERFLOW, *selection.errors]
        chosen["numbers"] = added(before["numbers"], selection.numbers)
    update: dict[str, Any] = {"selection": chosen}
    slots = {name: dict(slot) for name, slot in selection.slots.items()}
    if not thread.record or slots != thread.record.get("slots", {}):
        update["record"] = {**begun(thread), "slots": slots}
    return update


def chosen_for(state: Mapping[str, Any], thread: Thread) -> dict[str, Any]:
    """What was chosen for the newest turn already; nothing if it was for another one: a run may hold several turns."""
    chosen = state.get("selection") or {}
    return dict(chosen) if thread.turns and chosen.get("after") == thread.turns[-1].parent else {}


def leaving_out_refused(thread: Thread, chosen: Mapping[str, Any]) -> tuple[Thread, dict[str, Any]] | None:
    """The thread without earlier questions that stand unanswered in the view, since the provider refuses the view.

    What it refuses, such as a text that its filter stops or a picture that it cannot load, would else be sent along
    with each later question, and the thread could never go on. The question stays in the transcript.

    Returns:
        The thread and the selection, both saying so; None where no such question stands in the view.
    """
    asked = [
        turn.question.id
        for turn in thread.turns[:-1]
        if len(turn.messages) == 1 and turn.question is not None and turn.question.id and not turn.refused
        if turn.position >= chosen["start"]
    ]
    if not asked:
        return None
    live = {turn.question.id for turn in thread.turns if turn.question is not None}
    refused = [known for known in thread.record.get("refused", ()) if known in live] + asked
    record: Record = {**begun(thread), "refused": refused}
    left = replace(thread, turns=without_refused(thread.turns, refused), record=record)
    return left, {**chosen, "errors": [*chosen["errors"], REFUSED]}


def _quote(thread: Thread, hit: Hit | Recalled) -> dict[str, Any]:
    turn = hit.turn
    quote = {"key": turn.key, "position": turn.position, "score": round(hit.score, 2), "at": turn.at}
    elsewhere = {} if turn.thread == thread.owner.thread else {"thread": turn.thread}
    return {**quote, **elsewhere, "text": shown(hit)}


def added(before: Mapping[str, float], now: Mapping[str, float]) -> dict[str, float]:
    """Numbers of a report, added up."""
    return {name: before.get(name, 0) + now.get(name, 0) for name in {**before, **now}}


def begun(thread: Thread) -> Record:
    """The record as it stands, or a new one."""
    if thread.record:
        return {**thread.record, "root": thread.owner.root}
    return {
        "v": RECORD_VERSION,
        "root": thread.owner.root,
        "user": thread.owner.mark,
        "parent": thread.owner.root,
        "position": 0,
        "archived": 0,
    }


def view_of(wiring: Wiring, thread: Thread, turns: Sequence[LiveTurn], chosen: Mapping[str, Any], *, room: int) -> View:
    """Render the view of a selection: `turns` word for word, in `room` tokens, tool schemas among them.

    Media of earlier turns that the model does not read are notes in it; for the explicit cache it is marked.
    """
    view = render(
        system=thread.system,
        summary=chosen["summary"],
        turns=turns,
        quotes=[Quote(key=q["key"], text=q["text"], at=q["at"], position=q["position"]) for q in chosen["quotes"]],
        room=max(0, room - wiring.tool_tokens - wiring.facts.thought_tokens(turns)),
        count=wiring.facts.count,
        keep_thinking=wiring.facts.keeps_thinking,
    )
    messages = view.messages if wiring.facts.readable == MEDIA else readable_view(view.messages, wiring.facts.readable)
    noted = sum(
        wiring.facts.count(old) - wiring.facts.count(new)
        for old, new in zip(view.messages, messages, strict=True)
        if old is not new
    )
    if wiring.prompt_cache == "explicit":
        messages = marked(
            messages,
            summary=chosen["summary"],
            quoted=bool(view.quotes),
            tools=wiring.tool_tokens,
            count=wiring.facts.count,
        )
    return replace(view, messages=messages, tokens=view.tokens - noted)


def shrunk(wiring: Wiring, view: View) -> float:
    """Share of the limit that the second try may use: less than the view had that was found too long."""
    return _OVERFLOW_SHRINK * min(1.0, (view.tokens + wiring.tool_tokens) / wiring.facts.max_input)


def viewed(wiring: Wiring, thread: Thread, chosen: Mapping[str, Any], view: View) -> dict[str, Any]:
    """The selection with the numbers of the view that was sent: what the report is made of."""
    numbers = {
        "kept": view.kept,
        "tokens": view.tokens + wiring.tool_tokens + wiring.facts.thought_tokens(thread.turns[-view.kept :]),
        "system": sum(map(wiring.facts.count, thread.system)) + wiring.tool_tokens,
        "summary": _summary_tokens(wiring, thread, chosen["summary"]),
        "recalled": [quote.key for quote in view.quotes],
        "recalled_tokens": view.quoted_tokens,
        "clipped": view.clipped,
        "marked": is_marked(view.messages),
        "limit": wiring.facts.max_input,
    }
    return {**{name: value for name, value in chosen.items() if name != "record"}, "view": numbers}


def _summary_tokens(wiring: Wiring, thread: Thread, summary: str) -> int:
    if not summary:
        return 0
    whole = system_message(thread.system, summary)
    assert whole is not None
    return wiring.facts.count(whole) - sum(map(wiring.facts.count, thread.system))
