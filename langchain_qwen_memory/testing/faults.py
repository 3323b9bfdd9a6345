"""How the local DashScope misbehaves on demand: refusals, slow and broken streams, answers that are no JSON."""

import math
from dataclasses import dataclass, replace
from typing import Literal, Self

from langchain_qwen_memory.testing import refusals
from langchain_qwen_memory.testing.refusals import Refusal

Place = Literal["any", "character", "thinking", "tool"]
"""Where a stream breaks: after a chunk, inside a character's bytes, inside the thinking, inside a tool call."""

Framing = Literal["json", "event", "labelled", "nested"]
"""How DashScope's own protocol frames a refusal. "json": code, message and request_id under the error's status;
"event": an error event inside a 200 stream, the true status in its status line; "labelled": the same event under the
error's status and the type application/json; "nested": the compatible protocol's `error` object, without request_id.
All four were seen of the service."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Fault:
    """One way to misbehave; the constructors below name the usual ones.

    A fault of a stream hits an answer that is not streamed in its middle.

    Examples:
        >>> server.misbehave(Fault.rate_limit(), times=2)
        >>> server.misbehave(Fault.cut(after=3))
        >>> server.misbehave(Fault.bad_request("no").framed("event"))
    """

    refusal: Refusal | None = None
    """Answer with this error body."""
    body: str | None = None
    """Answer with this text in place of JSON."""
    status: int = 200
    """The status of `body`."""
    content_type: str = "text/html"
    """The type of `body`."""
    first_byte: float = 0.0
    """Seconds of silence before a good answer."""
    after: int | None = None
    """Chunks of a stream that are good before it breaks; None: the stream is good."""
    place: Place = "any"
    """Where it breaks; for any place but "any", `after` counts chunks of that kind."""
    silence: float = 0.0
    """Seconds of silence at the break before the stream goes on."""
    error: Refusal | None = None
    """An error event at the break, inside the 200 stream; the stream ends with it."""
    empty_choices: bool = False
    """A good answer whose `choices` is []."""
    framing: Framing | None = None
    """How DashScope's own protocol frames `refusal`; None: as the server was told. The compatible one has one way."""

    @property
    def refuses(self) -> bool:
        """Whether the request is not even looked at."""
        return self.refusal is not None or self.body is not None

    def framed(self, framing: Framing) -> Self:
        """The same refusal in another frame of DashScope's own protocol.

        Examples:
            >>> server.misbehave(Fault.rate_limit().framed("event"))
        """
        return replace(self, framing=framing)

    @classmethod
    def unauthorized(cls) -> Self:
        """401 `invalid_api_key`."""
        return cls(refusal=refusals.key_wrong())

    @classmethod
    def no_key(cls) -> Self:
        """401 with a null code: no key was sent."""
        return cls(refusal=refusals.key_missing())

    @classmethod
    def forbidden(cls) -> Self:
        """403 `AccessDenied.Unpurchased`: the account has not activated the model."""
        text = "Access to model denied. Please make sure you are eligible for using the model."
        return cls(refusal=Refusal(403, "AccessDenied.Unpurchased", text, kind="AccessDenied.Unpurchased"))

    @classmethod
    def free_quota(cls) -> Self:
        """403 `insufficient_quota`: the free tier is used up, and waiting does not help."""
        text = "Free allocated quota exceeded."
        return cls(refusal=Refusal(403, "insufficient_quota", text, kind="insufficient_quota"))

    @classmethod
    def not_found(cls, model: str = "qwen-nosuch") -> Self:
        """404 `model_not_found`."""
        return cls(refusal=refusals.model_unknown(model))

    @classmethod
    def rate_limit(cls) -> Self:
        """429 `limit_requests`: too many requests a minute."""
        text = "You exceeded your current requests list."
        return cls(refusal=Refusal(429, "limit_requests", text, kind="limit_requests"))

    @classmethod
    def quota(cls) -> Self:
        """429 `insufficient_quota`: too many tokens a minute; passes within about a minute."""
        text = "You exceeded your current quota, please check your plan and billing details."
        return cls(refusal=Refusal(429, "insufficient_quota", text, kind="insufficient_quota"))

    @classmethod
    def burst(cls) -> Self:
        """429 `limit_burst_rate`: the rate rose too quickly."""
        text = (
            "Request rate increased too quickly. To ensure system stability, please adjust your client logic to "
            "scale requests more smoothly over time."
        )
        return cls(refusal=Refusal(429, "limit_burst_rate", text, kind="limit_burst_rate"))

    @classmethod
    def internal(cls) -> Self:
        """500 `internal_error`."""
        text = "An internal error has occured, please try again later or contact service support."
        return cls(refusal=Refusal(500, "internal_error", text, kind="internal_error"))

    @classmethod
    def unavailable(cls) -> Self:
        """503 `ModelUnavailable`."""
        text = "Model is unavailable, please try again later."
        return cls(refusal=Refusal(503, "ModelUnavailable", text, kind="ModelUnavailable"))

    @classmethod
    def arrears(cls) -> Self:
        """400 `Arrearage`: the account owes money."""
        text = "Access denied, please make sure your account is in good standing."
        return cls(refusal=Refusal(400, "Arrearage", text, kind="Arrearage", with_id=True))

    @classmethod
    def inspected_input(cls) -> Self:
        """400 `data_inspection_failed` for the input."""
        return cls(refusal=refusals.inspected("Input"))

    @classmethod
    def inspected_output(cls, after: int | None = None) -> Self:
        """`data_inspection_failed` for the output: a 400, or inside the stream `after` so many chunks."""
        if after is None:
            return cls(refusal=refusals.inspected("Output"))
        return cls(error=refusals.inspected("Output"), after=after)

    @classmethod
    def overflow(cls, limit: int = 1_000) -> Self:
        """400 `Range of input length should be [1, limit]`, whatever the count of the prompt."""
        return cls(refusal=refusals.too_long(limit))

    @classmethod
    def bad_request(cls, message: str) -> Self:
        """400 `invalid_parameter_error` with a text of your own."""
        return cls(refusal=refusals.invalid(message))

    @classmethod
    def slow(cls, seconds: float) -> Self:
        """A good answer whose first byte comes late."""
        return cls(first_byte=seconds)

    @classmethod
    def hang(cls) -> Self:
        """No answer at all, until the client gives up or the server stops."""
        return cls(first_byte=math.inf)

    @classmethod
    def stall(cls, after: int = 2, seconds: float = math.inf) -> Self:
        """A stream that falls silent after some chunks; it goes on after `seconds`, if they pass."""
        return cls(after=after, silence=seconds)

    @classmethod
    def cut(cls, after: int = 2) -> Self:
        """A stream whose connection is dropped after some chunks; a shorter one stays whole."""
        return cls(after=after)

    @classmethod
    def cut_in_character(cls) -> Self:
        """A stream that is dropped between two bytes of one character, in the first chunk that has such a one."""
        return cls(after=0, place="character")

    @classmethod
    def cut_in_thinking(cls, after: int = 2) -> Self:
        """A stream that is dropped in the thinking, before any answer."""
        return cls(after=after, place="thinking")

    @classmethod
    def cut_in_tool_call(cls, after: int = 2) -> Self:
        """A stream that is dropped in the arguments of a tool call."""
        return cls(after=after, place="tool")

    @classmethod
    def error_in_stream(cls, after: int = 2) -> Self:
        """A 200 stream in which, after some chunks, an error event stands, and which ends there."""
        text = "An internal error has occured, please try again later or contact service support."
        return cls(after=after, error=Refusal(500, "internal_error", text, kind="internal_error"))

    @classmethod
    def html(cls, status: int = 502) -> Self:
        """The page of a gateway in place of JSON."""
        page = "<html><head><title>502 Bad Gateway</title></head><body><h1>Bad Gateway</h1></body></html>"
        return cls(body=page, status=status)

    @classmethod
    def empty_body(cls, status: int = 200) -> Self:
        """An answer without a body."""
        return cls(body="", status=status, content_type="application/json")

    @classmethod
    def no_choices(cls) -> Self:
        """A good answer whose `choices` is []; in a stream, every chunk's."""
        return cls(empty_choices=True)
