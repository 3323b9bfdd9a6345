"""What every command prints with: text that cannot steer a terminal, JSON Lines, progress bars on standard error."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, Protocol

_BIDI = (*range(0x202A, 0x202F), *range(0x2066, 0x206A))
"""Marks that turn the direction of text around: with them a line can show what it does not say."""
_CONTROL = [*(code for code in range(32) if chr(code) not in "\n\t"), *range(127, 160), 0x2028, 0x2029, *_BIDI]
_GONE = dict.fromkeys(_CONTROL)
_ESCAPED = {code: f"\\u{code:04x}" for code in _CONTROL if code >= 127}  # noqa: PLR2004 - json escapes those below


def clean(text: str) -> str:
    """A text that cannot steer the terminal: no control characters but new lines and tabs, no turned-around lines."""
    return text.translate(_GONE)


def short(text: str, most: int = 60) -> str:
    """The beginning of a text, on one line."""
    line = " ".join(clean(text).split())
    return line if len(line) <= most else f"{line[: most - 1]}…"


def to_json(value: Any) -> str:
    """JSON on one line, readable, and with nothing in it that steers a terminal."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    try:
        text.encode()
    except UnicodeEncodeError:  # half of a surrogate pair
        return json.dumps(value, separators=(",", ":"))
    return text.translate(_ESCAPED)


def write(text: str) -> None:
    """A line on standard output, at once: whoever reads a pipe does not wait for a full buffer."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def write_json(values: Iterable[Any]) -> None:
    """JSON Lines."""
    for value in values:
        write(to_json(value))


class Advance(Protocol):
    """Tells a progress bar how far things are."""

    def __call__(self, done: int, total: int | None) -> None:
        """So much of so much; None where that is not known."""


@contextmanager
def progress(text: str, *, shown: bool = True) -> Iterator[Advance]:
    """A progress bar on standard error; nothing where that is no terminal.

    Args:
        text: What is being done.
        shown: False with `--json`.
    """
    if not shown or not sys.stderr.isatty():
        yield lambda done, total: None  # noqa: ARG005
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(bar_width=20), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(text, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
