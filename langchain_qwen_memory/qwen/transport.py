"""Carries requests to a Qwen server and its answers back: clients of one's own, and streams read event by event."""

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Iterator, Mapping
from functools import cache
from importlib import import_module
from threading import Lock
from typing import Any, TypeVar

import openai

from langchain_qwen_memory.qwen.clients import Clients
from langchain_qwen_memory.qwen.endpoints import shown_url
from langchain_qwen_memory.qwen.model_errors import QwenConnectionError, QwenResponseError, ReportedError

_Client = TypeVar("_Client", openai.OpenAI, openai.AsyncOpenAI)

__all__ = ["RAW", "AsyncEventStream", "EventStream", "OpenAIClients", "is_error", "trust", "trusted", "whole_answer"]


RAW = {"X-Stainless-Raw-Response": "true"}
"""The header by which OpenAI's SDK hands over the HTTP response as it came, instead of a parsed model of OpenAI's."""

_reading = Lock()


class OpenAIClients(Clients[openai.OpenAI, openai.AsyncOpenAI]):
    """Clients of OpenAI's SDK, which carries the compatible protocol.

    Args:
        options: Options of `openai.OpenAI` that hold for both kinds.
        http_client: The caller's own client for synchronous calls.
        http_async_client: The caller's own client for asynchronous calls.
        proxy: URL of a proxy.
    """

    def __init__(
        self,
        options: Mapping[str, Any],
        *,
        http_client: Any = None,
        http_async_client: Any = None,
        proxy: str | None = None,
    ) -> None:
        super().__init__(http_client=http_client, http_async_client=http_async_client)
        self._options = dict(options)
        self._proxy = proxy

    def _made(self) -> openai.OpenAI:
        http = self._http_client or openai.DefaultHttpxClient(proxy=self._proxy, verify=trusted())
        return _nobody_else(openai.OpenAI(**self._options, http_client=http))

    async def _aready(self) -> None:
        await trust()

    async def _amade(self) -> openai.AsyncOpenAI:
        http = self._http_async_client or openai.DefaultAsyncHttpxClient(proxy=self._proxy, verify=trusted())
        return _nobody_else(openai.AsyncOpenAI(**self._options, http_client=http))

    @staticmethod
    def _shut(client: openai.OpenAI) -> None:
        client.close()

    @staticmethod
    async def _ashut(client: openai.AsyncOpenAI) -> None:
        await client.close()

    @staticmethod
    def _is_shut(client: openai.OpenAI | openai.AsyncOpenAI) -> bool:
        return client.is_closed()


def _library() -> Any:
    """The SDK's HTTP library, whichever its version uses."""
    return import_module(openai.DefaultHttpxClient.__mro__[1].__module__.partition(".")[0])


def request_to(url: str) -> Any:
    """A request as the SDK's errors hold one, where the true one is not at hand."""
    return _library().Request("POST", url)


@cache
def trusted() -> ssl.SSLContext:
    """Returns the certificates that are trusted, read once: for each client anew that takes 50 ms."""
    context: ssl.SSLContext = _library().create_ssl_context()
    return context


async def trust() -> None:
    """Reads the certificates in a thread, if they are not read."""
    if not trusted.cache_info().currsize:
        await asyncio.to_thread(_trusted_once)


def _trusted_once() -> None:
    with _reading:
        trusted()


def _nobody_else(client: _Client) -> _Client:
    """Keeps what the SDK reads of OPENAI_ORG_ID and OPENAI_PROJECT_ID from another company's servers."""
    client.organization = client.project = None
    return client


class EventStream(openai.Stream[dict[str, Any]]):
    """The events of a streamed answer, as dicts."""

    done = False
    """The server has said that the stream is complete."""

    def __stream__(self) -> Iterator[dict[str, Any]]:
        """Yields events; raises what a server says of an error in the midst of them."""
        try:
            if not _is_events(self.response):
                self.response.read()
                yield _whole_as_event(self.response)
                self.done = True
                return
            for sse in self._iter_events():
                if self.done:
                    continue  # reads what is left, so that the connection can be used again
                if sse.data.startswith("[DONE]"):
                    self.done = True
                elif sse.data:
                    yield _event(sse.data, self.response)
        finally:
            self.response.close()


class AsyncEventStream(openai.AsyncStream[dict[str, Any]]):
    """The events of a streamed answer, as dicts."""

    done = False
    """The server has said that the stream is complete."""

    async def __stream__(self) -> AsyncIterator[dict[str, Any]]:
        """Yields events; raises what a server says of an error in the midst of them."""
        try:
            if not _is_events(self.response):
                await self.response.aread()
                yield _whole_as_event(self.response)
                self.done = True
                return
            async for sse in self._iter_events():
                if self.done:
                    continue
                if sse.data.startswith("[DONE]"):
                    self.done = True
                elif sse.data:
                    yield _event(sse.data, self.response)
        finally:
            await self.response.aclose()


def whole_answer(response: Any, *, holds: str = "choices", ends: str = "/v1") -> dict[str, Any]:
    """Returns the JSON of a whole answer if it is one.

    Args:
        response: The HTTP response, read.
        holds: The key that an answer of the endpoint has and an error has not.
        ends: How base URLs of its protocol end.

    Raises:
        QwenResponseError: If it is not: HTML of a proxy, an empty body, no choices.
        ReportedError: If it is an error that came with status 200.
    """
    url, text = shown_url(str(response.request.url)), response.text
    try:
        body = json.loads(text)
    except json.JSONDecodeError:
        body = None
    if not isinstance(body, dict):
        raise QwenResponseError(
            message=f"{url} answered with no JSON object but {text[:200]!r}. Is base_url right? Most end in {ends}.",
            request=response.request,
            body=None,
        )
    if is_error(body, holds):
        raise ReportedError(body, response)
    if not body.get(holds):
        raise QwenResponseError(
            message=f"{url} answered without {holds}: {text[:200]!r}.", request=response.request, body=body
        )
    return body


def _is_events(response: Any) -> bool:
    return "json" not in (kind := response.headers.get("content-type", "")) and "html" not in kind


def _whole_as_event(response: Any) -> dict[str, Any]:
    """Takes a whole answer for a stream's only event, from servers that do not stream what they were asked to."""
    body = whole_answer(response)
    if not all(isinstance(choice, dict) for choice in body["choices"]):
        raise QwenResponseError("The answer's choices are no objects.", response.request, body=body)
    return {**body, "choices": [{**choice, "delta": choice.get("message")} for choice in body["choices"]]}


def _event(data: str, response: Any) -> dict[str, Any]:
    try:
        event = json.loads(data)
    except json.JSONDecodeError:
        raise QwenConnectionError(
            message=f"The stream broke off in the middle of an event: {data[-80:]!r}",
            request=response.request,
        ) from None
    if not isinstance(event, dict):
        raise QwenResponseError(
            f"The stream had an event that is no object: {data[:80]!r}.", response.request, body=None
        )
    if is_error(event):
        raise ReportedError(event, response)
    return event


def is_error(body: dict[str, Any], holds: str = "choices") -> bool:
    """Whether a body of status 200 says that something went wrong, in either protocol's form."""
    return bool(body.get("error")) or (not body.get(holds) and "message" in body and "code" in body)
