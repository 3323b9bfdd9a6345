"""How both chat models answer: whole and in pieces, sync and async, in a form, whatever protocol carries it."""

from abc import abstractmethod
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager, AbstractContextManager, suppress
from operator import itemgetter
from typing import Any, Literal

from langchain_core.callbacks import AsyncCallbackManagerForLLMRun, CallbackManagerForLLMRun
from langchain_core.language_models import LanguageModelInput
from langchain_core.messages import BaseMessage
from langchain_core.outputs import ChatGenerationChunk, ChatResult
from langchain_core.runnables import Runnable, RunnableMap, RunnablePassthrough
from langchain_core.utils.function_calling import convert_to_openai_tool
from pydantic import BaseModel, PrivateAttr

from langchain_qwen_memory.qwen.calls import Call
from langchain_qwen_memory.qwen.clients import Clients
from langchain_qwen_memory.qwen.fields import QwenFields
from langchain_qwen_memory.qwen.model_errors import QwenStreamOnlyError
from langchain_qwen_memory.qwen.parsers import is_modern, json_parser, tool_parser
from langchain_qwen_memory.qwen.structured import wire_response_format

__all__ = ["QwenAnswering", "StructuredMethod"]

StructuredMethod = Literal["json_schema", "function_calling", "json_mode"]

_JSON = {"type": "json_object"}


class QwenAnswering(QwenFields):
    """A chat model that says how one call is settled and carried; the ways to ask for it stand here."""

    _clients: Clients[Any, Any] = PrivateAttr()

    @abstractmethod
    def _call(self, messages: list[BaseMessage], stop: list[str] | None, kwargs: dict[str, Any]) -> Call:
        """Settles one call from the object's options and the call's own; neither is changed."""

    @abstractmethod
    def _ask(self, call: Call) -> ChatResult:
        """Asks for a whole answer."""

    @abstractmethod
    async def _aask(self, call: Call) -> ChatResult:
        """Asks for a whole answer."""

    @abstractmethod
    def _open(self, call: Call) -> AbstractContextManager[Any]:
        """Asks for a stream of events, closed when it is left."""

    @abstractmethod
    async def _aopen(self, call: Call) -> AbstractAsyncContextManager[Any]:
        """Asks for a stream of events, closed when it is left."""

    def close(self) -> None:
        """Closes the connections of synchronous calls, unless the client is the caller's; a later call opens anew."""
        self._clients.close()

    async def aclose(self) -> None:
        """Closes this event loop's connections, unless the client is the caller's; a later call opens anew."""
        await self._clients.aclose()

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
            with self._open(call) as events:
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
            async with await self._aopen(call) as events:
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
                return self._ask(call)
        reader = call.reader()
        with call.errors():
            with self._open(call) as events:
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
                return await self._aask(call)
        reader = call.reader()
        with call.errors():
            async with await self._aopen(call) as events:
                async for event in events:
                    reader.take(event)
            return call.collected(reader, events)

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
            ValueError: If the method needs a schema and there is none, or there is no such method.
        """
        method = method or self._structured_method()
        if method not in {"json_schema", "function_calling", "json_mode"}:
            raise ValueError(f"method={method!r} is not known: give json_schema, function_calling or json_mode.")
        if schema is None and method != "json_mode":
            raise ValueError(f"method={method!r} needs a schema: give one, or method='json_mode'.")
        shown = {"kwargs": {"method": method, "strict": strict}, "schema": schema}
        options = {"ls_structured_output_format": shown, **kwargs}
        if method == "function_calling" or not is_modern(schema):
            bound, parser = self._bound_to_call(schema, strict, options), tool_parser(schema)
        else:
            answer_format = wire_response_format(schema, strict=strict) if method == "json_schema" else _JSON
            bound = self.bind(response_format=answer_format, **({"tools": tools} if tools else {}), **options)
            parser = json_parser(schema)
        if not include_raw:
            return bound | parser
        parsed = RunnablePassthrough.assign(parsed=itemgetter("raw") | parser, parsing_error=lambda _: None)
        failed = RunnablePassthrough.assign(parsed=lambda _: None)
        return RunnableMap(raw=bound) | parsed.with_fallbacks([failed], exception_key="parsing_error")

    def _bound_to_call(self, schema: Any, strict: bool | None, options: dict[str, Any]) -> Runnable[Any, Any]:
        """The model bound to call one tool, whose arguments are the answer."""
        name = convert_to_openai_tool(schema)["function"]["name"]
        asked = {"tool_choice": name, "parallel_tool_calls": False, "strict": strict, **options}
        disabled = getattr(self, "disabled_params", None) or {}
        return self.bind_tools(
            [schema],
            **{
                option: value
                for option, value in asked.items()
                if option not in disabled or (disabled[option] is not None and value not in disabled[option])
            },
        )

    def _structured_method(self) -> StructuredMethod:
        """The surest way to an answer in a form: by schema where it is taken, else by a tool that must be called."""
        info = self._info
        takes_schema = self._link.kind != "dashscope" or info.json_schema
        return "json_schema" if takes_schema or not info.tools or info.thinking == "always" else "function_calling"
