"""The ledger: hard facts found by rule, compared with a summary, kept beside it."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage

from langchain_qwen_memory.archive.base import root_key
from langchain_qwen_memory.memory.facts import facts_in
from langchain_qwen_memory.memory.ledger import beside, facts_of, holding, with_ledger
from langchain_qwen_memory.memory.turns import live_turns
from langchain_qwen_memory.tokens import count_message
from tests.memory.helpers import count


def values(text: str, speaker="user") -> set[tuple[str, str]]:
    return {(fact.kind, fact.value) for fact in facts_in(text, speaker)}


@pytest.mark.parametrize(
    ("text", "fact"),
    [
        ("我的订单号是KM-3000，谢谢", ("id", "KM-3000")),
        ("order 2024051234 has not come", ("id", "2024051234")),
        ("工单#4471已关闭", ("id", "#4471")),
        ("打138 0013 8000找我", ("phone", "138 0013 8000")),
        ("call 400-820-1234", ("phone", "400-820-1234")),
        ("发到 li.lei@example.com.cn 吧", ("email", "li.lei@example.com.cn")),
        ("见https://example.com/a?b=1。", ("url", "https://example.com/a?b=1")),
        ("预算3,000元左右", ("number", "3,000元")),
        ("大约￥1.5万", ("number", "￥1.5万")),
        ("it costs $1,200.50", ("number", "$1,200.50")),
        ("重 3.5 kg", ("number", "3.5 kg")),
        ("涨了25%", ("number", "25%")),
        ("住3个月", ("number", "3个月")),
        ("2026年5月1日出发", ("date", "2026年5月1日")),
        ("on 2026-05-01", ("date", "2026-05-01")),
        ("we fly on May 1st, 2026", ("date", "May 1st, 2026")),
        ("下周三见", ("date", "下周三")),
        ("下午3点半开会", ("date", "下午3点半")),
        ("at 3:30 pm", ("date", "3:30 pm")),
        ("在读《红楼梦》", ("name", "《红楼梦》")),
        ("叫它「小青」", ("name", "「小青」")),
        ("我不吃花生", ("wish", "我不吃花生")),
        ("我对花生过敏，想点外卖", ("wish", "我对花生过敏")),
        ("我喜欢龙井", ("wish", "我喜欢龙井")),
        ("I don't eat pork.", ("wish", "I don't eat pork")),
        ("I'm allergic to nuts, eggs and milk!", ("wish", "I'm allergic to nuts, eggs and milk")),
        ("My sister prefers tea", ("wish", "My sister prefers tea")),
    ],
)
def test_hard_facts_are_found(text, fact):
    """Ids, numbers with a unit, dates, names in quotes, addresses, likes and dislikes are found, in both languages."""
    assert fact in values(text)


@pytest.mark.parametrize(
    "text",
    [
        "你喜欢龙井吗？",
        "特别好的一个人",
        "I don't know what you mean",
        "I'd like to ask you something",
        "今天聊点别的",
        "there are 3 of them",
        "第3个问题",
        "不客气",
        "```python\nx = 'KM-3000'\n```",
    ],
)
def test_what_is_no_fact_is_left_alone(text):
    """Questions, phrases of politeness, bare digits and code hold no facts."""
    assert not values(text)


def test_an_assistant_has_no_likes_and_one_span_is_one_fact():
    """Only the user's wishes count; a date is not a number too, nor a phone number an id."""
    assert values("不要担心，我喜欢帮忙。", "assistant") == set()
    assert values("2026年5月1日 13800138000") == {("date", "2026年5月1日"), ("phone", "13800138000")}


def found(*texts: str):
    return holding([fact for text in texts for fact in facts_in(text, "user")])


def lines(summary: str, *texts: str, room: int = 1_000) -> tuple[str, ...]:
    return beside(summary, found(*texts), room=room, count=count).lines


@pytest.mark.parametrize(
    ("said", "summary"),
    [
        ("预算3,000元", "用户的预算为 3000 元。"),
        ("预算￥3000", "预算3000元"),
        ("2026年5月1日出发", "出发日期：2026-05-01"),
        ("5月1日出发", "2026年5月1日出发"),
        ("on May 1st, 2026", "They leave on 2026-05-01."),
        ("订单ＫＭ－３０００", "订单 km-3000 已发货"),
        ("我对花生过敏", "用户对花生过敏，住在杭州。"),
        ("我不吃香菜", "用户喜欢龙井、不吃香菜。"),
        ("I don't eat peanuts", "The user does not eat peanuts."),
        ("I'm allergic to peanuts", "User is allergic to peanuts; likes tea."),
    ],
)
def test_what_the_summary_says_in_its_own_way_is_not_repeated(said, summary):
    """Width, case, spacing, separators, forms of dates and the person who speaks make no difference."""
    assert lines(summary, said) == ()


@pytest.mark.parametrize(
    ("said", "summary"),
    [
        ("付了300元", "付了1300元"),
        ("订单 KM-300", "订单 KM-3000"),
        ("我不吃香菜", "用户吃香菜"),
        ("我不吃香菜", "用户不吃香蕉"),
        ("I don't eat peanuts", "The user eats peanuts."),
        ("在读《红楼梦》", "在读一本名著"),
    ],
)
def test_what_the_summary_lacks_or_turns_round_is_kept(said, summary):
    """A longer number, another object or a lost "not" does not count as said."""
    assert lines(summary, said) == (said,)


def test_the_newest_value_of_one_label_wins():
    """A budget that was changed is kept as it is now; what merely looks alike stands beside it."""
    assert lines("", "预算3000元", "预算改为5000元") == ("预算改为5000元",)
    assert lines("", "The budget is $300", "the budget is now $500") == ("the budget is now $500",)
    assert lines("", "苹果3公斤", "苹果5公斤") == ("苹果3公斤", "苹果5公斤")


def test_a_change_of_mind_replaces_a_liking_but_never_an_allergy():
    """The newest of two opposite clauses counts; an allergy stays whatever is liked later."""
    assert lines("", "我喜欢龙井", "我不喜欢龙井了") == ("我不喜欢龙井了",)
    assert lines("", "我对花生过敏", "我喜欢花生") == ("我对花生过敏", "我喜欢花生")


def test_a_full_ledger_drops_the_least_specific_and_oldest_first_and_says_so():
    """An allergy and an id outlive names in quotes; what is dropped is counted."""
    texts = ["在读《红楼梦》", "在读《三国演义》", "我对花生过敏", "订单KM-3000"]
    ledger = beside("", found(*texts), room=count(HumanMessage("- 在读《三国演义》")) * 3, count=count)
    assert ledger.lines == ("在读《三国演义》", "我对花生过敏", "订单KM-3000")
    assert (ledger.facts, ledger.lost) == (4, 1)


def test_facts_that_stand_in_one_clause_share_a_line():
    """A line is kept once, however many facts it holds."""
    assert lines("", "订单KM-3000共3000元") == ("订单KM-3000共3000元",)


NUMBERS = "、".join(f"Kan-{number}" for number in range(68310, 68322))


def test_no_half_of_a_word_or_number_is_kept():
    """Of a long clause some words around a fact are kept, whole: half of a number would be another one."""
    kept = lines("", f"我的编号有：{NUMBERS}", "the codes of our twenty-five ovens are " + NUMBERS.replace("、", " "))
    assert {word for line in kept for word in re.findall(r"[\w-]*\d+", line)} == set(NUMBERS.split("、"))
    (line,) = lines("", "in the notebook of the second floor it was KM-3000 that the mechanic had written down twice")
    assert line == "second floor it was KM-3000 that the mechanic"


def test_a_list_of_numbers_is_kept_once():
    """Each stands in the words around the one before; told again with them, half of the list would have no room."""
    facts = found(f"我的编号有：{NUMBERS}")
    ledger = beside("", facts, room=180, count=count_message)
    assert ledger.lost == 0
    assert sum(map(len, ledger.lines)) < 2 * len(NUMBERS)


@pytest.mark.parametrize(
    "said",
    [
        ["零件 KM-3000 用 XC-9000 替换", "零件 KM-3000 在二号仓库"],
        ["Invoice 20240501 belongs to order 100200300", "Order 100200300 is cancelled"],
        ["工单 #123 是登录失败", "工单 #12 是支付问题"],
    ],
)
def test_a_number_is_kept_with_what_is_said_of_it(said):
    """Also where another line names a number that stands in the same clause."""
    assert lines("", *said) == tuple(said)


def test_a_fact_is_carried_on_until_the_summary_holds_it():
    """What stands in the ledger or in the old summary is looked for again when the summary is rewritten."""
    facts = facts_of(["订单KM-3000"], "用户的预算为5000元。", [])
    assert beside("闲聊。", facts, room=500, count=count).lines == ("订单KM-3000", "用户的预算为5000元")
    assert beside("订单 KM-3000，预算5000元。", facts, room=500, count=count).lines == ()


def test_tool_results_and_thinking_are_not_searched():
    """Facts come from what user and assistant said."""
    messages = [
        HumanMessage("查订单"),
        AIMessage("", tool_calls=[{"name": "find", "args": {}, "id": "1"}]),
        ToolMessage("KM-1111 99元", tool_call_id="1"),
        AIMessage("<think>KM-2222</think>订单是 KM-3333。", additional_kwargs={"reasoning_content": "KM-4444"}),
    ]
    turns = live_turns(messages, parent=root_key("a", "b"), position=0, count=count)
    assert [fact.value for fact in facts_of([], "", turns)] == ["KM-3333"]


def test_the_view_shows_summary_then_ledger():
    """The ledger has a title in the language of the conversation; without lines the summary stands alone."""
    assert with_ledger("摘要。", ["a", "b"], chinese=True).splitlines()[-2:] == ["- a", "- b"]
    assert with_ledger("Summary.", ["a"], chinese=False).startswith("Summary.\n\nWord for word")
    assert with_ledger("摘要。", [], chinese=True) == "摘要。"


@given(st.lists(st.text(max_size=80), max_size=6), st.text(max_size=80), st.integers(0, 200))
def test_any_text_is_taken(texts, summary, room):
    """Whatever is said, each fact is held, kept or counted as lost, and the ledger stays within its room."""
    facts = found(*texts)
    ledger = beside(summary, facts, room=room, count=count)
    assert sum(count(HumanMessage(f"- {line}")) for line in ledger.lines) <= room
    assert 0 <= ledger.lost <= ledger.facts == len(facts)
    assert all(len(line) <= 300 for line in ledger.lines)
