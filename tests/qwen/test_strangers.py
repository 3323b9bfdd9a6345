"""Servers and histories of others: what they may see of keys, what is made of what they send, what is counted."""

import asyncio
import datetime as dt
import gc

import pytest
from langchain_core.exceptions import OutputParserException
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage
from pydantic import BaseModel

from langchain_qwen_memory.chat_models import ChatQwen
from langchain_qwen_memory.qwen import model_errors as errors
from langchain_qwen_memory.qwen.endpoints import shown_url
from langchain_qwen_memory.qwen.reading import AnswerReader
from langchain_qwen_memory.testing import Fault, LocalDashScope, Reply
from langchain_qwen_memory.tokens import count_tokens
from tests.qwen.ways import all_ways, answer_by

PICTURE = "iVBORw0KGgoAAAANSUhEUgAABAAAAAQACAYAAAB/HSuD"  # the head of a PNG of 1024 by 1024 pixels


def piece(finish_reason=None, **said):
    return {"choices": [{"index": 0, "delta": said, "finish_reason": finish_reason}], "id": "c", "model": "m"}


def call_piece(index, call_id, name, arguments):
    function = {"name": name, "arguments": arguments}
    return piece(tool_calls=[{"index": index, "id": call_id, "type": "function", "function": function}])


class Place(BaseModel):
    """Where a file is."""

    path: str


def test_the_services_key_does_not_follow_a_call_to_another_server(server, monkeypatch):
    """The variable's key stays at home when one call goes elsewhere; a key given for that call goes with it."""
    monkeypatch.setenv("DASHSCOPE_API_KEY", "sk-the-services-own")
    model = ChatQwen(base_url=server.base_url)
    model.invoke("hi", base_url=server.plain_url)
    model.invoke("hi", base_url=server.plain_url, api_key="sk-for-it")
    model.invoke("hi")
    sent = [request.headers["authorization"] for request in server.requests]
    assert sent == ["Bearer none", "Bearer sk-for-it", "Bearer sk-the-services-own"]


def test_a_refused_option_does_not_show_the_key_beside_it():
    """Pydantic's errors otherwise repeat all that was given."""
    with pytest.raises(ValueError, match="server") as raised:
        ChatQwen(api_key="sk-very-secret", server="nobodys")
    assert "very-secret" not in str(raised.value)


def test_a_password_in_a_url_and_headers_are_not_shown(qwen):
    """Neither in the object's text nor in an error."""
    url = "http://user:sk-in-the-url@127.0.0.1:9/v1"
    model = qwen(base_url=url, max_retries=0, default_headers={"X-Key": "sk-in-a-header"})
    with pytest.raises(errors.QwenConnectionError) as raised:
        model.invoke("hi")
    shown = f"{model!r} {model._link!r} {raised.value} {raised.value!r}"
    assert "in-the-url" not in shown
    assert "in-a-header" not in shown
    assert "127.0.0.1:9/v1" in shown
    assert shown_url("https://h/p@th") == "https://h/p@th"


def test_a_server_of_ones_own_that_refuses_a_key_is_no_region_of_alibabas(own_qwen, qwen, server):
    """The advice is about that server; the service's own names the regions."""
    server.misbehave(Fault.unauthorized(), times=2)
    with pytest.raises(errors.QwenAuthenticationError) as own:
        own_qwen(max_retries=0).invoke("hi")
    with pytest.raises(errors.QwenAuthenticationError) as service:
        qwen(max_retries=0).invoke("hi")
    assert "aliyuncs" not in str(own.value)
    assert "server of your own" in str(own.value)
    assert "dashscope-intl.aliyuncs.com" in str(service.value)


def test_a_wrong_path_is_asked_about(own_qwen, server):
    """A 404 that names no model most often means that /v1 is missing."""
    server.misbehave(Fault(status=404, body='{"detail": "Not Found"}'))
    with pytest.raises(errors.QwenModelNotFoundError, match="is base_url right"):
        own_qwen(max_retries=0).invoke("hi")


@pytest.mark.parametrize("way", ["stream", "astream"])
def test_several_choices_cannot_be_streamed(qwen, way):
    """A stream shows one; two would be lost without a word."""
    with pytest.raises(ValueError, match="give n=1"):
        answer_by(way, qwen(), "go", n=3)


def test_several_choices_of_a_model_that_only_streams_are_refused(qwen):
    """Whole calls of it are streams underneath."""
    with pytest.raises(ValueError, match="give n=1"):
        qwen("qwq-plus").invoke("go", n=3)


@all_ways
@pytest.mark.parametrize("options", [{"enable_thinking": True}, {"model": "qwen3.7-plus"}])
def test_an_answer_begun_is_gone_on_with(qwen, sent, way, options):
    """Thinking is off for that call: the service does not think in the midst of an answer."""
    begun = AIMessage("春天来了，", additional_kwargs={"partial": True})
    answer_by(way, qwen(**options), [HumanMessage("写一句诗"), begun])
    assert sent()["messages"][-1]["partial"] is True
    assert sent()["enable_thinking"] is False


def test_the_local_service_refuses_thinking_in_an_answer_begun(server):
    """As the true one does."""
    import json
    import urllib.error
    import urllib.request

    messages = [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a", "partial": True}]
    body = {"model": "qwen-plus", "enable_thinking": True, "messages": messages}
    request = urllib.request.Request(
        f"{server.base_url}/chat/completions", json.dumps(body).encode(), {"Authorization": "Bearer sk-local"}
    )
    with pytest.raises(urllib.error.HTTPError, match="400"):
        urllib.request.urlopen(request)


@pytest.mark.parametrize("way", ["stream", "astream"])
def test_a_new_index_after_whole_arguments_is_a_new_call(server, qwen, way):
    """Even with the id of the call before: some servers give each call its function's name as id."""
    first, second = call_piece(0, "f", "f", '{"a": 1}'), call_piece(1, "f", "f", '{"a": 2}')
    server.script(Reply(chunks=[first, second, piece("tool_calls")]))
    assert [call["args"] for call in answer_by(way, qwen()).tool_calls] == [{"a": 1}, {"a": 2}]


@all_ways
def test_words_before_a_call_are_words_if_no_tag_was_seen(server, own_qwen, way):
    """Qwen3.5 is expected to think first; a server that switched it off sends plain text there."""
    call = {"id": "c", "type": "function", "index": 0, "function": {"name": "f", "arguments": "{}"}}
    whole = {"content": "Let me look.", "tool_calls": [call]}
    body = {"choices": [{"index": 0, "message": whole, "finish_reason": "tool_calls"}]}
    chunks = [piece(content="Let me look."), piece(tool_calls=[call]), piece("tool_calls")]
    server.script(Reply(body=body) if "invoke" in way else Reply(chunks=chunks))
    answer = answer_by(way, own_qwen("Qwen/Qwen3.5-27B"))
    assert answer.text == "Let me look."
    assert [one["name"] for one in answer.tool_calls] == ["f"]


def test_an_emoji_in_two_events_is_one():
    """Some servers escape each half by itself; a half that stays alone becomes a mark."""
    reader = AnswerReader()
    pieces = [reader.take(piece(content=text)) for text in ("a\ud83d", "\ude00 \ud83db")]
    assert [one.answer for one in pieces] == ["a", "😀 \ufffdb"]


@pytest.mark.parametrize("way", ["stream", "astream"])
@pytest.mark.parametrize("schema", [Place, Place.model_json_schema()], ids=["object", "dict"])
def test_a_cut_off_object_is_an_error_at_the_streams_end(server, qwen, way, schema):
    """What grows is shown as it grows; that it never became whole is said."""
    server.script(Reply(content='{"path": "/home/a', finish_reason="length"))
    form = qwen("qwen3.7-plus").with_structured_output(schema)
    with pytest.raises(OutputParserException, match="not whole JSON"):
        answer_by(way, form, "where?")


def test_unknown_blocks_of_another_providers_answer_are_left_out(qwen, sent):
    """Of a person's message they are refused: leaving them out would change what was asked."""
    strange = [{"type": "hologram", "data": "x"}, {"type": "text", "text": "It is sunny."}]
    qwen().invoke([HumanMessage("weather?"), AIMessage(strange), HumanMessage("sure?")])
    assert sent()["messages"][1]["content"] == "It is sunny."
    with pytest.raises(ValueError, match="hologram"):
        qwen().invoke([HumanMessage(strange)])


def test_dates_in_a_calls_arguments_are_written_out(qwen, sent):
    """An edited history may hold objects that JSON has no form for."""
    call = {"name": "f", "args": {"day": dt.date(2026, 9, 1)}, "id": "c"}
    qwen().invoke([HumanMessage("q"), AIMessage("", tool_calls=[call]), ToolMessage("r", tool_call_id="c")])
    assert sent()["messages"][1]["tool_calls"][0]["function"]["arguments"] == '{"day": "2026-09-01"}'


def test_clients_of_closed_loops_are_let_go(qwen):
    """A program that runs many event loops keeps nothing of them."""
    model = qwen()
    for _ in range(3):
        asyncio.run(model.ainvoke("go"))
    gc.collect()
    assert len(model._clients._async) == 0


@pytest.mark.filterwarnings("ignore::ResourceWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_loop_closed_without_farewell_is_let_go_at_the_next_call(qwen):
    """Some programs close a loop without shutting its generators down."""
    model = qwen()
    for _ in range(2):
        loop = asyncio.new_event_loop()
        loop.run_until_complete(model.ainvoke("go"))
        loop.close()
    asyncio.run(model.ainvoke("go"))
    assert len(model._clients._async) <= 1
    gc.collect()  # the sockets of such loops complain, here and not in the next test


@pytest.mark.parametrize(
    ("object_says", "call_says", "thinks"),
    [
        ({"model": "qwen3-8b"}, {}, True),
        ({"model": "qwen3-8b", "reasoning_effort": "none"}, {}, False),
        ({"model": "qwen3-8b", "extra_body": {"enable_thinking": False}}, {}, False),
        ({"model": "qwen3-8b"}, {"enable_thinking": False}, False),
    ],
)
def test_what_is_counted_is_what_would_be_sent(qwen, object_says, call_says, thinks):
    """Thinking costs tokens of the template, wherever it was switched."""
    messages = [HumanMessage("你好")]
    counted = qwen(**object_says).get_num_tokens_from_messages(messages, **call_says)
    assert counted == count_tokens(messages, model="qwen3-8b", thinking=thinks)
    assert count_tokens(messages, model="qwen3-8b", thinking=True) != count_tokens(
        messages, model="qwen3-8b", thinking=False
    )


@pytest.mark.parametrize(
    "block",
    [
        {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PICTURE}},
        {"type": "file", "mime_type": "image/png", "base64": PICTURE},
    ],
    ids=["source", "file"],
)
def test_a_picture_counts_as_one_in_whatever_form_it_is_sent(block):
    """Anthropic's form, and a file that is a picture."""
    plain = {"type": "image", "mime_type": "image/png", "base64": PICTURE}
    other, same = (count_tokens([HumanMessage([one])], model="qwen3-vl-plus") for one in (block, plain))
    assert other == same
    unknown = count_tokens([HumanMessage([{"type": "image", "url": "https://h/a.png"}])], model="qwen3-vl-plus")
    assert same < unknown


def test_how_finely_a_picture_is_looked_at_is_counted_from_extras():
    """LangChain keeps words that its blocks do not know in `extras`, from where they are sent."""
    block = {"type": "image", "mime_type": "image/png", "base64": PICTURE}
    coarse = block | {"extras": {"max_pixels": 65_536}}
    told = block | {"max_pixels": 65_536}
    counts = [count_tokens([HumanMessage([one])], model="qwen3-vl-plus") for one in (coarse, told, block)]
    assert counts[0] == counts[1] < counts[2]


def test_blocks_that_are_not_sent_are_not_counted():
    """Foreign blocks of an answer cost nothing, as nothing of them is sent."""
    foreign = [{"type": "server_tool_use", "id": "s", "name": "n", "input": {"q": "x" * 500}}, {"type": "hologram"}]
    plain = AIMessage([{"type": "text", "text": "yes"}])
    mixed = AIMessage([*foreign, {"type": "text", "text": "yes"}])
    assert count_tokens([mixed], model="qwen-plus") == count_tokens([plain], model="qwen-plus")


def test_a_server_with_a_key_of_its_own_gets_the_one_given(own_qwen):
    """An own server's key is accepted and sent."""
    with LocalDashScope(api_key="sk-its-own") as guarded:
        assert own_qwen(base_url=guarded.plain_url, api_key="sk-its-own").invoke("hi").text
