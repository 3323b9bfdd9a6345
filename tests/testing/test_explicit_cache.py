"""The explicit context cache: what a marked prefix costs, over both protocols, by the documented numbers and rules."""

import pytest

from langchain_qwen_memory.testing import LocalDashScope, Reply
from langchain_qwen_memory.testing.explicit import ExplicitCache, blocks
from tests.testing.conftest import Client, NativeClient, tool

MARK = {"cache_control": {"type": "ephemeral"}}
CODE = "<Your Code Here>" * 400
"""1,605 tokens with the frame of its message, as the documentation says."""


def text(words, *, marked=False):
    """A text part, marked or not, as both protocols take it."""
    return {"type": "text", "text": words, **(MARK if marked else {})}


def system(*parts):
    """A system message."""
    return {"role": "system", "content": list(parts)}


@pytest.fixture(params=["compatible", "native"])
def details(request, local_dashscope):
    """Asks over one of the protocols; gives tokens of the prompt, cached, created, and the details themselves."""

    def ask(*asked, **more):
        local_dashscope.script(Reply(content="."))
        if request.param == "native":
            client = NativeClient(local_dashscope)
            usage = client.whole(*asked, **more)["usage"]
        else:
            client = Client(local_dashscope)
            usage = client.post(*asked, **more).json()["usage"]
        client.http.close()
        found = usage["prompt_tokens_details"]
        prompt = usage.get("input_tokens", usage.get("prompt_tokens"))
        return prompt, found["cached_tokens"], found.get("cache_creation_input_tokens"), found

    return ask


def test_the_documented_numbers(details):
    """1,605 tokens are created and 13 stay outside; another question finds them and creates nothing."""
    prompt, cached, created, found = details(system(text(CODE, marked=True)), "这段代码的内容是什么")
    assert (cached, created, prompt - created) == (0, 1605, 13)
    assert found == {
        "cached_tokens": 0,
        "cache_creation_input_tokens": 1605,
        "cache_type": "ephemeral",
        "cache_creation": {"ephemeral_5m_input_tokens": 1605},
    }
    prompt, cached, created, _ = details(system(text(CODE, marked=True)), "这段代码怎么优化")
    assert (cached, created) == (1605, 0)


def test_tools_stand_before_the_system_message(details):
    """Tools belong to the prefix: with them it is longer, and other tools are another prefix."""
    one, other = (tool(name, "Does something", x={"type": "string"}) for name in ("one", "other"))
    _, _, created, _ = details(system(text(CODE, marked=True)), "Hi", tools=[one])
    assert created > 1605 + 50
    assert details(system(text(CODE, marked=True)), "Ho", tools=[one])[1:3] == (created, 0)
    assert details(system(text(CODE, marked=True)), "Ho", tools=[other])[1] == 0


def test_a_short_prefix_is_not_cached(details):
    """Below 1,024 tokens nothing is created, and the usage says so."""
    for _ in range(2):
        assert details(system(text("word " * 900, marked=True)), "Hi")[1:3] == (0, 0)


def test_a_longer_prefix_pays_for_what_is_new(details):
    """A second marker further on reads the first prefix and writes the rest."""
    first, second = "alpha " * 1200, "beta " * 600
    _, _, created, _ = details(system(text(first, marked=True)), "Hi")
    _, cached, more, _ = details(system(text(first), text(second, marked=True)), "Hi")
    assert cached == pytest.approx(created, abs=2)
    assert more == pytest.approx(600, abs=5)
    assert details(system(text(first), text(second, marked=True)), "Ho")[1:3] == (cached + more, 0)


def test_a_marker_moves_with_the_conversation(details):
    """A marker on the newest message finds the prefix that the one before it ended, markers left out."""
    asked = {"role": "user", "content": [text("word " * 1500, marked=True)]}
    _, _, created, _ = details(asked)
    unmarked = {"role": "user", "content": "word " * 1500}
    later = [unmarked, {"role": "assistant", "content": "."}, {"role": "user", "content": [text("more", marked=True)]}]
    _, cached, more, _ = details(*later)
    assert cached == created
    assert 0 < more < 20


def test_only_the_last_four_markers_count(details):
    """Of five marked blocks, the first is no prefix of its own."""
    parts = [text(f"{letter} " * 1100, marked=True) for letter in "abcde"]
    details(system(*parts), "Hi")
    assert details(system(parts[0]), "Hi")[1] == 0
    assert details(system(*parts[:2]), "Hi")[1] > 2000


def test_a_prefix_is_looked_for_among_twenty_blocks(details):
    """A prefix twenty blocks back is found, one block further it is not."""
    first = text("word " * 1500, marked=True)
    _, _, created, _ = details(system(first), "Hi")
    near = [text(f"n{at}") for at in range(18)]
    plain = text("word " * 1500)
    assert details(system(plain, *near, text("end", marked=True)), "Hi")[1] == pytest.approx(created, abs=2)
    far = [text(f"f{at}") for at in range(19)]
    assert details(system(plain, *far, text("end", marked=True)), "Hi")[1] == 0


def test_explicit_and_implicit_exclude_each_other(details):
    """A marked request does not report implicit hits, an unmarked one not explicit ones."""
    long = "word " * 2000
    details(system(text(long)), "Hi")
    assert details(system(text(long, marked=True)), "Hi")[1] == 0
    _, cached, created, _ = details(system(text(long)), "Hi there")
    assert created is None
    assert cached % 16 == 0


def test_keys_and_models_do_not_share(details, local_dashscope):
    """Another model and another key find nothing; a model without this cache does not know the marker."""
    asked = system(text(CODE, marked=True))
    details(asked, "Hi")
    assert details(asked, "Hi", model="qwen-flash")[1] == 0
    assert details(asked, "Hi", model="qwen-turbo")[2] is None
    other = Client(local_dashscope)
    answer = other.http.post(
        "/chat/completions",
        json={"model": "qwen-plus", "messages": [asked, {"role": "user", "content": "Hi"}]},
        headers={"authorization": "Bearer another"},
    )
    other.http.close()
    assert answer.json()["usage"]["prompt_tokens_details"]["cached_tokens"] == 0


def test_both_protocols_share_a_prefix(local_dashscope):
    """What one protocol cached, the other reads: the cache is the model's."""
    asked = [system(text(CODE, marked=True)), {"role": "user", "content": "Hi"}]
    compatible, native = Client(local_dashscope), NativeClient(local_dashscope)
    with compatible.http, native.http:
        compatible.post(*asked)
        assert native.whole(*asked)["usage"]["prompt_tokens_details"]["cached_tokens"] == 1605


def test_a_prefix_lives_five_minutes_after_its_last_use():
    """The life begins anew at each hit; `cache_life` makes it shorter."""
    now = {"at": 0.0}
    cache = ExplicitCache(clock=lambda: now["at"])
    prompt = list(blocks([system(text("x", marked=True))], []))

    def hit():
        return cache.charge("key", prompt, lambda _: 2000).hit

    assert hit() == 0
    now["at"] = 299
    assert hit() == 2000
    now["at"] = 598
    assert hit() == 2000
    now["at"] = 899
    assert hit() == 0
    with LocalDashScope(cache_life=0) as server:
        client = NativeClient(server)
        with client.http:
            for _ in range(2):
                usage = client.whole(system(text(CODE, marked=True)), "Hi")["usage"]
                assert usage["prompt_tokens_details"]["cached_tokens"] == 0


def test_forgetting_is_part_of_a_reset(details, local_dashscope):
    """`reset` empties this cache, too."""
    details(system(text(CODE, marked=True)), "Hi")
    local_dashscope.reset()
    assert details(system(text(CODE, marked=True)), "Hi")[1] == 0
