"""Writes a conversation as Qwen servers take it, with thinking sent back where it belongs and nowhere else."""

import json
from collections.abc import Iterator, Sequence
from typing import Any

from langchain_core.messages import (
    AIMessage,
    BaseMessage,
    ChatMessage,
    FunctionMessage,
    HumanMessage,
    SystemMessage,
    ToolMessage,
)

from langchain_qwen_memory.counting.templates import sendable_answer
from langchain_qwen_memory.qwen.wire_content import plain_text, wire_content

__all__ = ["reasoning_of", "wire_messages"]


def wire_messages(
    messages: Sequence[BaseMessage],
    *,
    all_reasoning: bool = False,
    reasoning_fields: Sequence[str] = ("reasoning_content",),
    raw_audio: bool = False,
) -> list[dict[str, Any]]:
    """Writes a conversation.

    Thinking goes back after the newest question only, that is within one tool loop, where the model goes on with it.
    Thinking of earlier turns is dropped: Qwen's templates drop it too, unless thinking is preserved.

    Args:
        messages: The conversation.
        all_reasoning: Send the thinking of earlier turns as well (`preserve_thinking`).
        reasoning_fields: Under which names the server reads thinking.
        raw_audio: See `wire_content`.

    Raises:
        TypeError: If a message is of a kind that has no role in a chat.
        ValueError: If a content block cannot be sent.
    """
    newest = max((i for i, message in enumerate(messages) if _is_question(message)), default=-1)
    written: list[dict[str, Any]] = []
    for i, message in enumerate(messages):
        fields = reasoning_fields if all_reasoning or i > newest else ()
        written += _write(message, fields, raw_audio=raw_audio)
    for earlier in written[:-1]:
        earlier.pop("partial", None)  # an answer was gone on with once; in later turns it is one like any other
    return written


def reasoning_of(message: AIMessage) -> str:
    """Returns a message's thinking, from wherever LangChain or another provider put it."""
    if reasoning := message.additional_kwargs.get("reasoning_content"):
        return str(reasoning)
    blocks = [block for block in message.content if isinstance(block, dict)]
    return "".join(block.get("reasoning") or block.get("thinking") or "" for block in blocks)


def _write(message: BaseMessage, reasoning_fields: Sequence[str], *, raw_audio: bool) -> Iterator[dict[str, Any]]:
    if isinstance(message, HumanMessage):
        yield from _tool_results(message)
    given = _without_results(message)
    if isinstance(message, AIMessage) and not isinstance(given, str):
        given = [block for block in given if isinstance(block, str) or sendable_answer(block)]
    content = wire_content(given, raw_audio=raw_audio)
    if isinstance(message, AIMessage):
        yield _assistant(message, content, reasoning_fields)
    elif isinstance(message, ToolMessage):
        yield {"role": "tool", "tool_call_id": message.tool_call_id, "content": content}
    elif content or not _results(message):
        yield {"role": _role(message), "content": content} | _name(message)


def _assistant(
    message: AIMessage, content: str | list[dict[str, Any]], reasoning_fields: Sequence[str]
) -> dict[str, Any]:
    words = content if _is_marked(content) else plain_text(content)
    written: dict[str, Any] = {"role": "assistant", "content": words} | _name(message)
    if reasoning := reasoning_of(message):
        written |= dict.fromkeys(reasoning_fields, reasoning)
    if calls := list(_calls(message)):
        written["tool_calls"] = calls
    if message.additional_kwargs.get("partial"):
        written["partial"] = True
    return written


def _is_marked(content: str | list[dict[str, Any]]) -> bool:
    """Whether an answer, which goes back as text alone, carries a mark for the explicit cache."""
    return not isinstance(content, str) and all(part["type"] == "text" for part in content)


def _calls(message: AIMessage) -> Iterator[dict[str, Any]]:
    for call in message.tool_calls:
        yield _call(call["id"], call["name"], _arguments(call["args"]))
    for broken in message.invalid_tool_calls:
        yield _call(broken["id"], broken["name"], broken["args"] or "")
    said = {call["id"] for call in (*message.tool_calls, *message.invalid_tool_calls)}
    for block in message.content:
        if isinstance(block, dict) and block.get("type") == "tool_use" and block.get("id") not in said:
            yield _call(block.get("id"), block["name"], _arguments(block.get("input") or {}))


def _arguments(args: Any) -> str:
    """Arguments as JSON; dates and other objects that an edited history holds are said in their own words."""
    return json.dumps(args, ensure_ascii=False, default=str)


def _call(call_id: str | None, name: str | None, arguments: str) -> dict[str, Any]:
    return {"id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}}


def _role(message: BaseMessage) -> str:
    if isinstance(message, ChatMessage):
        return message.role
    for kind, role in ((HumanMessage, "user"), (SystemMessage, "system"), (FunctionMessage, "function")):
        if isinstance(message, kind):
            return role
    raise TypeError(f"A {type(message).__name__} has no role in a chat: give human, AI, system or tool messages.")


def _name(message: BaseMessage) -> dict[str, str]:
    return {"name": message.name} if message.name else {}


def _is_question(message: BaseMessage) -> bool:
    if isinstance(message, HumanMessage):
        return not _results(message) or bool(_without_results(message))
    return isinstance(message, ChatMessage) and message.role == "user"


def _results(message: BaseMessage) -> list[dict[str, Any]]:
    """Tool results in Anthropic's form, which stand in a human message's content."""
    if isinstance(message.content, str) or not isinstance(message, HumanMessage):
        return []
    return [block for block in message.content if isinstance(block, dict) and block.get("type") == "tool_result"]


def _without_results(message: BaseMessage) -> str | list[str | dict[str, Any]]:
    if not (results := _results(message)):
        return message.content
    return [block for block in message.content if block not in results]


def _tool_results(message: HumanMessage) -> Iterator[dict[str, Any]]:
    for block in _results(message):
        yield {
            "role": "tool",
            "tool_call_id": block["tool_use_id"],
            "content": wire_content(block.get("content") or ""),
        }
