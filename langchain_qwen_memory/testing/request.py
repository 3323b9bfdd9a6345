"""Reads the JSON body of a chat request into plain values, before any rule is applied to it."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from langchain_qwen_memory.catalogue import ModelInfo
from langchain_qwen_memory.testing.refusals import invalid

MEDIA = {
    "image_url": "image",
    "image": "image",
    "input_audio": "audio",
    "audio": "audio",
    "video_url": "video",
    "video": "video",
}
"""The type of a content part -> what it carries."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Said:
    """One message, as the stand-in reads it."""

    role: str
    """system, user, assistant or tool."""
    text: str
    """All text parts, one a line."""
    media: tuple[str, ...] = ()
    """What else it carries: "image", "audio", "video", one entry for each."""
    calls: tuple[str, ...] = ()
    """Names of the tools it calls."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ChatRequest:
    """A chat request; `body` holds what has no field here."""

    body: Mapping[str, Any]
    """The parsed body."""
    model: str
    """The model's name as it was sent."""
    info: ModelInfo
    """What the catalogue knows of it."""
    said: tuple[Said, ...]
    """The messages."""
    stream: bool
    """Whether the answer is to be streamed."""
    thinking: bool
    """Whether the model thinks in this answer."""
    tools: tuple[Mapping[str, Any], ...]
    """The functions bound: name, description, parameters."""

    @property
    def messages(self) -> list[dict[str, Any]]:
        """The messages as they were sent."""
        return list(self.body["messages"])

    @property
    def include_usage(self) -> bool:
        """Whether a closing chunk with the usage was asked for."""
        return bool((self.body.get("stream_options") or {}).get("include_usage"))

    @property
    def format(self) -> str:
        """The kind of answer asked for: text, json_object or json_schema."""
        return str((self.body.get("response_format") or {}).get("type", "text"))


def parse_json(raw: bytes) -> dict[str, Any]:
    """The body as a dict.

    Raises:
        Refusal: It is no JSON object.
    """
    try:
        body = json.loads(raw)
    except ValueError:
        body = None
    if not isinstance(body, dict):
        raise invalid("Required body invalid, please check the request body format.")
    return body


def said(message: Mapping[str, Any]) -> Said:
    """Reads one message, whether its content is a text or a list of parts."""
    content = message.get("content")
    parts = content if isinstance(content, list) else [{"type": "text", "text": content or ""}]
    parts = [part for part in parts if isinstance(part, dict)]
    return Said(
        role=str(message.get("role")),
        text="\n".join(str(part["text"]) for part in parts if part.get("text")),
        media=tuple(MEDIA[part["type"]] for part in parts if part.get("type") in MEDIA),
        calls=tuple(str(call["function"]["name"]) for call in message.get("tool_calls") or ()),
    )


def thinks(body: Mapping[str, Any], rule: str) -> bool:
    """Whether the model thinks: by the request where the catalogue's rule lets it choose."""
    asked = body.get("enable_thinking")
    if asked is None and body.get("reasoning_effort") is not None:
        asked = body["reasoning_effort"] != "none"
    if rule in ("never", "always"):
        return rule == "always"
    return rule == "by_default" if asked is None else bool(asked)
