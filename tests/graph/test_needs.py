"""What memory finds out about a model, and how it asks one for a summary."""

import pytest
from langchain_core.messages import AIMessage
from langchain_core.runnables import ConfigurableField, RunnableLambda
from langgraph.checkpoint.memory import InMemorySaver

from langchain_qwen_memory import (
    ChatQwen,
    InMemoryArchive,
    MemoryOptionError,
    WindowMemory,
    create_chat_graph,
)
from langchain_qwen_memory.catalogue import model_info, price
from langchain_qwen_memory.memory.base import Ask, Memory, select_all
from langchain_qwen_memory.steps.model_facts import chat_models_in, model_facts
from langchain_qwen_memory.steps.needs import quiet
from langchain_qwen_memory.steps.thread import Owner
from langchain_qwen_memory.testing import Fault, LocalDashScope
from tests.scripted import ScriptedChatModel

CONFIG = {"configurable": {"thread_id": "t1"}}


def look_up(key: str) -> str:
    """Look a key up."""
    return key


def wrapped():
    model = ScriptedChatModel()
    return {
        "bound": model.bind_tools([look_up]),
        "retry": model.bind_tools([look_up]).with_retry(),
        "fallbacks": model.bind_tools([look_up]).with_fallbacks([ScriptedChatModel()]),
        "configurable": model.configurable_fields(max_tokens=ConfigurableField(id="n")),
        "chain": RunnableLambda(lambda messages: messages) | model.with_retry(),
    }


@pytest.mark.parametrize("how", list(wrapped()))
def test_a_chat_model_is_found_in_what_wraps_it(how):
    """Bound, retried, configurable, with fallbacks, in a chain: its name and limits are known."""
    assert model_facts(wrapped()[how]).name == "qwen-plus"


@pytest.mark.parametrize("how", list(wrapped()))
def test_a_summary_is_asked_for_quietly_through_every_wrapper(how):
    """Thinking off, a short answer and no tool call, whatever stands around the model."""
    model = wrapped()[how]
    called, options = quiet(model, 50, 60.0)
    called.invoke("hi", **options)
    asked = chat_models_in(model)[0].model.asked[-1]
    assert (asked["max_tokens"], asked["enable_thinking"]) == (50, False)
    assert asked.get("tool_choice") == ("none" if "tools" in asked else None)


def test_the_least_limit_of_all_fallbacks_counts():
    """A view that was made for the first model has to fit the second too."""
    small = ScriptedChatModel(model_name="qwen-nobody-knows")
    both = ScriptedChatModel().with_fallbacks([small])
    assert model_facts(both).max_input == model_facts(small).max_input < model_facts(ScriptedChatModel()).max_input


def test_bound_options_count_as_the_models_own():
    """`bind(max_tokens=...)` sets the answer's room aside, and prompt and answer are within the context."""
    info = model_info("qwen-plus")
    answer = info.context // 2 + 1_000
    facts = model_facts(ScriptedChatModel().bind(max_tokens=answer))
    assert facts.max_input + answer <= info.context
    assert facts.max_input == model_facts(ScriptedChatModel(max_tokens=answer)).max_input


def test_an_answer_that_leaves_no_room_for_the_prompt_is_refused():
    """`max_tokens` of nearly the whole context is an error that names what to write."""
    with pytest.raises(MemoryOptionError, match="less than a quarter"):
        model_facts(ScriptedChatModel(max_tokens=model_info("qwen-plus").context - 10))


def test_of_profile_and_catalogue_the_lower_limit_counts():
    """A server that takes in less than the service says so in the model's profile."""
    assert model_facts(ScriptedChatModel(profile={"max_input_tokens": 5_000})).max_input == 5_000
    whole = model_facts(ScriptedChatModel()).max_input
    assert model_facts(ScriptedChatModel(profile={"max_input_tokens": 10**9})).max_input == whole


def test_a_slow_summariser_is_given_up_in_time():
    """The summariser is silent for longer than a memory waits: an error, not a turn that hangs."""
    with LocalDashScope() as server:
        server.misbehave(Fault.slow(5.0), times=1)
        model = ChatQwen(model="qwen-plus", base_url=server.base_url, api_key=server.api_key, max_retries=0)
        need = Ask(messages=[], max_tokens=5, timeout=0.2)
        called, options = quiet(model, need.max_tokens, need.timeout)
        with pytest.raises(Exception, match=r"(?i)time"):
            called.invoke("hi", **options)


def test_a_shorter_time_limit_of_the_model_stays():
    """A summary is not waited for longer than the model's own limit."""
    model = ChatQwen(model="qwen-plus", api_key="sk-x", base_url="http://127.0.0.1:1/v1", timeout=3)
    assert quiet(model, 5, 60.0)[1]["timeout"] == 3


class Hasty(Memory):
    name = "hasty"

    def select(self, conversation, selection):
        return selection

    def prepare(self, conversation, selection):
        raise ValueError("boom")


def test_a_memory_that_cannot_work_ahead_costs_no_turn(caplog):
    """`prepare` raises after the answer: the turn is remembered, and the log says it."""
    archive = InMemoryArchive()
    graph = create_chat_graph(ScriptedChatModel(), memory=[WindowMemory(), Hasty()], archive=archive)
    assert graph.invoke({"messages": "hi"}, CONFIG)["messages"][-1].text == "answer to hi"
    assert archive.count("", "t1") == 1
    assert "boom" in caplog.text


class StopError(Exception):
    """A runner's way to stop."""


class Stopping(Memory):
    name = "stopping"

    def select(self, conversation, selection):
        raise StopError


def test_a_runners_own_signals_are_no_failures():
    """`passes` names errors that end the flow in place of being passed over."""
    graph = create_chat_graph(ScriptedChatModel(), memory=[WindowMemory()])
    wiring = graph.nodes["remember"].bound.wiring
    thread = wiring.read({"messages": []}, Owner(user="", thread="t1"))
    conversation = wiring.conversation(thread, "before")
    with pytest.raises(StopError):
        next(select_all([Stopping()], conversation, passes=(StopError,)))
    with pytest.raises(StopIteration) as done:
        next(select_all([Stopping()], conversation))
    assert done.value.value.errors == ("stopping: StopError",)


def usage(tokens):
    return {"input_tokens": tokens, "output_tokens": 5, "total_tokens": tokens + 5}


@pytest.mark.parametrize("calls", [1, 3])
def test_each_call_of_a_turn_saves_what_the_view_left_out(calls):
    """A turn with tool calls sends its view several times; so would the whole transcript have been."""
    model = ScriptedChatModel()
    asked = {"name": "look_up", "args": {"key": "k"}}
    graph = create_chat_graph(
        model, memory=WindowMemory(trigger=("turns", 2)), tools=[look_up], checkpointer=InMemorySaver()
    )
    for _ in range(4):
        graph.invoke({"messages": "a long question " * 50}, CONFIG)
    model.script += [
        AIMessage("", tool_calls=[{**asked, "id": f"c{n}"}], usage_metadata=usage(900)) for n in range(calls - 1)
    ]
    model.script.append(AIMessage("done", usage_metadata=usage(900)))
    report = graph.invoke({"messages": "now"}, CONFIG)["record"]["report"]
    left_out = report["system_tokens"] + report["transcript_tokens"] - report["view_tokens"]
    price_of_one = price("qwen-plus", input_tokens=900).input / 1e6
    assert left_out > 500
    assert report["saved"] == pytest.approx(calls * left_out * price_of_one, rel=0.02)
