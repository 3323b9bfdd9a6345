"""The three nodes that run memories in a LangGraph graph, sync and async: recall, model, remember.

START -> recall -> model <-> tools
                     |
                     v
                 remember -> END
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from langchain_core.exceptions import ContextOverflowError
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.runnables import Runnable, RunnableConfig, RunnableLambda
from langgraph.runtime import get_runtime

from langchain_qwen_memory.archive.base import Archive, Turn
from langchain_qwen_memory.background import aprepare, prepare
from langchain_qwen_memory.choosing import selected, shrunk, view_of, viewed
from langchain_qwen_memory.errors import MemoryOptionError, ViewTooLargeError
from langchain_qwen_memory.memory.base import Conversation, Flow, Memory, Selection, adrive, drive, select_all
from langchain_qwen_memory.memory.render import View
from langchain_qwen_memory.needs import Means
from langchain_qwen_memory.remembering import ahead, archive_failed, remembered, to_archive
from langchain_qwen_memory.state import Record
from langchain_qwen_memory.wiring import Owner, Thread, Wiring, as_memories, owner_of


@dataclass
class _Call:
    """One call of the model: what is chosen for it, and the view that is sent."""

    wiring: Wiring
    thread: Thread
    means: Means
    chosen: dict[str, Any]
    """Empty at the first call of a turn; also in a run resumed after a crash, since a selection is never stored."""
    record: Record | None = None
    """What is to be written with the answer."""
    view: View | None = None
    shrink: float = 1.0

    def flow(self) -> Flow:
        """The memories at work before the model is called."""
        return select_all(self.wiring.memories, self._conversation())

    def choose(self, selection: Selection) -> None:
        """Take a selection."""
        update = selected(self.thread, selection, before=self.chosen or None)
        self.chosen = update["selection"]
        if "record" in update:
            self.record = update["record"]
            self.thread = replace(self.thread, record=update["record"])

    def tighten(self) -> None:
        """Allow less, after the provider found the view too long in spite of the count."""
        assert self.view is not None
        self.shrink = shrunk(self.wiring, self.view)

    def viewing(self) -> list[BaseMessage]:
        """The messages to send."""
        conversation = self._conversation()
        turns = conversation.kept(self.chosen["start"])
        self.view = view_of(self.wiring, self.thread, turns, self.chosen, room=conversation.limits.input)
        return self.view.messages

    def tighter(self, overflow: ContextOverflowError) -> list[BaseMessage]:
        """`viewing`, after an overflow; where no view is smaller, the provider's own error is the clearer one."""
        try:
            return self.viewing()
        except ViewTooLargeError:
            raise overflow from None

    def answered(self, answer: Any) -> dict[str, Any]:
        """The update that the answer makes."""
        assert self.view is not None
        message = answer if isinstance(answer, BaseMessage) else AIMessage(str(answer))
        selection = viewed(self.wiring, self.thread, self.chosen, self.view)
        update: dict[str, Any] = {"messages": [message], "selection": selection}
        return {**update, "record": self.record} if self.record else update

    def _conversation(self) -> Conversation:
        return self.wiring.conversation(self.thread, "before", shrink=self.shrink)


@dataclass(frozen=True)
class _Nodes:
    """The nodes' work, one pair of methods each; what both colours share is in plain functions below."""

    wiring: Wiring

    # -- recall

    def recall(self, state: Mapping[str, Any], config: RunnableConfig) -> dict[str, Any]:
        thread = self._read(state, config)
        conversation = self.wiring.conversation(thread, "before")
        selection = drive(select_all(self.wiring.memories, conversation), self._means(thread, config).meet)
        return selected(thread, selection)

    async def arecall(self, state: Mapping[str, Any], config: RunnableConfig) -> dict[str, Any]:
        thread = self._read(state, config)
        conversation = self.wiring.conversation(thread, "before")
        selection = await adrive(select_all(self.wiring.memories, conversation), self._means(thread, config).ameet)
        return selected(thread, selection)

    # -- model

    def call(self, state: Mapping[str, Any], config: RunnableConfig) -> dict[str, Any]:
        call = self._call(state, config)
        if not call.chosen:
            call.choose(drive(call.flow(), call.means.meet))
        try:
            return call.answered(self.wiring.model.invoke(call.viewing(), config))
        except ContextOverflowError as overflow:
            call.tighten()
            call.choose(drive(call.flow(), call.means.meet))
            return call.answered(self.wiring.model.invoke(call.tighter(overflow), config))

    async def acall(self, state: Mapping[str, Any], config: RunnableConfig) -> dict[str, Any]:
        call = self._call(state, config)
        if not call.chosen:
            call.choose(await adrive(call.flow(), call.means.ameet))
        try:
            return call.answered(await self.wiring.model.ainvoke(call.viewing(), config))
        except ContextOverflowError as overflow:
            call.tighten()
            call.choose(await adrive(call.flow(), call.means.ameet))
            return call.answered(await self.wiring.model.ainvoke(call.tighter(overflow), config))

    def _call(self, state: Mapping[str, Any], config: RunnableConfig) -> _Call:
        thread = self._read(state, config)
        return _Call(self.wiring, thread, self._means(thread, config), dict(state.get("selection") or {}))

    # -- remember

    def remember(self, state: Mapping[str, Any], config: RunnableConfig) -> dict[str, Any]:
        thread = self._read(state, config)
        if not thread.turns:
            return {}
        error = None
        archive, fresh = self.wiring.archive, to_archive(thread)
        if archive is not None and fresh:
            try:
                archive.append(thread.owner.user, thread.owner.thread, fresh)
            except Exception as failure:  # noqa: BLE001 - the user has the answer; the turn stays live
                error = archive_failed(failure)
        conversation = self.wiring.conversation(thread, "after")
        flow = select_all(self.wiring.memories, conversation)
        means = self._means(thread, config, error=error, fresh=fresh)
        selection = drive(flow, means.meet)
        update = remembered(self.wiring, state, thread, selection, error)
        prepare(self.wiring.memories, ahead(conversation, update["record"]), selection, means)
        return update

    async def aremember(self, state: Mapping[str, Any], config: RunnableConfig) -> dict[str, Any]:
        thread = self._read(state, config)
        if not thread.turns:
            return {}
        error = None
        archive, fresh = self.wiring.archive, to_archive(thread)
        if archive is not None and fresh:
            try:
                await archive.aappend(thread.owner.user, thread.owner.thread, fresh)
            except Exception as failure:  # noqa: BLE001 - the user has the answer; the turn stays live
                error = archive_failed(failure)
        conversation = self.wiring.conversation(thread, "after")
        flow = select_all(self.wiring.memories, conversation)
        means = self._means(thread, config, error=error, fresh=fresh)
        selection = await adrive(flow, means.ameet)
        update = remembered(self.wiring, state, thread, selection, error)
        aprepare(self.wiring.memories, ahead(conversation, update["record"]), selection, means)
        return update

    # -- shared

    def _read(self, state: Mapping[str, Any], config: RunnableConfig) -> Thread:
        return self.wiring.read(state, _owner(config))

    def _means(
        self, thread: Thread, config: RunnableConfig, *, error: str | None = None, fresh: Sequence[Turn] = ()
    ) -> Means:
        return Means(
            owner=thread.owner,
            head=fresh[-1].key if fresh and error is None else thread.head,
            model=self.wiring.model,
            archive=self.wiring.archive,
            config=config,
        )


def _owner(config: RunnableConfig) -> Owner:
    return owner_of(config, get_runtime().context)


class MemoryNode(RunnableLambda[Any, Any]):
    """A node that knows its wiring, so that a graph can be asked for it."""

    def __init__(self, sync: Any, asynchronous: Any, *, name: str, wiring: Wiring) -> None:
        super().__init__(sync, afunc=asynchronous, name=name)
        self.wiring = wiring


def wiring_of(graph: Any) -> Wiring:
    """The wiring of a graph whose nodes are ours, made by `create_chat_graph` or by hand.

    Raises:
        MemoryOptionError: It has none of our nodes.
    """
    for node in graph.nodes.values():
        bound = getattr(node, "bound", None)
        hook = getattr(bound, "func", None)  # of a middleware: a method of an object that knows its wiring
        for holder in (bound, getattr(hook, "__self__", None)):
            found = getattr(holder, "wiring", None)
            if isinstance(found, Wiring):
                return found
    raise MemoryOptionError(
        f"{type(graph).__name__} has no memory nodes. Make it with create_chat_graph(...), "
        "add remember_node(...), or give create_agent a MemoryMiddleware(...)."
    )


def recall_node(
    model: Runnable[Any, Any],
    memory: Memory | Sequence[Memory],
    *,
    archive: Archive | None = None,
    system_prompt: str | None = None,
    tools: Sequence[Any] = (),
) -> MemoryNode:
    """A node for a graph of your own: chooses what the view of this turn holds, and writes `selection`.

    Place it before the model; give all three nodes the same arguments. The state needs the keys of `MemoryState`.
    """
    return wired_nodes(_wiring(model, memory, archive, system_prompt, tools))[0]


def model_node(
    model: Runnable[Any, Any],
    memory: Memory | Sequence[Memory],
    *,
    archive: Archive | None = None,
    system_prompt: str | None = None,
    tools: Sequence[Any] = (),
) -> MemoryNode:
    """A node for a graph of your own: renders the view, calls the model, adds its answer to `messages`."""
    return wired_nodes(_wiring(model, memory, archive, system_prompt, tools))[1]


def remember_node(
    model: Runnable[Any, Any],
    memory: Memory | Sequence[Memory],
    *,
    archive: Archive | None = None,
    system_prompt: str | None = None,
    tools: Sequence[Any] = (),
) -> MemoryNode:
    """A node for a graph of your own: archives the finished turn, folds, writes record and report."""
    return wired_nodes(_wiring(model, memory, archive, system_prompt, tools))[2]


def _wiring(
    model: Runnable[Any, Any],
    memory: Memory | Sequence[Memory],
    archive: Archive | None,
    system_prompt: str | None,
    tools: Sequence[Any],
) -> Wiring:
    bound = model.bind_tools(tools) if tools and hasattr(model, "bind_tools") else model
    return Wiring(
        model=bound,
        memories=as_memories(memory),
        archive=archive,
        system_prompt=system_prompt,
        tools=tuple(tools),
    )


def wired_nodes(wiring: Wiring) -> tuple[MemoryNode, MemoryNode, MemoryNode]:
    """Recall, model and remember of one wiring."""
    nodes = _Nodes(wiring)
    return (
        MemoryNode(nodes.recall, nodes.arecall, name="recall", wiring=wiring),
        MemoryNode(nodes.call, nodes.acall, name="model", wiring=wiring),
        MemoryNode(nodes.remember, nodes.aremember, name="remember", wiring=wiring),
    )
