"""The chat endpoints of DashScope's own protocol, seen from the wire: forms of answer, streams, thinking, tools."""

import pytest

from langchain_qwen_memory.testing import Reply
from langchain_qwen_memory.tokens import count_text
from tests.testing.conftest import said, tool

WEATHER = tool("weather", "Weather of a city", city={"type": "string"})
CALLS = [{"name": "weather", "args": {"city": "杭州市"}}, {"name": "weather", "args": {"city": "Shanghai"}}]


def choices(events):
    """The only choice of each event."""
    return [one["output"]["choices"][0] for one in events]


def joined(events, key):
    """What all events say under a key of the message, as a text."""
    texts = [choice["message"].get(key) or "" for choice in choices(events)]
    return "".join(text if isinstance(text, str) else "".join(part["text"] for part in text) for text in texts)


def test_a_message_has_the_keys_and_order_of_the_service(native):
    """A whole answer: output, usage, request_id; the request id is the header's."""
    native.server.script(Reply(content="巴黎。"))
    answer = native.post("法国的首都是哪里？", result_format="message")
    body = answer.json()
    assert list(body) == ["output", "usage", "request_id"]
    assert body["output"] == {
        "choices": [{"finish_reason": "stop", "message": {"content": "巴黎。", "role": "assistant"}}]
    }
    spoken = count_text("巴黎。")
    asked = body["usage"]["input_tokens"]
    assert body["usage"] == {
        "total_tokens": asked + spoken,
        "output_tokens": spoken,
        "input_tokens": asked,
        "prompt_tokens_details": {"cached_tokens": 0},
    }
    assert body["request_id"] == answer.headers["x-request-id"] == native.server.requests[-1].request_id


def test_a_bare_text_is_the_default_of_older_models(native):
    """Without result_format, qwen-plus answers with `text`, qwen3-max and what thinks with a message."""
    native.server.script(*[Reply(content="42")] * 3)
    assert native.post("six times seven").json()["output"] == {"finish_reason": "stop", "text": "42"}
    assert "choices" in native.post("six times seven", model="qwen3-max").json()["output"]
    assert "choices" in native.post("six times seven", enable_thinking=True).json()["output"]


def test_a_prompt_is_a_message_of_the_user(native):
    """`input.prompt` counts and answers as one message; `history` stands before it."""
    url = f"{native.server.native_url}/services/aigc/text-generation/generation"
    asked = {"model": "qwen-turbo", "input": {"prompt": "Hello!"}, "parameters": {}}
    assert native.http.post(url, json=asked).json()["usage"]["input_tokens"] == 14
    asked["input"] = {"prompt": "What is my name?", "history": [{"user": "My name is Ada.", "bot": "Noted."}]}
    assert "Ada" in native.http.post(url, json=asked).json()["output"]["text"]


def test_increments_end_with_an_empty_event(native):
    """Each event holds what is new, its reason is the text "null"; the last is empty and says stop."""
    native.server.script(Reply(content="one two three"))
    events = native.events("count")
    assert joined(events, "content") == "one two three"
    assert [choice["finish_reason"] for choice in choices(events)] == ["null"] * (len(events) - 1) + ["stop"]
    assert choices(events)[-1]["message"] == {"content": "", "role": "assistant"}
    assert len({one["request_id"] for one in events}) == 1


def test_the_whole_text_so_far(native):
    """Without incremental_output each event repeats what was said; the last is the whole and says stop."""
    native.server.script(Reply(content="one two three"))
    events = native.events("count", incremental_output=False)
    texts = [choice["message"]["content"] for choice in choices(events)]
    assert texts == ["one ", "one two ", "one two thre", "one two three"]
    assert choices(events)[-1]["finish_reason"] == "stop"


@pytest.mark.parametrize("model", ["qwen-mt-plus", "qwen-mt-turbo"])
def test_some_models_only_send_the_whole_text_so_far(native, model):
    """They do so whatever is asked for; a reply can ask it of any model."""
    native.server.script(Reply(content="one two"))
    assert choices(native.events("eins zwei", model=model))[-1]["message"]["content"] == "one two"
    native.server.script(Reply(content="one two", whole_so_far=True))
    assert choices(native.events("eins zwei"))[-1]["message"]["content"] == "one two"


@pytest.mark.parametrize("incremental", [True, False])
def test_usage_grows_with_each_event(native, incremental):
    """Each event's usage counts the tokens said so far, and the last that of the whole answer."""
    text = "The rain in Spain stays mainly in the plain. 西班牙的雨大多下在平原上。"
    native.server.script(Reply(content=text))
    events = native.events("say it", incremental_output=incremental)
    counts = [one["usage"]["output_tokens"] for one in events]
    assert counts == sorted(counts)
    assert counts[0] >= 1
    assert counts[-1] == count_text(text)
    said_so_far = 0
    for event, choice in zip(events, choices(events), strict=True):
        said_so_far = (said_so_far if incremental else 0) + len(choice["message"]["content"])
        assert abs(event["usage"]["output_tokens"] - count_text(text[:said_so_far])) <= 2
    assert native.server.requests[-1].usage == events[-1]["usage"]


def test_thinking_comes_before_the_answer(native):
    """Thinking events have no content, answer events an empty reasoning_content; usage counts both."""
    native.server.script(Reply(reasoning="Two and two.", content="Four."))
    events = native.events("2+2", enable_thinking=True)
    kinds = [bool(choice["message"]["reasoning_content"]) for choice in choices(events)]
    assert kinds == sorted(kinds, reverse=True)
    assert joined(events, "reasoning_content") == "Two and two."
    assert joined(events, "content") == "Four."
    assert events[0]["usage"]["output_tokens"] == events[0]["usage"]["output_tokens_details"]["reasoning_tokens"]
    thought = count_text("Two and two.")
    assert events[-1]["usage"]["output_tokens_details"] == {"reasoning_tokens": thought}
    assert events[-1]["usage"]["output_tokens"] == thought + 4 + count_text("Four.")


def test_a_thinking_budget_cuts_the_thinking(native):
    """Ten tokens of thinking, then the whole answer."""
    native.server.script(Reply(reasoning="thinking " * 50, content="Done."))
    body = native.whole("go", enable_thinking=True, thinking_budget=10)
    assert body["usage"]["output_tokens_details"] == {"reasoning_tokens": 10}
    assert body["output"]["choices"][0]["message"]["content"] == "Done."


def test_parallel_calls_in_increments(native):
    """A call's first event has id and name, its further ones an empty id; the last event says tool_calls."""
    native.server.script(Reply(tool_calls=CALLS))
    events = native.events("Weather?", tools=[WEATHER], parallel_tool_calls=True)
    found = [choice["message"]["tool_calls"] for choice in choices(events)]
    assert all(len(calls) == 1 for calls in found)
    pieces = [calls[0] for calls in found]
    for at, call in enumerate(CALLS):
        own = [piece for piece in pieces if piece["index"] == at]
        assert own[0]["id"].startswith("call_")
        assert own[0]["function"]["name"] == call["name"]
        assert all(piece["id"] == "" and "name" not in piece["function"] for piece in own[1:])
        assert "".join(piece["function"]["arguments"] for piece in own) == f'{{"city": "{call["args"]["city"]}"}}'
    assert [choice["finish_reason"] for choice in choices(events)][-2:] == ["null", "tool_calls"]
    assert {choice["index"] for choice in choices(events)} == {0}


def test_parallel_calls_as_a_whole_so_far(native):
    """Every event repeats all calls so far, with ids and names."""
    native.server.script(Reply(tool_calls=CALLS))
    events = native.events("Weather?", tools=[WEATHER], parallel_tool_calls=True, incremental_output=False)
    last = choices(events)[-1]["message"]["tool_calls"]
    assert [call["index"] for call in last] == [0, 1]
    assert [call["function"]["arguments"] for call in last] == ['{"city": "杭州市"}', '{"city": "Shanghai"}']
    first = choices(events)[0]["message"]["tool_calls"]
    assert [(call["id"], call["function"]["name"]) for call in first] == [(last[0]["id"], "weather")]


def test_a_tool_loop(native):
    """The stand-in calls a tool, and says what it returned, as over the other protocol."""
    asked = "What is the weather in Paris?"
    made = native.message(asked, tools=[WEATHER])
    (call,) = made["tool_calls"]
    assert list(call) == ["function", "id", "index", "type"]
    result = {"role": "tool", "tool_call_id": call["id"], "content": "sunny"}
    again = native.message(asked, made, result, tools=[WEATHER])
    assert again["content"] == "weather returned: sunny"


def test_several_results_in_one_tool_message(native):
    """Results may be the blocks of one message, each with the id of its call."""
    made = native.message("Weather in Paris and Rome?", tools=[WEATHER], parallel_tool_calls=True)
    blocks = [{"text": f"sunny {at}", "tool_call_id": call["id"]} for at, call in enumerate(made["tool_calls"])]
    assert len(blocks) == 2
    answer = native.message("Weather in Paris and Rome?", made, {"role": "tool", "content": blocks}, tools=[WEATHER])
    assert "sunny 0" in answer["content"]


def test_several_answers(native):
    """With n, each answer has its index, whole or streamed; usage counts all of them."""
    native.server.script(*[Reply(content="one two three")] * 2)
    body = native.whole("go", n=2)
    assert [choice["index"] for choice in body["output"]["choices"]] == [0, 1]
    assert body["usage"]["output_tokens"] == 2 * count_text("one two three")
    events = native.events("go", n=2)
    assert {choice["index"] for choice in choices(events)} == {0, 1}
    counts = [one["usage"]["output_tokens"] for one in events]
    assert counts == sorted(counts)
    assert counts[-1] == body["usage"]["output_tokens"]


def test_stops_limits_and_formats(native):
    """`stop` as text or token ids, max_tokens, and response_format do what they do over the other protocol."""
    native.server.script(*[Reply(content="one, two; three")] * 3)
    assert native.message("go", stop=";")["content"] == "one, two"
    assert native.message("go", stop=[[11]])["content"] == "one"
    assert native.whole("go", max_tokens=2)["output"]["choices"][0]["finish_reason"] == "length"
    made = native.message('Answer as JSON with the key "city": Paris', response_format={"type": "json_object"})
    assert made["content"].startswith('{"city"')


@pytest.mark.parametrize("stream", [False, True])
def test_logprobs_spell_the_answer(native, stream):
    """The tokens of `logprobs` are the text; a stand-in is certain of each."""
    native.server.script(Reply(content="Paris, 巴黎。"))
    asked = {"logprobs": True, "top_logprobs": 2}
    if stream:
        found = [one for choice in choices(native.events("go", **asked)) for one in choice["logprobs"]["content"]]
    else:
        found = native.whole("go", **asked)["output"]["choices"][0]["logprobs"]["content"]
    assert "".join(one["token"] for one in found) == "Paris, 巴黎。"
    assert b"".join(bytes(one["bytes"]) for one in found) == "Paris, 巴黎。".encode()
    assert {one["logprob"] for one in found} == {0.0}


def test_sources_of_a_search(native):
    """Sources that a test scripted come first, in an event without usage; the rest say what was searched."""
    source = {"icon": "", "site_name": "example", "index": 1, "title": "Rain", "url": "https://example.com"}
    options = {"enable_source": True, "search_strategy": "standard"}
    native.server.script(*[Reply(content="Rain.", search=[source])] * 2)
    events = native.events("Weather?", enable_search=True, search_options=options)
    assert events[0]["output"]["search_info"] == {"search_results": [source]}
    assert events[0]["usage"] == {}
    assert events[1]["output"]["search_info"] == {"extra_tool_info": [], "search_results": []}
    assert events[-1]["usage"]["plugins"] == {"search": {"count": 1, "strategy": "standard"}}
    whole = native.whole("Weather?", enable_search=True, search_options=options)
    assert whole["output"]["search_info"]["search_results"] == [source]


def test_raw_bodies_and_events(native):
    """A reply's own chunks and body go out as they are, framed as events of this protocol."""
    chunk = {"output": {"choices": []}, "usage": {}, "request_id": "r"}
    native.server.script(Reply(chunks=[chunk, chunk], body=chunk))
    assert native.events("go") == [chunk, chunk]
    native.server.script(Reply(body=chunk))
    assert native.whole("go") == chunk


def test_partial_answers_are_continued(native):
    """A last message of the assistant with `partial` is taken, and costs no header."""
    asked = [{"role": "user", "content": "Go on"}, {**said("Spring has come,"), "partial": True}]
    counted = native.whole(*asked)["usage"]["input_tokens"]
    assert counted == count_text("Go on") + 5 + count_text("Spring has come,") + 3
