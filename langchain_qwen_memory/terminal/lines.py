"""Reads what a person types: one line, several pasted ones, or lines of a pipe."""

from __future__ import annotations

import logging
import select
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

_PASTE_GAP = 0.03
"""Seconds: nobody types the next line as fast as a paste brings it."""


class Lines:
    """Reads questions from standard input.

    In a terminal, GNU readline brings editing and history, and takes a paste as one text. Other terminals' pastes are
    known by their speed.
    """

    def __init__(self, source: TextIO | None = None, *, colour: bool = False) -> None:
        self._source = sys.stdin if source is None else source
        self._colour = colour
        self.interactive = self._source.isatty() and sys.stdout.isatty()
        self._whole_pastes = self.interactive and _prepare_readline()

    def read(self, prompt: str) -> str:
        """The next question.

        Args:
            prompt: Shown in a terminal only.

        Raises:
            EOFError: There is no more.
            KeyboardInterrupt: Ctrl-C.
        """
        if not self.interactive:
            line = self._source.readline()
            if not line:
                raise EOFError
            return line.strip()
        if not self._whole_pastes:
            return self._pasted(input(prompt)).strip()
        # Between \001 and \002 stands what readline must not count as cells.
        return input(f"\001\033[1;36m\002{prompt}\001\033[0m\002" if self._colour else prompt).strip()

    @contextmanager
    def away(self) -> Iterator[None]:
        """While an answer comes: what is typed meanwhile is not shown in the middle of it, but at the next prompt."""
        if not self.interactive:
            yield
            return
        try:
            import termios
        except ImportError:
            yield
            return
        number = self._source.fileno()
        before = termios.tcgetattr(number)
        silent = [*before]
        silent[3] &= ~termios.ECHO
        termios.tcsetattr(number, termios.TCSANOW, silent)
        try:
            yield
        finally:
            termios.tcsetattr(number, termios.TCSANOW, before)

    def _pasted(self, first: str) -> str:
        lines = [first]
        while select.select([self._source], [], [], _PASTE_GAP)[0]:
            line = self._source.readline()
            if not line:
                break
            lines.append(line.rstrip("\n"))
        return "\n".join(lines)


def _prepare_readline() -> bool:
    """Turn on editing and history; True where pastes come as one text (GNU readline, not libedit)."""
    try:
        import readline
    except ImportError:
        return False
    if "libedit" in (readline.__doc__ or ""):
        return False
    readline.parse_and_bind("set enable-bracketed-paste on")
    return True


class Warnings(logging.Handler):
    """Holds back what the package logs, so that it does not stand in the middle of an answer; shown after the turn.

    Args:
        held: Whether to; elsewhere than in a terminal warnings go to standard error as they come.
    """

    def __init__(self, *, held: bool) -> None:
        super().__init__(logging.WARNING)
        self._texts: list[str] = []
        if held:
            logger = logging.getLogger("langchain_qwen_memory")
            logger.addHandler(self)
            logger.propagate = False

    def emit(self, record: logging.LogRecord) -> None:
        """Keep a warning's text."""
        self._texts.append(record.getMessage())

    def take(self) -> list[str]:
        """The warnings since the last time."""
        texts, self._texts = self._texts, []
        return texts
