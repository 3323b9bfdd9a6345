"""`qwen-memory export`, `import`, `reindex` and `forget`: what moves, mends and erases what is archived."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import typer

from langchain_qwen_memory.terminal.output import clean, progress, to_json, write
from langchain_qwen_memory.terminal.place import MisuseError, Place
from langchain_qwen_memory.terminal.reading import open_reader, reading_graph
from langchain_qwen_memory.terminal.say import Say
from langchain_qwen_memory.terminal.stores import open_archive, saver_of

if TYPE_CHECKING:
    from langchain_core.embeddings import Embeddings

    from langchain_qwen_memory.moving.exchange import Line, Marks, Moved


def export(
    place: Place,
    user: str | None,
    thread: str | None,
    say: Say,
    *,
    output: Path | None,
    resume: bool,
    as_json: bool,
) -> None:
    """Write turns down as JSON Lines.

    Args:
        place: Where they are.
        user: Whose; None: everyone's.
        thread: Which thread; None: all.
        say: The language.
        output: The file; None: standard output.
        resume: Go on with a file that is there.
        as_json: Tell the result as JSON, once there is a file.

    Raises:
        MisuseError: There is nothing to export, or the file is there already.
    """
    from langchain_qwen_memory.moving.exchange import export_lines

    with ExitStack() as stack:
        reader = stack.enter_context(open_reader(place, user or "", say))
        if thread is not None:
            reader.check(thread)
        elif user is not None and not reader.archive.count(user):
            raise MisuseError(" ".join([say("no_threads", db=place.shown), reader.known()]).strip())
        file, marks = stack.enter_context(_opened(output, say, resume=resume))
        lines = export_lines(reader.archive, user=user, thread=thread, marks=marks)
        before = marks.turns if marks else 0
        last = _write(lines, file, say, shown=output is not None and not as_json)
    if output is None:
        return
    result = {"file": str(output), "turns": last.done, "new": last.done - before}
    _result(say, "exported", result, as_json=as_json)


@contextmanager
def _opened(output: Path | None, say: Say, *, resume: bool) -> Iterator[tuple[BinaryIO, Marks | None]]:
    if output is None:
        yield sys.stdout.buffer, None
        return
    if output.exists() and not resume:
        raise MisuseError(say("file_there", file=output))
    with output.open("rb+" if output.exists() else "wb") as file:
        marks = None
        if resume and file.readable():
            from langchain_qwen_memory.moving.exchange import read_marks

            marks = read_marks(file)
            file.truncate(marks.offset)
            file.seek(marks.offset)
        yield file, marks


def _write(lines: Iterator[Line], file: BinaryIO, say: Say, *, shown: bool) -> Line:
    with progress(say("exporting"), shown=shown) as advance:
        for line in lines:
            file.write(f"{line}\n".encode())
            advance(line.done, line.total)
    file.flush()
    return line


def import_(
    place: Place,
    source: Path | None,
    say: Say,
    *,
    to_user: str | None,
    to_thread: str | None,
    embeddings: Embeddings | None,
    as_json: bool,
) -> None:
    """Take an export in.

    Args:
        place: Where it goes; a file that is not there is made.
        source: The export; None: standard input.
        say: The language.
        to_user: Whose the turns are to be; None: as told.
        to_thread: What the thread is to be called; None: as told.
        embeddings: For search by meaning.
        as_json: Tell the result as JSON.

    Raises:
        MisuseError: There is no such file.
        ArchiveError: It is broken, with the line.
    """
    from langchain_qwen_memory.moving.exchange import import_lines

    place.check(say)
    if source is not None and not source.is_file():
        raise MisuseError(say("no_file", file=source))
    with ExitStack() as stack:
        file = sys.stdin.buffer if source is None else stack.enter_context(source.open("rb"))
        archive = stack.enter_context(open_archive(place, say, embeddings=embeddings, create=True))
        steps = import_lines(archive, file, to_user=to_user, to_thread=to_thread)
        size = source.stat().st_size if source is not None else None
        moved = _take(steps, file, size, say, shown=not as_json)
    _warn(say, "left_notes", moved.left_notes)
    if moved.problem:
        typer.echo(clean(say("no_vectors", why=moved.problem)), err=True)
    names = ("turns", "new", "notes", "left_notes", "problem")
    _result(say, "imported", {name: getattr(moved, name) for name in names}, as_json=as_json)


def _take(steps: Iterator[Moved], file: BinaryIO, size: int | None, say: Say, *, shown: bool) -> Moved:
    from langchain_qwen_memory.moving.exchange import Moved

    moved = Moved()
    with progress(say("importing"), shown=shown) as advance:
        for moved in steps:
            advance(file.tell() if size else moved.turns, size)
    return moved


def reindex(place: Place, embeddings: Embeddings, name: str, say: Say, *, as_json: bool) -> None:
    """Make all vectors of an archive anew.

    Args:
        place: Where.
        embeddings: What makes them.
        name: Of the embeddings, as the person gave it.
        say: The language.
        as_json: Tell the result as JSON.
    """
    place.check(say)
    with open_archive(place, say, embeddings=embeddings) as archive:
        total = 0
        with closing(archive.reindex()) as steps, progress(say("reindexing"), shown=not as_json) as advance:  # type: ignore[type-var]
            for done, total in steps:
                advance(done, total)
        missing = archive.missing_vectors()
    _result(say, "reindexed", {"turns": total, "missing": missing, "embeddings": name}, as_json=as_json)


def forget(place: Place, user: str, thread: str | None, say: Say, *, yes: bool, as_json: bool) -> None:
    """Erase a thread, or all of a user, from checkpoints and archive.

    Args:
        place: Where.
        user: Whose.
        thread: Which; None: all of the user's.
        say: The language.
        yes: Do not ask.
        as_json: Tell the result as JSON.

    Raises:
        MisuseError: There is no such thread, or nobody is there to be asked.
    """
    from langchain_qwen_memory.threads import forget as erase

    with open_reader(place, user, say) as reader:
        if thread is not None:
            reader.check(thread)
        turns = reader.archive.count(user, thread)
    if not yes and not _agreed(user, thread, turns, say):
        write(say("kept_all"))
        return
    with ExitStack() as stack:
        archive = stack.enter_context(open_archive(place, say))
        graph: Any = reading_graph(archive, stack.enter_context(saver_of(place, say)))
        turns = erase(graph, user=user, thread=thread)
    _result(say, "forgotten", {"user": user, "thread": thread, "turns": turns}, as_json=as_json)


def _agreed(user: str, thread: str | None, turns: int, say: Say) -> bool:
    if not sys.stdin.isatty():
        raise MisuseError(say("needs_yes"))
    key = "ask_user" if thread is None else "ask_thread" if user else "ask_thread_alone"
    typer.echo(clean(say(key, thread=thread, user=user or '""', turns=say.turns(turns))) + " ", nl=False, err=True)
    return sys.stdin.readline().strip().lower() in {"y", "yes", "是", "好", "确定"}


def _result(say: Say, key: str, result: dict[str, Any], *, as_json: bool) -> None:
    write(to_json(result) if as_json else clean(say(key, **result)))


def _warn(say: Say, key: str, number: int) -> None:
    if number:
        typer.echo(say(key, n=number), err=True)
