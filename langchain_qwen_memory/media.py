"""Pictures, films and sounds from files and bytes, as the content blocks that LangChain knows."""

import base64
import mimetypes
from os import PathLike
from pathlib import Path
from typing import Any

__all__ = ["media_block"]

_TYPES = {".webp": "image/webp", ".heic": "image/heic", ".mkv": "video/x-matroska", ".amr": "audio/amr"}
"""What the machine's own table of file types may lack."""
_HEADS = {
    b"\x89PNG\r\n\x1a\n": "image/png",
    b"\xff\xd8\xff": "image/jpeg",
    b"GIF8": "image/gif",
    b"BM": "image/bmp",
    b"ID3": "audio/mpeg",
    b"fLaC": "audio/flac",
    b"OggS": "audio/ogg",
    b"\x1aE\xdf\xa3": "video/x-matroska",
}
"""How data of a type begin."""


def media_block(
    source: str | PathLike[str] | bytes, *, mime_type: str | None = None, name: str | None = None
) -> dict[str, Any]:
    """Makes a content block of a picture, a film or a sound in a file or in memory.

    A file is opened here and now, by your own call: a message that says `file://...` is never followed, since
    messages come from users. What the service takes (size, pixels) is checked when the message is sent.

    Args:
        source: A path, or the bytes themselves.
        mime_type: What it is; known from the data's first bytes or the file's name where it is not said.
        name: What it is called in summaries and quotes, `[picture: cat.png]`; a file's own name if not given.

    Returns:
        A standard block of LangChain: `{"type": "image", "base64": ..., "mime_type": ..., "extras": {"name": ...}}`.

    Raises:
        OSError: The file cannot be read.
        ValueError: It is no picture, film or sound.

    Example:
        ```python
        from langchain_qwen_memory.media import media_block

        graph.invoke({"messages": [HumanMessage([media_block("cat.png"), {"type": "text", "text": "图里是什么？"}])]})
        ```
    """
    if isinstance(source, bytes):
        data, path = source, None
    else:
        path = Path(source)
        data = path.read_bytes()
    mime = mime_type or _type_of(data) or (_type_by_name(path) if path else None)
    medium = (mime or "").partition("/")[0]
    if medium not in {"image", "video", "audio"}:
        given = path.name if path else f"{len(data):,} bytes"
        raise ValueError(
            f"{given} is {mime or 'of an unknown type'}, and no picture, film or sound: "
            'give mime_type="image/png" or what it is.'
        )
    block = {"type": medium, "base64": base64.b64encode(data).decode(), "mime_type": mime}
    name = name or (path.name if path else None)
    return {**block, "extras": {"name": name}} if name else block


def _type_of(data: bytes) -> str | None:
    """The type that the first bytes tell."""
    if data[:4] == b"RIFF":
        return {b"WEBP": "image/webp", b"WAVE": "audio/wav", b"AVI ": "video/x-msvideo"}.get(data[8:12])
    if data[4:8] == b"ftyp":
        return "audio/mp4" if data[8:11] == b"M4A" else "image/heic" if data[8:11] == b"hei" else "video/mp4"
    return next((mime for head, mime in _HEADS.items() if data.startswith(head)), None)


def _type_by_name(path: Path) -> str | None:
    return _TYPES.get(path.suffix.lower()) or mimetypes.guess_type(path.name)[0]
