"""The cheapest moment to fold, from prices and growth."""

import random
from dataclasses import replace
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from langchain_core.messages import AIMessage, BaseMessage, ToolMessage

from langchain_qwen_memory.memory.base import Ask
from langchain_qwen_memory.memory.cost import Course, Rates, cheapest_leap, relative, tokens_per_call
from langchain_qwen_memory.memory.summary import SummaryBufferMemory
from tests.memory.chat import Chat

courses = st.builds(
    Course,
    growth=st.floats(20, 2_000),
    calls=st.floats(1, 5),
    fixed=st.floats(0, 5_000),
    kept=st.floats(100, 5_000),
    summary=st.floats(50, 500),
    asking=st.floats(50, 300),
)
rates = st.builds(Rates, hit=st.floats(0.05, 1), out=st.floats(1, 10))


@given(courses, rates)
def test_no_other_leap_is_cheaper(course: Course, prices: Rates):
    """The leap that the formula gives costs no more a call than any shorter or longer one."""
    leap = cheapest_leap(course, prices)
    least = tokens_per_call(course, prices, leap)
    for factor in (0.25, 0.5, 0.8, 0.95, 1.05, 1.25, 2, 4):
        if leap * factor >= course.growth:
            assert tokens_per_call(course, prices, leap * factor) >= least * (1 - 1e-9)


@given(courses, rates)
def test_dearer_folds_come_less_often_and_dearer_reading_more_often(course: Course, prices: Rates):
    """A dear output or a long summary puts folds off; more calls in a turn bring them on."""
    leap = cheapest_leap(course, prices)
    assert cheapest_leap(course, replace(prices, out=prices.out * 2)) >= leap
    assert cheapest_leap(replace(course, summary=course.summary * 2), prices) >= leap
    assert cheapest_leap(replace(course, calls=course.calls * 2), prices) <= leap


def test_prices_that_are_missing_get_defaults():
    """Without prices a cached token counts a fifth and a written one threefold; with prices they decide."""
    assert relative(None) == Rates(hit=0.2, out=3.0)
    assert relative(SimpleNamespace(input=0, output=0, cache_hit=0)) == Rates()
    assert relative(SimpleNamespace(input=0.8, output=2.0, cache_hit=0.16)) == Rates(hit=pytest.approx(0.2), out=2.5)
    assert relative(SimpleNamespace(input=0.8, output=2.0, cache_hit=None)).hit == 0.2


def test_a_cache_that_is_free_or_absent_still_gives_a_finite_leap():
    """No price makes the formula fail: the leap is at least one turn, and finite."""
    course = Course(growth=100, kept=800, summary=200)
    assert 100 <= cheapest_leap(course, Rates(hit=0.0)) < 100_000
    assert cheapest_leap(replace(course, kept=0, summary=0), Rates(hit=1.0)) == 100


INSTRUCTION = 150
"""Tokens that an instruction of usual length counts in the measured chats below."""


def _count(message: BaseMessage) -> int:
    text = str(message.content)
    return 5 + (INSTRUCTION if "摘要写明" in text else len(text))


def _shared(one: str, other: str) -> int:
    """Characters with which both begin."""
    return next((at for at, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))


class _Meter:
    """Counts effective tokens: an uncached one 1, a cached one 0.2, a written one 3."""

    def __init__(self) -> None:
        self.sent: list[str] = []
        self.effective, self.calls = 0.0, 0

    def send(self, messages: list[BaseMessage], *, extra: int = 0, written: int = 0) -> None:
        prompt = "".join(f"{message.type:>5}{message.content}" for message in messages)
        cached = max((_shared(prompt, one) for one in self.sent), default=0)
        self.sent = [*self.sent[-3:], prompt]
        self.effective += len(prompt) - 0.8 * cached + extra + 3 * written
        self.calls += not written


def _effective_tokens(memory: SummaryBufferMemory, turns: int = 240) -> tuple[float, int]:
    """Effective tokens a call, and the fewest whole turns in a view once the chat is long."""
    meter, dice, kept = _Meter(), random.Random(7), []

    def words(length: int) -> str:
        return "".join(dice.choice("abcdefgh ") for _ in range(length))

    def summarise(ask: Ask) -> str:
        meter.send(list(ask.messages[:-1]), extra=INSTRUCTION, written=180)
        return f"{len(chat.asks)}: {words(170)}"

    chat = Chat([memory], summarise=summarise, room=8_000, system="s" * 40, count=_count)
    for number in range(turns):
        length = max(20, int(dice.lognormvariate(4.3, 0.7)))
        selection = chat.ask(words(length // 3))
        if dice.random() < 0.18:  # a tool is called: the model is called twice
            meter.send(chat.view(selection))
            call = {"name": "look", "args": {}, "id": str(number)}
            chat.messages += [AIMessage(words(20), tool_calls=[call]), ToolMessage(words(60), tool_call_id=str(number))]
        view = chat.view(selection)
        meter.send(view)
        chat.answer(words(2 * length // 3))
        if number > 40:
            kept.append(sum(message.type == "human" for message in view) - 1)
    return meter.effective / meter.calls, min(kept)


def test_the_automatic_trigger_is_near_the_best_fixed_one():
    """Measured on a chat, prefix by prefix, no fixed trigger with as many turns kept is 7 % cheaper."""
    automatic, kept = _effective_tokens(SummaryBufferMemory(trigger=("cost", "auto")))
    assert kept >= 8
    for tokens in (2_000, 2_400, 2_800, 3_600, 5_600):
        fixed, fewest = _effective_tokens(SummaryBufferMemory(trigger=("tokens", tokens), keep=("turns", 8)))
        assert fewest < 8 or automatic <= 1.07 * fixed, f"{tokens}: {fixed:.0f} against {automatic:.0f}"


def test_the_automatic_trigger_meets_its_target():
    """At most 600 effective tokens a call at 110 tokens a turn, a tool in each sixth, eight turns word for word."""
    automatic, kept = _effective_tokens(SummaryBufferMemory(trigger=("cost", "auto")))
    assert automatic <= 600
    assert kept >= 8
