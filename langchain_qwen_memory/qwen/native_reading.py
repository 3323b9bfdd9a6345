"""Reads what DashScope's own protocol answers into the compatible protocol's form, for which there is one reader."""

from collections.abc import Mapping
from typing import Any

from langchain_qwen_memory.qwen.reading import UnreadableError

__all__ = ["compatible_body"]

_UNFINISHED = "null"
"""What the service writes, as a text, for a reason to stop that is not there yet."""


def compatible_body(body: Mapping[str, Any], *, model: str, part: str) -> dict[str, Any]:
    """Returns an answer, whole or an event of a stream, as the compatible protocol would have it.

    Args:
        body: What came.
        model: The model that was asked; answers do not name it.
        part: Where the answer's message stands: "message" of a whole one, "delta" of an event.

    Raises:
        UnreadableError: If it is of no form that is known.
    """
    output = body.get("output")
    if not isinstance(output, Mapping):
        raise UnreadableError(f"no output in {str(body)[:200]}")
    written = [_choice(choice, place, part) for place, choice in enumerate(_choices(output))]
    found = output.get("search_info")
    return {
        "id": body.get("request_id"),
        "model": body.get("model") or model,
        "choices": written,
        "usage": _usage(body.get("usage") or {}),
        **({"search_info": found} if isinstance(found, Mapping) else {}),
    }


def _choices(output: Mapping[str, Any]) -> list[Any]:
    if choices := output.get("choices"):
        return list(choices)
    text = output.get("text")
    return [] if text is None else [{"message": {"content": text}, "finish_reason": output.get("finish_reason")}]


def _choice(choice: Any, place: int, part: str) -> dict[str, Any]:
    if not isinstance(choice, Mapping):
        raise UnreadableError(f"a choice that is no object: {str(choice)[:200]}")
    said, reason = choice.get("message") or choice.get("delta") or {}, choice.get("finish_reason")
    return {
        "index": choice.get("index", place),
        "finish_reason": None if reason == _UNFINISHED else reason,
        part: _message(said),
        "logprobs": choice.get("logprobs"),
    }


def _message(said: Any) -> dict[str, Any]:
    if not isinstance(said, Mapping):
        raise UnreadableError(f"a message that is no object: {str(said)[:200]}")
    content = said.get("content")
    if not isinstance(content, list):
        return dict(said)
    parts = [part for part in content if isinstance(part, Mapping)]
    text = "".join(part if isinstance(part, str) else part.get("text") or "" for part in content)
    beside = {key: value for part in parts for key, value in part.items() if key != "text"}
    return {**said, "content": text, **({"audio": beside.pop("audio")} if "audio" in beside else {}), "beside": beside}


def _usage(usage: Mapping[str, Any]) -> dict[str, Any]:
    """Token counts under the compatible protocol's names, beside the service's own."""
    if not usage:
        return {}
    of_input = {**(usage.get("input_tokens_details") or {}), **(usage.get("prompt_tokens_details") or {})}
    if "audio_tokens" in usage:
        of_input.setdefault("audio_tokens", usage["audio_tokens"])
    return {
        **usage,
        "prompt_tokens": usage.get("input_tokens"),
        "completion_tokens": usage.get("output_tokens"),
        "prompt_tokens_details": of_input,
        "completion_tokens_details": usage.get("output_tokens_details") or {},
    }
