"""The ledger: facts that a summary leaves out are kept beside it, word for word, as long as there is room.

Facts are found by rule in what user and assistant said, in the summary that stood before and in the ledger itself, so
that nothing gets lost by being summarised again. Tool results are not searched: what matters of them is in the answer.

Of two values that are said to be of one thing ("the budget is 3000 USD", "the budget is now 5000 USD") the newest
counts, and of two clauses that say opposite things of the same ("I like tea", "I don't like tea any more"). All other
facts stand side by side. When the room is full, the least specific go first, and the oldest of these before newer ones.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from langchain_core.messages import AIMessage, HumanMessage

from langchain_qwen_memory.memory.facts import Fact, facts_in
from langchain_qwen_memory.memory.text import said
from langchain_qwen_memory.memory.turns import Counter, LiveTurn
from langchain_qwen_memory.memory.wording import denies, normal, terms

_ENOUGH = 0.75
"""Share of a clause's terms that a summary must have in one place to have said it."""
_LISTING = " 、，,;；/"
"""What stands between the members of a list."""
_SENTENCES = re.compile(r"[^。！？!?；;\n]+")
_CLAUSES = re.compile(r"[^。！？!?；;\n，、,]+")


@dataclass(frozen=True, slots=True)
class Ledger:
    """What is kept beside a summary."""

    lines: tuple[str, ...]
    """Oldest first."""
    facts: int
    """Facts that were looked for."""
    lost: int
    """Of these, in neither the summary nor the lines."""


def facts_of(notes: Iterable[str], summary: str, turns: Iterable[LiveTurn]) -> list[Fact]:
    """The facts that hold, oldest first: of a ledger, of the summary beside it, of the turns that came after."""
    found: list[Fact] = []
    for line in notes:
        found += facts_in(line, "notes")
    found += facts_in(summary, "notes")
    for turn in turns:
        for message in turn.messages:
            if isinstance(message, HumanMessage | AIMessage):
                found += facts_in(said(message), "user" if isinstance(message, HumanMessage) else "assistant")
    return holding(found)


def holding(facts: Sequence[Fact]) -> list[Fact]:
    """Each fact once, without those that a later one replaces."""
    kept: dict[tuple[str, str], Fact] = {}
    replaced: set[tuple[str, str, bool]] = set()
    for fact in reversed(facts):
        known = kept.get(fact.identity)
        if known is not None:
            kept[fact.identity] = known if known.weight >= fact.weight else fact
            continue
        denied = fact.kind == "wish" and denies(fact.value)
        if fact.label and (fact.kind, fact.label, denied) in replaced:
            continue
        if fact.label and fact.replaces:
            replaced.add((fact.kind, fact.label, fact.kind == "wish" and not denied))
        kept[fact.identity] = fact
    return list(reversed(kept.values()))


def beside(summary: str, facts: Sequence[Fact], *, room: int, count: Counter) -> Ledger:
    """Choose what is kept beside a summary.

    Args:
        summary: The new summary.
        facts: What it should hold, oldest first.
        room: Tokens of the lines at most, 0 for none.
        count: Tokens of a message.
    """
    missing = _missing(summary, facts)
    chosen: dict[int, str] = {}
    lost = 0
    for at in sorted(range(len(missing)), key=lambda at: (-missing[at].weight, -at)):
        fact = missing[at]
        if any(_written(normal(line), fact) for line in chosen.values()):
            continue
        line = _line(fact, facts, [summary, *chosen.values()])
        cost = count(HumanMessage(f"- {line}"))
        if cost <= room:
            chosen[at] = line
            room -= cost
        else:
            lost += 1
    return Ledger(lines=tuple(chosen[at] for at in sorted(chosen)), facts=len(facts), lost=lost)


def _line(fact: Fact, facts: Sequence[Fact], told: Iterable[str]) -> str:
    """A fact with the words around it; one in the middle of a bare list alone, where others of it are told already."""
    if fact.kind != "id":
        return fact.clause
    others = [other for other in facts if other.kind == "id" and other is not fact and other.value in fact.clause]
    rest = fact.clause
    for value in sorted((fact.value, *(other.value for other in others)), key=len, reverse=True):
        rest = rest.replace(value, "")
    if rest.strip(_LISTING):
        return fact.clause
    known = any(_written(normal(text), other) for text in told for other in others)
    return fact.value if known else fact.clause


def with_ledger(summary: str, lines: Sequence[str], *, chinese: bool) -> str:
    """The summary as the view shows it: its text, then the ledger's lines."""
    if not lines:
        return summary
    title = "对话中的原话（供核对）：" if chinese else "Word for word from the conversation:"
    return "\n".join([*([summary, ""] if summary else []), title, *(f"- {line}" for line in lines)])


def _missing(summary: str, facts: Sequence[Fact]) -> list[Fact]:
    text = normal(summary)
    clauses = [(terms(clause), denies(clause)) for clause in {*_SENTENCES.findall(summary), *_CLAUSES.findall(summary)}]
    return [fact for fact in facts if not _written(text, fact) and not _meant(clauses, fact)]


def _written(text: str, fact: Fact) -> bool:
    """Whether a normalised text has a fact's value; `300` is not written by `1300`."""
    value = normal(fact.value)
    before = r"(?<![\d.])" if value[:1].isdigit() else ""
    after = r"(?!\d)" if value[-1:].isdigit() else ""
    return value in text and re.search(before + re.escape(value) + after, text) is not None


def _meant(clauses: Sequence[tuple[set[str], bool]], fact: Fact) -> bool:
    """Whether a clause says what a wish says, in other words but with the same yes or no."""
    if fact.kind != "wish":
        return False
    wanted, no = terms(fact.value), denies(fact.value)
    return any(no == denied and len(wanted & known) >= _ENOUGH * len(wanted) for known, denied in clauses if known)
