"""Writes an answer as the chunks of a stream, in the shapes of the newer and of the older family."""

from collections.abc import Iterator, Mapping
from typing import Any, Literal

from langchain_qwen_memory.testing.shapes import DONE, FINGERPRINT, Answer, Family, event, ordered_usage, pieces

Kind = Literal["first", "thinking", "answer", "tool", "finish", "usage", "done"]
"""What a chunk carries; a fault looks at it to know where to strike."""

Chunks = Iterator[tuple[Kind, bytes]]


def events(answer: Answer, *, size: int, include_usage: bool) -> Chunks:
    """All events of a stream.

    Args:
        answer: What to say.
        size: Characters of text, thinking or arguments in one chunk.
        include_usage: Whether the closing chunk with the usage is sent.
    """
    writer = _Newer(answer) if answer.family == "newer" else _Older(answer)
    for index in range(answer.copies):
        for kind, choice in writer.choices(size, index):
            yield kind, event(writer.chunk([choice], opening=kind == "first"))
    if include_usage:
        order: Family = "newer" if answer.family == "newer" else "older"
        yield "usage", event(writer.chunk([], usage=ordered_usage(answer.usage, order)))
    yield "done", DONE


class _Newer:
    """The family with `system_fingerprint`; every choice has all keys but the last empty tool delta."""

    def __init__(self, answer: Answer) -> None:
        self.answer = answer

    def chunk(self, choices: list[Any], *, opening: bool = False, usage: Any = None) -> dict[str, Any]:  # noqa: ARG002
        answer = self.answer
        return {"choices": choices, "object": "chat.completion.chunk", "usage": usage, "created": answer.created,
                "system_fingerprint": FINGERPRINT, "model": answer.model, "id": answer.id}  # fmt: skip

    def choices(self, size: int, index: int) -> Iterator[tuple[Kind, dict[str, Any]]]:
        answer, extra = self.answer, {} if self.answer.reasoning is None else {"reasoning_content": None}
        only_tools = bool(answer.calls) and not answer.content and answer.reasoning is None
        if not only_tools:
            yield "first", self._first(index)
        for text in pieces(answer.reasoning or "", size):
            yield "thinking", self._choice({"content": None, "reasoning_content": text}, index)
        for text in pieces(answer.content, size):
            yield "answer", self._choice({"content": text, **extra}, index)
        yield from self._tools(size, index, with_role=only_tools)
        last: dict[str, Any] = {} if answer.calls else {"content": "", **extra}
        yield (
            "finish",
            {"finish_reason": answer.finish_reason, "delta": last, "index": index, "logprobs": None},
        )

    def _first(self, index: int) -> dict[str, Any]:
        delta: dict[str, Any] = {"content": "", "role": "assistant"}
        if self.answer.reasoning is not None:
            delta = {"content": None, "role": "assistant", "reasoning_content": ""}
        return {"delta": delta, "index": index, "logprobs": None, "finish_reason": None}

    def _choice(self, delta: Mapping[str, Any], index: int) -> dict[str, Any]:
        return {"delta": delta, "finish_reason": None, "index": index, "logprobs": None}

    def _tools(self, size: int, index: int, *, with_role: bool) -> Iterator[tuple[Kind, dict[str, Any]]]:
        for at, call in enumerate(self.answer.calls):
            start = {
                "index": at,
                "id": call.id,
                "type": "function",
                "function": {"name": call.name, "arguments": ""},
            }
            role = {"role": "assistant"} if with_role and at == 0 else {}
            kind: Kind = "first" if role else "tool"
            yield kind, self._choice({"content": None, "tool_calls": [start], **role}, index)
            for text in pieces(call.arguments, size):
                more = {"index": at, "id": "", "type": "function", "function": {"arguments": text}}
                yield "tool", self._choice({"content": None, "tool_calls": [more]}, index)
        if self.answer.calls:
            empty = {"function": {"arguments": ""}, "index": at, "id": "", "type": "function"}
            yield "tool", {"delta": {"tool_calls": [empty]}, "index": index}


class _Older:
    """The family without `system_fingerprint`; `finish_reason` is absent until the end."""

    def __init__(self, answer: Answer) -> None:
        self.answer = answer

    def chunk(self, choices: list[Any], *, opening: bool = False, usage: Any = None) -> dict[str, Any]:
        answer, kind = self.answer, "chat.completion.chunk"
        if opening:
            return {"model": answer.model, "id": answer.id, "created": answer.created, "object": kind,
                    "usage": usage, "choices": choices}  # fmt: skip
        return {"model": answer.model, "id": answer.id, "choices": choices, "created": answer.created,
                "object": kind, "usage": usage}  # fmt: skip

    def choices(self, size: int, index: int) -> Iterator[tuple[Kind, dict[str, Any]]]:
        answer = self.answer
        first: dict[str, Any] = {"content": "", "role": "assistant"}
        calls = list(enumerate(answer.calls))
        if calls and not answer.content:
            first["tool_calls"] = [self._start(0)]
        yield "first", {"logprobs": None, "index": index, "delta": first}
        for text in pieces(answer.content, size):
            yield "answer", {"delta": {"content": text, "role": None}, "index": index}
        for at, _ in calls:
            if at or "tool_calls" not in first:
                yield (
                    "tool",
                    {"delta": {"content": "", "tool_calls": [self._start(at)], "role": None}, "index": index},
                )
            yield from self._arguments(size, at, index)
        last: dict[str, Any] = {} if calls else {"content": "", "role": None}
        yield "finish", {"delta": last, "index": index, "finish_reason": answer.finish_reason}

    def _start(self, at: int) -> dict[str, Any]:
        call = self.answer.calls[at]
        return {
            "index": at,
            "id": call.id,
            "type": "function",
            "function": {"name": call.name, "arguments": ""},
        }

    def _arguments(self, size: int, at: int, index: int) -> Iterator[tuple[Kind, dict[str, Any]]]:
        call = self.answer.calls[at]
        for number, text in enumerate(pieces(call.arguments, size)):
            if number == 0:
                again = {
                    "index": at,
                    "id": call.id,
                    "type": "function",
                    "function": {"name": "", "arguments": text},
                }
                yield "tool", {"delta": {"content": "", "tool_calls": [again], "role": None}, "index": index}
                continue
            more = {"function": {"arguments": text}, "index": at, "id": "", "type": "function"}
            yield "tool", {"delta": {"tool_calls": [more], "content": ""}, "index": index}
