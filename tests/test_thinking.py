"""Thinking and answer are parted where a server sends them as one text."""

import itertools
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from langchain_qwen_memory.thinking import Parted, ThinkingFilter, part_thinking


def streamed(pieces, **options) -> Parted:
    parting = ThinkingFilter(**options)
    parts = [parting.feed(piece) for piece in pieces] + [parting.close()]
    return Parted("".join(p.reasoning for p in parts), "".join(p.answer for p in parts))


def test_a_tagged_block_at_the_start_is_thinking():
    """What stands between the tags at the start is thinking, and the line breaks around it belong to neither."""
    assert part_thinking("<think>\nTwo and two.\n</think>\n\nFour.") == ("Two and two.", "Four.")


def test_an_empty_block_is_dropped():
    """Models that were told not to think send an empty block, of which nothing is left."""
    assert part_thinking("<think>\n\n</think>\n\nFour.") == ("", "Four.")


def test_a_second_block_right_after_the_first_is_thinking_too():
    """As after an empty one from the template; the two are apart. One within the answer is the answer's."""
    assert part_thinking("<think>\n\n</think>\n\n<think>\nTwo.\n</think>\n\nFour.") == ("Two.", "Four.")
    assert part_thinking("<think>One.</think> <thinking>Two.</thinking>Four.") == ("One.\n\nTwo.", "Four.")
    assert part_thinking("One.</think><think>Two.", opens=True) == ("One.\n\nTwo.", "")
    assert part_thinking("<think>One.</think>So <think>Two.</think>") == ("One.", "So <think>Two.</think>")
    assert part_thinking("<think>One.</think>\n <th") == ("One.", " <th")


def test_the_longer_tag_counts_too():
    """Some finetunes write <thinking>; within it, the other closing tag is text."""
    assert part_thinking("<thinking>a </think> b</thinking>c") == ("a </think> b", "c")


def test_text_without_tags_is_the_answer():
    """A plain answer passes unchanged, blanks at its start included."""
    assert part_thinking("  \n  Four.") == ("", "  \n  Four.")


def test_a_tag_quoted_later_is_text():
    """An answer may talk about the tags; only its beginning is looked at."""
    text = "Put it between <think> and </think>.\n<think>like this</think>"
    assert part_thinking(text) == ("", text)
    assert part_thinking("<think>a</think>Write </think> and <think>.") == ("a", "Write </think> and <think>.")


def test_a_closing_tag_quoted_alone_is_text():
    """A closing tag within a line says nothing of what stands before it."""
    assert part_thinking("The block ends with </think> always.") == ("", "The block ends with </think> always.")


def test_a_closing_tag_alone_on_its_line_ends_thinking_in_a_whole_text():
    """If the template wrote the opening tag, a whole text still shows where thinking ended."""
    assert part_thinking("Two and two.\n</think>\n\nFour.") == ("Two and two.", "Four.")


def test_a_stray_closing_tag_at_the_start_is_dropped():
    """Some parsers leave the closing tag in the text after taking the thinking out."""
    assert part_thinking("</think>\n\nFour.") == ("", "Four.")


def test_an_unclosed_block_is_all_thinking():
    """A text that was cut off while thinking has no answer."""
    assert part_thinking("<think>Two and tw") == ("Two and tw", "")


def test_where_the_template_opens_all_before_the_closing_tag_is_thinking():
    """The opening tag is in the prompt then, so that the text begins inside."""
    assert part_thinking("Two and two.</think>Four.", opens=True) == ("Two and two.", "Four.")
    assert part_thinking("<think>Two and two.</think>Four.", opens=True) == ("Two and two.", "Four.")
    assert part_thinking("Two and tw", opens=True) == ("Two and tw", "")


def test_a_tool_call_that_is_only_thought_about_stays_thinking():
    """If the closing tag still comes, whatever looked like a call was a thought."""
    text = '<think>I could write <tool_call>\n{"name": "f"}\n</tool_call> here.</think>No need.'
    assert part_thinking(text) == ('I could write <tool_call>\n{"name": "f"}\n</tool_call> here.', "No need.")


def test_a_tool_call_ends_thinking_that_is_never_closed():
    """Models sometimes call without closing their thinking; the call is then the answer."""
    text = '<think>I must look.\n<tool_call>\n{"name": "f"}\n</tool_call>'
    assert part_thinking(text) == ("I must look.", '<tool_call>\n{"name": "f"}\n</tool_call>')


def test_the_words_of_a_tool_call_do_not_hold_thinking_back():
    """A mere mention of the tag is passed on at once."""
    parting = ThinkingFilter()
    parting.feed("<think>The tag <tool_call> opens")
    assert parting.feed(" a call, I think, and so").reasoning.endswith("and so")


def test_thinking_is_streamed_as_it_comes():
    """Nothing but a possible tag, and blanks before it, is held back."""
    parting = ThinkingFilter()
    shown = [
        parting.feed(piece) for piece in ("<thi", "nk>One", " two", " th", "ree <", "b> ", "</thi", "nk>\n", "\nFour")
    ]
    assert [p.reasoning for p in shown] == ["", "One", " two", " th", "ree", " <b>", "", "", ""]
    assert [p.answer for p in shown] == [""] * 8 + ["Four"]


def test_where_the_template_opens_thinking_is_streamed_from_the_first_piece():
    """No reader waits for a closing tag to see that the model is at work."""
    parting = ThinkingFilter(opens=True)
    assert parting.feed("Two").reasoning == "Two"
    assert parting.assumed


def test_an_answer_is_streamed_as_it_comes():
    """Once the answer has begun, every piece passes whole."""
    parting = ThinkingFilter()
    assert [parting.feed(piece).answer for piece in ("Fo", "ur <", "think>")] == ["Fo", "ur <", "think>"]


def test_looking_can_be_switched_off():
    """Then all text is the answer."""
    assert streamed(["<think>a</think>b"], looks=False) == ("", "<think>a</think>b")


TEXTS = st.lists(
    st.sampled_from(
        [
            "<think>",
            "</think>",
            "<thinking>",
            "</thinking>",
            "<tool_call>",
            "</tool_call>",
            "<function=f>",
            '{"a": 1}',
            "\n",
            " ",
            "<",
            ">",
            "词",
            "word",
            "<th",
            "ink>",
            "</",
        ]
    ),
    max_size=12,
).map("".join)


@given(TEXTS, st.lists(st.integers(0, 60), max_size=8), st.booleans())
def test_it_does_not_matter_how_a_text_is_cut(text, cuts, opens):
    """Cut anywhere, also within tags, a text is parted as it is in one piece."""
    edges = sorted({0, len(text), *(cut for cut in cuts if cut < len(text))})
    pieces = [text[a:b] for a, b in itertools.pairwise(edges)]
    assert streamed(pieces, opens=opens) == streamed([text], opens=opens)


def bare(text):
    return "".join(re.sub("</?think(?:ing)?>", "", text).split())


@given(TEXTS, st.booleans())
def test_nothing_but_tags_and_blanks_is_lost(text, opens):
    """The answer is the text's end, tags and all; thinking is what stands before it, without tags and blanks beside."""
    parted = part_thinking(text, opens=opens)
    assert text.endswith(parted.answer)
    assert bare(parted.reasoning) == bare(text.removesuffix(parted.answer))


@given(st.text(alphabet="ab <>\n", max_size=30))
def test_a_text_that_begins_with_no_tag_is_unchanged(text):
    """Whatever else stands in it."""
    assert part_thinking("x" + text) == ("", "x" + text)


@pytest.mark.parametrize("size", [1_000, 100_000])
def test_long_thinking_is_not_gathered_up(size):
    """What is held back does not grow with the thinking."""
    parting = ThinkingFilter()
    parting.feed("<think>")
    shown = sum(len(parting.feed("word ").reasoning) for _ in range(size // 5))
    assert shown >= size - 5
