"""Tools: chosen, called, several at once, streamed by servers of every habit, and never run on half an argument."""

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from langchain_core.messages import HumanMessage, ToolMessage
from langchain_core.tools import tool

from langchain_qwen_memory.qwen.tool_calls import CallBook
from langchain_qwen_memory.testing import Reply
from tests.qwen.test_reasoning import beta, delta
from tests.qwen.ways import all_ways, answer_by, events_by, flat, over_both, spoken


@tool
def weather(city: str) -> str:
    """The weather in a city."""
    return f"sunny in {city}"


@tool
def clock() -> str:
    """The time."""
    return "noon"


def fragment(index=0, call_id=None, name=None, arguments=None, **more):
    """One fragment of a call, with only what a server would send."""
    function = {k: v for k, v in (("name", name), ("arguments", arguments)) if v is not None}
    return {k: v for k, v in (("index", index), ("id", call_id)) if v is not None} | {"function": function} | more


STREAMS = {
    "the service: later ids are empty": [
        [fragment(0, "a", "weather", "")],
        [fragment(0, "", arguments='{"city":')],
        [fragment(0, "", "", ' "Paris"}')],
        [fragment(1, "b", "clock", "")],
        [fragment(1, "", arguments="{}")],
    ],
    "the service's older models: the second piece repeats the id": [
        [fragment(0, "a", "weather", '{"city":')],
        [fragment(0, "a", "", ' "Paris"}')],
        [fragment(1, "b", "clock", "{}")],
    ],
    "OpenAI: later ids are absent": [
        [fragment(0, "a", "weather", "")],
        [fragment(0, arguments='{"city": "Paris"}')],
        [fragment(1, "b", "clock", "")],
        [fragment(1, arguments="{}")],
    ],
    "both announced first": [
        [fragment(0, "a", "weather", ""), fragment(1, "b", "clock", "")],
        [fragment(0, arguments='{"city": "Paris"}')],
        [fragment(1, arguments="{}")],
    ],
    "vLLM: the second call's arguments come under the first's index": [
        [fragment(0, "a", "weather", "")],
        [fragment(0, arguments='{"city": "Paris"}')],
        [fragment(1, "b", "clock", "")],
        [fragment(0, arguments="{}")],
    ],
    "vLLM: announced under 1, the rest under 0": [
        [fragment(1, "a", "weather", "")],
        [fragment(0, arguments='{"city": "Paris"}')],
        [fragment(2, "b", "clock", "")],
        [fragment(0, arguments="{}")],
    ],
    "SGLang: every call under index 0": [
        [fragment(0, "a", "weather", '{"city": "Paris"}')],
        [fragment(0, "b", "clock", "{}")],
    ],
    "a fresh id with every piece": [
        [fragment(0, "a", "weather", "")],
        [fragment(0, "x1", arguments='{"city":')],
        [fragment(0, "x2", arguments=' "Paris"}')],
        [fragment(1, "b", "clock", "")],
        [fragment(1, "x3", arguments="{}")],
    ],
    "no index at all": [
        [fragment(None, "a", "weather", '{"city":')],
        [fragment(None, None, None, ' "Paris"}')],
        [fragment(None, "b", "clock", "{}")],
    ],
}


@over_both
@pytest.mark.parametrize("way", ["stream", "astream"])
@pytest.mark.parametrize("habit", STREAMS)
@pytest.mark.parametrize("version", ["v0", "v1"])
def test_streamed_calls_are_put_together(server, qwen, protocol, way, habit, version):  # noqa: PLR0917
    """Two calls come out as two, each with its own id and arguments, whatever the server's habit."""
    chunks = [*(delta(tool_calls=calls) for calls in STREAMS[habit]), delta("tool_calls")]
    server.script(Reply(chunks=spoken(protocol, chunks)))
    answer = answer_by(way, qwen(output_version=version))
    called = [(c["id"], c["name"], c["args"]) for c in answer.tool_calls]
    assert called == [("a", "weather", {"city": "Paris"}), ("b", "clock", {})]
    assert [b["type"] for b in answer.content_blocks] == ["tool_call"] * 2


@over_both
@beta
@pytest.mark.parametrize("habit", STREAMS)
def test_the_stream_of_events_puts_them_together_too(server, qwen, protocol, habit):
    """With LangChain's typed events."""
    chunks = [*(delta(tool_calls=calls) for calls in STREAMS[habit]), delta("tool_calls")]
    server.script(Reply(chunks=spoken(protocol, chunks)))
    message = events_by("stream", qwen())
    assert [(c["id"], c["args"]) for c in message.tool_calls] == [("a", {"city": "Paris"}), ("b", {})]


@over_both
@pytest.mark.parametrize("way", ["invoke", "ainvoke"])
def test_streamed_calls_of_models_that_only_stream_are_put_together(server, qwen, protocol, way):
    """Read inside a whole call."""
    chunks = [delta(tool_calls=calls) for calls in STREAMS["the service: later ids are empty"]]
    server.script(Reply(chunks=spoken(protocol, [*chunks, delta("tool_calls")])))
    assert [c["name"] for c in answer_by(way, qwen("qwq-plus")).tool_calls] == ["weather", "clock"]


def test_a_call_without_an_id_gets_one():
    """A tool's answer must be able to name its call."""
    book = CallBook()
    book.add([fragment(0, None, "clock", "{}")])
    calls, _ = book.finished()
    assert calls[0]["id"].startswith("call_")


@over_both
@all_ways
def test_several_calls_at_once(qwen, sent, server, way):
    """When asked for, and told apart in the answers that go back."""
    calls = [{"name": "weather", "args": {"city": c}, "id": f"call_{c}"} for c in ("Paris", "杭州")]
    server.script(Reply(tool_calls=calls))
    model = qwen().bind_tools([weather, clock], parallel_tool_calls=True)
    question = HumanMessage("Weather in Paris and 杭州?")
    first = answer_by(way, model, [question])
    assert sent()["parallel_tool_calls"] is True
    results = [ToolMessage(weather.invoke(c["args"]), tool_call_id=c["id"]) for c in first.tool_calls]
    assert answer_by(way, model, [question, first, *results]).text
    assert [m.get("tool_call_id") for m in sent()["messages"][-2:]] == ["call_Paris", "call_杭州"]


@over_both
@all_ways
@pytest.mark.parametrize(
    ("choice", "written"),
    [
        ("any", "required"),
        ("required", "required"),
        (True, "required"),
        ("weather", {"type": "function", "function": {"name": "weather"}}),
        ({"type": "function", "function": {"name": "weather"}}, {"type": "function", "function": {"name": "weather"}}),
        ("auto", "auto"),
        ("none", "none"),
    ],
)
def test_each_choice_has_its_wire_form(qwen, sent, way, choice, written):
    """Bound, or said in the call itself."""
    answer_by(way, qwen().bind_tools([weather, clock], tool_choice=choice), "Weather in Paris?")
    assert sent()["tool_choice"] == written
    answer_by(way, qwen().bind_tools([weather, clock]), "Weather in Paris?", tool_choice=choice)
    assert sent()["tool_choice"] == written


@over_both
@all_ways
@pytest.mark.parametrize("choice", ["any", "weather"])
@pytest.mark.parametrize(
    "options", [{"model": "qwen-plus", "enable_thinking": True}, {"model": "qwen3.7-plus"}, {"model": "qwen3-32b"}]
)
def test_a_forced_call_works_with_a_model_that_thinks(qwen, sent, way, options, choice):
    """Thinking is off for that call, which the service otherwise refuses, and on again for the next."""
    llm = qwen(**options)
    answer = answer_by(way, llm.bind_tools([weather], tool_choice=choice), "Weather in Paris?")
    assert [c["name"] for c in answer.tool_calls] == ["weather"]
    assert sent()["enable_thinking"] is False
    assert "reasoning_content" in answer_by(way, llm).additional_kwargs


@over_both
@all_ways
def test_a_model_that_always_thinks_is_asked_and_not_forced(qwen, sent, way):
    """With a warning, as the call may now be missing."""
    with pytest.warns(UserWarning, match="tool_choice is 'auto'"):
        answer_by(way, qwen("qwq-plus").bind_tools([weather], tool_choice="any"), "Weather in Paris?")
    assert sent()["tool_choice"] == "auto"


def test_a_server_of_ones_own_is_asked_for_both(own_qwen, sent):
    """It can force a call while the model thinks."""
    own_qwen(enable_thinking=True).bind_tools([weather], tool_choice="any").invoke("Weather in Paris?")
    assert sent()["tool_choice"] == "required"
    assert sent()["chat_template_kwargs"] == {"enable_thinking": True}


@over_both
def test_strict_is_passed_on(qwen, sent):
    """Into each definition."""
    qwen().bind_tools([weather], strict=True).invoke("go")
    assert sent()["tools"][0]["function"]["strict"] is True


@over_both
def test_tools_that_only_openai_runs_are_refused(qwen):
    """The parent class would change to another protocol without a word."""
    with pytest.raises(ValueError, match="enable_search=True"):
        qwen().bind_tools([{"type": "web_search"}]).invoke("go")


BROKEN = [
    '{"path": "/home/a',
    '{"path": ',
    '{"a": [1, 2',
    '{"a": "b\\',
    '{"a": {"b": "c"',
    "[1, 2]",
    "null",
    "{'a': 1}",
]


@over_both
@all_ways
@pytest.mark.parametrize("arguments", BROKEN)
def test_broken_arguments_are_never_mended(server, qwen, way, arguments):
    """A call cut off in the middle of a path must not run on half the path; it is an invalid call in each way."""
    server.script(Reply(tool_calls=[{"name": "weather", "args": arguments, "id": "call_1"}], finish_reason="length"))
    answer = answer_by(way, qwen().bind_tools([weather]), "go")
    assert answer.tool_calls == []
    broken = answer.invalid_tool_calls
    assert [(c["id"], c["name"]) for c in broken] == [("call_1", "weather")]
    assert broken[0]["args"].startswith(arguments)


@given(
    st.dictionaries(
        st.text(max_size=4), st.recursive(st.text(max_size=5) | st.integers(), st.lists, max_leaves=4), max_size=3
    )
)
@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
def test_wherever_arguments_are_cut_they_are_invalid(arguments):
    """Each beginning of a JSON object, however LangChain would complete it."""
    from langchain_core.messages import AIMessageChunk

    whole = json.dumps(arguments, ensure_ascii=False)
    for end in range(1, len(whole)):
        book = CallBook()
        pieces = [*book.add([fragment(0, "a", "f", whole[:end])]), *book.spoilers()]
        summed = AIMessageChunk("") + [AIMessageChunk("", tool_call_chunks=[piece]) for piece in pieces]
        assert summed.tool_calls == []
        assert len(summed.invalid_tool_calls) == 1


@over_both
@all_ways
def test_an_agent_goes_through_its_loop(server, qwen, way):
    """create_agent with a form for its answer, which always forces a call, and a model that thinks by default."""
    from langchain.agents import create_agent
    from langchain.agents.structured_output import ToolStrategy
    from pydantic import BaseModel

    class Report(BaseModel):
        """The weather, reported."""

        city: str

    server.script(
        Reply(tool_calls=[{"name": "weather", "args": {"city": "Paris"}, "id": "call_1"}]),
        Reply(tool_calls=[{"name": "Report", "args": {"city": "Paris"}, "id": "call_2"}]),
    )
    agent = create_agent(qwen("qwen3.7-plus"), [weather], response_format=ToolStrategy(Report))
    question = {"messages": [HumanMessage("Weather in Paris?")]}
    if way == "stream":
        state = list(agent.stream(question, stream_mode="values"))[-1]
    elif way == "invoke":
        state = agent.invoke(question)
    else:
        import asyncio

        state = asyncio.run(agent.ainvoke(question))
    assert state["structured_response"] == Report(city="Paris")
    assert all(flat(request.body)["enable_thinking"] is False for request in server.requests)
