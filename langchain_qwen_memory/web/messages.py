"""Turns as the chat shows them: text that cannot become markup, thinking folded away, pictures as files."""

from __future__ import annotations

import html
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, ToolMessage

from langchain_qwen_memory.web.pictures import cached_files
from langchain_qwen_memory.web.texts import Words

if TYPE_CHECKING:
    from langchain_qwen_memory.threads import TranscriptTurn
    from langchain_qwen_memory.web.turns import Running

_CODE = re.compile(r"(```.*?(?:```|\Z)|`[^`\n]+`)", re.DOTALL)
"""Where markdown shows signs as they are: a fenced block, open to the end while it streams, or a span."""


def shown(text: str) -> str:
    """A text for a markdown field: what looks like a tag is shown, and never becomes one."""
    return _outside_code(text, lambda part: html.escape(part, quote=False).replace("&gt;", ">"))


def meant(text: str) -> str:
    """The inverse of `shown`, for a text that a person has edited in the chat."""
    return _outside_code(text, lambda part: part.replace("&lt;", "<").replace("&amp;", "&"))


def _outside_code(text: str, change: Callable[[str], str]) -> str:
    parts = _CODE.split(text)
    return "".join(part if at % 2 else change(part) for at, part in enumerate(parts))


@dataclass
class Chat:
    """The chat's messages, as Gradio takes them, and the turn that each belongs to."""

    words: Words
    folder: str
    """Gradio's cache, for pictures."""
    messages: list[dict[str, Any]] = field(default_factory=list)
    positions: list[int] = field(default_factory=list)
    """Of each message's turn."""

    def add_turns(self, turns: Sequence[TranscriptTurn]) -> Chat:
        """Add finished turns, oldest first."""
        for turn in turns:
            for message in turn.messages:
                self._add_message(message, turn.position)
        return self

    def add_running(self, running: Running, position: int) -> Chat:
        """Add a turn as far as it has come."""
        if running.content is not None:
            self._add_message(HumanMessage(running.content), position)
        if running.thinking:
            self._think(running.thinking, position, pending=running.phase == "thinking", took=running.thought_for)
        if running.answer:
            self._say("assistant", running.answer, position)
        elif not running.thinking and not running.done:
            self._wait("queued" if running.phase == "queued" else "waiting", position)
        return self

    def _add_message(self, message: BaseMessage, position: int) -> None:
        if isinstance(message, HumanMessage):
            for path in cached_files(message.content, self.folder):
                self._add("user", {"path": path, "alt_text": self.words("picture")}, position)
            self._say("user", str(message.text), position)
        elif isinstance(message, ToolMessage):
            self._fold(self.words("tool", name=message.name or ""), str(message.text), position)
        elif isinstance(message, AIMessage):
            self._think(str(message.additional_kwargs.get("reasoning_content") or ""), position)
            self._say("assistant", str(message.text), position)

    def _say(self, role: str, text: str, position: int) -> None:
        if text.strip():
            self._add(role, {"type": "text", "text": shown(text)}, position)

    def _think(self, text: str, position: int, *, pending: bool = False, took: float | None = None) -> None:
        if text.strip():
            extra: dict[str, Any] = {} if took is None else {"duration": took}
            self._fold(self.words("thinking" if pending else "thought"), text, position, pending=pending, **extra)

    def _wait(self, key: str, position: int) -> None:
        self._fold(self.words(key), "", position, pending=True)

    def _fold(self, title: str, text: str, position: int, *, pending: bool = False, **extra: Any) -> None:
        about = {"title": shown(title), "status": "pending" if pending else "done", **extra}
        self._add("assistant", {"type": "text", "text": shown(text)}, position, metadata=about)

    def _add(self, role: str, content: dict[str, Any], position: int, **extra: Any) -> None:
        self.messages.append({"role": role, "content": content, **extra})
        self.positions.append(position)
