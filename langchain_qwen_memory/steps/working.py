"""The work of the nodes, sync and async: recall, call the model, remember."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from langchain_core.exceptions import ContextOverflowError, ModelInvalidRequestError
from langchain_core.runnables import RunnableConfig
from langgraph.runtime import get_runtime

from langchain_qwen_memory.memory.base import Conversation, adrive, drive
from langchain_qwen_memory.steps.background import aprepare, prepare
from langchain_qwen_memory.steps.calling import Call
from langchain_qwen_memory.steps.choosing import begun, chosen_for
from langchain_qwen_memory.steps.needs import Means
from langchain_qwen_memory.steps.remembering import ahead, is_new, is_old, remembered, remembering, unread
from langchain_qwen_memory.steps.thread import Owner, Thread, owner_of
from langchain_qwen_memory.steps.unsaved import warn_if_unsaved
from langchain_qwen_memory.steps.wiring import CONTROL, Wiring


@dataclass(frozen=True)
class NodeWork:
    """One pair of methods for each node."""

    wiring: Wiring

    def recall(self, state: Mapping[str, Any], config: RunnableConfig) -> dict[str, Any]:
        """Choose what the view of this turn holds."""
        call = self._call(state, config)
        call.come(drive(call.arriving(), call.means.meet, passes=CONTROL))
        if call.open:
            call.choose(drive(call.flow(), call.means.meet, passes=CONTROL))
        return call.update()

    async def arecall(self, state: Mapping[str, Any], config: RunnableConfig) -> dict[str, Any]:
        """`recall`, with `await`."""
        call = self._call(state, config)
        call.come(await adrive(call.arriving(), call.means.ameet, passes=CONTROL))
        if call.open:
            call.choose(await adrive(call.flow(), call.means.ameet, passes=CONTROL))
        return call.update()

    def call(self, state: Mapping[str, Any], config: RunnableConfig) -> dict[str, Any]:
        """Call the model with the view; choose first where no recall node did."""
        call = self._call(state, config)
        if not call.chosen:
            call.come(drive(call.arriving(), call.means.meet, passes=CONTROL))
            if not call.open:
                return call.update()
            call.choose(drive(call.flow(), call.means.meet, passes=CONTROL))
        try:
            return call.answered(self.wiring.model.invoke(call.viewing(), config))
        except ContextOverflowError as overflow:
            call.tighten()
            call.choose(drive(call.flow(), call.means.meet, passes=CONTROL))
            return call.answered(self.wiring.model.invoke(call.tighter(overflow), config))
        except ModelInvalidRequestError as refusal:
            call.leave_out(refusal)
            return call.answered(self.wiring.model.invoke(call.viewing(), config))

    async def acall(self, state: Mapping[str, Any], config: RunnableConfig) -> dict[str, Any]:
        """`call`, with `await`."""
        call = self._call(state, config)
        if not call.chosen:
            call.come(await adrive(call.arriving(), call.means.ameet, passes=CONTROL))
            if not call.open:
                return call.update()
            call.choose(await adrive(call.flow(), call.means.ameet, passes=CONTROL))
        try:
            return call.answered(await self.wiring.model.ainvoke(call.viewing(), config))
        except ContextOverflowError as overflow:
            call.tighten()
            call.choose(await adrive(call.flow(), call.means.ameet, passes=CONTROL))
            return call.answered(await self.wiring.model.ainvoke(call.tighter(overflow), config))
        except ModelInvalidRequestError as refusal:
            call.leave_out(refusal)
            return call.answered(await self.wiring.model.ainvoke(call.viewing(), config))

    def remember(self, state: Mapping[str, Any], config: RunnableConfig) -> dict[str, Any]:
        """Archive the finished turn, fold, write record and report."""
        thread = self._read(state, config)
        if is_new(thread):
            return {"record": begun(thread)}
        if is_old(thread):
            return {}
        means = self._means(thread, config, done=True)
        selection, error = drive(remembering(self.wiring, thread, unread(state)), means.meet, passes=CONTROL)
        update = remembered(self.wiring, state, thread, selection, error)
        prepare(self.wiring.memories, self._ahead(thread, update), selection, means)
        return update

    async def aremember(self, state: Mapping[str, Any], config: RunnableConfig) -> dict[str, Any]:
        """`remember`, with `await`."""
        thread = self._read(state, config)
        if is_new(thread):
            return {"record": begun(thread)}
        if is_old(thread):
            return {}
        means = self._means(thread, config, done=True)
        selection, error = await adrive(remembering(self.wiring, thread, unread(state)), means.ameet, passes=CONTROL)
        update = remembered(self.wiring, state, thread, selection, error)
        aprepare(self.wiring.memories, self._ahead(thread, update), selection, means)
        return update

    def _call(self, state: Mapping[str, Any], config: RunnableConfig) -> Call:
        thread = self._read(state, config)
        means = self._means(thread, config)
        return Call(self.wiring, thread, means, chosen_for(state, thread), state=state)

    def _read(self, state: Mapping[str, Any], config: RunnableConfig) -> Thread:
        thread = self.wiring.read(state, _owner(config))
        warn_if_unsaved(config, thread)
        return thread

    def _means(self, thread: Thread, config: RunnableConfig, *, done: bool = False) -> Means:
        return Means(
            owner=thread.owner,
            head=thread.turns[-1].key if done else thread.head,
            model=self.wiring.model,
            prompt=self.wiring.prompt,
            archive=self.wiring.archive,
            config=config,
        )

    def _ahead(self, thread: Thread, update: Mapping[str, Any]) -> Conversation:
        return ahead(self.wiring.conversation(thread, "after"), update["record"])


def _owner(config: RunnableConfig) -> Owner:
    return owner_of(config, get_runtime().context)
