"""Tiny pictures and sounds, made where a test needs them."""

import base64
import struct
import zlib


def png(width=640, height=480, *, noise=0):
    """A whole PNG picture of one grey, with `noise` bytes in it that nothing can make smaller."""
    import random

    rows = (b"\0" + b"\x80" * width) * height
    chunks = _chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    chunks += _chunk(b"noIs", random.Random(noise).randbytes(noise)) if noise else b""
    return b"\x89PNG\r\n\x1a\n" + chunks + _chunk(b"IDAT", zlib.compress(rows)) + _chunk(b"IEND", b"")


def _chunk(kind, data):
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def wav(seconds=2.0, *, rate=8_000):
    """A WAV file of silence."""
    samples = bytes(int(seconds * rate) * 2)
    form = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 1, rate, rate * 2, 2, 16)
    body = b"WAVE" + form + struct.pack("<4sI", b"data", len(samples)) + samples
    return struct.pack("<4sI", b"RIFF", len(body)) + body


def picture(width=640, height=480, *, name="cat.png", noise=0):
    """A picture as LangChain's standard block."""
    encoded = base64.b64encode(png(width, height, noise=noise)).decode()
    block = {"type": "image", "base64": encoded, "mime_type": "image/png"}
    return {**block, "extras": {"name": name}} if name else block


def sound(seconds=2.0):
    """A sound as LangChain's standard block."""
    return {"type": "audio", "base64": base64.b64encode(wav(seconds)).decode(), "mime_type": "audio/wav"}
