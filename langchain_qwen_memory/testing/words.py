"""What the stand-in knows of language: sentences, and the terms by which question and sentence are compared."""

import re
from collections.abc import Mapping
from functools import lru_cache

SPEAKER = re.compile(r"^(?:[-*•]\s*)?(user|human|用户|assistant|ai|助手|tool|工具)\s*[:：]\s*", re.IGNORECASE)
"""Who says a line, where a transcript is quoted."""

_SENTENCE = re.compile(r"(?:[^\n。！？!?；;.]|\.(?=\S))*[。！？!?；;.]*")
_WORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9_'’-]*")
_OTHER_LETTERS = re.compile(r"[^\W\d_a-zA-Z]+")
_HAN = re.compile(r"[\u3400-\u4dbf\u4e00-\u9fff]")
_KANA = re.compile(r"[\u3040-\u30ff]")
_ASKING = re.compile(
    r"[?？]\s*$|什么|多少|哪|谁|[吗呢]\s*$|怎么|为何|几[个点号岁天次位]|告诉我|提醒我"
    r"|^\W*(?:what|who|whom|whose|where|when|which|why|how|is|are|was|were|do|does|did|can|could)\b"
    r"|^\W*(?:please )?(?:tell|remind) me\b",
    re.IGNORECASE,
)
_FILLER = re.compile(
    r"什么|多少|哪[里儿个位些天]?|怎么样|怎么|为什么|请问|告诉|提醒|一下|还记得|记得|知道|回答"
    r"|现在|今天|明天|昨天|[吗呢吧啊呀谁几请]"
)
_SAME = (
    (re.compile(r"用户(?=[叫住]|的)"), "我"),
    (re.compile(r"我的(?:名字|姓名)"), "我叫"),
    (re.compile(r"名字|姓名|称呼|叫做"), "叫"),
    (re.compile(r"电话号码|手机号码|手机号"), "电话"),
    (re.compile(r"\b(?:the )?user's\b", re.IGNORECASE), "my"),
    (re.compile(r"\b(?:the )?user is\b", re.IGNORECASE), "I am"),
    (re.compile(r"\bmy name\b|\bi(?:'m| am) (?:called|named)\b|\bcall me\b", re.IGNORECASE), "my-name"),
)
"""Ways of saying the same, the third person of a summary among them -> one of them."""
_FUNCTION = re.compile(r"[的了是在对和与把被给跟也都就要会能有这那着过个叫住我你您他她它们]")
_NAMED = re.compile(r"[叫住]")
_STOP = frozenset(
    re.findall(
        r"\S+",
        "a an and any are about am as at be been being but by can could did do does for from had has have he her his "
        "how i if in into is it its me my of on or our please remember said say she should so some tell that the "
        "their them then there they this to us was we were what when where which who whom whose why will with would "
        "you your i'm i've it's that's what's who's know again now just use using call today tomorrow like",
    )
)
_SAME_STEM = {"call": "nam", "phon": "teleph", "mobil": "teleph"}
_WHOLE_STEM, _SHORTEST_STEM = 6, 3


def language(text: str) -> str:
    """Returns "zh" for a text with Chinese characters and no kana, else "en"."""
    return "zh" if _HAN.search(text) and not _KANA.search(text) else "en"


@lru_cache(maxsize=4096)
def sentences(text: str) -> tuple[str, ...]:
    """The sentences of a text; a full stop inside a number, an id or an address ends none."""
    return tuple(found for match in _SENTENCE.finditer(text) if (found := match.group().strip()))


def asks(sentence: str) -> bool:
    """Whether a sentence asks for something."""
    return bool(_ASKING.search(sentence))


def words(text: str) -> list[str]:
    """The words of a text in Latin letters or digits, as they are written."""
    return _WORD.findall(text)


def stem(word: str) -> str:
    """Folds the forms of one English word: its first six letters without an ending. Ids stay whole."""
    word = word.lower().replace("’", "'").removesuffix("'s")
    if any(char.isdigit() for char in word):
        return word
    for ending in ("ing", "ed", "es", "s"):
        if word.endswith(ending) and len(word) - len(ending) >= _SHORTEST_STEM:
            word = word.removesuffix(ending)
            break
    word = word.removesuffix("e")[:_WHOLE_STEM]
    return _SAME_STEM.get(word, word)


def is_stop(word: str) -> bool:
    """Whether an English word says nothing about the subject."""
    return word.lower().replace("’", "'") in _STOP


@lru_cache(maxsize=65536)
def terms(text: str) -> Mapping[str, float]:
    """The terms of a text and what each weighs; not to be changed by the caller.

    Latin words weigh 1. Chinese has no word borders: pairs of neighbouring characters weigh 1, single ones 0.3,
    or 1 where they stand alone between function words. 叫 and 住, with which one asks for names and places, weigh
    0.5, and 我叫 another 0.6, so that the name of a cat is no answer to "我叫什么".
    """
    found: dict[str, float] = {}
    for pattern, same in _SAME:
        text = pattern.sub(same, text)
    for word in words(text):
        if not is_stop(word):
            found.setdefault(stem(word), 1.0)
    rest = _FILLER.sub(" ", text)
    for run in _OTHER_LETTERS.findall(_FUNCTION.sub(" ", rest)):
        for at, char in enumerate(run):
            found.setdefault(char, 1.0 if len(run) == 1 else 0.3)
            if at:
                found.setdefault(run[at - 1 : at + 1], 1.0)
    for match in _NAMED.finditer(rest):
        found.setdefault(match[0], 0.5)
    if "我叫" in rest:
        found["我叫"] = 0.6
    return found or {word.lower(): 1.0 for word in words(text)}


def leftover(text: str, known: Mapping[str, float]) -> str:
    """The words of a text that are neither function words nor among the known terms, as they are written."""
    latin = [word for word in words(text) if not is_stop(word) and stem(word) not in known]
    rest = _FUNCTION.sub(" ", _FILLER.sub(" ", text))
    for term in known:
        if len(term) > 1 and not term.isascii():
            rest = rest.replace(term, " ")
    others = [run for run in _OTHER_LETTERS.findall(rest) if len(run) > 1]
    return " ".join(filter(None, [" ".join(latin), "、".join(others)]))
