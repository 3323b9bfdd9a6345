"""Carries requests over the `dashscope` SDK's 2.x client, and their answers back, event by event."""

import os
import random
from collections.abc import AsyncIterator, Iterator, Mapping
from typing import Any, Self

import dashscope
import httpx
from dashscope.v2.errors import DashScopeError

from langchain_qwen_memory.qwen.clients import Clients
from langchain_qwen_memory.qwen.native_errors import was_never_sent
from langchain_qwen_memory.qwen.native_stream import EventTranslator
from langchain_qwen_memory.qwen.transport import trust, trusted

__all__ = ["AsyncNativeStream", "NativeClients", "NativeStream", "around", "async_around", "is_events", "pause_before"]

_WORTHWHILE = frozenset({408, 409, 429, 500, 502, 503, 504})
_FIRST, _LONGEST, _MOST_ASKED = 0.5, 8.0, 60.0
"""Seconds: the first pause, the longest of our own, and the longest that a service may ask for."""
_LIMITS = httpx.Limits(max_connections=1000, max_keepalive_connections=100)


class NativeClients(Clients[dashscope.Client, dashscope.AsyncClient]):
    """Clients of the `dashscope` SDK. Where a call goes and with which key is said with each call.

    So neither the SDK's globals nor its environment variables and files are asked, and none of them is changed.
    """

    def _made(self) -> dashscope.Client:
        return around(self._http_client or httpx.Client(verify=trusted(), limits=_LIMITS))

    async def _aready(self) -> None:
        await trust()

    async def _amade(self) -> dashscope.AsyncClient:
        return async_around(self._http_async_client or httpx.AsyncClient(verify=trusted(), limits=_LIMITS))

    @staticmethod
    def _shut(client: dashscope.Client) -> None:
        client.transport.http_client.close()

    @staticmethod
    async def _ashut(client: dashscope.AsyncClient) -> None:
        await client.transport.http_client.aclose()

    @staticmethod
    def _is_shut(client: dashscope.Client | dashscope.AsyncClient) -> bool:
        return bool(client.transport.http_client.is_closed)


_SETTLED: Mapping[str, Any] = {
    "api_key": "said with each call",
    "base_url": "https://said-with-each-call.invalid",
    "region": "cn-beijing",
    "protocol": "native",
    "timeout": 600.0,
    "max_retries": 0,
    "config_path": os.devnull,
}
"""What the SDK would else take from its globals. It retries nothing by itself: it would send again what was dropped."""


def around(http: httpx.Client) -> dashscope.Client:
    """Returns the SDK's client around an HTTP client."""
    return dashscope.Client(**_SETTLED, http_client=http)


def async_around(http: httpx.AsyncClient) -> dashscope.AsyncClient:
    """Returns the SDK's asynchronous client around an HTTP client."""
    return dashscope.AsyncClient(**_SETTLED, http_client=http)


def pause_before(error: DashScopeError, attempt: int, most: int) -> float | None:
    """Returns the seconds to wait before a request is sent again; None: it is not.

    It is sent again if the service said that it did not answer it, or if there was no connection to send it over. What
    was sent and lost may have been answered and billed, and stays lost.

    Args:
        error: Why it failed.
        attempt: How often it has been sent again, from 0.
        most: How often it may be.
    """
    said = str(error.headers.get("x-should-retry", "")).lower()
    worthwhile = said == "true" or (said != "false" and (error.status_code in _WORTHWHILE or was_never_sent(error)))
    if attempt >= most or not worthwhile:
        return None
    asked = _asked(error.headers)
    pause: float = min(_FIRST * 2**attempt, _LONGEST) * random.uniform(1.0, 1.25)  # noqa: S311 - no secret
    return asked if asked is not None and asked <= _MOST_ASKED else pause


def _asked(headers: Mapping[str, str]) -> float | None:
    for name, unit in (("retry-after-ms", 1000.0), ("retry-after", 1.0)):
        try:
            return max(float(headers[name]) / unit, 0.0)
        except (KeyError, ValueError):
            continue
    return None


def is_events(response: httpx.Response) -> bool:
    """Whether a response is a stream of events by its content type."""
    kind = response.headers.get("content-type", "")
    return "json" not in kind and "html" not in kind


class NativeStream:
    """The events of a streamed answer in the compatible protocol's form; closed when it is left."""

    @property
    def done(self) -> bool:
        """The stream is complete without a reason to stop, with which alone the service says so: it had no answer."""
        return self._translator.is_empty

    def __init__(self, response: httpx.Response, translator: EventTranslator) -> None:
        self._response, self._translator = response, translator
        self.response = translator.shown

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._response.close()

    def __iter__(self) -> Iterator[dict[str, Any]]:
        if not is_events(self._response):
            self._response.read()
            yield from self._translator.whole(self._response)
            return
        for piece in self._response.iter_bytes():
            yield from self._translator.feed(piece)
        yield from self._translator.end()


class AsyncNativeStream:
    """The events of a streamed answer in the compatible protocol's form; closed when it is left."""

    @property
    def done(self) -> bool:
        """As in `NativeStream`."""
        return self._translator.is_empty

    def __init__(self, response: httpx.Response, translator: EventTranslator) -> None:
        self._response, self._translator = response, translator
        self.response = translator.shown

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._response.aclose()

    async def __aiter__(self) -> AsyncIterator[dict[str, Any]]:
        if not is_events(self._response):
            await self._response.aread()
            for event in self._translator.whole(self._response):
                yield event
            return
        async for piece in self._response.aiter_bytes():
            for event in self._translator.feed(piece):
                yield event
        for event in self._translator.end():
            yield event
