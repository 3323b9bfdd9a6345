"""What the page writes, without a browser: both languages, texts as markdown, changes of a summary, money."""

import pytest

pytest.importorskip("gradio", reason='the page needs gradio: pip install "langchain-qwen-memory[web]"')

import string

from hypothesis import given
from hypothesis import strategies as some
from langchain_core.messages import AIMessage, HumanMessage

from langchain_qwen_memory.archive.base import Turn
from langchain_qwen_memory.terminal.figures import Figures
from langchain_qwen_memory.web.drawing import view
from langchain_qwen_memory.web.messages import meant, shown
from langchain_qwen_memory.web.money import cost, money
from langchain_qwen_memory.web.pictures import content_of, reworded
from langchain_qwen_memory.web.telling import changed, recalled, summary
from langchain_qwen_memory.web.texts import TEXTS, Words, preferred

EN, ZH = Words("en"), Words("zh")


def places(text):
    return sorted(name for _, name, _, _ in string.Formatter().parse(text) if name)


def test_both_languages_say_the_same_things():
    """Each text has a Chinese and an English form with the same places to fill in."""
    assert [key for key, (chinese, english) in TEXTS.items() if places(chinese) != places(english)] == []


@pytest.mark.parametrize(
    ("header", "language"),
    [
        ("zh-CN,zh;q=0.9,en;q=0.8", "zh"),
        ("en-GB,en;q=0.9,zh;q=0.8", "en"),
        ("fr,zh-TW;q=0.5,en;q=0.4", "zh"),
        ("en;q=0.3,zh;q=0.9", "zh"),
        ("fr", "en"),
        ("", "en"),
        ("zh;q=abc, en", "en"),
    ],
)
def test_the_browsers_list_chooses_the_language(header, language):
    """The first of its languages that is ours, by weight; English where none is."""
    assert preferred(header) == language


@given(some.text(alphabet="<>&;ltgamp`*\n ab[]()!", max_size=80))
def test_an_edited_text_comes_back_as_it_was_meant(text):
    """What is shown holds no tag outside code, and goes back to the very text."""
    assert meant(shown(text)) == text


def test_code_is_shown_as_it_is():
    """Markdown shows signs in code by itself."""
    assert shown("a<b `c<d` ```\ne<f & g") == "a&lt;b `c<d` ```\ne<f & g"


def test_the_change_of_a_summary_is_marked_word_by_word():
    """What was added and what was taken out; and nothing in it is markup."""
    marked = changed("Anna likes tea.", "Anna likes <b>green</b> tea.")
    assert marked == "Anna likes <ins>&lt;b&gt;green&lt;/b&gt; </ins>tea."
    assert "<del>tea</del>" in changed("likes tea", "likes milk")
    assert "Unchanged by this turn; changed after turn 4" in summary("now", EN, before="then", turn=4)


def test_a_recalled_turn_is_told_with_its_thread_date_and_score():
    """Of another thread its name too; what was forgotten since is said to be gone."""
    messages = (HumanMessage("Where?"), AIMessage("<i>Here</i>"))
    turn = Turn(key="k", parent="p", messages=messages, text="", at=1_700_000_000.0, tokens=4, position=2)
    told = recalled([({"position": 2, "score": 1.5, "thread": "<b>"}, turn), ({"position": 0, "score": 3}, None)], EN)
    assert told.index("no longer in the archive") < told.index("Thread &lt;b&gt; · turn 3")
    assert "2023-11-1" in told
    assert "score 1.5" in told
    assert "&lt;i&gt;Here" in told


def figures(**changes):
    """Of a turn's view."""
    some = {
        "turn": 9,
        "parts": {"system": 10, "summary": 40, "kept": 100, "recalled": 0, "question": 50},
        "view": 200,
        "scale": 1_000,
        "planned": True,
        "limit": 9_000,
        "kept": 3,
        "gone": 6,
        "folds": True,
        "folded_now": 0,
        "recalled": [],
        "sent": 200,
        "cached": 0,
        "prefix": None,
        "whole": 600,
        "saved": None,
        "currency": "",
        "errors": [],
    }
    return Figures(**{**some, **changes})


def test_each_turn_has_a_cell_that_says_where_it_is():
    """Folded, recalled, kept or asked just now, in words too."""
    drawn = view(figures(), EN, here={2}, paid=None)
    strip = drawn.partition("qm-strip")[2].partition("</div>")[0]
    cells = [part.partition('"')[0] for part in strip.split('<i class="qm-')[1:]]
    assert cells == ["summary", "recalled", *["summary"] * 4, "kept", "kept", "question"]
    assert "9 turns: 3 in the view, 1 recalled, 5 in the summary" in drawn
    assert "67 % less was sent" in drawn


def test_a_turn_that_was_tidied_up_later_has_no_view():
    """And the page says why."""
    assert "第 9 轮是中断后收好的" in view(figures(view=0), ZH, here=(), paid=None)


def test_money_is_what_the_catalogue_asks_for():
    """Cached tokens at their own price, thinking at its own, the summariser too."""
    report = {
        "view_tokens": 1_000,
        "input_tokens": 1_000,
        "cached_tokens": 400,
        "output_tokens": 100,
        "summary_input_tokens": 50,
        "summary_output_tokens": 10,
        "saved": 0.5,
    }
    one = cost(report, model="qwen-plus", region="beijing", thought=False)
    from langchain_qwen_memory.catalogue import price

    tier = price("qwen-plus", input_tokens=1_000)
    assert one.paid == pytest.approx((650 * tier.input + 400 * tier.cache_hit + 110 * tier.output) / 1e6)
    assert one.would == pytest.approx(one.paid + 0.5)
    assert cost(report, model="qwen-plus", region="beijing", thought=True).paid > one.paid
    assert cost(report, model="my-own", region="beijing", thought=False) is None
    assert [money(0.0004213, "CNY"), money(12.345, "USD"), money(0.5, "EUR")] == ["¥0.00042", "$12.35", "EUR 0.5"]


def test_other_words_keep_the_pictures():
    """An edited question asks about the same picture."""
    picture = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}}
    assert reworded([picture, {"type": "text", "text": "old"}], "new") == [picture, {"type": "text", "text": "new"}]
    assert reworded("old", "new") == "new"
    assert content_of("only words", []) == "only words"
