"""Writes an answer as the events of DashScope's own protocol: increments, or the whole answer so far in each."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from langchain_qwen_memory.testing import native_shapes
from langchain_qwen_memory.testing.answers import Answer
from langchain_qwen_memory.testing.dialect import Kind
from langchain_qwen_memory.testing.native_shapes import Form, counted, spent
from langchain_qwen_memory.testing.shapes import pieces, spoken
from langchain_qwen_memory.testing.spelling import logprobs

UNFINISHED = "null"
"""The finish reason of all events but the last: a text, not JSON's null."""


@dataclass(slots=True)
class _Part:
    """One event's worth of an answer, or all of it so far."""

    kind: Kind = "finish"
    reasoning: str = ""
    content: str = ""
    calls: dict[int, str] = field(default_factory=dict)
    """The arguments of each call, by its place."""

    def add(self, other: "_Part") -> None:
        self.reasoning += other.reasoning
        self.content += other.content
        for at, arguments in other.calls.items():
            self.calls[at] = self.calls.get(at, "") + arguments


def bodies(
    answer: Answer, form: Form, *, size: int, incremental: bool, sources: Sequence[Mapping[str, Any]]
) -> Iterator[tuple[Kind, dict[str, Any]]]:
    """The body of each event and what it carries.

    Args:
        answer: What to say.
        form: In which form.
        size: Characters of text, thinking or arguments in one event.
        incremental: Whether each event holds only what is new.
        sources: What the search found; sent in an event of its own, before all others and without usage.
    """
    if form.sources:
        first = _output(answer, form, _Part(), 0, last=False)
        first["search_info"] = {"search_results": list(sources)}
        yield "first", {"output": first, "usage": {}, "request_id": answer.request_id}
    before = 0
    for index in range(answer.copies):
        writer = _Writer(answer, form, index, before, incremental=incremental)
        for part, last in _parts(answer, size, incremental=incremental):
            yield part.kind, writer.body(part, last=last)
        before = writer.spent


class _Writer:
    """Writes the events of one choice, and keeps count of what was said."""

    def __init__(self, answer: Answer, form: Form, index: int, before: int, *, incremental: bool) -> None:
        self.answer, self.form, self.index, self.incremental = answer, form, index, incremental
        self.so_far, self.before, self.spent = _Part(), before, before

    def body(self, part: _Part, *, last: bool) -> dict[str, Any]:
        """The body of the next event."""
        began = {at for at in part.calls if at not in self.so_far.calls}
        self.so_far.add(part)
        shown = part if self.incremental else self.so_far
        whole = set(shown.calls) if not self.incremental else began
        output = _output(self.answer, self.form, shown, self.index, last=last, named=whole)
        if self.form.sources:
            output["search_info"] = {"extra_tool_info": [], "search_results": []}
        return {"output": output, "usage": self._usage(last=last), "request_id": self.answer.request_id}

    def _usage(self, *, last: bool) -> Mapping[str, Any]:
        answer, tally = self.answer, self.answer.tally
        spelled = answer.spelling.of
        thought = spelled(answer.reasoning or "").tokens(len(self.so_far.reasoning))
        said = spelled(answer.content).tokens(len(self.so_far.content)) + self._called()
        if last:
            thought, said = tally.thought or 0, tally.text + sum(tally.calls)
        self.spent = self.before + spent(tally, thought=thought, said=said, ended=last)
        if answer.usage is not None:
            return answer.usage
        thoughts = None if tally.thought is None else tally.thought * self.index + thought
        return counted(tally, self.form, output=self.spent, thought=thoughts)

    def _called(self) -> int:
        """Tokens of the calls so far, by the share of their arguments that was sent."""
        total = 0
        for at, arguments in self.so_far.calls.items():
            whole = len(self.answer.calls[at].arguments)
            total += self.answer.tally.calls[at] * len(arguments) // whole if whole else self.answer.tally.calls[at]
        return total


def _parts(answer: Answer, size: int, *, incremental: bool) -> Iterator[tuple[_Part, bool]]:
    """The parts of an answer, and whether one is the last.

    An increment of text is followed by an empty event that ends the answer; a call, and the whole text so far, end it
    themselves.
    """
    parts = [_Part("thinking", reasoning=text) for text in pieces(answer.reasoning or "", size)]
    parts += [_Part("answer", content=text) for text in spoken(answer, size)]
    for at, call in enumerate(answer.calls):
        parts += [_Part("tool", calls={at: text}) for text in list(pieces(call.arguments, size)) or [""]]
    if not parts or (incremental and not answer.calls):
        parts.append(_Part())
    for number, part in enumerate(parts, 1):
        yield part, number == len(parts)


def _output(
    answer: Answer, form: Form, part: _Part, index: int, *, last: bool, named: set[int] | None = None
) -> dict[str, Any]:
    reason = answer.finish_reason if last else UNFINISHED
    if not form.message:
        return {"finish_reason": reason, "text": part.content}
    message: dict[str, Any] = {"content": native_shapes.content(part.content, form)}
    if part.reasoning or (answer.reasoning is not None and not part.calls):
        message["reasoning_content"] = part.reasoning
    if part.calls:
        message["tool_calls"] = [_call(answer, at, text, named=at in (named or ())) for at, text in part.calls.items()]
    message["role"] = "assistant"
    choice: dict[str, Any] = {"message": message}
    if form.indexed:
        choice["index"] = index
    if answer.logprobs:
        choice["logprobs"] = logprobs(part.content, answer.spelling, top=answer.top_logprobs)
    return {"choices": [{**choice, "finish_reason": reason}]}


def _call(answer: Answer, at: int, arguments: str, *, named: bool) -> dict[str, Any]:
    """A call, or a further piece of its arguments: such a piece has no name and an empty id."""
    call = answer.calls[at]
    function = {"name": call.name, "arguments": arguments} if named else {"arguments": arguments}
    return {"index": at, "id": call.id if named else "", "type": "function", "function": function}
