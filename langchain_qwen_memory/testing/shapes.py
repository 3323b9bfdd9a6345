"""The compatible protocol's bodies and chunks, key by key in the order in which the service sends them.

Two families are seen on the wire. The newer one (qwen3-max, everything that thinks) has `system_fingerprint` and
writes `finish_reason: null`. The older one (qwen-plus, qwen-max, qwen-turbo without thinking) has neither.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any, Literal

from langchain_qwen_memory.catalogue import model_info
from langchain_qwen_memory.testing.answers import Answer, ToolCall
from langchain_qwen_memory.testing.spelling import logprobs

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


def family(answer: Answer) -> Family:
    """The family of an answer."""
    return family_of(model_info(answer.model).family, thinking=answer.reasoning is not None)


def usage_of(answer: Answer) -> dict[str, Any]:
    """The usage object of an answer, in its family's key order."""
    tally = answer.tally
    details: dict[str, Any] = {}
    if tally.thought is not None:
        details = {"completion_tokens_details": {"reasoning_tokens": tally.thought * tally.copies}}
    if tally.speech:
        spoken = {"audio_tokens": tally.speech * tally.copies, "text_tokens": tally.text * tally.copies}
        details = {"completion_tokens_details": spoken}
    media = {f"{kind}_tokens": tokens for kind, tokens in tally.media.items()}
    if media:
        media["text_tokens"] = tally.prompt - sum(tally.media.values())
    counted = {
        "prompt_tokens": tally.prompt,
        "completion_tokens": tally.output,
        "total_tokens": tally.prompt + tally.output,
        **details,
        "prompt_tokens_details": {**media, **tally.details},
    }
    return ordered_usage(counted if answer.usage is None else answer.usage, family(answer))


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


def _message(answer: Answer, keys: Family) -> dict[str, Any]:
    calls = [_whole_call(call, index, keys) for index, call in enumerate(answer.calls)]
    message: dict[str, Any] = {"content": answer.content}
    if answer.reasoning is not None:
        message["reasoning_content"] = answer.reasoning
    if keys == "newer":
        return {**message, "role": "assistant", **({"tool_calls": calls} if calls else {})}
    return {**message, **({"tool_calls": calls} if calls else {}), "role": "assistant"}


def spoken(answer: Answer, size: int) -> Iterator[str]:
    """The text in the pieces of a stream: of so many characters, or token by token where their logprobs are sent."""
    return iter(answer.spelling.of(answer.content).words()) if answer.logprobs else pieces(answer.content, size)


def probable(answer: Answer, text: str) -> dict[str, Any] | None:
    """The `logprobs` of a text; None where they were not asked for."""
    return logprobs(text, answer.spelling, top=answer.top_logprobs) if answer.logprobs else None


def whole(answer: Answer) -> dict[str, Any]:
    """The body of an answer that is not streamed."""
    keys, usage = family(answer), usage_of(answer)
    message, probabilities = _message(answer, keys), probable(answer, answer.content)
    end, indices = answer.finish_reason, range(answer.copies)
    kind, name, created = "chat.completion", answer.model, answer.created
    number = f"chatcmpl-{answer.request_id}"
    extra = {} if probabilities is None else {"logprobs": probabilities}
    if keys == "newer":
        choices = [{"message": message, "finish_reason": end, "index": i, "logprobs": probabilities} for i in indices]
        return {"choices": choices, "object": kind, "usage": usage, "created": created,
                "system_fingerprint": FINGERPRINT, "model": name, "id": number}  # fmt: skip
    if keys == "oldest":
        choices = [{"finish_reason": end, "index": i, **extra, "message": message} for i in indices]
        return {
            "choices": choices,
            "created": created,
            "id": number,
            "model": name,
            "object": kind,
            "usage": usage,
        }
    choices = [{"message": message, "index": i, **extra, "finish_reason": end} for i in indices]
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
