"""A chat model for tests: says what it is told to say, and remembers every prompt it saw."""

from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from typing import Any

from langchain_core.callbacks import AsyncCallbackManagerForLLMRun, CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult
from langchain_core.runnables import Runnable
from pydantic import Field

Answer = str | AIMessage | Exception


class ScriptedChatModel(BaseChatModel):
    """Answers with `script` in order, then with `fallback(messages)`; an exception in the script is raised."""

    model_name: str = "qwen-plus"
    max_tokens: int | None = None
    enable_thinking: bool | None = None
    script: list[Any] = Field(default_factory=list)
    fallback: Callable[[list[BaseMessage]], Answer] = lambda messages: f"answer to {messages[-1].text}"
    prompts: list[list[BaseMessage]] = Field(default_factory=list)
    asked: list[dict[str, Any]] = Field(default_factory=list)

    @property
    def _llm_type(self) -> str:
        return "scripted"

    def bind_tools(self, tools: Sequence[Any], **kwargs: Any) -> Runnable[Any, Any]:
        return self.bind(tools=list(tools), **kwargs)

    def _next(self, messages: list[BaseMessage], kwargs: dict[str, Any]) -> AIMessage:
        self.prompts.append(list(messages))
        self.asked.append(kwargs)
        answer = self.script.pop(0) if self.script else self.fallback(messages)
        if isinstance(answer, Exception):
            raise answer
        return AIMessage(answer) if isinstance(answer, str) else answer

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        return ChatResult(generations=[ChatGeneration(message=self._next(messages, kwargs))])

    def _stream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> Iterator[ChatGenerationChunk]:
        yield from _chunks(self._next(messages, kwargs))

    async def _astream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> AsyncIterator[ChatGenerationChunk]:
        for chunk in _chunks(self._next(messages, kwargs)):
            yield chunk


def _chunks(message: AIMessage) -> Iterator[ChatGenerationChunk]:
    if message.tool_calls or not isinstance(message.content, str):
        yield ChatGenerationChunk(message=AIMessageChunk(**message.model_dump(exclude={"type"})))
        return
    for start in range(0, len(message.content), 4):
        yield ChatGenerationChunk(message=AIMessageChunk(message.content[start : start + 4]))
