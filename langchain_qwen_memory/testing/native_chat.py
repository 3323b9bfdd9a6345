"""DashScope's own protocol of the chat endpoint, on its two paths: text generation and multimodal generation."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from langchain_qwen_memory.testing import native_request, native_shapes
from langchain_qwen_memory.testing.native import native
from langchain_qwen_memory.testing.native_shapes import Form
from langchain_qwen_memory.testing.native_stream import bodies
from langchain_qwen_memory.testing.shapes import encode
from langchain_qwen_memory.testing.wire import Response

if TYPE_CHECKING:
    from collections.abc import Mapping

    from langchain_qwen_memory.testing.answers import Answer
    from langchain_qwen_memory.testing.dialect import Chunks
    from langchain_qwen_memory.testing.faults import Framing
    from langchain_qwen_memory.testing.refusals import Refusal
    from langchain_qwen_memory.testing.replies import Reply
    from langchain_qwen_memory.testing.request import ChatRequest
    from langchain_qwen_memory.testing.wire import Call

JSON = "application/json"
"""The type of a refusal, even of one that is framed as an event."""


def event(number: int, name: str, status: int, body: Mapping[str, Any]) -> bytes:
    """One server-sent event: id, name, a comment with the status, data; no blank after the colons."""
    return f"id:{number}\nevent:{name}\n:HTTP_STATUS/{status}\ndata:".encode() + encode(body) + b"\n\n"


class Native:
    """Reads and writes DashScope's own protocol; see `Dialect`.

    Args:
        multimodal: Whether this is the multimodal path.
    """

    done = b""

    def __init__(self, *, multimodal: bool) -> None:
        self.multimodal = multimodal

    def flat(self, call: Call, body: dict[str, Any]) -> dict[str, Any]:
        """The body in the compatible protocol's form."""
        return native_request.flat(call, body)

    def check_body(self, call: Call, body: Mapping[str, Any]) -> None:
        """Refuses a body without a model or with no messages."""
        native_request.check_body(call, body)

    def check(self, request: ChatRequest) -> None:
        """Refuses what only this protocol refuses."""
        native_request.check(request, multimodal=self.multimodal)

    def usage(self, answer: Answer, request: ChatRequest) -> dict[str, Any]:
        """The usage object of a whole answer."""
        if answer.usage is not None:
            return dict(answer.usage)
        return native_shapes.usage(answer.tally, Form.of(request))

    def whole(self, answer: Answer, request: ChatRequest, reply: Reply) -> dict[str, Any]:
        """The body of an answer that is not streamed."""
        return native_shapes.whole(answer, Form.of(request), reply.search)

    def events(self, answer: Answer, request: ChatRequest, reply: Reply, *, size: int) -> Chunks:
        """The events of a stream; none says that it ends."""
        incremental = native_request.incremental(request) and not reply.whole_so_far
        made = bodies(answer, Form.of(request), size=size, incremental=incremental, sources=reply.search)
        for number, (kind, body) in enumerate(made, 1):
            yield kind, self.event(body, number)

    def event(self, body: Mapping[str, Any], number: int) -> bytes:
        """One event of a good answer."""
        return event(number, "result", 200, body)

    def error(self, refusal: Refusal, request_id: str, number: int) -> bytes:
        """An error inside a stream, its true status in the status line."""
        refused = native(refusal)
        return event(number, "error", refused.status, refused.body(request_id))

    def emptied(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """The body with `choices` []."""
        return {**body, "output": {"choices": []}}

    def body_of(self, event: bytes) -> dict[str, Any] | None:
        """The body of an event."""
        return dict(json.loads(event.partition(b"\ndata:")[2]))

    def refused(self, refusal: Refusal, request_id: str, framing: Framing) -> Response:
        """A refusal in one of the frames that were seen of the service."""
        said = native(refusal)
        if framing == "nested":
            error = {"message": refusal.message, "type": refusal.kind, "code": refusal.code}
            return Response(status=refusal.status, headers={"content-type": JSON}, body=encode({"error": error}))
        if framing == "json":
            body = encode(said.body(request_id))
            return Response(status=said.status, headers={"content-type": JSON}, body=body)
        framed = self.error(refusal, request_id, 1)
        if framing == "labelled":
            return Response(status=said.status, headers={"content-type": JSON}, body=framed)
        return Response(headers={"content-type": "text/event-stream;charset=UTF-8"}, body=framed)
