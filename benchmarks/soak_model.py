"""The model of a soak: a local DashScope in a process of its own, and a client that knows how long each turn waited."""

from __future__ import annotations

import re
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from importlib import import_module
from multiprocessing import get_context
from typing import Any

import openai

from langchain_qwen_memory import ChatQwen

MODEL = "qwen-plus"
TOKEN = re.compile(r"u(\d+)x(\d+)x(\d+)z")
"""What each question carries: user, thread, turn. `u12x0x7z` is found in no other turn's text."""

turn: ContextVar[Turn | None] = ContextVar("turn", default=None)
"""The turn that runs in this task, and in all tasks it starts."""


@dataclass(slots=True)
class Turn:
    """What is known of a turn while it runs."""

    user: int
    waited: float = 0.0
    """Seconds in which the HTTP client waited for the model's bytes, the summariser's too."""
    saved: float = 0.0
    """Seconds in calls of the checkpointer, some of them while the model answered."""


@dataclass(slots=True)
class Prompts:
    """What the model was sent."""

    calls: int = 0
    crossed: list[str] = field(default_factory=list)
    """Other users' tokens that stood in a prompt."""

    def look(self, body: bytes, now: Turn | None) -> None:
        self.calls += 1
        if now is None:
            self.crossed.append("a call outside of any turn")
            return
        for found in TOKEN.finditer(body.decode("utf-8", "replace")):
            if int(found[1]) != now.user:
                self.crossed.append(f"{found[0]} in a prompt of user {now.user}")


def serve(pipe: Any, speed: float, first_byte: float) -> None:
    """Run the server until the pipe closes: with the parent it ends."""
    from langchain_qwen_memory.testing import LocalDashScope

    with LocalDashScope(speed=speed, first_byte=first_byte, keep=10) as server:
        pipe.send(server.base_url)
        try:
            pipe.recv()
        except EOFError:
            return


@contextmanager
def model_elsewhere(speed: float = 0.02, first_byte: float = 0.2) -> Iterator[str]:
    """Runs the model in another process; yields its base URL."""
    context = get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=serve, args=(there, speed, first_byte), daemon=True)
    process.start()
    there.close()
    try:
        yield here.recv()
    finally:
        here.close()
        process.join(5)
        process.terminate()


def metered_model(url: str, prompts: Prompts) -> ChatQwen:
    """A ChatQwen whose HTTP client adds up, for each turn, the seconds in which it waited for bytes."""
    library = import_module(openai.DefaultAsyncHttpxClient.__mro__[1].__module__.partition(".")[0])
    limits = library.Limits(max_connections=1_000, max_keepalive_connections=100)

    class Metered(library.AsyncByteStream):  # type: ignore[misc,name-defined]
        def __init__(self, inner: Any, now: Turn | None) -> None:
            self.inner, self.now = inner, now

        async def __aiter__(self) -> AsyncIterator[bytes]:
            pieces, begun = aiter(self.inner), time.perf_counter()
            async for piece in pieces:
                self.add(begun)
                yield piece
                begun = time.perf_counter()
            self.add(begun)

        def add(self, begun: float) -> None:
            if self.now is not None:
                self.now.waited += time.perf_counter() - begun

        async def aclose(self) -> None:
            await self.inner.aclose()

    class Client(openai.DefaultAsyncHttpxClient):
        async def send(self, request: Any, **options: Any) -> Any:
            now, begun = turn.get(), time.perf_counter()
            prompts.look(request.content, now)
            response = await super().send(request, **{**options, "stream": True})
            if now is not None:
                now.waited += time.perf_counter() - begun
            response.stream = Metered(response.stream, now)
            if not options.get("stream"):
                await response.aread()
            return response

    return ChatQwen(model=MODEL, base_url=url, api_key="sk-local", http_async_client=Client(limits=limits))
