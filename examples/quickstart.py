"""Three turns that are remembered, in one SQLite file. With DASHSCOPE_API_KEY Qwen answers, else a local stand-in."""

from langgraph.checkpoint.sqlite import SqliteSaver

from langchain_qwen_memory import ChatQwen, RecallMemory, SummaryBufferMemory, create_chat_graph
from langchain_qwen_memory.testing.first_try import local_if_no_key

local_if_no_key()
memory = [SummaryBufferMemory(trigger=("tokens", 8_000)), RecallMemory(k=6)]
thread = {"configurable": {"thread_id": "t1"}}

with SqliteSaver.from_conn_string("quickstart.db") as saver:
    graph = create_chat_graph(ChatQwen(model="qwen-plus"), memory=memory, archive="quickstart.db", checkpointer=saver)
    for question in ("我叫小李，对花生过敏。", "我的订单号是 KM-3000。", "我对什么过敏？"):
        print(graph.invoke({"messages": question}, thread)["messages"][-1].text)

# 好的，我收到了：我叫小李，对花生过敏。
# 好的，我收到了：我的订单号是 KM-3000。
# 你说过：我叫小李，对花生过敏。
#
# So the stand-in; Qwen says it in words of its own. Run it again: the thread goes on.
