"""What a chat endpoint must know to speak a protocol: how to read a request and how to write each kind of answer."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Literal, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping

    from langchain_qwen_memory.testing.answers import Answer
    from langchain_qwen_memory.testing.faults import Framing
    from langchain_qwen_memory.testing.refusals import Refusal
    from langchain_qwen_memory.testing.replies import Reply
    from langchain_qwen_memory.testing.request import ChatRequest
    from langchain_qwen_memory.testing.wire import Call, Response

Kind = Literal["first", "thinking", "answer", "tool", "finish", "usage", "done"]
"""What a chunk carries; a fault looks at it to know where to strike."""

Chunks = Iterator[tuple[Kind, bytes]]
"""The events of a stream, as they go over the wire."""


class Dialect(Protocol):
    """One protocol of a chat endpoint."""

    done: bytes
    """What ends a stream after its last event."""

    def flat(self, call: Call, body: dict[str, Any]) -> dict[str, Any]:
        """The body in the compatible protocol's form: model, messages, stream and parameters beside each other."""

    def check_body(self, call: Call, body: Mapping[str, Any]) -> None:
        """Refuses a body that cannot be read, where this protocol has words of its own for that.

        Raises:
            Refusal: In the service's words.
        """

    def check(self, request: ChatRequest) -> None:
        """Refuses what only this protocol refuses.

        Raises:
            Refusal: In the service's words.
        """

    def usage(self, answer: Answer, request: ChatRequest) -> dict[str, Any]:
        """The usage object of a whole answer."""

    def whole(self, answer: Answer, request: ChatRequest, reply: Reply) -> dict[str, Any]:
        """The body of an answer that is not streamed."""

    def events(self, answer: Answer, request: ChatRequest, reply: Reply, *, size: int) -> Chunks:
        """The events of a stream, in pieces of so many characters."""

    def event(self, body: Mapping[str, Any], number: int) -> bytes:
        """One event; `number` counts from 1."""

    def error(self, refusal: Refusal, request_id: str, number: int) -> bytes:
        """An error inside a stream."""

    def emptied(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """The body of an answer or an event without its choices."""

    def body_of(self, event: bytes) -> dict[str, Any] | None:
        """The body of an event; None for what ends a stream."""

    def refused(self, refusal: Refusal, request_id: str, framing: Framing) -> Response:
        """The answer to a request that is refused."""
