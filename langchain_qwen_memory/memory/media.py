"""What stands for pictures, films and sounds where a reader takes text only: summaries, quotes, other models."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from langchain_core.messages import BaseMessage

from langchain_qwen_memory.catalogue import model_info
from langchain_qwen_memory.counting.blocks import media_in, medium_of, name_of, noted
from langchain_qwen_memory.memory.text import is_chinese, said

MEDIA: frozenset[str] = frozenset({"image", "video", "audio", "file"})
"""Everything that is not text."""
_MOST_NAMED = 20
"""Names that an instruction lists at most."""

_ASKED_ZH = "对话里的每个图片、视频、音频，在摘要中各用一句话写明内容{names}。"
_ASKED_EN = "For each picture, video and sound in the conversation{names}, write one short sentence on what it shows. "


def without_media(message: BaseMessage, readable: Iterable[str] = ()) -> BaseMessage:
    """The message with a note, `[picture: cat.png]`, in place of each medium that is not `readable`."""
    if isinstance(message.content, str):
        return message
    kept, chinese = frozenset(readable), is_chinese(said(message))
    content = [_block(block, kept, chinese=chinese) for block in message.content]
    if all(new is old for new, old in zip(content, message.content, strict=True)):
        return message
    return message.model_copy(update={"content": content})


def _block(block: Any, readable: frozenset[str], *, chinese: bool) -> Any:
    medium = medium_of(block)
    if medium is None or medium in readable:
        return block
    return {"type": "text", "text": noted(medium, block, chinese=chinese)}


def said_with_media(message: BaseMessage) -> str:
    """A message's words, and a note for each medium: how a recalled turn is quoted, never its bytes."""
    words, media = said(message), list(media_in(message.content))
    if not media:
        return words
    chinese = is_chinese(words)
    notes = " ".join(noted(medium, block, chinese=chinese) for medium, block in media)
    return f"{notes} {words}".strip()


def describing(messages: Iterable[BaseMessage], *, chinese: bool) -> str:
    """What a summariser is told of the media that it folds; nothing where there are none.

    The media stand in the conversation without their names, as the chat sent them, so that the provider finds them
    in its cache; the names are listed here in the same order.
    """
    found = [each for message in messages for each in media_in(message.content)]
    if not found:
        return ""
    listed = [name_of(block) or noted(medium, block, chinese=chinese) for medium, block in found[:_MOST_NAMED]]
    if chinese:
        return _ASKED_ZH.format(names=f"（依次为：{'、'.join(listed)}，写时带上名称）")
    return _ASKED_EN.format(names=f" (in order: {', '.join(listed)}; name them so)")


def reads(model: Any, name: str = "") -> frozenset[str]:
    """The media that a chat model takes in, by the catalogue, else by its own `profile`; text only if neither knows.

    Args:
        model: A chat model, alone or bound.
        name: Its name, where that is not the model's own.
    """
    while hasattr(model, "bound"):
        model = model.bound
    info = model_info(name or str(getattr(model, "model_name", None) or getattr(model, "model", None) or ""))
    if info.known:
        return info.inputs & MEDIA
    profile = getattr(model, "profile", None)
    profile = profile if isinstance(profile, Mapping) else {}
    named = {"file": "pdf_inputs", **{medium: f"{medium}_inputs" for medium in ("image", "video", "audio")}}
    return frozenset(medium for medium, name in named.items() if profile.get(name))


def readable_view(messages: Sequence[BaseMessage], readable: Iterable[str]) -> list[BaseMessage]:
    """The messages for a model that reads only some media: notes in earlier turns, the newest question as it is.

    A thread can so go on with a model that has no eyes; what it is asked about now is not taken away in silence.
    """
    newest = max((at for at, message in enumerate(messages) if message.type == "human"), default=-1)
    kept = frozenset(readable)
    return [without_media(one, kept) if at < newest else one for at, one in enumerate(messages)]
