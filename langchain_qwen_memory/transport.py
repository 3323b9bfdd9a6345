"""Carries requests to a Qwen server and its answers back: clients of one's own, and streams read event by event."""

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Mapping
from threading import Lock
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

import openai

from langchain_qwen_memory.model_errors import QwenConnectionError, QwenResponseError

_Client = TypeVar("_Client", openai.OpenAI, openai.AsyncOpenAI)

__all__ = ["AsyncEventStream", "Clients", "EventStream", "checked"]


class Clients:
    """The HTTP clients of one model object, made when first used.

    An asynchronous client's open connections belong to the event loop they were made in, and break in any other. So
    there is one per loop, closed when its loop shuts down.

    Args:
        options: Options of `openai.OpenAI` that hold for both kinds.
        http_client: The caller's own client for synchronous calls.
        http_async_client: The caller's own client for asynchronous calls, used in whatever loop.
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
        self._options = dict(options)
        self._http_client = http_client
        self._http_async_client = http_async_client
        self._proxy = {"proxy": proxy} if proxy else {}
        self._lock = Lock()
        self._sync: openai.OpenAI | None = None
        self._async: WeakKeyDictionary[Any, tuple[openai.AsyncOpenAI, AsyncGenerator[None, None]]] = (
            WeakKeyDictionary()
        )

    @property
    def sync(self) -> openai.OpenAI:
        """The client for synchronous calls; safe between threads."""
        with self._lock:
            if self._sync is None:
                http = self._http_client or (
                    openai.DefaultHttpxClient(**self._proxy) if self._proxy else None
                )
                self._sync = _nobody_else(openai.OpenAI(**self._options, http_client=http))
            return self._sync

    async def of_this_loop(self) -> openai.AsyncOpenAI:
        """The client for asynchronous calls in the running loop."""
        loop = asyncio.get_running_loop()
        if (entry := self._async.get(loop)) is None:
            http = self._http_async_client or (
                openai.DefaultAsyncHttpxClient(**self._proxy) if self._proxy else None
            )
            client = _nobody_else(openai.AsyncOpenAI(**self._options, http_client=http))
            life = _closed_with_loop(client if self._http_async_client is None else None)
            entry = self._async[loop] = (client, life)
            await anext(life)
        return entry[0]


async def _closed_with_loop(client: openai.AsyncOpenAI | None) -> AsyncGenerator[None, None]:
    """Closes a client when its loop ends: loops close the generators that were begun in them, and nothing else."""
    try:
        yield
    finally:
        if client is not None:
            await client.close()


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


def checked(body: Any, *, url: str, request: Any = None) -> dict[str, Any]:
    """Returns a whole answer's JSON if it is one.

    Raises:
        QwenResponseError: If it is not: HTML of a proxy, an empty body, no choices.
        openai.APIError: If it is an error that came with status 200.
    """
    if not isinstance(body, dict):
        raise QwenResponseError(
            message=f"{url} answered with {type(body).__name__} instead of a JSON object: {str(body)[:200]!r}. "
            "Is base_url right? It ends in /v1 on most servers.",
            request=request,
            body=None,
        )
    if _is_error(body):
        raise openai.APIError(_message(body), request, body=body)
    if not body.get("choices"):
        raise QwenResponseError(
            message=f"{url} answered without choices (keys: {', '.join(body)}; request id {body.get('id', 'unknown')}).",
            request=request,
            body=body,
        )
    return body


def _is_events(response: Any) -> bool:
    return "json" not in (kind := response.headers.get("content-type", "")) and "html" not in kind


def _whole_as_event(response: Any) -> dict[str, Any]:
    """Takes a whole answer for a stream's only event, from servers that do not stream what they were asked to."""
    text = response.text
    body = json.loads(text) if text.lstrip().startswith("{") else text
    body = checked(body, url=str(response.request.url), request=response.request)
    return {**body, "choices": [{**choice, "delta": choice.get("message")} for choice in body["choices"]]}


def _event(data: str, response: Any) -> dict[str, Any]:
    try:
        event = json.loads(data)
    except json.JSONDecodeError:
        raise QwenConnectionError(
            message=f"The stream broke off in the middle of an event: {data[-80:]!r}",
            request=response.request,
        ) from None
    if _is_error(event):
        raise openai.APIError(_message(event), response.request, body=event)
    return event  # type: ignore[no-any-return]


def _is_error(body: dict[str, Any]) -> bool:
    return bool(body.get("error")) or ("choices" not in body and "message" in body and "code" in body)


def _message(body: dict[str, Any]) -> str:
    error = body.get("error")
    return str(
        (error if isinstance(error, dict) else body).get("message")
        or error
        or "The server reported an error."
    )
