"""Translates the events of DashScope's own streams, for synchronous and asynchronous calls alike."""

import json
from collections.abc import Iterable, Iterator
from typing import Any

from langchain_qwen_memory.catalogue import model_info
from langchain_qwen_memory.counting.vocabulary import count
from langchain_qwen_memory.qwen.endpoints import NATIVE
from langchain_qwen_memory.qwen.model_errors import QwenConnectionError, QwenResponseError, ReportedError
from langchain_qwen_memory.qwen.native_errors import bare_response
from langchain_qwen_memory.qwen.native_events import Event, EventLines, looks_framed
from langchain_qwen_memory.qwen.native_growth import Growth
from langchain_qwen_memory.qwen.native_reading import compatible_body
from langchain_qwen_memory.qwen.reading import readable
from langchain_qwen_memory.qwen.transport import is_error, whole_answer

__all__ = ["EventTranslator"]

_OK, _BAD_REQUEST = 200, 400


class EventTranslator:
    """Reads one answer's bytes into events of the compatible protocol's form.

    Args:
        model: The model that was asked.
        url: Base URL, named in errors.
        usage: Token counts are wanted.
    """

    def __init__(self, *, model: str, url: str, usage: bool = True) -> None:
        self._model, self._url, self._usage = model, url, usage
        self._lines = EventLines()
        vocabulary = model_info(model).vocabulary
        self._growth = Growth(lambda text: count(text, vocabulary))
        self._read_any = self._had_choices = False
        self.shown = bare_response(url, _OK, "")
        """What errors hold of the response."""

    @property
    def is_empty(self) -> bool:
        """Events have come, and none of them held a choice: that is no answer, and none that broke off."""
        return self._read_any and not self._had_choices

    def feed(self, piece: bytes) -> Iterator[dict[str, Any]]:
        """Takes the next bytes of a stream.

        Raises:
            ReportedError: If an event is an error.
            QwenConnectionError: If an event broke off.
        """
        return self._translated(self._lines.feed(piece))

    def end(self) -> Iterator[dict[str, Any]]:
        """Ends the stream."""
        return self._translated(self._lines.end())

    def whole(self, response: Any) -> Iterator[dict[str, Any]]:
        """Reads a response that is labelled as something else than events, which it may be all the same."""
        if looks_framed(response.text):
            yield from self._translated([*self._lines.feed(response.content), *self._lines.end()])
        else:
            yield self._compatible(whole_answer(response, holds="output", ends=NATIVE))

    def _translated(self, events: Iterable[Event]) -> Iterator[dict[str, Any]]:
        for event in events:
            yield self._compatible(self._read(event))

    def _read(self, event: Event) -> dict[str, Any]:
        try:
            body = json.loads(event.data)
        except json.JSONDecodeError:
            text = f"The stream broke off in the middle of an event: {event.data[-80:]!r}"
            raise QwenConnectionError(message=text, request=self.shown.request) from None  # type: ignore[arg-type]
        if not isinstance(body, dict):
            text = f"The stream had an event that is no object: {event.data[:80]!r}."
            raise QwenResponseError(text, self.shown.request, body=None)  # type: ignore[arg-type]
        if event.name == "error" or event.status >= _BAD_REQUEST or is_error(body, "output"):
            status = event.status if event.status >= _BAD_REQUEST else _OK
            raise ReportedError(body, bare_response(self._url, status, body))
        return body

    def _compatible(self, body: dict[str, Any]) -> dict[str, Any]:
        with readable(body):
            return self._made_compatible(body)

    def _made_compatible(self, body: dict[str, Any]) -> dict[str, Any]:
        event = compatible_body(body, model=self._model, part="delta")
        self._read_any, self._had_choices = True, self._had_choices or bool(event["choices"])
        for choice in event["choices"][:1]:
            choice["delta"] = self._growth.piece_of(
                choice["delta"], event["usage"], last=choice["finish_reason"] is not None
            )
        return event if self._usage else {**event, "usage": None}
