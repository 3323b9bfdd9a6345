"""A thread as a whole: its transcript in pages, its reports, and forgetting it everywhere."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from langchain_core.messages import BaseMessage
from langchain_core.runnables import RunnableConfig

from langchain_qwen_memory.archive.base import Archive, Turn
from langchain_qwen_memory.errors import MemoryOptionError, ThreadError
from langchain_qwen_memory.nodes import wiring_of
from langchain_qwen_memory.state import Report
from langchain_qwen_memory.steps.locks import aalone, alone
from langchain_qwen_memory.steps.thread import Owner, Thread, owner_of


@dataclass(frozen=True, kw_only=True, slots=True)
class TranscriptTurn:
    """A turn of the transcript, live or archived."""

    position: int
    """Its place in the thread, from 0."""
    messages: tuple[BaseMessage, ...]
    """The user's message and all that followed."""
    live: bool
    """Whether it still stands in the checkpointed state."""
    at: float | None
    """When it was archived, unix seconds; None while it is not."""


def transcript(
    graph: Any, config: RunnableConfig, *, context: Any = None, before: int | None = None, limit: int = 50
) -> list[TranscriptTurn]:
    """Read live and archived turns as one: a page of the thread, oldest first.

    Args:
        graph: With our nodes and a checkpointer.
        config: With the `thread_id`.
        context: With the `user_id` whose thread it is.
        before: Turns before this position: the first position of the page you have. None: the newest page.
        limit: Turns at most; none below 1.
    """
    owner = owner_of(config, context)
    thread = wiring_of(graph).read(graph.get_state(config).values, owner)
    first, live = _live_part(thread, before, limit)
    archive = wiring_of(graph).archive
    if archive is None or len(live) >= limit or first == 0:
        return live
    head = thread.record.get("parent", owner.root)
    page = archive.page(owner.user, owner.thread, head=head, before=first, limit=limit - len(live))
    return [*map(_archived, page), *live]


async def atranscript(
    graph: Any, config: RunnableConfig, *, context: Any = None, before: int | None = None, limit: int = 50
) -> list[TranscriptTurn]:
    """`transcript`, async."""
    owner = owner_of(config, context)
    thread = wiring_of(graph).read((await graph.aget_state(config)).values, owner)
    first, live = _live_part(thread, before, limit)
    archive = wiring_of(graph).archive
    if archive is None or len(live) >= limit or first == 0:
        return live
    head = thread.record.get("parent", owner.root)
    page = await archive.apage(owner.user, owner.thread, head=head, before=first, limit=limit - len(live))
    return [*map(_archived, page), *live]


def _live_part(thread: Thread, before: int | None, limit: int) -> tuple[int, list[TranscriptTurn]]:
    """Live turns of a page, and the position before which the archive is asked."""
    if limit < 1:
        return 0, []
    start = thread.record.get("position", 0)
    wanted = [turn for turn in thread.turns if before is None or turn.position < before][-limit:]
    turns = [TranscriptTurn(position=turn.position, messages=turn.messages, live=True, at=None) for turn in wanted]
    return (start if before is None else min(start, before)), turns


def _archived(turn: Turn) -> TranscriptTurn:
    return TranscriptTurn(position=turn.position, messages=turn.messages, live=False, at=turn.at)


def read_reports(graph: Any, config: RunnableConfig, *, limit: int = 20) -> list[Report]:
    """The reports of the newest turns, oldest first, read from the checkpoints that led to the present one.

    A branch that time travel has left is not among them.

    Args:
        graph: With a checkpointer.
        config: With the `thread_id`; with a `checkpoint_id` too, the turns up to there.
        limit: Turns at most; each costs reading a few checkpoints.
    """
    reports: dict[int, Report] = {}
    at: RunnableConfig | None = config
    while at is not None:
        state = graph.get_state(at)
        if _collect(reports, state.values, limit):
            break
        at = state.parent_config
    return [reports[turn] for turn in sorted(reports)]


async def aread_reports(graph: Any, config: RunnableConfig, *, limit: int = 20) -> list[Report]:
    """`read_reports`, async."""
    reports: dict[int, Report] = {}
    at: RunnableConfig | None = config
    while at is not None:
        state = await graph.aget_state(at)
        if _collect(reports, state.values, limit):
            break
        at = state.parent_config
    return [reports[turn] for turn in sorted(reports)]


def _collect(reports: dict[int, Report], values: dict[str, Any], limit: int) -> bool:
    report = (values.get("record") or {}).get("report")
    if len(reports) >= limit:
        return True
    if report is None or report["turn"] in reports:
        return False
    reports[report["turn"]] = report
    return False


def forget(graph: Any, *, user: Any = None, thread: str | None = None) -> int:
    """Remove a thread, or all threads of a user, from checkpoints and archive.

    It waits for a turn of the thread that is under way; inside such a turn, from a tool, it would wait for itself.
    Checkpoints hold no user ids, so the archive alone knows which threads are a user's: with `thread=None`, one that
    the archive never took a turn of is not found and stays. Name it, where that may be.

    Args:
        graph: With our nodes.
        user: Whose, as in the context's `user_id`; None where the app has no users.
        thread: Which thread; None: all that the archive knows of this user. In an app without users, that has to be
            said: `user=""`.

    Returns:
        Number of archived turns removed.

    Raises:
        MemoryOptionError: Neither is given; or all threads are to go and there is no archive that knows them.
        ThreadError: The thread is another user's, or `thread` is not its name.
    """
    owner, removed = _whose(user, thread), 0
    archive, saver = wiring_of(graph).archive, _saver(graph)
    for name in _named(archive, owner, thread):
        with alone(graph, _config(name), {"user_id": owner}, archive):
            if saver is not None:
                _check_owner(graph.get_state(_config(name)), owner, name)
                saver.delete_thread(name)
            removed += archive.forget(owner, name) if archive is not None else 0
    if archive is not None and thread is None:
        removed += archive.forget(owner, None)  # notes of threads without turns
    return removed


async def aforget(graph: Any, *, user: Any = None, thread: str | None = None) -> int:
    """`forget`, async."""
    owner, removed = _whose(user, thread), 0
    archive, saver = wiring_of(graph).archive, _saver(graph)
    for name in _named(archive, owner, thread):
        async with aalone(graph, _config(name), {"user_id": owner}, archive):
            if saver is not None:
                _check_owner(await graph.aget_state(_config(name)), owner, name)
                await saver.adelete_thread(name)
            removed += await archive.aforget(owner, name) if archive is not None else 0
    if archive is not None and thread is None:
        removed += await archive.aforget(owner, None)
    return removed


def _whose(user: Any, thread: str | None) -> str:
    """The user id as runs read it from their context."""
    if user is None and thread is None:
        raise MemoryOptionError(
            'forget(graph) does not say what is to go. Write forget(graph, thread="t1"), forget(graph, user="alice") '
            'for all threads of a user, or forget(graph, user="") for all threads of an app without users.'
        )
    return owner_of({}, {"user_id": user}).user


def _saver(graph: Any) -> Any:
    return None if graph.checkpointer in (None, True, False) else graph.checkpointer


def _config(thread: str) -> RunnableConfig:
    return {"configurable": {"thread_id": thread}}


def _named(archive: Archive | None, user: str, thread: str | None) -> list[str]:
    if thread is not None and not isinstance(thread, str):
        raise ThreadError(f'thread={thread!r} is no name of a thread; write forget(graph, user=..., thread="t1").')
    if thread is not None:
        return [thread]
    if archive is None:
        raise MemoryOptionError(
            "forget(thread=None) takes the names of a user's threads from the archive, and this graph has none. "
            'Name the thread: forget(graph, thread="t1").'
        )
    return [known.thread for known in archive.threads(user)]


def _check_owner(state: Any, user: str, thread: str) -> None:
    """Refuse to remove another user's thread."""
    root = (state.values.get("record") or {}).get("root")
    if root and root != Owner(user=user, thread=thread).root:
        raise ThreadError(f"Thread {thread!r} was begun with another user id; nothing was removed.")
