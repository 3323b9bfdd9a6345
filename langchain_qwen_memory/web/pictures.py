"""Pictures on their way from the browser into a message, and from a message back into the page."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

_KINDS = {"PNG": "png", "JPEG": "jpeg", "WEBP": "webp", "BMP": "bmp", "TIFF": "tiff"}
"""What Qwen's models take of what Pillow can read; by content, whatever a file is called."""
_DATA = "data:image/"


class NotAPictureError(ValueError):
    """The file is none that a model takes; the text is its name."""


def block_of(path: str) -> dict[str, Any]:
    """An uploaded file as a block of a message; the picture travels inside it, so that the thread is whole by itself.

    Raises:
        NotAPictureError: It is no picture, or of a kind that no model takes.
    """
    kind = _kind(path)
    data = base64.b64encode(Path(path).read_bytes()).decode()
    return {"type": "image_url", "image_url": {"url": f"{_DATA}{kind};base64,{data}"}}


def _kind(path: str) -> str:
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(path) as picture:
            picture.verify()
            return _KINDS[picture.format or ""]
    except (UnidentifiedImageError, OSError, KeyError, SyntaxError, ValueError, Image.DecompressionBombError):
        raise NotAPictureError(Path(path).name) from None


def content_of(text: str, files: Sequence[str]) -> str | list[Any]:
    """A question as a message's content: its pictures first, as the models were trained to read them.

    Raises:
        NotAPictureError: One of the files is none.
    """
    blocks = [block_of(path) for path in files]
    if not blocks:
        return text
    return [*blocks, {"type": "text", "text": text}] if text else blocks


def reworded(content: Any, text: str) -> str | list[Any]:
    """The same content in other words; its pictures stay."""
    if isinstance(content, str):
        return text
    kept = [block for block in content if not (isinstance(block, Mapping) and block.get("type") == "text")]
    return [*kept, {"type": "text", "text": text}] if kept else text


def cached_files(content: Any, folder: str) -> list[str]:
    """The pictures inside a message, as files that Gradio serves.

    Args:
        content: Of a message, from wherever: pictures behind an address are not fetched.
        folder: Gradio's cache of this process.
    """
    if isinstance(content, str):
        return []
    return [path for block in content if (path := _cached(block, folder)) is not None]


def _cached(block: Any, folder: str) -> str | None:
    from gradio.processing_utils import save_bytes_to_cache

    image = block.get("image_url") if isinstance(block, Mapping) else None
    url = image.get("url") if isinstance(image, Mapping) else image
    if not isinstance(url, str) or not url.startswith(_DATA):
        return None
    head, _, body = url.removeprefix(_DATA).partition(";base64,")
    if head not in _KINDS.values():
        return None
    try:
        data = base64.b64decode(body, validate=True)
    except (binascii.Error, ValueError):
        return None
    return str(save_bytes_to_cache(data, f"picture.{head}", folder))
