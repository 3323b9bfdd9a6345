"""The peers that our memories are measured beside: as their documentation shows them, and tuned for Qwen."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, TypedDict

from checker import size_of
from conversations import SYSTEM, TOOLS
from langchain.agents import create_agent
from langchain.agents.middleware import SummarizationMiddleware
from langchain_core.messages import AIMessage, AnyMessage, BaseMessage, SystemMessage, trim_messages
from langgraph.graph import END, START, MessagesState, StateGraph
from langgraph.graph.message import add_messages
from langgraph.prebuilt import ToolNode
from langmem.short_term import SummarizationNode
from peers_more import (
    EXACT,
    DeltaState,
    buffer_window_view,
    deep_graph,
    deep_view,
    editing,
    editing_graph,
    summary_buffer_view,
    wrapped_view,
)
from scripted import ScriptedModel

TRIGGER = 5_600
"""Tokens from which peers cut or summarise: 70 % of a context of 8,000."""
SYSTEM_MESSAGE = SystemMessage(SYSTEM, id="system")

View = Callable[[list[BaseMessage]], Sequence[BaseMessage]]
"""From all messages of a thread to a prompt; may keep a state of its own."""


@dataclass(frozen=True, slots=True)
class Peer:
    """Something that others use."""

    name: str
    view: Callable[[ScriptedModel], View]
    """Makes its view, given a summariser."""
    graph: Callable[[ScriptedModel, ScriptedModel, Any], Any] | None = None
    """Makes its graph, given chat model, summariser and checkpointer; None: it is measured by its prompts alone."""


class LangMemState(MessagesState):
    """What langmem's node reads and writes."""

    context: dict[str, Any]
    summarized_messages: list[AnyMessage]


def trimmed(messages: Sequence[BaseMessage]) -> list[BaseMessage]:
    return trim_messages(
        [SYSTEM_MESSAGE, *messages],
        max_tokens=TRIGGER,
        token_counter=size_of,
        strategy="last",
        start_on="human",
        include_system=True,
    )


def whole(messages: Sequence[BaseMessage]) -> list[BaseMessage]:
    return [SYSTEM_MESSAGE, *messages]


def langmem_node(summariser: ScriptedModel, **options: Any) -> SummarizationNode:
    return SummarizationNode(model=summariser, max_tokens=TRIGGER, **options)


def langmem_view(summariser: ScriptedModel, **options: Any) -> View:
    node = langmem_node(summariser, **options)
    context: dict[str, Any] = {}

    def view(messages: list[BaseMessage]) -> Sequence[BaseMessage]:
        update = node.invoke({"messages": whole(messages), "context": context})
        context.update(update.get("context", {}))
        made: list[BaseMessage] = update["summarized_messages"]
        return made

    return view


def middleware(summariser: ScriptedModel, **options: Any) -> SummarizationMiddleware:
    return SummarizationMiddleware(model=summariser, trigger=("tokens", TRIGGER), **options)


def middleware_view(summariser: ScriptedModel, **options: Any) -> View:
    """The middleware takes messages out of the state, so that what came before is kept here."""
    made = middleware(summariser, **options)
    state: list[BaseMessage] = []
    seen = 0

    def view(messages: list[BaseMessage]) -> Sequence[BaseMessage]:
        nonlocal state, seen
        state = [*state, *messages[seen:]]
        seen = len(messages)
        update = made.before_model({"messages": state}, None)  # type: ignore[typeddict-item,arg-type]
        if update:
            state = list(add_messages(state, update["messages"]))  # type: ignore[arg-type]
        return whole(state)

    return view


def _with_tools(graph: Any, model: Callable[[Any], Any], first: str = "model") -> Any:
    graph.add_node("model", model)
    graph.add_node("tools", ToolNode(TOOLS))
    graph.add_edge(START, first)
    graph.add_conditional_edges("model", _next_step, ["tools", END])
    graph.add_edge("tools", first)
    return graph


def _next_step(state: Any) -> str:
    last = state["messages"][-1]
    return "tools" if isinstance(last, AIMessage) and last.tool_calls else END


def plain_graph(cut: View, state: type[Any] = MessagesState) -> Callable[[ScriptedModel, ScriptedModel, Any], Any]:
    def make(chat: ScriptedModel, _: ScriptedModel, saver: Any) -> Any:
        bound = chat.bind_tools(TOOLS)
        graph = _with_tools(StateGraph(state), lambda state: {"messages": [bound.invoke(cut(state["messages"]))]})
        return graph.compile(checkpointer=saver)

    return make


def _newest_turn(left: list[AnyMessage], right: Any) -> list[AnyMessage]:
    """What was said since the newest question."""
    messages: list[AnyMessage] = add_messages(left, right)  # type: ignore[assignment]
    asked = [at for at, message in enumerate(messages) if message.type == "human"]
    return messages[asked[-1] :] if asked else messages


class NewestTurn(TypedDict):
    """A state that forgets all but the newest turn."""

    messages: Annotated[list[AnyMessage], _newest_turn]


def forgetful_graph(chat: ScriptedModel, _: ScriptedModel, saver: Any) -> Any:
    """As many steps as a graph of ours has, and nothing done in them: what LangGraph and the saver cost."""
    bound = chat.bind_tools(TOOLS)
    graph: Any = StateGraph(NewestTurn)
    graph.add_node("model", lambda state: {"messages": [bound.invoke(whole(state["messages"]))]})
    graph.add_node("tools", ToolNode(TOOLS))
    graph.add_node("remember", lambda _: {})
    graph.add_edge(START, "model")
    graph.add_conditional_edges("model", _next_step, {"tools": "tools", END: "remember"})
    graph.add_edge("tools", "model")
    return graph.compile(checkpointer=saver)


def langmem_graph(chat: ScriptedModel, summariser: ScriptedModel, saver: Any) -> Any:
    bound = chat.bind_tools(TOOLS)
    graph: Any = StateGraph(LangMemState)
    graph.add_node("summarise", langmem_node(summariser))
    graph.add_edge("summarise", "model")
    made = _with_tools(
        graph,
        lambda state: {"messages": [bound.invoke([SYSTEM_MESSAGE, *state["summarized_messages"]])]},
        first="summarise",
    )
    return made.compile(checkpointer=saver)


def middleware_graph(chat: ScriptedModel, summariser: ScriptedModel, saver: Any) -> Any:
    return create_agent(chat, TOOLS, system_prompt=SYSTEM, middleware=[middleware(summariser)], checkpointer=saver)


NEEDED = ("langmem", "deepagents", "langchain_classic")
"""What the peers are; `peers_env.py` brings them."""

FORGETFUL = Peer("LangGraph alone, only the newest turn kept", lambda _: whole, forgetful_graph)
"""No memory: what the rows of the others have in common."""

PEERS = (
    Peer("plain MessagesState", lambda _: whole, plain_graph(whole)),
    Peer("trim_messages, exact counter", lambda _: trimmed, plain_graph(trimmed)),
    Peer("langmem SummarizationNode", langmem_view, langmem_graph),
    Peer(
        "langmem SummarizationNode, tuned",
        lambda model: langmem_view(model, max_tokens_before_summary=TRIGGER, token_counter=size_of),
    ),
    Peer("SummarizationMiddleware", middleware_view, middleware_graph),
    Peer(
        "SummarizationMiddleware, tuned",
        lambda model: middleware_view(model, token_counter=size_of, trim_tokens_to_summarize=None),
    ),
    Peer(
        "SummarizationMiddleware, tuned, keep 2,800",
        lambda model: middleware_view(
            model, token_counter=size_of, trim_tokens_to_summarize=None, keep=("tokens", TRIGGER // 2)
        ),
    ),
    Peer("plain DeltaChannel", lambda _: whole, plain_graph(whole, DeltaState)),
    Peer("ContextEditingMiddleware", lambda model: wrapped_view(editing(**EXACT), model), editing_graph),
    Peer("deepagents' summarisation", deep_view, deep_graph),
    Peer(
        "deepagents' summarisation, tuned",
        lambda model: deep_view(model, trim_tokens_to_summarize=None, **EXACT),
    ),
    Peer("ConversationBufferWindowMemory, k=30", buffer_window_view),
    Peer("ConversationSummaryBufferMemory, 5,600 tokens", summary_buffer_view),
)
"""Tuned: an exact token counter, and no cut of what the summariser reads."""
