"""ChatQwen: Qwen as a LangChain chat model, on Alibaba's service or a server of one's own."""

import json
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import suppress
from operator import itemgetter
from typing import Any, Literal, Self

from langchain_core.callbacks import AsyncCallbackManagerForLLMRun, CallbackManagerForLLMRun
from langchain_core.exceptions import OutputParserException
from langchain_core.language_models import LanguageModelInput, ModelProfile
from langchain_core.language_models.base import LangSmithParams
from langchain_core.messages import BaseMessage
from langchain_core.output_parsers import JsonOutputParser, PydanticOutputParser
from langchain_core.outputs import ChatGenerationChunk, ChatResult, Generation
from langchain_core.runnables import Runnable, RunnableMap, RunnablePassthrough
from langchain_core.utils import from_env, secret_from_env
from langchain_core.utils.json import parse_json_markdown
from langchain_core.utils.pydantic import is_basemodel_subclass
from langchain_openai.chat_models.base import BaseChatOpenAI
from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, SecretStr, model_validator

from langchain_qwen_memory.catalogue import ModelInfo, model_info
from langchain_qwen_memory.counting.vocabulary import encoding
from langchain_qwen_memory.qwen import blocks
from langchain_qwen_memory.qwen.calls import CONNECTION, Call, Link, ThinkingTags, clear_key, common_names, resolve_url
from langchain_qwen_memory.qwen.endpoints import Server, shown_url
from langchain_qwen_memory.qwen.model_errors import QwenStreamOnlyError
from langchain_qwen_memory.qwen.structured import wire_response_format
from langchain_qwen_memory.qwen.transport import AsyncEventStream, Clients, EventStream
from langchain_qwen_memory.qwen.wire import KNOBS, plan_request, wire_request
from langchain_qwen_memory.tokens import count_text, count_tokens

__all__ = ["ChatQwen"]

blocks.register()

StructuredMethod = Literal["json_schema", "function_calling", "json_mode"]


class ChatQwen(BaseChatOpenAI):
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

    region: str | None = None
    """beijing, singapore, us, hongkong, tokyo or frankfurt. A key is valid in its own region only."""

    workspace: str | None = None
    """Id of a workspace, which has a host of its own in each region."""

    server: Server = "auto"
    """What kind of server answers; "auto" tells by the URL, see `langchain_qwen_memory.qwen.endpoints.server_of`."""

    stream_usage: bool | None = True
    """Ask for token counts in streams too."""

    enable_thinking: bool | None = None
    """Whether the model thinks before it answers; None: as the model does by itself."""

    thinking_budget: int | None = None
    """Most tokens of thinking."""

    preserve_thinking: bool | None = None
    """Whether thinking of earlier turns is sent back and read; None: as the model does by itself (catalogue)."""

    top_k: int | None = None
    """Sample among so many most likely tokens."""

    repetition_penalty: float | None = None
    """Above 1, repeating is made less likely."""

    enable_search: bool | None = None
    """Let the service search the web first."""

    search_options: dict[str, Any] | None = None
    """How it searches, in the service's own words."""

    vl_high_resolution_images: bool | None = None
    """Look at pictures at up to 16 times the pixels, for as many more tokens."""

    thinking_tags: ThinkingTags = "auto"
    """Where thinking may stand inline in the text: "auto" by the catalogue, "open" if the server's template opens it
    and no parser takes it out, "off" to leave the text alone."""

    stream_chunk_timeout: float | None = None
    """Not used: `timeout` holds for each piece of a stream, sync and async."""

    _clients: Clients = PrivateAttr()
    _link: Link = PrivateAttr()

    @property
    def _llm_type(self) -> str:
        return "chat-qwen"

    @property
    def lc_secrets(self) -> dict[str, str]:
        """Constructor arguments that are secrets, and the variables that hold them."""
        return dict.fromkeys(("openai_api_key", "api_key", "dashscope_api_key"), "DASHSCOPE_API_KEY")

    @classmethod
    def is_lc_serializable(cls) -> bool:
        """Whether LangChain can write this model down and load it again: yes, without its key."""
        return True

    @model_validator(mode="before")
    @classmethod
    def _take_shared_names(cls, values: dict[str, Any]) -> dict[str, Any]:
        """Takes the names that ChatTongyi and other packages have for the same options."""
        renamed = {"dashscope_api_key": "api_key", "api_base": "base_url"}
        return {renamed.get(name, name): value for name, value in values.items()}

    @model_validator(mode="after")
    def _set_qwen_version(self) -> Self:
        from importlib.metadata import version

        self._add_version("langchain-qwen-memory", version("langchain-qwen-memory"))
        return self

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
        self._clients = Clients(
            self._client_options(url, key or "none"),
            http_client=self.http_client,
            http_async_client=self.http_async_client,
            proxy=self.openai_proxy,
        )
        return self

    def __repr_args__(self) -> Any:
        """What is shown of the object: no password of a URL, no header, as keys may stand in both."""
        for name, value in super().__repr_args__():
            if name not in {"default_headers", "default_query"}:
                yield name, shown_url(value) if name == "openai_api_base" and value else value

    def _client_options(self, url: str, key: str) -> dict[str, Any]:
        options = {"timeout": self.request_timeout, "max_retries": self.max_retries}
        return {
            "base_url": url,
            "api_key": key,
            "default_headers": self.default_headers,
            "default_query": self.default_query,
        } | {name: value for name, value in options.items() if value is not None}

    @property
    def _info(self) -> ModelInfo:
        return model_info(self.model_name)

    @property
    def _default_params(self) -> dict[str, Any]:
        """All that this object says of each call; also what a response cache tells it apart by."""
        knobs = {knob: getattr(self, knob) for knob in KNOBS}
        return super()._default_params | {knob: value for knob, value in knobs.items() if value is not None}

    # --- calling ---

    def _stream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> Iterator[ChatGenerationChunk]:
        call = self._call(messages, stop, kwargs)
        reader = call.reader()
        with call.errors():
            with self._post(call, stream_cls=EventStream) as events:
                for event in events:
                    if (delta := reader.take(event)) is not None:
                        chunk = reader.chunk(delta)
                        if run_manager:
                            run_manager.on_llm_new_token(chunk.text, chunk=chunk)
                        yield chunk
            call.check_end(reader, events)
            last = reader.last_chunk()
        if run_manager:
            run_manager.on_llm_new_token(last.text, chunk=last)
        yield last

    async def _astream(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> AsyncIterator[ChatGenerationChunk]:
        call = self._call(messages, stop, kwargs)
        reader = call.reader()
        with call.errors():
            async with await self._apost(call, stream_cls=AsyncEventStream) as events:
                async for event in events:
                    if (delta := reader.take(event)) is not None:
                        chunk = reader.chunk(delta)
                        if run_manager:
                            await run_manager.on_llm_new_token(chunk.text, chunk=chunk)
                        yield chunk
            call.check_end(reader, events)
            last = reader.last_chunk()
        if run_manager:
            await run_manager.on_llm_new_token(last.text, chunk=last)
        yield last

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,  # noqa: ARG002
        **kwargs: Any,
    ) -> ChatResult:
        call = self._call(messages, stop, kwargs)
        if not call.request.must_stream:
            with suppress(QwenStreamOnlyError), call.errors():
                return call.read(self._post(call))
        reader = call.reader()
        with call.errors():
            with self._post(call, stream_cls=EventStream) as events:
                for event in events:
                    reader.take(event)
            return call.collected(reader, events)

    async def _agenerate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: AsyncCallbackManagerForLLMRun | None = None,  # noqa: ARG002
        **kwargs: Any,
    ) -> ChatResult:
        call = self._call(messages, stop, kwargs)
        if not call.request.must_stream:
            with suppress(QwenStreamOnlyError), call.errors():
                return call.read(await self._apost(call))
        reader = call.reader()
        with call.errors():
            async with await self._apost(call, stream_cls=AsyncEventStream) as events:
                async for event in events:
                    reader.take(event)
            return call.collected(reader, events)

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

    # --- answers in a form ---

    def with_structured_output(
        self,
        schema: dict[str, Any] | type | None = None,
        *,
        method: StructuredMethod | None = None,
        include_raw: bool = False,
        strict: bool | None = None,
        tools: list[Any] | None = None,
        **kwargs: Any,
    ) -> Runnable[LanguageModelInput, dict[str, Any] | BaseModel]:
        """Returns this model with answers that fit a schema; the model itself stays as it is.

        Args:
            schema: A Pydantic class, a TypedDict, a JSON Schema, or a function.
            method: json_schema, function_calling or json_mode. None: the surest for the model. What a model does not
                take becomes what it takes: a schema in words beside JSON mode, or in words alone.
            include_raw: Return `{"raw": message, "parsed": object, "parsing_error": error}`; thinking is in `raw`.
            strict: Bind the model to the schema word by word, where the server can.
            tools: Tools that may be called beside it; with json_schema only.
            **kwargs: Options of the call.

        Raises:
            ValueError: If the method needs a schema and there is none.
        """
        method = method or self._structured_method()
        if method == "function_calling" or schema is None or not _is_modern(schema):
            method = "function_calling" if method == "json_schema" and schema is not None else method
            return super().with_structured_output(
                schema, method=method, include_raw=include_raw, strict=strict, tools=tools, **kwargs
            )
        bound = self.bind(
            response_format=wire_response_format(schema, strict=strict) if method == "json_schema" else _JSON,
            ls_structured_output_format={"kwargs": {"method": method, "strict": strict}, "schema": schema},
            **({"tools": tools} if tools else {}),
            **kwargs,
        )
        parser = _parser(schema)
        if not include_raw:
            return bound | parser
        parsed = RunnablePassthrough.assign(parsed=itemgetter("raw") | parser, parsing_error=lambda _: None)
        failed = RunnablePassthrough.assign(parsed=lambda _: None)
        return RunnableMap(raw=bound) | parsed.with_fallbacks([failed], exception_key="parsing_error")

    def _structured_method(self) -> StructuredMethod:
        """The surest way to an answer in a form: by schema where it is taken, else by a tool that must be called."""
        info = self._info
        takes_schema = self._link.kind != "dashscope" or info.json_schema
        return "json_schema" if takes_schema or not info.tools or info.thinking == "always" else "function_calling"

    # --- what is known of the model ---

    def get_token_ids(self, text: str) -> list[int]:
        """Returns the model's own tokens of a text; offline."""
        return encoding(self._info.vocabulary).encode(text, allowed_special="all")

    def get_num_tokens(self, text: str) -> int:
        """Returns how many of the model's own tokens a text is; offline."""
        return count_text(text, model=self.model_name)

    def get_num_tokens_from_messages(
        self,
        messages: Sequence[BaseMessage],
        tools: Sequence[dict[str, Any] | type | Callable[..., Any] | Any] | None = None,
        **kwargs: Any,
    ) -> int:
        """Returns how many tokens a prompt is, template and tools included, as the service bills it; offline.

        Options of the call may be given too (`enable_thinking=...`): what is counted is what would be sent.
        """
        asked = common_names(kwargs) | ({"tools": list(tools)} if tools else {})
        own = {name: asked.pop(name) for name in CONNECTION & asked.keys()}
        kind = self._link.with_options(own).kind
        planned = plan_request(messages, self._default_params, asked, server=kind)
        said, choice = planned.params, planned.params.get("tool_choice")
        return count_tokens(
            list(messages),
            model=said["model"],
            tools=said["tools"] or (),
            tool_choice=choice if isinstance(choice, str) else None,
            response_format=(said["response_format"] or {}).get("type"),
            thinking=planned.plan.thinks,
            reasoning="all" if planned.preserves else "open_turn",
            high_resolution=bool(planned.knobs.get("vl_high_resolution_images")),
        )

    def _resolve_model_profile(self) -> ModelProfile | None:
        return _profile(self._info)

    # --- tracing ---

    def _get_ls_params(self, stop: list[str] | None = None, **kwargs: Any) -> LangSmithParams:
        return super()._get_ls_params(stop=stop, **kwargs) | LangSmithParams(ls_provider=blocks.PROVIDER)

    def _get_invocation_params(self, stop: list[str] | None = None, **kwargs: Any) -> dict[str, Any]:
        """What is traced of a call: not how it travels, for that holds keys and clients."""
        shown = {name: value for name, value in common_names(kwargs).items() if name not in CONNECTION}
        return super()._get_invocation_params(stop=stop, **shown)


def _is_modern(schema: Any) -> bool:
    """Whether a schema is no class of Pydantic's version 1, which only the tool parser reads."""
    return not (isinstance(schema, type) and is_basemodel_subclass(schema)) or issubclass(schema, BaseModel)


_JSON = {"type": "json_object"}


class _WholeJson(JsonOutputParser):
    """Reads JSON that is whole: LangChain's own parser closes what was cut off, which is a guess.

    A stream shows what has come so far, as LangChain's does, and raises at its end if that was not all.
    """

    def parse_result(self, result: list[Generation], *, partial: bool = False) -> Any:
        if not partial:
            _check_whole(result[0])
        return super().parse_result(result, partial=partial)

    def _transform(self, input: Iterator[str | BaseMessage]) -> Iterator[Any]:  # noqa: A002 - the parent's name
        pieces: list[str] = []
        yield from super()._transform(_heard(one, pieces) for one in input)
        _check_whole(Generation(text="".join(pieces)))

    async def _atransform(self, input: AsyncIterator[str | BaseMessage]) -> AsyncIterator[Any]:  # noqa: A002
        pieces: list[str] = []
        async for parsed in super()._atransform(_heard(one, pieces) async for one in input):
            yield parsed
        _check_whole(Generation(text="".join(pieces)))


class _WholeObject(_WholeJson, PydanticOutputParser[Any]):
    """The same, into an object."""


def _heard(piece: str | BaseMessage, pieces: list[str]) -> str | BaseMessage:
    pieces.append(piece if isinstance(piece, str) else str(piece.text))
    return piece


def _check_whole(answer: Generation) -> None:
    try:
        parse_json_markdown(answer.text, parser=json.loads)
    except ValueError as error:
        raise OutputParserException(
            f"The answer is not whole JSON: {error}. If it was cut off, raise max_tokens.", llm_output=answer.text
        ) from error


def _parser(schema: Any) -> PydanticOutputParser[Any] | JsonOutputParser:
    if isinstance(schema, type) and issubclass(schema, BaseModel):
        return _WholeObject(pydantic_object=schema)
    return _WholeJson()


def _profile(info: ModelInfo) -> ModelProfile | None:
    """Returns the catalogue's facts as LangChain's profile; None for a model it does not know."""
    if not info.known:
        return None
    return ModelProfile(
        max_input_tokens=info.max_input,
        max_output_tokens=info.max_output,
        text_inputs=True,
        image_inputs="image" in info.inputs,
        image_url_inputs="image" in info.inputs,
        pdf_inputs=False,
        audio_inputs="audio" in info.inputs,
        video_inputs="video" in info.inputs,
        image_tool_message=False,
        pdf_tool_message=False,
        text_outputs=True,
        image_outputs=False,
        audio_outputs="audio" in info.outputs,
        video_outputs=False,
        reasoning_output=info.thinking != "never",
        tool_calling=info.tools,
        tool_choice=info.tools and info.thinking != "always",
        structured_output=info.json_schema,
    )
