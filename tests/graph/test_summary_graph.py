"""A summary in a running graph: made once, hidden, in time, and never in the user's way."""

import asyncio
import threading

import pytest
from langchain_core.messages import AIMessage
from langgraph.checkpoint.memory import InMemorySaver

from langchain_qwen_memory import (
    InMemoryArchive,
    SummaryBufferMemory,
    aforget,
    create_chat_graph,
    forget,
    transcript,
)
from langchain_qwen_memory.steps.background import _tasks
from tests.scripted import ScriptedChatModel

CONFIG = {"configurable": {"thread_id": "t1"}}
FACT = "我叫小明，订单号是 KM-3000。"
TALK = [FACT, *(f"第{n}个问题：杭州有什么好玩的地方？请详细介绍一下景点、交通和门票。" for n in range(12))]


def bot(summariser=None, *, archive=None, memory=None, **options):
    model = ScriptedChatModel(fallback=lambda messages: f"{messages[-1].text[:8]}：西湖、灵隐寺、宋城都值得一去。")
    summariser = summariser or ScriptedChatModel(fallback=lambda _: "小明问了杭州的景点，订单 KM-3000。")
    memory = memory or SummaryBufferMemory(model=summariser, trigger=("tokens", 400), **options)
    archive = InMemoryArchive() if archive is None else archive or None
    graph = create_chat_graph(model, memory=memory, archive=archive, checkpointer=InMemorySaver())
    return model, summariser, graph


def say(graph, *texts):
    for text in texts:
        state = graph.invoke({"messages": text}, CONFIG)
    return state


def reports(graph, talk=TALK):
    return [say(graph, text)["record"]["report"] for text in talk]


@pytest.mark.parametrize("archive", [None, False], ids=["archive", "no archive"])
def test_older_turns_are_folded_into_the_summary(archive):
    """Past the trigger the summary stands in the system message, and the newest turns word for word."""
    model, summariser, graph = bot(archive=archive)
    say(graph, *TALK)
    first, *rest = model.prompts[-1]
    assert "小明问了杭州的景点" in first.text
    assert FACT not in [message.text for message in rest]
    assert len(summariser.prompts) >= 1
    assert [turn.messages[0].text for turn in transcript(graph, CONFIG)] == TALK


def test_the_summariser_reads_what_the_chat_has_sent():
    """The call repeats the chat's own prompt and adds an instruction, so that it is billed at cache price."""
    model, summariser, graph = bot()
    say(graph, *TALK)
    asked = [message.text for message in summariser.prompts[0]]
    sent = next(prompt for prompt in reversed(model.prompts) if prompt[0].text == asked[0])
    assert [message.text for message in sent][: len(asked) - 1] == asked[:-1]
    assert "摘要" in asked[-1]


def test_the_chats_own_model_summarises_without_thinking():
    """Without a `model` of its own the memory asks the chat's, thinking off, the answer short."""
    model, _, graph = bot(memory=SummaryBufferMemory(trigger=("tokens", 400)))
    model.fallback = lambda messages: "小明，KM-3000。" if "摘要" in messages[-1].text else "好的。" * 10
    say(graph, *TALK)
    folds = [asked for asked in model.asked if "max_tokens" in asked]
    assert folds
    assert all(asked["enable_thinking"] is False for asked in folds)


def test_the_summary_never_reaches_the_stream():
    """The user's stream holds the answers only, in every mode that shows messages."""
    _, summariser, graph = bot()
    shown = []
    for text in TALK:
        for chunk, _ in graph.stream({"messages": text}, CONFIG, stream_mode="messages"):
            shown.append(chunk.text)
    assert summariser.prompts
    assert "小明问了杭州的景点" not in "".join(shown)


def test_the_report_counts_folds_and_facts():
    """Folded turns, and the share of hard facts that survived, are in the report."""
    _, _, graph = bot()
    told = reports(graph)
    assert sum(report["folded"] for report in told) > 0
    assert 0 < told[-1]["facts_kept"] <= 1


def test_a_summariser_that_is_down_costs_no_answer_and_no_turn():
    """The user is answered, nothing leaves, the report says so, and the fold is made up for later."""
    down = ScriptedChatModel(fallback=lambda _: ConnectionError("no summariser"))
    _, _, graph = bot(down)
    told = reports(graph)
    assert any("summary: ConnectionError" in report["errors"] for report in told)
    assert len(graph.get_state(CONFIG).values["messages"]) == 2 * len(TALK)
    down.fallback = lambda _: "小明问了杭州的景点。"
    say(graph, *[f"再来一个{n}" for n in range(17)])
    assert len(graph.get_state(CONFIG).values["messages"]) < 2 * len(TALK)
    assert len(transcript(graph, CONFIG, limit=100)) == len(TALK) + 17


def test_an_answer_with_thinking_inside_leaves_no_thinking_in_the_summary():
    """A summariser that thinks aloud is cleaned."""
    loud = ScriptedChatModel(fallback=lambda _: AIMessage("<think>secret</think>小明，KM-3000。"))
    model, _, graph = bot(loud)
    say(graph, *TALK)
    assert "小明，KM-3000" in model.prompts[-1][0].text
    assert "secret" not in str(model.prompts[-1])


def held_summariser():
    """A summariser that answers once `gate` is open, and sets `done`."""
    gate, done = threading.Event(), threading.Event()

    def answer(_):
        assert gate.wait(20), "nobody opened the gate: a turn waited for the summary"
        done.set()
        return "小明问了杭州的景点。"

    return gate, done, ScriptedChatModel(fallback=answer)


def settle(done):
    """Wait until the summary is made and kept."""
    assert done.wait(20)
    for worker in threading.enumerate():
        if worker.name == "qwen-memory-fold":
            worker.join(20)


def test_in_the_background_no_turn_waits_for_the_summary():
    """With `fold="background"` all turns are answered while the summariser is held; later it is put in place."""
    gate, done, held = held_summariser()
    model, _, graph = bot(held, fold="background")
    say(graph, *TALK)
    assert not done.is_set()
    gate.set()
    settle(done)
    say(graph, "还有吗？", "谢谢")
    assert "小明问了杭州的景点" in model.prompts[-1][0].text
    assert [turn.messages[0].text for turn in transcript(graph, CONFIG)] == [*TALK, "还有吗？", "谢谢"]


@pytest.mark.parametrize("again", [False, True])
def test_what_is_prepared_of_a_forgotten_thread_is_not_kept(again):
    """A thread is forgotten while its summary is made, and perhaps begun anew: no word of the old one comes back."""
    gate, done, held = held_summariser()
    archive = InMemoryArchive()
    _, _, graph = bot(held, archive=archive, fold="background")
    say(graph, *TALK)
    forget(graph, thread="t1")
    if again:
        say(graph, "你好")
    gate.set()
    settle(done)
    assert archive.notes("", "t1") == []


async def test_a_forgotten_thread_is_gone_in_an_event_loop_too():
    """The same with tasks."""
    gate, done, held = held_summariser()
    archive = InMemoryArchive()
    _, _, graph = bot(held, archive=archive, fold="background")
    for text in TALK:
        await graph.ainvoke({"messages": text}, CONFIG)
    await aforget(graph, thread="t1")
    gate.set()
    await asyncio.to_thread(settle, done)
    await asyncio.gather(*_tasks)
    assert archive.notes("", "t1") == []


class Endless(ScriptedChatModel):
    """A summariser that no event loop lives long enough to hear."""

    async def _agenerate(self, *_, **__):
        await asyncio.Event().wait()


def test_a_loop_for_each_request_does_not_keep_the_summary_from_being_made():
    """`asyncio.run` cancels what is under way when a request is answered: a thread goes on with it."""
    summariser = Endless(fallback=lambda _: "小明问了杭州的景点。")
    model, _, graph = bot(summariser, fold="background")
    for text in [*TALK, "还有吗？"]:
        asyncio.run(graph.ainvoke({"messages": text}, CONFIG))
        for worker in threading.enumerate():
            if worker.name == "qwen-memory-fold":
                worker.join(20)
    assert "小明问了杭州的景点" in model.prompts[-1][0].text


def test_work_ahead_that_never_took_a_step_is_done():
    """A loop may end before its newest task began."""
    done = threading.Event()
    summariser = ScriptedChatModel(fallback=lambda _: done.set() or "小明问了杭州的景点。")
    _, _, graph = bot(summariser, fold="background")

    async def talk():
        asyncio.get_running_loop().set_task_factory(cancelling)
        await graph.ainvoke({"messages": TALK[-1]}, CONFIG)

    def cancelling(loop, work, **options):
        task = asyncio.Task(work, loop=loop, **options)
        if work.__name__ == "_awork":
            task.cancel()
        return task

    say(graph, *TALK[:5])
    assert not done.is_set()
    for _ in range(3):
        asyncio.run(talk())
    settle(done)


async def test_in_the_background_of_an_event_loop():
    """The same with tasks."""
    gate, done, held = held_summariser()
    model, _, graph = bot(held, fold="background")
    for text in TALK:
        await graph.ainvoke({"messages": text}, CONFIG)
    assert not done.is_set()
    gate.set()
    await asyncio.gather(*asyncio.all_tasks() - {asyncio.current_task()})
    await graph.ainvoke({"messages": "谢谢"}, CONFIG)
    assert "小明问了杭州的景点" in model.prompts[-1][0].text
