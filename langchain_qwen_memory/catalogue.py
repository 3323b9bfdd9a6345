"""What is known of each Qwen model: limits, thinking rule, abilities, prices and token rules.

The facts stand in `data/models.json`, one table made by `scripts/make_catalogue.py`; names are looked up,
never matched against patterns. The file is read at the first question, not at import.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from functools import cache, lru_cache
from importlib import resources
from typing import Any, Literal

__all__ = ["ModelInfo", "Price", "model_info", "model_names", "price"]

Thinking = Literal["never", "on_request", "by_default", "always"]
Vocabulary = Literal["qwen-151k", "qwen-248k"]
Template = Literal["hermes", "qwen3", "qwen3-thinking", "qwen3-coder", "qwen3.5", "qwen3.8", "qwen-agent"]


@dataclass(frozen=True, kw_only=True, slots=True)
class Price:
    """One tier of a region's list price, per million tokens; it is the price of all tokens of a request."""

    up_to: int
    """The tier holds requests of at most so many input tokens."""
    input: float
    """One million input tokens; of text, where media cost differently."""
    output: float
    """One million output tokens without thinking."""
    output_thinking: float
    """One million output tokens, answer included, of a request that thought."""
    cache_hit: float
    """One million input tokens found in the implicit cache; the plain price where the model has none."""
    cache_create: float
    """One million input tokens written to the explicit cache; the plain price where the model has none."""
    cache_hit_explicit: float
    """One million input tokens found in the explicit cache; the plain price where the model has none."""
    currency: str
    """CNY for official lists; USD where only a list of the international site is known."""
    date: str
    """ISO date from which the source is; list prices, without promotions."""
    input_media: float | None = None
    """One million input tokens of pictures and films, where that differs (omni models)."""
    input_audio: float | None = None
    """One million input tokens of sound, where that differs (omni models)."""
    output_media: float | None = None
    """One million tokens of written answer to a request with media, where that differs (omni models)."""
    output_audio: float | None = None
    """One million tokens of spoken answer, where the model speaks."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelInfo:
    """One model's facts. The defaults here are what is assumed of a model the table does not know."""

    name: str
    """The name that was asked for."""
    family: str
    """The model a dated snapshot or second name belongs to; the name itself where there is none."""
    known: bool
    """False: the table has no such name, and all that follows is assumed."""
    context: int = 32_768
    """Tokens of prompt and answer together."""
    max_input: int = 28_672
    """Tokens of one prompt, without thinking."""
    max_output: int = 4_096
    """Tokens of one answer, without the thinking before it."""
    max_input_thinking: int = 28_672
    """Tokens of one prompt when the model thinks; some models take less then."""
    max_thinking: int | None = None
    """The largest thinking_budget; None: not known."""
    thinking: Thinking = "never"
    """When it thinks: an unknown model is sent no thinking parameter unless the caller gives one."""
    thinking_streams_only: bool = False
    """With thinking on, a call without a stream is a 400 (open-weight Qwen3 on the service)."""
    streams_only: bool = False
    """Every call must stream."""
    whole_chunks: bool = False
    """Each piece of a stream holds all that was said so far, over either protocol."""
    native_only: bool = False
    """The service serves it by DashScope's own protocol only, not by the compatible one."""
    reasoning_effort: bool = False
    """Takes reasoning_effort low, medium or xhigh."""
    preserve_thinking: Literal["unsupported", "off", "on"] = "unsupported"
    """Whether thinking of earlier turns is read back: the server's default, or that it has no such switch."""
    inputs: frozenset[str] = frozenset({"text"})
    """Of text, image, audio, video."""
    outputs: frozenset[str] = frozenset({"text"})
    """Of text, audio."""
    tools: bool = True
    """Takes tool definitions; assumed, so that an unknown model is not kept from them."""
    json_mode: bool = True
    """Takes response_format json_object; assumed, as for tools."""
    json_schema: bool = False
    """Takes response_format json_schema."""
    multi_turn: bool = True
    """False: one user message a call (translation, OCR, captioner)."""
    vocabulary: Vocabulary = "qwen-151k"
    """The tokenizer: 151k up to Qwen3, 248k from Qwen3.5 on. On ordinary text they differ by about 7 %."""
    template: Template = "hermes"
    """The chat template, which says what tools, thinking and headers cost."""
    vision: Literal["none", "28px", "32px"] = "none"
    """The side of the square of pixels that makes one token."""
    image_min_pixels: int = 0
    """Smaller pictures are scaled up to so many pixels."""
    image_max_pixels: int = 0
    """Larger pictures are scaled down to so many pixels, unless the request says otherwise."""
    image_max_pixels_high: int = 0
    """The same with vl_high_resolution_images."""
    video_min_pixels: int = 0
    """Smaller frames of a film are scaled up to so many pixels."""
    video_max_pixels: int = 0
    """Larger frames of a film are scaled down to so many pixels."""
    video_total_pixels: int = 0
    """All frames of a film together have at most about so many pixels."""
    video_max_frames: int = 0
    """At most so many frames of a film are looked at."""
    audio_tokens_per_second: float | None = None
    """Input tokens per second of sound; None: not known, or it does not hear."""
    audio_max_seconds: float | None = None
    """Of a longer sound the model hears only so many seconds from its beginning; None: all."""
    prices: Mapping[str, tuple[Price, ...]] = field(default_factory=dict, hash=False)
    """Tiers, smallest first, of each region: beijing, singapore, us, global."""


@lru_cache(maxsize=1024)
def model_info(model: str) -> ModelInfo:
    """Returns what is known of a model.

    Args:
        model: A name as sent to the service (`qwen-plus`, `qwen-plus-2025-12-01`), or of open weights on
            one's own server (`Qwen/Qwen3-32B`, `qwen3:8b`). For the latter the window is the weights' own;
            a server started with a smaller one (Ollama's num_ctx, vLLM's --max-model-len) must be told to
            the memory by its user.

    Returns:
        The facts. For a name that is not in the table, `known` is False and the rest are safe assumptions:
        a window of 32,768 tokens of which the prompt takes 28,672, text only, tools allowed, no thinking,
        no price, the older vocabulary. Never an error: new models appear before a table knows them.
    """
    table = _table()
    row_name = table["aliases"].get(model, model)
    row = table["models"].get(row_name)
    if row is None:
        return ModelInfo(name=model, family=model, known=False)
    family: str = row.get("of", row_name)
    return _info(model, family, table["models"][family] | row, table["pictures"])


def model_names() -> tuple[str, ...]:
    """Returns every name the table knows, snapshots and names of open weights included, sorted."""
    table = _table()
    return tuple(sorted({*table["models"], *table["aliases"]}))


def price(model: str, *, region: str = "beijing", input_tokens: int = 0) -> Price | None:
    """Returns what a request costs per million tokens, or None where no list price is known.

    Args:
        model: A model's name, as for `model_info`.
        region: beijing, singapore, us or global.
        input_tokens: Tokens of the request's prompt, which choose the tier; the last one where none holds so many.
    """
    tiers = model_info(model).prices.get(region, ())
    return next((tier for tier in tiers if input_tokens <= tier.up_to), tiers[-1] if tiers else None)


@cache
def _table() -> dict[str, Any]:
    text = resources.files("langchain_qwen_memory").joinpath("data/models.json").read_text(encoding="utf-8")
    table: dict[str, Any] = json.loads(text)
    return table


def _info(name: str, family: str, row: dict[str, Any], pictures: dict[str, Any]) -> ModelInfo:
    facts = row | pictures.get(row.get("pictures", ""), {})
    facts.setdefault("max_input_thinking", facts["max_input"])
    facts["inputs"], facts["outputs"] = frozenset(facts["inputs"]), frozenset(facts["outputs"])
    facts["prices"] = {region: tuple(Price(**tier) for tier in tiers) for region, tiers in row["prices"].items()}
    known = {one.name for one in fields(ModelInfo)}
    facts = {key: value for key, value in facts.items() if key in known}
    return ModelInfo(name=name, family=family, known=True, **facts)
