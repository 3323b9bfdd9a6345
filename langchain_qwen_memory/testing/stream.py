"""Writes an answer as the chunks of a stream, in the shapes of the newer and of the older family."""

from collections.abc import Iterator, Mapping
from itertools import accumulate
from typing import Any

from langchain_qwen_memory.testing import speaking
from langchain_qwen_memory.testing.answers import Answer
from langchain_qwen_memory.testing.dialect import Chunks, Kind
from langchain_qwen_memory.testing.shapes import (
    DONE,
    FINGERPRINT,
    Family,
    event,
    family,
    ordered_usage,
    pieces,
    probable,
    spoken,
    usage_of,
)


def events(answer: Answer, *, size: int, include_usage: bool, whole_so_far: bool = False) -> Chunks:
    """All events of a stream.

    Args:
        answer: What to say.
        size: Characters of text, thinking or arguments in one chunk.
        include_usage: Whether the closing chunk with the usage is sent.
        whole_so_far: Whether each chunk of the text repeats what was said before.
    """
    kind_of_writer = _Newer if family(answer) == "newer" else _Older
    writer = kind_of_writer(answer, whole_so_far=whole_so_far)
    for index in range(answer.copies):
        for kind, choice in writer.choices(size, index):
            yield kind, event(writer.chunk([choice], opening=kind == "first"))
    if include_usage:
        order: Family = "newer" if family(answer) == "newer" else "older"
        yield "usage", event(writer.chunk([], usage=ordered_usage(usage_of(answer), order)))
    yield "done", DONE


def _texts(answer: Answer, size: int, *, whole_so_far: bool) -> Iterator[str]:
    texts = spoken(answer, size)
    return accumulate(texts) if whole_so_far else texts


class _Newer:
    """The family with `system_fingerprint`; every choice has all keys but the last empty tool delta."""

    def __init__(self, answer: Answer, *, whole_so_far: bool) -> None:
        self.answer, self.number = answer, f"chatcmpl-{answer.request_id}"
        self.whole_so_far = whole_so_far

    def chunk(self, choices: list[Any], *, opening: bool = False, usage: Any = None) -> dict[str, Any]:  # noqa: ARG002
        answer = self.answer
        return {"choices": choices, "object": "chat.completion.chunk", "usage": usage, "created": answer.created,
                "system_fingerprint": FINGERPRINT, "model": answer.model, "id": self.number}  # fmt: skip

    def choices(self, size: int, index: int) -> Iterator[tuple[Kind, dict[str, Any]]]:
        answer, extra = self.answer, {} if self.answer.reasoning is None else {"reasoning_content": None}
        only_tools = bool(answer.calls) and not answer.content and answer.reasoning is None
        if not only_tools:
            yield "first", self._first(index)
        for text in pieces(answer.reasoning or "", size):
            yield "thinking", self._choice({"content": None, "reasoning_content": text}, index)
        for text in _texts(answer, size, whole_so_far=self.whole_so_far):
            choice = self._choice({"content": text, **extra}, index)
            yield "answer", {**choice, "logprobs": probable(answer, text)}
        for data in speaking.pieces(answer.content) if answer.spoken else ():
            sound = {"data": data, "expires_at": answer.created, "id": f"audio_{answer.request_id}"}
            yield "answer", self._choice({"audio": sound}, index)
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

    def __init__(self, answer: Answer, *, whole_so_far: bool) -> None:
        self.answer, self.number = answer, f"chatcmpl-{answer.request_id}"
        self.whole_so_far = whole_so_far

    def chunk(self, choices: list[Any], *, opening: bool = False, usage: Any = None) -> dict[str, Any]:
        answer, kind = self.answer, "chat.completion.chunk"
        if opening:
            return {"model": answer.model, "id": self.number, "created": answer.created, "object": kind,
                    "usage": usage, "choices": choices}  # fmt: skip
        return {"model": answer.model, "id": self.number, "choices": choices, "created": answer.created,
                "object": kind, "usage": usage}  # fmt: skip

    def choices(self, size: int, index: int) -> Iterator[tuple[Kind, dict[str, Any]]]:
        answer = self.answer
        first: dict[str, Any] = {"content": "", "role": "assistant"}
        calls = list(enumerate(answer.calls))
        if calls and not answer.content:
            first["tool_calls"] = [self._start(0)]
        yield "first", {"logprobs": None, "index": index, "delta": first}
        for text in _texts(answer, size, whole_so_far=self.whole_so_far):
            extra = {"logprobs": probable(answer, text)} if answer.logprobs else {}
            yield "answer", {"delta": {"content": text, "role": None}, "index": index, **extra}
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
