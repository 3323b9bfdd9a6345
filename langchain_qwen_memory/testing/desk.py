"""What the endpoints of the local DashScope work with: its pace, its meter, and what a test laid ready for them."""

from typing import Any

from langchain_qwen_memory.testing.explicit import ExplicitCache
from langchain_qwen_memory.testing.faults import Fault, Framing
from langchain_qwen_memory.testing.meter import Meter
from langchain_qwen_memory.testing.prefixes import PrefixCache
from langchain_qwen_memory.testing.replies import Reply
from langchain_qwen_memory.testing.request import ChatRequest
from langchain_qwen_memory.testing.scripts import Waiting, When
from langchain_qwen_memory.testing.standin import answer


class Desk:
    """Holds options, meter, scripted replies and faults; knows nothing of HTTP.

    Args:
        speed: Seconds between two chunks of a stream.
        first_byte: Seconds before the first byte of an answer.
        chunk_size: Characters in one chunk of a stream.
        cache_minimum: Tokens from which a shared prefix counts as cached.
        cache_life: Seconds for which an explicitly cached prefix lives after it was last used.
        content_lists: Whether text models take a content list of text parts.
        native_refusals: How DashScope's own protocol frames its refusals.

    Raises:
        ValueError: `chunk_size` is less than one character.
    """

    def __init__(
        self,
        *,
        speed: float,
        first_byte: float,
        chunk_size: int,
        cache_minimum: int,
        cache_life: float,
        content_lists: bool,
        native_refusals: Framing,
    ) -> None:
        if chunk_size < 1:
            raise ValueError(f"chunk_size was {chunk_size}; it takes 1 or more characters, e.g. chunk_size=4")
        self.speed, self.first_byte, self.chunk_size = speed, first_byte, chunk_size
        self.content_lists, self.native_refusals = content_lists, native_refusals
        self.meter = Meter(PrefixCache(minimum=cache_minimum), ExplicitCache(life=cache_life))
        self._replies: Waiting[Reply] = Waiting()
        self._faults: Waiting[Fault] = Waiting()

    def script(self, *replies: Reply, when: When | None = None) -> None:
        """Gives the next chat requests these answers, in order; then the stand-in answers again.

        A scripted answer replaces the model only: the rules of the service hold as before. The same reply is written
        in whichever protocol the request came.

        Args:
            replies: What to answer.
            when: Only requests for whose body this is true take one of them. A body of DashScope's own protocol also
                has `messages`, `stream` and all parameters beside each other, as the compatible protocol has them.
        """
        self._replies.add(replies, when)

    def misbehave(self, fault: Fault, *, times: int = 1, when: When | None = None) -> None:
        """Lets the next requests for an answer, vectors or a ranking go wrong.

        Args:
            fault: How.
            times: How many requests.
            when: Only requests for whose body this is true; as for `script`.
        """
        self._faults.add([fault] * times, when)

    def next_fault(self, body: dict[str, Any]) -> Fault | None:
        """Takes the fault that is meant for a request; None if there is none."""
        return self._faults.take(body)

    def next_reply(self, request: ChatRequest) -> Reply:
        """Takes the reply that is meant for a request; without one, the stand-in answers."""
        scripted = self._replies.take(dict(request.body))
        return scripted or answer(request, lambda text: self.meter.text(text, request.model))

    def forget(self) -> None:
        """Forgets scripts, faults and what was cached of prompts."""
        self._replies.clear()
        self._faults.clear()
        self.meter.clear()
