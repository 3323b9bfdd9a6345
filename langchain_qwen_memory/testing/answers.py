"""An answer before it is written in a protocol: text, thinking, calls, and the tokens that they cost."""

import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from langchain_qwen_memory.testing.spelling import Spelling

AROUND_THINKING = 4
"""Tokens that stand around the thinking in the completion: the two tags and their blank lines."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ToolCall:
    """One call of a tool, its arguments as the text that goes over the wire."""

    name: str
    """The tool."""
    arguments: str
    """JSON, as the model wrote it."""
    id: str
    """`call_` and hex digits."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Tally:
    """What an answer costs, in tokens."""

    prompt: int
    """The whole prompt."""
    media: Mapping[str, int]
    """Of the prompt, what pictures, films and sounds are: "image", "video", "audio"."""
    text: int
    """The text of one answer."""
    calls: Sequence[int]
    """Each tool call of one answer."""
    thought: int | None
    """The thinking of one answer; None where the model did not think."""
    cached: int
    """Of the prompt, what was in a cache."""
    created: int | None
    """What was written to the explicit cache; None where the request has no marker."""
    copies: int
    """How many answers were asked for."""
    speech: int = 0
    """The spoken form of one answer."""

    @property
    def output(self) -> int:
        """All answers, their thinking and the tags around it."""
        thinking = 0 if self.thought is None else self.thought + AROUND_THINKING
        return (self.text + self.speech + sum(self.calls) + thinking) * self.copies

    @property
    def details(self) -> dict[str, Any]:
        """`prompt_tokens_details`, alike in both protocols."""
        if self.created is None:
            return {"cached_tokens": self.cached}
        return {
            "cached_tokens": self.cached,
            "cache_creation_input_tokens": self.created,
            "cache_type": "ephemeral",
            "cache_creation": {"ephemeral_5m_input_tokens": self.created},
        }


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """All that one answer is written from."""

    model: str
    """The model's name as it was asked for."""
    request_id: str
    """The id of the request."""
    content: str
    """The text."""
    reasoning: str | None
    """The thinking; None where the model does not think in this answer."""
    calls: Sequence[ToolCall]
    """The tool calls."""
    finish_reason: str
    """stop, length or tool_calls."""
    tally: Tally
    """What it costs."""
    spelling: Spelling
    """The text and the thinking, token by token."""
    usage: Mapping[str, Any] | None = None
    """The usage object that is sent word for word; None: what the tally says, in the protocol's shape."""
    logprobs: bool = False
    """Whether the probability of each token of the text is sent."""
    top_logprobs: bool = False
    """Whether the likeliest tokens are told beside each."""
    spoken: bool = False
    """Whether the text is spoken, too."""
    created: int = field(default_factory=lambda: int(time.time()))
    """Seconds since the epoch."""

    @property
    def copies(self) -> int:
        """The `n` of the request: how many choices."""
        return self.tally.copies


def call_id(digits: int) -> str:
    """A new id of a tool call; older models' ids are two digits shorter."""
    return "call_" + uuid.uuid4().hex[:digits]
