"""How days and periods are written in English and Chinese, and which days each way of writing means."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date, timedelta
from typing import TypeAlias

__all__ = ["ANY", "MONTHS", "RULES", "WEEKDAYS", "Days", "Reader"]

Days: TypeAlias = tuple[date, date]
"""The first day and the day after the last."""
Reader: TypeAlias = Callable[[re.Match[str], date], "Days | None"]
"""What a match means to one who speaks on a day; None or a ValueError where there is no such day."""

_DAY = timedelta(days=1)
MONTHS = (
    *("january", "february", "march", "april", "may", "june"),
    *("july", "august", "september", "october", "november", "december"),
)
WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
_NUMBERS = (
    *("zero", "one", "two", "three", "four", "five", "six"),
    *("seven", "eight", "nine", "ten", "eleven", "twelve"),
)
_SATURDAY, _DECEMBER = 5, 12
_SEASONS = {"spring": 3, "春": 3, "summer": 6, "夏": 6, "autumn": 9, "fall": 9, "秋": 9, "winter": 12, "冬": 12}
_FEW = {"a few": (2, 9), "few": (2, 9), "several": (3, 9), "几": (2, 9), "a couple of": (2, 3), "couple": (2, 3)}
_HAN = "〇一二三四五六七八九"
_CHINESE_WEEKDAYS = "一二三四五六日天"

_MONTH = rf"(?P<month>{'|'.join(f'{name[:3]}(?:{name[3:]})?' if name != 'may' else name for name in MONTHS)}|sept)\b\.?"
_D = r"(?P<day>\d{1,2})(?:st|nd|rd|th)?"
_Y = r"(?P<year>(?:19|20)\d\d)"
_N = rf"(?P<count>\d{{1,3}}|an?|{'|'.join(_NUMBERS[1:])}|a few|few|several|a couple of)"
_WEEKDAY = rf"(?P<weekday>{'|'.join(f'{name[:3]}(?:{name[3:]})?' for name in WEEKDAYS)}|tues|thurs?)\b"
_SEASON = r"(?P<season>spring|summer|autumn|fall|winter)\b"
_ZH = "[0-9〇零一二两三四五六七八九十]"
_ZM = rf"(?P<month>{_ZH}{{1,3}})月"
_ZY = rf"(?:(?P<year>(?:19|20)\d\d|{_ZH}{{4}})年|(?P<which>去年|今年|前年))"
_ZWEEK = r"(?:周|星期|礼拜)"


def _one(day: date) -> Days:
    return day, day + _DAY


def _month(year: int, month: int, months: int = 1) -> Days:
    """`months` calendar months from one on; months below 1 and above 12 are of other years."""
    first, end = year * 12 + month - 1, year * 12 + month - 1 + months
    return date(first // 12, first % 12 + 1, 1), date(end // 12, end % 12 + 1, 1)


def _monday(today: date, weeks: int = 0) -> date:
    return today - timedelta(days=today.weekday()) + weeks * timedelta(days=7)


def _number(text: str) -> int:
    """A number in digits, English or Chinese; "an" is 1."""
    if text.isdecimal():
        return int(text)
    if text.lower() in _NUMBERS:
        return _NUMBERS.index(text.lower())
    if text.lower() in ("a", "an"):
        return 1
    text = text.replace("零", "〇").replace("两", "二")
    if "十" not in text:
        return int("".join(str(_HAN.index(sign)) if sign in _HAN else sign for sign in text))
    tens, ones = text.split("十", 1)
    return (_number(tens) if tens else 1) * 10 + (_number(ones) if ones else 0)


def _month_number(text: str) -> int:
    return next((at for at, name in enumerate(MONTHS, 1) if text[:3].lower() == name[:3]), 0) or _number(text)


def _year(match: re.Match[str], today: date) -> int | None:
    groups = match.groupdict()
    if groups.get("year"):
        return _number(groups["year"])
    ago = {"去年": 1, "前年": 2, "今年": 0, "last": 1, "this": 0}.get((groups.get("which") or "").lower())
    return None if ago is None else today.year - ago


def _date(match: re.Match[str], today: date) -> Days | None:
    month, day, year = _month_number(match["month"]), int(_number(match["day"])), _year(match, today)
    if year is not None:
        return _one(date(year, month, day))
    for past in range(5):  # 29 February was up to four years ago, or eight around 1900
        try:
            found = date(today.year - past, month, day)
        except ValueError:
            continue
        if found <= today:
            return _one(found)
    return None


def _in_month(match: re.Match[str], today: date) -> Days:
    month, year = _month_number(match["month"]), _year(match, today)
    if not 1 <= month <= _DECEMBER:
        raise ValueError(month)
    if (match.groupdict().get("which") or "").lower() == "last":  # the last June there was, not June of last year
        year = None if month != today.month else today.year - 1
    if year is None:
        year = today.year - (month > today.month)
    return _month(year, month)


def _in_season(match: re.Match[str], today: date) -> Days:
    first, year = _SEASONS[match["season"].lower()], _year(match, today)
    which = (match.groupdict().get("which") or "").lower()
    if year is None or which == "last":
        over = _month(today.year, first, 3)[1] <= today  # "last summer": the last one that has ended
        year = today.year - (not over and (which == "last" or first > today.month))
    return _month(year, first, 3)


def _ago(match: re.Match[str], today: date) -> Days:
    """A number of weeks ago is about that long ago; months and years are those of the calendar."""
    said, unit = match["count"].lower(), match["unit"].lower()
    least, most = _FEW[said] if said in _FEW else (_number(said),) * 2
    if unit in ("month", "个月"):
        return _month(today.year, today.month - most, most - least + 1)
    if unit in ("year", "年"):
        return date(today.year - most, 1, 1), date(today.year - least + 1, 1, 1)
    days, slack = (1, 0) if unit in ("day", "天") else (7, 3)
    return today - timedelta(days=most * days + slack), today - timedelta(days=least * days - slack) + _DAY


def _weekday(match: re.Match[str], today: date) -> Days:
    """The last such day before today."""
    wanted = [name[:3] for name in WEEKDAYS].index(match["weekday"][:3].lower())
    return _one(today - timedelta(days=(today.weekday() - wanted - 1) % 7 + 1))


def _chinese_weekday(match: re.Match[str], today: date) -> Days:
    """上周三 is Wednesday of the week before this one, 这周三 of this one, 周三 the last one that had come."""
    wanted = min(_CHINESE_WEEKDAYS.index(match["weekday"]), 6)
    which = match["week"] or ""
    if which:
        return _one(_monday(today, -which.count("上")) + timedelta(days=wanted))
    return _one(today - timedelta(days=(today.weekday() - wanted) % 7))


def _week(match: re.Match[str], today: date) -> Days:
    weeks = match["week"].lower()
    monday = _monday(today, -1 if weeks == "last" else -weeks.count("上"))
    return monday, monday + timedelta(days=7)


def _weekend(match: re.Match[str], today: date) -> Days:
    """Friday evening counts to it, so Friday does; 上周末 and "last weekend" are the last one that has begun."""
    week = (match["week"] or "").lower()
    this = week in ("this", "这", "这个", "本") or (not week and today.weekday() >= _SATURDAY)
    saturday = _monday(today, 0 if this else -1) + timedelta(days=_SATURDAY)
    return saturday, saturday + 2 * _DAY


def _relative(first: int, days: int = 1) -> Reader:
    return lambda _, today: (today - timedelta(days=first), today - timedelta(days=first) + days * _DAY)


def _months_back(months: int) -> Reader:
    return lambda _, today: _month(today.year, today.month - months)


def _years_back(years: int) -> Reader:
    return lambda _, today: (date(today.year - years, 1, 1), date(today.year - years + 1, 1, 1))


def _iso(match: re.Match[str], today: date) -> Days:  # noqa: ARG001 - as all rules
    return _one(date(int(match["year"]), int(match["month"]), int(match["day"])))


def _of_month(match: re.Match[str], today: date) -> Days:
    first, _ = _month(today.year, today.month - match["back"].count("上"))
    return _one(first.replace(day=_number(match["day"])))


def _whole_year(match: re.Match[str], today: date) -> Days:  # noqa: ARG001 - as all rules
    year = _number(match["year"])
    return date(year, 1, 1), date(year + 1, 1, 1)


_SPELLED: list[tuple[str, Reader]] = [
    (rf"\b{_Y}[-/.](?P<month>\d\d?)[-/.](?P<day>\d\d?)\b", _iso),
    (rf"\b{_D}\s+(?:of\s+)?{_MONTH}(?:,?\s+{_Y}\b)?", _date),
    (rf"\b{_MONTH}\s+(?:the\s+)?{_D}\b(?!:)(?:,?\s+{_Y}\b)?", _date),
    (rf"\b{_MONTH},?\s+(?:of\s+)?{_Y}\b", _in_month),
    (
        rf"\b(?:in|during|since|(?P<which>last|this))\s+(?:early\s+|mid-?\s*|late\s+)?{_MONTH}(?!,?\s+(?:of\s+)?\d)",
        _in_month,
    ),
    (rf"\b(?P<which>last|this)\s+{_SEASON}", _in_season),
    (rf"\b{_SEASON}\s+(?:of\s+)?{_Y}\b", _in_season),
    (rf"\b{_N}\s+(?P<unit>day|week|month|year)s?\s+ago\b", _ago),
    (r"\bthe\s+day\s+before\s+yesterday\b", _relative(2)),
    (r"\b(?:yesterday|last\s+night)\b", _relative(1)),
    (r"\b(?:today|this\s+morning|this\s+afternoon)\b", _relative(0)),
    (r"\b(?P<week>last|this)\s+weekend\b", _weekend),
    (r"\b(?P<week>last|this)\s+week\b", _week),
    (r"\blast\s+month\b", _months_back(1)),
    (r"\bthis\s+month\b", _months_back(0)),
    (r"\blast\s+year\b", _years_back(1)),
    (rf"\b(?:last|on|this\s+past|past)\s+{_WEEKDAY}", _weekday),
    (rf"\b(?:in|during|since|of)\s+{_Y}\b(?!\s*年)", _whole_year),
    (rf"{_ZY}的?{_ZM}(?:份的?)?(?P<day>{_ZH}{{1,3}})[日号]?", _date),
    (rf"{_ZM}(?:份的?)?(?P<day>{_ZH}{{1,3}})[日号]", _date),
    (rf"{_ZY}的?(?P<season>[春夏秋冬])[天季]?", _in_season),
    (rf"{_ZY}的?{_ZM}份?", _in_month),
    (r"(?P<back>上+|这|本)个?月(?P<day>[0-9〇零一二三四五六七八九十]{1,3})[日号]", _of_month),
    (r"上上个?月", _months_back(2)),
    (r"上个?月", _months_back(1)),
    (r"(?:这个|本)月", _months_back(0)),
    (r"前年", _years_back(2)),
    (r"去年", _years_back(1)),
    (r"(?P<year>(?:19|20)\d\d)年", _whole_year),
    (rf"(?P<count>{_ZH}{{1,3}}|几)(?P<unit>天|个?(?:星期|礼拜)|周|个月|年)(?:以|之)?前", _ago),
    (r"大前天", _relative(3)),
    (r"前(?:天|晚)", _relative(2)),
    (r"昨(?:天|日|晚|夜)", _relative(1)),
    (r"今(?:天|日|早|晨)", _relative(0)),
    (r"(?<![每各])(?P<week>上个?|这个?|本)?周末", _weekend),
    (
        rf"(?<![每各])(?P<week>上{{1,2}}个?|这个?|本)?{_ZWEEK}(?P<weekday>[{_CHINESE_WEEKDAYS}])(?![个次期年])",
        _chinese_weekday,
    ),
    (rf"(?P<week>上{{1,2}}个?|这个?|本){_ZWEEK}", _week),
    (rf"(?<![{_ZH[1:-1]}个]){_ZM}份?(?!{_ZH})", _in_month),
]

RULES = [(re.compile(pattern, re.IGNORECASE), read) for pattern, read in _SPELLED]
SOME = re.compile("|".join(re.sub(r"\(\?P<\w+>", "(?:", pattern) for pattern, _ in _SPELLED), re.IGNORECASE)
"""Any of the rules, asked at once: of the places that might begin a day, few do."""
ANY = re.compile(
    r"\b(?:\d|jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec|last|this|in\b|on\b|of\b|since|during|past|"
    r"spring|summer|autumn|fall|winter|an?\b|few|several|the\s+day|yesterday|today|one|two|three|four|five|six|"
    r"seven|eight|nine|ten|eleven|twelve)|[0-9〇零一二两三四五六七八九十几上这本前去今昨大周星礼]",
    re.IGNORECASE,
)
