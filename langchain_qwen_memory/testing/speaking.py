"""The voice of a speaking model's stand-in: a quiet tone, as long as its words."""

import base64
import math
import struct
from collections.abc import Iterator

from langchain_qwen_memory.testing.request import ChatRequest

RATE = 24_000
"""Samples a second; each has 16 bits, lower byte first, of one channel."""

SECONDS_A_CHARACTER = 0.05
"""How long the tone lasts."""

TOKENS_A_SECOND = 12.5
"""What a second of speech costs, as the documentation says."""

PIECE = RATE
"""Bytes of samples in one event: half a second."""

_WAVE = struct.pack("<120h", *(round(800 * math.sin(2 * math.pi * at / 120)) for at in range(120)))


def wanted(request: ChatRequest) -> bool:
    """Whether the answer is to be spoken: asked for, of a model that can, and without thinking."""
    asked = request.body.get("modalities") or ()
    return "audio" in asked and "audio" in request.info.outputs and not request.thinking


def seconds(text: str) -> float:
    """How long a text is spoken."""
    return len(text) * SECONDS_A_CHARACTER


def tokens(text: str) -> int:
    """What a spoken text costs."""
    return math.ceil(seconds(text) * TOKENS_A_SECOND)


def pieces(text: str) -> Iterator[str]:
    """The samples of a spoken text in base64, half a second each."""
    size = int(seconds(text) * RATE) * 2
    samples = (_WAVE * (size // len(_WAVE) + 1))[:size]
    return (base64.b64encode(samples[at : at + PIECE]).decode() for at in range(0, size, PIECE))
