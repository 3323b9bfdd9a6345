"""The dashscope SDK talks to the local server as to the service: its older calls and its client, sync and async."""

import dashscope
import pytest
from dashscope import AioGeneration, AsyncClient, Client, Generation, MultiModalConversation
from dashscope.aigc.multimodal_conversation import AioMultiModalConversation
from dashscope.api_entities.aio_session import close_shared_aio_session
from dashscope.api_entities.http_request import close_shared_sync_session
from dashscope.v2.errors import AuthenticationError, BadRequestError, RateLimitError

from langchain_qwen_memory.testing import Fault, Reply
from tests.testing.conftest import tool

WEATHER = tool("weather", "Weather of a city", city={"type": "string"})
ASKED = [{"role": "user", "content": "你好"}]


@pytest.fixture
async def sdk(local_dashscope):
    """What the SDK's older calls need to find the server; its sessions are closed afterwards."""
    yield {"api_key": local_dashscope.api_key, "base_address": local_dashscope.native_url}
    close_shared_sync_session()
    await close_shared_aio_session()


@pytest.fixture
def client(local_dashscope):
    """The SDK's newer client, which does not try again."""
    made = Client(api_key=local_dashscope.api_key, base_url=local_dashscope.native_url, max_retries=0)
    yield made
    made.close()


@pytest.fixture
async def aclient(local_dashscope):
    """The same, async."""
    made = AsyncClient(api_key=local_dashscope.api_key, base_url=local_dashscope.native_url, max_retries=0)
    yield made
    await made.aclose()


def message(answer):
    """The message of an older call's answer."""
    assert answer.status_code == 200, answer
    return answer.output.choices[0].message


async def test_generation_whole_and_streamed(sdk, local_dashscope):
    """Generation.call and AioGeneration.call: whole, increments, the whole so far, and merged by the SDK."""
    more = {"model": "qwen-plus", "messages": ASKED, "result_format": "message", **sdk}
    local_dashscope.script(*[Reply(content="Good morning.")] * 8)
    assert message(Generation.call(**more)).content == "Good morning."
    assert message(await AioGeneration.call(**more)).content == "Good morning."
    for told, whole in ((True, False), (False, True), (None, True)):
        parts = [message(one).content for one in Generation.call(stream=True, incremental_output=told, **more)]
        later = await AioGeneration.call(stream=True, incremental_output=told, **more)
        assert [message(one).content async for one in later] == parts
        assert (parts[-1] if whole else "".join(parts)) == "Good morning."
    sent = [one.parameters.get("incremental_output") for one in local_dashscope.requests[2:]]
    assert sent == [True, True, True, True, None, None]


async def test_a_text_as_answer(sdk):
    """Without result_format the SDK gets `output.text`."""
    answer = Generation.call(model="qwen-turbo", prompt="Hello!", **sdk)
    assert answer.output.text.startswith("Hello!")
    assert answer.output.finish_reason == "stop"
    assert answer.usage.input_tokens == 14


async def test_thinking(sdk, local_dashscope):
    """reasoning_content arrives beside the content, whole and in increments."""
    local_dashscope.script(*[Reply(reasoning="Let me see.", content="42.")] * 2)
    more = {"model": "qwen3.7-max", "messages": ASKED, "result_format": "message", "enable_thinking": True, **sdk}
    found = message(Generation.call(**more))
    assert (found.reasoning_content, found.content) == ("Let me see.", "42.")
    stream = [message(one) for one in Generation.call(stream=True, incremental_output=True, **more)]
    assert "".join(one.reasoning_content for one in stream) == "Let me see."
    assert "".join(one.content for one in stream) == "42."


async def test_multimodal_conversation(sdk, local_dashscope):
    """MultiModalConversation and its async twin: parts in, parts out, media counted."""
    local_dashscope.script(*[Reply(content="A dog.")] * 3)
    asked = [{"role": "user", "content": [{"image": "https://example.com/dog.png"}, {"text": "What is it?"}]}]
    more = {"model": "qwen3-vl-plus", "messages": asked, **sdk}
    answer = MultiModalConversation.call(**more)
    assert message(answer).content == [{"text": "A dog."}]
    assert answer.usage.image_tokens > 1000
    assert message(await AioMultiModalConversation.call(**more)).content == [{"text": "A dog."}]
    stream = [message(one).content for one in MultiModalConversation.call(stream=True, incremental_output=True, **more)]
    assert "".join(part["text"] for content in stream for part in content) == "A dog."


async def test_the_global_address_works_too(local_dashscope, monkeypatch):
    """`dashscope.base_http_api_url = server.native_url` is all that a program has to change."""
    monkeypatch.setattr(dashscope, "base_http_api_url", local_dashscope.native_url)
    answer = Generation.call(model="qwen-plus", messages=ASKED, api_key="sk-any", result_format="message")
    assert "替身" in message(answer).content
    close_shared_sync_session()


async def test_errors_are_returned_by_the_older_calls(sdk, local_dashscope):
    """Status, code, text and request id of a refusal, whole, streamed, and as an event of a 200 stream."""
    more = {"model": "qwen-plus", "messages": ASKED, **sdk}
    local_dashscope.misbehave(Fault.rate_limit(), times=3)
    (streamed,) = Generation.call(stream=True, **more)
    for refused in (Generation.call(**more), await AioGeneration.call(**more), streamed):
        assert (refused.status_code, refused.code) == (429, "Throttling.RateQuota")
        assert refused.request_id
    local_dashscope.misbehave(Fault.bad_request("no").framed("event"))
    (event,) = Generation.call(stream=True, **more)
    assert (event.status_code, event.code, event.message) == (400, "InvalidParameter", "no")


def test_the_client_whole_and_streamed(client, local_dashscope):
    """The newer client sends a message form of its own accord; text and usage are what the server said."""
    local_dashscope.script(*[Reply(content="Good morning.")] * 2)
    answer = client.chat.completions.create(model="qwen-plus", messages=ASKED)
    assert answer.output_text == "Good morning."
    assert answer.usage.output_tokens == local_dashscope.requests[-1].usage["output_tokens"]
    stream = list(client.chat.completions.create(model="qwen-plus", messages=ASKED, stream=True))
    assert "".join(one.delta.content for one in stream) == "Good morning."
    assert stream[-1].choices[0].finish_reason == "stop"


def test_the_client_gets_parallel_calls(client, local_dashscope):
    """Increments of calls can be merged by their index."""
    local_dashscope.script(Reply(tool_calls=[{"name": "weather", "args": {"city": city}} for city in ("杭州", "Rome")]))
    merged = {}
    for chunk in client.chat.completions.create(model="qwen-plus", messages=ASKED, tools=[WEATHER], stream=True):
        for call in chunk.delta.tool_calls or ():
            merged[call.index] = merged.get(call.index, "") + call.function.arguments
    assert merged == {0: '{"city": "杭州"}', 1: '{"city": "Rome"}'}


async def test_the_async_client(aclient, local_dashscope):
    """Async, whole and streamed, on both paths."""
    local_dashscope.script(*[Reply(content="Good morning.", reasoning="Hm.")] * 3)
    answer = await aclient.chat.completions.create(model="qwen-plus", messages=ASKED)
    assert answer.output_text == "Good morning."
    answer = await aclient.multimodal.chat.create(model="qwen3.7-plus", messages=ASKED)
    assert answer.choices[0].message.reasoning_content == "Hm."
    stream = await aclient.multimodal.chat.create(model="qwen3.7-plus", messages=ASKED, stream=True)
    assert "".join([one.delta.content or "" async for one in stream]) == "Good morning."


@pytest.mark.parametrize("framing", ["json", "event", "labelled", "nested"])
@pytest.mark.parametrize("stream", [False, True])
def test_the_client_raises_whatever_the_frame(client, local_dashscope, framing, stream):
    """Every frame of a refusal becomes a typed error with the service's words."""
    local_dashscope.misbehave(Fault.bad_request("so not").framed(framing))
    with pytest.raises(BadRequestError, match="so not"):
        list(client.chat.completions.create(model="qwen-plus", messages=ASKED, stream=stream))


def test_the_client_tells_errors_apart(client, local_dashscope):
    """A wrong key, too many requests, and an error inside a stream after some of it."""
    local_dashscope.misbehave(Fault.unauthorized())
    with pytest.raises(AuthenticationError):
        client.chat.completions.create(model="qwen-plus", messages=ASKED)
    local_dashscope.misbehave(Fault.rate_limit())
    with pytest.raises(RateLimitError):
        client.chat.completions.create(model="qwen-plus", messages=ASKED)
    local_dashscope.misbehave(Fault.inspected_output(after=2))
    got = []
    with pytest.raises(BadRequestError, match="inappropriate"):
        got.extend(one for one in client.chat.completions.create(model="qwen-plus", messages=ASKED, stream=True))
