"""What the local DashScope answers: a reply, written by a test or by the stand-in."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, kw_only=True, slots=True)
class Reply:
    """One answer of the model.

    Examples:
        >>> Reply(content="Paris.")
        >>> Reply(reasoning="Two cities.", tool_calls=[{"name": "weather", "args": {"city": "Paris"}}])
    """

    content: str = ""
    """The text of the answer."""
    reasoning: str = ""
    """The thinking; sent only if the request has thinking on, or if `force_reasoning`."""
    tool_calls: Sequence[Mapping[str, Any]] = ()
    """Calls as `{"name": ..., "args": dict or JSON text, "id": optional}`; args as text go out as they are."""
    finish_reason: str | None = None
    """None: "tool_calls" with calls, "length" where a limit cut the text, else "stop"."""
    usage: Mapping[str, Any] | None = None
    """The usage object word for word; None: counted."""
    chunks: Sequence[Mapping[str, Any]] | None = None
    """Raw chunk bodies, sent one an event in place of everything above, framed as the request's protocol does."""
    body: Mapping[str, Any] | None = None
    """A raw non-streaming body, sent in place of everything above."""
    delay: float = 0.0
    """Seconds before the first byte, on top of the server's own."""
    force_reasoning: bool = False
    """Send `reasoning` even where the request did not ask for thinking."""
    search: Sequence[Mapping[str, Any]] = ()
    """Sources of a search, as `{"index": 1, "title": ..., "url": ..., "site_name": ..., "icon": ...}`; sent by
    DashScope's own protocol where the request has `enable_search` and `search_options.enable_source`."""
    whole_so_far: bool = False
    """In a stream, each event holds all that was said so far, whatever was asked for."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RecordedRequest:
    """One request that reached the server, and what it was answered with."""

    method: str
    """The HTTP method."""
    path: str
    """The path without its query."""
    headers: Mapping[str, str]
    """The request's headers, names in lower case."""
    body: dict[str, Any]
    """The parsed JSON body; {} for a request without one."""
    status: int
    """The HTTP status of the answer."""
    at: float
    """When the request was read, in seconds since the epoch."""
    usage: Mapping[str, Any] | None = None
    """The usage object that was computed; None where there is no answer."""
    reply: Reply | None = None
    """What the stand-in or the script answered; None for refusals, faults and replays."""
    request_id: str = ""
    """The `x-request-id` of the answer."""

    @property
    def messages(self) -> list[dict[str, Any]]:
        """The messages of a chat request, as its protocol writes them; [] for other requests."""
        given = self.body.get("input")
        found = (given if isinstance(given, dict) else self.body).get("messages")
        return found if isinstance(found, list) else []

    @property
    def parameters(self) -> dict[str, Any]:
        """What is asked for beside model and messages, whichever the protocol."""
        found = self.body.get("parameters")
        if "input" in self.body:
            return found if isinstance(found, dict) else {}
        return {name: value for name, value in self.body.items() if name not in ("model", "messages")}
