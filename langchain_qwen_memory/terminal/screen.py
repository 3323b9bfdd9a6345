"""Puts one turn on the screen while it comes: waiting, thinking apart from the answer, then the meter."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import AbstractContextManager, nullcontext
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

from rich.console import Console
from rich.text import Text

from langchain_qwen_memory.terminal.output import clean
from langchain_qwen_memory.terminal.say import Say
from langchain_qwen_memory.terminal.turn import Answer, Ended, Event, Thinking
from langchain_qwen_memory.terminal.wrap import Wrap

if TYPE_CHECKING:
    from langchain_qwen_memory.state import Report

_THOUGHT = "dim italic"


def coloured(console: Console) -> bool:
    """Whether colours may be used: the terminal has them, and NO_COLOR is not set."""
    return console.color_system is not None and not console.no_color


class Waiting(AbstractContextManager["Waiting"]):
    """A line with a spinner and the seconds that have passed; nothing where the output is no terminal."""

    def __init__(self, console: Console, text: str) -> None:
        self._progress: Any = nullcontext()
        self._running = console.is_terminal
        if self._running:
            from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

            columns = (SpinnerColumn(), TextColumn("[dim]{task.description}"), TimeElapsedColumn())
            self._progress = Progress(*columns, console=console, transient=True)
            self._progress.add_task(text, total=None)

    def __enter__(self) -> Self:
        self._progress.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def stop(self) -> None:
        """Take the line away; a second time does nothing."""
        if self._running:
            self._running = False
            self._progress.__exit__(None, None, None)


class TurnScreen:
    """What one turn has put on the screen; a turn that is stopped leaves it in order too."""

    def __init__(self, console: Console, say: Say) -> None:
        self._console, self._say = console, say
        self._last: type[Event] | None = None
        self._open_line = False
        self._style = ""
        self._wrap = Wrap(console.width) if console.is_terminal else None
        self.shown = ""
        """The part of the answer that can be read."""
        self.report: Report | None = None
        """What memory did, once it is known."""

    def play(self, events: Iterable[Event]) -> None:
        """Show events until there are no more."""
        waiting = Waiting(self._console, self._say("waiting"))
        try:
            waiting.__enter__()
            for event in events:
                waiting.stop()
                if isinstance(event, Ended):
                    self.end_line()
                    waiting = Waiting(self._console, self._say("remembering")).__enter__()
                else:
                    self._show(event)
        finally:
            waiting.stop()
            self.end_line()

    def _show(self, event: Event) -> None:
        if isinstance(event, Thinking):
            self._head(event, "thinking")
            self._write(event.text, _THOUGHT)
        elif isinstance(event, Answer):
            if self._last is Thinking:
                self.end_line()
                self._console.print()
                self._head(event, "answer", plain_only=True)
            self._write(event.text, "")
            self.shown += event.text
        elif not isinstance(event, Ended):
            self.report = event.report
        self._last = type(event)

    def _head(self, event: Event, key: str, *, plain_only: bool = False) -> None:
        """A name above thinking; above the answer after it too, where nothing is dimmed."""
        if self._last is type(event) or (plain_only and coloured(self._console)):
            return
        self._console.print(Text(f"[{self._say(key)}]", style="dim"))

    def _write(self, text: str, style: str) -> None:
        self._style = style
        self._put(self._wrap.feed(clean(text)) if self._wrap else clean(text))

    def _put(self, text: str) -> None:
        if text:
            self._console.print(Text(text, style=self._style), end="", soft_wrap=True)
            self._open_line = not text.endswith("\n")

    def end_line(self) -> None:
        """Begin a new line unless one was begun."""
        if self._wrap:
            self._put(self._wrap.flush())
            self._wrap = Wrap(self._console.width)
        if self._open_line:
            self._console.print()
            self._open_line = False
