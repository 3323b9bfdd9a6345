"""Tells which medium a content block carries, and by what name a reader knows it."""

from collections.abc import Iterator, Mapping
from typing import Any, Literal
from urllib.parse import unquote, urlsplit

__all__ = ["Medium", "findable", "media_in", "medium_of", "name_of", "noted"]

Medium = Literal["image", "video", "audio", "file"]

_KINDS: Mapping[str, Medium] = {
    "image": "image",
    "image_url": "image",
    "input_image": "image",
    "video": "video",
    "video_url": "video",
    "audio": "audio",
    "input_audio": "audio",
    "audio_url": "audio",
}
_WORDS: Mapping[Medium, tuple[str, str]] = {
    "image": ("picture", "图片"),
    "video": ("video", "视频"),
    "audio": ("audio", "音频"),
    "file": ("file", "文件"),
}
_LONGEST = 60
"""Characters of a name: a note of it stays far below what any picture costs."""
_UNSAFE = str.maketrans(dict.fromkeys("[]<>{}|\\", " "))


def medium_of(block: Any) -> Medium | None:
    """The medium of a content block in LangChain's form, OpenAI's, Anthropic's or DashScope's; None: text or no medium.

    A file of a type that is no picture, film or sound is a "file".
    """
    if not isinstance(block, Mapping):
        return None
    kind = str(block.get("type", ""))
    if kind == "file":
        return _KINDS.get(str(block.get("mime_type") or "").partition("/")[0], "file")
    if kind or "text" in block:
        return _KINDS.get(kind)
    own: tuple[Medium, ...] = ("image", "video", "audio")  # DashScope's own form has no type
    return next((medium for medium in own if medium in block), None)


def media_in(content: str | list[Any]) -> Iterator[tuple[Medium, Mapping[str, Any]]]:
    """The media in a message's content, in order."""
    if isinstance(content, str):
        return
    for block in content:
        if medium := medium_of(block):
            yield medium, block


def name_of(block: Mapping[str, Any]) -> str:
    """What a picture, film or sound is called: its name or file name, else the last part of its URL's path.

    A URL's query is left out, since signed URLs carry keys there. A name is the user's text: it comes back in one
    line of 60 characters at most, without brackets.

    Returns:
        The name, or its MIME type, or nothing.
    """
    extras = block.get("extras") if isinstance(block.get("extras"), Mapping) else {}
    assert isinstance(extras, Mapping)
    given = next((holder[key] for holder in (extras, block) for key in _NAMES if holder.get(key)), None)
    name = str(given) if given else _from_url(_url(block)) or str(block.get("mime_type") or "")
    name = " ".join("".join(mark if mark.isprintable() else " " for mark in name.translate(_UNSAFE)).split())
    return name if len(name) <= _LONGEST else f"{name[: _LONGEST - 13]}…{name[-12:]}"


_NAMES = ("name", "filename", "file_name", "title")


def _from_url(url: str) -> str:
    """The file's name in a URL; of a data URI, what it says of its type."""
    if url.startswith("data:"):
        return url[5:].partition(",")[0].partition(";")[0]
    try:
        path = urlsplit(url).path
    except ValueError:
        return ""
    return unquote(path.rstrip("/").rpartition("/")[2])


def _url(block: Mapping[str, Any]) -> str:
    """Where the medium is, as far as a URL or data URI says so."""
    for place in ("url", "image_url", "video_url", "audio_url", "input_audio", "image", "video", "audio", "source"):
        held = block.get(place)
        if isinstance(held, Mapping):
            held = held.get("url") or held.get("data")
        if isinstance(held, list):
            held = held[0] if held else None
        if isinstance(held, str) and (held.startswith("data:") or "://" in held[:16]):
            return held
    return ""


def noted(medium: Medium, block: Mapping[str, Any], *, chinese: bool = False) -> str:
    """What stands for a medium where only text can: `[picture: cat.png]`, `[图片：cat.png]`."""
    word, name = _WORDS[medium][chinese], name_of(block)
    if not name:
        return f"[{word}]"
    return f"[{word}：{name}]" if chinese else f"[{word}: {name}]"


def findable(medium: Medium, block: Mapping[str, Any]) -> str:
    """`noted` as a search finds it in either language."""
    name = name_of(block)
    return f"[{' '.join(_WORDS[medium])}{': ' if name else ''}{name}]"
