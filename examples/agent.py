"""Memory in an agent of `create_agent`: tools, one SQLite file, a report. With DASHSCOPE_API_KEY Qwen answers."""

from langchain.agents import create_agent
from langgraph.checkpoint.sqlite import SqliteSaver

from langchain_qwen_memory import (
    ChatContext,
    ChatQwen,
    MemoryMiddleware,
    RecallMemory,
    SummaryBufferMemory,
    read_reports,
    transcript,
)
from langchain_qwen_memory.testing.first_try import local_if_no_key

FILE = "agent.db"
ORDERS = {"KM-3000": "已发货，预计周五送达"}


def order_status(number: str) -> str:
    """查询订单的状态。number 是订单号，例如 KM-3000。"""
    return ORDERS.get(number, "没有这个订单")


local_if_no_key()
memory = MemoryMiddleware([SummaryBufferMemory(trigger=("tokens", 8_000)), RecallMemory(k=6)], archive=FILE)
thread = {"configurable": {"thread_id": "t1"}}
alice = ChatContext(user_id="alice")

with SqliteSaver.from_conn_string(FILE) as saver:
    agent = create_agent(
        ChatQwen(model="qwen-plus"),
        [order_status],
        system_prompt="你是一家网店的客服，回答简短。",
        middleware=[memory],  # others before it: memory counts what they add
        context_schema=ChatContext,
        checkpointer=saver,
    )
    for question in ("我叫小李，对花生过敏。", "查询订单 KM-3000 的状态。", "我对什么过敏？"):
        state = agent.invoke({"messages": question}, thread, context=alice)
        print(f"> {question}\n{state['messages'][-1].text}")
    report = read_reports(agent, thread)[-1]
    print(f"the last view: {report['kept']} turns word for word, {report['view_tokens']} of {report['limit']:,} tokens")
    print(f"{len(transcript(agent, thread, context=alice))} turns in the transcript")
