"""Refuses, before anything is sent, models that memory cannot work with: single-turn ones, ones without a cache."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal, TypeAlias, get_args

from langchain_qwen_memory.catalogue import ModelInfo, model_info, model_names
from langchain_qwen_memory.errors import MemoryOptionError
from langchain_qwen_memory.memory.base import Memory
from langchain_qwen_memory.steps.model_facts import Asked, chat_models_in

PromptCache: TypeAlias = Literal["implicit", "explicit"]
"""Which of the provider's caches is used: the one that works by itself, or the one that is told what to keep."""

_CAN_TALK = {"audio": "qwen3.8-omni-flash", "image": "qwen3.7-plus", "text": "qwen-plus"}
"""For each medium a model that takes it in over many turns."""


def check_conversation(model: Any, memories: Iterable[Memory] = ()) -> None:
    """Refuse models that take one user message a call.

    Args:
        model: What answers: a chat model, or a runnable with some in it.
        memories: Whose summarisers are looked at as well.

    Raises:
        MemoryOptionError: With the models to take instead.
    """
    summarisers = [(memory, getattr(memory, "model", None)) for memory in memories]
    for holder, runnable in [(None, model), *((memory, own) for memory, own in summarisers if own is not None)]:
        for asked in chat_models_in(runnable):
            info = model_info(asked.name)
            if not info.multi_turn:
                raise _single_turn(info, holder)


def _single_turn(info: ModelInfo, holder: Memory | None) -> MemoryOptionError:
    medium = next((each for each in _CAN_TALK if each in info.inputs), "text")
    role = "cannot hold a conversation" if holder is None else f"cannot summarise for {type(holder).__name__}"
    return MemoryOptionError(
        f"{info.name!r} takes one user message a call and {role}. Write model={_CAN_TALK[medium]!r}, or another that "
        f"takes {medium} over many turns; use {info.name!r} by itself, as in model.invoke([message]), or in a tool."
    )


def check_prompt_cache(model: Any, prompt_cache: str) -> None:
    """Refuse an explicit cache where the service has none for a model.

    Args:
        model: What answers; looked into for the chat models in it.
        prompt_cache: "implicit" or "explicit".

    Raises:
        MemoryOptionError: It is neither, or a model that may be called has no explicit cache.
    """
    if prompt_cache not in get_args(PromptCache):
        raise MemoryOptionError(f'prompt_cache={prompt_cache!r} is neither "implicit" nor "explicit".')
    if prompt_cache == "implicit":
        return
    found = chat_models_in(model)
    if not found and not _is_open(model):
        raise MemoryOptionError(
            f'prompt_cache="explicit": no chat model was found in {type(model).__name__}, so nobody knows whether it '
            "has that cache. Give the chat model itself, or leave prompt_cache out."
        )
    for asked in found:
        if not _has_explicit_cache(asked):
            raise _no_cache(asked)


def _is_open(model: Any) -> bool:
    """Whether the model is not known yet: a middleware learns it in a call."""
    from langchain_core.runnables import RunnablePassthrough

    return isinstance(model, RunnablePassthrough)


def _has_explicit_cache(asked: Asked) -> bool:
    kind = asked.says("server")
    own_server = isinstance(kind, str) and kind not in {"auto", "dashscope"}
    return not own_server and has_explicit_cache(model_info(asked.name), _region(asked))


def _region(asked: Asked) -> str:
    return str(asked.says("region") or "beijing")


def has_explicit_cache(info: ModelInfo, region: str = "beijing") -> bool:
    """Whether the catalogue's prices tell hits of an explicit cache from other input, in this region or in any."""
    tiers = info.prices.get(region) or [tier for each in info.prices.values() for tier in each]
    return any(tier.cache_hit_explicit < tier.input for tier in tiers)


def _no_cache(asked: Asked) -> MemoryOptionError:
    region = _region(asked)
    some = [name for name in ("qwen3.7-plus", "qwen-plus", "qwen3-max") if has_explicit_cache(model_info(name), region)]
    known = "" if asked.name in model_names() else " (a name that the catalogue does not know)"
    return MemoryOptionError(
        f'prompt_cache="explicit": {asked.name!r}{known} has no explicit cache on the service in region {region!r}. '
        f"Models that have one: {', '.join(some)} ...; or leave prompt_cache out, as the implicit cache needs nothing."
    )
