"""What calls of a model cost, by the provider's own token counts and the catalogue's list prices."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from langchain_core.messages import AIMessage, BaseMessage

from langchain_qwen_memory.catalogue import Price, model_info, price
from langchain_qwen_memory.counting.shares import answer_price, media_tokens, plain_cost


@dataclass(frozen=True, kw_only=True, slots=True)
class Spent:
    """The tokens of one call."""

    input: int
    """Of the prompt."""
    cached: int
    """Of these, read from a cache."""
    created: int
    """Of these, written to the explicit cache."""
    output: int
    """Of the answer, thinking included."""
    thought: bool
    """Whether it thought, which some models' answers cost more for."""
    spoke: bool
    """Whether part of the answer is speech."""


def calls_of(messages: Sequence[Any]) -> list[Spent]:
    """The calls that the answers in a turn tell of; an answer without usage is none."""
    return [
        _spent(message.usage_metadata)
        for message in messages
        if isinstance(message, AIMessage) and message.usage_metadata is not None
    ]


def _spent(usage: Any) -> Spent:
    of_input, of_output = usage.get("input_token_details") or {}, usage.get("output_token_details") or {}
    return Spent(
        input=usage["input_tokens"],
        cached=of_input.get("cache_read") or 0,
        created=of_input.get("cache_creation") or 0,
        output=usage["output_tokens"],
        thought=bool(of_output.get("reasoning")),
        spoke=bool(of_output.get("audio")),
    )


def prompt_price(tier: Price, cached: float, created: float, *, explicit: bool) -> float:
    """What one million tokens of a prompt cost of which the shares `cached` and `created` are read and written."""
    hit = tier.cache_hit_explicit if explicit else tier.cache_hit
    write = tier.cache_create if explicit else tier.input
    return (1 - cached - created) * tier.input + cached * hit + created * write


def summary_cost(
    *, sent: int, cached: int, created: int, written: int, model: str, region: str, explicit: bool
) -> tuple[float | None, str]:
    """Money for a turn's calls of a summariser, and its currency; None where no price is known.

    Args:
        sent: Tokens of the prompts.
        cached: Of these, read from a cache.
        created: Of these, written to the explicit cache.
        written: Tokens of the answers.
        model: Whose prices.
        region: Whose list.
        explicit: Whether it was the explicit cache.
    """
    tier = price(model, region=region, input_tokens=sent)
    if tier is None:
        return None, ""
    paid = sent * prompt_price(tier, cached / max(1, sent), created / max(1, sent), explicit=explicit)
    return round((paid + written * tier.output) / 1e6, 9), tier.currency


def cost_of(
    calls: Sequence[Spent], shown: Sequence[BaseMessage], *, model: str, region: str, explicit: bool
) -> tuple[float | None, str]:
    """Money for calls, as if they had used the explicit cache or the implicit one.

    A call that wrote nothing to the explicit cache and is priced as if it had wrote all that was not read.

    Args:
        calls: What the provider counted.
        shown: The turns that were sent.
        model: Whose prices.
        region: Whose list.
        explicit: Which cache is priced.

    Returns:
        Money and its currency; None where no price is known, and of a spoken answer, whose words and speech are billed
        by rules that no list states. Where pictures and sounds have prices of their own, they count by their formulas.
    """
    total, currency = 0.0, ""
    wrote = any(call.created for call in calls)
    media = media_tokens(shown, model_info(model))
    for call in calls:
        tier = price(model, region=region, input_tokens=call.input)
        if tier is None or (call.spoke and tier.output_audio is not None):
            return None, ""
        whole = max(1, call.input)
        created = call.created if wrote or not explicit else call.input - call.cached
        share = prompt_price(tier, call.cached / whole, created / whole, explicit=explicit) / tier.input
        total += plain_cost(tier, call.input, *media) * share
        total += call.output * answer_price(tier, thought=call.thought, media=any(media))
        currency = tier.currency
    return round(total / 1e6, 9), currency
