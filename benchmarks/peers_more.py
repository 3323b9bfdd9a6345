"""More peers, which need the environment of `peers_env.py`: deepagents, ContextEditing, classic Conversation…Memory.

What only some of them need is imported when they are made, so that our own rows can be measured without them.
"""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Callable, Sequence
from functools import reduce
from itertools import pairwise
from typing import Annotated, Any, TypedDict

from checker import encoded, size_of
from conversations import SYSTEM, TOOLS
from langchain.agents import create_agent
from langchain.agents.middleware import ClearToolUsesEdit, ContextEditingMiddleware, ModelRequest, ModelResponse
from langchain_core.messages import AIMessage, AnyMessage, BaseMessage, HumanMessage, SystemMessage
from langgraph.channels import DeltaChannel
from langgraph.graph.message import add_messages
from scripted import ScriptedModel

TRIGGER = 5_600
SYSTEM_MESSAGE = SystemMessage(SYSTEM, id="system")
TURNS = 30
"""Turns that a window of the classic memories keeps: between the 20 and 40 of ours."""

View = Callable[[list[BaseMessage]], Sequence[BaseMessage]]


def _joined(state: list[AnyMessage], writes: Sequence[Any]) -> list[AnyMessage]:
    return reduce(add_messages, writes, state)  # type: ignore[arg-type]


class DeltaState(TypedDict):
    """MessagesState, but stored as what each step wrote."""

    messages: Annotated[list[AnyMessage], DeltaChannel(_joined)]


def wrapped_view(middleware: Any, summariser: ScriptedModel) -> View:
    """The prompt that a middleware makes around a call; what it writes into the state is kept here."""
    state: dict[str, Any] = {}

    def view(messages: list[BaseMessage]) -> Sequence[BaseMessage]:
        sent: list[BaseMessage] = []

        def handler(request: Any) -> ModelResponse:
            sent[:] = [request.system_message, *request.messages]
            return ModelResponse(result=[AIMessage("")])

        request: Any = ModelRequest(
            model=summariser,
            messages=list(messages),
            system_message=SYSTEM_MESSAGE,
            tools=TOOLS,
            state={"messages": list(messages), **state},
        )
        answer = middleware.wrap_model_call(request, handler)
        update = getattr(getattr(answer, "command", None), "update", None) or {}
        state.update({key: value for key, value in update.items() if key != "messages"})
        return sent

    return view


def editing(**options: Any) -> ContextEditingMiddleware:
    return ContextEditingMiddleware(edits=[ClearToolUsesEdit(trigger=TRIGGER)], **options)


def editing_graph(chat: ScriptedModel, _: ScriptedModel, saver: Any) -> Any:
    return create_agent(chat, TOOLS, system_prompt=SYSTEM, middleware=[editing()], checkpointer=saver)


def deep(summariser: ScriptedModel, backend: Any, **options: Any) -> Any:
    """Deepagents' summarisation with the trigger of the other peers."""
    from deepagents.middleware.summarization import SummarizationMiddleware

    return SummarizationMiddleware(model=summariser, backend=backend, trigger=("tokens", TRIGGER), **options)


def deep_view(summariser: ScriptedModel, **options: Any) -> View:
    """Its prompts; what leaves them it writes into files of a folder."""
    from deepagents.backends import FilesystemBackend

    folder = tempfile.mkdtemp(prefix="deepagents-")
    return wrapped_view(deep(summariser, FilesystemBackend(root_dir=folder, virtual_mode=True), **options), summariser)


def deep_graph(chat: ScriptedModel, summariser: ScriptedModel, saver: Any) -> Any:
    """An agent with deepagents' summarisation, and with the state that deepagents itself uses: a DeltaChannel."""
    from deepagents.backends import StateBackend
    from deepagents.graph import DeepAgentState
    from deepagents.middleware.filesystem import FilesystemMiddleware

    backend = StateBackend()
    return create_agent(
        chat,
        TOOLS,
        system_prompt=SYSTEM,
        middleware=[FilesystemMiddleware(backend=backend), deep(summariser, backend)],
        state_schema=DeepAgentState,
        checkpointer=saver,
    )


def classic_view(memory: Any) -> View:
    """A classic memory takes in a question and its last answer; calls of tools stand in their own turn's prompt."""
    saved = 0

    def view(messages: list[BaseMessage]) -> Sequence[BaseMessage]:
        nonlocal saved
        starts = [at for at, message in enumerate(messages) if isinstance(message, HumanMessage)]
        for begin, end in list(pairwise(starts))[saved:]:
            memory.save_context({"input": messages[begin].text}, {"output": messages[end - 1].text})
            saved += 1
        return [SYSTEM_MESSAGE, *memory.load_memory_variables({})["history"], *messages[starts[-1] :]]

    return view


def buffer_window_view(_: ScriptedModel) -> View:
    from langchain_classic.memory import ConversationBufferWindowMemory

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return classic_view(ConversationBufferWindowMemory(k=TURNS, return_messages=True))


def summary_buffer_view(summariser: ScriptedModel) -> View:
    """Counts with Qwen's own tokenizer: LangChain's counter asks for GPT-2's otherwise."""
    from langchain_classic.memory import ConversationSummaryBufferMemory

    summariser.custom_get_token_ids = encoded
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return classic_view(
            ConversationSummaryBufferMemory(llm=summariser, max_token_limit=TRIGGER, return_messages=True)
        )


EXACT: dict[str, Any] = {"token_counter": size_of}
