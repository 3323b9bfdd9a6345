"""Reads the days and periods that a text names, in English and Chinese: "last Friday", "5月1日", "去年夏天"."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date, datetime, timedelta, tzinfo
from typing import TypeAlias

from langchain_qwen_memory.archive.finding.date_rules import ANY, MONTHS, RULES, SOME, WEEKDAYS, Days, Reader

__all__ = ["Days", "Period", "date_words", "day_line", "named_days", "periods", "spelled"]

Period: TypeAlias = tuple[float, float]
"""Unix seconds: from the first to before the second."""

_DAY = timedelta(days=1)
_CHINESE_WEEKDAYS = "一二三四五六日"
_DAYS_IN_FULL = 3
_LONGEST_MONTH = 31
_READ = 4_000
"""Characters of a text that are read for dates: a pasted book names too many to mean any of them."""
_MOST_NAMES = 8


def periods(text: str, *, now: float, zone: tzinfo | None = None) -> list[Period]:
    """The days and periods that a text names, as times.

    Args:
        text: A question, English or Chinese.
        now: When it was asked, unix seconds: what "yesterday" is reckoned from. A day without a year is the last
            one that had come by then.
        zone: Whose days; None for the machine's local time.

    Returns:
        Periods in the order of the text, each once; empty where it names none.
    """
    today = datetime.fromtimestamp(now, zone).date()
    found = dict.fromkeys(days for _, days in named_days(text[:_READ], today))
    return [(_midnight(first, zone), _midnight(end, zone)) for first, end in found]


def named_days(text: str, today: date) -> Iterator[tuple[str, Days]]:
    """Each name of a day or period in a text, with what it means to one who speaks on `today`."""
    taken = 0
    for match in ANY.finditer(text):
        if match.start() < taken or not SOME.match(text, match.start()):
            continue
        for pattern, read in RULES:
            exact = pattern.match(text, match.start())
            days = _read(read, exact, today)
            if exact and days:
                taken = exact.end()
                yield exact[0], days
                break


def day_line(at: float, zone: tzinfo | None = None, *, chinese: bool = False) -> str:
    """The day of a turn in all its spellings, so that it is found by each: `2026-05-01 Friday, 1 May 2026`."""
    day = datetime.fromtimestamp(at, zone).date()
    weekday = f"星期{_CHINESE_WEEKDAYS[day.weekday()]}" if chinese else f"{WEEKDAYS[day.weekday()].capitalize()},"
    return f"{day.isoformat()} {weekday} {spelled((day, day + _DAY), chinese=chinese)}"


def spelled(days: Days, *, chinese: bool = False) -> str:
    """A period as people write it: a day or two in full, up to a month by its month, all else by its year."""
    first, end = days
    length = (end - first).days
    if length <= _DAYS_IN_FULL:
        each = [first + number * _DAY for number in range(length)]
        return " ".join(_full(day, chinese=chinese) for day in each)
    if length > _LONGEST_MONTH:
        return f"{first.year}年" if chinese else str(first.year)
    return f"{first.year}年{first.month}月" if chinese else f"{MONTHS[first.month - 1].capitalize()} {first.year}"


def date_words(text: str, *, at: float, zone: tzinfo | None = None, chinese: bool = False) -> str:
    """The dates that a text means by words such as "yesterday", spelled out; "" where it names none.

    A turn that says "yesterday" is found by the day's date with them, and a question by the turn's.

    Args:
        text: What was said.
        at: When, unix seconds.
        zone: Whose days; None for the machine's local time.
        chinese: Spell them in Chinese.
    """
    today = datetime.fromtimestamp(at, zone).date()
    names = dict.fromkeys(spelled(days, chinese=chinese) for _, days in named_days(text[:_READ], today))
    return " ".join([name for name in names if name not in text][:_MOST_NAMES])


def _full(day: date, *, chinese: bool) -> str:
    if chinese:
        return f"{day.year}年{day.month}月{day.day}日"
    return f"{day.day} {MONTHS[day.month - 1].capitalize()} {day.year}"


def _read(read: Reader, match: re.Match[str] | None, today: date) -> Days | None:
    """What a rule makes of a match; None where there is no such day, as 31 June or the year 0."""
    if match is None:
        return None
    try:
        return read(match, today)
    except (ValueError, OverflowError):
        return None


def _midnight(day: date, zone: tzinfo | None) -> float:
    return datetime(day.year, day.month, day.day, tzinfo=zone).timestamp()
