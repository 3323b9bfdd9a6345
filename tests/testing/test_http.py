"""The local DashScope is a real HTTP server that starts and stops cleanly and answers only this machine."""

import asyncio
import socket
import threading
import time

import httpx
import pytest

from langchain_qwen_memory.testing import Fault, LocalDashScope, Reply


def test_it_takes_a_free_port_on_loopback_only():
    """Two servers run side by side, each on a port of its own, and neither listens beyond this machine."""
    with LocalDashScope() as one, LocalDashScope() as two:
        assert one.base_url != two.base_url
        assert one.base_url.startswith("http://127.0.0.1:")
        assert one.base_url.endswith("/compatible-mode/v1")
        assert one._listener.server_address[0] == "127.0.0.1"


def test_stopping_leaves_no_thread_and_frees_the_port():
    """After stop, open keep-alive connections are closed, their threads are gone and the port can be taken again."""
    before = threading.active_count()
    with LocalDashScope() as server, httpx.Client(headers={"authorization": "Bearer k"}) as http:
        port = int(server.url.rpartition(":")[2])
        http.get(f"{server.base_url}/models")
        assert threading.active_count() > before
        server.stop()
        assert threading.active_count() == before
        with LocalDashScope(port=port) as again:
            assert again.url.endswith(f":{port}")


def test_stopping_does_not_wait_for_a_hanging_request(client):
    """A request that is never answered does not hold up the end of a test."""
    client.server.misbehave(Fault.hang())

    def ask():
        with pytest.raises(httpx.HTTPError):
            client.post("Hello")

    waiting = threading.Thread(target=ask)
    waiting.start()
    while not client.server.requests:
        time.sleep(0.01)
    begun = time.monotonic()
    client.server.stop()
    waiting.join(timeout=5)
    assert not waiting.is_alive()
    assert time.monotonic() - begun < 3


def test_a_server_that_does_not_run_says_how_to_start_it():
    """Asking a server for its address before it runs, or starting it twice, says what to type."""
    server = LocalDashScope()
    with pytest.raises(RuntimeError, match="with LocalDashScope"):
        _ = server.base_url
    with server, pytest.raises(RuntimeError, match="runs already"):
        server.start()


def test_many_requests_share_one_connection(client):
    """Connections are kept alive: a hundred requests need one."""
    for _ in range(100):
        assert client.say("Hello")
    assert len(client.server._listener._open) == 1


async def test_hundreds_of_connections_at_once_are_answered(local_dashscope):
    """Two hundred clients that stream at the same time all get their whole answer."""
    limits = httpx.Limits(max_connections=200)
    headers = {"authorization": "Bearer k"}
    body = {"model": "qwen-plus", "messages": [{"role": "user", "content": "Hello"}], "stream": True}
    async with httpx.AsyncClient(limits=limits, headers=headers, timeout=60) as http:
        url = f"{local_dashscope.base_url}/chat/completions"
        answers = await asyncio.gather(*(http.post(url, json=body) for _ in range(200)))
    assert all(answer.text.endswith("data: [DONE]\n\n") for answer in answers)
    assert len(local_dashscope.requests) == 200


@pytest.mark.parametrize("headers", [{"host": "evil.example"}, {"origin": "https://evil.example"}, {"origin": "null"}])
def test_a_page_of_another_host_is_refused(client, headers):
    """A browser page that reaches the server by DNS rebinding gets a 403 that says why."""
    answer = client.http.post("/chat/completions", json={}, headers=headers)
    assert answer.status_code == 403
    assert "only requests to and from this machine" in answer.text
    assert not client.server.requests


def test_a_page_of_this_machine_is_answered(client):
    """A page served from localhost may ask."""
    answer = client.http.get("/models", headers={"origin": "http://localhost:3000"})
    assert answer.status_code == 200


def test_headers_are_those_of_the_service(client):
    """Answers carry the request id and timing headers of the service, and name the stand-in."""
    headers = client.post("Hello").headers
    assert headers["content-type"] == "application/json"
    assert headers["x-request-id"] == client.server.requests[-1].request_id
    assert headers["x-dashscope-call-gateway"] == "true"
    assert int(headers["resp-start-time"]) >= int(headers["req-arrive-time"])
    assert "not Qwen" in headers["server"]
    streamed = client.post("Hello", stream=True).headers
    assert streamed["content-type"] == "text/event-stream;charset=UTF-8"
    assert streamed["transfer-encoding"] == "chunked"


def test_a_client_that_leaves_in_the_middle_does_no_harm(client):
    """A stream the client breaks off ends on the server too, and the next request is answered."""
    client.server.speed = 0.05
    client.server.script(Reply(content="word " * 500))
    with client.http.stream(
        "POST",
        "/chat/completions",
        json={"model": "qwen-plus", "stream": True, "messages": [{"role": "user", "content": "go"}]},
    ) as stream:
        next(stream.iter_raw())
    deadline = time.monotonic() + 3
    while client.server._listener._open and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not client.server._listener._open
    client.server.speed = 0.0
    assert client.say("Hello")


def test_a_request_of_unknown_length_is_refused(client):
    """A chunked request body gets a 411; clients of the service always send a length."""
    answer = client.http.post("/chat/completions", content=iter([b"{}"]))
    assert answer.status_code == 411


def test_an_unknown_path_lists_what_there_is(client):
    """A 404 names the endpoints, so a wrong base_url is found at once."""
    answer = client.http.post("/nothing", json={})
    assert answer.status_code == 404
    assert "/compatible-mode/v1/chat/completions" in answer.json()["error"]["message"]


def test_the_list_of_models_says_that_a_stand_in_answers(client):
    """GET /models lists the service's names from the catalogue, none of a self-hosted server, owner: stand-in."""
    listed = client.http.get("/models").json()
    assert list(listed) == ["object", "data"]
    assert list(listed["data"][0]) == ["id", "object", "created", "owned_by"]
    names = {one["id"] for one in listed["data"]}
    assert {"qwen-plus", "qwen3-max", "qwen3.7-plus"} <= names
    assert "Qwen/Qwen3-32B" not in names
    assert {one["owned_by"] for one in listed["data"]} == {"local-stand-in"}


def test_events_arrive_one_by_one_when_the_stream_is_slow(client):
    """With a speed, each chunk is sent when it is due, not at the end."""
    client.server.speed = 0.1
    client.server.script(Reply(content="abcdefgh"))
    seen = []
    with client.http.stream(
        "POST",
        "/chat/completions",
        json={"model": "qwen-plus", "stream": True, "messages": [{"role": "user", "content": "go"}]},
    ) as stream:
        seen.extend(time.monotonic() for _ in stream.iter_raw())
    assert len(seen) >= 3
    assert seen[-1] - seen[0] > 0.15


def test_the_first_byte_can_be_late(client):
    """`first_byte` delays every answer, a reply's `delay` one."""
    client.server.first_byte = 0.1
    client.server.script(Reply(content="late", delay=0.2))
    begun = time.monotonic()
    assert client.say("go") == "late"
    assert time.monotonic() - begun >= 0.3


def test_pipelined_requests_are_answered_in_order(local_dashscope):
    """Two requests sent in one packet over a raw socket get two answers, in order."""
    host, port = local_dashscope.url.removeprefix("http://").split(":")
    one = f"GET /compatible-mode/v1/models HTTP/1.1\r\nHost: {host}:{port}\r\n"
    with socket.create_connection((host, int(port))) as raw:
        raw.sendall(f"{one}\r\n{one}Authorization: Bearer k\r\nConnection: close\r\n\r\n".encode())
        raw.settimeout(5)
        heads = b""
        while piece := raw.recv(65536):
            heads += piece
    assert heads.index(b"HTTP/1.1 401") < heads.index(b"HTTP/1.1 200")
