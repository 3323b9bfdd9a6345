"""Tells in words what a turn's view held: the recalled turns with dates and scores, and how the summary changed."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from difflib import SequenceMatcher
from typing import TYPE_CHECKING, Any

from langchain_core.messages import AIMessage, BaseMessage, HumanMessage
from markupsafe import Markup

from langchain_qwen_memory.web.texts import Words

if TYPE_CHECKING:
    from langchain_qwen_memory.archive.base import Turn

_WORDS = re.compile(r"\s+|[0-9A-Za-z_]+|.", re.DOTALL)
"""What a summary is compared by: words, or single characters where words are not parted."""
_COMPARED = 20_000
"""Characters of a summary up to which changes are looked for."""
_SHOWN = 220
"""Characters of a recalled message that stand there before one opens it."""


def recalled(found: Sequence[tuple[Mapping[str, Any], Turn | None]], words: Words) -> Markup:
    """The recalled turns, best first.

    Args:
        found: What the report says of each, and the turn itself; None if it was forgotten since.
        words: The language.
    """
    if not found:
        return Markup('<p class="qm-none">{}</p>').format(words("recalled_none"))
    ranked = sorted(found, key=lambda one: -one[0]["score"])
    best = max(quote["score"] for quote, _ in ranked) or 1
    return Markup("").join(_card(quote, turn, best, words) for quote, turn in ranked)


def _card(quote: Mapping[str, Any], turn: Turn | None, best: float, words: Words) -> Markup:
    number = quote["position"] + 1
    elsewhere = quote.get("thread")
    head = (
        words("recalled_head", turn=number)
        if elsewhere is None
        else words("recalled_elsewhere", thread=elsewhere, turn=number)
    )
    return Markup(
        '<article class="qm-card"><header><b>{}</b> {}<span class="qm-score" title="{}">'
        '<i style="width:{:.0f}%"></i></span><small>{}</small></header>{}</article>'
    ).format(
        head,
        when(turn.at) if turn else "",
        words("score", score=quote["score"]),
        100 * quote["score"] / best,
        words("score", score=quote["score"]),
        Markup("").join(_lines(turn.messages, words)) if turn else words("recalled_gone"),
    )


def when(at: float) -> Markup:
    """A time as this machine's clock has it."""
    moment = datetime.fromtimestamp(at).astimezone()
    return Markup('<time datetime="{}">{}</time>').format(moment.isoformat(), f"{moment:%Y-%m-%d %H:%M}")


def _lines(messages: Sequence[BaseMessage], words: Words) -> Iterator[Markup]:
    from langchain_qwen_memory.terminal.bot import words as said

    for message in messages:
        who = {HumanMessage: "you", AIMessage: "model"}.get(type(message))
        text = said(message)
        if who is None or not text:
            continue
        body = Markup("{}").format(text)
        if len(text) > _SHOWN:
            body = Markup("<details><summary>{}…</summary>{}</details>").format(text[:_SHOWN], text[_SHOWN:])
        yield Markup('<div class="qm-line"><b>{}</b><div>{}</div></div>').format(words(who), body)


def summary(now: str, words: Words, *, before: str = "", turn: int | None = None, own: bool = False) -> Markup:
    """A summary, and its last change.

    Args:
        now: After the turn that is looked at.
        words: The language.
        before: Before the change.
        turn: Number of the turn that changed it, from 1; None where that is not known.
        own: Whether it was the turn that is looked at.
    """
    if not now and turn is None:
        return Markup('<p class="qm-none">{}</p>').format(words("summary_none"))
    if turn is None:
        return Markup('<div class="qm-summary">{}</div>').format(now)
    told = words("summary_changed") if own else words("summary_same", turn=turn)
    key = Markup("{} <ins>{}</ins>").format(told, words("summary_key"))
    if before:
        key += Markup(" <del>{}</del>").format(words("summary_key_gone"))
    return Markup('<p class="qm-note">{}</p><div class="qm-summary">{}</div>').format(key, changed(before, now))


def changed(before: str, now: str) -> Markup:
    """The new text with what was added and what was taken out marked."""
    if max(len(before), len(now)) > _COMPARED:
        return Markup("<del>{}</del>\n<ins>{}</ins>").format(before, now)
    old, new = _WORDS.findall(before), _WORDS.findall(now)
    parts = []
    for kind, a, b, c, d in SequenceMatcher(None, old, new, autojunk=False).get_opcodes():
        if kind == "equal":
            parts.append(Markup("{}").format("".join(new[c:d])))
            continue
        if b > a:
            parts.append(Markup("<del>{}</del>").format("".join(old[a:b])))
        if d > c:
            parts.append(Markup("<ins>{}</ins>").format("".join(new[c:d])))
    return Markup("").join(parts)
