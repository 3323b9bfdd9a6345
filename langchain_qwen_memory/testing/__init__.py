"""A local DashScope for tests and a first try without a key: real HTTP, true shapes, a stand-in for Qwen.

Names are loaded when they are used, because pytest loads this package's plugin in every session.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from langchain_qwen_memory.testing.faults import Fault
    from langchain_qwen_memory.testing.replies import RecordedRequest, Reply
    from langchain_qwen_memory.testing.server import LocalDashScope
    from langchain_qwen_memory.testing.serving import serve

__all__ = ["Fault", "LocalDashScope", "RecordedRequest", "Reply", "serve"]

_MODULES = {
    "Fault": "faults",
    "LocalDashScope": "server",
    "RecordedRequest": "replies",
    "Reply": "replies",
    "serve": "serving",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)


def __dir__() -> list[str]:
    return [*globals(), *__all__]
