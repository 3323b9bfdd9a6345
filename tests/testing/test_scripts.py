"""A test scripts the next answers and reads what reached the server."""

import pytest

from langchain_qwen_memory.testing import LocalDashScope, Reply
from tests.testing.conftest import tool


def test_scripted_answers_come_in_order_then_the_stand_in_answers_again(client):
    """`script` takes any number of replies, one for each chat request."""
    client.server.script(Reply(content="first"), Reply(content="second"))
    assert [client.say("go") for _ in range(3)][:2] == ["first", "second"]
    assert client.say("Hello").startswith("Hello! I am the local stand-in")


def test_a_script_can_wait_for_its_request(client):
    """With `when`, only a request for which it is true takes the reply."""
    client.server.script(Reply(content="for turbo"), when=lambda body: body["model"] == "qwen-turbo")
    assert client.say("go") != "for turbo"
    assert client.say("go", model="qwen-turbo") == "for turbo"


def test_a_scripted_answer_obeys_the_rules_of_the_service(client):
    """A script replaces the model, not the service: a bad request is refused and the reply stays for the next."""
    client.server.script(Reply(content="good"))
    client.error("go", temperature=9)
    assert client.say("go") == "good"


def test_thinking_is_sent_only_where_the_model_thinks(client):
    """A reply's reasoning is left out without thinking, unless the test forces it."""
    client.server.script(*[Reply(content="x", reasoning="hm")] * 2, Reply(reasoning="hm", force_reasoning=True))
    assert "reasoning_content" not in client.message("go")
    assert client.message("go", enable_thinking=True)["reasoning_content"] == "hm"
    assert client.message("go")["reasoning_content"] == "hm"


def test_tool_calls_with_broken_arguments(client):
    """Arguments given as text go out as they are, so that a client's handling of broken JSON can be tested."""
    calls = [{"name": "add", "args": '{"a": 1', "id": "call_1"}]
    client.server.script(Reply(tool_calls=calls, finish_reason="length"))
    answer = client.post("go", tools=[tool("add", "Adds", a={"type": "integer"})]).json()["choices"][0]
    assert answer["message"]["tool_calls"][0]["function"]["arguments"] == '{"a": 1'
    assert answer["message"]["tool_calls"][0]["id"] == "call_1"
    assert answer["finish_reason"] == "length"


def test_raw_chunks_and_bodies(client):
    """`chunks` and `body` send any JSON, for shapes that only other servers have."""
    odd = {"choices": [{"index": 0, "delta": {"reasoning": "vLLM calls it so"}}], "id": "x"}
    client.server.script(Reply(chunks=[odd, odd]), Reply(body={"choices": [], "odd": True}))
    assert client.chunks("go") == [odd, odd]
    assert client.post("go").json() == {"choices": [], "odd": True}


def test_chunks_for_a_request_that_does_not_stream_are_a_mistake_of_the_test(client):
    """The answer says what is wrong with the script, in place of an empty answer."""
    client.server.script(Reply(chunks=[{"choices": []}]))
    error = client.error("go", status=500)
    assert "does not stream" in error["message"]


def test_chunk_size_is_in_characters(client):
    """`chunk_size` sets how many characters a chunk holds."""
    client.server.chunk_size = 3
    client.server.script(Reply(content="abcdefgh"))
    texts = [chunk["choices"][0]["delta"]["content"] for chunk in client.chunks("go")]
    assert [text for text in texts if text] == ["abc", "def", "gh"]


def test_a_chunk_of_nothing_is_refused():
    """A chunk size under 1 says what is taken."""
    with pytest.raises(ValueError, match="chunk_size was 0; it takes 1 or more"):
        LocalDashScope(chunk_size=0)


def test_the_log_holds_what_reached_the_wire(client):
    """Each request is logged with its parsed body, status, usage, reply and time, newest last."""
    client.post("Hello", temperature=0.5)
    client.post("Hello", temperature=9)
    good, bad = client.server.requests
    assert (good.method, good.path, good.status) == ("POST", "/compatible-mode/v1/chat/completions", 200)
    assert good.body["temperature"] == 0.5
    assert good.messages == [{"role": "user", "content": "Hello"}]
    assert good.headers["content-type"] == "application/json"
    assert good.usage["prompt_tokens"] > 0
    assert good.reply.content.startswith("Hello!")
    assert good.at <= bad.at
    assert (bad.status, bad.usage, bad.reply) == (400, None, None)


def test_clear_empties_the_log_and_reset_everything(client):
    """`clear` forgets requests only; `reset` also scripts, faults, recordings and cached prefixes."""
    client.server.script(Reply(content="kept"), Reply(content="gone"))
    client.post("word " * 1000)
    client.server.clear()
    assert client.server.requests == []
    client.server.reset()
    answer = client.post("word " * 1000).json()
    assert answer["choices"][0]["message"]["content"] not in ("kept", "gone")
    assert answer["usage"]["prompt_tokens_details"]["cached_tokens"] == 0


def test_the_log_is_bounded():
    """`keep` bounds the log, so that a long benchmark does not fill the memory."""
    with LocalDashScope(keep=3) as server:
        from tests.testing.conftest import Client

        client = Client(server)
        with client.http:
            for number in range(5):
                client.post(f"number {number}")
        assert [one.messages[0]["content"] for one in server.requests] == ["number 2", "number 3", "number 4"]
