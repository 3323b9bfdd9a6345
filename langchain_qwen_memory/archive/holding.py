"""Locks that let one run of a thread in at a time: over threads and event loops, and over processes by a side file.

The lock of a thread is one byte of a file that is never written to, at a place that the ids' hash gives. The operating
system lets go of it when the process ends, however it ends. Whoever waits looks again every few milliseconds, which
needs no thread while an event loop waits, and nothing to clean up when it is cancelled.
"""

import asyncio
import os
import sys
import threading
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from hashlib import blake2b

from langchain_qwen_memory.errors import ArchiveError

__all__ = ["ThreadLocks"]

SHORTEST, LONGEST = 0.002, 0.05
"""Seconds between two looks, at first and at last."""
PLACES = 1 << 62
"""Bytes that a lock file could have, which is as many locks."""

_guard = threading.Lock()
_held: set[tuple[str, int, int]] = set()
"""Locks held, by process, as a forked one inherits this: the operating system keeps no threads of a process apart."""
_files: dict[tuple[str, int], int] = {}
"""Lock files by path and process. They stay open: closing one would let go of all locks that the process has in it."""


class ThreadLocks:
    """The locks of one archive."""

    def __init__(self, path: str) -> None:
        """Keep locks in a side file.

        Args:
            path: the file, made when a lock is first taken; "" for locks of this object and process alone.
        """
        self._path = os.path.realpath(path) if path else ""
        self._name = self._path or f"#{id(self)}"

    @contextmanager
    def held(self, user: str, thread: str, timeout: float | None) -> Iterator[None]:
        """Hold a thread; wait for it at most so many seconds.

        Raises:
            ArchiveError: another held it for longer, or the file cannot be opened.
        """
        place = _place(user, thread)
        for pause in self._tries(place, thread, timeout):
            time.sleep(pause)
        try:
            yield
        finally:
            self._release(place)

    @asynccontextmanager
    async def aheld(self, user: str, thread: str, timeout: float | None) -> AsyncIterator[None]:  # noqa: ASYNC109
        """`held` for event loops; whoever waits may be cancelled."""
        place = _place(user, thread)
        for pause in self._tries(place, thread, timeout):
            await asyncio.sleep(pause)
        try:
            yield
        finally:
            self._release(place)

    def _tries(self, place: int, thread: str, timeout: float | None) -> Iterator[float]:
        """Pauses until the lock is taken."""
        started, pause = time.monotonic(), SHORTEST
        while not self._take(place):
            waited = time.monotonic() - started
            if timeout is not None and waited >= timeout:
                raise ArchiveError(
                    f"process {os.getpid()} waited {waited:.1f} s for thread {thread!r}, which another run holds "
                    f"({self._path or 'in this process'}); wait for that run to end, or longer than timeout={timeout}"
                )
            yield pause if timeout is None else min(pause, max(timeout - waited, 0.0))
            pause = min(pause * 1.5, LONGEST)

    def _take(self, place: int) -> bool:
        with _guard:
            name = (self._name, place, os.getpid())
            if name in _held or (self._path and not _lock(_opened(self._path), place)):
                return False
            _held.add(name)
            return True

    def _release(self, place: int) -> None:
        with _guard:
            _held.discard((self._name, place, os.getpid()))
            if self._path:
                _unlock(_opened(self._path), place)


def _place(user: str, thread: str) -> int:
    digest = blake2b(f"{len(user)}:{user}{thread}".encode(), digest_size=8).digest()
    return int.from_bytes(digest, "little") % PLACES


def _opened(path: str) -> int:
    key = (path, os.getpid())
    if key not in _files:
        try:
            _files[key] = os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0), 0o666)
        except OSError as error:
            folder = os.path.dirname(path)  # noqa: PTH120
            fix = f"let this process write the folder (chmod u+w {folder})"
            raise ArchiveError(f"the lock file {path} cannot be opened: {error.strerror}; {fix}") from error
    return _files[key]


if sys.platform == "win32":
    import msvcrt

    def _lock(file: int, place: int) -> bool:
        os.lseek(file, place, os.SEEK_SET)
        try:
            msvcrt.locking(file, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

    def _unlock(file: int, place: int) -> None:
        os.lseek(file, place, os.SEEK_SET)
        msvcrt.locking(file, msvcrt.LK_UNLCK, 1)
else:
    import fcntl

    def _lock(file: int, place: int) -> bool:
        try:
            fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, place, os.SEEK_SET)
        except BlockingIOError:
            return False
        except PermissionError:  # what some systems say instead
            return False
        return True

    def _unlock(file: int, place: int) -> None:
        fcntl.lockf(file, fcntl.LOCK_UN, 1, place, os.SEEK_SET)
