"""`create_chat_graph`: a chatbot with memory as one compiled LangGraph graph."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from os import PathLike
from typing import Any

from langchain_core.messages import AIMessage, AnyMessage, SystemMessage
from langchain_core.runnables import Runnable
from langgraph.graph import END, START, StateGraph
from langgraph.graph.state import CompiledStateGraph
from typing_extensions import TypedDict

from langchain_qwen_memory.archive.base import Archive
from langchain_qwen_memory.errors import MemoryOptionError
from langchain_qwen_memory.memory.base import Memory
from langchain_qwen_memory.nodes import wired_nodes
from langchain_qwen_memory.state import MemoryState
from langchain_qwen_memory.wiring import Wiring, as_memories, open_archive, with_window


@dataclass
class ChatContext:
    """What a run may bring along that is not stored in checkpoints."""

    user_id: str | None = None
    """Whose conversation it is: archive and recall never leave this user's turns."""


class ChatInput(TypedDict):
    """What a run takes in: messages, and nothing that could overwrite what memory keeps."""

    messages: list[AnyMessage | str | tuple[str, str] | dict[str, Any]]
    """The new user message, in any form LangChain knows."""


class ChatOutput(TypedDict):
    """What a run gives back."""

    messages: list[AnyMessage]
    """The live turns; the answer is the last message."""
    record: dict[str, Any]
    """What memory keeps; `record["report"]` says what it did in this turn."""


def create_chat_graph(
    model: Runnable[Any, Any],
    *,
    memory: Memory | Sequence[Memory] | None = None,
    tools: Sequence[Any] = (),
    system_prompt: str | SystemMessage | None = None,
    archive: Archive | str | PathLike[str] | None = None,
    checkpointer: Any = None,
    store: Any = None,
    context_schema: type[Any] = ChatContext,
    state_schema: type[Any] = MemoryState,
    max_input_tokens: int | None = None,
    name: str = "chat",
) -> CompiledStateGraph[Any, Any, Any, Any]:
    """Make a chatbot that remembers: model <-> tools -> remember.

    What memories choose for the view is chosen once a turn, when the model is first called.

    Args:
        model: A chat model, or any runnable from messages to an answer (an existing prompt-and-model chain).
        memory: One memory or several, which choose in that order. None, or recall alone: the newest 20 to 40 turns.
        tools: Functions or tools that the model may call.
        system_prompt: Stands first in every view.
        archive: Where finished turns go: an `Archive`, or the path of a SQLite file, which may be the checkpointer's
            own. None: turns stay in the state, and nothing is dropped.
        checkpointer: Any LangGraph saver; `True` and None as in `StateGraph.compile`.
        store: A LangGraph store for your own nodes and tools; memory does not use it.
        context_schema: A class with a `user_id` of its own, where runs bring more along.
        state_schema: A subclass of `MemoryState`, where your tools keep more in the state.
        max_input_tokens: Tokens a prompt may have, where model and catalogue do not know: a self-hosted server's
            setting, or a limit of your own.
        name: Name of the graph in traces.

    Returns:
        A compiled graph. Its input is `{"messages": "..."}`; each run needs a `thread_id` where there is a
        checkpointer or an archive, and a `user_id` in its context where turns are to be kept apart by user.

    Raises:
        MemoryOptionError: A memory that cannot work as wired, with the fix to type.

    Example:
        ```python
        graph = create_chat_graph(
            ChatQwen(model="qwen-plus"), memory=WindowMemory(), archive="chat.db", checkpointer=saver
        )
        config = {"configurable": {"thread_id": "t1"}}
        graph.invoke({"messages": "我对花生过敏"}, config, context={"user_id": "alice"})
        ```
    """
    wiring = Wiring(
        model=_bound(model, tools),
        memories=with_window(as_memories(memory)),
        archive=open_archive(archive),
        system_prompt=system_prompt,
        tools=tuple(tools),
        max_input_tokens=max_input_tokens,
    )
    graph = _chat_graph(wiring, state_schema, context_schema)
    return graph.compile(checkpointer=checkpointer, store=store, name=name)


def _chat_graph(wiring: Wiring, state_schema: type[Any], context_schema: type[Any]) -> StateGraph[Any, Any, Any]:
    recall, model, remember = wired_nodes(wiring)
    plain = state_schema is MemoryState
    graph: StateGraph[Any, Any, Any] = StateGraph(
        state_schema,
        context_schema=context_schema,
        input_schema=ChatInput if plain else state_schema,
        output_schema=ChatOutput if plain else state_schema,
    )
    graph.add_node("model", model)
    graph.add_node("remember", remember)
    graph.add_edge("remember", END)
    first = "model"
    if wiring.archive is None:
        # With an archive the model node recalls by itself: a step of the graph less, and what a fold brought is kept
        # as a note. Without one, a step of its own checkpoints the fold before the model is called.
        graph.add_node("recall", recall)
        graph.add_edge("recall", "model")
        first = "recall"
    graph.add_conditional_edges(START, _begin_at(first), [first, "remember"])
    if not wiring.tools:
        graph.add_edge("model", "remember")
        return graph
    from langgraph.prebuilt import ToolNode

    graph.add_node("tools", ToolNode(list(wiring.tools)))
    graph.add_conditional_edges("model", _next_step, ["tools", "remember"])
    graph.add_edge("tools", "model")
    return graph


def _begin_at(first: str) -> Callable[[MemoryState], str]:
    def first_step(state: MemoryState) -> str:
        """A message that is delivered again after its answer is not answered twice."""
        messages = state["messages"]
        answered = bool(messages) and isinstance(messages[-1], AIMessage) and not messages[-1].tool_calls
        return "remember" if answered else first

    return first_step


def _next_step(state: MemoryState) -> str:
    last = state["messages"][-1]
    return "tools" if isinstance(last, AIMessage) and last.tool_calls else "remember"


def _bound(model: Runnable[Any, Any], tools: Sequence[Any]) -> Runnable[Any, Any]:
    if not isinstance(model, Runnable):
        raise MemoryOptionError(
            f'model={model!r} is no chat model; write create_chat_graph(ChatQwen(model="qwen-plus"), ...).'
        )
    if not tools:
        return model
    if not hasattr(model, "bind_tools"):
        raise MemoryOptionError(
            f"{type(model).__name__} cannot bind tools. Bind them to the chat model inside it, "
            "and leave tools=... out; or give the chat model itself."
        )
    return model.bind_tools(tools)  # type: ignore[no-any-return]
