"""Makes a file that plays out of the samples that a speaking model streams."""

import base64
import re
import struct
from functools import lru_cache

__all__ = ["BYTES_A_SAMPLE", "SAMPLES_A_SECOND", "as_wav", "samples_of"]

SAMPLES_A_SECOND = 24_000
"""Of one channel."""
BYTES_A_SAMPLE = 2
"""A sample is a signed number of 16 bits, lower byte first."""

_PIECE = re.compile(r"[^=]+={0,2}")


def samples_of(data: str) -> bytes:
    """The samples in base64; pieces that were padded one by one are read one by one."""
    return b"".join(base64.b64decode(piece + "=" * (-len(piece) % 4)) for piece in _PIECE.findall(data))


@lru_cache(maxsize=8)
def as_wav(data: str) -> str:
    """Base64 of a WAV file with the samples that `data` holds as base64; data that are a file already stay so."""
    samples = samples_of(data)
    if samples[:4] == b"RIFF":
        return data
    rate = SAMPLES_A_SECOND * BYTES_A_SAMPLE
    form = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 1, SAMPLES_A_SECOND, rate, BYTES_A_SAMPLE, 8 * BYTES_A_SAMPLE)
    body = b"WAVE" + form + struct.pack("<4sI", b"data", len(samples)) + samples
    return base64.b64encode(struct.pack("<4sI", b"RIFF", len(body)) + body).decode()
