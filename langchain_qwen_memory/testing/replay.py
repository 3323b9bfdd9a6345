"""Answers with what the true service once answered: the bytes of a recording, cut where a test wants them cut."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, Self

from langchain_qwen_memory.testing.shapes import DONE, encode, event
from langchain_qwen_memory.testing.wire import Response, Wait

Split = Literal["whole", "events", "bytes"] | int
"""At which borders a body is cut into HTTP chunks; a number cuts every so many bytes."""

OURS = frozenset({"content-length", "transfer-encoding", "connection", "content-encoding", "date", "server"})
"""Headers of a recording that are not sent again: they belong to the connection."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Recording:
    """A recorded answer, ready to be sent."""

    status: int
    """The recorded status."""
    headers: Mapping[str, str]
    """The recorded headers, but for those of the connection."""
    body: bytes
    """The recorded bytes, or the same events framed again where the bytes were not kept."""
    streams: bool
    """Whether it is a stream."""
    split: Split
    """Where the bytes are cut."""

    @classmethod
    def of(cls, exchange: Mapping[str, Any], *, split: Split) -> Self:
        """Reads a recording.

        Raises:
            ValueError: It has neither `raw` nor `body` nor `events`.
        """
        answer = exchange["response"]
        native = not str(exchange.get("protocol", "openai-chat")).startswith("openai")
        events = answer.get("events")
        headers = {name.lower(): value for name, value in (answer.get("headers") or {}).items()}
        kept = {name: value for name, value in headers.items() if name not in OURS}
        kept.setdefault("content-type", "text/event-stream;charset=UTF-8" if events else "application/json")
        if answer.get("raw") is not None:
            body = answer["raw"].encode()
        elif events is not None:
            body = b"".join(_native(one) if native else _compatible(one) for one in events)
            body += b"" if native or body.endswith(DONE) else DONE
        elif answer.get("body") is not None:
            body = encode(answer["body"])
        else:
            raise ValueError(f"The recording {exchange.get('id')!r} holds no raw, body or events to replay")
        return cls(status=answer.get("status", 200), headers=kept, body=body, streams=bool(events), split=split)

    def response(self) -> Response:
        """The answer to send."""
        whole = self.split == "whole" or (self.split == "events" and not self.streams)
        return Response(status=self.status, headers=self.headers, body=self.body if whole else self._cut())

    def note(self, raw: bytes) -> dict[str, Any]:
        """The body of the request that is answered, for the log; {} if it is no JSON object."""
        try:
            body = json.loads(raw)
        except ValueError:
            return {}
        return body if isinstance(body, dict) else {}

    def _cut(self) -> Iterator[bytes | Wait]:
        if self.split == "events":
            yield from re.findall(rb"(?s).+?(?:\n\n|\Z)", self.body)
            return
        size = self.split if isinstance(self.split, int) else 1
        for at in range(0, len(self.body), size):
            yield self.body[at : at + size]
            yield Wait(0)


def _compatible(recorded: Mapping[str, Any]) -> bytes:
    data = recorded["data"]
    return f"data: {data}\n\n".encode() if isinstance(data, str) else event(data)


def _native(recorded: Mapping[str, Any]) -> bytes:
    lines = [f"{name}:{recorded[name]}" for name in ("id", "event") if recorded.get(name) is not None]
    lines += [f":{comment}" for comment in recorded.get("comments") or ()]
    return "\n".join([*lines, "data:"]).encode() + encode(recorded["data"]) + b"\n\n"
