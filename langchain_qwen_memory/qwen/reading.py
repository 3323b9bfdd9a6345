"""Reads what a Qwen server answers, whole or in pieces, into LangChain's messages: one reader for both."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple, cast

from langchain_core.messages import AIMessage, AIMessageChunk
from langchain_core.messages.ai import InputTokenDetails, OutputTokenDetails, UsageMetadata
from langchain_core.messages.tool import ToolCallChunk
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult

from langchain_qwen_memory.qwen.blocks import PROVIDER
from langchain_qwen_memory.qwen.tool_calls import CallBook
from langchain_qwen_memory.thinking import Parted, ThinkingFilter, begins_inside

__all__ = ["AnswerReader", "Delta", "read_completion", "read_usage", "readable"]


_MOST_TOKENS = 2**53


class Delta(NamedTuple):
    """What one event of a stream brought, thinking and answer parted."""

    reasoning: str
    answer: str
    calls: list[ToolCallChunk]
    extra: dict[str, Any]
    """Further `additional_kwargs`: spoken answers."""
    logprobs: dict[str, Any] | None


class AnswerReader:
    """Reads one answer, event by event.

    Args:
        opens: The answer may begin inside thinking, see `ThinkingFilter`.
        told_off: Thinking was switched off in the request. Some servers' parsers then take the whole answer for
            thinking; what comes as thinking is held back until text follows it, or else is the answer.
        looks: Look for thinking in the text at all.
    """

    def __init__(self, *, opens: bool = False, told_off: bool = False, looks: bool = True) -> None:
        self._filter = ThinkingFilter(opens=opens, looks=looks)
        self._opens = opens and looks
        self._holds = told_off
        self._withheld: list[str] = []
        self._reasoning: list[str] = []
        self._answer: list[str] = []
        self._halves = {"reasoning": "", "answer": ""}
        self._calls = CallBook()
        self._extra: dict[str, Any] = {}
        self._logprobs: dict[str, Any] | None = None
        self._usage: dict[str, Any] | None = None
        self._about: dict[str, Any] = {}
        self._found: dict[str, Any] = {}
        self.finish_reason: str | None = None
        """Why the model stopped; None: it has not yet."""
        self.began = False
        """Anything of an answer has come, be it empty."""

    def take(self, event: dict[str, Any]) -> Delta | None:
        """Reads one event of a stream; None if it holds nothing to show.

        Raises:
            UnreadableError: If it is not of the protocol's form.
        """
        with readable(event):
            return self._take(event)

    def _take(self, event: dict[str, Any]) -> Delta | None:
        if usage := event.get("usage"):
            self._usage = usage
        if found := event.get("search_info"):
            self._find(found)
        choices = event.get("choices")
        choice = choices[0] if choices else None
        if choice is None or choice.get("index"):  # a stream shows the first choice only
            return None
        self.began = True
        if finish_reason := choice.get("finish_reason"):
            self.finish_reason = finish_reason
            self._about = {key: event[key] for key in ("model", "system_fingerprint", "id") if event.get(key)}
        return self._read(choice.get("delta") or {}, choice.get("logprobs"))

    def close(self) -> Delta:
        """Ends the answer and returns what was held back until its end was known."""
        parted = self._filter.close()
        reasoning, answer = self._release() + parted.reasoning, parted.answer
        self._reasoning.append(reasoning)
        self._answer.append(answer)
        if self._is_all_thinking():
            answer, reasoning = "".join(self._reasoning), ""
            self._answer, self._reasoning = [answer], []
        return Delta(reasoning, answer, self._calls.spoilers(cut=self.finish_reason == "length"), {}, None)

    def chunk(self, delta: Delta) -> ChatGenerationChunk:
        """Returns what one event brought as LangChain's chunk."""
        return ChatGenerationChunk(
            message=AIMessageChunk(
                content=delta.answer,
                additional_kwargs=_additional(delta.reasoning, delta.extra),
                tool_call_chunks=delta.calls,
                response_metadata={"model_provider": PROVIDER},
            ),
            generation_info={"logprobs": delta.logprobs} if delta.logprobs else None,
        )

    def last_chunk(self) -> ChatGenerationChunk:
        """Ends the answer; returns the stream's last chunk, which alone says why it ended and what it cost.

        Said on two chunks these would be added up: LangChain joins strings and sums numbers.
        """
        chunk = self.chunk(self.close())
        if not isinstance(chunk.message, AIMessageChunk):
            raise TypeError(type(chunk.message))
        chunk.message.chunk_position = "last"
        chunk.message.usage_metadata = read_usage(self._usage)
        chunk.generation_info = self._generation_info() | {k: v for k, v in self._named().items() if v}
        return chunk

    def generation(self) -> ChatGeneration:
        """Returns the whole answer; to be asked after `close`."""
        calls, broken = self._calls.finished(cut=self.finish_reason == "length")
        message = AIMessage(
            content="".join(self._answer),
            additional_kwargs=_additional("".join(self._reasoning), self._extra),
            tool_calls=calls,
            invalid_tool_calls=broken,
            usage_metadata=read_usage(self._usage),
            response_metadata={"model_provider": PROVIDER},
        )
        return ChatGeneration(message=message, generation_info=self._generation_info() | self._all_logprobs())

    def result(self, generations: list[ChatGeneration] | None = None) -> ChatResult:
        """Returns the answer, or the choices it is the last of, as LangChain's result."""
        about = {"token_usage": self._usage, "model_provider": PROVIDER} | self._named()
        return ChatResult(generations=generations or [self.generation()], llm_output=about)

    def _read(self, delta: dict[str, Any], logprobs: dict[str, Any] | None) -> Delta | None:
        reasoning = delta.get("reasoning_content") or delta.get("reasoning") or ""
        content, fragments, audio = delta.get("content") or "", delta.get("tool_calls"), delta.get("audio")
        beside = delta.get("beside") or {}
        if not (reasoning or content or fragments or audio or logprobs or beside):
            return None
        reasoning, text = self._whole("reasoning", reasoning), self._whole("answer", _plain(content))
        parted = self._part(reasoning, text, ends=bool(content or fragments))
        calls = self._calls.add(fragments) if fragments else []
        extra = (self._hear(audio) if audio else {}) | beside
        self._extra |= beside
        if logprobs:
            self._logprobs = _joined(self._logprobs, logprobs)
        if not (parted.reasoning or parted.answer or calls or extra or logprobs):
            return None
        return Delta(parted.reasoning, parted.answer, calls, extra, logprobs)

    def _whole(self, stream: str, text: str) -> str:
        """Keeps back the first half of an emoji that a server sent as two escapes in two events."""
        if not text:
            return text
        text = self._halves[stream] + text
        self._halves[stream] = text[-1] if "\ud800" <= text[-1] <= "\udbff" else ""
        text = text.removesuffix(self._halves[stream]) if self._halves[stream] else text
        return text if text.isascii() else text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")

    def _part(self, reasoning: str, content: str, *, ends: bool) -> Parted:
        if self._holds and reasoning:
            self._withheld.append(reasoning)
            reasoning = ""
        if ends:
            reasoning = self._release() + reasoning
        if reasoning and self._opens:
            self._opens, self._filter = False, ThinkingFilter()
        if content:
            parted = self._filter.feed(content)
            reasoning, content = reasoning + parted.reasoning, parted.answer
        if reasoning:
            self._reasoning.append(reasoning)
        if content:
            self._answer.append(content)
        return Parted(reasoning, content)

    def _release(self) -> str:
        held, self._withheld = "".join(self._withheld), []
        return held

    def _is_all_thinking(self) -> bool:
        """Whether the answer came where thinking is expected: told not to think, or only assumed to be thinking."""
        if any(self._answer) or not any(self._reasoning):
            return False
        if self._filter.assumed and self.finish_reason == "tool_calls":
            return True  # words before a call, of a server that did not think
        return self.finish_reason == "stop" and not len(self._calls) and (self._holds or self._filter.assumed)

    def _hear(self, audio: dict[str, Any]) -> dict[str, Any]:
        """Takes a piece of a spoken answer; numbers in it would be added up by LangChain and are said once."""
        heard = self._extra.get("audio", {})
        piece = {k: v for k, v in audio.items() if isinstance(v, str) or k not in heard}
        joined = {k: heard.get(k, "") + v if k in {"data", "transcript"} else v for k, v in piece.items()}
        self._extra["audio"] = heard | joined
        return {"audio": piece}

    def _find(self, found: dict[str, Any]) -> None:
        """Takes what a search found; the events after the one that names it repeat it as nothing."""
        self._found |= {key: value for key, value in found.items() if value or key not in self._found}

    def _generation_info(self) -> dict[str, Any]:
        return {"finish_reason": self.finish_reason} | ({"search_info": self._found} if self._found else {})

    def _all_logprobs(self) -> dict[str, Any]:
        return {"logprobs": self._logprobs} if self._logprobs else {}

    def _named(self) -> dict[str, Any]:
        about = self._about
        named = {"model_name": about.get("model"), "system_fingerprint": about.get("system_fingerprint")}
        return {key: value for key, value in named.items() if value} | ({"id": about["id"]} if "id" in about else {})


class UnreadableError(ValueError):
    """An answer is not of the protocol's form."""


@contextmanager
def readable(event: Any) -> Iterator[None]:
    """Raises as `UnreadableError` what fails inside because a value is of another kind than the protocol has it."""
    try:
        yield
    except (TypeError, KeyError, AttributeError, IndexError) as error:
        raise UnreadableError(f"{type(error).__name__}: {error} in {str(event)[:200]}") from error


def read_completion(
    body: dict[str, Any], *, opens: bool = False, told_off: bool = False, looks: bool = True
) -> ChatResult:
    """Reads a whole answer, of one choice or several; options as for `AnswerReader`.

    A whole text shows by a closing tag without an opening one that its template opened the thinking.
    """
    with readable(body):
        return _completion(body, opens=opens, told_off=told_off, looks=looks)


def _completion(body: dict[str, Any], *, opens: bool, told_off: bool, looks: bool) -> ChatResult:
    generations = []
    for choice in body["choices"]:
        message = choice["message"]
        inside = opens or begins_inside(_plain(message.get("content") or ""))
        reader = AnswerReader(opens=inside, told_off=told_off, looks=looks)
        reader.take({**body, "choices": [{**choice, "delta": message, "index": 0}]})
        reader.finish_reason = choice.get("finish_reason")
        reader.close()
        generations.append(reader.generation())
    return reader.result(generations)


def read_usage(usage: dict[str, Any] | None) -> UsageMetadata | None:
    """Reads a server's token counts; what it does not say is absent, not zero."""
    if not usage:
        return None
    with readable(usage):
        return _usage(usage)


def _usage(usage: dict[str, Any]) -> UsageMetadata:
    given, made = _tokens(usage.get("prompt_tokens")) or 0, _tokens(usage.get("completion_tokens")) or 0
    of_input, of_output = (
        usage.get("prompt_tokens_details") or {},
        usage.get("completion_tokens_details") or {},
    )
    cached = of_input.get("cached_tokens", usage.get("cached_tokens"))
    created = of_input.get("cache_creation_input_tokens", of_input.get("cache_write_tokens"))
    return UsageMetadata(
        input_tokens=given,
        output_tokens=made,
        total_tokens=_tokens(usage.get("total_tokens")) or given + made,
        input_token_details=cast(
            "InputTokenDetails", _said(audio=of_input.get("audio_tokens"), cache_read=cached, cache_creation=created)
        ),
        output_token_details=cast(
            "OutputTokenDetails",
            _said(audio=of_output.get("audio_tokens"), reasoning=of_output.get("reasoning_tokens")),
        ),
    )


def _said(**counts: Any) -> dict[str, int]:
    return {name: count for name, told in counts.items() if (count := _tokens(told)) is not None}


def _tokens(told: Any) -> int | None:
    """A count, if it is one that LangChain can add and a checkpoint can hold."""
    number = isinstance(told, int | float) and not isinstance(told, bool)
    return int(told) if number and 0 <= told < _MOST_TOKENS else None


def _additional(reasoning: str, extra: dict[str, Any]) -> dict[str, Any]:
    return {"reasoning_content": reasoning, **extra} if reasoning else dict(extra)


def _plain(content: str | list[Any]) -> str:
    """Text of a content that some servers send as a list of parts."""
    if isinstance(content, str):
        return content
    return "".join(part if isinstance(part, str) else part.get("text") or "" for part in content)


def _joined(old: dict[str, Any] | None, new: dict[str, Any]) -> dict[str, Any]:
    return {"content": [*((old or {}).get("content") or []), *(new.get("content") or [])]}
