"""A chat model that takes no time: it says what the conversation says next, and shows each prompt to a checker."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from langchain_core.callbacks import CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from langchain_core.runnables import Runnable
from pydantic import Field


class ScriptedModel(BaseChatModel):
    """Says `script` in order. What `seen` does with a prompt is not part of the time that is measured."""

    model_name: str = "qwen-plus"
    script: Any = Field(default_factory=deque)
    seen: Callable[[list[BaseMessage]], None] | None = None
    answering: Callable[[list[BaseMessage]], str] | None = None
    """Says something of its own instead: a summariser."""
    spent: float = 0.0
    """CPU seconds in `seen` and `answering` so far."""

    @property
    def _llm_type(self) -> str:
        return "scripted"

    def bind_tools(self, tools: Sequence[Any], **kwargs: Any) -> Runnable[Any, Any]:
        return self.bind(tools=list(tools), **kwargs)

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        begun = time.process_time()
        if self.seen is not None:
            self.seen(messages)
        answer = AIMessage(self.answering(messages)) if self.answering else self.script.popleft()
        self.spent += time.process_time() - begun
        return ChatResult(generations=[ChatGeneration(message=answer)])
