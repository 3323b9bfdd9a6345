"""Role-play models: who is played, an opening line, several answers to choose from, the service's own memory."""

import pytest
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage
from langgraph.checkpoint.memory import InMemorySaver

from langchain_qwen_memory import WindowMemory, create_chat_graph
from langchain_qwen_memory.testing import Reply
from tests.qwen.ways import all_ways, answer_by, over_both

WHO = "你是江让，男性，一个围棋天才。"
OPENING = "你在干嘛呢"
TALK = [SystemMessage(WHO), AIMessage(OPENING), HumanMessage("我在看书。")]
OPTIONS = {
    "profile": WHO,
    "memory": {"enable_long_term_memory": True, "memory_entries": 50, "skip_save_types": []},
}


@over_both
@all_ways
def test_character_options_are_sent(server, qwen, sent, way):
    """Of the object or of a call, as they are; the id of the session goes along as a header."""
    session = {"x-dashscope-aca-session": "user-123"}
    answer_by(way, qwen("qwen-plus-character", character_options=OPTIONS), "你好", extra_headers=session)
    assert sent()["character_options"] == OPTIONS
    assert server.requests[-1].headers["x-dashscope-aca-session"] == "user-123"
    answer_by(way, qwen("qwen-plus-character"), "你好", character_options={"profile": WHO})
    assert sent()["character_options"] == {"profile": WHO}
    answer_by(way, qwen("qwen-plus-character"), "你好")
    assert "character_options" not in sent()


def test_a_server_of_ones_own_is_not_sent_them(own_qwen, sent):
    """It has none of the service's role-play; a warning says so."""
    with pytest.warns(UserWarning, match="has no character_options"):
        own_qwen(character_options=OPTIONS).invoke("hi")
    assert "character_options" not in sent()


@over_both
def test_two_answers_to_choose_from(server, qwen, sent):
    """An opening line of the character stands before the first question; brackets can be forbidden by their tokens."""
    server.script(Reply(content="嗯……"))
    model = qwen("qwen-plus-character", n=2, logit_bias={9909: -100, 42344: -100})
    answers = model.generate([TALK]).generations[0]
    assert [one.message.text for one in answers] == ["嗯……", "嗯……"]
    assert [(one["role"], one["content"]) for one in sent()["messages"]] == [
        ("system", WHO),
        ("assistant", OPENING),
        ("user", "我在看书。"),
    ]
    assert (sent()["n"], sent()["logit_bias"]) == (2, {"9909": -100, "42344": -100})


@over_both
def test_a_character_with_memory_keeps_its_opening_line(server, qwen, sent):
    """A thread that begins with the character's own words: they stand in every view, first of all."""
    graph = create_chat_graph(
        qwen("qwen-plus-character"), memory=WindowMemory(), system_prompt=WHO, checkpointer=InMemorySaver()
    )
    thread = {"configurable": {"thread_id": "t1"}}
    graph.invoke({"messages": [AIMessage(OPENING), HumanMessage("我在看书。")]}, thread)
    graph.invoke({"messages": [HumanMessage("什么书？你猜。")]}, thread)
    told = [(one["role"], one["content"]) for one in sent()["messages"]]
    assert told[:3] == [("system", WHO), ("assistant", OPENING), ("user", "我在看书。")]
    assert told[-1] == ("user", "什么书？你猜。")
    assert len(told) == 5
