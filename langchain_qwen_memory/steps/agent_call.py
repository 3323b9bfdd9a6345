"""What memory does around one call of an agent's model, and at the end of its run: all that needs no `await`."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from hashlib import blake2b
from typing import Any

from langchain.agents.middleware.types import ExtendedModelResponse, ModelRequest, ModelResponse
from langchain_core.exceptions import ContextOverflowError, ModelInvalidRequestError
from langchain_core.messages import AIMessage, RemoveMessage, SystemMessage, ToolMessage
from langgraph.func import task
from langgraph.types import Command

from langchain_qwen_memory.archive.base import Turn
from langchain_qwen_memory.errors import ViewTooLargeError
from langchain_qwen_memory.memory.base import Answer, Ask, Conversation, Flow, Memory, Need, Selection, select_all
from langchain_qwen_memory.memory.render import View
from langchain_qwen_memory.memory.turns import LiveTurn
from langchain_qwen_memory.state import Record
from langchain_qwen_memory.steps.agent_state import Seen, as_requested, is_remembered, moved_on, read_agent
from langchain_qwen_memory.steps.arriving import Delivered, delivered_again
from langchain_qwen_memory.steps.choosing import EASED, leaving_out_refused, selected, shrunk, view_of, viewed
from langchain_qwen_memory.steps.needs import Means, OfNodes
from langchain_qwen_memory.steps.remembering import ahead, remembered
from langchain_qwen_memory.steps.storable import storable
from langchain_qwen_memory.steps.thread import Thread
from langchain_qwen_memory.steps.wiring import CONTROL

_once: Any = task(name="memory")
"""Makes a function whose result is stored with the checkpoint, so that a node that runs again finds it."""


@dataclass(kw_only=True)
class ModelCall:
    """One call of the model: what was chosen for it, and the view that it gets."""

    request: ModelRequest[Any]
    """As the middleware before this one hands it on."""
    seen: Seen
    """What it tells of model, tools and system text."""
    thread: Thread
    """The state, read from where memory left off; `record` grows by what is chosen."""
    means: Means
    """How needs are met."""
    chosen: dict[str, Any] | None = None
    """The selection of this turn; None: still to be made."""
    shrink: float = 1.0
    """Share of the limit that may be used."""
    record: Record | None = None
    """The record, where choosing changed it."""
    view: View | None = field(default=None, repr=False)
    """What was sent last."""
    gone: frozenset[str] = frozenset()
    """Ids of messages that are to leave the state: they were delivered once more after they had left it."""
    problem: str = ""
    """What the report is to say of them."""

    @property
    def key(self) -> tuple[str, str, str]:
        """What tells this turn's choice from others: the same for a retry, in whatever run."""
        return (self.thread.owner.root, self.thread.turns[-1].key, self.seen.serial)

    def arriving(self) -> Generator[OfNodes, Any, Delivered]:
        """What was delivered once more."""
        return delivered_again(self.seen.wiring, self.thread)

    def come(self, gone: Delivered) -> None:
        """Read the state without messages that were delivered once more."""
        self.problem = gone.problem
        if not gone:
            return
        self.gone = frozenset(gone)
        messages = [message for message in self.request.state["messages"] if message.id not in gone]
        thread = read_agent(self.seen.wiring, {**self.request.state, "messages": messages}, self.thread.owner)
        self.thread = self.seen.with_system(thread, thread.stored_system)

    def go_on(self, chosen: dict[str, Any]) -> None:
        """Take what an earlier call of this turn chose, if it was for this model."""
        if chosen and str(chosen["seen"]).partition(":")[0] == self.seen.serial:
            self.chosen = chosen

    def flow(self) -> Flow:
        """The memories at work before the model is called."""
        wiring = self.seen.wiring
        return select_all(
            wiring.memories, wiring.conversation(self.thread, "before", shrink=self.shrink), passes=CONTROL
        )

    def meet(self, need: Need | OfNodes) -> Any:
        """Bring what a memory needs."""
        return meet(self.means, need)

    async def ameet(self, need: Need | OfNodes) -> Any:
        """`meet`, async."""
        return await ameet(self.means, need)

    def choose(self, selection: Selection) -> None:
        """Take a selection, for this call and for those that follow in the turn."""
        update = selected(self.thread, selection, before=self.chosen, problem=self.problem)
        self.chosen = update["selection"]
        if "record" in update:
            self.record = update["record"]
            self.thread = replace(self.thread, record=update["record"])

    def again(self, chosen: dict[str, Any], record: Record | None) -> None:
        """Take what was chosen for a call that failed."""
        self.chosen, self.record = chosen, record
        if record is not None:
            self.thread = replace(self.thread, record=record)

    def repeated(self) -> ExtendedModelResponse[Any] | None:
        """The answer that is there already, if the question was delivered again after its turn was remembered."""
        newest = self.thread.turns[-1]
        if newest.question is None or not newest.finished or not is_remembered(self.thread):
            return None
        answer = ModelResponse(result=[newest.messages[-1]])
        return ExtendedModelResponse(model_response=answer, command=Command(update=self._removals))

    @property
    def _removals(self) -> dict[str, Any]:
        return {"messages": [RemoveMessage(id=known) for known in sorted(self.gone)]} if self.gone else {}

    def tighten(self) -> None:
        """Allow less, after the provider found the view too long in spite of the count."""
        assert self.view is not None
        self.shrink = shrunk(self.seen.wiring, self.view)

    def leave_out(self, refusal: ModelInvalidRequestError) -> None:
        """Leave unanswered questions out that the provider may have refused; raise its error where there are none."""
        assert self.chosen is not None
        left = leaving_out_refused(self.thread, self.chosen)
        if left is None:
            raise refusal
        self.thread, self.chosen = left
        self.record = self.thread.record

    def viewing(self) -> ModelRequest[Any]:
        """The request with the view in it."""
        assert self.chosen is not None
        wiring = self.seen.wiring
        stored, turns = as_requested(self.thread, self.request.state["messages"], self.request)
        thread = self.seen.with_system(self.thread, stored)
        limits = wiring.conversation(thread, "before", shrink=self.shrink).limits
        self.view = view_of(wiring, thread, self._kept(turns), self.chosen, room=limits.input)
        messages: list[Any] = self.view.messages
        if isinstance(messages[0], SystemMessage):
            return self.request.override(system_message=messages[0], messages=messages[1:])
        return self.request.override(system_message=None, messages=messages)

    def tighter(self, overflow: ContextOverflowError) -> ModelRequest[Any]:
        """`viewing`, after an overflow; where no view is smaller, the provider's own error is the clearer one."""
        tightest = self.shrink
        for eased in EASED:
            self.shrink = tightest * eased
            try:
                return self.viewing()
            except ViewTooLargeError:
                continue
        raise overflow from None

    def _kept(self, turns: Sequence[LiveTurn]) -> list[LiveTurn]:
        assert self.chosen is not None
        start = min(self.chosen["start"], turns[-1].position) if turns else 0
        return [turn for turn in turns if turn.position >= start]

    def answered(self, response: ModelResponse[Any]) -> ExtendedModelResponse[Any]:
        """The response, and what is to be kept with it."""
        assert self.chosen is not None
        assert self.view is not None
        selection = viewed(self.seen.wiring, self.thread, self.chosen, self.view)
        update: dict[str, Any] = {"selection": {**selection, "seen": self.seen.name}, **self._removals}
        if self.record is not None:
            update["record"] = self.record
        stored = replace(response, result=[storable(message) for message in response.result])
        return ExtendedModelResponse(model_response=stored, command=Command(update=update))


@dataclass(frozen=True, kw_only=True)
class RunEnd:
    """The end of an agent's run: a turn to be remembered."""

    seen: Seen
    """What the run's calls told; without a model if another process made them."""
    thread: Thread
    """The state, read from where memory left off."""
    chosen: Mapping[str, Any]
    """The selection of this turn, with the numbers of its last view; empty if another process made it."""
    fresh: list[Turn]
    """What is to be archived."""
    whole: bool
    """Whether messages stay in the state."""

    @property
    def memories(self) -> tuple[Memory, ...]:
        """Those that work now: none where the model is not known; they catch up at the next turn."""
        return self.seen.wiring.memories if self.seen.name else ()

    def flow(self) -> Flow:
        """The memories at work after the answer."""
        return select_all(self.memories, self._conversation(), passes=CONTROL)

    def update(self, selection: Selection, error: str | None) -> dict[str, Any]:
        """What the state is to keep."""
        update = remembered(
            self.seen.wiring, {"selection": self.chosen}, self.thread, selection, error, whole=self.whole
        )
        return moved_on(self.thread, update, whole=self.whole)

    def ahead(self, update: Mapping[str, Any]) -> Conversation:
        """The conversation as the next turn will find it."""
        return ahead(self._conversation(), update["record"])

    def _conversation(self) -> Conversation:
        return self.seen.wiring.conversation(self.thread, "after")


def was_answered(turn: LiveTurn) -> bool:
    """Whether there is more than a question: an agent may end before its model was called."""
    return any(isinstance(message, AIMessage | ToolMessage) for message in turn.messages)


def meet(means: Means, need: Need | OfNodes) -> Any:
    """Bring what a memory needs; a model's answer is kept with the checkpoint, and found there after a crash."""
    if not isinstance(need, Ask):
        return means.meet(need)
    asked = _digest(need)

    def ask() -> dict[str, Any]:
        return _kept(asked, means.meet(need))

    kept = _once(ask)().result()
    return _answer(kept) if kept["asked"] == asked else means.meet(need)


async def ameet(means: Means, need: Need | OfNodes) -> Any:
    """`meet`, async."""
    if not isinstance(need, Ask):
        return await means.ameet(need)
    asked = _digest(need)

    async def ask() -> dict[str, Any]:
        return _kept(asked, await means.ameet(need))

    kept = await _once(ask)()
    return _answer(kept) if kept["asked"] == asked else await means.ameet(need)


def _kept(asked: str, answer: Answer) -> dict[str, Any]:
    return {"asked": asked, "text": answer.text, "usage": dict(answer.usage)}


def _answer(kept: Mapping[str, Any]) -> Answer:
    return Answer(text=kept["text"], usage=kept["usage"])


def _digest(need: Ask) -> str:
    """What was asked: LangGraph tells a node's tasks apart by their number only, which may change on a resume."""
    said = str([(message.type, message.content) for message in need.messages])
    return blake2b(said.encode("utf-8", "replace"), digest_size=16).hexdigest()
