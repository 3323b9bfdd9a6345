"""What the true service once answered over its own protocol is read as it was meant, in whichever way it is asked."""

import json
from functools import cache

import pytest
from langchain_core.messages import AIMessage, HumanMessage

from langchain_qwen_memory.qwen import model_errors
from tests.qwen.ways import WAYS, answer_by, events_by
from tests.shared import SHARED, needs_shared

pytestmark = [needs_shared, pytest.mark.parametrize("protocol", ["native"])]


@cache
def recordings():
    """All recorded exchanges of DashScope's own protocol with chat models, by name."""
    if not SHARED.is_dir():
        return {}
    read = {path.stem: json.loads(path.read_text()) for path in sorted((SHARED / "recordings").glob("*/*.json"))}
    return {name: one for name, one in read.items() if one.get("protocol") in {"native-text", "native-multimodal"}}


GOOD = {name: one for name, one in recordings().items() if one["response"]["status"] == 200}
WHOLE = [name for name, one in GOOD.items() if "events" not in one["response"]]
STREAMED = [name for name, one in GOOD.items() if "events" in one["response"]]
REFUSED = [name for name in recordings() if name not in GOOD]


def bodies(exchange):
    """The JSON bodies of a recording's answer, read from its bytes where they were kept."""
    answer = exchange["response"]
    if answer.get("raw") is None:
        return [event["data"] for event in answer["events"]] if "events" in answer else [answer["body"]]
    if "events" not in answer:
        return [json.loads(answer["raw"])]
    return [json.loads(line[5:]) for line in answer["raw"].split("\n") if line.startswith("data:")]


def parts(body):
    """The first choice's message and reason to stop; the older form has a bare text."""
    output = body["output"]
    if "choices" not in output or output["choices"] is None:
        return {"content": output.get("text")}, output.get("finish_reason")
    first = output["choices"][0]
    return first["message"], first.get("finish_reason")


def text_of(message):
    content = message.get("content") or ""
    return content if isinstance(content, str) else "".join(part.get("text", "") for part in content)


def meant(exchange):
    """What a recording says: increments added up, or the last event where each holds all so far, as was asked for."""
    adds = (exchange["request"]["body"].get("parameters") or {}).get("incremental_output") is True
    said = {"text": "", "reasoning": "", "calls": {}, "finish": None, "usage": None, "found": []}
    for body in bodies(exchange):
        message, finish = parts(body)
        said["usage"] = body.get("usage") or said["usage"]
        said["finish"] = finish if finish != "null" else said["finish"]
        said["found"] += (body["output"].get("search_info") or {}).get("search_results") or []
        new = {"text": text_of(message), "reasoning": message.get("reasoning_content") or ""}
        for key, text in new.items():
            said[key] = said[key] + text if adds else text or said[key]
        for call in message.get("tool_calls") or []:
            kept = said["calls"].setdefault(call.get("index", 0), {"id": "", "name": "", "arguments": ""})
            kept["id"], kept["name"] = kept["id"] or call.get("id"), kept["name"] or call["function"].get("name")
            arguments = call["function"].get("arguments") or ""
            kept["arguments"] = kept["arguments"] + arguments if adds else arguments or kept["arguments"]
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
    assert message.response_metadata.get("search_info", {}).get("search_results", []) == said["found"]
    usage, counted = message.usage_metadata, said["usage"]
    assert (usage["input_tokens"], usage["output_tokens"]) == (counted["input_tokens"], counted["output_tokens"])
    assert usage["total_tokens"] == counted.get("total_tokens", counted["input_tokens"] + counted["output_tokens"])
    cached = (counted.get("prompt_tokens_details") or {}).get("cached_tokens")
    assert usage["input_token_details"].get("cache_read") == cached
    thought = (counted.get("output_tokens_details") or {}).get("reasoning_tokens")
    assert usage["output_token_details"].get("reasoning") == thought
    if "audio_tokens" in counted:
        assert usage["input_token_details"]["audio"] == counted["audio_tokens"]


def asked(exchange, qwen, **options):
    """A model of the recorded name, which is what decides how its tokens are counted."""
    return qwen(exchange["model"] or "qwen-plus", **options)


def test_there_are_recordings_of_both_kinds(protocol):
    """The folder that was named does hold whole answers, streams and refusals."""
    assert len(WHOLE) > 20
    assert len(STREAMED) > 10
    assert REFUSED


@pytest.mark.parametrize("way", ["invoke", "ainvoke"])
@pytest.mark.parametrize("name", WHOLE)
def test_a_whole_answer_is_read(server, qwen, name, way):
    """Text, thinking, calls, usage and the reason to stop are the recording's."""
    server.replay(GOOD[name])
    compare(answer_by(way, asked(GOOD[name], qwen)), meant(GOOD[name]))


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", STREAMED)
def test_a_stream_is_read(server, qwen, name, way):
    """Summed up, or asked for whole though it comes as a stream, it is the recording's: nothing lost or said twice."""
    server.replay(GOOD[name])
    compare(answer_by(way, asked(GOOD[name], qwen)), meant(GOOD[name]))


@pytest.mark.parametrize("way", ["stream", "astream"])
@pytest.mark.parametrize("split", ["whole", "bytes", 7])
@pytest.mark.parametrize("name", [n for n in STREAMED if len(bodies(GOOD[n])) < 50])
def test_a_stream_may_be_cut_anywhere_on_its_way(server, qwen, name, split, way):
    """How the bytes are packed, also within a character, changes nothing."""
    server.replay(GOOD[name], split=split)
    compare(answer_by(way, asked(GOOD[name], qwen)), meant(GOOD[name]))


@pytest.mark.filterwarnings("ignore:.*is in beta:langchain_core._api.beta_decorator.LangChainBetaWarning")
@pytest.mark.parametrize("way", ["stream", "astream"])
@pytest.mark.parametrize("name", STREAMED)
def test_a_stream_of_events_is_read(server, qwen, name, way):
    """LangChain's typed events come to the same blocks: thinking, text, calls."""
    said = meant(GOOD[name])
    server.replay(GOOD[name])
    message = events_by(way, asked(GOOD[name], qwen))
    kinds = {block["type"]: block for block in message.content_blocks}
    assert kinds.get("text", {}).get("text", "") == said["text"]
    assert kinds.get("reasoning", {}).get("reasoning", "") == said["reasoning"]
    assert [c["id"] for c in message.tool_calls] == [c["id"] for _, c in sorted(said["calls"].items())]
    assert message.usage_metadata["input_tokens"] == said["usage"]["input_tokens"]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", REFUSED)
def test_a_refusal_keeps_the_services_words(server, qwen, name, way):
    """With its status and its request id."""
    exchange = recordings()[name]
    server.replay(exchange)
    (body,) = bodies(exchange)
    with pytest.raises((model_errors.QwenInvalidRequestError, model_errors.QwenAuthenticationError)) as caught:
        answer_by(way, asked(exchange, qwen))
    assert body["message"].strip().rstrip(".") in str(caught.value)
    assert body["request_id"] in str(caught.value)
    assert caught.value.status_code == exchange["response"]["status"]


def observed():
    """Error bodies of this protocol that were seen on the wire, of status 200 and others."""
    path = SHARED / "facts" / "errors.json"
    seen = json.loads(path.read_text())["wire_observed"] if path.is_file() else []
    return [one for one in seen if one["protocol"].startswith("native") and "files" not in one["protocol"]]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("number", range(len(observed())))
def test_every_error_that_was_seen_is_read(server, qwen, number, way):
    """Plain, nested, as an event under status 200, as an event under a label that says JSON."""
    one = observed()[number]
    server.replay(
        {
            "protocol": "native-text",
            "response": {
                "status": one["http_status"],
                "headers": {"content-type": one["content_type"]},
                "raw": one["body"],
            },
        }
    )
    with pytest.raises(model_errors.openai.APIStatusError) as caught:
        answer_by(way, qwen(max_retries=0))
    body = json.loads(one["body"][one["body"].index("{") :])
    told = (body.get("error") or body)["message"].strip().rstrip(".")
    assert told in str(caught.value)
    assert type(caught.value).__name__.startswith("Qwen")


def test_a_search_names_its_sources(server, qwen):
    """In the service's own form, and as LangChain's citations beside the text, whole or streamed."""
    exchange = GOOD["single-generation-message-search-sse"]
    for way in WAYS:
        server.replay(exchange)
        answer = answer_by(way, qwen())
        (text,) = (block for block in answer.content_blocks if block["type"] == "text")
        found = meant(exchange)["found"]
        assert [note["url"] for note in text["annotations"]] == [one["url"] for one in found]
        assert {note["type"] for note in text["annotations"]} == {"citation"}
        assert text["text"] == answer.text


def test_two_answers_of_a_character_model_are_both_there(server, qwen):
    """`n` of a whole call; the recorded one also began with the character's own words."""
    exchange = GOOD["single-generation-message-roleplay-nosse"]
    server.replay(exchange)
    result = qwen("qwen-plus-character", n=2).generate([[AIMessage("你在干嘛呢"), HumanMessage("你能教我吗？")]])
    told = [choice["message"]["content"] for choice in exchange["response"]["body"]["output"]["choices"]]
    assert [one.text for one in result.generations[0]] == told


def test_what_a_reader_of_receipts_found_is_kept(server, qwen):
    """Qwen-OCR says it beside its text; it is in `additional_kwargs`."""
    exchange = GOOD["multimodal-generation-vl-ocr-key-information-extraction-nosse"]
    server.replay(exchange)
    answer = qwen("qwen-vl-ocr-latest").invoke("go")
    told = exchange["response"]["body"]["output"]["choices"][0]["message"]["content"][0]
    assert answer.additional_kwargs["ocr_result"] == told["ocr_result"]
