"""For a first try without a key: lets ChatQwen talk to a stand-in on this machine, and says so."""

from __future__ import annotations

import atexit
import os
import sys

from langchain_qwen_memory.testing.server import LocalDashScope

__all__ = ["local_if_no_key"]

_SAID = (
    "no DASHSCOPE_API_KEY: talking to the local stand-in, not to Qwen\n"
    "没有 DASHSCOPE_API_KEY：现在对话的是本机替身，不是千问"
)


def local_if_no_key() -> LocalDashScope | None:
    """Start a local DashScope for this process, unless there is a key or a server to talk to.

    Where neither DASHSCOPE_API_KEY nor DASHSCOPE_API_BASE is set, both are set for this process, so that
    `ChatQwen(model="qwen-plus")` finds the stand-in. A line on standard error says so. For examples and notebooks;
    a program that means to talk to Qwen should fail without a key.

    Returns:
        The running stand-in, which stops when the process ends; None where nothing was started.
    """
    if os.environ.get("DASHSCOPE_API_KEY") or os.environ.get("DASHSCOPE_API_BASE"):
        return None
    server = LocalDashScope().start()
    atexit.register(server.stop)
    os.environ["DASHSCOPE_API_BASE"], os.environ["DASHSCOPE_API_KEY"] = server.base_url, server.api_key
    print(_SAID, file=sys.stderr)  # noqa: T201 - that it is not Qwen must be seen
    return server
