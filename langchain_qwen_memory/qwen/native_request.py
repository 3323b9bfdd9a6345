"""Writes a request as DashScope's own protocol has it, from the one that the compatible protocol is sent."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from langchain_qwen_memory.catalogue import model_info

__all__ = ["NativeRequest", "is_multimodal", "native_messages", "native_request"]

_MEDIA = ("image", "video", "audio")
_STREAM_ONLY = ("stream", "stream_options")
"""What is said in headers here, not in the body."""


@dataclass(frozen=True, kw_only=True, slots=True)
class NativeRequest:
    """What a request says, before it is known whether it is asked for whole or as a stream."""

    model: str
    """The model."""
    messages: list[dict[str, Any]]
    """The conversation, in this protocol's form."""
    input: dict[str, Any]
    """What stands beside the messages: `input` of `extra_body`."""
    parameters: dict[str, Any]
    """All else; it is the service's word for options."""
    multimodal: bool
    """It goes to multimodal generation, not to text generation."""

    @property
    def resolves_uploads(self) -> bool:
        """Whether a picture, film or sound is named by its place in the service's own store."""
        return any(str(medium).startswith("oss://") for medium in self._media())

    def _media(self) -> Iterator[Any]:
        parts = [part for one in self.messages if isinstance(one["content"], list) for part in one["content"]]
        for given in (part[kind] for part in parts for kind in _MEDIA if kind in part):
            yield from given if isinstance(given, list) else [given]


def is_multimodal(model: str, messages: Sequence[Mapping[str, Any]]) -> bool:
    """Whether a request goes to multimodal generation.

    The catalogue says it of models it knows: one that sees or hears is served there only, be it asked in text alone.
    Of any other model the messages say it.
    """
    info = model_info(model)
    if info.known:
        return info.inputs != {"text"}
    return any(
        part.get("type") != "text" for one in messages if isinstance(one["content"], list) for part in one["content"]
    )


def native_request(body: Mapping[str, Any], *, multimodal: bool | None = None) -> NativeRequest:
    """Writes a request.

    Args:
        body: The compatible protocol's body. `parameters` and `input` in it, which come from `extra_body`, are merged
            into this protocol's own.
        multimodal: Which of the two ways it goes; None: `is_multimodal` says.
    """
    rest = {key: value for key, value in body.items() if key not in _STREAM_ONLY}
    model, messages = rest.pop("model"), rest.pop("messages")
    beside, parameters = rest.pop("input", None) or {}, rest.pop("parameters", None) or {}
    chosen = is_multimodal(model, messages) if multimodal is None else multimodal
    return NativeRequest(
        model=model,
        messages=native_messages(messages, multimodal=chosen),
        input=beside,
        parameters={"result_format": "message", **rest, **parameters},
        multimodal=chosen,
    )


def native_messages(messages: Sequence[Mapping[str, Any]], *, multimodal: bool) -> list[dict[str, Any]]:
    """Writes messages that were written for the compatible protocol.

    Multimodal generation takes lists of parts only, for every role; text generation takes plain text, and parts where
    a mark of the explicit cache stands on one.
    """
    return [{**one, "content": _content(one["content"], multimodal=multimodal)} for one in messages]


def _content(content: str | list[dict[str, Any]] | None, *, multimodal: bool) -> str | list[dict[str, Any]]:
    if isinstance(content, list):
        return [_part(part) for part in content]
    if not multimodal:
        return content or ""
    return [{"text": content}] if content else []


def _part(part: dict[str, Any]) -> dict[str, Any]:
    """One part: here its key says what it is."""
    kind = str(part.get("type"))
    given = part.get(kind)
    beside = {key: value for key, value in part.items() if key not in {"type", kind}}
    if kind in {"image_url", "video_url"} and isinstance(given, dict):
        return {kind.removesuffix("_url"): given["url"], **beside}
    if kind == "input_audio" and isinstance(given, dict):
        return {"audio": _sound(given), **beside}
    return {kind: given, **beside} if kind in part else part


def _sound(given: Mapping[str, Any]) -> str:
    """A sound's URL, or a data URI that names its type, which the compatible protocol says beside it."""
    data = str(given["data"])
    untyped = "data:;base64,"
    if not data.startswith(untyped):
        return data
    kind = given.get("format") or "wav"
    return f"data:audio/{kind};base64,{data[len(untyped) :]}" if data.startswith(untyped) else data
