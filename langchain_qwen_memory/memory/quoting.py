"""Writes an archived turn down as a record: its day, then who said what, a long reply cut to what matters."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from datetime import datetime, tzinfo
from itertools import pairwise

from langchain_core.messages import AIMessage, BaseMessage, HumanMessage

from langchain_qwen_memory.archive.base import Turn
from langchain_qwen_memory.archive.finding.fulltext import count_words
from langchain_qwen_memory.memory.media import said_with_media
from langchain_qwen_memory.memory.text import is_chinese

_ENDS = re.compile(r"[.!?][\"')\]]*\s+|[。！？；][”’」』）]*\s*|\n+")
_LOOKS_OURS = re.compile(r"^(?=\s*(?:\[\d{4}-|(?:User|Assistant|用户|助手)\s*[:：]))", re.MULTILINE)
_WEEKDAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_CHINESE_WEEKDAYS = "一二三四五六日"
_LONGEST_NAME = 40


def quotation(
    turn: Turn,
    *,
    zone: tzinfo | None = None,
    cut: Callable[[str], str] = str,
    cut_user: Callable[[str], str] = str,
) -> str:
    """A turn as a record: a line with its day, then who said what; tool calls and thinking left out.

    Args:
        turn: An archived turn.
        zone: Whose days; None for the machine's local time.
        cut: Shortens the words of the assistant.
        cut_user: Shortens the words of the user.
    """
    lines = []
    for message in turn.messages:
        words = said_with_media(message).strip()
        who = _speaker(message, words)
        if who and words:
            words = cut_user(words) if isinstance(message, HumanMessage) else cut(words)
            lines.append(f"{who}{_LOOKS_OURS.sub('  ', words)}")
    return "\n".join([heading(turn.at, zone, chinese=is_chinese("\n".join(lines))), *lines])


def heading(at: float, zone: tzinfo | None = None, *, chinese: bool = False) -> str:
    """The day of a record, with its weekday, which people reckon by: `[2026-05-01 Fri]`."""
    day = datetime.fromtimestamp(at, zone)
    weekday = f"周{_CHINESE_WEEKDAYS[day.weekday()]}" if chinese else _WEEKDAYS[day.weekday()]
    return f"[{day:%Y-%m-%d} {weekday}]"


def extract(text: str, wanted: Collection[str], share: float) -> str:
    """The sentences of a text that share most words with a question, in their order, with "…" for what is left out.

    Args:
        text: What was said.
        wanted: Words of the question, as `archive.fulltext` cuts them.
        share: How much of the text may stay, 0 to 1, by its length.

    Returns:
        The text itself if all of it may stay; its beginning where no sentence shares a word.
    """
    if share >= 1:
        return text
    room = int(len(text) * share)
    sentences = _sentences(text)
    words = [set(count_words(sentence)) & set(wanted) for sentence in sentences]
    held = [sum(word in found for found in words) for word in wanted]
    worth = dict(zip(wanted, (1 / number if number else 0.0 for number in held), strict=True))
    order = sorted(range(len(sentences)), key=lambda at: -sum(worth[word] for word in sorted(words[at])))
    kept: set[int] = set()
    for at in order:
        if words[at] and len(sentences[at]) <= room:
            kept.add(at)
            room -= len(sentences[at])
    return _joined(sentences, kept) if kept else text[:room].rstrip() + "…"


def _sentences(text: str) -> list[str]:
    ends = [0, *(match.end() for match in _ENDS.finditer(text)), len(text)]
    return [text[start:end] for start, end in pairwise(ends) if end > start]


def _joined(sentences: list[str], kept: set[int]) -> str:
    parts = []
    for at, sentence in enumerate(sentences):
        if at in kept:
            parts.append(sentence)
        elif at == 0 or at - 1 in kept:
            parts.append("… ")
    return "".join(parts).strip()


def _speaker(message: BaseMessage, words: str) -> str:
    name = " ".join((message.name or "").split())[:_LONGEST_NAME]
    chinese = is_chinese(words)
    if isinstance(message, HumanMessage):
        name = name or ("用户" if chinese else "User")
    elif isinstance(message, AIMessage):
        name = name or ("助手" if chinese else "Assistant")
    else:
        return ""
    return f"{name}：" if chinese else f"{name}: "
