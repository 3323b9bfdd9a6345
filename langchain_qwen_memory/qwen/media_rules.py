"""Checks pictures, films and sounds before they are sent: what would be refused is said at once, with the fix."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage

from langchain_qwen_memory.catalogue import ModelInfo
from langchain_qwen_memory.counting.blocks import Medium, media_in, name_of
from langchain_qwen_memory.counting.media import picture_size
from langchain_qwen_memory.qwen.model_errors import QwenMessageError

__all__ = ["check_media", "check_protocol", "speaks"]

MOST_BYTES = 10 * 1024 * 1024
"""Bytes of one picture, film or sound as base64."""
LEAST_SIDE = 10
"""Pixels of a picture's shorter side."""
MOST_RATIO = 200
"""How many times longer than the other a side may be."""
MOST_PICTURES, MOST_ENCODED_PICTURES, MOST_FILMS = 256, 250, 64
"""In one request; fewer pictures where they are base64. qwen3.7-plus takes more by URL."""
LEAST_FRAMES = 4
"""Of a film given as a list of pictures."""
MANY_PICTURES: Mapping[str, int] = {"qwen3.7-plus": 2_048}
"""Pictures by URL, where a family takes more of them."""

ONE_MEDIUM = frozenset({"qwen-omni-turbo", "qwen2.5-omni-7b", "qwen3-omni-flash"})
"""Families whose user messages hold text and one other medium; later ones mix them."""
DEAF_TO_SYSTEM = frozenset({"qwen-omni-turbo", "qwen2.5-omni-7b"})
"""Families that do not read the system message when they speak."""

_TAKES = {"image": "qwen3.7-plus", "video": "qwen3.7-plus", "audio": "qwen3.8-omni-flash", "text": "qwen-plus"}
_SPEAKER = "qwen3-omni-flash"


def speaks(params: Mapping[str, Any]) -> bool:
    """Whether a request asks for a spoken answer."""
    return "audio" in (params.get("modalities") or ())


def check_protocol(info: ModelInfo) -> None:
    """Refuses, over the compatible protocol, a model that the service does not serve by it.

    Raises:
        ValueError: With the class to write instead, and a model that takes the same.
    """
    if info.native_only:
        medium = next((each for each in ("audio", "image") if each in info.inputs), "text")
        raise ValueError(
            f"{info.name} is served by DashScope's own protocol only: write ChatDashScope(model={info.name!r}), with "
            f"the same options, instead of ChatQwen. Or take model={_TAKES[medium]!r}, which takes {medium} over both."
        )


def check_media(messages: Sequence[BaseMessage], info: ModelInfo, params: Mapping[str, Any]) -> None:
    """Refuses what the service does not take of this model: for the service only, and for models that are known.

    Args:
        messages: The conversation.
        info: The model.
        params: OpenAI's parameters, `modalities` among them.

    Raises:
        QwenMessageError: What was given, what is taken, and what to write instead.
        ValueError: The same of an option, as of a voice.
    """
    if not info.known:
        return
    _check_turns(messages, info)
    if speaks(params):
        _check_speech(messages, info, params)
    found = [(message, list(media_in(message.content))) for message in messages if not isinstance(message, AIMessage)]
    for message, media in found:
        _check_kinds(message, media, info)
        for medium, block in media:
            _check_size(medium, block)
    _check_number([each for _, media in found for each in media], info)


def _check_turns(messages: Sequence[BaseMessage], info: ModelInfo) -> None:
    asked = sum(isinstance(message, HumanMessage) for message in messages)
    if not info.multi_turn and (asked > 1 or any(isinstance(message, AIMessage) for message in messages)):
        medium = next((each for each in ("audio", "image") if each in info.inputs), "text")
        raise QwenMessageError(
            f"{info.name} takes one user message a call, and {len(messages)} messages of a conversation were given. "
            f"Send the newest one alone, or take model={_TAKES[medium]!r} for a conversation."
        )
    if "text" in info.inputs:
        return
    words = any(str(message.text).strip() for message in messages)
    if words or any(isinstance(message, SystemMessage) for message in messages):
        raise QwenMessageError(
            f"{info.name} takes {', '.join(sorted(info.inputs))} and no words: send one user message with nothing but "
            f"that, or take model={_TAKES['audio']!r} to ask about it."
        )


def _check_speech(messages: Sequence[BaseMessage], info: ModelInfo, params: Mapping[str, Any]) -> None:
    if "audio" not in info.outputs:
        raise ValueError(
            f"modalities={list(params['modalities'])}: {info.name} does not speak. "
            f'Write modalities=["text"], or take model={_SPEAKER!r}.'
        )
    if not (params.get("audio") or {}).get("voice"):
        raise ValueError(
            'modalities has "audio" and no voice was given: add audio={"voice": "Cherry", "format": "wav"}, '
            f"with a voice that {info.name} has."
        )
    if info.family in DEAF_TO_SYSTEM and any(isinstance(message, SystemMessage) for message in messages):
        raise ValueError(
            f"{info.name} does not read the system message when it speaks, so what stands there (a memory's summary, "
            f'too) would be lost. Write modalities=["text"], leave the message out, or take model={_SPEAKER!r}.'
        )


def _check_kinds(message: BaseMessage, media: Sequence[tuple[Medium, Any]], info: ModelInfo) -> None:
    kinds = {medium for medium, _ in media if medium != "file"}
    for medium in sorted(kinds - info.inputs):
        taken = ", ".join(sorted(info.inputs))
        raise QwenMessageError(
            f"The {message.type} message holds {medium}, and {info.name} takes {taken}. "
            f"Take model={_TAKES[medium]!r}, or leave the {medium} out."
        )
    if info.family in ONE_MEDIUM and isinstance(message, HumanMessage) and len(kinds) > 1:
        raise QwenMessageError(
            f"A user message holds {' and '.join(sorted(kinds))}, and {info.name} takes text and one other medium in "
            "each. Send them in messages of their own, or take model='qwen3.8-omni-flash', which mixes them."
        )


def _check_size(medium: Medium, block: Mapping[str, Any]) -> None:
    frames = block.get("video")
    if medium == "video" and isinstance(frames, list) and len(frames) < LEAST_FRAMES:
        raise QwenMessageError(
            f"A film of {len(frames)} frames: the service takes {LEAST_FRAMES} at least. Send pictures."
        )
    for length in _encoded(block):
        if length > MOST_BYTES:
            raise QwenMessageError(
                f"{_shown(medium, block)} is {length / 2**20:.1f} MB as base64, and the service takes "
                f"{MOST_BYTES // 2**20} MB. Make it smaller, or put it where the service can fetch it and give its URL."
            )
    size = picture_size(block) if medium == "image" else None
    if size is None:
        return
    short, long = min(size), max(size)
    if short < LEAST_SIDE or long > MOST_RATIO * short:
        raise QwenMessageError(
            f"{_shown(medium, block)} is {size[0]} x {size[1]} pixels; the service takes sides of {LEAST_SIDE} pixels "
            f"or more, the longer one at most {MOST_RATIO} times the shorter. Scale or crop it."
        )


def _shown(medium: Medium, block: Mapping[str, Any]) -> str:
    name = name_of(block)
    return f"The {medium} {name!r}" if name else f"The {medium}"


def _encoded(block: Mapping[str, Any]) -> Iterator[int]:
    """How long the data are that stand in a block, as they are counted: as base64, without a data URI's head."""
    for place in ("base64", "data", "url", "source", "image_url", "video_url", "audio_url", "input_audio", "image"):
        held = block.get(place)
        if isinstance(held, Mapping):
            held = held.get("data") or held.get("url")
        if isinstance(held, bytes | bytearray):
            yield (len(held) + 2) // 3 * 4
        elif isinstance(held, str) and held.startswith("data:"):
            yield len(held) - held.find(",") - 1
        elif isinstance(held, str) and "://" not in held[:16]:
            yield len(held)


def _check_number(media: Sequence[tuple[Medium, Mapping[str, Any]]], info: ModelInfo) -> None:
    if info.vision == "none":
        return
    found = Counter(medium for medium, _ in media)
    encoded = sum(medium == "image" and any(True for _ in _encoded(block)) for medium, block in media)
    for number, most, what in (
        (found["image"], MANY_PICTURES.get(info.family, MOST_PICTURES), "pictures"),
        (encoded, MOST_ENCODED_PICTURES, "pictures as base64"),
        (found["video"], MOST_FILMS, "films"),
    ):
        if number > most:
            raise QwenMessageError(
                f"{number} {what} in one request: {info.name} takes {most}. Send fewer, or let a memory fold old turns."
            )
