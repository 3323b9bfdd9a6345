"""The local DashScope: starts and stops, keeps the log of requests, and holds what a test scripted."""

import logging
import threading
import time
from collections import deque
from collections.abc import Mapping
from typing import Any, Self

from langchain_qwen_memory.testing.desk import Desk
from langchain_qwen_memory.testing.faults import Framing
from langchain_qwen_memory.testing.native import native
from langchain_qwen_memory.testing.refusals import Refusal, key_missing, key_wrong
from langchain_qwen_memory.testing.replay import Recording, Split
from langchain_qwen_memory.testing.replies import RecordedRequest
from langchain_qwen_memory.testing.routes import find
from langchain_qwen_memory.testing.scripts import Exchange, Waiting
from langchain_qwen_memory.testing.shapes import encode
from langchain_qwen_memory.testing.wire import Call, Listener, Response

_log = logging.getLogger(__name__)


class LocalDashScope(Desk):
    """A DashScope on this machine: real HTTP on 127.0.0.1, the true service's shapes and rules, a stand-in for a model.

    It is not Qwen. Its answers are put together from the messages of the request, so that one can see what a memory
    brought into the prompt. Usable as a context manager, in a test or in a program.

    Args:
        port: The port; 0 takes a free one.
        api_key: The only key that is accepted; None accepts any, but one must be sent.
        speed: Seconds between two chunks of a stream.
        first_byte: Seconds before the first byte of an answer.
        chunk_size: Characters in one chunk of a stream.
        cache_minimum: Tokens from which a shared prefix counts as cached.
        cache_life: Seconds for which a prefix marked with `cache_control` lives after it was last used.
        content_lists: Whether text models take a content list of text parts. The service's documents say both; False
            refuses them, as "input content must be a string."
        native_refusals: How DashScope's own protocol frames what it refuses: "json", or one of the other ways that
            were seen of the service ("event", "labelled", "nested").
        keep: How many requests the log holds; the oldest go first.

    Examples:
        >>> with LocalDashScope() as server:
        ...     model = ChatQwen(model="qwen-plus", base_url=server.base_url, api_key=server.api_key)
        ...     model.invoke("你好")
        ...     server.requests[-1].messages
    """

    def __init__(
        self,
        *,
        port: int = 0,
        api_key: str | None = None,
        speed: float = 0.0,
        first_byte: float = 0.0,
        chunk_size: int = 4,
        cache_minimum: int = 256,
        cache_life: float = 300.0,
        content_lists: bool = True,
        native_refusals: Framing = "json",
        keep: int = 10_000,
    ) -> None:
        super().__init__(
            speed=speed,
            first_byte=first_byte,
            chunk_size=chunk_size,
            cache_minimum=cache_minimum,
            cache_life=cache_life,
            content_lists=content_lists,
            native_refusals=native_refusals,
        )
        self._port, self._only_key = port, api_key
        self._requests: deque[RecordedRequest] = deque(maxlen=keep)
        self._recordings: Waiting[Recording] = Waiting()
        self._lock = threading.Lock()
        self._listener: Listener | None = None

    def start(self) -> Self:
        """Starts answering.

        Raises:
            OSError: The port is taken.
            RuntimeError: It runs already.
        """
        if self._listener is not None:
            raise RuntimeError("This LocalDashScope runs already; make a second one with LocalDashScope()")
        self._listener = Listener(self._port, self._respond, self._headers)
        self._listener.start()
        return self

    def stop(self) -> None:
        """Drops every connection and frees the port; does nothing if it does not run."""
        listener, self._listener = self._listener, None
        if listener is not None:
            listener.stop()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def url(self) -> str:
        """`http://127.0.0.1:PORT`.

        Raises:
            RuntimeError: It does not run.
        """
        if self._listener is None:
            raise RuntimeError("This LocalDashScope does not run; use `with LocalDashScope() as server:` or start()")
        return f"http://127.0.0.1:{self._listener.server_address[1]}"

    @property
    def base_url(self) -> str:
        """Where the compatible protocol is."""
        return f"{self.url}/compatible-mode/v1"

    @property
    def native_url(self) -> str:
        """Where DashScope's own protocol is: the SDK's `base_http_api_url`, and the `base_url` of its client."""
        return f"{self.url}/api/v1"

    @property
    def plain_url(self) -> str:
        """An OpenAI-compatible route without DashScope's rules, as a self-hosted Qwen has it."""
        return f"{self.url}/v1"

    @property
    def api_key(self) -> str:
        """A key that is accepted."""
        return self._only_key or "sk-local"

    @property
    def requests(self) -> list[RecordedRequest]:
        """All requests that were answered or are being answered, newest last; a copy."""
        with self._lock:
            return list(self._requests)

    def clear(self) -> None:
        """Empties the log of requests."""
        with self._lock:
            self._requests.clear()

    def reset(self) -> None:
        """Empties the log, and forgets scripts, faults, recordings and both caches."""
        self.clear()
        self.forget()
        self._recordings.clear()

    def replay(self, exchange: Mapping[str, Any], *, split: Split = "events") -> None:
        """Answers the next POST, on whatever path, with a recorded answer of the true service, byte for byte.

        No rule is applied to that request, and no key is asked for.

        Args:
            exchange: `{"protocol": ..., "response": {"status", "headers", "raw" or "body" or "events"}}`. Without
                `raw` the events are framed again.
            split: Where the bytes are cut into HTTP chunks: "whole", "events", "bytes", or every so many bytes.
        """
        self._recordings.add([Recording.of(exchange, split=split)])

    def _respond(self, call: Call) -> Response:
        exchange = Exchange(call=call)
        try:
            response = self._replayed(exchange) or self._routed(exchange)
        except Refusal as refusal:
            response = _json(refusal.status, refusal.body(call.request_id))
        except Exception as error:  # noqa: BLE001 - whatever fails here, the client gets an answer that says so
            _log.exception("The local DashScope failed at %s %s", call.method, call.path)
            text = f"The local DashScope itself failed: {type(error).__name__}: {error}"
            response = _json(500, Refusal(500, "internal_error", text).body(call.request_id))
        self._record(exchange, response.status)
        return response

    def _routed(self, exchange: Exchange) -> Response:
        route = find(exchange.call)
        exchange.strict = route.strict
        try:
            if route.strict:
                exchange.key = self._authorize(exchange.call)
            return route.endpoint(self, exchange)
        except Refusal as refusal:
            raise (native(refusal) if route.native else refusal) from None

    def _replayed(self, exchange: Exchange) -> Response | None:
        if exchange.call.method != "POST":
            return None
        recording = self._recordings.take({})
        if recording is None:
            return None
        exchange.body = recording.note(exchange.call.raw)
        return recording.response()

    def _authorize(self, call: Call) -> str:
        scheme, _, key = call.headers.get("authorization", "").partition(" ")
        if scheme.lower() != "bearer" or not key.strip():
            raise key_missing()
        if self._only_key is not None and key.strip() != self._only_key:
            raise key_wrong()
        return key.strip()

    def _headers(self, call: Call) -> dict[str, str]:
        now, arrived = int(time.time() * 1000), int(call.at * 1000)
        return {
            "vary": "Origin,Access-Control-Request-Method,Access-Control-Request-Headers, Accept-Encoding",
            "x-request-id": call.request_id,
            "x-dashscope-call-gateway": "true",
            "req-cost-time": str(now - arrived),
            "req-arrive-time": str(arrived),
            "resp-start-time": str(now),
            "x-envoy-upstream-service-time": str(now - arrived),
            "date": time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime()),
            "server": "local-dashscope (a stand-in, not Qwen)",
        }

    def _record(self, exchange: Exchange, status: int) -> None:
        call = exchange.call
        entry = RecordedRequest(
            method=call.method,
            path=call.path,
            headers=call.headers,
            body=exchange.body,
            status=status,
            at=call.at,
            usage=exchange.usage,
            reply=exchange.reply,
            request_id=call.request_id,
        )
        with self._lock:
            self._requests.append(entry)


def _json(status: int, body: Mapping[str, Any]) -> Response:
    return Response(status=status, headers={"content-type": "application/json"}, body=encode(body))
