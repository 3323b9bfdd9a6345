r"""Carries turns from any archive to any other as JSON Lines: a thread, a user or all, as a stream.

    with open("alice.jsonl", "w") as file:
        for line in export_lines(archive, user="alice"):
            file.write(f"{line}\n")

    for step in import_lines(other, open("alice.jsonl")):
        print(step.turns, "of them new:", step.new)

Both ends are streams: `import_lines(other, export_lines(archive))` moves everything with a page of turns in memory.
Keys are made of content, so that a turn that is there already is passed over: what was interrupted is
done again.
"""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator, Iterable, Iterator
from typing import Any, TypeVar

from langchain_qwen_memory.archive.base import Archive
from langchain_qwen_memory.errors import ArchiveError, MemoryOptionError
from langchain_qwen_memory.moving.giving import Call, Flow, Giving, Line
from langchain_qwen_memory.moving.lines import Marks, read_marks
from langchain_qwen_memory.moving.taking import Moved, Taking

__all__ = [
    "Line",
    "Marks",
    "Moved",
    "aexport_lines",
    "aimport_lines",
    "export_lines",
    "import_lines",
    "read_marks",
]

T = TypeVar("T")


def export_lines(
    archive: Archive, *, user: str | None = None, thread: str | None = None, marks: Marks | None = None
) -> Iterator[Line]:
    """Write turns and notes down, a line each, parents before children.

    Args:
        archive: Any.
        user: Whose turns; "" is a user too. None: everyone's.
        thread: One thread of the user. None: all of them.
        marks: From `read_marks` of an earlier export: what it has is not told again, and the end line counts both.

    Yields:
        Lines without newlines, the first and the last being the file's own.

    Raises:
        MemoryOptionError: A thread without its user.
        ArchiveError: The archive cannot be read.
    """
    return _driven(_giving(user, thread, marks).all(), archive)


def aexport_lines(
    archive: Archive, *, user: str | None = None, thread: str | None = None, marks: Marks | None = None
) -> AsyncIterator[Line]:
    """`export_lines`, async."""
    return _adriven(_giving(user, thread, marks).all(), archive)


def import_lines(
    archive: Archive, lines: Iterable[str | bytes], *, to_user: str | None = None, to_thread: str | None = None
) -> Iterator[Moved]:
    """Take an export in; turns that are there already are passed over.

    Args:
        archive: Any.
        lines: Of an export, as a file gives them.
        to_user: Whose they are to be; the export must be of one user. None: as in the export.
        to_thread: Name of the thread; the export must be of one thread. None: as in the export.

    Yields:
        After each page of turns how far it is.

    Raises:
        ArchiveError: A line is broken or was changed, with its number. Whole pages before it are taken in, and nothing
            of it. The same of a file that was cut, or a thread of that name that holds another conversation.
    """
    taking = Taking(to_user, to_thread)
    for number, line in enumerate(lines, start=1):
        yield from _driven(taking.feed(line, number), archive)
    yield from _driven(taking.end(), archive)


async def aimport_lines(
    archive: Archive,
    lines: Iterable[str | bytes] | AsyncIterable[str | bytes],
    *,
    to_user: str | None = None,
    to_thread: str | None = None,
) -> AsyncIterator[Moved]:
    """`import_lines`, async; the lines may come from an async iterator."""
    taking, number = Taking(to_user, to_thread), 0
    async for line in _each(lines):
        number += 1
        async for step in _adriven(taking.feed(line, number), archive):
            yield step
    async for step in _adriven(taking.end(), archive):
        yield step


def _giving(user: str | None, thread: str | None, marks: Marks | None) -> Giving:
    if thread is not None and user is None:
        raise MemoryOptionError(f'thread={thread!r} is of a user: give user=... too, user="" where there are none.')
    return Giving(user=user, thread=thread, marks=marks or Marks())


async def _each(lines: Iterable[T] | AsyncIterable[T]) -> AsyncIterator[T]:
    if isinstance(lines, AsyncIterable):
        async for line in lines:
            yield line
    else:
        for line in lines:
            yield line


def _driven(flow: Flow[T], archive: Archive) -> Iterator[T]:
    """Meet the calls of a flow and hand on what else it yields."""
    step: Any = flow.send
    brought: Any = None
    while True:
        try:
            item = step(brought)
        except StopIteration:
            return
        step, brought = flow.send, None
        if not isinstance(item, Call):
            yield item
            continue
        try:
            brought = getattr(archive, item.name)(*item.what, **item.how)
        except ArchiveError as error:
            step, brought = flow.throw, error


async def _adriven(flow: Flow[T], archive: Archive) -> AsyncIterator[T]:
    step: Any = flow.send
    brought: Any = None
    while True:
        try:
            item = step(brought)
        except StopIteration:
            return
        step, brought = flow.send, None
        if not isinstance(item, Call):
            yield item
            continue
        try:
            brought = await getattr(archive, f"a{item.name}")(*item.what, **item.how)
        except ArchiveError as error:
            step, brought = flow.throw, error
