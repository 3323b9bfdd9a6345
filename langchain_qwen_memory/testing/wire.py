"""The HTTP part of the local DashScope: sockets, threads, keep-alive, chunked answers, and nothing about chat."""

import logging
import socket
import socketserver
import threading
import time
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler
from typing import Any, ClassVar
from urllib.parse import urlsplit

LARGEST_BODY = 256 * 1024 * 1024
"""Bytes; a request with more gets a 413."""

FLUSH_AT = 16 * 1024
"""Bytes of events gathered into one write where nothing has to wait; a stream of tiny chunks stays cheap."""

LOOPBACK = frozenset({"127.0.0.1", "localhost", "::1"})
"""Hosts that may stand in `Host` and `Origin`; any other is a page of somebody else (DNS rebinding)."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Wait:
    """Stands between two events of a stream: say nothing for so many seconds."""

    seconds: float
    """Seconds; infinity waits until the server stops or the client is gone."""


class Cut(Exception):  # noqa: N818
    """Raised by a stream that ends in the middle: the connection is dropped without the closing chunk."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Call:
    """One HTTP request as it came in."""

    method: str
    """The HTTP method."""
    path: str
    """The path without its query."""
    headers: Mapping[str, str]
    """The headers, names in lower case."""
    raw: bytes
    """The body."""
    at: float
    """When it was read, in seconds since the epoch."""
    request_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    """Given to this request, and sent back as `x-request-id`."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Response:
    """One HTTP answer: whole, or a stream of pieces."""

    status: int = 200
    """The HTTP status."""
    headers: Mapping[str, str] = field(default_factory=dict)
    """Headers beside those that every answer has."""
    body: bytes | Iterable[bytes | Wait] = b""
    """The whole body, or the pieces of a chunked one."""
    first_byte: float = 0.0
    """Seconds before anything is sent."""


class Handler(BaseHTTPRequestHandler):
    """Reads requests from one connection and writes what the server answers to each."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = 0
    server: "Listener"

    def handle(self) -> None:
        """Answers until the client has gone; a client that leaves in the middle is no error."""
        try:
            super().handle()
        except (ConnectionError, TimeoutError):
            self.close_connection = True

    def answer(self) -> None:
        """Answers one request of any method."""
        refusal = self._foreign()
        raw = self._read_body()
        if raw is None:
            return
        target = urlsplit(self.path)
        headers = {name.lower(): value for name, value in self.headers.items()}
        call = Call(method=self.command, path=target.path, headers=headers, raw=raw, at=time.time())
        self._send(call, refusal or self.server.respond(call))

    do_GET = do_POST = do_PUT = do_DELETE = do_OPTIONS = do_PATCH = do_HEAD = answer  # noqa: N815

    def log_message(self, *_: Any) -> None:
        """Says nothing on stderr; the log of requests is the server's `requests`."""

    def _foreign(self) -> Response | None:
        """A 403 for a request that a page of another host made the browser send; None for our own."""
        for name in ("Host", "Origin"):
            value = self.headers.get(name)
            host = urlsplit(value if name == "Origin" else f"//{value}").hostname if value else None
            if value is not None and host not in LOOPBACK:
                text = (
                    f"This local server answers only requests to and from this machine; the {name} header "
                    f"was {value!r}. Use http://127.0.0.1:{self.server.server_address[1]}."
                )
                return Response(status=403, headers={"content-type": "text/plain"}, body=text.encode())
        return None

    def _read_body(self) -> bytes | None:
        """The request's body; None, and a refusal sent, where its length is not given or too great."""
        length = self.headers.get("Content-Length", "0")
        if "Transfer-Encoding" in self.headers or not length.isdigit():
            self.send_error(HTTPStatus.LENGTH_REQUIRED)
        elif int(length) > LARGEST_BODY:
            self.send_error(HTTPStatus.REQUEST_ENTITY_TOO_LARGE)
        else:
            return self.rfile.read(int(length))
        self.close_connection = True
        return None

    def _send(self, call: Call, response: Response) -> None:
        self._wait(response.first_byte)
        whole = response.body if isinstance(response.body, bytes) else None
        head = self._head(call, response, whole)
        if whole is not None:
            self.wfile.write(head if call.method == "HEAD" else head + whole)
        elif not isinstance(response.body, bytes):
            self._stream(head, iter(response.body))

    def _head(self, call: Call, response: Response, whole: bytes | None) -> bytes:
        try:
            reason = HTTPStatus(response.status).phrase
        except ValueError:
            reason = ""
        framing = {"transfer-encoding": "chunked"} if whole is None else {"content-length": str(len(whole))}
        headers = {**self.server.headers(call), **response.headers, **framing}
        lines = [f"HTTP/1.1 {response.status} {reason}", *(f"{name}: {v}" for name, v in headers.items())]
        return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")

    def _stream(self, head: bytes, pieces: Iterator[bytes | Wait]) -> None:
        gathered = bytearray(head)
        try:
            for piece in pieces:
                if isinstance(piece, Wait):
                    self._flush(gathered)
                    self._wait(piece.seconds)
                elif piece:
                    gathered += b"%x\r\n%b\r\n" % (len(piece), piece)
                    if len(gathered) > FLUSH_AT:
                        self._flush(gathered)
            gathered += b"0\r\n\r\n"
        except Cut:
            self.close_connection = True
        self._flush(gathered)

    def _flush(self, gathered: bytearray) -> None:
        if gathered:
            self.wfile.write(bytes(gathered))
            gathered.clear()

    def _wait(self, seconds: float) -> None:
        """Waits in small steps, so that neither a client that left nor a stopping server waits for us."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            if not self.server.wait(min(left, 0.25)) or self._client_left():
                raise ConnectionAbortedError

    def _client_left(self) -> bool:
        self.connection.settimeout(0)
        try:
            return not self.connection.recv(1, socket.MSG_PEEK)
        except BlockingIOError:
            return False
        finally:
            self.connection.settimeout(None)


class Listener(socketserver.ThreadingMixIn, socketserver.TCPServer):
    """Listens on loopback with one thread a connection, and closes every one of them when it stops.

    Args:
        port: The port; 0 takes a free one.
        respond: Answers one request; called from many threads at once.
        headers: The headers that every answer has.
    """

    allow_reuse_address = True
    daemon_threads = True
    request_queue_size = 1024
    _name: ClassVar[str] = "local-dashscope"

    def __init__(
        self, port: int, respond: Callable[[Call], Response], headers: Callable[[Call], dict[str, str]]
    ) -> None:
        self.respond, self.headers = respond, headers
        self._open: dict[socket.socket, threading.Thread] = {}
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        super().__init__(("127.0.0.1", port), Handler)
        self._thread = threading.Thread(target=self.serve_forever, args=(0.05,), name=self._name, daemon=True)

    def start(self) -> None:
        """Starts answering, in a thread of its own."""
        self._thread.start()

    def stop(self) -> None:
        """Stops answering, drops every connection and waits until their threads are gone."""
        self._stopping.set()
        self.shutdown()
        self._thread.join()
        with self._lock:
            still = dict(self._open)
        for connection in still:
            _drop(connection)
        for thread in still.values():
            thread.join(timeout=10)
        self.server_close()

    def wait(self, seconds: float) -> bool:
        """Waits; False as soon as the server is stopping."""
        return not self._stopping.wait(seconds)

    def process_request(self, request: Any, client_address: Any) -> None:
        """Gives a new connection its thread, and remembers both so that `stop` leaves nothing behind."""
        thread = threading.Thread(
            target=self.process_request_thread, args=(request, client_address), daemon=True, name=self._name
        )
        with self._lock:
            self._open[request] = thread
        thread.start()

    def shutdown_request(self, request: Any) -> None:
        """Closes a connection and forgets it."""
        super().shutdown_request(request)
        with self._lock:
            self._open.pop(request, None)

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ARG002
        """Logs a fault of this server itself; a test must not fail over noise on stderr."""
        _log.exception("The local DashScope failed at a connection")


def _drop(connection: socket.socket) -> None:
    try:
        connection.shutdown(socket.SHUT_RDWR)
    except OSError:
        return
