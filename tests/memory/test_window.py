"""The window keeps the newest turns; its edge leaps, and never goes back."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from langchain_core.messages import HumanMessage

from langchain_qwen_memory.errors import MemoryOptionError
from langchain_qwen_memory.memory.base import Selection
from langchain_qwen_memory.memory.window import WindowMemory
from tests.memory.helpers import conversation, dialogue


def pairs(number):
    return [(f"question {n}", f"answer {n}") for n in range(number)]


def start_of(memory, messages, record=None, **options):
    talk = conversation(messages, record=record, **options)
    return memory.select(talk, Selection(start=talk.first))


def test_everything_stays_up_to_the_trigger():
    """Nothing leaves while the turns are within `trigger`."""
    assert start_of(WindowMemory(trigger=("turns", 4)), dialogue(*pairs(4))).start == 0


def test_past_the_trigger_the_edge_leaps():
    """One turn too many, and half of `trigger` is left."""
    assert start_of(WindowMemory(trigger=("turns", 4)), dialogue(*pairs(5))).start == 3


def test_the_edge_rests_between_leaps():
    """After a leap the edge stays until the window is full again, so that prompts share their beginning."""
    memory, starts, record = WindowMemory(trigger=("turns", 4)), [], {}
    for number in range(1, 11):
        chosen = start_of(memory, dialogue(*pairs(number)), record)
        record = chosen.slots
        starts.append(chosen.start)
    assert starts == [0, 0, 0, 0, 3, 3, 3, 6, 6, 6]


@pytest.mark.parametrize(
    ("trigger", "keep"),
    [
        (("turns", 8), ("turns", 8)),
        (("turns", 8), ("tokens", 5_000)),
        (("turns", 8), ("fraction", 0.9)),
        (("tokens", 250), ("tokens", 250)),
        (("tokens", 250), ("turns", 50)),
    ],
)
def test_the_edge_leaps_whatever_is_to_be_kept(trigger, keep):
    """What `keep` asks for is granted up to three quarters of `trigger`: an edge that slides empties the cache."""
    memory, starts, record = WindowMemory(trigger=trigger, keep=keep), [], {}
    for number in range(1, 41):
        chosen = start_of(memory, dialogue(*pairs(number)), record)
        record = chosen.slots
        starts.append(chosen.start)
    assert starts[-1] >= 30
    assert len(set(starts)) <= 1 + 40 // 2


def test_tokens_are_counted_with_the_models_counter():
    """A window may be measured in tokens: 5 a header and 1 a character here."""
    chosen = start_of(WindowMemory(trigger=("tokens", 100), keep=("tokens", 40)), dialogue(*pairs(5)))
    assert chosen.start == 4


def test_a_fraction_is_of_what_the_model_takes_in():
    """`("fraction", 0.5)` of 200 tokens, 40 of which are the system text."""
    memory = WindowMemory(trigger=("fraction", 0.5))
    assert start_of(memory, dialogue(*pairs(1)), room=200, overhead=40).start == 0
    assert start_of(memory, dialogue(*pairs(3)), room=200, overhead=40).start == 2


def test_the_newest_turn_stays_however_large():
    """The newest turn is never out of the window."""
    chosen = start_of(WindowMemory(trigger=("tokens", 10)), [*dialogue(*pairs(2)), HumanMessage("x" * 500)])
    assert chosen.start == 2


@pytest.mark.parametrize("size", [("tokens", 0), ("turns", -1), ("fraction", 1.5), ("words", 5), 40, ("turns", True)])
def test_what_is_no_size_is_refused(size):
    """The error says what was given and what is accepted."""
    with pytest.raises(MemoryOptionError, match=r'write \("tokens", 8_000\)'):
        WindowMemory(trigger=size)


def test_keep_above_trigger_is_refused():
    """A leap that leaves more than it found makes no sense."""
    with pytest.raises(MemoryOptionError, match=r"keep=\('turns', 5\) is above"):
        WindowMemory(trigger=("turns", 4), keep=("turns", 5))


@given(st.lists(st.integers(0, 30), min_size=1, max_size=40), st.integers(1, 8), st.integers(20, 200))
def test_the_edge_never_goes_back_and_the_window_is_bounded(sizes, turns, tokens):
    """Whatever is said, the edge only moves forward, and what is kept is within the trigger or one turn."""
    for memory in (WindowMemory(trigger=("turns", turns)), WindowMemory(trigger=("tokens", tokens))):
        record, last = {}, 0
        for number in range(1, len(sizes) + 1):
            messages = dialogue(*[("q" * size, "a") for size in sizes[:number]])
            chosen = start_of(memory, messages, record)
            record = chosen.slots
            kept = conversation(messages).kept(chosen.start)
            assert chosen.start >= last
            assert len(kept) == 1 or memory.trigger[0] == "tokens" or len(kept) <= turns
            assert len(kept) == 1 or memory.trigger[0] == "turns" or sum(t.tokens for t in kept) <= tokens
            last = chosen.start
