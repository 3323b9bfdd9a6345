"""`create_chat_graph`: a chatbot with memory as one compiled LangGraph graph."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from os import PathLike
from typing import Any

from langchain_core.messages import AIMessage, SystemMessage
from langchain_core.runnables import Runnable
from langgraph.graph import END, START, StateGraph
from langgraph.graph.state import CompiledStateGraph
from langgraph.types import Send
from typing_extensions import TypedDict, get_type_hints, is_typeddict

from langchain_qwen_memory.archive.base import Archive
from langchain_qwen_memory.memory.base import Memory
from langchain_qwen_memory.memory.turns import is_finished
from langchain_qwen_memory.nodes import wired_nodes
from langchain_qwen_memory.state import MemoryState
from langchain_qwen_memory.steps.given import as_memories, open_archive, with_tools, with_window
from langchain_qwen_memory.steps.model_checks import PromptCache
from langchain_qwen_memory.steps.wiring import Wiring


@dataclass
class ChatContext:
    """What a run may bring along that is not stored in checkpoints."""

    user_id: str | None = None
    """Whose conversation it is: archive and recall never leave this user's turns."""


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
    prompt_cache: PromptCache = "implicit",
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
        prompt_cache: "explicit" marks the stable parts of each view for the service's explicit cache: prefixes of
            1,024 tokens or more are written at 125 % of the price and read at 10 %, for sure, within five minutes
            (`Report` says what it cost and what the other would have). "implicit" needs nothing: 20 %, by chance.
        name: Name of the graph in traces.

    Returns:
        A compiled graph. Its input is `{"messages": "..."}`; each run needs a `thread_id` where there is a
        checkpointer or an archive, and a `user_id` in its context where turns are to be kept apart by user.

    Raises:
        MemoryOptionError: A memory or a model that cannot work as wired, with the fix to type.

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
        model=with_tools(model, tools),
        memories=with_window(as_memories(memory)),
        archive=open_archive(archive),
        system_prompt=system_prompt,
        tools=tuple(tools),
        max_input_tokens=max_input_tokens,
        prompt_cache=prompt_cache,
    )
    wiring.facts.load()
    graph = _chat_graph(wiring, state_schema, context_schema)
    return graph.compile(checkpointer=checkpointer, store=store, name=name)


def _chat_graph(wiring: Wiring, state_schema: type[Any], context_schema: type[Any]) -> StateGraph[Any, Any, Any]:
    recall, model, remember = wired_nodes(wiring)
    graph: StateGraph[Any, Any, Any] = StateGraph(
        state_schema,
        context_schema=context_schema,
        input_schema=_without(state_schema, "record", "selection"),
        output_schema=_without(state_schema, "selection"),
    )
    graph.add_node("model", model)
    graph.add_node("remember", remember)
    graph.add_conditional_edges("remember", _after_remember, ["model", END])
    if wiring.archive is None:
        # A step of its own checkpoints what a fold brought. With an archive it is kept as a note, and the model node
        # recalls by itself: a step of the graph less in each turn.
        graph.add_node("recall", recall)
        graph.add_edge("recall", "model")
        graph.add_edge(START, "recall")
    else:
        graph.add_conditional_edges(START, _first_step, ["model", "remember"])
    if not wiring.tools:
        graph.add_edge("model", "remember")
        return graph
    from langgraph.prebuilt import ToolNode

    graph.add_node("tools", ToolNode(list(wiring.tools)))
    graph.add_conditional_edges("model", _next_step, ["tools", "remember"])
    graph.add_edge("tools", "model")
    return graph


def _first_step(state: MemoryState) -> str:
    """A new thread is written down as its user's before anything can fail; then, and else, the model is called."""
    return "model" if state.get("record") else "remember"


def _after_remember(state: MemoryState) -> str:
    """On to the model where `remember` only wrote down whose thread it is; not if its question was withdrawn since."""
    record, messages = state.get("record"), state["messages"]
    waits = bool(messages) and not is_finished(messages[-1])
    return "model" if record and "report" not in record and waits else END


def _without(schema: type[Any], *names: str) -> type[Any]:
    """A state's schema without what memory keeps for itself: nobody can inject it, and results do not show it."""
    hints = get_type_hints(schema, include_extras=True)
    if not is_typeddict(schema):
        return schema
    kept = {name: hint for name, hint in hints.items() if name not in names}
    return TypedDict(f"{schema.__name__}Without{''.join(map(str.title, names))}", kept)  # type: ignore[operator,no-any-return]


def _next_step(state: MemoryState) -> str | list[Send]:
    """A task for each call: where one asks a person or fails, those beside it are done and are not done again."""
    last = state["messages"][-1] if state["messages"] else None
    calls = last.tool_calls if isinstance(last, AIMessage) else []
    return [Send("tools", [call]) for call in calls] or "remember"
