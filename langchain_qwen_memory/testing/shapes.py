"""The compatible protocol's bodies and chunks, key by key in the order in which the service sends them.

Two families are seen on the wire. The newer one (qwen3-max, everything that thinks) has `system_fingerprint` and
writes `finish_reason: null`. The older one (qwen-plus, qwen-max, qwen-turbo without thinking) has neither.
"""

import json
import time
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

Family = Literal["newer", "older", "oldest"]
"""Which key orders an answer has; "oldest" is "older" with the keys of a whole answer sorted."""

Usage = Mapping[str, Any]

FINGERPRINT = "local-stand-in"
"""Stands in `system_fingerprint`, where the service sends null: an answer says itself that no Qwen wrote it."""

OLDER: Mapping[str, Family] = {
    "qwen-plus": "older",
    "qwen-max": "older",
    "qwen-flash": "older",
    "qwen-long": "older",
    "qwen-turbo": "oldest",
}
"""Models whose answers without thinking have the older keys; all others have the newer ones."""


def family_of(model_family: str, *, thinking: bool) -> Family:
    """The family of an answer."""
    return "newer" if thinking else OLDER.get(model_family, "newer")


@dataclass(frozen=True, kw_only=True, slots=True)
class ToolCall:
    """One call of a tool, its arguments as the text that goes over the wire."""

    name: str
    """The tool."""
    arguments: str
    """JSON, as the model wrote it."""
    id: str
    """`call_` and hex digits."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """All that one answer is written from."""

    model: str
    """The model's name as it was asked for."""
    family: Family
    """The keys and their order."""
    id: str
    """`chatcmpl-` and a uuid."""
    content: str
    """The text."""
    reasoning: str | None
    """The thinking; None where the model does not think in this answer."""
    calls: Sequence[ToolCall]
    """The tool calls."""
    finish_reason: str
    """stop, length or tool_calls."""
    usage: Usage
    """The usage object in the newer key order."""
    copies: int = 1
    """The `n` of the request: how many choices."""
    created: int = field(default_factory=lambda: int(time.time()))
    """Seconds since the epoch."""


def call_id(family: Family) -> str:
    """A new id of a tool call; the older family's are two digits shorter."""
    return "call_" + uuid.uuid4().hex[: 24 if family == "newer" else 22]


def ordered_usage(usage: Usage, family: Family) -> dict[str, Any]:
    """The usage object with the family's key order."""
    orders = {
        "older": ("total_tokens", "completion_tokens", "prompt_tokens"),
        "oldest": ("completion_tokens", "prompt_tokens", "prompt_tokens_details", "total_tokens"),
        "newer": (),
    }
    first = {key: usage[key] for key in orders[family] if key in usage}
    return {**first, **{key: value for key, value in usage.items() if key not in first}}


def _whole_call(call: ToolCall, index: int, family: Family) -> dict[str, Any]:
    if family == "newer":
        function = {"arguments": call.arguments, "name": call.name}
        return {"function": function, "id": call.id, "index": index, "type": "function"}
    function = {"name": call.name, "arguments": call.arguments}
    return {"index": index, "id": call.id, "type": "function", "function": function}


def _message(answer: Answer) -> dict[str, Any]:
    calls = [_whole_call(call, index, answer.family) for index, call in enumerate(answer.calls)]
    message: dict[str, Any] = {"content": answer.content}
    if answer.reasoning is not None:
        message["reasoning_content"] = answer.reasoning
    if answer.family == "newer":
        return {**message, "role": "assistant", **({"tool_calls": calls} if calls else {})}
    return {**message, **({"tool_calls": calls} if calls else {}), "role": "assistant"}


def whole(answer: Answer) -> dict[str, Any]:
    """The body of an answer that is not streamed."""
    message, usage = _message(answer), ordered_usage(answer.usage, answer.family)
    end, indices = answer.finish_reason, range(answer.copies)
    kind, name, created, number = "chat.completion", answer.model, answer.created, answer.id
    if answer.family == "newer":
        choices = [{"message": message, "finish_reason": end, "index": i, "logprobs": None} for i in indices]
        return {"choices": choices, "object": kind, "usage": usage, "created": created,
                "system_fingerprint": FINGERPRINT, "model": name, "id": number}  # fmt: skip
    if answer.family == "oldest":
        choices = [{"finish_reason": end, "index": i, "message": message} for i in indices]
        return {
            "choices": choices,
            "created": created,
            "id": number,
            "model": name,
            "object": kind,
            "usage": usage,
        }
    choices = [{"message": message, "index": i, "finish_reason": end} for i in indices]
    return {
        "model": name,
        "id": number,
        "choices": choices,
        "created": created,
        "object": kind,
        "usage": usage,
    }


def encode(body: Mapping[str, Any]) -> bytes:
    """Compact JSON in UTF-8, as the service writes it."""
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode("utf-8", "surrogatepass")


def event(body: Mapping[str, Any]) -> bytes:
    """One server-sent event of the compatible protocol."""
    return b"data: " + encode(body) + b"\n\n"


DONE = b"data: [DONE]\n\n"
"""The event that ends a stream."""


def pieces(text: str, size: int) -> Iterator[str]:
    """The text in pieces of so many characters."""
    return (text[at : at + size] for at in range(0, len(text), size))
