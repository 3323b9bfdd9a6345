"""What a call will cost, before it is made: tokens as the service counts them, money by the catalogue's list prices."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from langchain_qwen_memory.catalogue import Price, model_info, price
from langchain_qwen_memory.counting.shares import answer_price, media_tokens, plain_cost
from langchain_qwen_memory.tokens import count_tokens

if TYPE_CHECKING:
    from langchain_core.messages import BaseMessage

__all__ = ["Estimate", "estimate"]

Cache = Literal["implicit", "explicit"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Estimate:
    """Tokens of a call and what they cost; money only where the catalogue has a price (`price` is None otherwise)."""

    model: str
    """Its name, as given."""
    region: str
    """Whose prices hold."""
    input_tokens: int
    """Of the whole prompt: template, tools, pictures, films and sounds included."""
    picture_tokens: int
    """Of these, pictures and films."""
    audio_tokens: int
    """Of these, sounds."""
    output_tokens: int
    """Of the answer, as the caller expects it."""
    thinks: bool
    """Whether the answer is priced as one with thinking."""
    price: Price | None
    """The tier that holds a prompt of this size, per million tokens; None: no list price is known."""
    fits: bool
    """Whether the model takes a prompt of this size."""

    @property
    def currency(self) -> str | None:
        """CNY, or USD where only that list is known; None without a price."""
        return None if self.price is None else self.price.currency

    @property
    def cost(self) -> float | None:
        """Money for prompt and answer, nothing of the prompt being cached; None without a price."""
        return self.cost_with()

    def cost_with(self, *, cached: float = 0.0, created: float = 0.0, cache: Cache = "implicit") -> float | None:
        """Money for prompt and answer, part of the prompt being cached.

        Args:
            cached: Share of the prompt that is read from the cache, 0 to 1.
            created: Share that is written to the explicit cache, 0 to 1; the two are 1 at most.
            cache: Which cache: the one that works by itself, or the one with marks (`prompt_cache="explicit"`).

        Returns:
            In `currency`; None without a price.

        Raises:
            ValueError: A share is not one, or `created` is given for the implicit cache, where writing is free.
        """
        if min(cached, created) < 0 or cached + created > 1:
            raise ValueError(
                f"cached={cached}, created={created}: shares of the prompt from 0 to 1, together 1 at most."
            )
        if cache not in {"implicit", "explicit"} or (created and cache == "implicit"):
            raise ValueError(f'cache={cache!r}, created={created}: created tokens are those of cache="explicit".')
        if self.price is None:
            return None
        paid = self.price
        hit = paid.cache_hit_explicit if cache == "explicit" else paid.cache_hit
        # media may cost more than text; a cache takes off the same share of both
        whole = plain_cost(paid, self.input_tokens, self.picture_tokens, self.audio_tokens)
        prompt = whole * (1 - cached - created + (cached * hit + created * paid.cache_create) / paid.input)
        media = bool(self.picture_tokens or self.audio_tokens)
        answer = self.output_tokens * answer_price(paid, thought=self.thinks, media=media)
        return round((prompt + answer) / 1e6, 9)


def estimate(
    messages: Sequence[BaseMessage],
    *,
    model: str,
    tools: Sequence[Any] = (),
    region: str = "beijing",
    output_tokens: int = 0,
    thinking: bool | None = None,
    high_resolution: bool = False,
) -> Estimate:
    """Counts a prompt and prices it, offline.

    Args:
        messages: The prompt, in order; of a conversation with memory, its view.
        model: The model's name.
        tools: Anything `bind_tools` takes.
        region: beijing, singapore, us or global: the lists that are known.
        output_tokens: The answer's length as you expect it, thinking included; 0: the prompt alone.
        thinking: Whether it thinks; None: as the model does by itself.
        high_resolution: The request has vl_high_resolution_images.

    Returns:
        Exact for text and for media whose data are in the messages; media behind a URL are counted at the upper
        estimates of `counting.media`, unless `width`, `height` or `duration` stand beside the URL.

    Raises:
        ValueError: `output_tokens` is negative.

    Example:
        ```python
        asked = estimate([HumanMessage("你好")], model="qwen3.7-plus", output_tokens=500)
        asked.input_tokens, asked.cost, asked.currency
        asked.cost_with(cached=0.9)  # nine tenths of the prompt found in the implicit cache
        ```
    """
    if output_tokens < 0:
        raise ValueError(f"output_tokens={output_tokens}: give the answer's expected length, 0 or more.")
    info = model_info(model)
    thinks = info.thinking in {"by_default", "always"} if thinking is None else thinking or info.thinking == "always"
    thinks = thinks and info.thinking != "never"
    tokens = count_tokens(messages, model=model, tools=tools, thinking=thinks, high_resolution=high_resolution)
    pictures, sounds = media_tokens(messages, info, high_resolution=high_resolution)
    return Estimate(
        model=model,
        region=region,
        input_tokens=tokens,
        picture_tokens=pictures,
        audio_tokens=sounds,
        output_tokens=output_tokens,
        thinks=thinks,
        price=price(model, region=region, input_tokens=tokens),
        fits=tokens <= (info.max_input_thinking if thinks else info.max_input),
    )
