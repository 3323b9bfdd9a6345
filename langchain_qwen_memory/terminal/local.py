"""Serves the local DashScope from the shell, and prints what to paste to use it."""

from __future__ import annotations

import time
from collections.abc import Callable

from langchain_qwen_memory.terminal.options import MisuseError
from langchain_qwen_memory.terminal.output import clean, to_json, write
from langchain_qwen_memory.terminal.say import Say
from langchain_qwen_memory.testing import LocalDashScope, RecordedRequest

_SPEED = 0.02
"""Seconds between two chunks of a stream, as in the chat."""
_LOOK = 0.2
"""Seconds between two looks for new requests."""


def serve(port: int, say: Say, *, log: bool, as_json: bool = False) -> None:
    """Serve until Ctrl-C.

    Args:
        port: 0 takes a free one.
        say: The language.
        log: Print a line for each request.
        as_json: Print JSON Lines: first where it is served, then the requests.

    Raises:
        MisuseError: The port cannot be opened.
    """
    server = LocalDashScope(port=port, speed=_SPEED)
    try:
        server.start()
    except OSError as error:
        other = port + 1 if port < 65535 else 0  # noqa: PLR2004 - the highest port
        raise MisuseError(say("port_taken", port=port, why=error.strerror or error, other=other)) from error
    try:
        if as_json:
            write(to_json({"base_url": server.base_url, "api_key": server.api_key}))
        else:
            _greet(server, say)
        _watch(server, log=log, line=_json if as_json else _line)
    except KeyboardInterrupt:
        if not as_json:
            write("\n" + say("local_stopped"))
    finally:
        server.stop()


def _greet(server: LocalDashScope, say: Say) -> None:
    write(say("local_first", url=server.base_url))
    write(say("local_paste"))
    write(f"  export DASHSCOPE_API_BASE={server.base_url}")
    write(f"  export DASHSCOPE_API_KEY={server.api_key}")


def _watch(server: LocalDashScope, *, log: bool, line: Callable[[RecordedRequest], str]) -> None:
    """Wait for ever; the log of requests is emptied as it is read, since a server may run for days."""
    seen = 0
    while True:
        time.sleep(_LOOK)
        requests = server.requests
        for request in requests[seen:] if log else ():
            write(line(request))
        seen = len(requests)


def _line(request: RecordedRequest) -> str:
    at = time.strftime("%H:%M:%S", time.localtime(request.at))
    parts = [at, str(request.status), request.method, request.path, str(request.body.get("model", ""))]
    usage = request.usage or {}
    if usage:
        cached = (usage.get("prompt_tokens_details") or {}).get("cached_tokens") or 0
        parts.append(f"{usage.get('prompt_tokens', 0)} ({cached} cached) -> {usage.get('completion_tokens', 0)} tokens")
    return clean("  ".join(part for part in parts if part))


def _json(request: RecordedRequest) -> str:
    told = {"at": request.at, "status": request.status, "method": request.method, "path": request.path}
    return to_json({**told, "model": request.body.get("model"), "usage": request.usage})
