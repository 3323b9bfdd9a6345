"""The compatible protocol of the chat endpoint, as OpenAI's clients speak it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from langchain_qwen_memory.testing import shapes
from langchain_qwen_memory.testing.refusals import unserved
from langchain_qwen_memory.testing.stream import events
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


class Compatible:
    """Reads and writes the compatible protocol; see `Dialect`."""

    done = shapes.DONE

    def flat(self, _: Call, body: dict[str, Any]) -> dict[str, Any]:
        """The body as it is: this is the form."""
        return body

    def check_body(self, call: Call, body: Mapping[str, Any]) -> None:
        """Has no words of its own."""

    def check(self, request: ChatRequest) -> None:
        """Refuses a model that this protocol does not serve."""
        if request.info.native_only:
            raise unserved(request.model)

    def usage(self, answer: Answer, _: ChatRequest) -> dict[str, Any]:
        """The usage object of a whole answer."""
        return shapes.usage_of(answer)

    def whole(self, answer: Answer, _: ChatRequest, __: Reply) -> dict[str, Any]:
        """The body of an answer that is not streamed."""
        return shapes.whole(answer)

    def events(self, answer: Answer, request: ChatRequest, reply: Reply, *, size: int) -> Chunks:
        """The events of a stream."""
        whole = reply.whole_so_far or request.info.whole_chunks
        return events(answer, size=size, include_usage=request.include_usage, whole_so_far=whole)

    def event(self, body: Mapping[str, Any], _: int) -> bytes:
        """One event; they are not numbered."""
        return shapes.event(body)

    def error(self, refusal: Refusal, request_id: str, _: int) -> bytes:
        """An error inside a stream: its body as data."""
        return shapes.event(refusal.body(request_id))

    def emptied(self, body: Mapping[str, Any]) -> dict[str, Any]:
        """The body with `choices` []."""
        return {**body, "choices": []}

    def body_of(self, event: bytes) -> dict[str, Any] | None:
        """The body of an event; None for [DONE]."""
        return None if event == self.done else dict(json.loads(event.removeprefix(b"data: ")))

    def refused(self, refusal: Refusal, request_id: str, _: Framing) -> Response:
        """The error body under its status, streamed or not."""
        headers = {"content-type": "application/json"}
        return Response(status=refusal.status, headers=headers, body=shapes.encode(refusal.body(request_id)))
