"""What a call will cost, before it is made: tokens as the service counts them, money by list prices."""

import base64

import pytest
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage

from langchain_qwen_memory.catalogue import price
from langchain_qwen_memory.chat_models import ChatQwen
from langchain_qwen_memory.estimating import estimate
from langchain_qwen_memory.testing import LocalDashScope
from tests.media import picture, sound, wav

TALK = [SystemMessage("Be kind."), HumanMessage("你好"), AIMessage("你好！"), HumanMessage("9.11 和 9.9 哪个大？")]


def weather(city: str) -> str:
    """Weather of a city."""
    return city


@pytest.fixture(scope="module")
def server():
    with LocalDashScope() as running:
        yield running


def counted(server, messages, model, *, tools=(), **options):
    """Prompt tokens as the service counts them, in a call that is made."""
    chat = ChatQwen(model=model, base_url=server.base_url, api_key=server.api_key, **options)
    answer = (chat.bind_tools(list(tools)) if tools else chat).invoke(messages)
    return answer.usage_metadata["input_tokens"]


PROMPTS = {
    "words": (TALK, "qwen-plus"),
    "a model that thinks": (TALK, "qwen3.7-plus"),
    "a picture": ([HumanMessage([picture(), {"type": "text", "text": "?"}])], "qwen3.7-plus"),
    "pictures in two turns": (
        [HumanMessage([picture(), picture(64, 64)]), AIMessage("1"), HumanMessage([picture(1920, 1080)])],
        "qwen3-vl-plus",
    ),
    "a film as frames": (
        [HumanMessage([{"type": "video", "video": [f"https://example.com/{n}.jpg" for n in range(4)]}])],
        "qwen3.7-plus",
    ),
    "a film by URL": ([HumanMessage([{"type": "video", "url": "https://example.com/run.mp4"}])], "qwen3.7-plus"),
    "a sound": ([HumanMessage([sound(3.0), {"type": "text", "text": "?"}])], "qwen3-omni-flash"),
    "a sound and a picture": ([HumanMessage([sound(0.2), picture()])], "qwen3.8-omni-flash"),
}


@pytest.mark.parametrize("prompt", PROMPTS)
def test_tokens_are_those_of_the_call(server, prompt):
    """Pictures, films and sounds included; nothing is sent."""
    messages, model = PROMPTS[prompt]
    before = len(server.requests)
    asked = estimate(messages, model=model)
    assert len(server.requests) == before
    assert asked.input_tokens == counted(server, messages, model)


def test_tools_and_thinking_count(server):
    """Schemas of tools stand in the prompt, and thinking changes how it ends."""
    for thinking in (True, False):
        asked = estimate(TALK, model="qwen-plus", tools=[weather], thinking=thinking)
        assert asked.thinks is thinking
        chat = counted(server, TALK, "qwen-plus", tools=[weather], enable_thinking=thinking)
        assert asked.input_tokens == chat


def test_media_are_told_from_words():
    """The shares that have prices of their own."""
    asked = estimate([HumanMessage([picture(), sound(3.0), {"type": "text", "text": "?"}])], model="qwen3.8-omni-flash")
    assert asked.picture_tokens == 302
    assert asked.audio_tokens == 21
    words = estimate([HumanMessage("?")], model="qwen3.8-omni-flash")
    assert asked.input_tokens - words.input_tokens - asked.picture_tokens - asked.audio_tokens in range(4)


def test_money_is_tokens_at_list_price():
    """Prompt and answer, in the currency of the list."""
    asked = estimate(TALK, model="qwen-plus", output_tokens=500)
    tier = price("qwen-plus")
    assert asked.cost == pytest.approx((asked.input_tokens * tier.input + 500 * tier.output) / 1e6)
    assert asked.currency == "CNY"


def test_thinking_answers_may_cost_more():
    """Where the list has a price for them."""
    tier = price("qwen-plus")
    plain, thought = (
        estimate(TALK, model="qwen-plus", output_tokens=1_000_000, thinking=thinking) for thinking in (False, True)
    )
    assert plain.cost == pytest.approx(tier.output, rel=1e-3)
    assert thought.cost == pytest.approx(tier.output_thinking, rel=1e-3)


def test_sounds_cost_what_sounds_cost():
    """An Omni's list has a price for sounds, one for pictures and one for text, and one for answers to them."""
    tier = price("qwen3.5-omni-flash")
    asked = estimate([HumanMessage([sound(60.0), picture()])], model="qwen3.5-omni-flash", output_tokens=100)
    text = asked.input_tokens - asked.picture_tokens - asked.audio_tokens
    prompt = text * tier.input + asked.picture_tokens * tier.input_media + asked.audio_tokens * tier.input_audio
    assert asked.cost == pytest.approx((prompt + 100 * tier.output_media) / 1e6)


def test_a_longer_prompt_has_a_dearer_tier():
    """The tier is chosen by the prompt's length."""
    short, long = (estimate([HumanMessage("word " * n)], model="qwen-plus") for n in (10, 200_000))
    assert short.price.input < long.price.input
    assert long.cost == pytest.approx(long.input_tokens * long.price.input / 1e6)


def test_what_a_cache_would_save():
    """Nine tenths found: at 20 % of the price in the implicit cache, at 10 % in the explicit one; writes at 125 %."""
    asked = estimate([HumanMessage("word " * 5_000)], model="qwen-plus")
    assert asked.cost_with(cached=0.9) == pytest.approx(asked.cost * (0.1 + 0.9 * 0.2), rel=1e-6)
    assert asked.cost_with(cached=0.9, cache="explicit") == pytest.approx(asked.cost * (0.1 + 0.9 * 0.1), rel=1e-6)
    assert asked.cost_with(created=1.0, cache="explicit") == pytest.approx(asked.cost * 1.25, rel=1e-6)


@pytest.mark.parametrize(
    ("shares", "words"),
    [
        ({"cached": 1.1}, "together 1 at most"),
        ({"cached": -0.1}, "shares of the prompt from 0 to 1"),
        ({"cached": 0.6, "created": 0.6, "cache": "explicit"}, "together 1 at most"),
        ({"created": 0.5}, 'created tokens are those of cache="explicit"'),
        ({"cache": "both"}, "cache='both'"),
    ],
)
def test_shares_are_checked(shares, words):
    """A share that is none is an error that says what is one."""
    with pytest.raises(ValueError, match=words):
        estimate(TALK, model="qwen-plus").cost_with(**shares)


def test_without_a_price_there_is_no_money():
    """An unknown model is counted, and what it costs is not guessed."""
    asked = estimate(TALK, model="qwen-unheard-of", output_tokens=5)
    assert asked.input_tokens > 0
    assert (asked.price, asked.cost, asked.currency) == (None, None, None)


def test_prices_are_those_of_the_region():
    """Singapore has a list of its own."""
    here, there = (estimate(TALK, model="qwen-plus", region=region) for region in ("beijing", "singapore"))
    assert here.input_tokens == there.input_tokens
    assert there.price == price("qwen-plus", region="singapore")
    assert there.cost != here.cost


def test_it_says_whether_the_prompt_fits():
    """Before the service refuses it."""
    assert estimate(TALK, model="qwen3-32b").fits
    assert not estimate([HumanMessage("word " * 140_000)], model="qwen3-32b").fits


def test_a_sound_behind_a_url_counts_as_a_minute():
    """Unless its length stands beside it: estimates are never below what is billed for the usual."""
    block = {"type": "audio", "url": "https://example.com/talk.mp3"}
    asked, told = (
        estimate([HumanMessage([each])], model="qwen3-omni-flash").audio_tokens
        for each in (block, {**block, "duration": 4})
    )
    assert (asked, told) == (750, 50)
    data = {"type": "audio", "base64": base64.b64encode(wav(4.0)).decode(), "mime_type": "audio/wav"}
    assert estimate([HumanMessage([data])], model="qwen3-omni-flash").audio_tokens == 50


def test_an_answer_has_a_length():
    """A negative one is an error."""
    with pytest.raises(ValueError, match="output_tokens=-1"):
        estimate(TALK, model="qwen-plus", output_tokens=-1)


def test_speech_of_an_answer_is_not_sent_and_not_counted():
    """Of an answer in the history its words go back, whatever it spoke."""
    talk = [HumanMessage("hi"), AIMessage([{"type": "text", "text": "hello"}, sound(60.0)]), HumanMessage("again")]
    silent = [HumanMessage("hi"), AIMessage("hello"), HumanMessage("again")]
    assert estimate(talk, model="qwen3.5-omni-flash") == estimate(silent, model="qwen3.5-omni-flash")
