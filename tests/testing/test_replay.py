"""Recorded answers of the true service are sent again, byte for byte, cut where a test wants them cut."""

import json

import httpx
import pytest

from tests.shared import SHARED, needs_shared

RECORDINGS = sorted((SHARED / "recordings").glob("*/*.json"))


def load(path):
    """A recorded exchange."""
    return json.loads(path.read_text())


def replayed(client, exchange, split):
    """What a client receives of a replayed exchange: the answer and the pieces in which it came."""
    client.server.replay(exchange, split=split)
    asked = exchange["request"]
    with client.http.stream(asked["method"], client.server.url + asked["path"], json=asked["body"] or {}) as answer:
        pieces = list(answer.iter_raw())
    return answer, pieces


def one_of_each_protocol():
    """A recording with its bytes for every protocol."""
    loaded = {path: load(path) for path in RECORDINGS}
    kept = {path: one for path, one in loaded.items() if (one.get("response") or {}).get("raw") is not None}
    return {one["protocol"]: path for path, one in kept.items() if one["request"]["method"] == "POST"}


CHOSEN = one_of_each_protocol()


@needs_shared
@pytest.mark.parametrize("path", CHOSEN.values(), ids=CHOSEN.keys())
@pytest.mark.parametrize("split", ["whole", "events", "bytes", 7])
def test_the_bytes_are_the_recorded_ones(client, path, split):
    """Status, content type and bytes are those of the recording, for every protocol and every way to cut."""
    exchange = load(path)
    answer, pieces = replayed(client, exchange, split)
    assert b"".join(pieces) == exchange["response"]["raw"].encode()
    assert answer.status_code == exchange["response"]["status"]
    recorded = exchange["response"]["headers"].get("content-type")
    assert recorded is None or answer.headers["content-type"] == recorded
    logged = client.server.requests[-1]
    assert logged.path == exchange["request"]["path"]


@needs_shared
def test_every_recording_can_be_replayed(client):
    """Every answer of the folder goes through the socket; without kept bytes the events are the recorded ones."""
    sent = 0
    for path in RECORDINGS:
        exchange = load(path)
        if not {"request", "response"} <= exchange.keys() or (exchange["request"] or {}).get("method") != "POST":
            continue
        if not {"raw", "body", "events"} & exchange["response"].keys():
            continue
        _, pieces = replayed(client, exchange, "whole")
        got = b"".join(pieces)
        if exchange["response"].get("raw") is not None:
            assert got == exchange["response"]["raw"].encode()
        elif exchange["response"].get("events"):
            data = [line.partition(":")[2].strip() for line in got.decode().split("\n") if line.startswith("data:")]
            recorded = [one["data"] for one in exchange["response"]["events"]]
            assert [json.loads(one) for one in data if one != "[DONE]"] == [one for one in recorded if one != "[DONE]"]
        else:
            assert json.loads(got) == exchange["response"]["body"]
        sent += 1
    assert sent > 150


@pytest.mark.parametrize("split", ["whole", "events", "bytes"])
def test_events_without_bytes_are_framed_again(client, split):
    """A compatible stream gets `data: ` and [DONE]; a native one id, event, status line and no [DONE]."""
    compatible = {"protocol": "openai-chat", "response": {"status": 200, "events": [{"data": {"a": "你"}}]}}
    native = {
        "protocol": "native-text",
        "response": {
            "status": 200,
            "events": [{"id": "1", "event": "result", "comments": ["HTTP_STATUS/200"], "data": {"b": 1}}],
        },
    }
    client.server.replay(compatible, split=split)
    assert client.post("x").text == 'data: {"a":"你"}\n\ndata: [DONE]\n\n'
    client.server.replay(native, split=split)
    answer = client.http.post(f"{client.server.native_url}/services/aigc/text-generation/generation", json={})
    assert answer.text == 'id:1\nevent:result\n:HTTP_STATUS/200\ndata:{"b":1}\n\n'


def test_a_recording_without_an_answer_is_a_mistake(client):
    """The error names the recording and what is missing."""
    with pytest.raises(ValueError, match="'x' holds no raw, body or events"):
        client.server.replay({"id": "x", "response": {"status": 200}})


def test_a_replay_asks_for_no_key_and_only_posts_take_it(client):
    """The next POST takes the recording, whatever its path and key; a GET before it does not."""
    client.server.replay({"response": {"status": 418, "body": {"short": "stout"}}})
    assert client.http.get("/models").status_code == 200
    answer = httpx.post(f"{client.server.url}/anything", json={"a": 1})
    assert (answer.status_code, answer.json()) == (418, {"short": "stout"})
    assert client.server.requests[-1].body == {"a": 1}
