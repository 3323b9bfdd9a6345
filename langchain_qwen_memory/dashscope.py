"""ChatDashScope: Qwen as a LangChain chat model, over DashScope's own protocol and SDK."""

from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from dataclasses import replace
from typing import Any, Self

from langchain_core.language_models import LanguageModelInput
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.outputs import ChatResult
from langchain_core.runnables import Runnable
from langchain_core.tools import BaseTool
from langchain_core.utils import from_env, get_pydantic_field_names, secret_from_env
from langchain_core.utils.function_calling import convert_to_openai_tool
from pydantic import ConfigDict, Field, SecretStr, model_validator

from langchain_qwen_memory.qwen.answering import QwenAnswering
from langchain_qwen_memory.qwen.calls import CONNECTION, Call, Link, clear_key, common_names, resolve_url
from langchain_qwen_memory.qwen.endpoints import native_url, shown_url
from langchain_qwen_memory.qwen.native_calls import NativeCall
from langchain_qwen_memory.qwen.native_transport import (
    AsyncNativeStream,
    NativeClients,
    NativeStream,
    around,
    async_around,
)
from langchain_qwen_memory.qwen.structured import wire_tool_choice
from langchain_qwen_memory.qwen.wire import wire_request

__all__ = ["ChatDashScope"]

_COMMON = (
    *("temperature", "top_p", "max_tokens", "stop", "n", "seed", "presence_penalty", "frequency_penalty"),
    *("logprobs", "top_logprobs", "logit_bias", "extra_body"),
)


class ChatDashScope(QwenAnswering):
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
        search_options, vl_high_resolution_images: As for ChatQwen.
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

    model_config = ConfigDict(hide_input_in_errors=True)

    model_name: str = Field(default="qwen-plus", alias="model")
    """Name of the model, as the service knows it."""

    api_key: SecretStr | None = Field(default_factory=secret_from_env("DASHSCOPE_API_KEY", default=None))
    """Key of the service, from DASHSCOPE_API_KEY if not given."""

    base_url: str | None = Field(
        default_factory=from_env(["DASHSCOPE_API_BASE", "DASHSCOPE_HTTP_BASE_URL"], default=None)
    )
    """Base URL, from DASHSCOPE_API_BASE or DASHSCOPE_HTTP_BASE_URL if not given; else `region` and `workspace` give it,
    else it is Beijing's. After construction: the URL that is called."""

    multimodal: bool | None = None
    """Whether calls go to multimodal generation, not to text generation; None: the catalogue says, and of models it
    does not know, whether a picture, film or sound is among the messages."""

    temperature: float | None = None
    """How freely it chooses its words, from 0 to below 2."""

    top_p: float | None = None
    """Sample among the most likely tokens that have so much probability together."""

    max_tokens: int | None = None
    """Most tokens of an answer, without its thinking."""

    stop: list[str] | str | None = Field(default=None, alias="stop_sequences")
    """Texts at which the answer ends."""

    n: int | None = None
    """How many answers, of one question, 1 to 4; not as a stream."""

    seed: int | None = None
    """Makes answers repeatable, as far as the service can."""

    presence_penalty: float | None = None
    """Above 0, what was said is less likely said again; -2 to 2."""

    frequency_penalty: float | None = None
    """The same by how often it was said, for models that take it."""

    logprobs: bool | None = None
    """Return how likely each token was."""

    top_logprobs: int | None = None
    """The same of so many others in its place, 5 at most."""

    logit_bias: dict[int, int] | None = None
    """Token -> how much more likely it is made; character models take it."""

    extra_body: dict[str, Any] | None = None
    """Further parameters; a call's own are merged into them."""

    model_kwargs: dict[str, Any] = Field(default_factory=dict)
    """Further parameters by ChatTongyi's name for them."""

    streaming: bool = False
    """Answer whole calls over a stream."""

    timeout: Any = None
    """Seconds to the first byte, and between two pieces of a stream; 600 if not given. Or `httpx.Timeout`."""

    max_retries: int | None = Field(default=None, ge=0)
    """How often a busy or failing service is asked again; 2 if not given."""

    default_headers: dict[str, str] | None = None
    """Headers sent with every call."""

    default_query: dict[str, Any] | None = None
    """Query parameters sent with every call."""

    http_client: Any = Field(default=None, exclude=True)
    """An `httpx.Client` of one's own, for synchronous calls; never closed here."""

    http_async_client: Any = Field(default=None, exclude=True)
    """An `httpx.AsyncClient` of one's own, for asynchronous calls; never closed here."""

    @property
    def _llm_type(self) -> str:
        return "chat-dashscope"

    @property
    def _identifying_params(self) -> dict[str, Any]:
        return {"model_name": self.model_name, **self._default_params}

    @model_validator(mode="before")
    @classmethod
    def _keep_what_is_not_known(cls, values: dict[str, Any]) -> dict[str, Any]:
        """Options without a field become `model_kwargs`, with a word about it, as in LangChain's other models."""
        from langchain_core.utils.utils import _build_model_kwargs

        named = {"request_timeout": "timeout"}
        taken = {named.get(name, name): value for name, value in values.items()}
        return _build_model_kwargs(taken, get_pydantic_field_names(cls))

    @model_validator(mode="after")
    def _settle(self) -> Self:
        """Settles where calls go and with which key.

        Raises:
            ValueError: If there is no key, or the options contradict each other.
        """
        if self.streaming and self.n is not None and self.n > 1:
            raise ValueError(f"n={self.n} choices cannot be streamed: give n=1 or streaming=False.")
        # what is said in code comes before the variables
        said = "base_url" in self.model_fields_set or not (self.region or self.workspace)
        given = self.base_url if said else None
        url = native_url(resolve_url(base_url=given, region=self.region, workspace=self.workspace))
        from_variable = "api_key" not in self.model_fields_set
        self._link = Link(url=url, server="dashscope", key=clear_key(self.api_key), key_is_the_services=from_variable)
        if not self._link.sent_key:
            raise ValueError(f"No key for {shown_url(url)}: set DASHSCOPE_API_KEY or give api_key=...")
        self.base_url = url
        self._clients = NativeClients(http_client=self.http_client, http_async_client=self.http_async_client)
        return self

    def _common_params(self) -> dict[str, Any]:
        said = {name: getattr(self, name) for name in _COMMON}
        return {
            "model": self.model_name,
            **{name: value for name, value in said.items() if value is not None and value != []},
            **self.model_kwargs,
        }

    # --- calling ---

    def _call(self, messages: list[BaseMessage], stop: list[str] | None, kwargs: dict[str, Any]) -> NativeCall:
        asked = common_names(kwargs) | ({"stop": stop} if stop is not None else {})
        own = {name: asked.pop(name) for name in CONNECTION & asked.keys()} | {"server": "dashscope"}
        usage, multimodal = asked.pop("stream_usage", self.stream_usage), asked.pop("multimodal", self.multimodal)
        tags = asked.pop("thinking_tags", self.thinking_tags)
        asked.pop("stream_options", None)
        link = self._link.with_options(own)
        names = ("timeout", "max_retries", "default_headers", "default_query", "workspace")
        return NativeCall(
            link=replace(link, url=native_url(link.url)),
            request=wire_request(messages, self._default_params, asked, server="dashscope"),
            tags=tags,
            usage=usage is not False,
            own={name: getattr(self, name) for name in names} | own,
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
