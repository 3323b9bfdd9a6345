"""The nodes that run memories in a LangGraph graph, sync and async: recall, model, remember.

    START -> model <-> tools
               |
               v
           remember -> END

The model node recalls by itself at the first call of a turn, where no recall node ran before it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from os import PathLike
from typing import Any, TypeAlias

from langchain_core.exceptions import ContextOverflowError, ModelInvalidRequestError
from langchain_core.messages import AIMessage, BaseMessage, SystemMessage
from langchain_core.runnables import Runnable, RunnableConfig
from langgraph.runtime import get_runtime
from typing_extensions import override

from langchain_qwen_memory.archive.base import Archive
from langchain_qwen_memory.errors import MemoryOptionError, ViewTooLargeError
from langchain_qwen_memory.memory.base import Conversation, Flow, Memory, Selection, adrive, drive, select_all
from langchain_qwen_memory.memory.render import View
from langchain_qwen_memory.state import Record
from langchain_qwen_memory.steps.arriving import Arrival, arrive
from langchain_qwen_memory.steps.background import aprepare, prepare
from langchain_qwen_memory.steps.choosing import (
    EASED,
    begun,
    chosen_for,
    leaving_out_refused,
    selected,
    shrunk,
    view_of,
    viewed,
)
from langchain_qwen_memory.steps.model_checks import PromptCache
from langchain_qwen_memory.steps.needs import Means
from langchain_qwen_memory.steps.remembering import ahead, is_new, is_old, remembered, remembering, unread
from langchain_qwen_memory.steps.storable import storable
from langchain_qwen_memory.steps.unsaved import warn_if_unsaved
from langchain_qwen_memory.steps.wiring import (
    CONTROL,
    Owner,
    Thread,
    Wiring,
    as_memories,
    open_archive,
    owner_of,
    with_tools,
    with_window,
)

_Step: TypeAlias = Callable[[Mapping[str, Any], RunnableConfig], dict[str, Any]]
_AsyncStep: TypeAlias = Callable[[Mapping[str, Any], RunnableConfig], Awaitable[dict[str, Any]]]


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
    state: Mapping[str, Any] = field(default_factory=dict)
    arrival: Arrival | None = None

    def arriving(self) -> Generator[Any, Any, Arrival]:
        """What has come in."""
        return arrive(self.wiring, self.state, self.thread.owner)

    def come(self, arrival: Arrival) -> None:
        """Take what has come in."""
        self.arrival, self.thread = arrival, arrival.thread

    @property
    def open(self) -> bool:
        """Whether there is something to answer."""
        return self.arrival is None or self.arrival.open

    def update(self, *answers: BaseMessage) -> dict[str, Any]:
        """What is written: messages that go, answers, the selection, and the record if it changed."""
        removals = self.arrival.removals if self.arrival is not None else []
        messages = [*removals, *answers]
        written = {"messages": messages, "selection": self.chosen, "record": self.record}
        return {name: value for name, value in written.items() if value}

    def flow(self) -> Flow:
        """The memories at work before the model is called."""
        return select_all(self.wiring.memories, self._conversation(), passes=CONTROL)

    def choose(self, selection: Selection) -> None:
        """Take a selection."""
        problem = self.arrival.problem if self.arrival is not None else ""
        before = self.chosen if self.shrink < 1 else None
        update = selected(self.thread, selection, before=before, problem=problem)
        self.chosen = update["selection"]
        if "record" in update:
            self.record = update["record"]
            self.thread = replace(self.thread, record=update["record"])

    def tighten(self) -> None:
        """Allow less, after the provider found the view too long in spite of the count."""
        assert self.view is not None
        self.shrink = shrunk(self.wiring, self.view)

    def leave_out(self, refusal: ModelInvalidRequestError) -> None:
        """Leave unanswered questions out that the provider may have refused; raise its error where there are none."""
        left = leaving_out_refused(self.thread, self.chosen)
        if left is None:
            raise refusal
        self.thread, self.chosen = left
        self.record = self.thread.record

    def viewing(self) -> list[BaseMessage]:
        """The messages to send."""
        conversation = self._conversation()
        turns = conversation.kept(self.chosen["start"])
        self.view = view_of(self.wiring, self.thread, turns, self.chosen, room=conversation.limits.input)
        return self.view.messages

    def tighter(self, overflow: ContextOverflowError) -> list[BaseMessage]:
        """`viewing`, after an overflow; where no view is smaller, the provider's own error is the clearer one."""
        tightest = self.shrink
        for eased in EASED:
            self.shrink = tightest * eased
            try:
                return self.viewing()
            except ViewTooLargeError:
                continue
        raise overflow from None

    def answered(self, answer: Any) -> dict[str, Any]:
        """The update that the answer makes."""
        assert self.view is not None
        message = answer if isinstance(answer, BaseMessage) else AIMessage(str(answer))
        self.chosen = viewed(self.wiring, self.thread, self.chosen, self.view)
        return self.update(storable(message))

    def _conversation(self) -> Conversation:
        return self.wiring.conversation(self.thread, "before", shrink=self.shrink)


@dataclass(frozen=True)
class _Nodes:
    """The nodes' work, one pair of methods each; what both colours share is in plain functions below."""

    wiring: Wiring

    # -- recall

    def recall(self, state: Mapping[str, Any], config: RunnableConfig) -> dict[str, Any]:
        call = self._call(state, config)
        call.come(drive(call.arriving(), call.means.meet, passes=CONTROL))
        if call.open:
            call.choose(drive(call.flow(), call.means.meet, passes=CONTROL))
        return call.update()

    async def arecall(self, state: Mapping[str, Any], config: RunnableConfig) -> dict[str, Any]:
        call = self._call(state, config)
        call.come(await adrive(call.arriving(), call.means.ameet, passes=CONTROL))
        if call.open:
            call.choose(await adrive(call.flow(), call.means.ameet, passes=CONTROL))
        return call.update()

    # -- model

    def call(self, state: Mapping[str, Any], config: RunnableConfig) -> dict[str, Any]:
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

    # -- remember

    def remember(self, state: Mapping[str, Any], config: RunnableConfig) -> dict[str, Any]:
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

    # -- shared

    def _call(self, state: Mapping[str, Any], config: RunnableConfig) -> _Call:
        thread = self._read(state, config)
        means = self._means(thread, config)
        return _Call(self.wiring, thread, means, chosen_for(state, thread), state=state)

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


class MemoryNode(Runnable[Any, Any]):
    """A node that knows its wiring, so that a graph can be asked for it.

    LangGraph traces each node by itself; a `RunnableLambda` here would trace it once more, and read the signatures of
    its functions at each step.
    """

    def __init__(self, sync: _Step, asynchronous: _AsyncStep, *, name: str, wiring: Wiring) -> None:
        self.name = name
        self.wiring = wiring
        self._sync, self._async = sync, asynchronous

    @override
    def invoke(self, input: Any, config: RunnableConfig | None = None, **_: Any) -> dict[str, Any]:
        return self._sync(input, config or {})

    @override
    async def ainvoke(self, input: Any, config: RunnableConfig | None = None, **_: Any) -> dict[str, Any]:
        await self.wiring.facts.aready(input.get("messages") or ())
        return await self._async(input, config or {})


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
    archive: Archive | str | PathLike[str] | None = None,
    system_prompt: str | SystemMessage | None = None,
    tools: Sequence[Any] = (),
    max_input_tokens: int | None = None,
    prompt_cache: PromptCache = "implicit",
) -> MemoryNode:
    """A node for a graph of your own: chooses what the view of this turn holds, and writes `selection`.

    Place it before the model; give all three nodes the same arguments. The state needs the keys of `MemoryState`.
    """
    return wired_nodes(_wiring(model, memory, archive, system_prompt, tools, max_input_tokens, prompt_cache))[0]


def model_node(
    model: Runnable[Any, Any],
    memory: Memory | Sequence[Memory],
    *,
    archive: Archive | str | PathLike[str] | None = None,
    system_prompt: str | SystemMessage | None = None,
    tools: Sequence[Any] = (),
    max_input_tokens: int | None = None,
    prompt_cache: PromptCache = "implicit",
) -> MemoryNode:
    """A node for a graph of your own: renders the view, calls the model, adds its answer to `messages`."""
    return wired_nodes(_wiring(model, memory, archive, system_prompt, tools, max_input_tokens, prompt_cache))[1]


def remember_node(
    model: Runnable[Any, Any],
    memory: Memory | Sequence[Memory],
    *,
    archive: Archive | str | PathLike[str] | None = None,
    system_prompt: str | SystemMessage | None = None,
    tools: Sequence[Any] = (),
    max_input_tokens: int | None = None,
    prompt_cache: PromptCache = "implicit",
) -> MemoryNode:
    """A node for a graph of your own: archives the finished turn, folds, writes record and report."""
    return wired_nodes(_wiring(model, memory, archive, system_prompt, tools, max_input_tokens, prompt_cache))[2]


def _wiring(  # noqa: PLR0917 - as the nodes are given them
    model: Runnable[Any, Any],
    memory: Memory | Sequence[Memory],
    archive: Archive | str | PathLike[str] | None,
    system_prompt: str | SystemMessage | None,
    tools: Sequence[Any],
    max_input_tokens: int | None,
    prompt_cache: PromptCache,
) -> Wiring:
    return Wiring(
        model=with_tools(model, tools),
        memories=with_window(as_memories(memory)),
        archive=open_archive(archive),
        system_prompt=system_prompt,
        tools=tuple(tools),
        max_input_tokens=max_input_tokens,
        prompt_cache=prompt_cache,
    )


def wired_nodes(wiring: Wiring) -> tuple[MemoryNode, MemoryNode, MemoryNode]:
    """Recall, model and remember of one wiring."""
    nodes = _Nodes(wiring)
    return (
        MemoryNode(nodes.recall, nodes.arecall, name="recall", wiring=wiring),
        MemoryNode(nodes.call, nodes.acall, name="model", wiring=wiring),
        MemoryNode(nodes.remember, nodes.aremember, name="remember", wiring=wiring),
    )
