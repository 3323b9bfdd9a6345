"""The nodes that run memories in a LangGraph graph, sync and async: recall, model, remember.

    START -> model <-> tools
               |
               v
           remember -> END

The model node recalls by itself at the first call of a turn, where no recall node ran before it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from os import PathLike
from typing import Any, TypeAlias

from langchain_core.messages import SystemMessage
from langchain_core.runnables import Runnable, RunnableConfig
from typing_extensions import override

from langchain_qwen_memory.archive.base import Archive
from langchain_qwen_memory.errors import MemoryOptionError
from langchain_qwen_memory.memory.base import Memory
from langchain_qwen_memory.steps.given import as_memories, open_archive, with_tools, with_window
from langchain_qwen_memory.steps.model_checks import PromptCache
from langchain_qwen_memory.steps.wiring import Wiring
from langchain_qwen_memory.steps.working import NodeWork

_Step: TypeAlias = Callable[[Mapping[str, Any], RunnableConfig], dict[str, Any]]
_AsyncStep: TypeAlias = Callable[[Mapping[str, Any], RunnableConfig], Awaitable[dict[str, Any]]]


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
    work = NodeWork(wiring)
    return (
        MemoryNode(work.recall, work.arecall, name="recall", wiring=wiring),
        MemoryNode(work.call, work.acall, name="model", wiring=wiring),
        MemoryNode(work.remember, work.aremember, name="remember", wiring=wiring),
    )
