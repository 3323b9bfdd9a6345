"""One database for checkpoints, turns, words and vectors: as many machines as you like. With a key Qwen answers.

    pip install "langchain-qwen-memory[postgres]"
    export POSTGRES_URL=postgresql://chat:secret@localhost:5432/chat    # with pgvector, if embeddings are used
    python postgres.py

Two processes that talk on one thread at once wait for each other: `run_turn` holds a lock of the database.
"""

import os
import sys
from concurrent.futures import ThreadPoolExecutor

from langgraph.checkpoint.postgres import PostgresSaver

from langchain_qwen_memory import (
    ChatContext,
    ChatQwen,
    PostgresArchive,
    QwenEmbeddings,
    RecallMemory,
    SummaryBufferMemory,
    create_chat_graph,
    run_turn,
    transcript,
)
from langchain_qwen_memory.testing.first_try import local_if_no_key

URL = os.environ.get("POSTGRES_URL")
if not URL:
    sys.exit("Set POSTGRES_URL=postgresql://user:password@host:5432/database to a database that you may write to.")

local_if_no_key()
thread = {"configurable": {"thread_id": "t1"}}
alice = ChatContext(user_id="alice")


def talk(question: str) -> str:
    """What one of your machines does: its own connections, the same thread."""
    with PostgresSaver.from_conn_string(URL) as saver, PostgresArchive(URL, embeddings=QwenEmbeddings()) as archive:
        graph = create_chat_graph(
            ChatQwen(model="qwen-plus"),
            memory=[SummaryBufferMemory(trigger=("tokens", 8_000)), RecallMemory()],
            archive=archive,
            checkpointer=saver,
        )
        return run_turn(graph, question, thread, context=alice)["messages"][-1].text


with PostgresSaver.from_conn_string(URL) as saver, PostgresArchive(URL) as archive:
    saver.setup()  # once, at deployment
    archive.setup()

print(talk("我叫小李，对花生过敏，订单号是 KM-3000。"))
with ThreadPoolExecutor() as machines:  # three at once on one thread: one after the other, none is lost
    for answer in machines.map(talk, ("我对什么过敏？", "我的订单号是什么？", "我叫什么？")):
        print(answer)

with PostgresSaver.from_conn_string(URL) as saver, PostgresArchive(URL) as archive:
    graph = create_chat_graph(ChatQwen(model="qwen-plus"), archive=archive, checkpointer=saver)
    print(f"{len(transcript(graph, thread, context=alice))} turns in the transcript")
