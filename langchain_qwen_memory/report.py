"""What memory did in a turn, in numbers: for the record, the custom stream and people."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from hashlib import blake2b
from typing import Any, NamedTuple

from langchain_core.messages import AIMessage, BaseMessage

from langchain_qwen_memory.catalogue import model_info
from langchain_qwen_memory.memory.base import Selection
from langchain_qwen_memory.memory.caching import LEAST_TOKENS
from langchain_qwen_memory.memory.turns import Counter
from langchain_qwen_memory.state import Report
from langchain_qwen_memory.steps.costs import calls_of, cost_of, prompt_price, summary_cost
from langchain_qwen_memory.steps.model_checks import has_explicit_cache
from langchain_qwen_memory.steps.model_facts import chat_models_in
from langchain_qwen_memory.steps.thread import Thread
from langchain_qwen_memory.steps.wiring import Wiring


def now() -> float:
    """Unix seconds."""
    return time.time()


def make_report(
    wiring: Wiring, thread: Thread, chosen: Mapping[str, Any], selection: Selection, error: str | None
) -> tuple[Report, list[Any]]:
    """The report of a finished turn, and what the next one compares its prefix with.

    Args:
        wiring: The graph's parts.
        thread: The state as `remember` found it.
        chosen: What was selected before the model; empty if the run was resumed after it.
        selection: What memories chose after the answer.
        error: The archive's failure.
    """
    newest = thread.turns[-1]
    view = chosen.get("view") or {}
    numbers = {**(chosen.get("numbers") or {})}
    for name, number in selection.numbers.items():
        numbers[name] = numbers.get(name, 0) + number
    report: Report = {
        "turn": newest.position,
        "at": round(now(), 3),
        "kept": view.get("kept", 0),
        "folded": int(numbers.get("folded", 0)),
        "recalled": [
            {name: quote[name] for name in ("position", "score", "thread") if name in quote}
            for quote in chosen.get("quotes", ())
            if quote["key"] in view.get("recalled", ())
        ],
        "view_tokens": view.get("tokens", 0),
        "limit": view.get("limit", wiring.facts.max_input),
        "system_tokens": view.get("system", 0),
        "summary_tokens": view.get("summary", 0),
        "recalled_tokens": view.get("recalled_tokens", 0),
        "transcript_tokens": thread.record.get("archived_tokens", 0) + sum(turn.tokens for turn in thread.turns),
        "errors": [*chosen.get("errors", ()), *selection.errors, *([error] if error else ())],
    }
    if wiring.archive is not None and any(memory.needs_archive for memory in wiring.memories):
        report["found_by"] = "words and meaning" if wiring.archive.embeds else "words"
    _add_summariser(wiring, report, numbers)
    _add_usage(report, newest.messages)
    if wiring.prompt_cache == "explicit":
        report["created_tokens"] = sum(call.created for call in calls_of(newest.messages))
    if numbers.get("facts"):
        report["facts_kept"] = round(numbers.get("facts_kept", 0) / numbers["facts"], 4)
    beginning = _beginning(thread, chosen, wiring.facts.count)
    prefix = _prefix_kept(thread, beginning)
    if prefix is not None:
        report["prefix_kept"] = prefix
    marked = wiring.prompt_cache == "explicit" and bool(view.get("marked", True))
    _add_savings(wiring, report, newest.messages, explicit=marked)
    kept = [message for turn in thread.turns[-(view.get("kept") or 1) :] for message in turn.messages]
    _add_costs(wiring, report, newest.messages, kept, explicit=marked)
    return report, list(beginning)


def _add_summariser(wiring: Wiring, report: Report, numbers: Mapping[str, Any]) -> None:
    """Tokens and money of the summariser's calls in this turn."""
    sent, written, cached, created = (
        int(numbers.get(f"summary_{name}_tokens", 0)) for name in ("input", "output", "cached", "created")
    )
    report["summary_input_tokens"], report["summary_output_tokens"] = sent, written
    report["summary_cached_tokens"] = cached
    if wiring.prompt_cache == "explicit":
        report["summary_created_tokens"] = created
    own = next((asked for memory in wiring.memories for asked in chat_models_in(getattr(memory, "model", None))), None)
    money, currency = summary_cost(
        sent=sent,
        cached=cached,
        created=created,
        written=written,
        model=own.name if own else wiring.facts.name,
        region=str((own and own.says("region")) or wiring.facts.region),
        explicit=wiring.prompt_cache == "explicit" and own is None and sent >= LEAST_TOKENS,
    )
    from langchain_qwen_memory.catalogue import price

    tier = price(wiring.facts.name, region=wiring.facts.region)
    if sent and money is not None and (tier is None or tier.currency == currency):
        report["summary_cost"], report["currency"] = money, currency


def _add_usage(report: Report, messages: tuple[Any, ...]) -> None:
    """Tokens of the turn's calls as the provider counted them."""
    report["input_tokens"] = report["cached_tokens"] = report["output_tokens"] = 0
    for message in messages:
        usage = message.usage_metadata if isinstance(message, AIMessage) else None
        if usage:
            report["input_tokens"] += usage["input_tokens"]
            report["output_tokens"] += usage["output_tokens"]
            report["cached_tokens"] += (usage.get("input_token_details") or {}).get("cache_read", 0) or 0


class _Beginning(NamedTuple):
    """What a view begins with: digests and tokens of its parts. The record holds it as a list."""

    system: str
    summary: str
    first: int
    """Position of the first turn."""
    system_tokens: int
    summary_tokens: int
    again: int
    """Tokens that the next view begins with while nothing moves."""
    tokens: int


def _beginning(thread: Thread, chosen: Mapping[str, Any], count: Counter) -> _Beginning:
    view = chosen.get("view") or {}
    last, tokens = thread.turns[-1], view.get("tokens", 0)
    first = thread.turns[-view["kept"]] if 0 < view.get("kept", 0) <= len(thread.turns) else last
    again = tokens
    if view.get("recalled"):  # the next view shows that question without its records: the prefix ends before it
        again -= view["recalled_tokens"] + sum(map(count, last.messages[:-1]))
    return _Beginning(
        system=_digest(str([message.content for message in thread.system])),
        summary=_digest(str(chosen.get("summary", ""))),
        first=first.position,
        system_tokens=view.get("system", 0),
        summary_tokens=view.get("summary", 0),
        again=max(0, again),
        tokens=tokens,
    )


def _digest(text: str) -> str:
    return blake2b(text.encode("utf-8", "replace"), digest_size=4).hexdigest()


def _prefix_kept(thread: Thread, now: _Beginning) -> float | None:
    stored = thread.record.get("stable")
    if not isinstance(stored, list) or len(stored) != len(_Beginning._fields):  # none yet, or another version's
        return None
    before = _Beginning(*stored)
    if not before.tokens:
        return None
    if before.system != now.system:
        kept = 0
    elif before.summary != now.summary:
        kept = before.system_tokens
    elif before.first != now.first:
        kept = before.system_tokens + before.summary_tokens
    else:
        kept = before.again
    return float(round(min(1.0, kept / before.tokens), 4))


def _add_savings(wiring: Wiring, report: Report, messages: Sequence[Any], *, explicit: bool) -> None:
    """Money saved against sending the whole transcript, at the cached share that this turn's calls had.

    Each call of the turn, as many as have a usage, would have carried what the last view left out. The answer is
    part of the transcript now, and was not when the question was sent.
    """
    from langchain_qwen_memory.catalogue import price

    sent, paid_for = report["view_tokens"], report["input_tokens"]
    calls = sum(bool(isinstance(message, AIMessage) and message.usage_metadata) for message in messages)
    left_out = report["system_tokens"] + report["transcript_tokens"] - wiring.facts.count(messages[-1]) - sent
    whole = max(sent, sent + left_out)
    tier = price(wiring.facts.name, region=wiring.facts.region, input_tokens=sent)
    full = price(wiring.facts.name, region=wiring.facts.region, input_tokens=whole)
    if tier is None or full is None or not paid_for:
        return
    shares = report["cached_tokens"] / paid_for, report.get("created_tokens", 0) / paid_for
    would = (paid_for + calls * (whole - sent)) * prompt_price(full, *shares, explicit=explicit)
    paid = paid_for * prompt_price(tier, *shares, explicit=explicit)
    # where the summariser's price is not known: about what the chat's own model would have asked for it
    plain = report["summary_input_tokens"] * tier.input + report["summary_output_tokens"] * tier.output
    paid += report["summary_cost"] * 1e6 if "summary_cost" in report else plain
    report["saved"] = round((would - paid) / 1e6, 8)
    report["currency"] = tier.currency


def _add_costs(
    wiring: Wiring, report: Report, messages: Sequence[Any], kept: Sequence[BaseMessage], *, explicit: bool
) -> None:
    """Money for the turn's calls as they were, and with the model's other cache."""
    facts, calls = wiring.facts, calls_of(messages)
    costs = [
        cost_of(calls, kept, model=facts.name, region=facts.region, explicit=way) for way in (explicit, not explicit)
    ]
    (cost, currency), (other, _) = costs
    if cost is None or not calls:
        return
    report["cost"], report["currency"] = cost, currency
    if other is not None and has_explicit_cache(model_info(facts.name), facts.region):
        report["cost_otherwise"] = other
