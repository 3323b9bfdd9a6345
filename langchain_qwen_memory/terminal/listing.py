"""`qwen-memory threads` and `show`: which threads there are, and what was said in one."""

from __future__ import annotations

import shlex
import sys
import time
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from langchain_qwen_memory.terminal.output import clean, short, write_json
from langchain_qwen_memory.terminal.place import Place
from langchain_qwen_memory.terminal.reading import open_reader
from langchain_qwen_memory.terminal.say import Say, grouped

if TYPE_CHECKING:
    from langchain_core.messages import BaseMessage

    from langchain_qwen_memory.threads import TranscriptTurn

_NARROW = 60
_PIPE = 120
"""Columns where the output is no terminal."""
_RESULT = 200
"""Characters of a tool's result that are shown."""


def plain_console() -> Console:
    """A console as wide as the terminal, and wide where there is none."""
    return Console(highlight=False, markup=False, emoji=False, width=None if sys.stdout.isatty() else _PIPE)


def local_time(at: float) -> str:
    """A time as people write it here."""
    return time.strftime("%Y-%m-%d %H:%M", time.localtime(at))


def threads(place: Place, user: str, say: Say, *, everyone: bool, as_json: bool) -> None:
    """List threads, newest first.

    Args:
        place: Where.
        user: Whose.
        say: The language.
        everyone: All users' instead.
        as_json: A line of JSON each.
    """
    with open_reader(place, user, say) as reader:
        users = reader.archive.users() if everyone else [user]
        found = [(name, one) for name in users for one in reader.archive.threads(name)]
        if as_json:
            write_json(
                {"user": name, "thread": one.thread, "turns": one.turns, "first": one.first, "last": one.last}
                for name, one in found
            )
            return
        console = plain_console()
        if not found:
            console.print(Text(clean(" ".join([say("no_threads", db=place.shown), reader.known()]).strip())))
            return
        console.print(_table(found, say, everyone=everyone, narrow=console.width < _NARROW))


def _table(found: Iterable[tuple[str, Any]], say: Say, *, everyone: bool, narrow: bool) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    if everyone:
        table.add_column(say("col_user"), overflow="fold")
    table.add_column(say("col_thread"), overflow="fold")
    table.add_column(say("col_turns"), justify="right")
    if not narrow:
        table.add_column(say("col_first"), no_wrap=True)
    table.add_column(say("col_last"), no_wrap=True)
    for name, one in found:
        cells = [clean(name) or '""'] if everyone else []
        cells += [clean(one.thread), grouped(one.turns)]
        cells += [local_time(at) for at in ((one.last,) if narrow else (one.first, one.last))]
        table.add_row(*map(Text, cells))
    return table


def show(
    place: Place, user: str, thread: str, say: Say, *, before: int | None, limit: int, everything: bool, as_json: bool
) -> None:
    """Show what was said in a thread, live and archived turns as one.

    Args:
        place: Where.
        user: Whose thread.
        thread: Which.
        say: The language.
        before: Turns before this number, as people count; None: the newest.
        limit: Turns at most.
        everything: All of them, oldest first.
        as_json: A line of JSON a turn.
    """
    with open_reader(place, user, say) as reader:
        reader.check(thread)
        page = None if everything else reader.page(thread, before=None if before is None else before - 1, limit=limit)
        turns: Iterable[TranscriptTurn] = reader.all(thread) if page is None else page
        if as_json:
            write_json(map(turn_json, turns))
            return
        console = plain_console()
        for turn in turns:
            for line in _lines(turn, say):
                console.print(line, soft_wrap=not console.is_terminal)
        if page and page[0].position:
            words = ["qwen-memory", "show", thread, "--before", str(page[0].position + 1)]
            words += ["--user", user] if user else []
            words += ["--archive", place.shown] if place.given is not None else []
            console.print(Text(clean(say("older", command=shlex.join(words))), style="dim"), soft_wrap=True)


def turn_json(turn: TranscriptTurn) -> dict[str, Any]:
    """A turn: `{"turn", "at", "live", "messages"}`."""
    messages = [message_json(message) for message in turn.messages]
    return {"turn": turn.position + 1, "at": turn.at, "live": turn.live, "messages": messages}


def message_json(message: BaseMessage) -> dict[str, Any]:
    """A message: `{"role", "text"}`, and "content", "thinking", "tool_calls", "tool_call_id" where there are such."""
    from langchain_qwen_memory.archive.stored import plain
    from langchain_qwen_memory.memory.text import said

    roles = {"human": "user", "ai": "assistant"}
    told: dict[str, Any] = {"role": roles.get(message.type, message.type), "text": said(message).strip()}
    if not isinstance(message.content, str):
        told["content"] = plain(message.content)
    thinking = message.additional_kwargs.get("reasoning_content")
    calls = [{name: call[name] for name in ("name", "args", "id")} for call in getattr(message, "tool_calls", ())]
    result = getattr(message, "tool_call_id", None)
    optional = {"thinking": thinking, "tool_calls": plain(calls), "tool_call_id": result}
    return told | {name: value for name, value in optional.items() if value}


def _lines(turn: TranscriptTurn, say: Say) -> Iterator[Text]:
    head = f"#{turn.position + 1}"
    if turn.at is not None:
        head += f"  {local_time(turn.at)}"
    yield Text(f"{head}  {say('live')}" if turn.live else head, style="dim")
    for message in map(message_json, turn.messages):
        yield from _message(message, say)
    yield Text()


def _message(message: dict[str, Any], say: Say) -> Iterator[Text]:
    text, role = clean(message["text"]), message["role"]
    for call in message.get("tool_calls", ()):
        yield Text(short(f"  → {call['name']}({_arguments(call['args'])})", _RESULT), style="dim")
    if role == "tool":
        yield Text(short(f"  ← {text}", _RESULT), style="dim")
    elif text or role == "user":
        name = {"user": say("you_said"), "assistant": say("model_said")}.get(role, f"{clean(role)}: ")
        line = Text(name, style="bold cyan" if role == "user" else "bold")
        line.append(text or say("no_text"), style="not bold default")
        yield line


def _arguments(args: Any) -> str:
    items = args.items() if isinstance(args, dict) else ()
    return ", ".join(f"{name}={value!r}" for name, value in items)
