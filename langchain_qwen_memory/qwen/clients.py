"""Keeps the HTTP clients of one model object: one for threads, one for each event loop, made when first used."""

import asyncio
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator
from threading import Lock
from typing import Any, Generic, TypeVar
from weakref import WeakKeyDictionary, finalize

__all__ = ["Clients"]

Sync = TypeVar("Sync")
Async = TypeVar("Async")


class Clients(ABC, Generic[Sync, Async]):
    """The clients of one object.

    An asynchronous client's open connections belong to the event loop they were made in, and break in any other. So
    there is one per loop, closed when its loop shuts down. A client of the caller's own is used and never closed.

    Args:
        http_client: The caller's own client for synchronous calls.
        http_async_client: The caller's own client for asynchronous calls, used in whatever loop.
    """

    def __init__(self, *, http_client: Any = None, http_async_client: Any = None) -> None:
        self._http_client = http_client
        self._http_async_client = http_async_client
        self._lock = Lock()
        self._sync: Sync | None = None
        self._async: WeakKeyDictionary[Any, tuple[Async, AsyncGenerator[None, None]]] = WeakKeyDictionary()

    @abstractmethod
    def _made(self) -> Sync:
        """Makes a client for synchronous calls."""

    @abstractmethod
    async def _amade(self) -> Async:
        """Makes a client for asynchronous calls in the running loop."""

    async def _aready(self) -> None:
        """Does in a thread what else would hold up the loop when the first client is made."""

    @staticmethod
    @abstractmethod
    def _shut(client: Any) -> None:
        """Closes a synchronous client."""

    @staticmethod
    @abstractmethod
    async def _ashut(client: Any) -> None:
        """Closes an asynchronous client."""

    @staticmethod
    @abstractmethod
    def _is_shut(client: Any) -> bool:
        """Whether a client was closed."""

    @property
    def sync(self) -> Sync:
        """The client for synchronous calls; safe between threads."""
        with self._lock:
            if self._sync is None or (self._http_client is None and self._is_shut(self._sync)):
                self._sync = self._made()
                if self._http_client is None:
                    finalize(self, self._shut, self._sync)  # not left to the sockets, which would complain
            return self._sync

    async def of_this_loop(self) -> Async:
        """The client for asynchronous calls in the running loop."""
        await self._aready()
        loop = asyncio.get_running_loop()
        for old in [old for old in self._async if old.is_closed()]:
            self._async.pop(old, None)  # its client holds the loop, so that a weak key alone would keep both
        entry = self._async.get(loop)
        if entry is None or (self._http_async_client is None and self._is_shut(entry[0])):
            client = await self._amade()
            life = self._life(client, loop)
            entry = self._async[loop] = (client, life)
            await anext(life)
        return entry[0]

    def close(self) -> None:
        """Closes the client for synchronous calls, unless it is the caller's own; the next call makes another."""
        with self._lock:
            client, self._sync = self._sync, None
        if client is not None and self._http_client is None:
            self._shut(client)

    async def aclose(self) -> None:
        """Closes the running loop's client, unless it is the caller's own; the next call makes another."""
        if entry := self._async.pop(asyncio.get_running_loop(), None):
            await entry[1].aclose()

    async def _life(self, client: Async, loop: asyncio.AbstractEventLoop) -> AsyncGenerator[None, None]:
        """Closes and forgets a client when its loop ends: loops close the generators begun in them, nothing else."""
        try:
            yield
        finally:
            if (entry := self._async.get(loop)) is not None and entry[0] is client:
                self._async.pop(loop, None)
            if self._http_async_client is None:
                await self._ashut(client)
