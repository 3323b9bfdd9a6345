"""Customer service: tools, a summary that keeps the order number, hand-over to a person. With a key Qwen answers."""

from langchain_core.tools import tool
from langgraph.checkpoint.sqlite import SqliteSaver
from langgraph.types import Command, interrupt

from langchain_qwen_memory import (
    ChatContext,
    ChatQwen,
    SummaryBufferMemory,
    create_chat_graph,
    read_reports,
    run_turn,
    transcript,
)
from langchain_qwen_memory.testing.first_try import local_if_no_key

FILE = "customer_service.db"
ORDERS = {"KM-3000": "保温杯一只，已发货，预计周五送达"}


@tool
def order_status(number: str) -> str:
    """查询订单的状态。number 是订单号，例如 KM-3000。"""
    return ORDERS.get(number, "没有这个订单")


@tool
def ask_a_person(reason: str) -> str:
    """转人工客服：退款、投诉，以及订单里查不到的事。"""
    return str(interrupt({"reason": reason}))  # the run stops here, for hours or days, until a person has answered


TALK = (
    "你好，我叫李明，订单号是 KM-3000，收货地址是杭州市文三路 9 号。",
    "我对乳胶过敏，包装里不要放乳胶手套。",
    "保温杯能放洗碗机吗？",
    "容量多大？我想要 500 毫升的。",
    "颜色我选的是墨绿，对吧？",
    "发票抬头写杭州明天科技有限公司。",
)

local_if_no_key()
with SqliteSaver.from_conn_string(FILE) as saver:
    graph = create_chat_graph(
        ChatQwen(model="qwen-plus"),
        memory=SummaryBufferMemory(trigger=("tokens", 220), keep=("turns", 2)),  # small, so that this talk folds
        tools=[order_status, ask_a_person],
        system_prompt="你是一家网店的客服。查订单用 order_status；退款和投诉转人工。",
        archive=FILE,
        checkpointer=saver,
    )
    thread = {"configurable": {"thread_id": "ticket-1"}}
    li = ChatContext(user_id="liming")

    for message in TALK:
        run_turn(graph, message, thread, context=li)
    report = read_reports(graph, thread)[-1]
    print(f"{report['turn'] + 1} turns, {report['kept']} of them word for word, the others in the summary:")
    print(graph.get_state(thread).values["record"]["slots"]["summary"].get("text", "(none yet)"))
    print(f"facts kept: {report.get('facts_kept', 1):.0%}")

    print("\n> 查询订单 KM-3000 的状态。")
    print(run_turn(graph, "查询订单 KM-3000 的状态。", thread, context=li)["messages"][-1].text)

    print("\n> 我要退款，请转人工客服。")
    state = run_turn(graph, "我要退款，请转人工客服。", thread, context=li)
    waiting = graph.get_state(thread).interrupts
    if waiting:
        print(f"waiting for a person: {waiting[0].value}")
        answer = Command(resume="客服小王：退款已批准，三日内到账。")
        state = run_turn(graph, answer, thread, context=li)
    print(state["messages"][-1].text)
    print(f"\n{len(transcript(graph, thread, context=li))} turns in the transcript, from the first word on")
