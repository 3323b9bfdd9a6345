"""Runs one turn of a thread safely: one at a time, to its end, after finishing what was interrupted.

LangGraph leaves three holes that lose what a user has seen: two runs on one thread at once lose a turn; a reader who
leaves the stream stops the nodes after the answer, and the next input discards it; a process that died leaves a turn
half done. The functions here close them for one process; for several, send a thread's turns to one of them.
"""

from __future__ import annotations

import asyncio
import logging
import queue
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from contextvars import copy_context
from typing import Any
from weakref import WeakValueDictionary

from langchain_core.messages import HumanMessage
from langchain_core.runnables import RunnableConfig

logger = logging.getLogger("langchain_qwen_memory")

_registry = threading.Lock()
_tasks: set[asyncio.Task[None]] = set()
_END = object()


class _Lock:
    """A lock that threads and event loops share."""

    __slots__ = ("__weakref__", "_lock")

    def __init__(self) -> None:
        self._lock = threading.Lock()

    @contextmanager
    def held(self) -> Iterator[None]:
        with self._lock:
            yield

    @asynccontextmanager
    async def aheld(self) -> AsyncIterator[None]:
        if not self._lock.acquire(blocking=False):
            await self._wait()
        try:
            yield
        finally:
            self._lock.release()

    async def _wait(self) -> None:
        waiting = asyncio.ensure_future(asyncio.to_thread(self._lock.acquire))
        try:
            await asyncio.shield(waiting)
        except asyncio.CancelledError:
            waiting.add_done_callback(lambda _: self._lock.release())
            raise


_locks: WeakValueDictionary[tuple[int, str], _Lock] = WeakValueDictionary()


def _lock_of(graph: Any, config: RunnableConfig) -> _Lock:
    """The lock of a thread; graphs that share a checkpointer share it."""
    owner = graph.checkpointer if graph.checkpointer not in (None, True, False) else graph
    key = (id(owner), str(config.get("configurable", {}).get("thread_id", "")))
    with _registry:
        lock = _locks.get(key)
        if lock is None:
            lock = _locks[key] = _Lock()
        return lock


def run_turn(graph: Any, message: Any, config: RunnableConfig, *, context: Any = None, **options: Any) -> Any:
    """Answer one message, and give back the state after it.

    Args:
        graph: From `create_chat_graph`, `create_agent`, or one of your own.
        message: The user's message: a text, a message, a list of them, or a `Command`.
        config: With the `thread_id`.
        context: As in `graph.invoke`: a dict or an object with `user_id`.
        options: Others of `graph.invoke`.
    """
    with _lock_of(graph, config).held():
        _finish(graph, config, context)
        return graph.invoke(_input(message), config, context=context, **options)


async def arun_turn(graph: Any, message: Any, config: RunnableConfig, *, context: Any = None, **options: Any) -> Any:
    """`run_turn`, async. A caller who is cancelled does not stop the turn."""
    result: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

    async def work() -> None:
        try:
            async with _lock_of(graph, config).aheld():
                await _afinish(graph, config, context)
                _settle(result, await graph.ainvoke(_input(message), config, context=context, **options))
        except BaseException as error:  # noqa: BLE001 - handed to the caller, or logged when there is none
            _fail(result, error)

    _go_on(work())
    return await result


def stream_turn(
    graph: Any, message: Any, config: RunnableConfig, *, context: Any = None, **options: Any
) -> Iterator[Any]:
    """Stream one turn as `graph.stream` does (`stream_mode="messages"` unless told); it ends though the reader leaves.

    The graph runs in a thread of its own, which works on when the iterator is closed: the turn is remembered, and
    the thread's next turn waits for it.
    """
    options.setdefault("stream_mode", "messages")
    chunks: queue.SimpleQueue[Any] = queue.SimpleQueue()

    def work() -> None:
        end: Any = _END
        try:
            with _lock_of(graph, config).held():
                _finish(graph, config, context)
                for chunk in graph.stream(_input(message), config, context=context, **options):
                    chunks.put((None, chunk))
        except BaseException as error:  # noqa: BLE001 - raised again where the reader is
            end = error
        chunks.put((end, None))

    threading.Thread(target=copy_context().run, args=(work,), name="qwen-memory-turn").start()
    while True:
        end, chunk = chunks.get()
        if end is _END:
            return
        if end is not None:
            raise end
        yield chunk


async def astream_turn(
    graph: Any, message: Any, config: RunnableConfig, *, context: Any = None, **options: Any
) -> AsyncIterator[Any]:
    """`stream_turn`, async: the graph runs in a task of its own."""
    options.setdefault("stream_mode", "messages")
    chunks: asyncio.Queue[Any] = asyncio.Queue()

    async def work() -> None:
        end: Any = _END
        try:
            async with _lock_of(graph, config).aheld():
                await _afinish(graph, config, context)
                async for chunk in graph.astream(_input(message), config, context=context, **options):
                    chunks.put_nowait((None, chunk))
        except BaseException as error:  # noqa: BLE001 - raised again where the reader is
            end = error
        chunks.put_nowait((end, None))

    _go_on(work())
    while True:
        end, chunk = await chunks.get()
        if end is _END:
            return
        if end is not None:
            raise end
        yield chunk


def _go_on(work: Any) -> None:
    """Run a coroutine that nobody has to wait for; the set keeps it from being collected half-way."""
    task: asyncio.Task[None] = asyncio.get_running_loop().create_task(work)
    _tasks.add(task)
    task.add_done_callback(_tasks.discard)


def _settle(result: asyncio.Future[Any], value: Any) -> None:
    if not result.done():
        result.set_result(value)


def _fail(result: asyncio.Future[Any], error: BaseException) -> None:
    if not result.done():
        result.set_exception(error)
    else:
        logger.warning("a turn whose caller had left ended in an error", exc_info=error)


def _input(message: Any) -> Any:
    from langgraph.types import Command

    if isinstance(message, Command) or (isinstance(message, dict) and "messages" in message):
        return message
    return {"messages": HumanMessage(message) if isinstance(message, str) else message}


def _finish(graph: Any, config: RunnableConfig, context: Any) -> None:
    """Finish a turn whose answer is there and whose last nodes never ran."""
    if graph.checkpointer in (None, False) or not _answered(graph.get_state(config)):
        return
    try:
        graph.invoke(None, config, context=context)
    except Exception as error:  # the new question must not fail for the old one
        logger.warning("the interrupted turn before this one could not be finished", exc_info=error)


async def _afinish(graph: Any, config: RunnableConfig, context: Any) -> None:
    if graph.checkpointer in (None, False) or not _answered(await graph.aget_state(config)):
        return
    try:
        await graph.ainvoke(None, config, context=context)
    except Exception as error:
        logger.warning("the interrupted turn before this one could not be finished", exc_info=error)


def _answered(state: Any) -> bool:
    """Whether a run stopped between an answer and its end; one that waits for a person did not stop."""
    if state.interrupts or not state.tasks:
        return False
    if any(task.result for task in state.tasks):  # written, and not yet in a checkpoint: `next` does not name these
        return True
    messages = state.values.get("messages") or []
    return bool(messages) and not isinstance(messages[-1], HumanMessage)
