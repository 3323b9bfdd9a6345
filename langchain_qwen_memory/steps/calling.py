"""One call of the model in a node: what has come in, what memories choose for it, the view, what is written."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from langchain_core.exceptions import ContextOverflowError, ModelInvalidRequestError
from langchain_core.messages import AIMessage, BaseMessage

from langchain_qwen_memory.errors import ViewTooLargeError
from langchain_qwen_memory.memory.base import Conversation, Flow, Selection, select_all
from langchain_qwen_memory.memory.render import View
from langchain_qwen_memory.state import Record
from langchain_qwen_memory.steps.arriving import Arrival, arrive
from langchain_qwen_memory.steps.choosing import EASED, leaving_out_refused, selected, shrunk, view_of, viewed
from langchain_qwen_memory.steps.needs import Means
from langchain_qwen_memory.steps.storable import storable
from langchain_qwen_memory.steps.thread import Thread
from langchain_qwen_memory.steps.wiring import CONTROL, Wiring


@dataclass
class Call:
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
