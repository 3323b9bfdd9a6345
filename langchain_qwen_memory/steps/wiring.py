"""What the nodes of one graph share: memories, model, archive; and how a state is read as a conversation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, cast

from langchain_core.messages import BaseMessage, SystemMessage
from langchain_core.runnables import Runnable
from langgraph.errors import GraphBubbleUp

from langchain_qwen_memory.archive.base import Archive
from langchain_qwen_memory.errors import MemoryOptionError, ThreadError
from langchain_qwen_memory.memory.base import Ask, Conversation, Limits, Memory, Phase, names_of
from langchain_qwen_memory.memory.caching import Repeats, marked_order
from langchain_qwen_memory.memory.turns import each_once, read_live
from langchain_qwen_memory.state import RECORD_VERSION, Record
from langchain_qwen_memory.steps.model_checks import PromptCache, check_conversation, check_prompt_cache
from langchain_qwen_memory.steps.model_facts import ModelFacts, model_facts
from langchain_qwen_memory.steps.thread import Owner, Thread, without_refused

CONTROL = (GraphBubbleUp,)
"""How LangGraph stops a run on purpose, as for an interrupt: no failure of a memory."""


@dataclass(frozen=True, kw_only=True)
class Wiring:
    """The parts of one graph. Frozen: runs of many threads share it."""

    model: Runnable[Any, Any]
    """What answers: a chat model, its tools bound, or any runnable from messages to an answer."""
    memories: tuple[Memory, ...] = ()
    """In the order in which they choose."""
    archive: Archive | None = None
    """Where finished turns go; None: they stay in the state."""
    system_prompt: str | SystemMessage | None = None
    """Stands first in every view."""
    tools: tuple[Any, ...] = ()
    """Bound to the model; counted."""
    max_input_tokens: int | None = None
    """Overrides what model and catalogue say."""
    prompt_cache: PromptCache = "implicit"
    """"explicit": views carry marks that tell the provider what to keep."""

    def __post_init__(self) -> None:
        """Refuse a memory or a model that cannot work here."""
        for memory in self.memories:
            if not isinstance(memory, Memory):
                raise MemoryOptionError(
                    f"memory holds {memory!r}; it takes Memory objects such as WindowMemory() or a list of them."
                )
            if memory.needs_archive and self.archive is None:
                raise MemoryOptionError(
                    f"{type(memory).__name__} finds turns in an archive, and archive=None was given. "
                    'Write archive="chat.db", or leave that memory out.'
                )
            self._check_order(memory)
        check_conversation(self.model, self.memories)
        check_prompt_cache(self.model, self.prompt_cache)
        names = names_of(self.memories)
        if len(set(names)) < len(names):
            raise MemoryOptionError(f"Two memories have one name: {names}. Give each class a `name` of its own.")

    def _check_order(self, memory: Memory) -> None:
        before = self.memories[: self.memories.index(memory)]
        if memory.moves_edge and any(other.folds for other in before):
            raise MemoryOptionError(
                f"{type(memory).__name__} stands after a summary, so what it lets leave would not be summed up. "
                "Put it first: memory=[WindowMemory(...), SummaryBufferMemory(...)]."
            )

    @cached_property
    def facts(self) -> ModelFacts:
        """What memory knows of the model."""
        return model_facts(self.model, max_input_tokens=self.max_input_tokens)

    @cached_property
    def own_system(self) -> tuple[BaseMessage, ...]:
        """The system prompt as a message."""
        prompt = self.system_prompt
        if prompt is None:
            return ()
        return (prompt if isinstance(prompt, SystemMessage) else SystemMessage(prompt),)

    @cached_property
    def _own_tokens(self) -> int:
        return sum(map(self.facts.count, self.own_system))

    @cached_property
    def tool_tokens(self) -> int:
        """Tokens of tool schemas and of the answer's header."""
        return self.facts.tool_tokens(self.tools)

    def read(self, state: Mapping[str, Any], owner: Owner) -> Thread:
        """Read a state.

        Raises:
            ThreadError: An archive is used without a thread id, or the thread was begun by another user.
        """
        record = cast("Record", state.get("record") or {})
        self._check(record, owner)
        stored, turns = read_live(
            state.get("messages") or (),
            parent=record.get("parent", owner.root),
            position=record.get("position", 0),
            count=self.facts.count,
        )
        if refused := record.get("refused"):
            turns = without_refused(turns, refused)
        return Thread(
            owner=owner,
            system=each_once((*self.own_system, *stored)),
            stored_system=each_once(stored),
            turns=turns,
            record=record,
        )

    def conversation(self, thread: Thread, phase: Phase, *, shrink: float = 1.0) -> Conversation:
        """What memories read of a thread; `shrink` tightens the limit after the provider found a view too long."""
        others = thread.system[len(self.own_system) :]
        overhead = self.tool_tokens + self._own_tokens + sum(map(self.facts.count, others))
        limits = Limits(input=int(self.facts.max_input * shrink), overhead=overhead)
        return Conversation(
            turns=thread.turns,
            record=thread.record.get("slots", {}),
            phase=phase,
            limits=limits,
            count=self.facts.count,
            system=thread.system,
            archived=self.archive is not None,
            prices=self._price(),
            readable=self.facts.readable,
        )

    def prompt(self, ask: Ask) -> Sequence[BaseMessage]:
        """The messages of a hidden call, marked so that the chat's own model reads from its cache what views wrote."""
        if self.prompt_cache != "explicit" or ask.model is not None:
            return ask.messages
        whole: Repeats = "summary" if self.facts.keeps_thinking else "turns"  # a summariser is sent no thinking
        return marked_order(
            ask.messages,
            summary=ask.summary,
            repeats="system" if ask.new_summary else whole,
            tools=self.tool_tokens,
            count=self.facts.count,
        )

    def _price(self) -> Any:
        from langchain_qwen_memory.catalogue import price

        return price(self.facts.name, region=self.facts.region)

    def _check(self, record: Record, owner: Owner) -> None:
        if record.get("v", RECORD_VERSION) > RECORD_VERSION:
            raise ThreadError(
                f"This thread was written by a newer langchain-qwen-memory (record version {record['v']}; this one "
                f"reads up to {RECORD_VERSION}). Upgrade the package to go on with it."
            )
        if self.archive is not None and not owner.thread:
            raise ThreadError(
                'With an archive each run needs a thread: graph.invoke(..., {"configurable": {"thread_id": "t1"}}).'
            )
        if record.get("root", owner.root) == owner.root:
            return
        if record.get("user", owner.mark) != owner.mark:
            raise ThreadError(
                "This thread was begun with another user id (or none). Pass the same one each time: "
                'graph.invoke(..., context={"user_id": ...}).'
            )
        if self.archive is not None:
            raise ThreadError(
                "This state was copied from another thread, whose older turns are archived under that thread's id. "
                "Go on with that thread (from an older checkpoint, for a fork), or begin a new one with messages only."
            )
