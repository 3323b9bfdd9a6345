"""The stand-in's summaries: the sentences of a conversation that carry names, numbers and ids, in their order."""

import re
from collections.abc import Callable, Iterator, Sequence

from langchain_qwen_memory.testing.request import Said
from langchain_qwen_memory.testing.words import SPEAKER, asks, language, sentences, terms

_SUMMARY = re.compile(r"摘要|总结|概括|归纳|summar(?:y|ies|i[sz]e|i[sz]ing)|condense|distil", re.IGNORECASE)
_ORDER = re.compile(
    r"更新|写|生成|整理|概括|总结|归纳|合并|扩展|输出|提取"
    r"|\b(?:create|write|update|extend|merge|produce|generate|make|give|summari[sz]e|condense|distil|extract|fold)\b",
    re.IGNORECASE,
)
_LIMIT = re.compile(
    r"(?:不超过|最多|at most|no more than|within|under|up to)\s*([\d,]+)\s*(?:字|词|words?|characters?|tokens?)",
    re.IGNORECASE,
)
_FACT = re.compile(r"\d|[A-Z]{2,}|(?<!^)\b[A-Z][a-z]+|[“”「」《》\"]")
_SELF = re.compile(r"我|用户|\b(?:I|I'm|my|me|we|our|user)\b")
_BLOCK = re.compile(r"<(\w+)(?:\s[^>]*)?>\n?(.*?)</\1(?:\s[^>]*)?>", re.DOTALL)
_ITEM = re.compile(r"^\s*(?:[-*•]|\d+[.)、])\s+")
_PARAGRAPH = re.compile(r"\n\s*\n")
_LEAST_WORTH = 1.0
_ROOM = 200


def wanted(said: Sequence[Said]) -> bool:
    """Whether the newest message orders a summary.

    It does if it comes from the user or the system and one of its sentences both names a summary (摘要, 总结,
    summary, summarize ...) and orders something (写, 更新, write, update, create, extend ...) without asking.
    """
    return said[-1].role in ("user", "system") and any(map(_orders, sentences(said[-1].text)))


def _orders(sentence: str) -> bool:
    return bool(_SUMMARY.search(sentence) and _ORDER.search(sentence)) and not sentence.endswith(("?", "？"))


def summary(said: Sequence[Said], *, limit: int | None, count: Callable[[str], int]) -> str:
    """An extract of the conversation: its most telling sentences, in the order in which they were said.

    Material is what user and assistant said, what a system text quotes (in `<tags>` or as list items), and what
    the ordering message holds beside the paragraph with its order.

    Args:
        said: The messages, the one with the order last.
        limit: Tokens at most; None: a quarter of the material, at least 200. A length stated in the order counts.
        count: Counts the tokens of a text.
    """
    stated = list(_distinct(_material(said)))
    costs = [count(line) + 2 for _, line in stated]
    room = limit or max(_ROOM, sum(costs) // 4)
    if told := _LIMIT.search(said[-1].text):
        room = min(room, int(told[1].replace(",", "")))
    kept = []
    for index in sorted(range(len(stated)), key=lambda at: (-_worth(*stated[at]), at)):
        if costs[index] <= room and _worth(*stated[index]) >= _LEAST_WORTH:
            kept.append(index)
            room -= costs[index]
    lines = [f"- {stated[index][1]}" for index in sorted(kept)]
    empty = "没有可摘要的内容。" if language(said[-1].text) == "zh" else "Nothing to summarise."
    return "\n".join(lines) or empty


def _material(said: Sequence[Said]) -> Iterator[tuple[str, str]]:
    """Who said it, and each sentence that states something."""
    for number, one in enumerate(said):
        text = one.text
        if one.role == "system":
            text = _quoted(text)
        elif number == len(said) - 1:
            text = "\n\n".join(part for part in _PARAGRAPH.split(text) if not any(map(_orders, sentences(part))))
        for sentence in sentences(text):
            speaker, line = SPEAKER.match(sentence), SPEAKER.sub("", _ITEM.sub("", sentence))
            role = speaker[1].lower() if speaker else one.role
            if line and not asks(line) and not line.endswith((":", "：")):
                yield {"human": "user", "用户": "user", "助手": "assistant", "ai": "assistant"}.get(role, role), line


def _quoted(text: str) -> str:
    """What a system text quotes: the contents of its tags, or its list items."""
    blocks = [match[2] for match in _BLOCK.finditer(text)]
    return "\n".join(blocks) if blocks else "\n".join(filter(_ITEM.match, text.split("\n")))


def _distinct(lines: Iterator[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    """Drops what was said before, and what only repeats a sentence with a few words around it."""
    seen: list[frozenset[str]] = []
    for role, line in lines:
        held = frozenset(terms(line))
        again = any(held <= one or (role == "assistant" and one <= held) for one in seen[-_ROOM:])
        if held and not again:
            seen.append(held)
            yield role, line


def _worth(role: str, line: str) -> float:
    """What a sentence is worth keeping for: facts, first persons, said by the user, short."""
    mine = role in ("user", "system")
    return min(len(_FACT.findall(line)), 4) + 2 * (mine and bool(_SELF.search(line))) + mine - len(line) / 200
