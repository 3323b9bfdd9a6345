"""How a turn is named and found: its content-addressed key and its searchable text."""

import json
import re
from collections.abc import Sequence
from datetime import tzinfo
from hashlib import blake2b
from typing import Any

from langchain_core.messages import BaseMessage

from langchain_qwen_memory.archive.finding.dates import date_words, day_line
from langchain_qwen_memory.archive.stored import plain, whole
from langchain_qwen_memory.counting.blocks import findable, media_in

__all__ = ["root_key", "searchable_text", "turn_key"]

KEY_BYTES = 16
TOOL_RESULT_CHARS = 2_000
"""How much of each tool result is searchable; a page names the things, the rest would drown the talk."""

_THINKING = re.compile(r"\s*<think>.*?(?:</think>|\Z)", re.DOTALL)
_ENCODED = re.compile(r"data:[\w/+.-]*;base64,[\w+/=-]*|[\w+/=-]{200,}", re.ASCII)
_HAN = re.compile("[\u3400-\u9fff\uf900-\ufaff]")
_NOT_SAID = frozenset({"reasoning", "thinking", "reasoning_content", "redacted_thinking"})
_CALLS = frozenset({"tool_call", "tool_call_chunk", "tool_use", "invalid_tool_call", "function_call"})


def root_key(user: str, thread: str) -> str:
    """The parent of a thread's first turn: 32 hex digits that no other user and thread share."""
    return _digest(["root", user, thread])


def turn_key(parent: str, messages: Sequence[BaseMessage]) -> str:
    """The name of a turn: 32 hex digits of its parent's key and of what was said and done in it.

    Type, content, name, tool calls, tool call id and status count. Message ids, usage, response metadata and
    reasoning do not: a turn that is sent twice, resumed or streamed keeps its key.
    """
    return _digest(["turn", parent, [_canonical(message) for message in messages]])


def searchable_text(messages: Sequence[BaseMessage], *, at: float | None = None, zone: tzinfo | None = None) -> str:
    """What was said in a turn, a line per message: no thinking, no base64, a page of each tool result.

    Args:
        messages: The turn's messages.
        at: When it was finished, unix seconds. Its day then stands in the first line, and the days that its words
            mean ("yesterday", "上周三") in the last, so that it is found by them. None: no dates.
        zone: Whose days; None for the machine's local time.
    """
    lines = [line for line in map(_said, messages) if line]
    if at is None or not lines:
        return "\n".join(lines)
    chinese = any(map(_HAN.search, lines))
    spoken = [_said(message) for message in messages if message.type in {"human", "ai"}]
    meant = date_words("\n".join(spoken), at=at, zone=zone, chinese=chinese)
    return "\n".join([day_line(at, zone, chinese=chinese), *lines, *([meant] if meant else [])])


def _digest(value: Any) -> str:
    text = json.dumps(value, sort_keys=True, separators=(",", ":"))
    if "\\ud" in text:  # half of a surrogate pair, as in a stream that was cut: checkpoints write "?" in its place
        plain_text = json.dumps(value, ensure_ascii=False).encode("utf-8", "replace").decode()
        text = json.dumps(json.loads(plain_text), sort_keys=True, separators=(",", ":"))
    return blake2b(text.encode(), digest_size=KEY_BYTES).hexdigest()


def _canonical(message: BaseMessage) -> list[Any]:
    message = whole(message)
    calls = [[call["name"], plain(call["args"]), call["id"]] for call in getattr(message, "tool_calls", ())]
    answered = [getattr(message, "tool_call_id", None), getattr(message, "status", None)]
    return [message.type, _content(message), message.name, calls, answered]


def _content(message: BaseMessage) -> list[Any]:
    """Content as blocks, so that a text and the same text in a block are one; calls are told beside it."""
    blocks = [message.content] if isinstance(message.content, str) else message.content
    said: list[Any] = []
    for block in blocks:
        if isinstance(block, str) or block.get("type") == "text":
            said.append(block if isinstance(block, str) else block.get("text", ""))
        elif block.get("type") not in _NOT_SAID | _CALLS:
            said.append(plain({name: item for name, item in block.items() if name != "index"}))
    return [block for block in said if block != ""]


def _said(message: BaseMessage) -> str:
    if message.type in {"system", "remove"}:
        return ""
    named = (findable(medium, block) for medium, block in media_in(message.content))
    text = " ".join(part for part in (*named, str(message.text)) if part)
    if message.type in {"tool", "function"}:
        return _ENCODED.sub(" ", text)[:TOOL_RESULT_CHARS].strip()
    if message.type != "human":
        text = _THINKING.sub("", text, count=1) if text.lstrip().startswith("<think>") else text
    text = _ENCODED.sub(" ", text).strip()
    return f"{message.name}: {text}" if message.name and text else text
