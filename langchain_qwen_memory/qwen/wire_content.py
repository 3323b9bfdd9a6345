"""Writes a message's content as Qwen servers take it: text, pictures, films and sounds."""

import base64
from collections.abc import Callable
from typing import Any

from langchain_qwen_memory.counting.templates import UNSENT
from langchain_qwen_memory.qwen.model_errors import QwenMessageError

__all__ = ["plain_text", "wire_content"]

_TAKEN = "text, image, video and audio blocks, by URL, data URI, base64 or bytes; files by media_block(path)"


def wire_content(content: str | list[str | dict[str, Any]], *, raw_audio: bool = False) -> str | list[dict[str, Any]]:
    """Writes content; text alone becomes one string, which models without eyes and ears insist on.

    Args:
        content: A message's content: a string, or blocks in LangChain's standard form, OpenAI's or Anthropic's.
        raw_audio: The server takes audio as OpenAI does, base64 without a data URI (self-hosted ones).

    Raises:
        ValueError: If a block is of a kind that Qwen cannot be sent, or says too little.
    """
    if isinstance(content, str):
        return _sendable(content)
    blocks = [{"type": "text", "text": block} if isinstance(block, str) else block for block in content]
    parts = [_part(block, raw_audio=raw_audio) for block in blocks if block.get("type") not in UNSENT]
    if all(part.keys() == {"type", "text"} for part in parts):
        return "".join(part["text"] for part in parts)
    return parts


def _sendable(text: str) -> str:
    """The text as UTF-8 can carry it: an emoji that came in two halves is joined, a lone half becomes a mark."""
    return text if text.isascii() else text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def plain_text(content: str | list[dict[str, Any]]) -> str:
    """Returns the text in content that was written for the wire."""
    return content if isinstance(content, str) else "".join(part.get("text", "") for part in content)


def _part(block: dict[str, Any], *, raw_audio: bool) -> dict[str, Any]:
    kind = block.get("type")
    write = _WRITERS.get(str(kind))
    if write is None:
        raise QwenMessageError(f"A content block of type {kind!r} cannot be sent to Qwen: give {_TAKEN}.")
    if kind in {"audio", "input_audio"} and raw_audio:
        return _open_audio(block)
    try:
        part = write(block)
    except (KeyError, TypeError, AttributeError) as error:
        text = f"A content block of type {kind!r} lacks {error}: {sorted(block)} is what it has."
        raise QwenMessageError(text) from error
    extras = block.get("extras") or {}
    kept = {key: extras.get(key, block.get(key)) for key in _KEPT if key in extras or key in block}
    return part | kept


_KEPT = ("cache_control", "min_pixels", "max_pixels", "fps", "total_pixels", "max_frames")
"""Beside the medium itself: where the explicit cache ends, and how finely it is looked at."""


def _text(block: dict[str, Any]) -> dict[str, Any]:
    return {"type": "text", "text": _sendable(str(block.get("text") or block.get("refusal") or ""))}


def _fetched(url: str) -> str:
    """The URL, unless it names a file of this machine: message text is no place from which files may be opened."""
    if url.startswith("file:"):
        raise QwenMessageError(
            f"{url!r} is a file of this machine, which the service cannot fetch and this package does not open for a "
            "message. Read it yourself: from langchain_qwen_memory.media import media_block; media_block(path)."
        )
    return url


def _held(given: str | dict[str, Any]) -> dict[str, Any]:
    held = {"url": given} if isinstance(given, str) else given
    _fetched(held["url"])
    return held


def _image(block: dict[str, Any]) -> dict[str, Any]:
    return {"type": "image_url", "image_url": {"url": _uri(block, "image")}}


def _image_url(block: dict[str, Any]) -> dict[str, Any]:
    return {"type": "image_url", "image_url": _held(block["image_url"])}


def _video(block: dict[str, Any]) -> dict[str, Any]:
    if isinstance(block.get("video"), list):
        return {"type": "video", "video": [_fetched(frame) for frame in block["video"]]}  # a film as its frames
    return {"type": "video_url", "video_url": {"url": _uri(block, "video")}}


def _video_url(block: dict[str, Any]) -> dict[str, Any]:
    return {"type": "video_url", "video_url": _held(block["video_url"])}


def _audio(block: dict[str, Any]) -> dict[str, Any]:
    data, sound_format = _sound(block)
    uri = data if _is_reference(data) else f"data:;base64,{data}"
    return {
        "type": "input_audio",
        "input_audio": {"data": uri} | ({"format": sound_format} if sound_format else {}),
    }


def _open_audio(block: dict[str, Any]) -> dict[str, Any]:
    data, sound_format = _sound(block)
    if data.startswith(("http://", "https://")):
        return {"type": "audio_url", "audio_url": {"url": data}}
    return {
        "type": "input_audio",
        "input_audio": {"data": data.rpartition(",")[2], "format": sound_format or "wav"},
    }


def _sound(block: dict[str, Any]) -> tuple[str, str]:
    """Returns a URL, a data URI or plain base64, and the format, empty if it is not said."""
    if block.get("type") == "input_audio":
        given = block["input_audio"]
        return _fetched(given["data"]), given.get("format") or ""
    mime = block.get("mime_type") or ""
    sound_format = {"mpeg": "mp3", "x-wav": "wav", "wave": "wav"}.get(mime.rpartition("/")[2], mime.rpartition("/")[2])
    return _reference(block) or _base64(block, "audio"), sound_format


def _file(block: dict[str, Any]) -> dict[str, Any]:
    mime = block.get("mime_type") or ""
    medium = mime.partition("/")[0]
    if medium in {"image", "video", "audio"}:
        return _WRITERS[medium]({**block, "type": medium})
    raise QwenMessageError(f"A file of type {mime or 'unknown'} cannot be sent to a chat model of Qwen: give {_TAKEN}.")


def _uri(block: dict[str, Any], medium: str) -> str:
    """Returns a block's URL, or its bytes as a data URI."""
    if reference := _reference(block):
        return reference
    data, mime = (
        _base64(block, medium),
        block.get("mime_type") or (block.get("source") or {}).get("media_type"),
    )
    if _is_reference(data):
        return data
    if not mime:
        raise QwenMessageError(f"The {medium} block has bytes but no mime_type: add mime_type='{medium}/...' to it.")
    return f"data:{mime};base64,{data}"


def _reference(block: dict[str, Any]) -> str | None:
    url = block.get("url") or (block.get("source") or {}).get("url")
    given = block.get(str(block.get("type")))
    found = url or (
        given if isinstance(given, str) else None
    )  # {"type": "image", "image": url} is DashScope's own form
    return found and _fetched(str(found))


def _base64(block: dict[str, Any], medium: str) -> str:
    data = block.get("base64") or block.get("data") or (block.get("source") or {}).get("data")
    if isinstance(data, bytes | bytearray):
        return base64.b64encode(data).decode()
    if not isinstance(data, str):
        raise QwenMessageError(
            f"The {medium} block has none of url, base64 and data (keys: {', '.join(sorted(block))}): "
            f"give one. Ids of uploaded files are not taken by Qwen's chat models."
        )
    return data


def _is_reference(data: str) -> bool:
    return data.startswith(("data:", "http://", "https://", "oss://"))


_WRITERS: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
    "text": _text,
    "text-plain": _text,
    "refusal": _text,
    "image": _image,
    "image_url": _image_url,
    "video": _video,
    "video_url": _video_url,
    "audio": _audio,
    "input_audio": _audio,
    "file": _file,
}
