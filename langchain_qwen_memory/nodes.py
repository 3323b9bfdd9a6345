"""The three nodes that run memories in a LangGraph graph, sync and async: recall, model, remember.

START -> recall -> model <-> tools
                     |
                     v
                 remember -> END
"""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from langchain_core.exceptions import ContextOverflowError
from langchain_core.messages import AIMessage, BaseMessage
from langchain_core.runnables import Runnable, RunnableConfig, RunnableLambda
from langgraph.config import get_stream_writer
from langgraph.runtime import get_runtime
from langgraph.types import Overwrite

from langchain_qwen_memory.archive.base import Archive, Turn, searchable_text
from langchain_qwen_memory.background import aprepare, prepare
from langchain_qwen_memory.errors import MemoryOptionError
from langchain_qwen_memory.memory.base import Conversation, Memory, Selection, adrive, drive, select_all
from langchain_qwen_memory.memory.recall import quotation
from langchain_qwen_memory.memory.render import Quote, View, render
from langchain_qwen_memory.memory.turns import LiveTurn
from langchain_qwen_memory.needs import Means
from langchain_qwen_memory.report import make_report, now
from langchain_qwen_memory.state import RECORD_VERSION, Record
from langchain_qwen_memory.wiring import Owner, Thread, Wiring, as_memories, owner_of

logger = logging.getLogger("langchain_qwen_memory")

_OVERFLOW_SHRINK = 0.6
"""After the provider found a view too long: how much of the limit the second try may use."""


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
        thread = self._read(state, config)
        # The first call of a turn; also a run resumed after a crash, since a selection is never stored.
        chosen = state.get("selection") or with_record(self.recall(state, config))
        view = self._view(thread, chosen)
        try:
            answer = self.wiring.model.invoke(view.messages, config)
        except ContextOverflowError:
            conversation = self.wiring.conversation(thread, "before", shrink=shrunk(self.wiring, view))
            flow = select_all(self.wiring.memories, conversation)
            chosen = _overflowed(thread, drive(flow, self._means(thread, config).meet))
            view = self._view(thread, chosen, shrink=shrunk(self.wiring, view))
            answer = self.wiring.model.invoke(view.messages, config)
        return _answered(self.wiring, thread, chosen, view, answer)

    async def acall(self, state: Mapping[str, Any], config: RunnableConfig) -> dict[str, Any]:
        thread = self._read(state, config)
        chosen = state.get("selection") or with_record(await self.arecall(state, config))
        view = self._view(thread, chosen)
        try:
            answer = await self.wiring.model.ainvoke(view.messages, config)
        except ContextOverflowError:
            conversation = self.wiring.conversation(thread, "before", shrink=shrunk(self.wiring, view))
            flow = select_all(self.wiring.memories, conversation)
            chosen = _overflowed(thread, await adrive(flow, self._means(thread, config).ameet))
            view = self._view(thread, chosen, shrink=shrunk(self.wiring, view))
            answer = await self.wiring.model.ainvoke(view.messages, config)
        return _answered(self.wiring, thread, chosen, view, answer)

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
        prepare(self.wiring.memories, _ahead(conversation, update["record"]), selection, means)
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
        aprepare(self.wiring.memories, _ahead(conversation, update["record"]), selection, means)
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

    def _view(self, thread: Thread, chosen: Mapping[str, Any], *, shrink: float = 1.0) -> View:
        conversation = self.wiring.conversation(thread, "before", shrink=shrink)
        return view_of(self.wiring, thread, conversation.kept(chosen["start"]), chosen, room=conversation.limits.input)


def view_of(wiring: Wiring, thread: Thread, turns: Sequence[LiveTurn], chosen: Mapping[str, Any], *, room: int) -> View:
    """Render the view of a selection: `turns` word for word, in `room` tokens, tool schemas among them."""
    return render(
        system=thread.system,
        summary=chosen["summary"],
        turns=turns,
        quotes=[Quote(key=q["key"], text=q["text"], at=q["at"]) for q in chosen["quotes"]],
        room=max(0, room - wiring.tool_tokens - wiring.facts.thought_tokens(turns)),
        count=wiring.facts.count,
        keep_thinking=wiring.facts.keeps_thinking,
    )


def _owner(config: RunnableConfig) -> Owner:
    return owner_of(config, get_runtime().context)


def selected(thread: Thread, selection: Selection) -> dict[str, Any]:
    """The selection as plain JSON; a list of messages in the state would reach the user's stream."""
    chosen = {
        "start": selection.start,
        "summary": selection.summary,
        "quotes": [
            {
                "key": hit.turn.key,
                "position": hit.turn.position,
                "at": hit.turn.at,
                "score": round(hit.score, 4),
                "text": quotation(hit.turn),
            }
            for hit in selection.recalled
        ],
        "errors": list(selection.errors),
        "numbers": dict(selection.numbers),
    }
    update: dict[str, Any] = {"selection": chosen}
    slots = {name: dict(slot) for name, slot in selection.slots.items()}
    if slots != thread.record.get("slots", {}):
        update["record"] = {**_begun(thread), "slots": slots}
    return update


def _overflowed(thread: Thread, selection: Selection) -> dict[str, Any]:
    chosen = with_record(selected(thread, selection))
    chosen["errors"].append("model: ContextOverflowError")
    return chosen


def with_record(update: Mapping[str, Any]) -> dict[str, Any]:
    """The selection of an update, carrying the record that is to be written with the answer."""
    return {**update["selection"], "record": update.get("record")}


def shrunk(wiring: Wiring, view: View) -> float:
    """Share of the limit that the second try may use: less than the view had that was found too long."""
    return _OVERFLOW_SHRINK * min(1.0, (view.tokens + wiring.tool_tokens) / wiring.facts.max_input)


def _answered(wiring: Wiring, thread: Thread, chosen: dict[str, Any], view: View, answer: Any) -> dict[str, Any]:
    message = answer if isinstance(answer, BaseMessage) else AIMessage(str(answer))
    record = chosen.get("record")
    update: dict[str, Any] = {"messages": [message], "selection": viewed(wiring, thread, chosen, view)}
    return {**update, "record": record} if record else update


def viewed(wiring: Wiring, thread: Thread, chosen: Mapping[str, Any], view: View) -> dict[str, Any]:
    """The selection with the numbers of the view that was sent: what the report is made of."""
    numbers = {
        "kept": view.kept,
        "tokens": view.tokens + wiring.tool_tokens + wiring.facts.thought_tokens(thread.turns[-view.kept :]),
        "system": sum(map(wiring.facts.count, thread.system)) + wiring.tool_tokens,
        "summary": _summary_tokens(wiring, thread, chosen["summary"]),
        "recalled": [quote.key for quote in view.quotes],
        "recalled_tokens": _quoted_tokens(wiring, thread, view),
        "clipped": view.clipped,
        "limit": wiring.facts.max_input,
    }
    return {**{name: value for name, value in chosen.items() if name != "record"}, "view": numbers}


def _summary_tokens(wiring: Wiring, thread: Thread, summary: str) -> int:
    from langchain_qwen_memory.memory.render import system_message

    if not summary:
        return 0
    whole = system_message(thread.system, summary)
    assert whole is not None
    return wiring.facts.count(whole) - sum(map(wiring.facts.count, thread.system))


def _quoted_tokens(wiring: Wiring, thread: Thread, view: View) -> int:
    question = thread.turns[-1].question if thread.turns else None
    if not view.quotes or question is None:
        return 0
    from langchain_qwen_memory.memory.render import beside

    return wiring.facts.count(beside(question, view.quotes)) - wiring.facts.count(question)


def _begun(thread: Thread) -> Record:
    """The record as it stands, or a new one."""
    if thread.record:
        return thread.record
    return {
        "v": RECORD_VERSION,
        "root": thread.owner.root,
        "parent": thread.owner.root,
        "position": 0,
        "archived": 0,
    }


def to_archive(thread: Thread) -> list[Turn]:
    """What is not archived yet, as the archive takes it in."""
    at = now()
    return [
        Turn(
            key=turn.key,
            parent=turn.parent,
            messages=turn.messages,
            text=searchable_text(turn.messages),
            at=at,
            tokens=turn.tokens,
        )
        for turn in thread.unarchived
    ]


def archive_failed(failure: Exception) -> str:
    """Log it, and name it for the report."""
    logger.warning("the archive could not take the turn in; it stays in the state and is tried again: %s", failure)
    return f"archive: {type(failure).__name__}"


def remembered(
    wiring: Wiring,
    state: Mapping[str, Any],
    thread: Thread,
    selection: Selection,
    error: str | None,
    *,
    whole: bool = False,
) -> dict[str, Any]:
    """Write the record and the report; let turns leave that are out of the window and in the archive.

    With `whole` no message leaves the state: turns that would are left out of what is read from now on.
    """
    safe = wiring.archive is not None and error is None
    unneeded = whole and wiring.archive is None
    leaving, staying = _parted(thread.turns, selection.start if safe or unneeded else 0)
    record: Record = {**_begun(thread)}
    record["slots"] = {name: dict(slot) for name, slot in selection.slots.items()}
    if safe:
        record["head"] = thread.turns[-1].key
        record["archived"] = thread.turns[-1].position + 1
    if leaving:
        record["parent"] = leaving[-1].key
        record["position"] = leaving[-1].position + 1
        record["archived_tokens"] = record.get("archived_tokens", 0) + sum(turn.tokens for turn in leaving)
    chosen = state.get("selection") or {}
    report, record["stable"] = make_report(wiring, thread, chosen, selection, error)
    record["report"] = report
    get_stream_writer()({"memory_report": report})
    update: dict[str, Any] = {"record": record}
    if leaving and not whole:
        rest = [message for turn in staying for message in turn.messages]
        update["messages"] = Overwrite([*thread.stored_system, *rest])
    return update


def _ahead(conversation: Conversation, record: Record) -> Conversation:
    """The conversation as the next turn will find it."""
    turns = conversation.kept(record["position"])
    return replace(conversation, turns=turns, record=record["slots"])


def _parted(turns: tuple[LiveTurn, ...], start: int) -> tuple[tuple[LiveTurn, ...], tuple[LiveTurn, ...]]:
    """Turns before position `start`, and the others; the newest one always stays."""
    leaving = tuple(turn for turn in turns[:-1] if turn.position < start)
    return leaving, turns[len(leaving) :]


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
