"""Memory nodes wired by hand, with a node of one's own between them. With DASHSCOPE_API_KEY Qwen answers."""

from typing import Any

from langgraph.checkpoint.sqlite import SqliteSaver
from langgraph.graph import END, START, StateGraph
from langgraph.prebuilt import ToolNode, tools_condition

from langchain_qwen_memory import (
    ChatContext,
    ChatQwen,
    MemoryState,
    RecallMemory,
    SqliteArchive,
    SummaryBufferMemory,
    model_node,
    recall_node,
    remember_node,
    run_turn,
)
from langchain_qwen_memory.testing.first_try import local_if_no_key

FILE = "own_graph.db"


class State(MemoryState):
    """`messages`, `record` and `selection` are memory's; the rest is yours."""

    asked: int


def order_status(number: str) -> str:
    """查询订单的状态。number 是订单号，例如 KM-3000。"""
    return {"KM-3000": "已发货，预计周五送达"}.get(number, "没有这个订单")


def count_questions(state: State) -> dict[str, Any]:
    """A node of one's own: whatever your application does before the model is called."""
    return {"asked": state.get("asked", 0) + 1}


local_if_no_key()
with SqliteArchive(FILE) as archive, SqliteSaver.from_conn_string(FILE) as saver:
    # All three nodes get the same parts: model, memory, archive, system prompt, tools.
    parts: dict[str, Any] = {
        "model": ChatQwen(model="qwen-plus"),
        "memory": [SummaryBufferMemory(trigger=("tokens", 8_000)), RecallMemory(k=6)],
        "archive": archive,
        "system_prompt": "你是一家网店的客服，回答简短。",
        "tools": [order_status],
    }
    builder = StateGraph(State, context_schema=ChatContext)
    builder.add_node("count", count_questions)
    builder.add_node("recall", recall_node(**parts))
    builder.add_node("model", model_node(**parts))
    builder.add_node("tools", ToolNode([order_status]))
    builder.add_node("remember", remember_node(**parts))
    builder.add_edge(START, "count")
    builder.add_edge("count", "recall")
    builder.add_edge("recall", "model")
    builder.add_conditional_edges("model", tools_condition, {"tools": "tools", END: "remember"})
    builder.add_edge("tools", "model")
    builder.add_edge("remember", END)
    graph = builder.compile(checkpointer=saver)

    thread = {"configurable": {"thread_id": "t1"}}
    for question in ("我叫小李，对花生过敏。", "查询订单 KM-3000 的状态。", "我对什么过敏？"):
        state = run_turn(graph, question, thread, context=ChatContext(user_id="alice"))
        print(f"> {question}\n{state['messages'][-1].text}")
    print(f"{state['asked']} questions; {archive.count('alice', 't1')} turns in the archive")
