"""What memory has to know of a chat model: its name, its limits, its tools; asked of the object, never guessed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import BaseMessage
from langchain_core.runnables import Runnable, RunnableBinding, RunnableSequence

from langchain_qwen_memory.catalogue import model_info
from langchain_qwen_memory.memory.turns import Counter, LiveTurn

ANSWER_ROOM = 2_048
"""Tokens set aside for the answer where the model has no `max_tokens`."""
_THINK_TAGS = 4
"""Tokens of the marks around reasoning."""


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


def chat_model_in(runnable: Any) -> BaseChatModel | None:
    """The chat model inside a runnable: itself, bound, or a step of a chain; None if there is none."""
    if isinstance(runnable, BaseChatModel):
        return runnable
    if isinstance(runnable, RunnableBinding):
        return chat_model_in(runnable.bound)
    if isinstance(runnable, RunnableSequence):
        found = (chat_model_in(step) for step in reversed(runnable.steps))
        return next((model for model in found if model is not None), None)
    return None


def model_facts(runnable: Runnable[Any, Any], *, max_input_tokens: int | None = None) -> ModelFacts:
    """Ask a model for what memory needs.

    Args:
        runnable: A chat model, alone, bound or in a chain.
        max_input_tokens: The limit, where the user knows better.

    Returns:
        The model's own `profile` counts first, then the catalogue; an unknown model gets the catalogue's defaults.
    """
    model = chat_model_in(runnable)
    name = str(getattr(model, "model_name", None) or getattr(model, "model", None) or "")
    knows_thinking = "preserve_thinking" in type(model).model_fields if model is not None else False
    preserve, by_default = getattr(model, "preserve_thinking", None), model_info(name).preserve_thinking == "on"
    return ModelFacts(
        name=name,
        max_input=max_input_tokens or _max_input(model, name),
        count=partial(_count, name),
        region=str(getattr(model, "region", None) or "beijing"),
        returns_thinking=knows_thinking,
        keeps_thinking=knows_thinking and bool(by_default if preserve is None else preserve),
    )


def _count(name: str, message: BaseMessage) -> int:
    from langchain_qwen_memory.tokens import count_message

    return count_message(message, model=name)


def _max_input(model: BaseChatModel | None, name: str) -> int:
    info = model_info(name)
    answer = getattr(model, "max_tokens", None) or min(info.max_output, ANSWER_ROOM)
    profile = getattr(model, "profile", None) or {}
    declared = profile.get("max_input_tokens")
    if declared and not info.known:
        return int(max(declared - answer, declared // 2))
    thinks = getattr(model, "enable_thinking", None)
    if thinks if thinks is not None else info.thinking in ("by_default", "always"):
        return int(max(min(info.max_input, info.max_input_thinking, info.context - answer), info.context // 4))
    return int(max(min(info.max_input, info.context - answer), info.context // 2))
