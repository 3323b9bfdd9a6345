"""Answers have the keys of the true service, in its order: compared with recordings of it."""

import json

import pytest

from langchain_qwen_memory.testing import LocalDashScope, Reply
from tests.shared import SHARED, needs_shared
from tests.testing.conftest import Client, tool


def recording(path):
    """A recorded exchange."""
    return json.loads((SHARED / "recordings" / path).read_text())


def shape(value):
    """The keys of a value in their order, with what is null and what is not; lists by their first element."""
    if isinstance(value, dict):
        return [(key, shape(one)) for key, one in value.items()]
    if isinstance(value, list):
        return [shape(value[0])] if value else []
    return None if value is None else "value"


def no_fingerprint(value):
    """The shape, blind to the one value that differs on purpose: `system_fingerprint` names the stand-in."""
    if isinstance(value, dict) and "system_fingerprint" in value:
        value = {**value, "system_fingerprint": None}
    return shape(value)


def kind(chunk):
    """What a chunk is made of: its keys in order; those of choice and delta sorted, as the service varies them."""
    choice = chunk["choices"][0] if chunk["choices"] else {}
    calls = choice.get("delta", {}).get("tool_calls") or [{}]
    inner = [sorted(choice), sorted(choice.get("delta", {})), sorted(calls[0]), sorted(calls[0].get("function", {}))]
    return json.dumps([list(chunk), *inner])


def stages(chunks):
    """The different kinds of chunks of a stream."""
    return set(map(kind, chunks))


WEATHER = tool("weather", "The weather at a location", location={"type": "string"})
SEARCH = tool("search", "Search info", query={"type": "string"})


@pytest.fixture(scope="module")
def client():
    with LocalDashScope() as server:
        made = Client(server)
        with made.http:
            yield made


@needs_shared
@pytest.mark.parametrize(
    ("path", "model", "more"),
    [
        ("vercel-ai/alibaba-text_chunks_txt.json", "qwen3-max", {}),
        ("vercel-ai/alibaba-reasoning_chunks_txt.json", "qwen3-max", {"enable_thinking": True}),
        ("vercel-ai/alibaba-tool-call_chunks_txt.json", "qwen3-max", {"tools": [WEATHER]}),
        ("loongsuite-litellm/TestStreamCompletion.test_sync_streaming_completion__00.json", "qwen-turbo", {}),
        (
            "loongsuite-litellm/TestToolCalls.test_function_calling_with_streaming__00.json",
            "qwen-plus",
            {"tools": [SEARCH]},
        ),
    ],
)
def test_chunks_have_the_recorded_keys_in_the_recorded_order(client, path, model, more):
    """Every kind of chunk of a stream (first, thinking, text, tool, last, usage) is shaped as recorded."""
    recorded = [one["data"] for one in recording(path)["response"]["events"] if one["data"] != "[DONE]"]
    question = "Search AI news" if more.get("tools") == [SEARCH] else "What is the weather in San Francisco?"
    ours = client.chunks(question, model=model, stream_options={"include_usage": True}, **more)
    assert no_fingerprint(ours[0]) == no_fingerprint(recorded[0])
    assert no_fingerprint(ours[-1]) == no_fingerprint(recorded[-1])
    assert stages(ours) == stages(recorded)


@needs_shared
@pytest.mark.parametrize(
    ("path", "model", "more"),
    [
        ("vercel-ai/alibaba-text_json.json", "qwen3-max", {}),
        ("vercel-ai/alibaba-reasoning_json.json", "qwen3-max", {"enable_thinking": True}),
        ("vercel-ai/alibaba-tool-call_json.json", "qwen3-max", {"tools": [WEATHER]}),
        ("manual/vercel-issue-18759-nonstream-thinking.json", "qwen-plus", {"enable_thinking": True}),
        ("loongsuite-litellm/TestSyncCompletion.test_basic_sync_completion__00.json", "qwen-turbo", {}),
        (
            "loongsuite-litellm/TestToolCalls.test_completion_with_tool_definition__00.json",
            "qwen-plus",
            {"tools": [WEATHER]},
        ),
    ],
)
def test_whole_answers_have_the_recorded_keys_in_the_recorded_order(client, path, model, more):
    """A body that is not streamed is shaped as recorded, down to the last key."""
    recorded = recording(path)["response"]["body"]
    ours = client.post("What is the weather in San Francisco?", model=model, **more).json()
    assert no_fingerprint(ours) == no_fingerprint(recorded)


def test_ids_have_the_form_of_the_service(client):
    """chatcmpl- and a uuid, call_ and 24 hex digits (22 in the older family); one id in all chunks of a stream."""
    chunks = client.chunks("What is the weather in Oslo?", model="qwen3-max", tools=[WEATHER])
    assert len({chunk["id"] for chunk in chunks}) == 1
    assert len(chunks[0]["id"]) == len("chatcmpl-") + 36
    call = chunks[0]["choices"][0]["delta"]["tool_calls"][0]
    assert call["id"].startswith("call_")
    assert len(call["id"]) == 5 + 24
    older = client.message("What is the weather in Oslo?", model="qwen-plus", tools=[WEATHER])
    assert len(older["tool_calls"][0]["id"]) == 5 + 22


def test_usage_comes_last_and_only_when_asked_for(client):
    """Every chunk has usage null; the closing chunk without choices comes with include_usage only."""
    silent = client.chunks("Hello")
    assert all(chunk["usage"] is None for chunk in silent)
    asked = client.chunks("Hello", stream_options={"include_usage": True})
    assert asked[-1]["choices"] == []
    assert asked[-1]["usage"]["total_tokens"] > 0
    assert all(chunk["usage"] is None for chunk in asked[:-1])


def test_streamed_and_whole_answers_say_the_same(client):
    """Text, thinking and usage of a stream add up to those of the whole answer."""
    more = {"model": "qwen3-max", "enable_thinking": True}
    whole = client.post("我叫小王。我叫什么？", **more).json()
    chunks = client.chunks("我叫小王。我叫什么？", stream_options={"include_usage": True}, **more)
    deltas = [chunk["choices"][0]["delta"] for chunk in chunks if chunk["choices"]]
    message = whole["choices"][0]["message"]
    assert "".join(delta.get("content") or "" for delta in deltas) == message["content"]
    assert "".join(delta.get("reasoning_content") or "" for delta in deltas) == message["reasoning_content"]
    assert chunks[-1]["usage"] == whole["usage"]


def test_parallel_calls_stream_under_their_own_index(client):
    """Two calls have index 0 and 1; only the first delta of each has an id and a name."""
    calls = [{"name": "weather", "args": {"location": "Oslo"}}, {"name": "weather", "args": {"location": "Rome"}}]
    for model in ("qwen3-max", "qwen-plus"):
        client.server.script(Reply(tool_calls=calls))
        pieces: dict[int, str] = {}
        named = []
        for chunk in client.chunks("go", model=model, tools=[WEATHER]):
            for call in chunk["choices"][0]["delta"].get("tool_calls", []):
                pieces[call["index"]] = pieces.get(call["index"], "") + call["function"]["arguments"]
                named += [call["index"]] if call["function"].get("name") else []
        assert named == [0, 1]
        assert [json.loads(pieces[index])["location"] for index in (0, 1)] == ["Oslo", "Rome"]


def test_n_answers_have_an_index_each(client):
    """`n` gives so many choices, streamed or not."""
    whole = client.post("Hello", n=2).json()
    assert [choice["index"] for choice in whole["choices"]] == [0, 1]
    assert {chunk["choices"][0]["index"] for chunk in client.chunks("Hello", n=2)} == {0, 1}
