"""Times what stands between a thread's live messages and a prompt, when the tokens of each message are known."""

from __future__ import annotations

import statistics
import time
from typing import Any

from langchain_core.messages import HumanMessage

from langchain_qwen_memory.memory.base import Need, Search, drive, select_all
from langchain_qwen_memory.steps.choosing import selected, view_of
from langchain_qwen_memory.steps.needs import Means
from langchain_qwen_memory.steps.thread import owner_of
from langchain_qwen_memory.threads import wiring_of

QUESTIONS = 60


def view_milliseconds(graph: Any, config: Any, context: Any) -> float:
    """Median wall milliseconds to read the live messages as turns, let the memories choose, and render the prompt.

    The live messages are those of the thread, and each time a new question follows, whose tokens have been counted.
    What the archive finds is looked up beforehand: a search is not part of the view.
    """
    wiring, owner = wiring_of(graph), owner_of(config, context)
    values = graph.get_state(config).values
    spent = []
    for number in range(QUESTIONS):
        question = HumanMessage(f"第{number}个新问题：{number * 7919} 的预算和财务确认了吗？", id=f"new{number}")
        state = {**values, "messages": [*values["messages"], question]}
        found: dict[str, Any] = {}
        first = _view(wiring, owner, state, found, config)
        begun = time.perf_counter()
        second = _view(wiring, owner, state, found, config)
        spent.append((time.perf_counter() - begun) * 1e3)
        assert [message.content for message in first] == [message.content for message in second]
    return statistics.median(spent)


def _view(wiring: Any, owner: Any, state: Any, found: dict[str, Any], config: Any) -> Any:
    thread = wiring.read(state, owner)
    conversation = wiring.conversation(thread, "before")

    def meet(need: Need) -> Any:
        if isinstance(need, Search):
            if need.query not in found:
                means = Means(
                    owner=owner,
                    head=thread.head,
                    model=wiring.model,
                    prompt=wiring.prompt,
                    archive=wiring.archive,
                    config=config,
                )
                found[need.query] = means.meet(need)
            return found[need.query]
        return None

    selection = drive(select_all(wiring.memories, conversation), meet)
    chosen = selected(thread, selection)["selection"]
    turns = conversation.kept(selection.start)
    return view_of(wiring, thread, turns, chosen, room=conversation.limits.input).messages
