"""Marks for the explicit prompt cache, in messages of every form."""

import pytest
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage, ToolMessage

from langchain_qwen_memory.memory.caching import LEAST_TOKENS, is_marked, marked, marked_order
from langchain_qwen_memory.memory.render import framed_summary
from tests.media import sound
from tests.memory.helpers import count

LONG = "long " * 300
MARK = {"cache_control": {"type": "ephemeral"}}


def text(words):
    return {"type": "text", "text": words}


def marks(messages):
    return [
        (at, number)
        for at, message in enumerate(messages)
        if isinstance(message.content, list)
        for number, block in enumerate(message.content)
        if isinstance(block, dict) and "cache_control" in block
    ]


def mark(messages, **options):
    return marked(messages, **{"summary": "", "quoted": False, "tools": 0, "count": count, **options})


def test_system_text_and_summary_are_marked_apart():
    """One outlives the fold that changes the other; the words stay what they were."""
    frame = framed_summary("They like tea. " * 100)
    view = [SystemMessage(f"{LONG}\n\n{frame}"), HumanMessage("hi")]
    done = mark(view, summary="They like tea. " * 100)
    assert marks(done) == [(0, 0), (0, 1), (1, 0)]
    assert [block["text"] for block in done[0].content] == [LONG, f"\n\n{frame}"]
    assert isinstance(view[0].content, str)
    assert is_marked(done)
    assert not is_marked(view)


@pytest.mark.parametrize(
    ("answer", "place"),
    [
        (AIMessage("well"), (1, 0)),
        (AIMessage([{"type": "reasoning", "reasoning": "hm"}, text("well"), sound()]), (1, 1)),
        (AIMessage([text("well"), {"type": "tool_call", "name": "f", "args": {}, "id": "c"}]), (1, 0)),
        (AIMessage(["well", ""]), (1, 0)),
        (AIMessage(""), (0, 0)),
        (AIMessage([sound()]), (0, 0)),
    ],
)
def test_a_mark_stands_on_words_that_are_sent(answer, place):
    """Not on thinking, calls or speech, which a view does not send; of an answer without words, before it."""
    done = mark([HumanMessage(LONG), answer, HumanMessage("and?")])
    assert marks(done) == [place, (2, 0)]


def test_a_tool_loop_is_marked_at_its_newest_result():
    """The question stays as it is in a loop, with what was recalled for it."""
    call = {"name": "f", "args": {}, "id": "c"}
    loop = [HumanMessage(LONG), AIMessage("", tool_calls=[call]), ToolMessage("found", tool_call_id="c")]
    assert marks(mark(loop, quoted=True)) == [(2, 0)]
    assert marks(mark(loop[:1], quoted=True)) == []


def test_a_short_prefix_is_left_alone():
    """1,024 tokens up to the mark, tools included."""
    short = [SystemMessage("x" * (LEAST_TOKENS - 106)), HumanMessage("hi")]
    assert marks(mark(short, tools=50)) == []
    assert marks(mark(short, tools=101)) == [(0, 0), (1, 0)]


def test_marks_of_ones_own_leave_less_room():
    """Four in all; the last place first, then the oldest ones."""
    own = [{**text(LONG), **MARK}]
    view = [
        SystemMessage(LONG),
        HumanMessage(own),
        AIMessage("a"),
        HumanMessage(own),
        AIMessage("b"),
        HumanMessage("?"),
    ]
    assert marks(mark(view)) == [(0, 0), (1, 0), (3, 0), (5, 0)]


@pytest.mark.parametrize(
    ("repeats", "places"),
    [("turns", [(0, 0), (0, 1), (2, 0)]), ("summary", [(0, 0), (0, 1)]), ("system", [(0, 0)])],
)
def test_a_summarisers_prompt_is_marked_as_far_as_it_repeats_the_chats(repeats, places):
    """What comes after that was in no view, so that a mark there would be paid and never read; the order has none."""
    summary = "They like tea. " * 100
    prompt = [SystemMessage(f"{LONG}\n\n{framed_summary(summary)}"), HumanMessage("hi"), AIMessage("well")]
    done = marked_order(
        [*prompt, HumanMessage("Sum up.")], summary=summary, repeats=repeats, tools=LEAST_TOKENS, count=count
    )
    assert marks(done) == places
    assert [one.text for one in done[:3]] == [one.text for one in prompt]


def test_without_a_summary_the_system_text_is_what_is_repeated():
    """The first fold in pieces, and a short prompt, which no cache keeps."""
    prompt = [SystemMessage(LONG), HumanMessage("hi"), HumanMessage("Sum up.")]
    options = {"summary": "", "repeats": "system", "count": count}
    assert marks(marked_order(prompt, tools=LEAST_TOKENS, **options)) == [(0, 0)]
    assert marks(marked_order([HumanMessage("hi"), HumanMessage("Sum up.")], tools=0, **options)) == []
