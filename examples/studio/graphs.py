"""Three graphs for LangGraph Studio: `langgraph dev --no-browser` in this folder serves them. With a key Qwen answers.

The server brings its own checkpointer; the archive is a file beside this one.
"""

from pathlib import Path

from langchain.agents import create_agent

from langchain_qwen_memory import (
    ChatContext,
    ChatQwen,
    MemoryMiddleware,
    RecallMemory,
    SummaryBufferMemory,
    WindowMemory,
    create_chat_graph,
)
from langchain_qwen_memory.testing.first_try import local_if_no_key

ARCHIVE = Path(__file__).with_name("studio.db")


def order_status(number: str) -> str:
    """查询订单的状态。number 是订单号，例如 KM-3000。"""
    return {"KM-3000": "已发货，预计周五送达"}.get(number, "没有这个订单")


local_if_no_key()
model = ChatQwen(model="qwen-plus")

window = create_chat_graph(model, memory=WindowMemory(), name="window")

everything = create_chat_graph(
    model,
    memory=[SummaryBufferMemory(trigger=("tokens", 8_000)), RecallMemory(k=6)],
    tools=[order_status],
    archive=ARCHIVE,
    name="everything",
)

agent = create_agent(
    model,
    [order_status],
    system_prompt="你是一家网店的客服，回答简短。",
    middleware=[MemoryMiddleware([SummaryBufferMemory(trigger=("tokens", 8_000))])],
    context_schema=ChatContext,
)
