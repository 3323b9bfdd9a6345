"""An event loop in a thread of its own, so that the main thread may read lines, draw, and be stopped by Ctrl-C."""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import AsyncIterator, Coroutine, Iterator
from contextlib import suppress
from types import TracebackType
from typing import Any, Self, TypeVar

T = TypeVar("T")


class _End:
    """Marks the end of a stream; `error` is what ended it."""

    def __init__(self, error: BaseException | None = None) -> None:
        self.error = error


class LoopThread:
    """Runs coroutines for the main thread.

    Ctrl-C reaches the main thread only. Here it cancels the coroutine that is being waited for, waits until that has
    come to its end, and is raised then: after `KeyboardInterrupt` nothing of the coroutine is running any more.
    """

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="qwen-memory-loop", daemon=True)
        self._thread.start()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        """Wait for a coroutine's result."""

        async def once() -> AsyncIterator[T]:
            yield await work

        return next(iter([*self.stream(once())]))

    def stream(self, events: AsyncIterator[T]) -> Iterator[T]:
        """Iterate over an async iterator, as its items come."""
        items: queue.SimpleQueue[T | _End] = queue.SimpleQueue()

        async def pump() -> None:
            error: BaseException | None = None
            try:
                async for item in events:
                    items.put(item)
            except BaseException as raised:  # noqa: BLE001 - raised again in the main thread
                error = raised
            items.put(_End(error))

        future = asyncio.run_coroutine_threadsafe(pump(), self._loop)
        try:
            while not isinstance(item := items.get(), _End):
                yield item
        except (KeyboardInterrupt, GeneratorExit):
            future.cancel()
            _drain(items)
            raise
        if item.error is not None:
            raise item.error

    def close(self) -> None:
        """Stop the loop; what still runs on it is cancelled, and left behind if it does not end within ten seconds."""
        ended = asyncio.run_coroutine_threadsafe(_cancel_rest(), self._loop)
        with suppress(TimeoutError):
            ended.result(timeout=10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(timeout=10)
        if not self._loop.is_running():
            self._loop.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _drain(items: queue.SimpleQueue[Any]) -> None:
    """Wait for the end; a second Ctrl-C does not hurry what is being put in order."""
    while True:
        with suppress(KeyboardInterrupt):
            if isinstance(items.get(), _End):
                return


async def _cancel_rest() -> None:
    rest = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
    for task in rest:
        task.cancel()
    await asyncio.gather(*rest, return_exceptions=True)
    await asyncio.get_running_loop().shutdown_asyncgens()
    await asyncio.get_running_loop().shutdown_default_executor()
