"""Models whose streams send, each time, all that was said so far: over either protocol it is read once."""

import asyncio

import pytest

from langchain_qwen_memory.catalogue import model_info
from langchain_qwen_memory.chat_models import ChatQwen
from langchain_qwen_memory.dashscope import ChatDashScope
from langchain_qwen_memory.testing import LocalDashScope, Reply
from tests.qwen.ways import all_ways, answer_by, over_both

TRANSLATORS = ["qwen-mt-plus", "qwen-mt-turbo"]
TEXTS = ["I didn't laugh after watching this video.", "哈哈哈哈哈哈", "na na na na batman", "a", "", "one 🙂 two"]


@pytest.mark.parametrize("name", TRANSLATORS)
@over_both
@all_ways
def test_what_a_translator_says_is_read_once(server, qwen, name, way):
    """A stream of qwen-mt-plus or qwen-mt-turbo comes to the same text and the same counts as a whole answer."""
    server.script(Reply(content="one two three four"))
    answer = answer_by(way, qwen(name), "eins zwei drei vier")
    assert answer.text == "one two three four"
    assert answer.response_metadata["finish_reason"] == "stop"
    usage = server.requests[-1].usage
    assert answer.usage_metadata["output_tokens"] == usage.get("completion_tokens", usage.get("output_tokens"))


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("size", [1, 2, 4])
@over_both
def test_the_pieces_add_up_however_they_are_cut(protocol, text, size):
    """Repeating texts, an emoji, nothing at all: sync and async, in many pieces."""
    with LocalDashScope(chunk_size=size) as server:
        server.script(*[Reply(content=text)] * 2)
        model = _translator(server, protocol)
        chunks = [chunk.text for chunk in model.stream("x")]
        later = asyncio.run(_gathered(model))
        model.close()
    assert "".join(chunks) == "".join(later) == text
    if len(text) > 2 * size:
        assert len([chunk for chunk in chunks if chunk]) > 1


def _translator(server, protocol):
    kind, url = {"compatible": (ChatQwen, server.base_url), "native": (ChatDashScope, server.native_url)}[protocol]
    return kind(model="qwen-mt-plus", base_url=url, api_key="sk-local")


async def _gathered(model):
    chunks = [chunk.text async for chunk in model.astream("x")]
    await model.aclose()
    return chunks


@over_both
def test_a_model_that_sends_pieces_is_left_alone(server, qwen):
    """qwen-mt-flash sends pieces; a piece that begins with all before it ("哈", then "哈哈") is one all the same."""
    server.script(Reply(content="哈哈哈哈哈哈"))
    assert answer_by("stream", qwen("qwen-mt-flash")).text == "哈哈哈哈哈哈"
    assert not model_info("qwen-mt-flash").whole_chunks


def test_a_server_of_ones_own_sends_pieces_under_any_name(server):
    """What the catalogue says of whole texts is of Alibaba's service: another server's "na", "na" stays twice."""
    said = [{"index": 0, "delta": {"content": "na "}, "finish_reason": reason} for reason in (None, None, "stop")]
    server.script(Reply(chunks=[{"choices": [choice]} for choice in said]))
    model = ChatQwen(model="qwen-mt-plus", base_url=server.plain_url, server="vllm")
    assert answer_by("stream", model).text == "na na na "
