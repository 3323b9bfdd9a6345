"""One call by DashScope's own protocol: what it adds to a call of a Qwen server, sync and async."""

import asyncio
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import dashscope
import httpx
from dashscope.v2.errors import DashScopeError
from langchain_core.outputs import ChatResult

from langchain_qwen_memory.qwen.calls import Call
from langchain_qwen_memory.qwen.endpoints import NATIVE, shown_url
from langchain_qwen_memory.qwen.model_errors import QwenResponseError
from langchain_qwen_memory.qwen.native_errors import as_one_kind, bare_response
from langchain_qwen_memory.qwen.native_events import looks_framed
from langchain_qwen_memory.qwen.native_reading import compatible_body
from langchain_qwen_memory.qwen.native_request import native_request
from langchain_qwen_memory.qwen.native_stream import EventTranslator
from langchain_qwen_memory.qwen.native_transport import pause_before
from langchain_qwen_memory.qwen.reading import UnreadableError, read_completion, readable
from langchain_qwen_memory.qwen.transport import whole_answer

__all__ = ["NativeCall"]

_TIMEOUT, _CONNECT = 600.0, 5.0
"""Seconds: to the first byte and between two pieces; to a connection."""
_RETRIES = 2
_UPLOADS = {"X-DashScope-OssResourceResolve": "enable"}


@dataclass(frozen=True, kw_only=True, slots=True)
class NativeCall(Call):
    """A request on its way by DashScope's own protocol."""

    multimodal: bool | None
    """Which way it goes, if the user says."""

    def body(self, *, stream: bool) -> dict[str, Any]:
        """Returns what the compatible protocol would be sent; which of both forms it is stands in headers here."""
        if stream and (self.request.body.get("n") or 1) > 1:
            self.arguments(object)  # raises: a stream brings one choice
        return self.request.body

    @contextmanager
    def errors(self) -> Iterator[None]:
        """Raises what goes wrong inside as this package's error classes."""
        with Call.errors(self), as_one_kind(self.link.url):
            yield

    def translator(self) -> EventTranslator:
        """Returns what reads the answer's events."""
        return EventTranslator(model=self.request.body["model"], url=self.link.url, usage=self.usage)

    def read(self, raw: httpx.Response) -> ChatResult:
        """Reads a whole answer, also one that came framed as an event though it was not asked for so."""
        if looks_framed(raw.text):
            reader, events = self.reader(), self.translator()
            for event in events.whole(raw):
                reader.take(event)
            return self.collected(reader, _Ended(events.shown))
        body = whole_answer(raw, holds="output", ends=NATIVE)
        with readable(body):
            answer = compatible_body(body, model=self.request.body["model"], part="message")
        if not answer["choices"]:
            raise UnreadableError(f"no choices in {raw.text[:200]!r}")
        return read_completion(answer, opens=self._opens, told_off=self.request.told_off, looks=self.tags != "off")

    def post(self, client: dashscope.Client, *, stream: bool) -> httpx.Response:
        """Sends the request and returns the response, opened and not yet read."""
        sent = self._sent(client, stream=stream)
        for attempt in range(self._retries + 1):
            try:
                response: httpx.Response = client.transport.open_stream("POST", **sent)
            except DashScopeError as error:
                if (pause := pause_before(error, attempt, self._retries)) is None:
                    raise
            else:
                if wrong := self._led_on(response):
                    response.close()
                    raise wrong
                return response
            time.sleep(pause)
        raise AssertionError(attempt)  # the last attempt returns or raises

    async def apost(self, client: dashscope.AsyncClient, *, stream: bool) -> httpx.Response:
        """Sends the request and returns the response, opened and not yet read."""
        sent = self._sent(client, stream=stream)
        for attempt in range(self._retries + 1):
            try:
                response: httpx.Response = await client.transport.open_stream("POST", **sent)
            except DashScopeError as error:
                if (pause := pause_before(error, attempt, self._retries)) is None:
                    raise
            else:
                if wrong := self._led_on(response):
                    await response.aclose()
                    raise wrong
                return response
            await asyncio.sleep(pause)
        raise AssertionError(attempt)

    @property
    def _retries(self) -> int:
        asked = self.own.get("max_retries")
        return _RETRIES if asked is None else int(asked)

    def _sent(self, client: Any, *, stream: bool) -> dict[str, Any]:
        """The arguments of the SDK's transport; path and frame of the body are the SDK's own."""
        said = native_request(self.body(stream=stream), multimodal=self.multimodal)
        request = client.protocol.build_chat_request(
            model=said.model,
            messages=said.messages,
            stream=stream,
            extra_parameters=said.parameters,
            path=client.protocol.MULTIMODAL_PATH if said.multimodal else None,
        )
        own = self.own
        headers = {"Accept": "text/event-stream" if stream else "application/json", **request.headers}
        headers |= _UPLOADS if said.resolves_uploads else {}
        return {
            "path": request.path,
            "json": {**request.body, "input": {**request.body["input"], **said.input}},
            "params": _joined(own.get("default_query"), own.get("extra_query")) or None,
            "headers": headers | _joined(own.get("default_headers"), own.get("extra_headers")),
            "base_url": self.link.url,
            "timeout": _timeout(own.get("timeout")),
            "api_key": self.link.sent_key,
            "workspace": own.get("workspace"),
            "sdk_module": "aigc",
        }

    def _led_on(self, response: httpx.Response) -> QwenResponseError | None:
        """What is wrong with a response that leads elsewhere: a key is for the host it was given for."""
        if not response.has_redirect_location:
            return None
        where = shown_url(response.headers["location"].partition("?")[0])
        text = f"{shown_url(self.link.url)} leads on to {where}. The key does not follow: give that as base_url=..."
        shown: Any = bare_response(self.link.url, response.status_code, "").request
        return QwenResponseError(text, shown, body=None)


@dataclass(frozen=True, slots=True)
class _Ended:
    """What `check_end` asks of a stream."""

    response: httpx.Response
    done: bool = False


def _joined(one: Mapping[str, Any] | None, other: Mapping[str, Any] | None) -> dict[str, Any]:
    return {**(one or {}), **(other or {})}


def _timeout(given: Any) -> httpx.Timeout:
    if isinstance(given, httpx.Timeout):
        return given
    if isinstance(given, tuple):
        return httpx.Timeout(given[1], connect=given[0])
    seconds = _TIMEOUT if given is None else float(given)
    return httpx.Timeout(seconds, connect=min(seconds, _CONNECT))
