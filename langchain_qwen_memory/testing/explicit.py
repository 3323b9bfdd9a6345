"""The explicit context cache: prefixes of prompts that a request marked with `cache_control`, and what each costs."""

import json
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

MARKERS = 4
"""Markers of a request that count; of more, the last ones."""

LEAST = 1_024
"""Tokens from which a prefix is cached."""

LOOK_BACK = 20
"""Content blocks before a marker, itself included, among which an earlier prefix is looked for."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Block:
    """One content block of a prompt, with all that stands before it."""

    digest: bytes
    """Stands for the whole prompt up to the end of this block, tools included, markers left out."""
    message: int
    """The place of its message."""
    part: int
    """Its place in the message."""
    last: bool
    """Whether its message ends with it."""
    marked: bool
    """Whether it carries a marker."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Charge:
    """What the explicit cache did for a request, in tokens."""

    hit: int
    """Read from the cache."""
    created: int
    """Written to the cache."""


class ExplicitCache:
    """Remembers marked prefixes; nothing of their text is kept.

    Args:
        life: Seconds for which a prefix lives after it was last used.
        clock: Tells the time in seconds.
    """

    def __init__(self, *, life: float = 300.0, clock: Callable[[], float] = time.monotonic) -> None:
        self._life, self._clock = life, clock
        self._kept: dict[tuple[str, bytes], tuple[int, float]] = {}
        self._lock = threading.Lock()

    def charge(self, scope: str, prompt: Sequence[Block], count: Callable[[Block], int]) -> Charge | None:
        """Looks a prompt up, and remembers its marked prefixes; None where it has no marker.

        Args:
            scope: What does not share: the key and the model.
            prompt: The blocks of the prompt.
            count: Counts the tokens of the prompt up to the end of a block.
        """
        marked = [at for at, block in enumerate(prompt) if block.marked][-MARKERS:]
        if not marked:
            return None
        sizes = {at: count(prompt[at]) for at in marked}
        with self._lock:
            self._forget_the_dead()
            hit = max((self._found(scope, prompt, at) for at in marked), default=0)
            until = self._clock() + self._life
            for at, size in sizes.items():
                if size >= LEAST:
                    self._kept[scope, prompt[at].digest] = (size, until)
        longest = max((size for size in sizes.values() if size >= LEAST), default=0)
        return Charge(hit=hit, created=max(0, longest - hit))

    def clear(self) -> None:
        """Forgets every prefix."""
        with self._lock:
            self._kept.clear()

    def _found(self, scope: str, prompt: Sequence[Block], at: int) -> int:
        """Tokens of the longest known prefix that ends at a block or shortly before it; its life begins anew."""
        for block in reversed(prompt[max(0, at + 1 - LOOK_BACK) : at + 1]):
            known = self._kept.get((scope, block.digest))
            if known is not None:
                self._kept[scope, block.digest] = (known[0], self._clock() + self._life)
                return known[0]
        return 0

    def _forget_the_dead(self) -> None:
        now = self._clock()
        self._kept = {key: value for key, value in self._kept.items() if value[1] > now}


def blocks(messages: Sequence[Mapping[str, Any]], tools: Sequence[Mapping[str, Any]]) -> Iterator[Block]:
    """The content blocks of a prompt; a text as content is one block, and markers in tools do not count."""
    state = blake2b(_written(list(tools)), digest_size=16)
    for number, message in enumerate(messages):
        content = message.get("content")
        parts = content if isinstance(content, list) and content else [{"type": "text", "text": content or ""}]
        state.update(_written({key: value for key, value in message.items() if key != "content"}))
        for at, part in enumerate(parts):
            state.update(_written({key: value for key, value in part.items() if key != "cache_control"}))
            marker = part.get("cache_control")
            marked = isinstance(marker, Mapping) and marker.get("type") == "ephemeral"
            yield Block(digest=state.digest(), message=number, part=at, last=at == len(parts) - 1, marked=marked)


def _written(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False, sort_keys=True).encode("utf-8", "surrogatepass")
