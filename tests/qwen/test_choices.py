"""Answers that are begun, several at once, and how likely their words were: over either protocol."""

import pytest
from langchain_core.messages import AIMessage, HumanMessage
from langgraph.checkpoint.memory import InMemorySaver

from langchain_qwen_memory import create_chat_graph
from langchain_qwen_memory.testing import Reply
from tests.qwen.ways import all_ways, answer_by, over_both

pytestmark = over_both
BEGUN = AIMessage("1, 2,", additional_kwargs={"partial": True})


@all_ways
def test_an_answer_that_is_begun_is_gone_on_with(qwen, sent, way):
    """Thinking is off for that call; in later turns the mark is gone."""
    answer_by(way, qwen(enable_thinking=True), [HumanMessage("count"), BEGUN])
    assert sent()["messages"][-1] == {"role": "assistant", "content": "1, 2,", "partial": True}
    assert sent()["enable_thinking"] is False
    answer_by(way, qwen(), [HumanMessage("count"), BEGUN, AIMessage(" 3"), HumanMessage("on")])
    assert [message.get("partial") for message in sent()["messages"]] == [None] * 4


@all_ways
def test_a_model_that_always_thinks_cannot_go_on_with_one(server, qwen, way):
    """The service refuses it; the error says so before anything is sent, with a model that can."""
    with pytest.raises(ValueError, match=r"qwq-plus always thinks.*begun.*model='qwen-plus'"):
        answer_by(way, qwen("qwq-plus"), [HumanMessage("count"), BEGUN])
    assert server.requests == []


def test_a_thread_takes_an_answer_that_is_begun(server, qwen, sent):
    """With memory too: the beginning goes along once with its mark, and later as a part of what was said."""
    graph = create_chat_graph(qwen(), checkpointer=InMemorySaver())
    thread = {"configurable": {"thread_id": "t1"}}
    server.script(Reply(content=" 3"))
    said = graph.invoke({"messages": [HumanMessage("count"), BEGUN]}, thread)["messages"]
    assert [one.text for one in said] == ["count", "1, 2,", " 3"]
    assert sent()["messages"][-1]["partial"] is True
    graph.invoke({"messages": [HumanMessage("on")]}, thread)
    assert [(one["role"], one["content"], "partial" in one) for one in sent()["messages"]] == [
        ("user", "count", False),
        ("assistant", "1, 2,", False),
        ("assistant", " 3", False),
        ("user", "on", False),
    ]


async def test_several_answers_come_whole_only(qwen):
    """All are there, sync and async; a stream brings one, and says so before it is asked for."""
    assert len(qwen(n=2).generate([[HumanMessage("go")]]).generations[0]) == 2
    model = qwen()
    assert len((await model.agenerate([[HumanMessage("go")]], n=3)).generations[0]) == 3
    await model.aclose()
    with pytest.raises(ValueError, match="n=2 choices cannot come as a stream"):
        list(qwen().stream("go", n=2))
    with pytest.raises(ValueError, match="cannot be streamed"):
        qwen(n=2, streaming=True)


@all_ways
def test_how_likely_words_were_is_told(server, qwen, way):
    """The same, whole and as a stream, with the likeliest words beside."""
    server.script(*[Reply(content="Four it is.")] * 2)
    told = answer_by(way, qwen(logprobs=True, top_logprobs=2)).response_metadata["logprobs"]
    assert "".join(one["token"] for one in told["content"]) == "Four it is."
    assert len(told["content"][0]["top_logprobs"]) >= 1
