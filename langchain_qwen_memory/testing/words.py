"""What the stand-in knows of language: sentences, and the terms by which a question and a sentence are compared."""

import re
from collections.abc import Mapping
from functools import lru_cache

_SENTENCE = re.compile(r"[^\n。！？!?；;.]*(?:[.](?=\S)[^\n。！？!?；;.]*)*[。！？!?；;.]*")
_WORD = re.compile(r"[A-Za-z0-9][A-Za-z0-9_'’-]*")
_OTHER_LETTERS = re.compile(r"[^\W\d_a-zA-Z]+")
_HAN = re.compile(r"[\u3400-\u4dbf\u4e00-\u9fff]")
_KANA = re.compile(r"[\u3040-\u30ff]")
_ASKING = re.compile(
    r"[?？]\s*$|什么|多少|哪[里儿个位些]?|谁|[吗呢]\s*$|怎么|为何|几[个点号岁天次位]|告诉我|提醒我"
    r"|^\W*(?:what|who|whom|whose|where|when|which|why|how|is|are|was|were|do|does|did|can|could|tell me|remind me)\b",
    re.IGNORECASE,
)
_FILLER = re.compile(
    r"什么|多少|哪里|哪儿|哪个|怎么样|怎么|为什么|请问|告诉|提醒|一下|还记得|记得|知道|现在|[吗呢吧啊呀哪谁几请]"
)
_FUNCTION = re.compile(r"[的了是在对和与把被给跟也都就要会能有这那着过个我你您他她它们]")
_PRONOUN = re.compile(r"[我你您他她它]([\u4e00-\u9fff])")
_STOP = frozenset(
    "a an and are about am as at be been being but by can could did do does for from had has have he her his how i if in "
    "into is it its me my of on or our please remember said say she should so tell that the their them then there they "
    "this to us was we were what when where which who whom whose why will with would you your i'm i've it's that's what's "
    "who's know again now just".split()
)


def language(text: str) -> str:
    """ "zh" for a text with Chinese characters and no kana, else "en"."""
    return "zh" if _HAN.search(text) and not _KANA.search(text) else "en"


@lru_cache(maxsize=4096)
def sentences(text: str) -> tuple[str, ...]:
    """The sentences of a text; a full stop inside a number, an id or an address ends none."""
    return tuple(found for found in (match.strip() for match in _SENTENCE.findall(text)) if found)


def asks(sentence: str) -> bool:
    """Whether a sentence asks for something."""
    return bool(_ASKING.search(sentence))


def _stem(word: str) -> str:
    """Folds the forms of one English word: its first six letters without an ending. Ids stay whole."""
    word = word.lower().replace("’", "'").removesuffix("'s")
    if any(char.isdigit() for char in word):
        return word
    for ending in ("ing", "ed", "es", "s"):
        if word.endswith(ending) and len(word) - len(ending) >= 3:
            word = word.removesuffix(ending)
            break
    return word.removesuffix("e")[:6]


def words(text: str) -> list[str]:
    """The words of a text in Latin letters or digits, as they are written."""
    return _WORD.findall(text)


@lru_cache(maxsize=65536)
def terms(text: str) -> Mapping[str, float]:
    """The terms of a text and what each weighs.

    Latin words weigh 1. Chinese has no word borders: pairs of neighbouring characters weigh 1, single ones 0.3, or 1
    where they stand alone between function words ("我叫什么" is about 叫). A pronoun with its neighbour adds 0.5.
    """
    found: dict[str, float] = {}
    for word in words(text):
        if word.lower().replace("’", "'") not in _STOP:
            found.setdefault(_stem(word), 1.0)
    rest = _FILLER.sub(" ", text)
    for run in _OTHER_LETTERS.findall(_FUNCTION.sub(" ", rest)):
        for at, char in enumerate(run):
            found.setdefault(char, 1.0 if len(run) == 1 else 0.3)
            if at:
                found.setdefault(run[at - 1 : at + 1], 1.0)
    for match in _PRONOUN.finditer(rest):
        if not _FUNCTION.match(match[1]):
            found.setdefault(match[0], 0.5)
    return found or {word.lower(): 1.0 for word in words(text)}


def leftover(text: str, known: Mapping[str, float]) -> str:
    """The words of a text that are neither function words nor among the known terms, as they are written."""
    latin = [word for word in words(text) if word.lower() not in _STOP and _stem(word) not in known]
    runs = _OTHER_LETTERS.findall(_FUNCTION.sub(" ", _FILLER.sub(" ", text)))
    pairs = [term for term in known if len(term) > 1 and not term.isascii()]
    others = [run for run in runs if not any(pair in run for pair in pairs)]
    for run in runs:
        kept = run
        for pair in pairs:
            kept = kept.replace(pair, " ")
        if run not in others:
            others.extend(part for part in kept.split() if len(part) > 1)
    return " ".join([*latin, *others])
