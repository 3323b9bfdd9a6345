"""What must not happen: keys in errors or at strangers, answers completed by guess, raw Python errors."""

import json

import pytest
from langchain_core.exceptions import OutputParserException
from langchain_core.messages import AIMessage, HumanMessage
from pydantic import BaseModel

from langchain_qwen_memory import ChatQwen
from langchain_qwen_memory.qwen.model_errors import QwenResponseError
from langchain_qwen_memory.qwen.wire_content import wire_content
from langchain_qwen_memory.testing import LocalDashScope, Reply


class Place(BaseModel):
    """Where a file is."""

    path: str


@pytest.fixture
def server():
    with LocalDashScope() as running:
        yield running


def model(server, **options):
    return ChatQwen(**{"model": "qwen-plus", "base_url": server.base_url, "api_key": server.api_key, **options})


def test_blanks_around_a_key_are_no_part_of_it(server, monkeypatch):
    """A key from a file often ends in a line break."""
    monkeypatch.setenv("DASHSCOPE_API_KEY", f" {server.api_key}\n")
    ChatQwen(base_url=server.base_url).invoke("hi")
    assert server.requests[-1].headers["authorization"] == f"Bearer {server.api_key}"


@pytest.mark.parametrize("key", ["sk-你好", "sk-a\nb", "sk-a b"])
def test_a_key_that_cannot_be_one_is_refused_unseen(server, key):
    """The error says where to look and never shows the key."""
    with pytest.raises(ValueError, match="DASHSCOPE_API_KEY") as raised:
        model(server, api_key=key)
    assert key not in str(raised.value).replace("sk-.", "")
    with pytest.raises(ValueError, match="no key has"):
        model(server).invoke("hi", api_key=key)


def test_the_services_key_goes_to_the_service_only(server, monkeypatch):
    """A server of one's own gets a key only if it is given for it."""
    monkeypatch.setenv("DASHSCOPE_API_KEY", "sk-the-services-own")
    own = server.base_url.replace("/compatible-mode", "")
    server.script(Reply(content="hi"), Reply(content="hi"))
    ChatQwen(model="Qwen/Qwen3-8B", base_url=own).invoke("hi")
    ChatQwen(model="Qwen/Qwen3-8B", base_url=own, api_key="sk-for-it").invoke("hi")
    sent = [request.headers["authorization"] for request in server.requests]
    assert "the-services-own" not in sent[0]
    assert sent[1] == "Bearer sk-for-it"


@pytest.mark.parametrize("schema", [Place, Place.model_json_schema()], ids=["object", "dict"])
@pytest.mark.parametrize("method", ["json_schema", "json_mode"])
def test_a_cut_off_answer_is_not_completed_by_guess(server, schema, method):
    """Half a path is no path."""
    server.script(Reply(content='{"path": "/home/a', finish_reason="length"))
    asked = model(server, model="qwen3.7-plus").with_structured_output(schema, method=method)
    with pytest.raises(OutputParserException, match="not whole JSON"):
        asked.invoke("where? answer as json")


def test_a_cut_off_answer_is_a_parsing_error_beside_the_raw_one(server):
    """With `include_raw` nothing is raised and nothing is lost."""
    server.script(Reply(content='{"path": "/home/a', finish_reason="length"))
    asked = model(server, model="qwen3.7-plus").with_structured_output(Place, include_raw=True)
    told = asked.invoke("where?")
    assert told["parsed"] is None
    assert isinstance(told["parsing_error"], OutputParserException)
    assert told["raw"].text == '{"path": "/home/a'


@pytest.mark.parametrize("way", ["invoke", "stream"])
def test_a_call_cut_off_before_its_arguments_is_invalid(server, way):
    """`delete_all` without arguments is run only if the model meant it so."""
    call = {"id": "c1", "name": "delete_all", "arguments": ""}
    for reason, valid in (("length", 0), ("tool_calls", 1)):
        server.script(Reply(tool_calls=[call], finish_reason=reason))
        chat = model(server)
        if way == "invoke":
            answer = chat.invoke("go")
        else:
            first, *rest = chat.stream("go")
            answer = sum(rest, first)
        assert len(answer.tool_calls) == valid
        assert len(answer.invalid_tool_calls) == 1 - valid


@pytest.mark.parametrize(
    "event",
    [
        {"choices": [{"index": 0, "delta": {"content": "x"}}], "usage": ["many"]},
        {"choices": [{"index": 0, "delta": {"tool_calls": [None]}}]},
        {"choices": [{"index": 0, "delta": {"content": 5}}]},
    ],
    ids=["usage", "call", "content"],
)
def test_an_answer_in_no_known_form_is_an_error_of_the_service(server, event):
    """Whatever a server sends, its caller sees this package's error, not a TypeError."""
    end = {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}
    server.script(Reply(chunks=[event, end]))
    with pytest.raises(QwenResponseError):
        list(model(server).stream("hi"))


def test_blocks_of_other_providers_in_history_are_left_out(server):
    """An agent that changes to Qwen in mid-thread goes on."""
    foreign = [
        {"type": "server_tool_use", "id": "s", "name": "web_search", "input": {}},
        {"type": "web_search_tool_result", "tool_use_id": "s", "content": []},
        {"type": "text", "text": "It is sunny."},
        {"type": "refusal", "refusal": "No."},
    ]
    model(server).invoke([HumanMessage("weather?"), AIMessage(foreign), HumanMessage("sure?")])
    assert server.requests[-1].body["messages"][1]["content"] == "It is sunny.No."


def test_a_block_that_says_too_little_is_named():
    """The error tells the kind of block and what it has."""
    with pytest.raises(ValueError, match="image_url"):
        wire_content([{"type": "image_url"}])


def test_half_an_emoji_does_not_poison_a_thread(server):
    """Surrogate halves are joined where they fit and replaced where they do not."""
    model(server).invoke("\ud83d\ude00 and \ud83d")
    assert server.requests[-1].body["messages"][0]["content"] == "😀 and \ufffd"
    json.dumps(server.requests[-1].body, ensure_ascii=False).encode()


def test_an_id_first_and_a_name_later_are_one_call(server):
    """Some servers send a call's id and its name in two deltas."""
    deltas = [
        {"tool_calls": [{"index": 0, "id": "c1", "type": "function", "function": {"arguments": ""}}]},
        {"tool_calls": [{"index": 0, "id": "", "function": {"name": "weather", "arguments": '{"city": "杭州"}'}}]},
    ]
    chunks = [{"choices": [{"index": 0, "delta": delta, "finish_reason": None}]} for delta in deltas]
    chunks.append({"choices": [{"index": 0, "delta": {}, "finish_reason": "tool_calls"}]})
    server.script(Reply(chunks=chunks))
    first, *rest = model(server).stream("weather?")
    (call,) = sum(rest, first).tool_calls
    assert (call["name"], call["args"], call["id"]) == ("weather", {"city": "杭州"}, "c1")
