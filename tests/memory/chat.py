"""A whole chat in a few lines: runs a memory turn after turn as the nodes do, with a scripted summariser."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage

from langchain_qwen_memory.archive.base import root_key
from langchain_qwen_memory.memory.base import (
    Answer,
    Ask,
    Conversation,
    FindNote,
    Limits,
    Memory,
    Need,
    Phase,
    PutNote,
    Selection,
    adrive,
    drive,
    select_all,
)
from langchain_qwen_memory.memory.render import render
from langchain_qwen_memory.memory.turns import live_turns
from tests.memory.helpers import count


class Killed(BaseException):
    """The process dies: no memory can catch it."""


def chained(ask: Ask) -> str:
    """A summariser that forgets nothing: the marks `<n>` of all turns it is shown, in their order."""
    text = "".join(str(message.content) for message in ask.messages[:-1])
    return "".join(f"<{part.split('>')[0]}>" for part in text.split("<") if part[:1].isdigit())


@dataclass
class Chat:
    """One thread, driven by hand."""

    memories: Sequence[Memory]
    summarise: Callable[[Ask], str] = chained
    room: int = 10_000
    system: str = ""
    archived: bool = True
    awaits: bool = False
    prices: Any = None
    count: Callable[[BaseMessage], int] = count
    messages: list[BaseMessage] = field(default_factory=list)
    record: dict[str, Any] = field(default_factory=dict)
    position: int = 0
    parent: str = field(default_factory=lambda: root_key("alice", "t1"))
    notes: dict[str, Any] = field(default_factory=dict)
    needs: list[Need] = field(default_factory=list)
    asks: list[Ask] = field(default_factory=list)
    kill_at: int | None = None
    """Dies when this many needs have been yielded: at the first, before it is met."""

    def conversation(self, phase: Phase) -> Conversation:
        turns = live_turns(self.messages, parent=self.parent, position=self.position, count=self.count)
        system = [SystemMessage(self.system)] if self.system else []
        limits = Limits(input=self.room, overhead=sum(map(self.count, system)))
        return Conversation(
            turns=turns,
            record=self.record,
            phase=phase,
            limits=limits,
            count=self.count,
            system=system,
            archived=self.archived,
            prices=self.prices,
        )

    def meet(self, need: Need) -> Any:
        self.needs.append(need)
        if self.kill_at is not None and len(self.needs) > self.kill_at:
            raise Killed
        match need:
            case FindNote():
                return self.notes.get(need.key)
            case PutNote():
                return self.notes.setdefault(need.key, dict(need.note))
            case Ask():
                self.asks.append(need)
                text = self.summarise(need)
                used = {"input_tokens": sum(map(self.count, need.messages)), "output_tokens": len(text)}
                return Answer(text=text, usage=used)
        raise AssertionError(need)

    async def ameet(self, need: Need) -> Any:
        await asyncio.sleep(0)
        return self.meet(need)

    def run(self, flow: Any) -> Selection:
        return asyncio.run(adrive(flow, self.ameet)) if self.awaits else drive(flow, self.meet)

    def select(self, phase: Phase) -> Selection:
        selection = self.run(select_all(self.memories, self.conversation(phase)))
        self.record = {name: dict(slot) for name, slot in selection.slots.items()}
        return selection

    def ask(self, question: str, *more: BaseMessage) -> Selection:
        """The user asks: what the memories choose for the view."""
        self.messages += [HumanMessage(question), *more]
        return self.select("before")

    def answer(self, *answers: str | BaseMessage) -> Selection:
        """The model answers: what the memories choose afterwards; folded turns leave the state."""
        self.messages += [AIMessage(said) if isinstance(said, str) else said for said in answers]
        selection = self.select("after")
        turns = self.conversation("after").turns
        leaving = [turn for turn in turns[:-1] if turn.position < selection.start] if self.archived else []
        if leaving:
            self.parent, self.position = leaving[-1].key, leaving[-1].position + 1
            self.messages = self.messages[sum(len(turn.messages) for turn in leaving) :]
        return selection

    def prepare(self, done: Selection, conversation: Conversation | None = None) -> None:
        """What happens outside of runs, after the answer: memories work ahead."""
        for memory in self.memories:
            flow = memory.prepare(conversation or self.conversation("after"), done)
            if flow is not None:
                self.run(flow)

    def turn(self, question: str, answer: str = "ok") -> Selection:
        self.ask(question)
        return self.answer(answer)

    def view(self, selection: Selection) -> list[BaseMessage]:
        conversation = self.conversation("before")
        return render(
            system=conversation.system,
            summary=selection.summary,
            turns=conversation.kept(selection.start),
            room=self.room,
            count=self.count,
        ).messages

    def copy(self) -> "Chat":
        """The same chat after a crash: the same state and the same notes, nothing in the process's memory."""
        return replace(self, messages=list(self.messages), needs=[], kill_at=None)
