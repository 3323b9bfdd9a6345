"""`MemoryMiddleware`: the memories of this package in any agent that `langchain.agents.create_agent` makes."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from os import PathLike
from typing import Any, cast

from langchain_core.exceptions import ContextOverflowError, ModelInvalidRequestError
from langchain_core.runnables import RunnablePassthrough
from langgraph.config import get_config
from langgraph.runtime import Runtime

try:
    from langchain.agents.middleware.types import (
        AgentMiddleware,
        ExtendedModelResponse,
        ModelRequest,
        ModelResponse,
    )
except ImportError as error:
    raise ImportError(
        'MemoryMiddleware is for create_agent, which is in langchain: pip install "langchain-qwen-memory[agent]".'
    ) from error

from langchain_qwen_memory.archive.base import Archive, Turn
from langchain_qwen_memory.errors import MemoryOptionError
from langchain_qwen_memory.memory.base import Memory, adrive, drive
from langchain_qwen_memory.state import Record
from langchain_qwen_memory.steps.agent_call import ModelCall, RunEnd, ameet, meet, was_answered
from langchain_qwen_memory.steps.agent_state import (
    AgentMemoryState,
    AgentWiring,
    Learnt,
    Seen,
    is_remembered,
    read_agent,
)
from langchain_qwen_memory.steps.background import aprepare, prepare
from langchain_qwen_memory.steps.choosing import chosen_for
from langchain_qwen_memory.steps.given import as_memories, open_archive, with_window
from langchain_qwen_memory.steps.model_checks import PromptCache
from langchain_qwen_memory.steps.needs import Means
from langchain_qwen_memory.steps.remembering import archive_failed, to_archive, unread, without_vectors
from langchain_qwen_memory.steps.thread import Thread, owner_of
from langchain_qwen_memory.steps.unsaved import warn_if_unsaved
from langchain_qwen_memory.steps.wiring import CONTROL, Wiring

_UNANSWERED = 256
"""Selections kept whose model call failed, so that a retry neither searches nor folds again."""


class MemoryMiddleware(AgentMiddleware[AgentMemoryState, Any, Any]):
    """Gives an agent memory: changes what the model sees, and leaves the stored history as it is.

    Each call of the model gets a view: one system message with the summary in it, the kept turns, recalled turns
    beside the newest question; tools, system text and a structured answer's schema are counted with it. Once the
    agent is done, the turn is archived, old turns are folded, and the report is written (`read_reports`).

    Place it last in `middleware=[...]`: it counts what those before it add to the system text, and one after it that
    replaces the system message (`dynamic_prompt`) would replace the summary in it. Leave `SummarizationMiddleware`
    out: it removes the messages that memory works on. The state keys `record` and `selection` are memory's own.

    Messages out of the view for good are not read again, so a later edit of one of them is not noticed; editing a
    message in the view, and time travel, are.

    Args:
        memory: One memory or several, which choose in that order. None, or recall alone: the newest 20 to 40 turns.
        archive: Where finished turns go: an `Archive`, or the path of a SQLite file, which may be the checkpointer's
            own. None: the state is all there is.
        archive_folded: Let turns leave the state once they are out of the view and in the archive, so that
            checkpoints stay small; `transcript(agent, config)` still reads them all.
        max_input_tokens: Tokens a prompt may have, where model and catalogue do not know.
        prompt_cache: "explicit" marks the stable parts of each view for the service's explicit cache, as in
            `create_chat_graph`; "implicit" needs nothing.

    Raises:
        MemoryOptionError: A memory that cannot work as wired, or `archive_folded` without an archive. What the model
            cannot do (several turns, an explicit cache) is raised at the first call, before anything is sent.

    Example:
        ```python
        memory = MemoryMiddleware([SummaryBufferMemory(), RecallMemory()], archive="chat.db")
        agent = create_agent(ChatQwen(model="qwen-plus"), tools, middleware=[memory], checkpointer=saver)
        agent.invoke({"messages": "我对花生过敏"}, {"configurable": {"thread_id": "t1"}}, context={"user_id": "alice"})
        ```
    """

    state_schema = AgentMemoryState

    def __init__(
        self,
        memory: Memory | Sequence[Memory] | None = None,
        *,
        archive: Archive | str | PathLike[str] | None = None,
        archive_folded: bool = False,
        max_input_tokens: int | None = None,
        prompt_cache: PromptCache = "implicit",
    ) -> None:
        super().__init__()
        if archive_folded and archive is None:
            raise MemoryOptionError(
                "archive_folded=True moves turns from the state into an archive, and archive=None was given. "
                'Write archive="chat.db", or leave archive_folded out.'
            )
        parts: dict[str, Any] = {
            "model": RunnablePassthrough(),
            "memories": with_window(as_memories(memory)),
            "archive": open_archive(archive),
            "max_input_tokens": max_input_tokens,
            "prompt_cache": prompt_cache,
        }
        self.wiring = AgentWiring(**parts)
        """Of the agent as `transcript`, `read_reports` and `forget` need it; the model is known in a call only."""
        self._whole = not archive_folded
        self._learnt = Learnt(Wiring(**parts))
        self._unanswered: OrderedDict[tuple[str, str, str], tuple[dict[str, Any], Record | None]] = OrderedDict()

    def wrap_model_call(
        self, request: ModelRequest[Any], handler: Callable[[ModelRequest[Any]], ModelResponse[Any]]
    ) -> ModelResponse[Any] | ExtendedModelResponse[Any]:
        """Choose once a turn, render the view for each call, and call the model."""
        call = self._call(request)
        if call is None:
            return handler(request)
        if call.chosen is None and not self._whole:
            call.come(drive(call.arriving(), call.meet, passes=CONTROL))
        if (answer := call.repeated()) is not None:
            return answer
        if call.chosen is None:
            call.choose(drive(call.flow(), call.meet, passes=CONTROL))
            self._keep(call)
        try:
            response = handler(call.viewing())
        except ContextOverflowError as overflow:
            call.tighten()
            call.choose(drive(call.flow(), call.meet, passes=CONTROL))
            response = handler(call.tighter(overflow))
        except ModelInvalidRequestError as refusal:
            call.leave_out(refusal)
            response = handler(call.viewing())
        self._unanswered.pop(call.key, None)
        return call.answered(response)

    async def awrap_model_call(
        self, request: ModelRequest[Any], handler: Callable[[ModelRequest[Any]], Awaitable[ModelResponse[Any]]]
    ) -> ModelResponse[Any] | ExtendedModelResponse[Any]:
        """`wrap_model_call`, async."""
        await self._learnt.of(request).wiring.facts.aready(request.messages)
        call = self._call(request)
        if call is None:
            return await handler(request)
        if call.chosen is None and not self._whole:
            call.come(await adrive(call.arriving(), call.ameet, passes=CONTROL))
        if (answer := call.repeated()) is not None:
            return answer
        if call.chosen is None:
            call.choose(await adrive(call.flow(), call.ameet, passes=CONTROL))
            self._keep(call)
        try:
            response = await handler(call.viewing())
        except ContextOverflowError as overflow:
            call.tighten()
            call.choose(await adrive(call.flow(), call.ameet, passes=CONTROL))
            response = await handler(call.tighter(overflow))
        except ModelInvalidRequestError as refusal:
            call.leave_out(refusal)
            response = await handler(call.viewing())
        self._unanswered.pop(call.key, None)
        return call.answered(response)

    def after_agent(self, state: AgentMemoryState, runtime: Runtime[Any]) -> dict[str, Any] | None:
        """Archive the turn, fold old ones, write record and report."""
        end = self._end(state, runtime)
        if end is None:
            return None
        archive, added, error = self.wiring.archive, None, unread({"selection": end.chosen})
        if archive is not None and end.fresh and not error:
            try:
                added = archive.append(end.thread.owner.user, end.thread.owner.thread, end.fresh)
            except Exception as failure:  # noqa: BLE001 - the user has the answer; the turn stays in the state
                error = archive_failed(failure)
        means = _means(end.seen, end.thread, end.fresh, error)
        selection = without_vectors(drive(end.flow(), partial(meet, means), passes=CONTROL), added)
        update = end.update(selection, error)
        prepare(end.memories, end.ahead(update), selection, means)
        return update

    async def aafter_agent(self, state: AgentMemoryState, runtime: Runtime[Any]) -> dict[str, Any] | None:
        """`after_agent`, async."""
        end = self._end(state, runtime)
        if end is None:
            return None
        archive, added, error = self.wiring.archive, None, unread({"selection": end.chosen})
        if archive is not None and end.fresh and not error:
            try:
                added = await archive.aappend(end.thread.owner.user, end.thread.owner.thread, end.fresh)
            except Exception as failure:  # noqa: BLE001 - as above
                error = archive_failed(failure)
        means = _means(end.seen, end.thread, end.fresh, error)
        selection = without_vectors(await adrive(end.flow(), partial(ameet, means), passes=CONTROL), added)
        update = end.update(selection, error)
        aprepare(end.memories, end.ahead(update), selection, means)
        return update

    def _call(self, request: ModelRequest[Any]) -> ModelCall | None:
        """Read what a call needs; None where there is nothing to choose from."""
        seen, state = self._learnt.of(request), cast("AgentMemoryState", request.state)
        thread = read_agent(seen.wiring, state, owner_of(get_config(), request.runtime.context))
        thread = seen.with_system(thread, thread.stored_system)
        if not thread.turns:
            return None
        warn_if_unsaved(get_config(), thread)
        call = ModelCall(request=request, seen=seen, thread=thread, means=_means(seen, thread))
        call.go_on(chosen_for(state, thread))
        if call.chosen is None and (before := self._unanswered.get(call.key)) is not None:
            call.again(*before)
        return call

    def _keep(self, call: ModelCall) -> None:
        assert call.chosen is not None
        self._unanswered[call.key] = (call.chosen, call.record)
        if len(self._unanswered) > _UNANSWERED:
            self._unanswered.popitem(last=False)

    def _end(self, state: AgentMemoryState, runtime: Runtime[Any]) -> RunEnd | None:
        """Read what the end of a run needs; None where nothing was answered."""
        seen = self._learnt.named((state.get("selection") or {}).get("seen"))
        thread = read_agent(seen.wiring, state, owner_of(get_config(), runtime.context))
        if not thread.turns or not was_answered(thread.turns[-1]):
            return None
        chosen = chosen_for(state, thread)
        fresh = to_archive(thread, self.wiring.memories)
        if is_remembered(thread) and not (chosen or (fresh and self.wiring.archive)):
            return None
        thread = seen.with_system(thread, thread.stored_system)
        return RunEnd(seen=seen, thread=thread, chosen=chosen, fresh=fresh, whole=self._whole)


def _means(seen: Seen, thread: Thread, fresh: Sequence[Turn] = (), error: str | None = None) -> Means:
    return Means(
        owner=thread.owner,
        head=fresh[-1].key if fresh and error is None else thread.head,
        model=seen.wiring.model,
        prompt=seen.wiring.prompt,
        archive=seen.wiring.archive,
        config=get_config(),
    )
