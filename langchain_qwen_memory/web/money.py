"""What a turn cost by the catalogue's list prices, and what it would have cost with the whole transcript in it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from langchain_qwen_memory.state import Report

_SYMBOLS: Mapping[str, str] = {"CNY": "¥", "USD": "$"}
_MILLION = 1e6


@dataclass(frozen=True, kw_only=True, slots=True)
class Cost:
    """Of one turn."""

    paid: float
    """Its calls and the summariser's."""
    would: float
    """The same turn with the whole transcript sent each time."""
    currency: str
    """CNY or USD."""


def cost(report: Report, *, model: str, region: str, thought: bool) -> Cost | None:
    """What a turn cost; None where no list price is known, or the provider counted nothing.

    Args:
        report: The turn's.
        model: Its name at the provider.
        region: Whose prices hold.
        thought: Whether the answer has thinking, which some models charge more for.
    """
    from langchain_qwen_memory.catalogue import price

    sent = report["input_tokens"]
    tier = price(model, region=region, input_tokens=report["view_tokens"])
    if tier is None or not sent:
        return None
    cached = report["cached_tokens"]
    answer = tier.output_thinking if thought else tier.output
    paid = (sent - cached) * tier.input + cached * tier.cache_hit + report["output_tokens"] * answer
    whole = report["summary_input_tokens"] * tier.input + report["summary_output_tokens"] * tier.output
    paid = paid / _MILLION + report.get("summary_cost", whole / _MILLION)
    return Cost(paid=paid, would=paid + report.get("saved", 0.0), currency=tier.currency)


def money(amount: float, currency: str) -> str:
    """An amount as people read it: `¥0.00042`; two digits that count, however small it is."""
    symbol = _SYMBOLS.get(currency, f"{currency} ")
    return f"{symbol}{amount:.2f}" if amount >= 1 else f"{symbol}{float(f'{amount:.2g}'):.8f}".rstrip("0").rstrip(".")


def thought_in(messages: Any) -> bool:
    """Whether one of a turn's messages has thinking."""
    return any(getattr(message, "additional_kwargs", {}).get("reasoning_content") for message in messages)
