"""A summariser's answer made fit for the view: clean, within its cap, ended with a sentence."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import accumulate

from langchain_core.messages import AIMessage, SystemMessage

from langchain_qwen_memory.memory.render import framed_summary
from langchain_qwen_memory.memory.text import is_chinese, said
from langchain_qwen_memory.memory.turns import Counter

_SENTENCE = re.compile(r".+?(?:[。！？!?；;…]+[”’」』）)\"']*|\.(?=\s|\Z)|\n|\Z)\s*", re.DOTALL)
_ENDED = re.compile(r"[。！？!?；;….）)」』”\"\]]\s*\Z")
_THINK = re.compile(r"<think(?:ing)?>.*?(?:</think(?:ing)?>|\Z)", re.DOTALL | re.IGNORECASE)
_THOUGHT_END = re.compile(r"</think(?:ing)?>", re.IGNORECASE)
_FRAME = re.compile(r"</?\s*(?:summary|records|think(?:ing)?)\b[^>]*>", re.IGNORECASE)
_BINARY = re.compile(r"data:[\w.+-]+/[\w.+-]+;base64,[A-Za-z0-9+/=]*|[A-Za-z0-9+/]{256,}={0,2}")
_NEARLY = 0.97
"""Of the cap: a text so long that does not end with a sentence was cut by it."""


def cleaned(text: str) -> str:
    """A summariser's answer as text: no thinking, no frames of ours, no encoded media."""
    text = _THINK.sub("", said(AIMessage(text)))
    text = _THOUGHT_END.split(text)[-1]  # of a server whose chat template itself opens the thinking
    text = _FRAME.sub("", text)
    return _BINARY.sub("[…]", text).strip()


def words_cost(text: str, count: Counter) -> int:
    """Tokens of a text alone."""
    return count(SystemMessage(text)) - count(SystemMessage(""))


def summary_cost(view: str, count: Counter) -> int:
    """Tokens of a summary as it stands in the view, its frame included."""
    return words_cost(framed_summary(view), count) if view else 0


def shortened(text: str, most: int, count: Counter) -> str:
    """The text within `most` tokens: cut where a sentence ends, with a mark that says so."""
    cost = words_cost(text, count)
    if cost <= most and (cost < _NEARLY * most or _ENDED.search(text)):
        return text
    mark = "[……]" if is_chinese(text) else " […]"
    left = most - words_cost(mark, count)
    ends = list(accumulate(len(sentence) for sentence in _SENTENCE.findall(text)))
    ended = [end for end in ends if _ENDED.search(text[:end])]
    cut = _longest(text, ended, left, count) or _longest(text, range(1, len(text) + 1), left, count)
    return text[:cut].rstrip() + mark


def _longest(text: str, ends: Sequence[int], most: int, count: Counter) -> int:
    """The last of the ends up to which the text is within `most` tokens; 0 if none is."""
    low, high = 0, len(ends)
    while low < high:
        middle = (low + high + 1) // 2
        if words_cost(text[: ends[middle - 1]], count) <= most:
            low = middle
        else:
            high = middle - 1
    return ends[low - 1] if low else 0
