"""Runs one turn of a thread safely: one at a time, to its end, after finishing what was interrupted.

LangGraph leaves three holes that lose what a user has seen: two runs on one thread at once lose a turn; a reader who
leaves the stream stops the nodes after the answer, and the next input discards it; a process that died leaves a turn
half done. The functions here close them: within one process always, and over all processes and machines where the
graph's archive can (`PostgresArchive`, `SqliteArchive` on one machine); without such an archive, send a thread's turns
to one process.
"""

from __future__ import annotations

import asyncio
import logging
import queue
import threading
from collections.abc import AsyncIterator, Iterator, Mapping
from contextvars import copy_context
from typing import Any

from langchain_core.messages import AIMessage, HumanMessage
from langchain_core.runnables import RunnableConfig

from langchain_qwen_memory.archive.base import Archive
from langchain_qwen_memory.errors import MemoryOptionError
from langchain_qwen_memory.nodes import wiring_of
from langchain_qwen_memory.steps.locks import aalone, alone

logger = logging.getLogger("langchain_qwen_memory")

_tasks: set[asyncio.Task[None]] = set()
_END = object()
_FINISHING = ("interrupt_before", "interrupt_after", "durability")
"""Options of a run that hold for the run before it too, where that has to be finished."""


def run_turn(graph: Any, message: Any, config: RunnableConfig, *, context: Any = None, **options: Any) -> Any:
    """Answer one message, and give back the state after it.

    Args:
        graph: From `create_chat_graph`, `create_agent`, or one of your own.
        message: The user's message: a text, a message, a list of them, or a `Command`. None goes on where a run
            stopped: at a breakpoint, or in a crash.
        config: With the `thread_id`.
        context: As in `graph.invoke`: a dict or an object with `user_id`.
        options: Others of `graph.invoke`.
    """
    with alone(graph, config, context, _archive_of(graph)):
        _finish(graph, message, config, context, options)
        return graph.invoke(_input(message), config, context=context, **options)


async def arun_turn(graph: Any, message: Any, config: RunnableConfig, *, context: Any = None, **options: Any) -> Any:
    """`run_turn`, async. A caller who is cancelled does not stop the turn; the end of the loop does."""
    result: asyncio.Future[Any] = asyncio.get_running_loop().create_future()

    async def work() -> None:
        try:
            async with aalone(graph, config, context, _archive_of(graph)):
                await _afinish(graph, message, config, context, options)
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
    left = threading.Event()

    def work() -> None:
        end: Any = _END
        try:
            with alone(graph, config, context, _archive_of(graph)):
                _finish(graph, message, config, context, options)
                for chunk in graph.stream(_input(message), config, context=context, **options):
                    chunks.put((None, chunk))
        except BaseException as error:  # noqa: BLE001 - raised again where the reader is
            end = error
        chunks.put((end, None))
        if left.is_set():
            _log_unread(chunks)

    threading.Thread(target=copy_context().run, args=(work,), name="qwen-memory-turn").start()
    try:
        while True:
            end, chunk = chunks.get()
            if end is _END:
                return
            if end is not None:
                raise end
            yield chunk
    finally:
        left.set()
        _log_unread(chunks)


async def astream_turn(
    graph: Any, message: Any, config: RunnableConfig, *, context: Any = None, **options: Any
) -> AsyncIterator[Any]:
    """`stream_turn`, async: the graph runs in a task of its own, on the loop that reads.

    The turn goes on when the reader leaves, and ends with the loop: `asyncio.run(...)` cancels it on its way out, as
    does a server that shuts down. What was answered by then is kept, and the turn is finished before the thread's
    next one, by `run_turn` and its like. Where each request has a loop of its own, read to the end, or use
    `stream_turn`, which has a thread.
    """
    options.setdefault("stream_mode", "messages")
    chunks: asyncio.Queue[Any] = asyncio.Queue()
    left = threading.Event()

    async def work() -> None:
        end: Any = _END
        try:
            async with aalone(graph, config, context, _archive_of(graph)):
                await _afinish(graph, message, config, context, options)
                async for chunk in graph.astream(_input(message), config, context=context, **options):
                    chunks.put_nowait((None, chunk))
        except BaseException as error:  # noqa: BLE001 - raised again where the reader is
            end = error
        chunks.put_nowait((end, None))
        if left.is_set():
            _log_unread(chunks)

    _go_on(work())
    try:
        while True:
            end, chunk = await chunks.get()
            if end is _END:
                return
            if end is not None:
                raise end
            yield chunk
    finally:
        left.set()
        _log_unread(chunks)


def _archive_of(graph: Any) -> Archive | None:
    """The graph's archive; a graph without our nodes has none."""
    try:
        return wiring_of(graph).archive
    except MemoryOptionError:
        return None


def _log_unread(chunks: Any) -> None:
    """Log the error of a turn whose reader had left; worker and reader both look, and one of them finds it."""
    try:
        while True:
            end, _ = chunks.get_nowait()
            if isinstance(end, BaseException):
                logger.warning("a turn whose reader had left ended in an error", exc_info=end)
    except (queue.Empty, asyncio.QueueEmpty):
        return


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
        result.cancel() if isinstance(error, asyncio.CancelledError) else result.set_exception(error)
    else:
        logger.warning("a turn whose caller had left ended in an error", exc_info=error)


def _input(message: Any) -> Any:
    from langgraph.types import Command

    if message is None or isinstance(message, Command) or (isinstance(message, dict) and "messages" in message):
        return message
    return {"messages": HumanMessage(message) if isinstance(message, str) else message}


def _finish(graph: Any, message: Any, config: RunnableConfig, context: Any, options: Mapping[str, Any]) -> None:
    """Finish a turn whose answer is there and whose last nodes never ran.

    Nothing that a person did not ask for is run: a turn that stopped before its tools, in them or at a breakpoint is
    left as it is; the view gives the open calls a result that says so.
    """
    if not _keeps(graph, message):
        return
    try:  # a state is not even read where the last input was refused as no message
        if _answered(graph, graph.get_state(config), options):
            graph.invoke(None, config, context=context, **_of_finishing(options))
    except Exception as error:  # the new question must not fail for the old one
        logger.warning("the interrupted turn before this one could not be finished", exc_info=error)


async def _afinish(graph: Any, message: Any, config: RunnableConfig, context: Any, options: Mapping[str, Any]) -> None:
    if not _keeps(graph, message):
        return
    try:
        if _answered(graph, await graph.aget_state(config), options):
            await graph.ainvoke(None, config, context=context, **_of_finishing(options))
    except Exception as error:
        logger.warning("the interrupted turn before this one could not be finished", exc_info=error)


def _keeps(graph: Any, message: Any) -> bool:
    """Whether there may be a run to finish; with None the caller goes on with it."""
    return message is not None and graph.checkpointer not in (None, False)


def _of_finishing(options: Mapping[str, Any]) -> dict[str, Any]:
    return {name: options[name] for name in _FINISHING if name in options}


def _answered(graph: Any, state: Any, options: Mapping[str, Any]) -> bool:
    """Whether a run stopped between an answer and its end; one that waits for a person did not stop."""
    if state.interrupts or not state.tasks or _at_breakpoint(graph, state, options):
        return False
    last = _last_message(state)
    return isinstance(last, AIMessage) and not last.tool_calls


def _at_breakpoint(graph: Any, state: Any, options: Mapping[str, Any]) -> bool:
    """Whether a static breakpoint may have stopped the run; a state does not name the nodes that ran before it."""
    before = options.get("interrupt_before") or graph.interrupt_before_nodes
    after = options.get("interrupt_after") or graph.interrupt_after_nodes
    return bool(after) or before == "*" or any(task.name in before for task in state.tasks)


def _last_message(state: Any) -> Any:
    """The newest message, among them what was written and is not yet in a checkpoint."""
    messages = list(state.values.get("messages") or [])
    for task in state.tasks:
        written = task.result.get("messages") if isinstance(task.result, Mapping) else None
        written = getattr(written, "value", written)  # of an `Overwrite`
        messages += written if isinstance(written, list) else [written] if written is not None else []
    return messages[-1] if messages else None
