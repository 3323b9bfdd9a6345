"""What becomes of a finished turn: archived, written down in record and report, and perhaps out of the live state."""

from __future__ import annotations

import logging
from collections.abc import Generator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from langgraph.config import get_stream_writer
from langgraph.types import Overwrite

from langchain_qwen_memory.archive.base import Turn, searchable_text
from langchain_qwen_memory.memory.base import Conversation, Memory, Need, Selection, select_all
from langchain_qwen_memory.memory.recall import RecallMemory
from langchain_qwen_memory.memory.turns import LiveTurn
from langchain_qwen_memory.report import make_report, now
from langchain_qwen_memory.state import Record, newest_turn
from langchain_qwen_memory.steps.arriving import UNREAD
from langchain_qwen_memory.steps.choosing import begun, chosen_for
from langchain_qwen_memory.steps.needs import Append
from langchain_qwen_memory.steps.thread import Thread
from langchain_qwen_memory.steps.wiring import CONTROL, Wiring

logger = logging.getLogger("langchain_qwen_memory")


def to_archive(thread: Thread, memories: Sequence[Memory] = ()) -> list[Turn]:
    """What is not archived yet, as the archive takes it in; its days are those of the recall memory's time zone."""
    at = now()
    zone = next((memory.zone for memory in memories if isinstance(memory, RecallMemory)), None)
    return [
        Turn(
            key=turn.key,
            parent=turn.parent,
            messages=turn.messages,
            # a refused question would be refused once more where it is recalled
            text="" if turn.refused else searchable_text(turn.messages, at=at, zone=zone),
            at=at,
            tokens=turn.tokens,
        )
        for turn in thread.unarchived
    ]


def unread(state: Mapping[str, Any]) -> str | None:
    """Why turns must wait: when the turn began nobody could say which of its messages the archive has already."""
    return UNREAD if UNREAD in (state.get("selection") or {}).get("errors", ()) else None


def remembering(
    wiring: Wiring, thread: Thread, error: str | None = None
) -> Generator[Need | Append, Any, tuple[Selection, str | None]]:
    """Archive what is not archived, unless an `error` stands against it, and let the memories work after the answer.

    Returns:
        What they chose; and the archive's failure, for the report: the user has the answer, and the turn stays live.
    """
    added, fresh = None, to_archive(thread, wiring.memories)
    if wiring.archive is not None and fresh and not error:
        try:
            added = yield Append(turns=fresh)
        except Exception as failure:  # noqa: BLE001 - see above
            error = archive_failed(failure)
    selection = yield from select_all(wiring.memories, wiring.conversation(thread, "after"), passes=CONTROL)
    return without_vectors(selection, added), error


def without_vectors(selection: Selection, added: Any) -> Selection:
    """The selection, with a word for the report where turns were archived whose vectors could not be made yet."""
    problem = getattr(added, "problem", "")
    return replace(selection, errors=(*selection.errors, f"embeddings: {problem}")) if problem else selection


def is_new(thread: Thread) -> bool:
    """Whether a thread has just begun: nothing is kept of it yet, and its question is open."""
    return not thread.record and bool(thread.turns) and not thread.turns[-1].finished


def is_old(thread: Thread) -> bool:
    """Whether the newest turn was remembered before."""
    return not thread.turns or thread.turns[-1].key == newest_turn(thread.record)


def archive_failed(failure: Exception) -> str:
    """Log it, and name it for the report."""
    logger.warning("the archive could not take the turn in; it stays in the state and is tried again: %s", failure)
    return f"archive: {type(failure).__name__}"


def remembered(
    wiring: Wiring,
    state: Mapping[str, Any],
    thread: Thread,
    selection: Selection,
    error: str | None,
    *,
    whole: bool = False,
) -> dict[str, Any]:
    """Write the record and the report; let turns leave that are out of the window and in the archive.

    With `whole` no message leaves the state: turns that would are left out of what is read from now on.
    """
    safe = wiring.archive is not None and error is None
    unneeded = whole and wiring.archive is None
    leaving, staying = _parted(thread.turns, selection.start if safe or unneeded else 0)
    record: Record = {**begun(thread)}
    if thread.turns[-1].question is not None and thread.turns[-1].question.id:
        record["asked"] = thread.turns[-1].question.id
    record["slots"] = {name: dict(slot) for name, slot in selection.slots.items()}
    record["newest"] = thread.turns[-1].key
    if safe:
        record["head"] = record.pop("newest")
        record["archived"] = thread.turns[-1].position + 1
    if leaving:
        record["parent"] = leaving[-1].key
        record["position"] = leaving[-1].position + 1
        record["archived_tokens"] = record.get("archived_tokens", 0) + sum(turn.tokens for turn in leaving)
    chosen = chosen_for(state, thread)
    told = error if error not in chosen.get("errors", ()) else None
    report, record["stable"] = make_report(wiring, thread, chosen, selection, told)
    record["report"] = report
    get_stream_writer()({"memory_report": report})
    update: dict[str, Any] = {"record": record}
    if leaving and not whole:
        rest = [message for turn in staying for message in turn.messages]
        update["messages"] = Overwrite([*thread.stored_system, *rest])
    return update


def ahead(conversation: Conversation, record: Record) -> Conversation:
    """The conversation as the next turn will find it."""
    turns = conversation.kept(record["position"])
    return replace(conversation, turns=turns, record=record["slots"])


def _parted(turns: tuple[LiveTurn, ...], start: int) -> tuple[tuple[LiveTurn, ...], tuple[LiveTurn, ...]]:
    """Turns before position `start`, and the others; the newest one always stays."""
    leaving = tuple(turn for turn in turns[:-1] if turn.position < start)
    return leaving, turns[len(leaving) :]
