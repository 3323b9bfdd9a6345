"""What memory has to know of a chat model: its name, its limits, its tools; asked of the object, never guessed."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import BaseMessage
from langchain_core.runnables import Runnable, RunnableSequence, RunnableWithFallbacks
from langchain_core.runnables.base import RunnableBindingBase
from langchain_core.runnables.configurable import DynamicRunnable

from langchain_qwen_memory.catalogue import ModelInfo, model_info
from langchain_qwen_memory.errors import MemoryOptionError
from langchain_qwen_memory.memory.media import MEDIA, reads
from langchain_qwen_memory.memory.turns import Counter, LiveTurn

ANSWER_ROOM = 2_048
"""Tokens set aside for the answer where the model has no `max_tokens`."""
_LEAST_INPUT = 4
"""The prompt has a quarter of the context at least: memory in less is none."""
_THINK_TAGS = 4
"""Tokens of the marks around reasoning."""
_LONG = 20_000
"""Characters; the tokens of a longer text are counted off the loop: these take up to 5 ms, 10 MB a second."""
_NEWEST = 64
"""Messages that are looked at for that, so that a turn does not cost more in a longer state."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ModelFacts:
    """A model as memory sees it."""

    name: str
    """Its name at the provider; empty for a runnable that is no chat model."""
    max_input: int
    """Tokens of a prompt at most, the room for the answer set aside."""
    count: Counter
    """Tokens of one message."""
    region: str
    """Whose prices hold."""
    returns_thinking: bool
    """Whether reasoning goes back to it within a tool loop."""
    keeps_thinking: bool
    """Whether it wants the reasoning of earlier turns back too."""
    readable: frozenset[str]
    """What it takes in beside text: "image", "video", "audio"; all, where neither catalogue nor profile say."""

    def load(self) -> None:
        """Read the vocabulary before it is needed, a fifth of a second; not for a runnable that is no chat model."""
        from langchain_qwen_memory.counting.vocabulary import load

        if self.name:
            load(model_info(self.name).vocabulary)

    async def aready(self, messages: Sequence[BaseMessage] = ()) -> None:
        """Do in a thread what else would hold up the loop: read the vocabulary at first use, count long messages."""
        from langchain_qwen_memory.counting.vocabulary import is_loaded, load

        vocabulary = model_info(self.name).vocabulary
        if not is_loaded(vocabulary):
            await asyncio.to_thread(load, vocabulary)
        for message in messages[-_NEWEST:]:
            if _length(message) > _LONG:
                await asyncio.to_thread(self.count, message)

    def tool_tokens(self, tools: Sequence[Any]) -> int:
        """What a prompt costs before its first message: tool schemas and the header of the answer."""
        from langchain_qwen_memory.tokens import count_tokens

        return count_tokens([], model=self.name, tools=tools)

    def thought_tokens(self, turns: Sequence[LiveTurn]) -> int:
        """What the reasoning costs that goes back with these turns, the last of which is open."""
        from langchain_qwen_memory.tokens import count_text

        sent = turns if self.keeps_thinking else turns[-1:] if self.returns_thinking else ()
        thoughts = (
            message.additional_kwargs.get("reasoning_content") or "" for turn in sent for message in turn.messages
        )
        return sum(count_text(thought, model=self.name) + _THINK_TAGS for thought in thoughts if thought)


@dataclass(frozen=True, slots=True)
class Asked:
    """A chat model inside a runnable, as it is called there."""

    model: BaseChatModel
    """The model."""
    bound: Mapping[str, Any]
    """What `bind` and `bind_tools` add to each call."""

    def says(self, option: str) -> Any:
        """An option of its calls: as bound, else as the model has it; None if it knows no such option."""
        return self.bound.get(option, getattr(self.model, option, None))

    @property
    def name(self) -> str:
        """Its name at the provider."""
        own = getattr(self.model, "model_name", None) or getattr(self.model, "model", None)
        return str(self.bound.get("model") or own or "")


def chat_models_in(runnable: Any, bound: Mapping[str, Any] | None = None) -> tuple[Asked, ...]:
    """The chat models that a runnable may call: itself, bound, retried, configured, in a chain, or as a fallback.

    Args:
        runnable: Any.
        bound: What is bound around it.

    Returns:
        The first choice first; nothing if there is no chat model in it. Of a chain it is the last step with one.
    """
    bound = bound or {}
    if isinstance(runnable, BaseChatModel):
        return (Asked(runnable, bound),)
    if isinstance(runnable, RunnableBindingBase):
        return chat_models_in(runnable.bound, {**runnable.kwargs, **bound})
    if isinstance(runnable, RunnableWithFallbacks):
        return tuple(found for each in runnable.runnables for found in chat_models_in(each, bound))
    if isinstance(runnable, DynamicRunnable):
        return chat_models_in(runnable.default, bound)
    if isinstance(runnable, RunnableSequence):
        return next(filter(None, map(chat_models_in, reversed(runnable.steps))), ())
    return ()


def model_facts(runnable: Runnable[Any, Any], *, max_input_tokens: int | None = None) -> ModelFacts:
    """Ask a model for what memory needs.

    Args:
        runnable: A chat model, alone, bound, with retries or fallbacks, or in a chain.
        max_input_tokens: The limit, where the user knows better.

    Returns:
        Facts of the first model; the limit is the least of all that may be called. Of the catalogue and the model's
        own `profile` the lower limit counts; an unknown model has its `profile`, or else the catalogue's defaults.

    Raises:
        MemoryOptionError: `max_tokens` leaves less than a quarter of the context for the prompt.
    """
    found = chat_models_in(runnable)
    first = found[0] if found else None
    name = first.name if first else ""
    knows_thinking = first is not None and "preserve_thinking" in type(first.model).model_fields
    preserve = first.says("preserve_thinking") if first else None
    by_default = model_info(name).preserve_thinking == "on"
    limits = [max_input_tokens] if max_input_tokens else [_max_input(each) for each in found]
    return ModelFacts(
        name=name,
        max_input=min(limits, default=_room(model_info(name), ANSWER_ROOM, {})),
        count=partial(_count, name),
        region=str((first and first.says("region")) or "beijing"),
        returns_thinking=knows_thinking,
        keeps_thinking=knows_thinking and bool(by_default if preserve is None else preserve),
        readable=_readable(found),
    )


def _readable(found: Sequence[Asked]) -> frozenset[str]:
    """What each model that may be called can read."""
    known = [each for each in found if model_info(each.name).known or getattr(each.model, "profile", None)]
    return frozenset.intersection(MEDIA, *(reads(each.model, each.name) for each in known))


def _length(message: BaseMessage) -> int:
    """Characters of a message's texts."""
    content = message.content
    if isinstance(content, str):
        return len(content)
    texts = (part if isinstance(part, str) else part.get("text") for part in content)
    return sum(len(text) for text in texts if isinstance(text, str))


def _count(name: str, message: BaseMessage) -> int:
    from langchain_qwen_memory.tokens import count_message

    return count_message(message, model=name)


def _max_input(asked: Asked) -> int:
    info = model_info(asked.name)
    answer = asked.says("max_tokens") or asked.says("max_completion_tokens")
    thinks = asked.says("enable_thinking")
    thinks = thinks if thinks is not None else info.thinking in ("by_default", "always")
    profile = getattr(asked.model, "profile", None) or {}
    room = _room(info, int(answer or min(info.max_output, ANSWER_ROOM)), profile)
    return min(room, info.max_input_thinking) if thinks and info.known else room


def _room(info: ModelInfo, answer: int, profile: Mapping[str, Any]) -> int:
    """Tokens of a prompt, so that prompt and answer are no more than the context."""
    declared = profile.get("max_input_tokens")
    if declared and not info.known:
        context = most = int(declared)
    else:
        context, most = info.context, min(info.max_input, int(declared or info.max_input))
    left = context - answer
    if left >= context // _LEAST_INPUT:
        return min(most, left)
    if info.known or declared:
        raise MemoryOptionError(
            f"max_tokens={answer:,} leaves {max(0, left):,} of the {context:,} tokens of {info.name!r} for the prompt, "
            f"which is less than a quarter. Write max_tokens={context * 3 // 4}, or less."
        )
    return context // _LEAST_INPUT  # a default of ours: not a reason to refuse
