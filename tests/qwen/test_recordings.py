"""What the true service once answered is read as it was meant, in whichever way it is asked for."""

import json
from functools import cache

import pytest

from langchain_qwen_memory.qwen.model_errors import QwenAuthenticationError
from tests.qwen.ways import WAYS, answer_by, events_by
from tests.shared import SHARED, needs_shared

pytestmark = needs_shared


@cache
def recordings():
    """All recorded exchanges of the compatible protocol, by name."""
    if not SHARED.is_dir():
        return {}
    read = {path.stem: json.loads(path.read_text()) for path in sorted((SHARED / "recordings").glob("*/*.json"))}
    return {name: one for name, one in read.items() if one.get("protocol") == "openai-chat"}


WHOLE = [name for name, one in recordings().items() if "events" not in one["response"]]
STREAMED = [name for name, one in recordings().items() if "events" in one["response"]]


def bodies(exchange):
    """The JSON bodies of a recording's answer, read from its bytes where they were kept."""
    answer = exchange["response"]
    if answer.get("raw") is None:
        return [event["data"] for event in answer["events"]] if "events" in answer else [answer["body"]]
    if "events" not in answer:
        return [json.loads(answer["raw"])]
    lines = [line[5:].strip() for line in answer["raw"].split("\n") if line.startswith("data:")]
    return [json.loads(line) for line in lines if line != "[DONE]"]


def meant(exchange):
    """What a recording says, by the simplest reading: sums over the first choice of every body."""
    said = {"text": "", "reasoning": "", "calls": {}, "finish": None, "usage": None}
    for body in bodies(exchange):
        if not isinstance(body, dict):
            continue
        said["usage"] = body.get("usage") or said["usage"]
        for choice in body.get("choices") or []:
            if choice.get("index"):
                continue
            part = choice.get("delta") or choice.get("message") or {}
            said["text"] += part.get("content") or ""
            said["reasoning"] += part.get("reasoning_content") or ""
            said["finish"] = choice.get("finish_reason") or said["finish"]
            for call in part.get("tool_calls") or []:
                kept = said["calls"].setdefault(call["index"], {"id": "", "name": "", "arguments": ""})
                kept["id"] = kept["id"] or call.get("id") or ""
                kept["name"] = kept["name"] or call["function"].get("name") or ""
                kept["arguments"] += call["function"].get("arguments") or ""
    return said


def compare(message, said):
    """Checks a message against what the recording says."""
    assert message.text == said["text"]
    assert message.additional_kwargs.get("reasoning_content", "") == said["reasoning"]
    assert [(c["id"], c["name"], c["args"]) for c in message.tool_calls] == [
        (c["id"], c["name"], json.loads(c["arguments"])) for _, c in sorted(said["calls"].items())
    ]
    assert not message.invalid_tool_calls
    assert message.response_metadata["finish_reason"] == said["finish"]
    assert message.response_metadata["model_provider"] == "qwen"
    usage, counted = message.usage_metadata, said["usage"]
    assert (usage["input_tokens"], usage["output_tokens"]) == (counted["prompt_tokens"], counted["completion_tokens"])
    assert usage["total_tokens"] == counted["total_tokens"]
    in_detail, out_detail = counted.get("prompt_tokens_details") or {}, counted.get("completion_tokens_details") or {}
    assert usage["input_token_details"].get("cache_read") == in_detail.get("cached_tokens")
    assert usage["output_token_details"].get("reasoning") == out_detail.get("reasoning_tokens")


def test_there_are_recordings_of_both_kinds():
    """The folder that was named does hold whole answers and streams."""
    assert len(WHOLE) > 50
    assert len(STREAMED) > 20


@pytest.mark.parametrize("way", ["invoke", "ainvoke"])
@pytest.mark.parametrize("name", WHOLE)
def test_a_whole_answer_is_read(server, qwen, name, way):
    """Text, thinking, calls, usage and the reason to stop are the recording's."""
    server.replay(recordings()[name])
    compare(answer_by(way, qwen()), meant(recordings()[name]))


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", STREAMED)
def test_a_stream_is_read(server, qwen, name, way):
    """Summed up, or asked for whole from a model that only streams, it is the recording's."""
    server.replay(recordings()[name])
    compare(answer_by(way, qwen("qwq-plus")), meant(recordings()[name]))


@pytest.mark.parametrize("split", ["whole", "bytes", 7])
@pytest.mark.parametrize("name", STREAMED[:: max(1, len(STREAMED) // 6)])
def test_a_stream_may_be_cut_anywhere_on_its_way(server, qwen, name, split):
    """How the bytes are packed, also within a character, changes nothing."""
    server.replay(recordings()[name], split=split)
    compare(answer_by("stream", qwen()), meant(recordings()[name]))


@pytest.mark.filterwarnings("ignore:.*is in beta:langchain_core._api.beta_decorator.LangChainBetaWarning")
@pytest.mark.parametrize("way", ["stream", "astream"])
@pytest.mark.parametrize("name", STREAMED)
def test_a_stream_of_events_is_read(server, qwen, name, way):
    """LangChain's typed events come to the same blocks: thinking, text, calls."""
    said = meant(recordings()[name])
    server.replay(recordings()[name])
    message = events_by(way, qwen())
    kinds = {block["type"]: block for block in message.content_blocks}
    assert kinds.get("text", {}).get("text", "") == said["text"]
    assert kinds.get("reasoning", {}).get("reasoning", "") == said["reasoning"]
    assert [c["name"] for c in message.tool_calls] == [c["name"] for _, c in sorted(said["calls"].items())]
    assert [c["id"] for c in message.tool_calls] == [c["id"] for _, c in sorted(said["calls"].items())]
    assert message.usage_metadata["input_tokens"] == said["usage"]["prompt_tokens"]


@pytest.mark.parametrize("way", WAYS)
def test_the_recorded_refusal_is_an_authentication_error(server, qwen, way):
    """The service's words and its request id are in the error."""
    observed = json.loads((SHARED / "facts" / "errors.json").read_text())["wire_observed"]
    one = next(e for e in observed if e["protocol"] == "openai-chat")
    server.replay({"response": {"status": one["http_status"], "headers": one["headers"], "raw": one["body"]}})
    body = json.loads(one["body"])
    with pytest.raises(QwenAuthenticationError) as caught:
        answer_by(way, qwen())
    assert body["error"]["message"].strip().rstrip(".") in str(caught.value)
    assert body["request_id"] in str(caught.value)
    assert caught.value.status_code == one["http_status"]
