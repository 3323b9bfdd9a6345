"""The local DashScope misbehaves on demand, as the service and the network do."""

import threading
import time

import httpx
import pytest

from langchain_qwen_memory.testing import Fault, Reply
from tests.testing.conftest import tool


def raw(client, **more):
    """The bytes of a stream up to where it broke, and whether it ended well."""
    body = {"model": "qwen-plus", "stream": True, "messages": [{"role": "user", "content": "你好"}], **more}
    got = b""
    try:
        with client.http.stream("POST", "/chat/completions", json=body) as stream:
            for piece in stream.iter_raw():
                got += piece
    except httpx.RemoteProtocolError:
        return got, False
    return got, True


@pytest.mark.parametrize(
    ("fault", "status", "code"),
    [
        (Fault.unauthorized(), 401, "invalid_api_key"),
        (Fault.no_key(), 401, None),
        (Fault.forbidden(), 403, "AccessDenied.Unpurchased"),
        (Fault.free_quota(), 403, "insufficient_quota"),
        (Fault.not_found(), 404, "model_not_found"),
        (Fault.rate_limit(), 429, "limit_requests"),
        (Fault.quota(), 429, "insufficient_quota"),
        (Fault.burst(), 429, "limit_burst_rate"),
        (Fault.internal(), 500, "internal_error"),
        (Fault.unavailable(), 503, "ModelUnavailable"),
        (Fault.arrears(), 400, "Arrearage"),
        (Fault.inspected_input(), 400, "data_inspection_failed"),
        (Fault.inspected_output(), 400, "data_inspection_failed"),
        (Fault.overflow(1000), 400, "invalid_parameter_error"),
        (Fault.bad_request("no"), 400, "invalid_parameter_error"),
    ],
)
def test_refusals(client, fault, status, code):
    """Each refusal has the service's status and code, streamed or not, with a request id, and then passes."""
    client.server.misbehave(fault, times=2)
    for stream in (False, True):
        answer = client.post("Hello", stream=stream)
        assert answer.status_code == status
        assert answer.headers["content-type"] == "application/json"
        assert answer.json()["error"]["code"] == code
        assert answer.json()["request_id"] == answer.headers["x-request-id"]
    assert client.say("Hello")
    assert [one.status for one in client.server.requests] == [status, status, 200]


def test_the_three_429_have_their_own_texts(client):
    """Rate, quota and burst can be told apart by text; none sends retry-after, as the service does not."""
    texts = set()
    for fault in (Fault.rate_limit(), Fault.quota(), Fault.burst()):
        client.server.misbehave(fault)
        answer = client.post("Hello")
        texts.add(answer.json()["error"]["message"])
        assert "retry-after" not in answer.headers
    assert len(texts) == 3


def test_overflow_in_spite_of_the_count(client):
    """A small prompt is refused with the service's text and a limit of the test's choice."""
    client.server.misbehave(Fault.overflow(30_720))
    assert client.error("Hello")["message"].endswith("Range of input length should be [1, 30720]")


def test_a_fault_can_wait_for_its_request(client):
    """With `when`, only requests for which it is true go wrong."""
    client.server.misbehave(Fault.internal(), when=lambda body: body["model"] == "qwen-turbo")
    assert client.say("Hello")
    client.error("Hello", status=500, model="qwen-turbo")


def test_a_slow_first_byte(client):
    """The answer is good but late; a client with a shorter timeout gives up."""
    client.server.misbehave(Fault.slow(0.4), times=2)
    begun = time.monotonic()
    assert client.say("Hello")
    assert time.monotonic() - begun > 0.4
    client.http.timeout = httpx.Timeout(0.1)
    with pytest.raises(httpx.ReadTimeout):
        client.post("Hello")


def test_a_stream_cut_in_the_middle(client):
    """After three good chunks the connection is gone: no [DONE], and the client's HTTP layer notices."""
    client.server.misbehave(Fault.cut(after=3))
    got, whole = raw(client)
    assert not whole
    assert got.count(b"data:") == 3
    assert b"[DONE]" not in got


def test_a_stream_cut_inside_a_character(client):
    """The bytes end between two bytes of one Chinese character."""
    client.server.misbehave(Fault.cut_in_character())
    got, whole = raw(client)
    assert not whole
    with pytest.raises(UnicodeDecodeError, match="unexpected end of data"):
        got.decode()


def test_a_stream_cut_in_the_thinking(client):
    """Thinking has begun, no answer has come."""
    client.server.misbehave(Fault.cut_in_thinking(after=2))
    got, whole = raw(client, enable_thinking=True)
    assert not whole
    assert got.count(b'"content":null,"reasoning_content":"') == 2
    assert b'"reasoning_content":null' not in got


def test_a_stream_cut_in_a_tool_call(client):
    """The arguments of a call end in the middle of their JSON."""
    client.server.misbehave(Fault.cut_in_tool_call(after=1))
    client.server.script(Reply(tool_calls=[{"name": "add", "args": {"first": 1, "second": 2}}]))
    got, whole = raw(client, tools=[tool("add", "Adds", first={"type": "integer"}, second={"type": "integer"})])
    assert not whole
    assert rb"{\"fi" in got
    assert b"second" not in got


def test_a_stream_that_stalls_and_goes_on(client):
    """Silence in the middle, then the rest; a client with a shorter read timeout gives up at the silence."""
    client.server.misbehave(Fault.stall(after=2, seconds=0.3))
    begun = time.monotonic()
    got, whole = raw(client)
    assert whole
    assert got.endswith(b"data: [DONE]\n\n")
    assert time.monotonic() - begun > 0.3
    client.server.misbehave(Fault.stall(after=2))
    client.http.timeout = httpx.Timeout(0.2)
    with pytest.raises(httpx.ReadTimeout):
        raw(client)


def test_an_error_inside_a_good_stream(client):
    """Status 200, two chunks, then an error event, and the stream ends without [DONE]."""
    client.server.misbehave(Fault.error_in_stream(after=2))
    got, whole = raw(client)
    assert whole
    assert got.count(b"data:") == 3
    assert got.rpartition(b"data: ")[2].startswith(b'{"error":{"message":"An internal error has occured')
    assert b"[DONE]" not in got


def test_output_stopped_by_inspection(client):
    """Inspection of the output strikes in the stream, after some of it was sent."""
    client.server.misbehave(Fault.inspected_output(after=3))
    got, _ = raw(client)
    assert got.count(b"data:") == 4
    assert b'"code":"data_inspection_failed"' in got


def test_html_in_place_of_json(client):
    """The page of a gateway, with its status and type."""
    client.server.misbehave(Fault.html())
    answer = client.post("Hello")
    assert answer.status_code == 502
    assert answer.headers["content-type"] == "text/html"
    assert answer.text.startswith("<html>")


def test_nothing_in_place_of_json(client):
    """A 200 without a body, and a good body without choices, streamed too."""
    client.server.misbehave(Fault.empty_body())
    client.server.misbehave(Fault.no_choices(), times=2)
    assert client.post("Hello").content == b""
    assert client.post("Hello").json()["choices"] == []
    assert all(chunk["choices"] == [] for chunk in client.chunks("Hello"))


@pytest.mark.parametrize("fault", [Fault.cut(), Fault.cut_in_thinking()])
def test_a_fault_of_a_stream_hits_a_whole_answer_in_its_middle(client, fault):
    """Without a stream, a cut leaves half of the body."""
    client.server.misbehave(fault)
    with pytest.raises(httpx.RemoteProtocolError):
        client.post("Hello")


def test_an_error_in_the_stream_is_the_answer_where_there_is_no_stream(client):
    """Without a stream, the error event is the error body."""
    client.server.misbehave(Fault.error_in_stream())
    assert client.error("Hello", status=500)["code"] == "internal_error"


def test_a_hanging_request_is_freed_when_its_client_leaves(client):
    """The server notices that nobody waits any more."""
    before = set(threading.enumerate())
    client.server.misbehave(Fault.hang())
    client.http.timeout = httpx.Timeout(0.2)
    with pytest.raises(httpx.ReadTimeout):
        client.post("Hello")
    deadline = time.monotonic() + 10
    while (client.server._listener._open or set(threading.enumerate()) - before) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not client.server._listener._open
    assert not set(threading.enumerate()) - before
