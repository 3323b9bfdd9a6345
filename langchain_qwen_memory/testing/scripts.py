"""What waits for the next requests (replies, faults, recordings), and a request on its way through the server."""

import threading
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar

from langchain_qwen_memory.testing.replies import Reply
from langchain_qwen_memory.testing.wire import Call

When = Callable[[dict[str, Any]], bool]
"""Looks at a request's body and says whether what waits is meant for it."""

T = TypeVar("T")


class Waiting(Generic[T]):
    """A queue from which each request takes the first thing that is meant for it; safe between threads."""

    def __init__(self) -> None:
        self._things: deque[tuple[T, When | None]] = deque()
        self._lock = threading.Lock()

    def add(self, things: Iterable[T], when: When | None = None) -> None:
        """Appends things for requests for whose body `when` is true; None: for any."""
        with self._lock:
            self._things.extend((thing, when) for thing in things)

    def take(self, body: dict[str, Any]) -> T | None:
        """Takes what is meant for this request; None if nothing is."""
        with self._lock:
            for index, (thing, when) in enumerate(self._things):
                if when is None or when(body):
                    del self._things[index]
                    return thing
        return None

    def clear(self) -> None:
        """Forgets all that waits."""
        with self._lock:
            self._things.clear()


@dataclass(kw_only=True, slots=True)
class Exchange:
    """One request on its way through the server; filled in as the server learns more."""

    call: Call
    """The request as it came in."""
    key: str = ""
    """The API key that was sent."""
    strict: bool = True
    """Whether DashScope's rules hold; False on the plain OpenAI route."""
    body: dict[str, Any] = field(default_factory=dict)
    """The parsed body."""
    prompt_tokens: int = 0
    """What was counted for the prompt."""
    usage: Mapping[str, Any] | None = None
    """The usage object of the answer."""
    reply: Reply | None = None
    """What is answered."""
