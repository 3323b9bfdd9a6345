"""One dialogue through every memory: calls, tokens, prefix, what it recalls; a table, and a picture with matplotlib.

    python compare_memories.py             # a table in the terminal; compare_memories.svg if matplotlib is there

With DASHSCOPE_API_KEY the calls go to Qwen and cost a few cents; without, to a local stand-in that counts and caches
as the service does.
"""

from __future__ import annotations

import importlib.util
from typing import Any

from langgraph.checkpoint.memory import InMemorySaver

from langchain_qwen_memory import (
    ChatQwen,
    InMemoryArchive,
    Memory,
    RecallMemory,
    Report,
    SummaryBufferMemory,
    WindowMemory,
    create_chat_graph,
    read_reports,
    run_turn,
)
from langchain_qwen_memory.testing.first_try import local_if_no_key

TURNS = 60
FACT, ASKED = "我对花生过敏，订单号是 KM-3000。", "我对什么过敏？"
WINDOW = WindowMemory(trigger=("turns", 12), keep=("turns", 6))
SUMMARY = SummaryBufferMemory(trigger=("tokens", 700), keep=("turns", 6))
MEMORIES: dict[str, list[Memory]] = {
    "everything, always": [WindowMemory(trigger=("turns", 10_000))],
    "window": [WINDOW],
    "summary": [SUMMARY],
    "window + recall": [WINDOW, RecallMemory(k=2)],
    "summary + recall": [SUMMARY, RecallMemory(k=2)],
}


def dialogue() -> list[str]:
    """A fact, much talk, a question about the fact."""
    talk = [
        f"第 {number} 天：今天走了 {number * 137 % 9000} 步，晚饭吃了{'面米饺汤'[number % 4]}。"
        for number in range(2, TURNS)
    ]
    return [FACT, *talk, ASKED]


def play(memory: list[Memory]) -> tuple[list[Report], str]:
    """The reports of all turns, and the last answer."""
    graph = create_chat_graph(
        ChatQwen(model="qwen-plus"), memory=memory, archive=InMemoryArchive(), checkpointer=InMemorySaver()
    )
    thread: Any = {"configurable": {"thread_id": "t1"}}
    for text in dialogue():
        answer = run_turn(graph, text, thread)["messages"][-1].text
    return read_reports(graph, thread, limit=TURNS + 1), answer


def row(name: str, reports: list[Report], answer: str) -> str:
    """A line of the table."""
    sent = sum(report["input_tokens"] for report in reports)
    cached = sum(report["cached_tokens"] for report in reports)
    folds = sum(bool(report["folded"]) for report in reports)
    prefix = [report["prefix_kept"] for report in reports if "prefix_kept" in report]
    recalled = sum(bool(report["recalled"]) for report in reports)
    knows = "yes" if "花生" in answer else "no"
    return (
        f"| {name:18} | {len(reports) + folds:5} | {sent:9,} | {cached / sent:6.0%} | {reports[-1]['view_tokens']:6,} "
        f"| {sum(prefix) / len(prefix):6.2f} | {recalled:8} | {knows:5} |"
    )


def draw(curves: dict[str, list[int]]) -> None:
    """Tokens of each turn's view."""
    import matplotlib as mpl

    mpl.use("svg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(figsize=(8, 4))
    for name, tokens in curves.items():
        axes.plot(tokens, label=name)
    axes.set(xlabel="turn", ylabel="tokens in the view")
    axes.legend(frameon=False)
    figure.tight_layout()
    figure.savefig("compare_memories.svg")
    print("drawn: compare_memories.svg")


local_if_no_key()
print("| memory             | calls | sent      | cached | view   | prefix | recalled | knows |")
print("|--------------------|-------|-----------|--------|--------|--------|----------|-------|")
drawn = {}
for named, memories in MEMORIES.items():
    told, last = play(memories)
    print(row(named, told, last))
    drawn[named] = [report["view_tokens"] for report in told]
print("""
calls: of the model, for answers and summaries · sent: tokens of all prompts · cached: how much of them at cache price
view: tokens of the last prompt · prefix: how much of a prompt began like the one before · recalled: turns with a recall
knows: whether the last answer has what the first message said""")
if importlib.util.find_spec("matplotlib"):
    draw(drawn)
