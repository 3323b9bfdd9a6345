"""A chat model and a summariser that take no time: they say what is written, and show each prompt to a checker."""

from __future__ import annotations

import re
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from conversations import CODE_OF_A_THING, numbers_in
from langchain_core.callbacks import CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from langchain_core.runnables import Runnable
from langgraph.constants import TAG_NOSTREAM
from pydantic import Field

_VOLUME = re.compile(r"第(\d+)卷")
_CODES = 12
"""Codes that a summary of about 180 tokens has room for."""
_BODY = (
    "用户在安排周末去杭州的行程，关心高铁时间、天气和素菜馆，同时推进一个搬迁服务的项目：先测延迟，再改缓存，"
    "报告分背景、方法、结果三部分，预算要和财务确认；装修选浅色木地板，训练时减小批次。"
)


class Summariser:
    """Writes summaries of about 180 tokens and knows which turns each of them stands for.

    It is an oracle: a turn that it is shown, word for word or in an earlier summary, counts as kept. What is lost is
    lost by the memory that did not show it. Codes of things are written out, the newest twelve.
    """

    def __init__(self) -> None:
        self.covered: dict[int, set[int]] = {}

    def __call__(self, messages: Sequence[BaseMessage]) -> str:
        text = "\n".join(str(message.content) for message in messages)
        volume = len(self.covered) + 1
        self.covered[volume] = self.reached(text)
        codes = list(dict.fromkeys(CODE_OF_A_THING.findall(text)))[-_CODES:]
        return f"第{volume}卷摘要。{_BODY}记下的编号：{'、'.join(codes)}。"

    def reached(self, text: str) -> set[int]:
        """Turns that a text holds, word for word or through a summary."""
        found = numbers_in(text)
        for volume in _VOLUME.findall(text):
            found |= self.covered.get(int(volume), set())
        return found


class ScriptedModel(BaseChatModel):
    """Says `script` in order; asked for a summary, what `summarise` says. Their work is not timed."""

    model_name: str = "qwen-plus"
    script: Any = Field(default_factory=deque)
    seen: Callable[[Sequence[BaseMessage]], None] | None = None
    """Shown each prompt of the chat."""
    summarise: Callable[[Sequence[BaseMessage]], str] | None = None
    """Answers calls that a memory hides from the stream; all calls if `only_summaries`."""
    only_summaries: bool = False
    spent: float = 0.0
    """CPU seconds of checker and oracle so far."""

    @property
    def _llm_type(self) -> str:
        return "scripted"

    def bind_tools(self, tools: Sequence[Any], **kwargs: Any) -> Runnable[Any, Any]:
        return self.bind(tools=list(tools), **kwargs)

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,  # noqa: ARG002
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,  # noqa: ARG002
    ) -> ChatResult:
        begun = time.process_time()
        hidden = self.only_summaries or (run_manager is not None and TAG_NOSTREAM in run_manager.tags)
        if hidden and self.summarise is not None:
            answer = AIMessage(self.summarise(messages))
        else:
            if self.seen is not None:
                self.seen(messages)
            answer = self.script.popleft()
        self.spent += time.process_time() - begun
        return ChatResult(generations=[ChatGeneration(message=answer)])
