"""ChatDashScope: Qwen as a LangChain chat model, over DashScope's own protocol and SDK."""

from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from dataclasses import replace
from typing import Any

from langchain_core.language_models import LanguageModelInput
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.outputs import ChatResult
from langchain_core.runnables import Runnable
from langchain_core.tools import BaseTool
from langchain_core.utils.function_calling import convert_to_openai_tool

from langchain_qwen_memory.qwen.calls import CONNECTION, Call, common_names
from langchain_qwen_memory.qwen.endpoints import native_url
from langchain_qwen_memory.qwen.native_calls import NativeCall
from langchain_qwen_memory.qwen.native_fields import NativeFields
from langchain_qwen_memory.qwen.native_transport import AsyncNativeStream, NativeStream, around, async_around
from langchain_qwen_memory.qwen.structured import wire_tool_choice
from langchain_qwen_memory.qwen.wire import wire_request

__all__ = ["ChatDashScope"]


class ChatDashScope(NativeFields):
    """Qwen chat models of Alibaba's Model Studio (百炼), over DashScope's own protocol and the `dashscope` SDK.

    It has ChatQwen's options, rules, errors and answers, and one may take the other's place in the middle of a thread.
    Beyond ChatQwen it brings the sources of a web search, and it reaches what is served by this protocol alone. Text
    generation or multimodal generation is chosen by the catalogue; `multimodal` says it of a model too new for that.

    Setup:
        ```bash
        pip install -U langchain-qwen-memory
        export DASHSCOPE_API_KEY="sk-..."
        ```

    Key init args — completion params:
        model, temperature, top_p, top_k, max_tokens, seed, stop, n, presence_penalty, repetition_penalty, logprobs,
        top_logprobs, logit_bias, enable_thinking, thinking_budget, reasoning_effort, preserve_thinking, enable_search,
        search_options, character_options, vl_high_resolution_images: As for ChatQwen.
        extra_body: Anything else, sent among the parameters; what stands under its key `input`, beside the messages.

    Key init args — client params:
        api_key, base_url, region, workspace, timeout, max_retries, http_client, http_async_client: As for ChatQwen. A
            base URL of the compatible protocol serves as well: the path is exchanged.

    The SDK's globals (`dashscope.api_key`, `dashscope.base_http_api_url`, its settings) are neither asked nor changed.

    Instantiate:
        ```python
        from langchain_qwen_memory import ChatDashScope

        model = ChatDashScope(model="qwen-plus", region="singapore")
        ```

    Invoke:
        ```python
        answer = model.invoke("9.11 和 9.9 哪个大？", enable_thinking=True)
        answer.text  # the answer
        answer.additional_kwargs["reasoning_content"]  # the thinking
        ```

    Stream:
        ```python
        for chunk in model.stream("写一首短诗"):
            print(chunk.text, end="")
        ```

        A stream that breaks off raises. What was sent and lost is not sent again, for it may have been billed; what
        the service refused for the moment (429, 5xx) is, `max_retries` times.

    Async:
        ```python
        answer = await model.ainvoke("你好")
        await model.aclose()  # closes this event loop's connections; `close` those of synchronous calls
        ```

    Tool calling, structured output:
        As for ChatQwen: `bind_tools`, `with_structured_output`.

    Image, video and audio input:
        ```python
        from langchain_core.messages import HumanMessage

        message = HumanMessage([{"type": "text", "text": "图里是什么？"}, {"type": "image", "url": "https://.../cat.png"}])
        ChatDashScope(model="qwen3.7-plus").invoke([message])
        ```

    Search:
        ```python
        answer = ChatDashScope(enable_search=True, search_options={"enable_source": True}).invoke("杭州明天的天气")
        answer.response_metadata["search_info"]["search_results"]  # [{"title": ..., "url": ..., "site_name": ...}]
        answer.content_blocks[-1]["annotations"]  # the same as LangChain's citations
        ```

    Going on with an answer that is begun:
        ```python
        from langchain_core.messages import AIMessage

        begun = AIMessage("春天来了，大地", additional_kwargs={"partial": True})
        model.invoke([HumanMessage("续写这句话"), begun])  # the answer goes on where that ends
        ```

    Errors:
        `langchain_qwen_memory.qwen.model_errors`, as for ChatQwen.
    """

    @property
    def _llm_type(self) -> str:
        return "chat-dashscope"

    # --- calling ---

    def _call(self, messages: list[BaseMessage], stop: list[str] | None, kwargs: dict[str, Any]) -> NativeCall:
        asked = common_names(kwargs) | ({"stop": stop} if stop is not None else {})
        own = {name: asked.pop(name) for name in CONNECTION & asked.keys()} | {"server": "dashscope"}
        usage, multimodal = asked.pop("stream_usage", self.stream_usage), asked.pop("multimodal", self.multimodal)
        tags = asked.pop("thinking_tags", self.thinking_tags)
        asked.pop("stream_options", None)
        link = self._link.with_options(own)
        moved = {"workspace": None} if own.keys() & {"base_url", "region"} else {}  # the object's is of another place
        names = ("timeout", "max_retries", "default_headers", "default_query", "workspace")
        return NativeCall(
            link=replace(link, url=native_url(link.url)),
            request=wire_request(messages, self._default_params, asked, server="dashscope"),
            tags=tags,
            usage=usage is not False,
            own={name: getattr(self, name) for name in names} | moved | own,
            multimodal=multimodal,
        )

    def _ask(self, call: Call) -> ChatResult:
        with_own = _native(call)
        response = with_own.post(self._client_for(call), stream=False)
        try:
            response.read()
        finally:
            response.close()
        return with_own.read(response)

    async def _aask(self, call: Call) -> ChatResult:
        with_own = _native(call)
        response = await with_own.apost(await self._async_client_for(call), stream=False)
        try:
            await response.aread()
        finally:
            await response.aclose()
        return with_own.read(response)

    def _open(self, call: Call) -> AbstractContextManager[Any]:
        asked = _native(call)
        return NativeStream(asked.post(self._client_for(call), stream=True), asked.translator())

    async def _aopen(self, call: Call) -> AbstractAsyncContextManager[Any]:
        asked = _native(call)
        response = await asked.apost(await self._async_client_for(call), stream=True)
        return AsyncNativeStream(response, asked.translator())

    def _client_for(self, call: Call) -> Any:
        own = call.own.get("http_client")
        return around(own) if own is not None else self._clients.sync

    async def _async_client_for(self, call: Call) -> Any:
        own = call.own.get("http_async_client")
        return async_around(own) if own is not None else await self._clients.of_this_loop()

    # --- tools ---

    def bind_tools(
        self,
        tools: Sequence[dict[str, Any] | type | Callable[..., Any] | BaseTool],
        *,
        tool_choice: dict[str, Any] | str | bool | None = None,
        strict: bool | None = None,
        parallel_tool_calls: bool | None = None,
        response_format: Any = None,
        **kwargs: Any,
    ) -> Runnable[LanguageModelInput, AIMessage]:
        """Returns this model with tools that it may call.

        Args:
            tools: Functions, classes, LangChain tools or definitions.
            tool_choice: "auto", "none", "any" (or "required", True), or a tool's name.
            strict: Bind arguments to their schemas word by word, where the service can.
            parallel_tool_calls: Whether several calls may come at once; the service's default is one.
            response_format: The form of an answer that calls no tool.
            **kwargs: Options of the call.
        """
        written = [convert_to_openai_tool(tool, strict=strict) for tool in tools]
        said = {
            "tool_choice": wire_tool_choice(tool_choice, written),
            "parallel_tool_calls": parallel_tool_calls,
            "response_format": response_format,
        }
        return self.bind(tools=written, **{name: value for name, value in said.items() if value is not None}, **kwargs)


def _native(call: Call) -> NativeCall:
    if not isinstance(call, NativeCall):
        raise TypeError(type(call))
    return call
