"""A local DashScope for tests and a first try without a key: real HTTP, true shapes, a stand-in for Qwen."""

from langchain_qwen_memory.testing.faults import Fault
from langchain_qwen_memory.testing.replies import RecordedRequest, Reply
from langchain_qwen_memory.testing.server import LocalDashScope, serve

__all__ = ["Fault", "LocalDashScope", "RecordedRequest", "Reply", "serve"]
