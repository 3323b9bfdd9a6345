"""What the chat endpoints of DashScope's own protocol refuse, how they frame it, and how they break."""

import httpx
import pytest

from langchain_qwen_memory.testing import Fault, LocalDashScope, Reply
from tests.testing.conftest import NativeClient, tool


def broken(native, **more):
    """The bytes of a stream up to where it broke, and whether it ended well."""
    url = f"{native.server.native_url}/services/aigc/text-generation/generation"
    parameters = {"result_format": "message", "incremental_output": True, **more}
    body = {
        "model": "qwen-plus",
        "input": {"messages": [{"role": "user", "content": "你好"}]},
        "parameters": parameters,
    }
    got = b""
    try:
        with native.http.stream("POST", url, json=body, headers={"Accept": "text/event-stream"}) as stream:
            for piece in stream.iter_raw():
                got += piece
    except httpx.RemoteProtocolError:
        return got, False
    return got, True


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"enable_thinking": True, "stream": True, "incremental_output": False}, 'parameter must be "true" when'),
        ({"enable_thinking": True, "stream": True}, 'incremental_output parameter must be "true"'),
        ({"enable_thinking": True, "result_format": "text"}, 'result_format parameter must be "message"'),
        ({"model": "qwen3-32b"}, "parameter.enable_thinking must be set to false for non-streaming calls"),
        ({"model": "qwen3-32b", "stream": True, "enable_thinking": False, "incremental_output": False}, "set to False"),
        ({"model": "qwq-plus"}, "This model only support stream mode, please enable the stream parameter"),
        ({"model": "qwen3-omni-flash"}, "This model only support stream mode"),
        ({"model": "qwen3-next-80b-a3b-thinking", "enable_thinking": False, "stream": True}, "restricted to True"),
        ({"enable_thinking": True, "thinking_budget": 10**9}, "thinking_budget parameter must be a positive integer"),
        ({"enable_thinking": True, "tools": [tool("f", "F")], "tool_choice": "required"}, "tool_choice parameter"),
        ({"tools": [tool("search", "Searches")]}, "Tool names are not allowed to be [search]"),
        ({"tool_choice": "any"}, 'should be ["none", "auto"]'),
        ({"temperature": 2}, "Temperature should be in [0.0, 2.0)"),
        ({"n": 5}, "Range of n should be [1, 4]"),
        ({"max_tokens": 10**9}, "Range of max_tokens should be [1, "),
        ({"response_format": {"type": "json_object"}}, "must contain the word 'json'"),
        ({"model": "qwen-nosuch"}, "Model not exist."),
    ],
)  # fmt: skip
def test_rules(native, asked, message):
    """Each rule is refused with 400, InvalidParameter and the service's words; the request id is the header's."""
    answer = native.post("Hello", **asked)
    body = answer.json()
    assert (answer.status_code, list(body)) == (400, ["code", "message", "request_id"])
    assert body["code"] == "InvalidParameter"
    assert message in body["message"]
    assert body["request_id"] == answer.headers["x-request-id"]


def test_stream_among_the_parameters_is_no_stream(native):
    """Only the headers ask for a stream; `stream: true` in the body says nothing."""
    url = f"{native.server.native_url}/services/aigc/text-generation/generation"
    body = {"model": "qwen-plus", "input": {"prompt": "Hello"}, "parameters": {"stream": True}}
    assert native.http.post(url, json=body).json()["output"]["finish_reason"] == "stop"


def test_bodies_that_cannot_be_read(native):
    """No key, no model, no messages, empty messages and no JSON at all have words of their own."""
    url = f"{native.server.native_url}/services/aigc/text-generation/generation"

    def refused(**more):
        answer = native.http.post(url, **more)
        return answer.status_code, answer.json()["code"], answer.json()["message"]

    assert refused(json={}, headers={"authorization": ""})[:2] == (401, "InvalidApiKey")
    assert refused(json={"input": {}}) == (
        400, "BadRequest.EmptyModel", 'Required parameter "model" missing from request.',
    )  # fmt: skip
    assert "cannot both be none" in refused(json={"model": "qwen-plus", "input": {}})[2]
    empty = {"model": "qwen-plus", "input": {"messages": []}}
    assert refused(json=empty)[2] == "Role must be user or assistant and Content length must be greater than 0"
    assert refused(content=b"{")[1] == "InvalidParameter"


@pytest.mark.parametrize(
    ("fault", "status", "code"),
    [
        (Fault.unauthorized(), 401, "InvalidApiKey"),
        (Fault.forbidden(), 403, "AccessDenied.Unpurchased"),
        (Fault.rate_limit(), 429, "Throttling.RateQuota"),
        (Fault.quota(), 429, "Throttling.AllocationQuota"),
        (Fault.burst(), 429, "Throttling.BurstRate"),
        (Fault.internal(), 500, "InternalError"),
        (Fault.arrears(), 400, "Arrearage"),
        (Fault.inspected_input(), 400, "DataInspectionFailed"),
        (Fault.overflow(), 400, "InvalidParameter"),
    ],
)
def test_faults_have_this_protocols_codes(native, fault, status, code):
    """The same fault that misbehaves over the other protocol, streamed or not."""
    native.server.misbehave(fault, times=2)
    for stream in (False, True):
        assert native.error("Hello", status=status, stream=stream)["code"] == code


@pytest.mark.parametrize("stream", [False, True])
def test_four_frames_of_a_refusal(native, stream):
    """Plain JSON, an event in a 200 stream, the same event labelled as JSON, and a nested error object."""
    fault = Fault.rate_limit()
    native.server.misbehave(fault.framed("event"))
    answer = native.post("Hello", stream=stream)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/event-stream;charset=UTF-8")
    assert answer.text.startswith('id:1\nevent:error\n:HTTP_STATUS/429\ndata:{"code":"Throttling.RateQuota"')
    native.server.misbehave(fault.framed("labelled"))
    labelled = native.post("Hello", stream=stream)
    assert (labelled.status_code, labelled.headers["content-type"]) == (429, "application/json")
    assert labelled.text.startswith("id:1\nevent:error\n:HTTP_STATUS/429\ndata:{")
    native.server.misbehave(fault.framed("nested"))
    nested = native.post("Hello", stream=stream)
    assert (nested.status_code, list(nested.json())) == (429, ["error"])
    assert nested.json()["error"]["code"] == "limit_requests"


def test_the_server_can_be_told_how_to_frame_what_it_refuses():
    """`native_refusals` is the frame of every refusal of this protocol, and of none of the other."""
    with LocalDashScope(native_refusals="event") as server:
        client = NativeClient(server)
        with client.http:
            answer = client.post("Hello", n=9, stream=True)
            assert answer.text.startswith("id:1\nevent:error\n:HTTP_STATUS/400\ndata:")
            body = {"model": "qwen-plus", "n": 9, "messages": [{"role": "user", "content": "x"}]}
            assert client.http.post(f"{server.base_url}/chat/completions", json=body).json()["error"]


def test_an_error_inside_a_good_stream(native):
    """After two good events an error event with the true status and the next number, and no more."""
    native.server.misbehave(Fault.error_in_stream(after=2))
    got, whole = broken(native)
    assert whole
    assert got.count(b"event:result") == 2
    assert b"id:3\nevent:error\n:HTTP_STATUS/500\ndata:" in got
    assert b'"code":"InternalError"' in got.rpartition(b"data:")[2]
    native.server.misbehave(Fault.inspected_output(after=1))
    assert b'"code":"DataInspectionFailed"' in broken(native)[0]


def test_streams_that_break(native):
    """Cut after events, inside a character, inside the thinking, inside a call; the connection is gone."""
    native.server.misbehave(Fault.cut(after=2))
    got, whole = broken(native)
    assert (got.count(b"event:result"), whole) == (2, False)
    native.server.misbehave(Fault.cut_in_character())
    with pytest.raises(UnicodeDecodeError, match="unexpected end of data"):
        broken(native)[0].decode()
    native.server.misbehave(Fault.cut_in_thinking(after=1))
    got, whole = broken(native, enable_thinking=True)
    assert (got.count(b"event:result"), whole) == (1, False)
    native.server.script(Reply(tool_calls=[{"name": "add", "args": {"first": 1}}]))
    native.server.misbehave(Fault.cut_in_tool_call(after=1))
    got, whole = broken(native, tools=[tool("add", "Adds", first={"type": "integer"})])
    assert not whole
    assert b"first" not in got


def test_answers_without_sense(native):
    """The page of a gateway, no body, no choices, half a body."""
    native.server.misbehave(Fault.html())
    assert native.post("Hello").text.startswith("<html>")
    native.server.misbehave(Fault.empty_body())
    assert native.post("Hello").content == b""
    native.server.misbehave(Fault.no_choices(), times=2)
    assert native.whole("Hello")["output"] == {"choices": []}
    assert all(one["output"] == {"choices": []} for one in native.events("Hello"))
    native.server.misbehave(Fault.cut())
    with pytest.raises(httpx.RemoteProtocolError):
        native.post("Hello")


def test_scripts_and_faults_can_wait_for_their_request(native):
    """`when` sees model, messages and parameters side by side, and the body's own keys too."""
    native.server.script(Reply(content="mine"), when=lambda body: body["messages"][-1]["content"] == "two")
    native.server.misbehave(Fault.internal(), when=lambda body: body.get("seed") == 7 and "input" in body)
    assert native.message("one")["content"] != "mine"
    assert native.message("two")["content"] == "mine"
    assert native.error("three", status=500, seed=7)["code"] == "InternalError"


@pytest.mark.parametrize("headers", [{"host": "evil.example"}, {"origin": "https://evil.example"}])
def test_a_page_of_another_host_is_refused(native, headers):
    """As on the other routes: a page that reaches the server by DNS rebinding gets a 403."""
    url = f"{native.server.native_url}/services/aigc/text-generation/generation"
    assert native.http.post(url, json={}, headers=headers).status_code == 403
    assert not native.server.requests
