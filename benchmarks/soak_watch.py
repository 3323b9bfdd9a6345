"""Watches a process from inside while it works: its event loop, what that stood still for, memory and open files."""

from __future__ import annotations

import asyncio
import gc
import os
import sys
import threading
import time
import traceback
from array import array
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

BEAT = 0.02
"""Seconds between two beats of the heart."""
LONG = 0.05
"""Seconds for which the loop may stand still."""
PAGE = os.sysconf("SC_PAGE_SIZE")


def rss() -> int:
    """Bytes of memory that the process has now."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * PAGE


def open_files() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


class Queued:
    """For each thread of the process, how long it was ready to run while the machine gave its cores to others."""

    def __init__(self, loop_thread: int) -> None:
        self.loop_thread = str(loop_thread)
        self._files: dict[str, int] = {}
        self._waits: dict[str, float] = {}

    def refresh(self) -> None:
        """Find threads that are new, and leave those that have ended."""
        there = {path.name for path in Path("/proc/self/task").iterdir()}
        for task in there - set(self._files):
            with suppress(OSError):
                self._files[task] = os.open(f"/proc/self/task/{task}/schedstat", os.O_RDONLY)
        for task in set(self._files) - there:
            os.close(self._files.pop(task))

    def taken(self) -> float:
        """Seconds since it was last asked for which others' use of the cores can have held up the loop.

        It is held up when its own thread waits for a core, and when the thread does that has the interpreter's lock.
        """
        waits = dict(self._read())
        gone = {task: waited - self._waits.get(task, waited) for task, waited in waits.items()}
        self._waits = waits
        return gone.pop(self.loop_thread, 0.0) + max(gone.values(), default=0.0)

    def _read(self) -> Iterator[tuple[str, float]]:
        for task, file in self._files.items():
            with suppress(OSError, IndexError):  # it has ended, or the kernel does not count
                yield task, int(os.pread(file, 100, 0).split()[1]) / 1e9


def quantile(values: Iterable[float], share: float) -> float:
    """The value below which this share of the values lies; 0 for none."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0.0


@dataclass(slots=True)
class Watch:
    """What was seen."""

    lags: array[float] = field(default_factory=lambda: array("d"))
    """Seconds by which each beat came late."""
    own: array[float] = field(default_factory=lambda: array("d"))
    """The same without the time for which others had the cores."""
    steps: list[tuple[float, float, str]] = field(default_factory=list)
    """Single steps of the loop over 20 ms: wall seconds, CPU seconds of the loop's thread, and whose they were."""
    collections: list[float] = field(default_factory=list)
    """Seconds of each garbage collection of all generations."""
    memory: list[tuple[float, int]] = field(default_factory=list)
    """(seconds since the start, bytes), once a second."""
    files: int = 0
    """Most files, sockets included, that were open at once."""
    tasks: int = 0
    """Most tasks of the loop at once."""
    blame: Counter[str] = field(default_factory=Counter)
    """Where the loop's thread was when a beat was overdue; with `look`."""
    _beat: float = 0.0
    _gc: float = 0.0
    _run: Any = None
    _end: bool = False

    async def beat(self) -> None:
        """Beat until cancelled."""
        queued, beats = Queued(threading.get_native_id()), 0
        while True:
            if beats % 50 == 0:
                queued.refresh()
            beats += 1
            queued.taken()
            begun = self._beat = time.perf_counter()
            await asyncio.sleep(BEAT)
            lag = max(0.0, time.perf_counter() - begun - BEAT)
            self.lags.append(lag)
            self.own.append(max(0.0, lag - queued.taken()))

    async def sample(self) -> None:
        """Look at memory and files once a second, until cancelled."""
        begun = time.monotonic()
        while True:
            self.memory.append((time.monotonic() - begun, rss()))
            self.files = max(self.files, open_files())
            self.tasks = max(self.tasks, len(asyncio.all_tasks()))
            await asyncio.sleep(1)

    def time_steps(self) -> None:
        """From now on time each step that a loop of this process takes, and each full garbage collection."""
        run: Any = asyncio.Handle._run  # noqa: SLF001 - there is no other way to each step
        self._run, steps = run, self.steps

        def timed(handle: Any) -> None:
            begun, spent = time.perf_counter(), time.thread_time()
            run(handle)
            wall = time.perf_counter() - begun
            if wall > 0.02:
                steps.append((wall, time.thread_time() - spent, _whose(handle)))

        asyncio.Handle._run = timed  # type: ignore[method-assign]  # noqa: SLF001
        gc.callbacks.append(self._collected)

    def _collected(self, phase: str, about: dict[str, int]) -> None:
        if about["generation"] == 2:
            if phase == "start":
                self._gc = time.perf_counter()
            else:
                self.collections.append(time.perf_counter() - self._gc)

    def look(self) -> None:
        """From now on look, from another thread, where the loop's thread is each time a beat is overdue by 30 ms."""
        loop_thread = threading.get_ident()

        def watch() -> None:
            while not self._end:
                time.sleep(0.005)
                if self._beat and time.perf_counter() - self._beat > BEAT + 0.03:
                    frame = sys._current_frames().get(loop_thread)  # noqa: SLF001
                    if frame is not None:
                        self.blame[_place(frame)] += 1

        threading.Thread(target=watch, daemon=True).start()

    def stop(self) -> None:
        self._end = True
        if self._run is not None:
            asyncio.Handle._run = self._run  # type: ignore[method-assign]  # noqa: SLF001
        if self._collected in gc.callbacks:
            gc.callbacks.remove(self._collected)


def _whose(handle: Any) -> str:
    """A step's task, told by its coroutine."""
    task = getattr(handle._callback, "__self__", None)  # noqa: SLF001
    if isinstance(task, asyncio.Task):
        return str(getattr(task.get_coro(), "__qualname__", task))
    return str(getattr(handle._callback, "__qualname__", type(handle._callback).__name__))  # noqa: SLF001


def _place(frame: Any) -> str:
    """The innermost line of our package and the innermost line of all."""
    stack = traceback.extract_stack(frame)
    ours = next((line for line in reversed(stack) if "langchain_qwen_memory" in line.filename), None)
    told = [f"{Path(line.filename).name}:{line.lineno} {line.name}" for line in (ours, stack[-1]) if line]
    return " > ".join(told)
