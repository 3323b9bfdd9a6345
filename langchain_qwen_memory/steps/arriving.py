"""What comes in at the start of a turn: a new question, or messages that were delivered before, or an edited one."""

from __future__ import annotations

import logging
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from langchain_core.messages import HumanMessage, RemoveMessage

from langchain_qwen_memory.archive.base import Turn, turn_key
from langchain_qwen_memory.errors import ThreadError
from langchain_qwen_memory.memory.base import Need
from langchain_qwen_memory.state import newest_turn
from langchain_qwen_memory.steps.needs import Known, OfNodes, Page
from langchain_qwen_memory.steps.thread import Owner, Thread
from langchain_qwen_memory.steps.wiring import Wiring

UNREAD = "archive: ArchiveError on reading"
"""What a report says where nobody knows what was delivered before; nothing is taken in then, lest it be there twice."""

logger = logging.getLogger("langchain_qwen_memory")


class Delivered(set[str]):
    """Ids of messages that came once more, with a word on why they could not be looked up."""

    problem: str = ""
    """`UNREAD`, or "" where they could."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Arrival:
    """A thread at the start of a turn."""

    thread: Thread
    """As memories read it."""
    gone: tuple[str, ...]
    """Ids of messages that are to leave the state."""
    problem: str = ""
    """What the report is to say of it."""

    @property
    def open(self) -> bool:
        """Whether there is something to answer: the same message, delivered again after its answer, is not."""
        return bool(self.thread.turns) and not self.thread.turns[-1].finished

    @property
    def removals(self) -> list[RemoveMessage]:
        """What takes them out of the state."""
        return [RemoveMessage(id=known) for known in self.gone]


def arrive(wiring: Wiring, state: Mapping[str, Any], owner: Owner) -> Generator[Need | OfNodes, Any, Arrival]:
    """Read a state at the start of a turn.

    Messages whose turns have left the state are unknown to it: a client that sends its whole history again, a parent
    graph that hands it down each time, or a late second delivery would have them remembered twice. The archive knows
    their ids. And an answered question that comes in other words under its old id takes its old answer with it.
    """
    thread = wiring.read(state, owner)
    gone = yield from delivered_again(wiring, thread)
    problem = gone.problem
    thread = _without(wiring, state, owner, gone) if gone else thread
    outdated = _outdated(thread)
    if outdated:
        gone.update(outdated)
        thread = _without(wiring, state, owner, gone)
    return Arrival(thread=thread, gone=tuple(sorted(gone)), problem=problem)


def delivered_again(wiring: Wiring, thread: Thread) -> Generator[OfNodes, Any, Delivered]:
    """Ids of live messages that stand in archived turns as well: they came once more after they had left the state.

    Raises:
        ThreadError: The question is an archived one in other words.
    """
    found = Delivered()
    if not thread.record.get("position") or wiring.archive is None:
        return found
    ids = [message.id for turn in thread.unarchived for message in turn.messages if message.id]
    try:
        found.update((yield Known(ids=ids, head=thread.record["parent"])) if ids else ())
    except Exception as failure:  # noqa: BLE001 - the user is answered; the next turn looks again
        logger.warning("the archive cannot be read, so nothing is archived in this turn: %s", failure)
        found.problem = UNREAD
    question = thread.turns[-1].question if thread.turns else None
    if question is not None and question.id in found:
        yield from _check_words(thread, question)
    return found


def _check_words(thread: Thread, question: HumanMessage) -> Generator[Page, Any, None]:
    """Refuse an edit that cannot be made: passed over as a second delivery, the user would wait for an answer."""
    before = thread.record["position"]
    while before > 0:
        page: Sequence[Turn] = yield Page(head=thread.record["parent"], before=before)
        said = [message for turn in page for message in turn.messages if message.id == question.id]
        if said and turn_key("", said[:1]) != turn_key("", [question]):
            raise ThreadError(
                f"Message {question.id!r} was said in other words, and its turn is archived, where nothing changes. "
                "Send the new words under a new id; or, to go on from there, from a checkpoint before it: "
                "graph.invoke(..., state.config) with a state of graph.get_state_history(config)."
            )
        before = page[0].position if page and not said else 0


def _without(wiring: Wiring, state: Mapping[str, Any], owner: Owner, gone: set[str]) -> Thread:
    messages = [message for message in state.get("messages") or () if message.id not in gone]
    return wiring.read({**state, "messages": messages}, owner)


def _outdated(thread: Thread) -> set[str]:
    """Ids of what followed the newest question before it was edited."""
    newest = thread.turns[-1] if thread.turns else None
    if newest is None or newest.question is None or newest.key == newest_turn(thread.record):
        return set()
    if newest.question.id is None or newest.question.id != thread.record.get("asked"):
        return set()
    return {message.id for message in newest.messages[1:] if message.id}
