"""One turn run safely: one at a time, to its end, after what was interrupted."""

import asyncio
import sqlite3
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from functools import reduce
from itertools import permutations

import pytest
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.checkpoint.sqlite import SqliteSaver
from langgraph.types import Command, interrupt

from langchain_qwen_memory import (
    InMemoryArchive,
    WindowMemory,
    arun_turn,
    astream_turn,
    create_chat_graph,
    run_turn,
    stream_turn,
    transcript,
)
from langchain_qwen_memory.state import live_messages
from tests.scripted import ScriptedChatModel

CONFIG = {"configurable": {"thread_id": "t1"}}


def slow(messages):
    time.sleep(0.05)
    return f"answer to {messages[-1].text}"


def chat(**options):
    model = ScriptedChatModel(**options)
    graph = create_chat_graph(model, memory=WindowMemory(), archive=InMemoryArchive(), checkpointer=InMemorySaver())
    return model, graph


def questions(graph):
    return [turn.messages[0].text for turn in transcript(graph, CONFIG)]


def answered(graph):
    return all(isinstance(turn.messages[-1], AIMessage) for turn in transcript(graph, CONFIG))


def test_a_turn_gives_back_the_state():
    """`run_turn` is `invoke` for one message."""
    _, graph = chat()
    assert run_turn(graph, "hi", CONFIG)["messages"][-1].text == "answer to hi"


def test_turns_at_once_on_one_thread_wait_for_each_other():
    """Eight threads talk at once: no turn is lost, and each has its answer."""
    _, graph = chat(fallback=slow)
    talkers = [threading.Thread(target=run_turn, args=(graph, f"q{n}", CONFIG)) for n in range(8)]
    for talker in talkers:
        talker.start()
    for talker in talkers:
        talker.join()
    assert sorted(questions(graph)) == [f"q{n}" for n in range(8)]
    assert answered(graph)


async def test_async_turns_at_once_wait_for_each_other():
    """The same in an event loop, mixed with a thread."""
    _, graph = chat(fallback=slow)
    await asyncio.gather(
        *(arun_turn(graph, f"q{n}", CONFIG) for n in range(6)),
        asyncio.to_thread(run_turn, graph, "q6", CONFIG),
    )
    assert sorted(questions(graph)) == [f"q{n}" for n in range(7)]
    assert answered(graph)


def test_other_threads_do_not_wait():
    """The lock is one thread's, not everyone's."""
    entered = threading.Barrier(2, timeout=10)

    def meet(messages):
        entered.wait()
        return "ok"

    _, graph = chat(fallback=meet)
    other = threading.Thread(target=run_turn, args=(graph, "a", {"configurable": {"thread_id": "t2"}}))
    other.start()
    run_turn(graph, "b", CONFIG)
    other.join()


def wait_for(condition):
    for _ in range(200):
        if condition():
            return
        time.sleep(0.02)
    raise AssertionError("it never came")


def test_a_reader_who_leaves_after_the_answer_loses_nothing():
    """The stream is closed in the middle; the turn is remembered all the same."""
    _, graph = chat()
    stream = stream_turn(graph, "hi", CONFIG)
    assert next(stream)[0].text
    stream.close()
    wait_for(lambda: len(questions(graph)) == 1 and not graph.get_state(CONFIG).next)
    run_turn(graph, "again", CONFIG)
    assert questions(graph) == ["hi", "again"]
    assert answered(graph)


async def test_an_async_reader_who_leaves_loses_nothing():
    """The same in an event loop."""
    _, graph = chat()
    async for chunk, _ in astream_turn(graph, "hi", CONFIG):
        assert chunk.text
        break
    await arun_turn(graph, "again", CONFIG)
    assert questions(graph) == ["hi", "again"]
    assert answered(graph)


async def test_a_caller_who_is_cancelled_does_not_stop_the_turn():
    """A web server cancels the request; the turn goes on to its end."""
    _, graph = chat(fallback=slow)
    call = asyncio.ensure_future(arun_turn(graph, "hi", CONFIG))
    await asyncio.sleep(0.01)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    await arun_turn(graph, "again", CONFIG)
    assert questions(graph) == ["hi", "again"]


def test_a_stream_gives_what_the_graph_streams():
    """Tokens come as they do from `graph.stream`."""
    _, graph = chat(script=["杭州明天是晴天。"])
    assert "".join(chunk.text for chunk, _ in stream_turn(graph, "天气", CONFIG)) == "杭州明天是晴天。"


def test_an_error_reaches_the_reader():
    """What the graph raises is raised where the stream is read."""
    _, graph = chat(script=[ValueError("down")])
    with pytest.raises(ValueError, match="down"):
        list(stream_turn(graph, "hi", CONFIG))


def test_an_answer_left_half_way_is_finished_first():
    """A run was stopped after the answer (a lost process, a reader of plain `graph.stream`): it is finished first."""
    _, graph = chat()
    for chunk in graph.stream({"messages": "hi"}, CONFIG, stream_mode="updates"):
        if "model" in chunk:
            break
    assert graph.get_state(CONFIG).next
    run_turn(graph, "again", CONFIG)
    assert questions(graph) == ["hi", "again"]
    assert answered(graph)


@pytest.mark.parametrize("refused", [42, {"role": "bogus", "content": "x"}])
async def test_an_input_that_is_no_message_costs_that_input_and_not_the_thread(refused):
    """A client sends something that is no message: it is told so, and its next question is answered."""
    _, graph = chat()
    with pytest.raises((ValueError, NotImplementedError), match="message type"):
        run_turn(graph, {"messages": [refused]}, CONFIG)
    run_turn(graph, "first", CONFIG)
    with pytest.raises((ValueError, NotImplementedError)):
        await arun_turn(graph, {"messages": [refused]}, CONFIG)
    await arun_turn(graph, "second", CONFIG)
    assert questions(graph) == ["first", "second"]
    assert answered(graph)


def test_a_tool_that_asks_a_person_does_not_repeat_the_tools_beside_it():
    """Two calls at once, one of them waits for a person: the other is done once, before the pause."""
    paid = []

    def pay(amount: str) -> str:
        """Pay."""
        paid.append(amount)
        return "paid"

    def confirm(question: str) -> str:
        """Ask a person."""
        return f"they said {interrupt(question)}"

    calls = [
        {"name": "pay", "args": {"amount": "9"}, "id": "c1"},
        {"name": "confirm", "args": {"question": "sure?"}, "id": "c2"},
    ]
    model = ScriptedChatModel(script=[AIMessage("", tool_calls=calls), "done"])
    graph = create_chat_graph(model, tools=[pay, confirm], archive=InMemoryArchive(), checkpointer=InMemorySaver())
    assert run_turn(graph, "pay 9", CONFIG)["__interrupt__"][0].value == "sure?"
    run_turn(graph, Command(resume="yes"), CONFIG)
    assert paid == ["9"]
    assert [message.text for message in model.prompts[-1][-2:]] == ["paid", "they said yes"]


@pytest.mark.parametrize("kind", ["memory", "sqlite"])
def test_tools_at_once_leave_one_turn_however_they_end(kind):
    """The first call ends last, or waits for a person: read back, the turn is the one that was archived."""

    def pay(amount: str) -> str:
        """Pay."""
        time.sleep(0.05 * (amount == "9"))
        return f"paid {amount}"

    def confirm(question: str) -> str:
        """Ask a person."""
        return str(interrupt(question))

    calls = [
        {"name": "pay", "args": {"amount": "9"}, "id": "c1"},
        {"name": "confirm", "args": {"question": "sure?"}, "id": "c2"},
        {"name": "pay", "args": {"amount": "1"}, "id": "c3"},
    ]
    archive, model = InMemoryArchive(), ScriptedChatModel(script=[AIMessage("", tool_calls=calls), "done"])
    with closing(sqlite3.connect(":memory:", check_same_thread=False)) as db:
        saver = InMemorySaver() if kind == "memory" else SqliteSaver(db)
        graph = create_chat_graph(model, tools=[pay, confirm], archive=archive, checkpointer=saver)
        run_turn(graph, "pay 9 and 1", CONFIG)
        state = run_turn(graph, Command(resume="yes"), CONFIG)
        assert [message.text for message in state["messages"][2:5]] == ["paid 9", "yes", "paid 1"]
        assert graph.get_state(CONFIG).values["messages"] == state["messages"]
        run_turn(graph, "thanks", CONFIG)
    assert archive.count("", "t1") == 2


@pytest.mark.parametrize("order", list(permutations(range(3))))
def test_results_stand_in_the_order_of_their_calls(order):
    """However a saver orders the writes of tools that ran at once, and batches them, the turn read back is the same."""
    calls = [{"name": "pay", "args": {}, "id": f"c{number}"} for number in range(3)]
    asked = [HumanMessage("q", id="m1"), AIMessage("", tool_calls=calls, id="m2")]
    results = [ToolMessage(f"r{number}", tool_call_id=f"c{number}", id=f"r{number}") for number in range(3)]
    writes = [[results[number]] for number in order]
    one_by_one = reduce(lambda state, write: live_messages(state, [write]), [asked, *writes], [])
    assert one_by_one == live_messages([], [asked, *writes]) == [*asked, *results]
    later = AIMessage("done", id="m3")
    assert (
        live_messages(one_by_one, [[later]]) == live_messages([], [asked, *writes, later]) == [*asked, *results, later]
    )


def test_a_question_that_never_was_answered_does_not_block_the_thread():
    """The model failed on a question; the next one is asked, and the old one is not tried for ever."""
    model, graph = chat(script=[ValueError("refused")])
    with pytest.raises(ValueError, match="refused"):
        run_turn(graph, "bad", CONFIG)
    assert run_turn(graph, "good", CONFIG)["messages"][-1].text == "answer to good"
    assert len(model.prompts) == 2


def ask_a_person(question: str) -> str:
    """Ask a person."""
    return interrupt(question)


def test_a_run_that_waits_for_a_person_goes_on_with_the_answer():
    """An interrupt is not taken for a crash; `Command(resume=...)` goes on."""
    call = AIMessage("", tool_calls=[{"name": "ask_a_person", "args": {"question": "refund?"}, "id": "c1"}])
    model = ScriptedChatModel(script=[call, "refunded"])
    graph = create_chat_graph(model, tools=[ask_a_person], checkpointer=InMemorySaver())
    assert "__interrupt__" in run_turn(graph, HumanMessage("I want my money back"), CONFIG)
    assert run_turn(graph, Command(resume="yes"), CONFIG)["messages"][-1].text == "refunded"


async def test_waiting_turns_hold_no_pool_thread():
    """Far more turns wait on one thread than the loop's pool has threads, and all are answered."""
    _, graph = chat()
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(2))
    await asyncio.wait_for(asyncio.gather(*(arun_turn(graph, f"q{n}", CONFIG) for n in range(30))), 20)
    assert questions(graph) == [f"q{n}" for n in range(30)]


def pay_graph(*, fails=False):
    paid = []

    def pay(amount: int) -> str:
        """Pay."""
        paid.append(amount)
        if fails:
            raise RuntimeError("gateway timeout")
        return "paid"

    model = ScriptedChatModel(script=[AIMessage("", tool_calls=[{"name": "pay", "args": {"amount": 9}, "id": "c1"}])])
    return paid, create_chat_graph(model, tools=[pay], checkpointer=InMemorySaver())


def test_a_refused_tool_is_not_run():
    """The run stops before its tools for a person to look; what the person says next does not set them off."""
    paid, graph = pay_graph()
    run_turn(graph, "pay 9", CONFIG, interrupt_before=["tools"])
    assert run_turn(graph, "no! do not pay", CONFIG)["messages"][-1].text == "answer to no! do not pay"
    assert paid == []


def test_none_goes_on_from_a_breakpoint():
    """`run_turn(graph, None, config)` is the person's yes."""
    paid, graph = pay_graph()
    run_turn(graph, "pay 9", CONFIG, interrupt_before=["tools"])
    assert run_turn(graph, None, CONFIG)["messages"][-1].type == "ai"
    assert paid == [9]


def test_a_tool_that_failed_is_not_tried_again_unasked():
    """A payment that may have gone through is not made twice because the user asks after it."""
    paid, graph = pay_graph(fails=True)
    with pytest.raises(RuntimeError, match="gateway"):
        run_turn(graph, "pay 9", CONFIG)
    run_turn(graph, "did it go through?", CONFIG)
    assert paid == [9]


def test_an_error_after_the_reader_left_is_logged(caplog):
    """Nobody reads the stream any more when the turn fails: it is said in the log."""
    go_on = threading.Event()

    def wait_here() -> str:
        """Wait."""
        assert go_on.wait(10)
        raise ValueError("late failure")

    call = AIMessage("", tool_calls=[{"name": "wait_here", "args": {}, "id": "c1"}])
    graph = create_chat_graph(ScriptedChatModel(script=[call]), tools=[wait_here], checkpointer=InMemorySaver())
    stream = stream_turn(graph, "hi", CONFIG)
    next(stream)
    stream.close()
    go_on.set()
    wait_for(lambda: "whose reader had left" in caplog.text)
    assert "late failure" in caplog.text


def test_a_turn_that_ended_with_its_loop_is_finished_by_the_next():
    """A loop for each request, and a reader who leaves early: what was answered is not lost."""
    _, graph = chat(fallback=slow)

    async def request():
        stream = astream_turn(graph, "hi", CONFIG)
        await anext(stream)
        await stream.aclose()

    asyncio.run(request())
    run_turn(graph, "again", CONFIG)
    assert questions(graph) == ["hi", "again"]
