"""The stand-in's summaries: the sentences of a conversation that carry names, numbers and ids, in their order."""

import re
from collections.abc import Callable, Sequence

from langchain_qwen_memory.testing.request import Said
from langchain_qwen_memory.testing.words import asks, language, sentences, terms

_SUMMARY = re.compile(r"摘要|总结|概括|归纳|summar(?:y|ies|i[sz]e|i[sz]ing)|condense|distil", re.IGNORECASE)
_ORDER = re.compile(
    r"更新|编写|撰写|写|生成|整理|概括|总结|归纳|合并|扩展|输出|提取"
    r"|\b(?:create|write|update|extend|merge|produce|generate|make|give|summari[sz]e|condense|distil|extract|fold)\b",
    re.IGNORECASE,
)
_LIMIT = re.compile(
    r"(?:不超过|最多|at most|no more than|within|under|up to)\s*(\d+)\s*(字|词|words?|characters?|tokens?)"
)
_FACT = re.compile(r"\d|[A-Z]{2,}|\b[A-Z][a-z]+\b(?<!^.)|[“”「」《》\"]")
_SELF = re.compile(r"我|\b(?:I|I'm|my|me|we|our|user)\b|用户")
_LEAD = re.compile(r"^\s*(?:[-*•]|\d+[.)、])\s*")
_MARKUP = re.compile(r"^\s*</?[\w -]+/?>\s*$")


def wanted(said: Sequence[Said]) -> bool:
    """Whether the newest message orders a summary.

    It does if it is not from a tool or the assistant and one of its sentences both names a summary ("摘要", "总结",
    "summary", "summarize" ...) and orders something ("写", "更新", "write", "update", "create", "extend" ...) without
    asking a question.
    """
    last = said[-1]
    return last.role in ("user", "system") and any(_orders(sentence) for sentence in _lines(last.text))


def _orders(sentence: str) -> bool:
    return bool(_SUMMARY.search(sentence) and _ORDER.search(sentence)) and not sentence.rstrip().endswith(
        ("?", "？")
    )


def _lines(text: str) -> list[str]:
    return [_LEAD.sub("", one) for one in sentences(text) if not _MARKUP.match(one)]


def summary(said: Sequence[Said], *, limit: int | None, count: Callable[[str], int]) -> str:
    """An extract of the conversation: its most telling sentences, in the order in which they were said.

    Args:
        said: The messages; what the newest says beside its order is material too.
        limit: Tokens; None: a quarter of the material, at least 200.
        count: Counts the tokens of a text.
    """
    material = [(one.role, line) for one in said for line in _lines(one.text)]
    orders = {line for line in _lines(said[-1].text) if _orders(line)}
    stated = [(role, line) for role, line in material if line not in orders and not asks(line)]
    room = limit or max(200, sum(count(line) for _, line in stated) // 4)
    if told := _LIMIT.search(said[-1].text):
        room = min(room, int(told[1]))
    kept: set[int] = set()
    seen: set[frozenset[str]] = set()
    for index in sorted(range(len(stated)), key=lambda at: (-_worth(*stated[at]), at)):
        what, cost = frozenset(terms(stated[index][1])), count(stated[index][1]) + 2
        if cost <= room and what and what not in seen:
            kept.add(index)
            seen.add(what)
            room -= cost
    lines = [f"- {stated[index][1]}" for index in sorted(kept)]
    return "\n".join(lines) or (
        "没有可摘要的内容。" if language(said[-1].text) == "zh" else "Nothing to summarise."
    )


def _worth(role: str, line: str) -> float:
    """What a sentence is worth keeping for: facts and first persons, said by the user, short."""
    facts = min(len(_FACT.findall(line)), 4)
    return facts + 2 * bool(_SELF.search(line)) + (1.5 if role in ("user", "system") else 0) - len(line) / 200
