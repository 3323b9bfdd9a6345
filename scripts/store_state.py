"""Writes what this release stores, for later releases to read: `python scripts/store_state.py` before a release.

A folder of tests/stored with the version's name gets one packed SQLite file a way of use, each holding checkpoints and
archive of a short thread, and `expected.json` with what must be read from them. tests/test_stored.py opens all of them.
"""

from __future__ import annotations

import gzip
import json
import sqlite3
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

from langchain.agents import create_agent
from langgraph.checkpoint.sqlite import SqliteSaver
from langgraph.graph import START, MessagesState, StateGraph

from langchain_qwen_memory import (
    ChatContext,
    ChatQwen,
    MemoryMiddleware,
    RecallMemory,
    SqliteArchive,
    SummaryBufferMemory,
    WindowMemory,
    __version__,
    create_chat_graph,
)
from langchain_qwen_memory.testing import LocalDashScope

ROOT = Path(__file__).parents[1]
THREAD: Any = {"configurable": {"thread_id": "stored"}}
ALICE = ChatContext(user_id="alice")
FACT = "我叫小李，对花生过敏，订单号是 KM-3000。"
TALK = (FACT, *(f"第 {day} 天：走了 {day * 137} 步。" for day in range(1, 9)))


def order_status(number: str) -> str:
    """Look up the status of an order 订单."""
    return f"{number}: 已发货"


def window(model: ChatQwen, archive: SqliteArchive, saver: SqliteSaver) -> Any:
    return create_chat_graph(
        model, memory=WindowMemory(trigger=("turns", 6), keep=("turns", 3)), archive=archive, checkpointer=saver
    )


def everything(model: ChatQwen, archive: SqliteArchive, saver: SqliteSaver) -> Any:
    memory = [SummaryBufferMemory(trigger=("tokens", 200), keep=("turns", 2)), RecallMemory()]
    return create_chat_graph(model, memory=memory, tools=[order_status], archive=archive, checkpointer=saver)


def agent(model: ChatQwen, archive: SqliteArchive, saver: SqliteSaver) -> Any:
    memory = MemoryMiddleware(SummaryBufferMemory(trigger=("tokens", 200), keep=("turns", 2)), archive=archive)
    return create_agent(model, [order_status], middleware=[memory], context_schema=ChatContext, checkpointer=saver)


def folded_agent(model: ChatQwen, archive: SqliteArchive, saver: SqliteSaver) -> Any:
    memory = MemoryMiddleware(
        WindowMemory(trigger=("turns", 6), keep=("turns", 3)), archive=archive, archive_folded=True
    )
    return create_agent(model, [], middleware=[memory], context_schema=ChatContext, checkpointer=saver)


def plain(model: ChatQwen, _archive: SqliteArchive, saver: SqliteSaver) -> Any:
    """A thread that knows nothing of this package."""
    graph = StateGraph(MessagesState)
    graph.add_node("model", lambda state: {"messages": model.invoke(state["messages"])})
    graph.add_edge(START, "model")
    return graph.compile(checkpointer=saver)


WAYS: dict[str, Callable[..., Any]] = {
    "window": window,
    "everything": everything,
    "agent": agent,
    "folded_agent": folded_agent,
    "plain": plain,
}


def store(name: str, folder: Path, server: LocalDashScope) -> None:
    """Write one thread."""
    file = folder / f"{name}.db"
    file.unlink(missing_ok=True)
    model = ChatQwen(model="qwen-plus", base_url=server.base_url, api_key=server.api_key)
    with SqliteArchive(file) as archive, SqliteSaver.from_conn_string(str(file)) as saver:
        graph = WAYS[name](model, archive, saver)
        for text in TALK:
            graph.invoke({"messages": [("user", text)]}, THREAD, context=None if name == "plain" else ALICE)
    with closing(sqlite3.connect(file, isolation_level=None)) as db:
        db.execute("PRAGMA journal_mode = DELETE")
        db.execute("VACUUM")
    packed = gzip.compress(file.read_bytes(), mtime=0)
    file.with_suffix(".db.gz").write_bytes(packed)
    file.unlink()


def main() -> None:
    folder = ROOT / "tests" / "stored" / (sys.argv[1] if len(sys.argv) > 1 else __version__)
    folder.mkdir(parents=True, exist_ok=True)
    with LocalDashScope() as server:
        for name in WAYS:
            store(name, folder, server)
    (folder / "expected.json").write_text(json.dumps({"questions": TALK}, ensure_ascii=False, indent=1) + "\n", "utf-8")
    for path in sorted(folder.iterdir()):
        print(f"{path.relative_to(ROOT)}: {path.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
