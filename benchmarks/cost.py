"""Measures what conversations cost: effective tokens of a call, and what the model still sees of the past for them.

    python benchmarks/peers_env.py benchmarks/cost.py    # 1,000 turns, a table, beside the peers; some three minutes
    python benchmarks/cost.py --turns 300 --ours         # without them

All play the same conversation (`conversations.py`) and are asked for prompts only: no time is measured here. The price
of a call in tokens is

    uncached prompt + 0.2 x cached prompt + the summariser's prompt (likewise) + 3 x what the summariser writes

divided by the calls of the chat model. Cached is what the prompt shares, from its first token on, with the chat's or
the summariser's last prompt. Tool schemas, the same for all, are left out. The program ends with 1 if a target is
missed.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from checker import Checker
from conversations import SYSTEM, TOOLS, Planned, conversation
from langchain_core.messages import BaseMessage, HumanMessage
from langgraph.checkpoint.memory import InMemorySaver
from page import needs
from peers import NEEDED, PEERS, Peer
from scripted import ScriptedModel

from langchain_qwen_memory import (
    Memory,
    RecallMemory,
    SqliteArchive,
    SummaryBufferMemory,
    WindowMemory,
    create_chat_graph,
)

CONFIG: Any = {"configurable": {"thread_id": "t"}}
CONTEXT: Any = {"user_id": "u"}
LIMIT = 8_000
"""Tokens of a prompt at most: what the peers' trigger of 5,600 is 70 % of."""
WIDE = 16_000
"""The same for a trigger of 8,000, which our package would bring down in a context of 8,000."""


@dataclass(frozen=True, slots=True)
class Ours:
    """One of our memories, as it is measured."""

    name: str
    memory: tuple[Memory, ...]
    limit: int = LIMIT
    prefix: float | None = None
    """Share of a prompt that the prompt before must begin with, at least."""
    effective: float | None = None
    """Effective tokens of a call, at most."""
    literal: int = 0
    """Whole turns that must stand word for word, at least."""


FOLDING = SummaryBufferMemory(trigger=("tokens", 5_600), keep=("turns", 8))
OURS = (
    Ours("window, 20 to 40 turns (default)", (WindowMemory(),), prefix=0.94),
    Ours("summary, trigger 8,000 tokens (default)", (SummaryBufferMemory(),), limit=WIDE, literal=8),
    Ours("summary, trigger 5,600 tokens", (SummaryBufferMemory(trigger=("tokens", 5_600)),), literal=8),
    Ours("summary, trigger 5,600 tokens, keep 8 turns", (FOLDING,), prefix=0.96, effective=800, literal=8),
    Ours("summary, cost trigger", (SummaryBufferMemory(trigger=("cost", "auto")),), effective=600, literal=8),
    Ours("window + recall (default: up to 1,000 tokens)", (WindowMemory(), RecallMemory())),
    Ours("window + recall of up to 400 tokens", (WindowMemory(), RecallMemory(max_tokens=400))),
    Ours("window + recall of 1 record", (WindowMemory(), RecallMemory(k=1)), prefix=0.90),
    Ours("summary, keep 8 turns + recall of 1 record", (FOLDING, RecallMemory(k=1)), literal=8),
)


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table."""

    name: str
    checker: Checker
    reported: float | None = None
    """Mean difference between the report's `prefix_kept` and the same share counted from the prompts."""


def play_ours(ours: Ours, turns: int) -> Row:
    """Play the conversation in a graph of ours, turn by turn."""
    checker = Checker(limit=ours.limit, mine=True)
    model = ScriptedModel(seen=checker.chat, summarise=checker.summary)
    reported: list[float | None] = []
    with SqliteArchive(":memory:") as archive:
        graph = create_chat_graph(
            model,
            memory=list(ours.memory),
            tools=TOOLS,
            system_prompt=SYSTEM,
            archive=archive,
            checkpointer=InMemorySaver(),
            max_input_tokens=ours.limit,
        )
        for turn in conversation(turns):
            checker.begin(turn)
            model.script.extend(turn.answers)
            asked = HumanMessage(turn.question, id=f"h{turn.number}")
            state = graph.invoke({"messages": [asked]}, CONFIG, context=CONTEXT, durability="exit")
            report = state["record"]["report"]
            assert not report["errors"], report["errors"]
            reported.append(report.get("prefix_kept"))
    pairs = zip(reported[1:], checker.shares, strict=False)
    apart = [abs(told - counted) for told, counted in pairs if told is not None]
    return Row(ours.name, checker, sum(apart) / max(1, len(apart)))


def play_peer(peer: Peer, turns: int) -> Row:
    """Ask a peer for each prompt of the conversation."""
    checker = Checker(limit=LIMIT)
    view = peer.view(ScriptedModel(summarise=checker.summary, only_summaries=True))
    messages: list[BaseMessage] = []
    for turn in conversation(turns):
        checker.begin(turn)
        messages.append(HumanMessage(turn.question, id=f"h{turn.number}"))
        for answer in turn.answers:
            checker.chat(view(list(messages)))
            messages.append(answer)
            messages += results(turn, answer)
    return Row(peer.name, checker)


def results(turn: Planned, answer: Any) -> list[BaseMessage]:
    """What the tools say to an answer's calls."""
    wanted = {call["id"] for call in answer.tool_calls}
    return [message for message in turn.messages if getattr(message, "tool_call_id", None) in wanted]


TITLES = (
    "memory",
    "tokens a call, mean (largest)",
    "prefix kept",
    "effective tokens a call",
    "summaries",
    "whole turns word for word, fewest",
    "turns within reach at the end",
    "old facts in the prompt when asked for",
    "invalid prompts",
)
HEAD = f"| {' | '.join(TITLES)} |\n{'|---' * len(TITLES)}|"


def line(row: Row) -> str:
    """A row of the table in the docs."""
    seen = row.checker
    rules = ", ".join(f"{rule} {times:,}" for rule, times in seen.invalid.most_common() if rule != "any")
    cells = (
        row.name,
        f"{seen.prompt / seen.calls:,.0f} ({seen.most:,})",
        f"{seen.prefix:.3f}",
        f"{seen.effective:,.0f}",
        f"{seen.folds:,}",
        f"{seen.literal if seen.literal is not None else '-'}",
        f"{seen.reachable:.0%}",
        f"{seen.known / max(1, seen.asked):.0%}",
        f"{seen.invalid['any']:,} of {seen.calls:,}" + (f" ({rules})" if rules else ""),
    )
    return f"| {' | '.join(cells)} |"


def checks(ours: Ours, row: Row) -> Iterator[tuple[bool, str]]:
    """What a memory of ours promises, and whether it held."""
    seen, name = row.checker, ours.name
    yield not seen.invalid["any"], f"{name}: {seen.invalid['any']} invalid prompts of {seen.calls:,} (0)"
    if ours.prefix is not None:
        yield seen.prefix >= ours.prefix, f"{name}: prefix kept {seen.prefix:.3f} (at least {ours.prefix})"
    if ours.effective is not None:
        told = f"{name}: {seen.effective:,.0f} effective tokens a call (at most {ours.effective:,.0f})"
        yield seen.effective <= ours.effective, told
    if ours.literal:
        told = f"{name}: {seen.literal} whole turns word for word at least (at least {ours.literal})"
        yield (seen.literal or 0) >= ours.literal, told
        reached = f"{name}: {seen.reachable:.1%} of turns word for word or in the summary chain (100 %)"
        yield seen.reachable == 1, reached
    if row.reported is not None:
        told = (
            f"{name}: the report's prefix_kept is {row.reported:.3f} from the prompts' own, on average (at most 0.02)"
        )
        yield row.reported <= 0.02, told


def run(turns: int, *, peers: bool = True) -> tuple[list[str], list[tuple[bool, str]]]:
    """The table's lines and the promises."""
    lines, promises = [], []
    for ours in OURS:
        row = play_ours(ours, turns)
        lines.append(line(row))
        promises += list(checks(ours, row))
        print(lines[-1], flush=True)
    for peer in PEERS if peers else ():
        lines.append(line(play_peer(peer, turns)))
        print(lines[-1], flush=True)
    return lines, promises


def told(promises: Sequence[tuple[bool, str]]) -> int:
    """Print each promise as a line; the number of those that are broken."""
    for held, words in promises:
        print(f"{'ok    ' if held else 'MISSED'}  {words}")
    return sum(not held for held, _ in promises)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--turns", type=int, default=1_000)
    parser.add_argument("--ours", action="store_true", help="leave the peers out")
    options = parser.parse_args()
    if not options.ours:
        needs(*NEEDED)
    print(HEAD)
    _, promises = run(options.turns, peers=not options.ours)
    sys.exit(1 if told(promises) else 0)


if __name__ == "__main__":
    main()
