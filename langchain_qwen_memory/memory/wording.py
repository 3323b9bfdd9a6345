"""Compares what two texts say: values written in other ways, likes and dislikes in other words."""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

MONTH = (
    r"(?:jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?|"
    r"oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)"
)
"""An English month, long or short; for texts in lower case, or with `re.IGNORECASE`."""
_MONTHS = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_DENIES = re.compile(
    r"不|没|勿|(?<![特区分级个性告])别(?![人的墅])|过敏|讨厌|忌|n't\b|\b(?:not|never|no|cannot|without|allerg\w+|hates?|"
    r"dislikes?|avoids?)\b",
    re.IGNORECASE,
)
_IDLE_ZH = re.compile(r"我们?|咱们?|本人|用户|其实|也|都|很|非常|最|太|特别|真的|比较|了|的|请|是|在|会|说|[一-鿿]称")
_VERB_ZH = re.compile(r"不|没|别|再|喜欢|爱|讨厌|过敏|对|吃|喝|要|想|用|能|已经?|现在|经")
_ALLERGY = re.compile(r"过敏|allerg", re.IGNORECASE)
_IDLE_EN = frozenset(
    re.findall(
        r"\S+",
        "i i'm my me we our the a an is am are was be been user he she they his her their to of any anymore more now "
        "it this that very really so also and but please do does don't doesn't not never no cannot can't won't says",
    )
)
_VERB_EN = frozenset(("like", "love", "prefer", "hate", "dislike", "avoid", "allergic", "allergy", "eat", "drink"))

_HAN = re.compile(r"[\u3400-\u9fff]+")
_LATIN = re.compile(r"[a-z0-9][a-z0-9'-]*")


def denies(words: str) -> bool:
    """Whether a clause says no: by an odd number of negations, "allergic" being one."""
    return len(_DENIES.findall(words)) % 2 == 1


def about(words: str) -> str:
    """What a wish is about, without who and how: "我不喜欢龙井了" and "我喜欢龙井" are both about "龙井".

    An allergy is a matter of its own: nobody loses it by coming to like something.
    """
    allergy = "!" if _ALLERGY.search(words) else ""
    latin = sorted(set(_latin(words)) - {_stem(verb) for verb in _VERB_EN})
    return "".join(_HAN.findall(_VERB_ZH.sub("", _IDLE_ZH.sub("", words)))) + " ".join(latin) + allergy


def _latin(words: str) -> list[str]:
    found = _LATIN.findall(unicodedata.normalize("NFKC", words).lower())
    return [_stem(word) for word in found if word not in _IDLE_EN]


_STEM = 3
"""Letters of a word that an ending leaves at least."""


def _stem(word: str) -> str:
    for ending in ("ing", "ies", "es", "ed", "s", "e"):
        if word.endswith(ending) and len(word) >= len(ending) + _STEM:
            return word[: -len(ending)]
    return word


def terms(words: str) -> set[str]:
    """What a clause says, comparable: pairs of Chinese characters and stems of other words, without idle ones."""
    runs = _HAN.findall(_IDLE_ZH.sub("", words))
    return {run[at : at + 2] for run in runs for at in range(max(1, len(run) - 1))} | set(_latin(words))


@lru_cache(maxsize=1024)
def normal(text: str) -> str:
    """A text comparable: width, case, spaces, thousands separators, forms of dates and of money are evened out."""
    text = unicodedata.normalize("NFKC", text).lower()
    text = re.sub(r"(?<=\d),(?=\d{3}(?!\d))", "", text)
    text = re.sub(rf"\b({MONTH})\.?\s+(\d{{1,2}})(?:st|nd|rd|th)?(?!\d)(?:,?\s+(\d{{4}}))?", _month_first, text)
    text = re.sub(rf"(?<!\d)(\d{{1,2}})(?:st|nd|rd|th)?\s+(?:of\s+)?({MONTH})\b(?:,?\s+(\d{{4}}))?", _day_first, text)
    text = re.sub(r"(?<!\d)(\d{4})[年/.-](\d{1,2})[月/.-](\d{1,2})(?!\d)[日号]?", _ymd, text)
    text = re.sub(r"(?<!\d)(\d{1,2})月(\d{1,2})(?!\d)[日号]?", lambda found: f"-{int(found[1])}-{int(found[2])}", text)
    text = re.sub(r"¥\s?(\d+(?:\.\d+)?万?)", r"\1元", text)
    text = re.sub(r"(\d万?)(?:块钱?|rmb|cny|人民币)", r"\1元", re.sub(r"\s+", "", text))
    return text.strip('《》「」『』“”"')


def _ymd(found: re.Match[str]) -> str:
    return f"{found[1]}-{int(found[2])}-{int(found[3])}"


def _month_first(found: re.Match[str]) -> str:
    return f"{found[3] or ''}-{_MONTHS.index(found[1][:3]) + 1}-{int(found[2])}"


def _day_first(found: re.Match[str]) -> str:
    return f"{found[3] or ''}-{_MONTHS.index(found[2][:3]) + 1}-{int(found[1])}"
