"""Brings what memories need: a hidden call of a model, a search in the archive, a note. Sync and async."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.runnables import Runnable, RunnableConfig
from langchain_core.runnables.config import merge_configs
from langgraph.constants import TAG_NOSTREAM

from langchain_qwen_memory.archive.base import Archive, Hit, Turn
from langchain_qwen_memory.errors import ThreadError
from langchain_qwen_memory.memory.base import Answer, Ask, FindNote, Need, PutNote, Rerank, Search
from langchain_qwen_memory.memory.text import said
from langchain_qwen_memory.steps.model_facts import Asked, chat_models_in
from langchain_qwen_memory.steps.reranking import areranked, reranked
from langchain_qwen_memory.steps.thread import Owner

_OF_THE_CHAT = (
    *("tool_choice", "parallel_tool_calls", "response_format", "ls_structured_output_format", "stop"),
    *("max_tokens", "max_completion_tokens", "thinking_budget", "reasoning_effort"),
)
"""What is bound for the chat's answers and not meant for a summary."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Append:
    """Need of the nodes: finished turns into the archive. Brings how many were new."""

    turns: Sequence[Turn]
    """Oldest first."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Known:
    """Need of the nodes: which messages stand in archived turns already. Brings a set of ids."""

    ids: Sequence[str]
    """Ids of messages."""
    head: str
    """Key of the lineage's last turn."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Page:
    """Need of the nodes: archived turns of the lineage, the newest before a place. Brings them, oldest first."""

    head: str
    """Key of the lineage's last turn."""
    before: int
    """Position of the turn after the page."""


OfNodes: TypeAlias = Append | Known | Page
"""What nodes need of an archive beside what memories do."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Means:
    """Meets the needs of one run of one thread."""

    owner: Owner
    """Whose turns may be found."""
    head: str
    """The lineage that is searched in this thread."""
    model: Runnable[Any, Any]
    """The chat's own model."""
    prompt: Callable[[Ask], Sequence[BaseMessage]]
    """The messages of a hidden call as they are sent: with marks for the explicit cache, where it is used."""
    archive: Archive | None
    """None: nothing is found, nothing is kept."""
    config: RunnableConfig
    """The run's config: tracing goes on under it."""

    def meet(self, need: Need | OfNodes) -> Any:
        """Bring what a need asks for."""
        if isinstance(need, Ask):
            model, options = quiet(need.model or self.model, need.max_tokens, need.timeout)
            return _answer(model.invoke(list(self.prompt(need)), self._hidden(), **options))
        if isinstance(need, Rerank):
            return reranked(need)
        if self.archive is None:
            return _nothing(need)
        name, what, how = self._asked(need)
        return getattr(self.archive, name)(*what, **how)

    async def ameet(self, need: Need | OfNodes) -> Any:
        """`meet`, without blocking."""
        if isinstance(need, Ask):
            model, options = quiet(need.model or self.model, need.max_tokens, need.timeout)
            return _answer(await model.ainvoke(list(self.prompt(need)), self._hidden(), **options))
        if isinstance(need, Rerank):
            return await areranked(need)
        if self.archive is None:
            return _nothing(need)
        name, what, how = self._asked(need)
        return await getattr(self.archive, f"a{name}")(*what, **how)

    def _asked(self, need: Search | FindNote | PutNote | OfNodes) -> tuple[str, tuple[Any, ...], dict[str, Any]]:
        """The archive's method that brings it, and its arguments."""
        whose = self.owner.user, self.owner.thread
        match need:
            case Search():
                return "search", (need.query,), self._search(need)
            case FindNote():
                return "get_note", (*whose, need.key), {}
            case PutNote():
                return "put_note", (*whose, need.key, dict(need.note)), {}
            case Append():
                return "append", (*whose, need.turns), {}
            case Known():
                return "known_messages", (*whose, need.ids), {"head": need.head}
            case Page():
                return "page", whose, {"head": need.head, "before": need.before}

    def _search(self, need: Search) -> dict[str, Any]:
        if need.scope == "user" and not self.owner.user:
            raise ThreadError(
                'Recall over all threads of a user needs to know which: graph.invoke(..., context={"user_id": ...}).'
            )
        return {
            "user": self.owner.user,
            "thread": self.owner.thread if need.scope == "thread" else None,
            "heads": {self.owner.thread: self.head},
            "limit": need.limit,
            "exclude": need.exclude,
            "periods": need.periods,
            "neighbours": need.neighbours,
        }

    def _hidden(self) -> RunnableConfig:
        """The user's stream never shows what a memory asks for."""
        return merge_configs(self.config, {"tags": [TAG_NOSTREAM], "run_name": "memory"})


def _nothing(need: Need | OfNodes) -> list[Hit] | Mapping[str, Any] | None:
    if isinstance(need, Search | Known | Page):
        return []
    return need.note if isinstance(need, PutNote) else None


def quiet(model: Runnable[Any, Any], max_tokens: int, timeout: float) -> tuple[Runnable[Any, Any], dict[str, Any]]:
    """How a model is asked for a summary: a short answer, no thinking, no tools, in time.

    A model that knows `enable_thinking` keeps its bound tools, which belong to the prefix that the provider has
    cached, and is told not to call them. Any other is asked as it was before tools were bound. Fallbacks stay;
    retries around the model do not, since a fold that failed is tried again at a later turn.

    Args:
        model: The chat's own model or another, bound or with fallbacks.
        max_tokens: The longest answer wanted.
        timeout: Seconds; passed on to models that take a time limit. A runnable without a chat model has none.

    Returns:
        What to call, and with which options.
    """
    found = chat_models_in(model)
    if not found:
        return model, {}
    if len(found) == 1:
        return found[0].model, _options(found[0], max_tokens, timeout)
    first, *others = [asked.model.bind(**_options(asked, max_tokens, timeout)) for asked in found]
    return first.with_fallbacks(others), {}


def _options(asked: Asked, max_tokens: int, timeout: float) -> dict[str, Any]:
    fields, left = type(asked.model).model_fields, {*_OF_THE_CHAT}
    options: dict[str, Any] = {"max_tokens": max_tokens} if "max_tokens" in fields else {}
    if "enable_thinking" in fields:
        options["enable_thinking"] = False
        if asked.bound.get("tools"):
            options["tool_choice"] = "none"
    else:
        left |= {"tools", "functions"}
    limit = next((name for name in ("request_timeout", "timeout") if name in fields), None)
    if limit is not None:
        own = asked.bound.get("timeout", getattr(asked.model, limit))
        options["timeout"] = min(own, timeout) if isinstance(own, int | float) else timeout
    return {**{name: value for name, value in asked.bound.items() if name not in left}, **options}


def _answer(message: Any) -> Answer:
    if not isinstance(message, BaseMessage):
        return Answer(text=str(message))
    usage = message.usage_metadata if isinstance(message, AIMessage) else None
    if not usage:
        return Answer(text=said(message))
    of_input = usage.get("input_token_details") or {}
    numbers = {
        "input_tokens": usage["input_tokens"],
        "output_tokens": usage["output_tokens"],
        "cached_tokens": of_input.get("cache_read") or 0,
        "created_tokens": of_input.get("cache_creation") or 0,
    }
    return Answer(text=said(message), usage=numbers)
