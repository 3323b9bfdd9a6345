"""The implicit context cache: how much of a prompt stood at the start of an earlier one, word for word."""

import json
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from hashlib import blake2b
from typing import Any

BLOCK = 128
"""Characters that are compared at once; a prefix counts up to its last whole block."""

UNIT = 16
"""Cached tokens are a multiple of this, as in recorded usage."""


class PrefixCache:
    """Remembers prompts by a chain of hashes, one link a block, so that a look-up costs the length of the prompt.

    Each link hashes all that stands before it, so a known link means a known prefix. Beside it stands the number of
    tokens up to there, so that only what is new is counted. Nothing of the text is kept. Links are forgotten least
    recently used first.

    Args:
        minimum: Tokens; a shorter shared prefix counts as none.
        size: How many links are kept; one link is 128 characters of prompt.
    """

    def __init__(self, *, minimum: int = 256, size: int = 200_000) -> None:
        self.minimum, self._size = minimum, size
        self._links: OrderedDict[bytes, int] = OrderedDict()
        self._lock = threading.Lock()

    def shared(self, scope: str, prompt: str, count: Callable[[str], int]) -> int:
        """Tokens of the longest prefix of `prompt` known in `scope`; then remembers the prompt.

        Args:
            scope: What does not share: the key and the model.
            prompt: The whole prompt as one text.
            count: Counts the tokens of a text; called for the part that is new.
        """
        links = _chain(scope, prompt)
        with self._lock:
            known = next((at for at, link in enumerate(links) if link not in self._links), len(links))
            tokens = self._links[links[known - 1]] if known else 0
        self._remember(links, known, tokens, count(prompt[known * BLOCK : len(links) * BLOCK]))
        cached = tokens // UNIT * UNIT
        return cached if cached >= self.minimum else 0

    def _remember(self, links: Sequence[bytes], known: int, tokens: int, more: int) -> None:
        """Keeps a prompt; the `more` tokens of its new part are spread evenly over the new links."""
        new = len(links) - known
        with self._lock:
            for at, link in enumerate(links):
                if link not in self._links:
                    self._links[link] = tokens + more * (at - known + 1) // new if at >= known else tokens
                self._links.move_to_end(link)
            while len(self._links) > self._size:
                self._links.popitem(last=False)

    def clear(self) -> None:
        """Forgets every prompt."""
        with self._lock:
            self._links.clear()


def _chain(scope: str, prompt: str) -> list[bytes]:
    state = blake2b(scope.encode("utf-8", "surrogatepass"), digest_size=12)
    links: list[bytes] = []
    for start in range(0, len(prompt) - BLOCK + 1, BLOCK):
        state.update(prompt[start : start + BLOCK].encode("utf-8", "surrogatepass"))
        links.append(state.digest())
    return links


def as_text(messages: Sequence[Mapping[str, Any]], tools: Sequence[Mapping[str, Any]]) -> str:
    """The prompt as one text, tools first, as the chat template puts them into the system message."""
    head = json.dumps(list(tools), ensure_ascii=False, sort_keys=True) if tools else ""
    return head + "".join(_message(message) for message in messages)


def _message(message: Mapping[str, Any]) -> str:
    content = message.get("content") or ""
    text = content if isinstance(content, str) else "".join(map(_part, content))
    calls = message.get("tool_calls")
    written = json.dumps(calls, ensure_ascii=False) if calls else ""
    return f"<|im_start|>{message.get('role')}\n{text}{written}<|im_end|>\n"


def _part(part: Any) -> str:
    """A part as the template has it: text is text, whichever protocol's list it stands in."""
    is_text = isinstance(part, Mapping) and part.get("type", "text") == "text" and isinstance(part.get("text"), str)
    return str(part["text"]) if is_text else json.dumps(part, ensure_ascii=False)
