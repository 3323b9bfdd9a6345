"""Runs a local DashScope in the foreground, until Ctrl-C."""

import threading
from collections.abc import Callable

from langchain_qwen_memory.testing.server import LocalDashScope


def serve(
    port: int = 8008,
    *,
    api_key: str | None = None,
    speed: float = 0.02,
    started: Callable[[LocalDashScope], None] | None = None,
) -> None:
    """Runs a local DashScope until Ctrl-C.

    Args:
        port: The port; 0 takes a free one.
        api_key: The only key that is accepted; None accepts any.
        speed: Seconds between two chunks of a stream.
        started: Called once with the running server, to say where it is.
    """
    with LocalDashScope(port=port, api_key=api_key, speed=speed) as server:
        if started is not None:
            started(server)
        try:
            threading.Event().wait()
        except KeyboardInterrupt:
            return
