"""Small questions about texts: is this Chinese, what does a message say without its thinking."""

from __future__ import annotations

import re
from datetime import datetime
from functools import lru_cache

from langchain_core.messages import AIMessage, BaseMessage

_HAN = re.compile(r"[\u3400-\u9fff\uf900-\ufaff]+")
_THINK = re.compile(r"^\s*<think(?:ing)?>.*?(?:</think(?:ing)?>|\Z)\s*", re.DOTALL)
_REASONING = ("reasoning", "reasoning_content", "thinking")
_CHINESE_FROM = 0.25
"""A Chinese text full of product names and code is still Chinese."""
_SAMPLE = 400
"""Characters that are looked at: enough to tell, and the same work for a page as for a line."""


def is_chinese(text: str) -> bool:
    """Whether a quarter or more of the letters at the text's beginning are Chinese characters."""
    return _sample_is_chinese(text[:_SAMPLE])


@lru_cache(maxsize=1_024)
def _sample_is_chinese(sample: str) -> bool:
    """Asked again and again of the same summary and the same records, at each view."""
    chinese = sum(map(len, _HAN.findall(sample)))
    return chinese > 0 and chinese >= _CHINESE_FROM * sum(map(str.isalpha, sample))


def said(message: BaseMessage) -> str:
    """A message's words: no thinking, no tool calls, no media."""
    text = str(message.text)
    return _THINK.sub("", text) if isinstance(message, AIMessage) else text


def without_thinking(message: BaseMessage) -> BaseMessage:
    """The message as history: no reasoning beside or inside its content. Others come back as they are."""
    if not isinstance(message, AIMessage):
        return message
    changes: dict[str, object] = {}
    if "reasoning_content" in message.additional_kwargs:
        changes["additional_kwargs"] = {
            key: value for key, value in message.additional_kwargs.items() if key != "reasoning_content"
        }
    content = _visible(message.content)
    if content is not message.content:
        changes["content"] = content
    return message.model_copy(update=changes) if changes else message


def _visible(content: str | list[str | dict[str, object]]) -> str | list[str | dict[str, object]]:
    if isinstance(content, str):
        return _THINK.sub("", content) if content.lstrip().startswith("<think") else content
    kept = [block for block in content if not (isinstance(block, dict) and block.get("type") in _REASONING)]
    return content if len(kept) == len(content) else kept


def day_and_time(at: float) -> str:
    """When a turn was said, in local time: `2026-05-01 10:32`."""
    return datetime.fromtimestamp(at).astimezone().strftime("%Y-%m-%d %H:%M")
