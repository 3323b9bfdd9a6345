"""Work ahead of memories, outside of runs: a summary that will be due soon is made while nobody waits.

What is prepared is kept as a note under a key made of what it holds, so a process that dies on the way loses nothing
but the work, and two that prepare the same thing keep one. Of a thread that was forgotten meanwhile nothing is kept.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Sequence
from contextvars import Context
from dataclasses import dataclass
from functools import partial
from typing import Any

from typing_extensions import override

from langchain_qwen_memory.memory.base import Conversation, Flow, Memory, Need, PutNote, Selection, adrive, drive
from langchain_qwen_memory.steps.needs import Means, OfNodes

logger = logging.getLogger("langchain_qwen_memory")

_under_way: set[tuple[str, str]] = set()
_tasks: set[asyncio.Task[None]] = set()
_guard = threading.Lock()


def prepare(memories: Sequence[Memory], conversation: Conversation, selection: Selection, means: Means) -> None:
    """Start what memories want to work ahead on, in a thread; at most one job a thread of conversation and memory."""
    for memory in memories:
        flow = _begun(memory, conversation, selection)
        if flow is not None and _begin(job := (means.owner.root, memory.name)):
            _in_thread(job, flow, _apart(means))


def aprepare(memories: Sequence[Memory], conversation: Conversation, selection: Selection, means: Means) -> None:
    """`prepare`, as tasks of the running event loop; what ends with the loop is done in a thread.

    Where each request has a loop of its own, the work would be cancelled after each answer, and never be done.
    """
    for memory in memories:
        flow = _begun(memory, conversation, selection)
        if flow is not None and _begin(job := (means.owner.root, memory.name)):
            # A context of its own: the run's stream and tracer end with the run.
            apart, again = _apart(means), partial(_begun, memory, conversation, selection)
            task = asyncio.get_running_loop().create_task(_awork(job, flow, apart), context=Context())
            _tasks.add(task)
            task.add_done_callback(partial(_ended, job, again, apart))


def _begun(memory: Memory, conversation: Conversation, selection: Selection) -> Flow | None:
    """What a memory wants to do ahead; the turn is over, and a memory that fails here must not cost it."""
    try:
        return memory.prepare(conversation, selection)
    except Exception as error:  # noqa: BLE001 - it is asked again at the next turn
        _failed(("", memory.name), error)
        return None


@dataclass(frozen=True, kw_only=True, slots=True)
class _Apart(Means):
    """Means of work that may end after its thread was forgotten: then its newest turn is not archived any more."""

    @override
    def meet(self, need: Need | OfNodes) -> Any:
        if isinstance(need, PutNote) and self.archive is not None:
            there = self.archive.get(self.owner.user, self.owner.thread, [self.head])
            return Means.meet(self, need) if there else need.note
        return Means.meet(self, need)

    @override
    async def ameet(self, need: Need | OfNodes) -> Any:
        if isinstance(need, PutNote) and self.archive is not None:
            there = await self.archive.aget(self.owner.user, self.owner.thread, [self.head])
            return await Means.ameet(self, need) if there else need.note
        return await Means.ameet(self, need)


def _apart(means: Means) -> Means:
    """Means without the run's callbacks, which are over when the work is done."""
    return _Apart(
        owner=means.owner,
        head=means.head,
        model=means.model,
        archive=means.archive,
        prompt=means.prompt,
        config={"metadata": means.config.get("metadata") or {}, "tags": ["memory:background"]},
    )


def _work(job: tuple[str, str], flow: Flow, means: Means) -> None:
    try:
        _told(job, drive(flow, means.meet))
    except Exception as error:  # noqa: BLE001 - it is tried again at a later turn
        _failed(job, error)
    finally:
        _under_way.discard(job)


async def _awork(job: tuple[str, str], flow: Flow, means: Means) -> None:
    try:
        _told(job, await adrive(flow, means.ameet))
    except Exception as error:  # noqa: BLE001 - it is tried again at a later turn
        _failed(job, error)


def _ended(job: tuple[str, str], again: Callable[[], Flow | None], means: Means, task: asyncio.Task[None]) -> None:
    """Let the next job begin; one that was cancelled, perhaps before its first step, is begun again in a thread."""
    _tasks.discard(task)
    flow = again() if task.cancelled() else None
    if flow is None:
        _under_way.discard(job)
    else:
        _in_thread(job, flow, means)


def _in_thread(job: tuple[str, str], flow: Flow, means: Means) -> None:
    try:
        threading.Thread(target=_work, args=(job, flow, means), name="qwen-memory-fold", daemon=True).start()
    except RuntimeError as error:  # the interpreter is ending
        _under_way.discard(job)
        _failed(job, error)


def _told(job: tuple[str, str], selection: Selection) -> None:
    if selection.errors:
        logger.warning("memory %r could not work ahead: %s", job[1], ", ".join(selection.errors))


def _failed(job: tuple[str, str], error: Exception) -> None:
    logger.warning("memory %r could not work ahead: %s", job[1], error)


def _begin(job: tuple[str, str]) -> bool:
    with _guard:
        if job in _under_way:
            return False
        _under_way.add(job)
        return True
