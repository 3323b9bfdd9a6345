"""Which days and periods a text names, and how a turn's text is made to be found by its day."""

from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage

from langchain_qwen_memory.archive.finding.dates import date_words, day_line, named_days, periods
from langchain_qwen_memory.archive.keys import searchable_text

TODAY = date(2026, 5, 14)  # a Thursday
NOW = datetime(2026, 5, 14, 10, tzinfo=UTC).timestamp()


def days(text, today=TODAY):
    return [(first.isoformat(), end.isoformat()) for _, (first, end) in named_days(text, today)]


@pytest.mark.parametrize(
    ("text", "first", "end"),
    [
        ("What did I say on May 7?", "2026-05-07", "2026-05-08"),
        ("on 7 May 2023", "2023-05-07", "2023-05-08"),
        ("May 7th, 2023", "2023-05-07", "2023-05-08"),
        ("2023-05-07", "2023-05-07", "2023-05-08"),
        ("the 3rd of June 2024", "2024-06-03", "2024-06-04"),
        ("on December 25", "2025-12-25", "2025-12-26"),
        ("29 February", "2024-02-29", "2024-03-01"),
        ("last Friday", "2026-05-08", "2026-05-09"),
        ("on Thursday", "2026-05-07", "2026-05-08"),
        ("yesterday", "2026-05-13", "2026-05-14"),
        ("the day before yesterday", "2026-05-12", "2026-05-13"),
        ("two weeks ago", "2026-04-27", "2026-05-04"),
        ("3 days ago", "2026-05-11", "2026-05-12"),
        ("a few days ago", "2026-05-05", "2026-05-13"),
        ("last week", "2026-05-04", "2026-05-11"),
        ("last weekend", "2026-05-09", "2026-05-11"),
        ("last month", "2026-04-01", "2026-05-01"),
        ("in June", "2025-06-01", "2025-07-01"),
        ("in March of 2020", "2020-03-01", "2020-04-01"),
        ("last summer", "2025-06-01", "2025-09-01"),
        ("winter 2022", "2022-12-01", "2023-03-01"),
        ("last year", "2025-01-01", "2026-01-01"),
        ("in 2022", "2022-01-01", "2023-01-01"),
    ],
)
def test_days_named_in_english(text, first, end):
    """The first day, and the day after the last; a day without a year is the last one that had come."""
    assert days(text) == [(first, end)]


@pytest.mark.parametrize(
    ("text", "first", "end"),
    [
        ("我5月1日说了什么", "2026-05-01", "2026-05-02"),
        ("五月一号", "2026-05-01", "2026-05-02"),
        ("十二月二十五日", "2025-12-25", "2025-12-26"),
        ("2023年5月7日", "2023-05-07", "2023-05-08"),
        ("二〇二三年五月", "2023-05-01", "2023-06-01"),
        ("去年5月", "2025-05-01", "2025-06-01"),
        ("上周三", "2026-05-06", "2026-05-07"),
        ("上上周五", "2026-05-01", "2026-05-02"),
        ("这周一", "2026-05-11", "2026-05-12"),
        ("星期天", "2026-05-10", "2026-05-11"),
        ("昨天", "2026-05-13", "2026-05-14"),
        ("前天晚上", "2026-05-12", "2026-05-13"),
        ("大前天", "2026-05-11", "2026-05-12"),
        ("三天前", "2026-05-11", "2026-05-12"),
        ("两周前", "2026-04-27", "2026-05-04"),
        ("3个月前", "2026-02-01", "2026-03-01"),
        ("几天前", "2026-05-05", "2026-05-13"),
        ("上周", "2026-05-04", "2026-05-11"),
        ("周末", "2026-05-09", "2026-05-11"),
        ("上个月", "2026-04-01", "2026-05-01"),
        ("上个月5号", "2026-04-05", "2026-04-06"),
        ("去年夏天", "2025-06-01", "2025-09-01"),
        ("前年", "2024-01-01", "2025-01-01"),
        ("2022年", "2022-01-01", "2023-01-01"),
    ],
)
def test_days_named_in_chinese(text, first, end):
    """As in English; 上周三 is Wednesday of the week before, whatever day it is."""
    assert days(text) == [(first, end)]


NO_DAYS = ("What may I do?", "He may march in", "June 31", "last", "in the last 3 days", "on it", "KM-3000", "")
ALSO_NOT = ("每周三", "一周三次", "以前", "周年庆", "版本 3.14", "5号楼", "99月99日")


@pytest.mark.parametrize("text", [*NO_DAYS, *ALSO_NOT])
def test_what_names_no_day(text):
    """Words that only look like dates, and dates that there are not."""
    assert days(text) == []


def test_several_days_stand_in_the_order_of_the_text():
    """Each is read by itself."""
    assert days("between May 5th, 2021 and June 2nd") == [("2021-05-05", "2021-05-06"), ("2025-06-02", "2025-06-03")]


def test_periods_are_days_of_a_time_zone():
    """Yesterday begins and ends at midnight there, not here."""
    shanghai = ZoneInfo("Asia/Shanghai")
    late = datetime(2026, 5, 14, 23, tzinfo=UTC).timestamp()  # 07:00 on the 15th in Shanghai
    assert periods("昨天", now=late, zone=shanghai) == [
        (datetime(2026, 5, 14, tzinfo=shanghai).timestamp(), datetime(2026, 5, 15, tzinfo=shanghai).timestamp())
    ]
    assert periods("yesterday and 昨天", now=NOW, zone=UTC) == periods("昨天", now=NOW, zone=UTC)


def test_a_day_is_spelled_in_all_its_ways():
    """So that it is found by each of them."""
    assert day_line(NOW, UTC) == "2026-05-14 Thursday, 14 May 2026"
    assert day_line(NOW, UTC, chinese=True) == "2026-05-14 星期四 2026年5月14日"


def test_what_yesterday_means_is_part_of_the_text():
    """A turn that says "yesterday" is found by that day's date; a date that stands there is not repeated."""
    assert date_words("I saw her yesterday and last month", at=NOW, zone=UTC) == "13 May 2026 April 2026"
    assert date_words("我昨天到的", at=NOW, zone=UTC, chinese=True) == "2026年5月13日"
    assert date_words("on 13 May 2026", at=NOW, zone=UTC) == ""


def test_the_searchable_text_of_a_turn_with_its_days():
    """The day first, then a line per message, then the days that people's words mean; tools' words mean none."""
    messages = [
        HumanMessage("I went there yesterday"),
        ToolMessage("last year: 3", tool_call_id="1"),
        AIMessage("How was it?"),
    ]
    assert searchable_text(messages, at=NOW, zone=UTC).splitlines() == [
        "2026-05-14 Thursday, 14 May 2026",
        "I went there yesterday",
        "last year: 3",
        "How was it?",
        "13 May 2026",
    ]
    assert searchable_text([HumanMessage("")], at=NOW, zone=UTC) == ""


@given(st.text(alphabet="上周三一二十五月日年去前天个May last ago 0123456789-./,of inthwekdbrujy夏"), st.dates())
def test_no_text_breaks_the_reader(text, today):
    """Whatever is asked on whatever day: periods that end after they begin, or none."""
    assert all(first < end for _, (first, end) in named_days(text, today))
