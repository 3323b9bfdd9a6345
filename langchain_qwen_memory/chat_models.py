"""ChatQwen: Qwen as a LangChain chat model, on Alibaba's service or a server of one's own."""

from contextlib import AbstractAsyncContextManager, AbstractContextManager
from typing import Any, Self

from langchain_core.language_models import LanguageModelInput
from langchain_core.messages import BaseMessage
from langchain_core.outputs import ChatResult
from langchain_core.utils import from_env, secret_from_env
from langchain_openai.chat_models.base import BaseChatOpenAI
from pydantic import ConfigDict, Field, SecretStr, model_validator

from langchain_qwen_memory.catalogue import model_info
from langchain_qwen_memory.qwen.answering import QwenAnswering
from langchain_qwen_memory.qwen.calls import CONNECTION, Call, Link, clear_key, common_names, resolve_url
from langchain_qwen_memory.qwen.endpoints import Server, shown_url
from langchain_qwen_memory.qwen.fields import QwenFields
from langchain_qwen_memory.qwen.media_rules import check_protocol
from langchain_qwen_memory.qwen.transport import AsyncEventStream, EventStream, OpenAIClients
from langchain_qwen_memory.qwen.wire import wire_request

__all__ = ["ChatQwen"]


class ChatQwen(QwenAnswering, BaseChatOpenAI):
    """Qwen chat models, on Alibaba's Model Studio (百炼, DashScope) or on a server of one's own.

    Setup:
        Set the key of your region; Beijing's is taken unless `region` or `base_url` say otherwise.

        ```bash
        pip install -U langchain-qwen-memory
        export DASHSCOPE_API_KEY="sk-..."
        ```

    Key init args — completion params:
        model: Name of the model. Default `qwen-plus`.
        temperature, top_p, top_k, max_tokens, seed, stop, presence_penalty, repetition_penalty: As the service has
            them.
        enable_thinking: Think before answering. None: as the model does by itself.
        thinking_budget, reasoning_effort: How much; one of the two.
        preserve_thinking: Send the thinking of earlier turns back. None: the server's default for the model, which
            is left as it is and mirrored in what is sent.
        enable_search, search_options: Let the service search the web.
        character_options: Whom a role-play model plays.
        vl_high_resolution_images: Look at pictures more finely.
        extra_body: Anything else; merged with a call's own.

    Key init args — client params:
        api_key: Key, from `DASHSCOPE_API_KEY` if not given. None needed on a server of one's own.
        base_url: URL, from `DASHSCOPE_API_BASE` if not given.
        region, workspace: Give the URL instead: beijing, singapore, us, hongkong, tokyo, frankfurt.
        server: auto, dashscope, vllm, sglang, llama.cpp, ollama or openrouter.
        timeout: Seconds to the first byte, and between two pieces of a stream.
        max_retries: How often a busy or failing service is asked again. Default 2.
        http_client, http_async_client: Clients of one's own.

    All of them can also be said for one call (`model.invoke(..., enable_thinking=True)`) or bound
    (`model.bind(top_k=20)`); a call never changes the object.

    Instantiate:
        ```python
        from langchain_qwen_memory import ChatQwen

        model = ChatQwen(model="qwen-plus", enable_thinking=True)
        own = ChatQwen(model="Qwen/Qwen3-32B", base_url="http://localhost:8000/v1", server="vllm")
        ```

    Invoke:
        ```python
        answer = model.invoke("9.11 和 9.9 哪个大？")
        answer.text  # the answer, without any thinking
        answer.additional_kwargs["reasoning_content"]  # the thinking
        answer.content_blocks  # [{"type": "reasoning", ...}, {"type": "text", ...}]
        ```

        In history, thinking is dropped between turns and sent back within one tool loop; that is what Qwen's own
        templates do. Inline `<think>` of servers without a parser is parted too (`thinking_tags`).

    Stream:
        ```python
        for chunk in model.stream("写一首短诗"):
            print(chunk.additional_kwargs.get("reasoning_content", ""), chunk.text, end="")
        ```

        A stream that breaks off raises; it is never mistaken for a short answer.

    Async:
        ```python
        answer = await model.ainvoke("你好")
        async for chunk in model.astream("你好"):
            ...
        ```

    Tool calling:
        ```python
        def weather(city: str) -> str:
            "The weather in a city."
            return "晴"


        model.bind_tools([weather], parallel_tool_calls=True).invoke("杭州和上海的天气？").tool_calls
        ```

        The service refuses a forced call ("any", a tool's name) while thinking. Thinking is then off for that call;
        models that always think (QwQ, Qwen3-Thinking) get "auto" instead, with a warning. Arguments that are no JSON
        are `invalid_tool_calls`; they are never completed by guess, in a stream neither.

    Structured output:
        ```python
        from pydantic import BaseModel


        class City(BaseModel):
            name: str
            people: int


        model.with_structured_output(City).invoke("中国最大的城市？")
        ```

        By `json_schema` where the model takes it, thinking left on; else by a forced call or JSON mode, thinking off
        for the call. Where JSON mode is refused, the schema is said in words, with a warning.

    Image, video and audio input:
        ```python
        from langchain_core.messages import HumanMessage

        message = HumanMessage([{"type": "text", "text": "图里是什么？"}, {"type": "image", "url": "https://.../cat.png"}])
        ChatQwen(model="qwen3.7-plus").invoke([message])
        ```

    Token usage:
        ```python
        answer.usage_metadata
        # {"input_tokens": 24, "output_tokens": 1355, "total_tokens": 1379,
        #  "input_token_details": {"cache_read": 0}, "output_token_details": {"reasoning": 1084}}
        model.get_num_tokens_from_messages(messages)  # beforehand, offline, as it will be billed
        ```

    Response metadata:
        ```python
        answer.response_metadata
        # {"model_name": "qwen-plus", "finish_reason": "stop", "model_provider": "qwen", "id": "chatcmpl-...", ...}
        ```

    Errors:
        `langchain_qwen_memory.qwen.model_errors`: each is OpenAI's class and LangChain's at once.
    """

    model_config = ConfigDict(hide_input_in_errors=True)  # a refused option's error would show the key beside it

    model_name: str = Field(default="qwen-plus", alias="model")
    """Name of the model, as the server knows it."""

    openai_api_key: SecretStr | None = Field(
        default_factory=secret_from_env("DASHSCOPE_API_KEY", default=None), alias="api_key"
    )
    """Key of the service, from DASHSCOPE_API_KEY if not given. A server of one's own needs none."""

    openai_api_base: str | None = Field(default_factory=from_env("DASHSCOPE_API_BASE", default=None), alias="base_url")
    """Base URL, from DASHSCOPE_API_BASE if not given; else `region` and `workspace` give it, else it is Beijing's.
    After construction: the URL that is called."""

    server: Server = "auto"
    """What kind of server answers; "auto" tells by the URL, see `langchain_qwen_memory.qwen.endpoints.server_of`."""

    stream_chunk_timeout: float | None = None
    """Not used: `timeout` holds for each piece of a stream, sync and async."""

    @property
    def _llm_type(self) -> str:
        return "chat-qwen"

    @model_validator(mode="after")
    def validate_environment(self) -> Self:
        """Settles where calls go and with which key; takes the place of the parent's, which asks for OpenAI's.

        Raises:
            ValueError: If there is no key though the service needs one, or the options contradict each other.
        """
        if self.streaming and self.n is not None and self.n > 1:
            raise ValueError(f"n={self.n} choices cannot be streamed: give n=1 or streaming=False.")
        # what is said in code comes before the variable
        said = "openai_api_base" in self.model_fields_set or not (self.region or self.workspace)
        given = self.openai_api_base if said else None
        url = resolve_url(base_url=given, region=self.region, workspace=self.workspace)
        from_variable = "openai_api_key" not in self.model_fields_set
        given_key = clear_key(self.openai_api_key)
        self._link = Link(url=url, server=self.server, key=given_key, key_is_the_services=from_variable)
        self.openai_api_base = url
        key = self._link.sent_key
        if not key and self._link.kind == "dashscope":
            raise ValueError(f"No key for {shown_url(url)}: set DASHSCOPE_API_KEY or give api_key=...")
        self._clients = OpenAIClients(
            self._client_options(url, key or "none"),
            http_client=self.http_client,
            http_async_client=self.http_async_client,
            proxy=self.openai_proxy,
        )
        return self

    def _client_options(self, url: str, key: str) -> dict[str, Any]:
        options = {"timeout": self.request_timeout, "max_retries": self.max_retries}
        return {
            "base_url": url,
            "api_key": key,
            "default_headers": self.default_headers,
            "default_query": self.default_query,
        } | {name: value for name, value in options.items() if value is not None}

    def _common_params(self) -> dict[str, Any]:
        params: dict[str, Any] = super(QwenFields, self)._default_params  # OpenAI's, past the one that asks for this
        return params

    # --- calling ---

    def _ask(self, call: Call) -> ChatResult:
        return call.read(self._post(call))

    async def _aask(self, call: Call) -> ChatResult:
        return call.read(await self._apost(call))

    def _open(self, call: Call) -> AbstractContextManager[Any]:
        stream: AbstractContextManager[Any] = self._post(call, stream_cls=EventStream)
        return stream

    async def _aopen(self, call: Call) -> AbstractAsyncContextManager[Any]:
        stream: AbstractAsyncContextManager[Any] = await self._apost(call, stream_cls=AsyncEventStream)
        return stream

    def _post(self, call: Call, *, stream_cls: Any = None) -> Any:
        client = self._clients.sync
        if options := call.client_options("http_client"):
            client = client.with_options(**options)
        return client.post(**call.arguments(stream_cls))

    async def _apost(self, call: Call, *, stream_cls: Any = None) -> Any:
        client = await self._clients.of_this_loop()
        if options := call.client_options("http_async_client"):
            client = client.with_options(**options)
        return await client.post(**call.arguments(stream_cls))

    def _call(self, messages: list[BaseMessage], stop: list[str] | None, kwargs: dict[str, Any]) -> Call:
        """Settles one call from the object's options and the call's own; neither is changed."""
        asked = common_names(kwargs) | ({"stop": stop} if stop is not None else {})
        own = {name: asked.pop(name) for name in CONNECTION & asked.keys()}
        usage = self._should_stream_usage(asked.pop("stream_usage", None), **asked)
        tags = asked.pop("thinking_tags", self.thinking_tags)
        link = self._link.with_options(own) if own else self._link
        if link.kind == "dashscope":
            check_protocol(model_info(asked.get("model", self.model_name)))
        request = wire_request(messages, self._default_params, asked, server=link.kind)
        return Call(link=link, request=request, tags=tags, usage=usage, own=own)

    def _get_request_payload(
        self, input_: LanguageModelInput, *, stop: list[str] | None = None, **kwargs: Any
    ) -> dict[str, Any]:
        """Returns the body that would be sent."""
        messages = self._convert_input(input_).to_messages()
        call = self._call(messages, stop, kwargs)
        return call.body(stream=call.request.must_stream or bool(kwargs.get("stream")))

    def _use_responses_api(self, payload: dict[str, Any]) -> bool:  # noqa: ARG002
        """Never: it is another protocol, to which the parent changes for some parameters unasked."""
        return False
