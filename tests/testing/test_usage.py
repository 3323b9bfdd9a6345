"""Usage is counted with Qwen's own tokenizer, and shared prefixes count as cached."""

import json

from langchain_core.messages import HumanMessage

from langchain_qwen_memory.testing import LocalDashScope, Reply
from langchain_qwen_memory.testing.prefixes import PrefixCache
from langchain_qwen_memory.tokens import count_text, count_tokens
from tests.shared import SHARED, needs_shared
from tests.testing.conftest import Client, said, tool


def usage(client, *texts, **more):
    """The usage of a whole answer."""
    return client.post(*texts, **more).json()["usage"]


def cached(client, *texts, **more):
    """The cached tokens of a request."""
    return usage(client, *texts, **more)["prompt_tokens_details"]["cached_tokens"]


def test_prompt_and_answer_are_counted_exactly(client):
    """prompt_tokens is what `tokens` counts for the prompt, completion_tokens what it counts for the text."""
    client.server.script(Reply(content="巴黎。"))
    counted = usage(client, "法国的首都是哪里？")
    assert counted["prompt_tokens"] == count_tokens([HumanMessage("法国的首都是哪里？")], model="qwen-plus")
    assert counted["completion_tokens"] == count_text("巴黎。", model="qwen-plus")
    assert counted["total_tokens"] == counted["prompt_tokens"] + counted["completion_tokens"]


def test_tools_count_as_prompt(client):
    """A bound tool makes the prompt longer."""
    adder = tool("add", "Adds two numbers", a={"type": "integer"}, b={"type": "integer"})
    assert usage(client, "Hello", tools=[adder])["prompt_tokens"] > usage(client, "Hello")["prompt_tokens"] + 50


def test_thinking_is_counted_apart_and_within_the_whole(client):
    """reasoning_tokens is the thinking alone; completion_tokens holds it, its tags and the answer."""
    client.server.script(Reply(content="Paris.", reasoning="France, so Paris."))
    counted = usage(client, "Capital of France?", enable_thinking=True)
    thought = counted["completion_tokens_details"]["reasoning_tokens"]
    assert thought == count_text("France, so Paris.")
    assert counted["completion_tokens"] == thought + 4 + count_text("Paris.")


def test_a_thinking_budget_cuts_the_thinking_and_leaves_the_answer(client):
    """thinking_budget=10 gives ten tokens of thinking, then the whole answer."""
    answer = client.post("Hello", enable_thinking=True, thinking_budget=10).json()
    assert answer["usage"]["completion_tokens_details"]["reasoning_tokens"] == 10
    assert answer["choices"][0]["finish_reason"] == "stop"


def test_max_tokens_cuts_the_answer(client):
    """max_tokens counts the answer only, max_completion_tokens the thinking too; both end with "length"."""
    client.server.script(*[Reply(content="one two three four five six", reasoning="I think so")] * 3)
    short = client.post("go", max_tokens=2).json()
    assert short["choices"][0]["finish_reason"] == "length"
    assert short["usage"]["completion_tokens"] == 2
    thinking = client.post("go", enable_thinking=True, max_tokens=2).json()
    assert thinking["choices"][0]["message"]["reasoning_content"] == "I think so"
    both = client.post("go", enable_thinking=True, max_completion_tokens=5).json()
    assert both["choices"][0]["message"]["reasoning_content"] == "I think so"
    assert both["choices"][0]["message"]["content"] == "one two"


def test_stop_sequences_end_the_answer_before_them(client):
    """`stop` is one text or several; the answer ends before the first of them."""
    client.server.script(*[Reply(content="one, two; three")] * 2)
    assert client.say("go", stop=";") == "one, two"
    assert client.say("go", stop=[";", ","]) == "one"


def test_a_growing_conversation_is_cached_up_to_what_it_shared(client):
    """The second request is cached up to the end of the first, within a block; a multiple of 16 tokens."""
    first = ["Tell me about " + " ".join(f"town{number}" for number in range(200))]
    assert cached(client, *first) == 0
    before = usage(client, *first)["prompt_tokens"]
    found = cached(client, *first, said("Noted."), "And now?")
    assert before - 100 < found <= before
    assert found % 16 == 0


def test_a_changed_beginning_empties_the_cache(client):
    """One changed word at the start and nothing is cached: what changes most must stand last."""
    system = {"role": "system", "content": "You are patient. " * 200}
    changed = {"role": "system", "content": "It is noon. " + system["content"]}
    cached(client, system, "Hello")
    assert cached(client, system, "Hi there") > 700
    assert cached(client, changed, "Hello") == 0


def test_nothing_is_shared_between_keys_models_and_short_prompts(client):
    """The cache is apart for each key and each model, and a short prefix is not cached."""
    long = "word " * 1000
    cached(client, long)
    assert cached(client, long) > 900
    assert cached(client, long, model="qwen-turbo") == 0
    other = {"model": "qwen-plus", "messages": [{"role": "user", "content": long}]}
    answer = client.http.post("/chat/completions", json=other, headers={"authorization": "Bearer other"}).json()
    assert answer["usage"]["prompt_tokens_details"]["cached_tokens"] == 0
    short = "word " * 100
    cached(client, short)
    assert cached(client, short) == 0


def test_the_least_that_is_cached_can_be_set():
    """`cache_minimum` is the number of tokens from which a prefix counts."""
    with LocalDashScope(cache_minimum=16) as server:
        client = Client(server)
        with client.http:
            cached(client, "word " * 100)
            assert cached(client, "word " * 100) > 16


def test_the_cache_forgets_the_oldest_prompts_first():
    """Memory is bounded: old links go, those used last stay."""
    cache = PrefixCache(minimum=1, size=20)
    old, new = "a" * 128 * 10, "b" * 128 * 10
    assert cache.shared("k", old, len) == 0
    assert cache.shared("k", new, len) == 0
    assert cache.shared("k", old, len) == 1280
    assert cache.shared("k", "c" * 128 * 10, len) == 0
    assert cache.shared("k", old, len) == 1280
    assert cache.shared("k", new, len) == 0


def test_usage_can_be_scripted(client):
    """A reply's own usage goes out word for word."""
    own = {"prompt_tokens": 1, "completion_tokens": 2, "total_tokens": 3}
    client.server.script(Reply(content="x", usage=own))
    assert usage(client, "go", model="qwen3-max") == own


@needs_shared
def test_answers_are_counted_as_the_service_counted_them(client):
    """Recorded answers, scripted word for word, get the recorded completion_tokens: text, thinking and tool calls."""
    exact, differing = 0, []
    for path in sorted((SHARED / "recordings").glob("*/*.json")):
        exchange = json.loads(path.read_text())
        recorded = (exchange.get("response") or {}).get("body") or {}
        if exchange.get("protocol") != "openai-chat" or not recorded.get("choices"):
            continue
        message = recorded["choices"][0]["message"]
        calls = [
            {"name": one["function"]["name"], "args": one["function"]["arguments"]}
            for one in message.get("tool_calls") or ()
        ]
        thought = message.get("reasoning_content") or ""
        client.server.script(Reply(content=message["content"] or "", reasoning=thought, tool_calls=calls))
        counted = usage(client, "go", model=exchange["model"], enable_thinking=bool(thought))["completion_tokens"]
        if counted == recorded["usage"]["completion_tokens"]:
            exact += 1
        else:
            differing.append(counted - recorded["usage"]["completion_tokens"])
    assert exact >= 50
    assert len(differing) <= 2
    assert all(abs(one) <= 3 for one in differing)
