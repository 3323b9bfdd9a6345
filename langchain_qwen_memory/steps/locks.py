"""Lets one run of a thread at a time: by a fair lock that threads and event loops share, then by the archive's.

Who waits in an event loop holds no thread while waiting.
"""

from __future__ import annotations

import asyncio
import logging
import threading
from collections import deque
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, ExitStack, asynccontextmanager, contextmanager
from typing import Any, Protocol
from weakref import WeakValueDictionary

from langchain_core.runnables import RunnableConfig

from langchain_qwen_memory.archive.base import Archive
from langchain_qwen_memory.errors import ArchiveError
from langchain_qwen_memory.steps.thread import owner_of

logger = logging.getLogger("langchain_qwen_memory")


class _Waiter(Protocol):
    def hand_over(self) -> bool:
        """Give the lock to who waits; False if nobody is there any more."""
        ...


class _InThread:
    """A thread that waits."""

    def __init__(self) -> None:
        self.given = threading.Event()

    def hand_over(self) -> bool:
        self.given.set()
        return True


class _InLoop:
    """A coroutine that waits."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self.given: asyncio.Future[None] = self._loop.create_future()

    def hand_over(self) -> bool:
        try:
            self._loop.call_soon_threadsafe(self._settle)
        except RuntimeError:  # the loop is closed
            return False
        return True

    def _settle(self) -> None:
        if not self.given.done():
            self.given.set_result(None)


class TurnLock:
    """Held by one at a time, handed over in the order in which they came."""

    __slots__ = ("__weakref__", "_guard", "_taken", "_waiting")

    def __init__(self) -> None:
        # Reentrant: a coroutine of a dead loop may be collected, and leave, at any moment of this thread.
        self._guard = threading.RLock()
        self._waiting: deque[_Waiter] = deque()
        self._taken = False

    @contextmanager
    def held(self) -> Iterator[None]:
        """Hold it; a thread waits."""
        waiter = _InThread()
        if not self._enter(waiter):
            try:
                waiter.given.wait()
            except BaseException:
                self._leave(waiter)
                raise
        try:
            yield
        finally:
            self._release()

    @asynccontextmanager
    async def aheld(self) -> AsyncIterator[None]:
        """Hold it; a coroutine waits, and may be cancelled."""
        waiter = _InLoop()
        if not self._enter(waiter):
            try:
                await waiter.given
            except BaseException:
                self._leave(waiter)
                raise
        try:
            yield
        finally:
            self._release()

    def _enter(self, waiter: _Waiter) -> bool:
        with self._guard:
            if self._taken:
                self._waiting.append(waiter)
                return False
            self._taken = True
            return True

    def _leave(self, waiter: _Waiter) -> None:
        """Wait no longer; a lock that was handed over meanwhile goes on to the next."""
        with self._guard:
            if waiter in self._waiting:
                self._waiting.remove(waiter)
            else:
                self._release()

    def _release(self) -> None:
        with self._guard:
            while self._waiting:
                if self._waiting.popleft().hand_over():
                    return
            self._taken = False


_locks: WeakValueDictionary[tuple[int, str], TurnLock] = WeakValueDictionary()
_registry = threading.Lock()


def lock_of(graph: Any, config: RunnableConfig) -> TurnLock:
    """The lock of a thread of conversation; graphs that share a checkpointer share it."""
    owner = graph.checkpointer if graph.checkpointer not in (None, True, False) else graph
    key = (id(owner), str(config.get("configurable", {}).get("thread_id", "")))
    with _registry:
        lock = _locks.get(key)
        if lock is None:
            lock = _locks[key] = TurnLock()
        return lock


@contextmanager
def alone(graph: Any, config: RunnableConfig, context: Any, archive: Archive | None) -> Iterator[None]:
    """Be the only run of a thread: in this process, then in all that share the archive, as far as it can."""
    owner = owner_of(config, context)
    with lock_of(graph, config).held(), ExitStack() as stack:
        if archive is not None and owner.thread:
            try:
                stack.enter_context(archive.hold(owner.user, owner.thread))
            except ArchiveError as error:  # without a timeout: it fails. The user is answered all the same
                _warn(error)
        yield


@asynccontextmanager
async def aalone(graph: Any, config: RunnableConfig, context: Any, archive: Archive | None) -> AsyncIterator[None]:
    """`alone`, async."""
    owner = owner_of(config, context)
    async with lock_of(graph, config).aheld(), AsyncExitStack() as stack:
        if archive is not None and owner.thread:
            try:
                await stack.enter_async_context(archive.ahold(owner.user, owner.thread))
            except ArchiveError as error:
                _warn(error)
        yield


def _warn(error: ArchiveError) -> None:
    logger.warning("the archive cannot keep a thread to one run now, so this process alone does: %s", error)
