"""How many tokens a picture, a film or a sound is, by the published formulas, from the head of its data.

What is not known (a picture behind a URL, a film's length) is taken at the upper estimates that the
functions state.
"""

import base64
import binascii
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from math import ceil, floor, sqrt
from typing import Any

from langchain_qwen_memory.catalogue import ModelInfo, model_info

__all__ = [
    "MARKS",
    "audio_tokens",
    "image_size",
    "image_tokens",
    "media_data",
    "picture_size",
    "video_tokens",
    "wav_seconds",
]

MARKS = 2
"""Tokens that open and close a picture or film."""

UNKNOWN_SECONDS = 60.0
"""A film or sound whose length is not known is taken to last a minute."""

FRAMES_PER_SECOND = 2.0
"""How densely the service looks at a film unless the request's fps says otherwise."""

SLOWEST_SOUND = 2_000
"""Bytes a second of compressed sound has at least (16 kbit/s): turns a size into the longest time it can
be."""

DENSEST_AUDIO = 25.0
"""Tokens per second where the catalogue has no rate: the highest of any model."""

ASSUMED_MODEL = "qwen3-vl-plus"
"""Whose picture rules count where the catalogue says that a model does not see, or does not know it."""

_MARKER = 0xFF
"""Opens each segment of a JPEG."""

_FRAME_HEADERS = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
"""The JPEG segments that hold the size."""

_HEAD = 262_144
"""Bytes of a picture that are looked at: cameras may put a preview before the size."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Box:
    """The bounds a picture is scaled into, in pixels, and the side of the square that is one token."""

    side: int
    low: float
    high: float

    def tokens(self, width: int, height: int) -> int:
        """Tokens of one picture, without its marks; a side of 0, as a broken header says, counts as 1."""
        width, height = max(1, width), max(1, height)
        tall, wide = (max(self.side, round(length / self.side) * self.side) for length in (height, width))
        if tall * wide > self.high:
            shrink = sqrt(height * width / self.high)
            tall, wide = (self._steps(floor, length / shrink) for length in (height, width))
        elif tall * wide < self.low:
            grow = sqrt(self.low / (height * width))
            tall, wide = (self._steps(ceil, length * grow) for length in (height, width))
        return tall * wide // self.side**2

    def _steps(self, rounded: Any, length: float) -> int:
        return max(1, int(rounded(length / self.side))) * self.side


def image_tokens(block: Mapping[str, Any], info: ModelInfo, *, high_resolution: bool = False) -> int:
    """Returns the tokens of one picture, its two marks included.

    Args:
        block: The content block: data in it (data URI, base64, bytes), or `width` and `height` beside a
            URL; its `min_pixels` and `max_pixels` count as the service counts them.
        info: The model; for one that does not see, the rules of Qwen3-VL.
        high_resolution: The request has vl_high_resolution_images.

    Returns:
        The exact count where the size is known; else what the largest picture costs, which no picture
        exceeds.
    """
    rules = _seeing(info)
    side = _side(rules)
    low = int(_said(block, "min_pixels") or rules.image_min_pixels)
    high = int(_said(block, "max_pixels") or rules.image_max_pixels)
    if high_resolution:
        high = rules.image_max_pixels_high
    size = _stated_size(block) or picture_size(block)
    if size is None:
        return high // side**2 + MARKS
    return _Box(side=side, low=low, high=high).tokens(*size) + MARKS


def video_tokens(block: Mapping[str, Any], info: ModelInfo) -> int:
    """Returns the tokens of one film, its two marks included.

    Args:
        block: The content block: a list of frames, or a film with `duration` (seconds), `width`, `height`
            beside it, or MP4 data; its `fps` counts.
        info: The model; for one that does not see, the rules of Qwen3-VL.

    Returns:
        By the formula where length and size are known. An unknown length counts as a minute, an unknown
        size as the largest frame.
    """
    rules = _seeing(info)
    frames = block.get("video")
    size = _stated_size(block)
    if isinstance(frames, list):
        number = len(frames)
        size = size or next(filter(None, (image_size(_decode(frame) or b"") for frame in frames)), None)
    else:
        seconds, told = _film(media_data(block, "video", "video_url") or b"")
        seconds = block.get("duration") or seconds or UNKNOWN_SECONDS
        size = size or told
        number = _frames(float(seconds), float(_said(block, "fps") or FRAMES_PER_SECOND), rules.video_max_frames)
    side, low = _side(rules), rules.video_min_pixels
    high = max(min(rules.video_max_pixels, rules.video_total_pixels / max(number, 1) * 2), floor(low * 1.05))
    if size is None:
        return ceil(number / 2) * int(high // side**2) + MARKS
    return ceil(number / 2) * _Box(side=side, low=low, high=high).tokens(*size) + MARKS


def audio_tokens(block: Mapping[str, Any], info: ModelInfo) -> int:
    """Returns the tokens of one sound: its seconds, at least one, times the model's rate, rounded up.

    The length is the block's `duration` (seconds), or read from WAV data, or the longest that compressed
    data of this size can be; a sound behind a URL counts as a minute. What the model does not hear of
    it is not counted.
    """
    seconds = block.get("duration")
    if not seconds:
        data = media_data(block, "input_audio", "audio", "audio_url")
        seconds = (wav_seconds(data) or len(data) / SLOWEST_SOUND) if data else UNKNOWN_SECONDS
    heard = min(max(1.0, float(seconds)), info.audio_max_seconds or float("inf"))
    return ceil(heard * (info.audio_tokens_per_second or DENSEST_AUDIO))


def picture_size(block: Mapping[str, Any]) -> tuple[int, int] | None:
    """Returns (width, height) in pixels of the picture whose data stand in a block, or None; only its head is read."""
    return image_size(media_data(block, "image", "image_url", most=_HEAD) or b"")


def image_size(data: bytes) -> tuple[int, int] | None:  # noqa: PLR0911 - one line a format
    """Returns (width, height) in pixels from the head of PNG, JPEG, GIF, WEBP or BMP data, or None."""
    try:
        if data[:8] == b"\x89PNG\r\n\x1a\n":
            return _pair(">II", data, 16)
        if data[:4] == b"GIF8":
            return _pair("<HH", data, 6)
        if data[:2] == b"BM":
            width, height = _pair("<ii", data, 18)
            return width, abs(height)
        if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
            return _webp_size(data)
        if data[:2] == b"\xff\xd8":
            return _jpeg_size(data)
    except (struct.error, IndexError):  # cut off before its size
        return None
    return None


def wav_seconds(data: bytes) -> float | None:
    """Returns how long WAV data lasts, from its header; None for anything else."""
    if data[:4] != b"RIFF" or data[8:12] != b"WAVE":
        return None
    at, rate = 12, 0
    while at + 8 <= len(data):
        name, size = data[at : at + 4], struct.unpack_from("<I", data, at + 4)[0]
        if name == b"fmt " and at + 20 <= len(data):
            rate = struct.unpack_from("<I", data, at + 16)[0]
        if name == b"data" and rate:
            return float(min(size, len(data) - at - 8)) / float(rate)
        at += 8 + size + size % 2
    return None


def media_data(block: Mapping[str, Any], *places: str, most: int | None = None) -> bytes | None:
    """Returns the bytes that stand in a content block, or None where it only points to them.

    Reads LangChain's `base64` and `data`, Anthropic's `source`, OpenAI's `{"image_url": {"url": ...}}` and DashScope's
    `{"image": ...}`; of base64 the first `most` bytes, where that is enough.
    """
    for place in ("base64", "data", "url", "source", *places):
        held = block.get(place)
        if isinstance(held, Mapping):
            held = held.get("url") or held.get("data")
        if held and (data := _decode(held, bare=place in {"base64", "data", "source"}, most=most)):
            return data
    return None


def _decode(held: object, *, bare: bool = False, most: int | None = None) -> bytes | None:
    if isinstance(held, bytes | bytearray):
        return bytes(held)
    if not isinstance(held, str):
        return None
    if held.startswith("data:"):
        held = held.partition(",")[2]
    elif not bare:
        return None
    try:
        return base64.b64decode(held if most is None else held[: most // 3 * 4])
    except (binascii.Error, ValueError):
        return None


def _said(block: Mapping[str, Any], name: str) -> Any:
    """What a block says of how finely it is looked at; LangChain keeps such words in `extras`."""
    extras = block.get("extras")
    return (extras.get(name) if isinstance(extras, Mapping) else None) or block.get(name)


def _stated_size(block: Mapping[str, Any]) -> tuple[int, int] | None:
    for place in (block, block.get("extras"), block.get("metadata")):
        if isinstance(place, Mapping) and place.get("width") and place.get("height"):
            return int(place["width"]), int(place["height"])
    return None


def _seeing(info: ModelInfo) -> ModelInfo:
    return info if info.vision != "none" else model_info(ASSUMED_MODEL)


def _side(info: ModelInfo) -> int:
    return 28 if info.vision == "28px" else 32


def _frames(seconds: float, fps: float, most: int) -> int:
    whole = seconds if seconds - int(seconds) > 1 / fps else int(seconds)
    return min(max(int(whole * fps), 4), most // 2 * 2)


def _pair(form: str, data: bytes, at: int) -> tuple[int, int]:
    first, second = struct.unpack_from(form, data, at)
    return int(first), int(second)


def _webp_size(data: bytes) -> tuple[int, int] | None:
    kind = data[12:16]
    if kind == b"VP8X":
        wide, tall = (int.from_bytes(data[at : at + 3], "little") + 1 for at in (24, 27))
        return wide, tall
    if kind == b"VP8L":
        bits = struct.unpack_from("<I", data, 21)[0]
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    if kind == b"VP8 ":
        wide, tall = _pair("<HH", data, 26)
        return wide & 0x3FFF, tall & 0x3FFF
    return None


def _jpeg_size(data: bytes) -> tuple[int, int] | None:
    at = 2
    while at < min(len(data), _HEAD):
        if data[at] != _MARKER:
            return None
        mark = data[at + 1]
        if mark == _MARKER:  # padding
            at += 1
            continue
        if mark in _FRAME_HEADERS:
            height, width = _pair(">HH", data, at + 5)
            return width, height
        at += 2 + int(struct.unpack_from(">H", data, at + 2)[0])
    return None


def _film(data: bytes) -> tuple[float | None, tuple[int, int] | None]:
    """Length and frame size of MP4 data, from its movie and track headers."""
    at = data.find(b"mvhd")
    if at < 0:
        return None, None
    try:
        long = data[at + 4] == 1
        scale, length = struct.unpack_from(">IQ" if long else ">II", data, at + (24 if long else 16))
        size = next(filter(all, _track_sizes(data)), None)
    except (struct.error, IndexError):
        return None, None
    return (length / scale if scale else None), size


def _track_sizes(data: bytes) -> list[tuple[int, int]]:
    sizes, at = [], data.find(b"tkhd")
    while at >= 0:
        start = at + (92 if data[at + 4] == 1 else 80)
        wide, tall = _pair(">II", data, start)
        sizes.append((wide >> 16, tall >> 16))
        at = data.find(b"tkhd", at + 4)
    return sizes
