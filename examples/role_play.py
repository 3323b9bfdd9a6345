"""A character with a long past: what was said in one thread is recalled in another. With a key Qwen plays.

Recall with scope="user" finds turns in all threads of the same user, and of nobody else.
"""

from langgraph.checkpoint.sqlite import SqliteSaver

from langchain_qwen_memory import (
    ChatContext,
    ChatQwen,
    RecallMemory,
    WindowMemory,
    create_chat_graph,
    read_reports,
    transcript,
)
from langchain_qwen_memory.testing.first_try import local_if_no_key

FILE = "role_play.db"
PEI = "你扮演裴老，长安城西市开茶铺的老人，说话慢，爱提旧事。记得住每一位来客说过的话。不要跳出角色。"
PAST = {
    "spring": ("晚辈姓林，从洛阳来，想学泡茶。", "我娘最爱喝蒙顶甘露，可惜她去年走了。", "裴老的茶铺开了多少年？"),
    "summer": ("裴老，天热得很，来壶凉茶。", "我在东市租了间小屋，门口有棵槐树。", "下月我要去扬州贩盐。"),
}

local_if_no_key()
with SqliteSaver.from_conn_string(FILE) as saver:
    graph = create_chat_graph(
        ChatQwen(model="qwen-plus"),  # a character model such as qwen-plus-character plays as well
        memory=[WindowMemory(), RecallMemory(scope="user", k=4)],
        system_prompt=PEI,
        archive=FILE,
        checkpointer=saver,
    )
    lin = ChatContext(user_id="lin")
    for season, lines in PAST.items():
        thread = {"configurable": {"thread_id": season}}
        if not transcript(graph, thread, context=lin):  # told once, in the first run
            for line in lines:
                graph.invoke({"messages": line}, thread, context=lin)

    today = {"configurable": {"thread_id": "winter"}}
    for line in ("裴老，许久不见！", "裴老可还记得，我娘最爱喝什么茶？", "我在东市的小屋门口有什么树？"):
        answer = graph.invoke({"messages": line}, today, context=lin)["messages"][-1].text
        recalled = read_reports(graph, today)[-1]["recalled"]
        print(f"> {line}\n{answer}")
        print("  recalled:", ", ".join(f"{hit.get('thread', 'winter')} #{hit['position']}" for hit in recalled) or "-")

    stranger = graph.invoke(
        {"messages": "我娘最爱喝什么茶？"},
        {"configurable": {"thread_id": "other"}},
        context=ChatContext(user_id="wang"),
    )
    print(f"another guest asks the same:\n{stranger['messages'][-1].text}")
