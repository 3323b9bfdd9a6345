"""Long conversations with Qwen in LangChain and LangGraph: nothing forgotten, thinking filtered, a bounded prompt.

Names are loaded when they are used, so that importing this package costs next to nothing.
"""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from langchain_qwen_memory.archive.base import Archive
    from langchain_qwen_memory.archive.memory import InMemoryArchive
    from langchain_qwen_memory.archive.sqlite import SqliteArchive
    from langchain_qwen_memory.catalogue import ModelInfo, model_info
    from langchain_qwen_memory.chat_models import ChatQwen
    from langchain_qwen_memory.embeddings import QwenEmbeddings
    from langchain_qwen_memory.errors import (
        ArchiveError,
        MemoryOptionError,
        QwenMemoryError,
        ThreadError,
        ViewTooLargeError,
    )
    from langchain_qwen_memory.graph import ChatContext, create_chat_graph
    from langchain_qwen_memory.memory.base import Ask, Conversation, Memory, Search, Selection
    from langchain_qwen_memory.memory.recall import RecallMemory
    from langchain_qwen_memory.memory.summary import SummaryBufferMemory
    from langchain_qwen_memory.memory.window import WindowMemory
    from langchain_qwen_memory.middleware import MemoryMiddleware
    from langchain_qwen_memory.nodes import model_node, recall_node, remember_node
    from langchain_qwen_memory.rerank import QwenReranker
    from langchain_qwen_memory.run import arun_turn, astream_turn, run_turn, stream_turn
    from langchain_qwen_memory.state import MemoryState, Report
    from langchain_qwen_memory.threads import (
        TranscriptTurn,
        aforget,
        aread_reports,
        atranscript,
        forget,
        read_reports,
        transcript,
    )
    from langchain_qwen_memory.tokens import count_tokens

_PACKAGE = "langchain_qwen_memory"
_HOME = {
    "Archive": "archive.base",
    "ArchiveError": "errors",
    "Ask": "memory.base",
    "ChatContext": "graph",
    "ChatQwen": "chat_models",
    "Conversation": "memory.base",
    "InMemoryArchive": "archive.memory",
    "Memory": "memory.base",
    "MemoryMiddleware": "middleware",
    "MemoryOptionError": "errors",
    "MemoryState": "state",
    "ModelInfo": "catalogue",
    "QwenEmbeddings": "embeddings",
    "QwenMemoryError": "errors",
    "QwenReranker": "rerank",
    "RecallMemory": "memory.recall",
    "Report": "state",
    "Search": "memory.base",
    "Selection": "memory.base",
    "SqliteArchive": "archive.sqlite",
    "SummaryBufferMemory": "memory.summary",
    "ThreadError": "errors",
    "TranscriptTurn": "threads",
    "ViewTooLargeError": "errors",
    "WindowMemory": "memory.window",
    "aforget": "threads",
    "aread_reports": "threads",
    "arun_turn": "run",
    "astream_turn": "run",
    "atranscript": "threads",
    "count_tokens": "tokens",
    "create_chat_graph": "graph",
    "forget": "threads",
    "model_info": "catalogue",
    "model_node": "nodes",
    "read_reports": "threads",
    "recall_node": "nodes",
    "remember_node": "nodes",
    "run_turn": "run",
    "stream_turn": "run",
    "transcript": "threads",
}

__all__ = [
    "Archive",
    "ArchiveError",
    "Ask",
    "ChatContext",
    "ChatQwen",
    "Conversation",
    "InMemoryArchive",
    "Memory",
    "MemoryMiddleware",
    "MemoryOptionError",
    "MemoryState",
    "ModelInfo",
    "QwenEmbeddings",
    "QwenMemoryError",
    "QwenReranker",
    "RecallMemory",
    "Report",
    "Search",
    "Selection",
    "SqliteArchive",
    "SummaryBufferMemory",
    "ThreadError",
    "TranscriptTurn",
    "ViewTooLargeError",
    "WindowMemory",
    "aforget",
    "aread_reports",
    "arun_turn",
    "astream_turn",
    "atranscript",
    "count_tokens",
    "create_chat_graph",
    "forget",
    "model_info",
    "model_node",
    "read_reports",
    "recall_node",
    "remember_node",
    "run_turn",
    "stream_turn",
    "transcript",
]


def __getattr__(name: str) -> Any:
    if name == "__version__":
        return version("langchain-qwen-memory")
    if name not in _HOME:
        raise AttributeError(f"module {_PACKAGE!r} has no attribute {name!r}")
    value = getattr(import_module(f"{_PACKAGE}.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return [*__all__, "__version__"]
