"""Whatever bytes a server sends, a call ends in an answer or in an error of LangChain's class, and never in another."""

import copy
import json
from functools import reduce
from operator import add

import httpx
import openai
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from langchain_core.exceptions import ModelError

from langchain_qwen_memory import ChatDashScope, ChatQwen

LIBRARY = __import__(openai.DefaultHttpxClient.__mro__[1].__module__.partition(".")[0])
"""The HTTP library of OpenAI's SDK, whichever its version uses."""
CALL = {"index": 0, "id": "c1", "type": "function", "function": {"name": "look_up", "arguments": '{"what": "x"}'}}
USAGE = {"total_tokens": 9, "prompt_tokens_details": {"cached_tokens": 4}}
SAID = {"role": "assistant", "content": "<think>好", "reasoning_content": "hm", "tool_calls": [CALL]}
COMPATIBLE = {
    "id": "r1",
    "model": "qwen-plus",
    "choices": [{"index": 0, "delta": SAID, "finish_reason": "stop", "logprobs": None}],
    "usage": {**USAGE, "prompt_tokens": 5, "completion_tokens": 4},
}
NATIVE = {
    "request_id": "r1",
    "output": {"choices": [{"message": {**SAID, "content": [{"text": "好"}]}, "finish_reason": "stop"}]},
    "usage": {**USAGE, "input_tokens": 5, "output_tokens": 4, "output_tokens_details": {"reasoning_tokens": 1}},
}
ODD = st.one_of(
    st.sampled_from([None, True, -3, 1.5, 2**70, "", "x", "\ud83d", [], {}, [None], [7], {"a": []}, {"text": 1}]),
    st.recursive(st.integers() | st.text(max_size=4), lambda one: st.lists(one, max_size=3), max_leaves=4),
)
BYTES = st.sampled_from(
    [b"", b"\n\n", b"\xff", b"\x00", b"\x1f", b"data: ", b":HTTP_STATUS/2", b"event: error\n", b"[" * 9_000, b'"', b"}"]
)
ANY = settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))


def places(value, path=()):
    """All places in a JSON value."""
    yield path
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, one in inner:
        yield from places(one, (*path, key))


def changed(event, path, odd):
    """The event with something odd at a place."""
    if not path:
        return odd
    made = copy.deepcopy(event)
    inside = made
    for key in path[:-1]:
        inside = inside[key]
    inside[path[-1]] = odd
    return made


def ask(kind, body, *, streaming):
    """Ask a model whose server sends these bytes."""
    library = LIBRARY if kind is ChatQwen else httpx
    media = "text/event-stream" if streaming else "application/json"
    served = library.MockTransport(lambda _: library.Response(200, headers={"content-type": media}, content=body))
    with library.Client(transport=served) as client:
        model = kind(
            model="qwen-plus", base_url="http://x.invalid/v1", api_key="sk-x", max_retries=0, http_client=client
        )
        try:
            return list(model.stream("go")) if streaming else model.invoke("go")
        except ModelError as error:
            return error


def written(events):
    return b"".join(
        b"id: 1\nevent: result\n:HTTP_STATUS/200\ndata: %s\n\n" % json.dumps(one).encode() for one in events
    )


@pytest.mark.parametrize(("kind", "event"), [(ChatQwen, COMPATIBLE), (ChatDashScope, NATIVE)])
@pytest.mark.parametrize("streaming", [True, False])
@ANY
@given(data=st.data())
def test_a_value_of_another_kind_is_no_crash(kind, event, streaming, data):
    """Anything at any place of an event, or of a whole answer."""
    odd = changed(event, data.draw(st.sampled_from(list(places(event)))), data.draw(ODD))
    if streaming:
        ask(kind, written([event, odd]) + b"data: [DONE]\n\n", streaming=True)
    else:
        ask(kind, json.dumps(odd).replace('"delta"', '"message"').encode(), streaming=False)


@pytest.mark.parametrize(("kind", "event"), [(ChatQwen, COMPATIBLE), (ChatDashScope, NATIVE)])
@ANY
@given(at=st.integers(0, 900), gone=st.integers(0, 40), odd=BYTES)
@example(at=40, gone=1, odd=b"\x1f")
def test_bytes_that_are_lost_or_garbled_are_no_crash(kind, event, at, gone, odd):
    """A stream with a hole, a foreign byte, a bomb of brackets, or two events run into one."""
    body = written([event, event])
    ask(kind, body[:at] + odd + body[at + gone :], streaming=True)


@pytest.mark.parametrize("odd", [2**70, -1, "5", None, 1.5, [], float("inf")])
def test_a_count_that_is_none_costs_no_answer(odd):
    """What cannot be added up or stored is taken as not said."""
    usage = {"prompt_tokens": odd, "completion_tokens": 4, "total_tokens": odd, "prompt_tokens_details": {"x": odd}}
    said = {"index": 0, "delta": {"content": "好"}, "finish_reason": "stop"}
    chunks = ask(ChatQwen, written([{"choices": [said], "usage": usage}]) + b"data: [DONE]\n\n", streaming=True)
    whole = reduce(add, chunks)
    assert whole.text == "好"
    assert whole.usage_metadata["output_tokens"] == 4
    assert whole.usage_metadata["input_tokens"] == (1 if odd == 1.5 else 0)
