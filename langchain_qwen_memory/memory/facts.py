"""Hard facts in a text, found by rule: ids, numbers with units, dates, names in quotes, links, likes and dislikes.

The rules know Chinese and English, digits rather than number words, and texts rather than code, which is passed over.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, TypeAlias

from langchain_qwen_memory.memory.wording import MONTH, about, normal

Kind: TypeAlias = Literal["wish", "id", "phone", "email", "url", "number", "date", "name"]
Speaker: TypeAlias = Literal["user", "assistant", "notes"]
"""Whose text it is; `notes`: an earlier summary, which speaks of the user in the third person."""

_WEIGHT: dict[Kind, int] = {
    "wish": 4, "id": 3, "phone": 3, "email": 3, "url": 3, "number": 2, "date": 2, "name": 1,
}  # fmt: skip
_CLAUSE = 48
"""Characters of a fact with the words around it; a longer value stands alone."""
_LONGEST = 300
"""Characters of a value: no rule takes more, so that no ledger is filled by one link."""
_WISH_LENGTH = {"zh": range(3, 41), "en": range(6, 101)}
"""Characters of a clause that is taken for a wish."""

_UNITS = (
    r"%|‰|℃|°C|万?元|万?块|万|亿元?|万?(?:美元|欧元|日元|英镑|港币|人民币)|公斤|千克|毫克|克|斤|吨|毫升|升|厘米|毫米|"
    r"公里|千米|平方米|平米|英寸|米|度|岁|年|个月|周|天|小时|分钟|秒|次|个|人|位|件|份|台|箱|盒|瓶|杯|楼|层|页|折|倍|"
    r"期|名|套|张|本|只|条|(?:[KMGT]B|[mk]?g|[kcm]?m|m?[lL]|k?W|mAh|px|Hz|USD|CNY|RMB|EUR|GBP|percent|dollars?|yuan|"
    r"euros?|pounds?|kilos?|grams?|lit(?:er|re)s?|met(?:er|re)s?|miles?|feet|inch(?:es)?|years?(?: old)?|months?|"
    r"weeks?|days?|hours?|minutes?|seconds?|times|people|persons|guests|pieces|pages)(?![A-Za-z])"
)
_DAYTIME = r"(?:凌晨|清晨|早上|早晨|上午|中午|下午|傍晚|晚上|今晚|明早|明晚|夜里)"
_PATTERNS: tuple[tuple[Kind, re.Pattern[str]], ...] = (
    ("url", re.compile(r"https?://[^\s<>\"'“”‘’，。；、！？（）【】《》「」]{3,290}(?<![.,;:!?)\]])")),
    ("email", re.compile(r"(?<![\w.+-])[\w.+-]{1,64}@[\w-]{1,64}(?:\.[\w-]{1,32}){1,4}", re.ASCII)),
    (
        "date",
        re.compile(
            r"(?<!\d)(?:19|20)\d{2}[-/.]\d{1,2}[-/.]\d{1,2}(?!\d)"
            r"|(?<!\d)(?:\d{4}年)?\d{1,2}月(?:\d{1,2}[日号])?|(?<!\d)(?:19|20)\d{2}年"
            r"|(?:下下|上上|[下上本这])?个?(?:周|星期|礼拜)[一二三四五六日天末](?!年)"
            rf"|{_DAYTIME}\d{{1,2}}[点时](?:半|一刻|\d{{1,2}}分?)?|(?<!\d)\d{{1,2}}点(?:半|一刻|\d{{1,2}}分)"
            r"|(?<![\d:.])\d{1,2}[::]\d{2}(?::\d{2})?(?:\s?[ap]\.?m\b)?(?![\d:])|(?<![\d.])\d{1,2}\s?[ap]\.?m\b"
            rf"|\b{MONTH}\.?\s+\d{{1,2}}(?:st|nd|rd|th)?(?!\d)(?:,?\s+\d{{4}})?"
            rf"|(?<!\d)\d{{1,2}}(?:st|nd|rd|th)?\s+(?:of\s+)?{MONTH}\b(?:,?\s+\d{{4}})?"
            r"|\b(?:(?:next|last|this)\s+)?(?:mon|tues|wednes|thurs|fri|satur|sun)day\b",
            re.IGNORECASE,
        ),
    ),
    (
        "phone",
        re.compile(
            r"(?<![\d-])(?:\+\d{1,3}[ -]?)?1[3-9]\d[ -]?\d{4}[ -]?\d{4}(?!\d)"
            r"|(?<![\d-])0\d{2,3}-\d{7,8}(?!\d)|(?<![\d-])[48]00-\d{3,4}-\d{3,4}(?!\d)"
            r"|\+\d{1,3}(?:[ -]\d{2,4}){2,5}(?!\d)"
        ),
    ),
    (
        "id",
        re.compile(
            r"(?<![A-Za-z0-9_-])(?:[A-Z][A-Za-z]{0,9}[-_]?\d{2,}[A-Za-z0-9_-]*|[a-z]{1,10}[-_]\d{2,}[A-Za-z0-9_-]*"
            r"|(?=[A-Z-]*\d)[A-Z0-9]{1,12}(?:-[A-Z0-9]{1,12}){1,6})(?<![-_])|#\d{2,}|(?<![\d.,])\d{6,20}(?![\d,]|\.\d)"
        ),
    ),
    (
        "number",
        re.compile(
            rf"[¥￥$€£]\s?\d[\d,]*(?:\.\d+)?(?:\s?(?:万|亿|[kKmM]\b|million|billion))?"
            rf"|(?<![A-Za-z\d.,第])\d[\d,]*(?:\.\d+)?\s?(?:{_UNITS})"
        ),
    ),
    (
        "name",
        re.compile(r"《[^《》\n]{1,40}》|「[^「」\n]{1,40}」|『[^『』\n]{1,40}』|“[^“”\n]{1,30}”|\"[^\"\n]{2,30}\""),
    ),
)
_CODE = re.compile(r"```.*?(?:```|\Z)", re.DOTALL)
_BORDER = re.compile(r"[。！？!?；;，\n]|,(?!\d)|\.(?=\s|\Z)")
_SENTENCES = re.compile(r"[^。！？!?；;\n]+?(?:[。！？!?；;\n]|\.(?=\s|\Z)|\Z)")
_PARTS = re.compile(r"[，、,]")
_AND_EN = re.compile(r",?\s+(?:and|but)\s+(?=(?:i|we|my|he|she|they)\b)", re.IGNORECASE)

_WISH_ZH = re.compile(
    r"过敏|忌口|不吃|不喝|不要(?!紧)|不想|不喜欢|不爱|不能|不用(?!谢)|不再|不抽|从不|从来不|(?<![特区分级个性告])别(?![人的墅])"
    r"|讨厌|喜欢|爱吃|爱喝|爱看|偏好|偏爱|最爱|习惯|只(?:吃|喝|要|用|看)|千万|务必|必须|一定要|吃素|受不了"
)
_WISH_EN = re.compile(
    r"\b(?:do(?:es)?n't|do(?:es)? not|never|can't|cannot|won't|no longer|allerg(?:ic|y)|prefers?|favou?rite|hates?|"
    r"dislikes?|avoids?|loves?|likes?|vegan|vegetarian|intoleran\w+|must|always)\b",
    re.IGNORECASE,
)
_SELF_EN = re.compile(r"\b(?:i|my|me|we|our|please)\b", re.IGNORECASE)
_NO_WISH = re.compile(
    r"[?？]\s*\Z|[吗呢]\W*\Z|什么|怎么|哪[些个里]|多少|能不能|是不是|要不要|如何|为什么|不好意思"
    r"|\b(?:don't|do not|can't|cannot) (?:know|think|understand|see|remember|believe)\b|(?:would|'d) (?:like|love)\b",
    re.IGNORECASE,
)
_CHANGED = re.compile(
    r"(?:\s|[:：=]|改为|改成|改到|变成|变为|调整?[为到]|提高到|降到|涨到|定[在为]|现在|是|为|is|are|was|now|changed|set|moved)+(?:\s|大?约|to|about)*\Z",
    re.IGNORECASE,
)
_OPENING = re.compile(
    r"\A(?:\s|我们?的?|现在的?|目前|把|将|那么?|其实|my\b|our\b|the\b|now\b|so\b|well\b|and\b|but\b)+", re.IGNORECASE
)


_GLUED = re.compile(r"[\w.@:/+#'-]{2}", re.ASCII)
"""Two characters between which nothing may be cut."""


@dataclass(frozen=True, slots=True)
class Fact:
    """One thing that must not get lost."""

    kind: Kind
    """What it is."""
    value: str
    """The thing itself, as it was written."""
    clause: str
    """A few words around it, to be kept where the value alone says little."""
    weight: int
    """How specific it is; what is less so goes first."""
    label: str = ""
    """What the value is of, or what a wish is about; empty where it cannot be told."""
    replaces: bool = False
    """Whether it is said as the one value of its label ("is now ..."), so that older ones no longer hold."""

    @property
    def identity(self) -> tuple[str, str]:
        """Equal for facts that say the same."""
        return self.kind, normal(self.value)


def facts_in(text: str, speaker: Speaker) -> Iterator[Fact]:
    """The facts of a text; those found by one rule in the order in which they are said."""
    text = _CODE.sub("\n", text.replace("’", "'"))
    if speaker != "assistant":
        yield from _wishes(text, speaker)
    own = speaker == "user"
    rest = text
    for kind, pattern in _PATTERNS:
        for match in pattern.finditer(rest):
            if len(match[0]) <= _LONGEST:
                yield _valued(kind, text, match.start(), match.end(), own=own)
        rest = pattern.sub(lambda match: "\0" * len(match[0]), rest)


def _valued(kind: Kind, text: str, start: int, end: int, *, own: bool) -> Fact:
    left = max(
        (border.end() for border in _BORDER.finditer(text, max(0, start - 200), start)), default=max(0, start - 200)
    )
    border = _BORDER.search(text, end)
    right = min(border.start() if border else len(text), end + 200)
    before = text[left:start]
    changed = _CHANGED.search(before)
    label = _OPENING.sub("", before[: changed.start()] if changed else before)
    single = kind in ("number", "date", "phone", "email") and bool(label.strip())
    return Fact(
        kind=kind,
        value=text[start:end].strip(),
        clause=_around(text, left, start, end, right),
        weight=2 * _WEIGHT[kind] + own,
        label=normal(label) if single else "",
        replaces=single and changed is not None and bool(changed[0].strip()),
    )


def _around(text: str, left: int, start: int, end: int, right: int) -> str:
    """The clause, or as much of it around the value as is short; half of a word or number would say something else."""
    spare = _CLAUSE - (end - start)
    if spare <= 0:
        return text[start:end].strip()
    first, last = left, right
    if right - left > _CLAUSE:
        first = max(left, start - spare // 2)
        last = min(right, end + spare - (start - first))
        while left < first < start and _GLUED.match(text, first - 1):
            first += 1
        while end < last < right and _GLUED.match(text, last - 1):
            last -= 1
    around = text[first:start].lstrip("、，, "), text[start:end], text[end:last].rstrip("、，, ")
    return " ".join("".join(around).split())


def _wishes(text: str, speaker: Speaker) -> Iterator[Fact]:
    for sentence in _SENTENCES.findall(text):
        for part in _parts(sentence):
            words = part.strip(" \t\n。！？!?；;，,.-*•")
            chinese = bool(_WISH_ZH.search(words))
            english = bool(_WISH_EN.search(words)) and (speaker == "notes" or bool(_SELF_EN.search(words)))
            short = len(words) in _WISH_LENGTH["zh" if chinese else "en"]
            if (chinese or english) and short and not _NO_WISH.search(part):
                yield Fact("wish", words, words, 2 * _WEIGHT["wish"] + (speaker == "user"), about(words), replaces=True)


def _parts(sentence: str) -> list[str]:
    """Chinese clauses stand between commas; English ones may hold commas ("I don't eat nuts, eggs or milk")."""
    if not _WISH_ZH.search(sentence):
        return _AND_EN.split(sentence)
    parts = _PARTS.split(sentence)
    ending = sentence[-1] if sentence[-1] in "?？" else ""
    return [part + ending * (part is not parts[-1]) for part in parts]
