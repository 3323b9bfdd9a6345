"""Puts a fault into an answer: into a stream between two chunks or two bytes, into a whole answer in its middle."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from langchain_qwen_memory.testing.shapes import encode
from langchain_qwen_memory.testing.wire import Cut, Response, Wait

if TYPE_CHECKING:
    from collections.abc import Iterator

    from langchain_qwen_memory.testing.dialect import Chunks, Dialect, Kind
    from langchain_qwen_memory.testing.faults import Fault

FIRST_OF_MANY = 0xC0
"""From this value on, a byte is the first of several of one UTF-8 character."""


def refuse(fault: Fault) -> Response:
    """The answer of a fault that does not look at the request.

    Raises:
        Refusal: It is one with an error body.
    """
    if fault.refusal is not None:
        raise fault.refusal
    text = (fault.body or "").encode()
    return Response(status=fault.status, headers={"content-type": fault.content_type}, body=text)


def spoil_whole(fault: Fault, body: dict[str, Any]) -> bytes | Iterator[bytes | Wait]:
    """Puts a fault into an answer that is not streamed: half of it comes, then silence or nothing.

    Raises:
        Refusal: The fault is an error inside a stream; without a stream it is the whole answer.
    """
    if fault.after is None:
        return encode(body)
    if fault.error is not None:
        raise fault.error
    return _halves(encode(body), fault.silence)


def _halves(data: bytes, silence: float) -> Iterator[bytes | Wait]:
    middle = len(data) // 2
    yield data[:middle]
    if not silence:
        raise Cut
    yield Wait(silence)
    yield data[middle:]


def spoil(fault: Fault, chunks: Chunks, dialect: Dialect, request_id: str) -> Iterator[tuple[Kind, bytes | Wait]]:
    """Puts a fault into a stream."""
    if fault.place == "character":
        return _cut_in_character(chunks)
    return iter(chunks) if fault.after is None else _broken(fault, fault.after, chunks, dialect, request_id)


def _cut_in_character(chunks: Chunks) -> Iterator[tuple[Kind, bytes]]:
    for kind, data in chunks:
        start = next((at for at, byte in enumerate(data) if byte >= FIRST_OF_MANY), None)
        if start is not None:
            yield kind, data[: start + 1]
            raise Cut
        yield kind, data


def _broken(
    fault: Fault, after: int, chunks: Chunks, dialect: Dialect, request_id: str
) -> Iterator[tuple[Kind, bytes | Wait]]:
    good = 0
    for number, (kind, data) in enumerate(chunks, 1):
        counts = fault.place in ("any", kind)
        if counts and good == after:
            if fault.error is not None:
                yield kind, dialect.error(fault.error, request_id, number)
                return
            if not fault.silence:
                raise Cut
            yield kind, Wait(fault.silence)
        good += counts
        yield kind, data
