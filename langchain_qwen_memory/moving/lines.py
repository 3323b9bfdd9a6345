"""The form in which turns travel between archives: JSON Lines that name their version, their user and their end.

    {"format": "qwen-memory", "version": 1}
    {"kind": "turn", "user", "thread", "key", "parent", "at", "tokens", "text", "messages", "check"}
    {"kind": "note", "user", "thread", "key", "note", "check"}
    {"kind": "end", "turns": 120, "notes": 3}

Each line stands for itself, and `check` is a hash of the rest of it: a slip of the pen or of a disk is noticed. The
last one says how many there should be: a file that was cut between two lines is known by its absence.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any, BinaryIO

from langchain_core.messages import messages_from_dict

from langchain_qwen_memory.archive.base import Turn, turn_key
from langchain_qwen_memory.archive.stored import plain, whole
from langchain_qwen_memory.errors import ArchiveError

__all__ = ["VERSION", "Marks", "Note", "end_line", "header_line", "note_line", "read_line", "read_marks", "turn_line"]

VERSION = 1
"""Grows when lines are written that an older version of this package cannot read."""
_FORMAT = "qwen-memory"
_KINDS: Mapping[str, Mapping[str, type | tuple[type, ...]]] = {
    "turn": {
        "user": str,
        "thread": str,
        "key": str,
        "parent": str,
        "at": (int, float),
        "tokens": int,
        "text": str,
        "messages": list,
        "check": str,
    },
    "note": {"user": str, "thread": str, "key": str, "note": dict, "check": str},
    "end": {"turns": int, "notes": int},
}
"""What a line of each kind must hold."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Note:
    """A note of a thread, such as a summary that was paid for."""

    user: str
    """Whose."""
    thread: str
    """Of which thread."""
    key: str
    """The archive's key of it."""
    note: dict[str, Any]
    """JSON data."""


@dataclass(kw_only=True, slots=True)
class Marks:
    """How far a file of an earlier export goes, so that the next one goes on behind it."""

    offset: int = 0
    """Bytes that are good: whole lines, the end line not among them."""
    turns: int = 0
    """Turns in them."""
    last: dict[tuple[str, str], str] = field(default_factory=dict)
    """(user, thread) -> key of the last turn that is there."""
    notes: set[tuple[str, str, str]] = field(default_factory=set)
    """(user, thread, key) of the notes that are there."""


def header_line() -> str:
    """The first line."""
    return _written({"format": _FORMAT, "version": VERSION})


def turn_line(turn: Turn) -> str:
    """A turn; positions and branches are not told, since the keys say them."""
    messages = [
        {"type": message.type, "data": plain(message.model_dump(exclude_defaults=True))}
        for message in map(whole, turn.messages)
    ]
    names = ("user", "thread", "key", "parent", "at", "tokens", "text")
    return _checked({"kind": "turn", **{name: getattr(turn, name) for name in names}, "messages": messages})


def note_line(note: Note) -> str:
    """A note."""
    return _checked({"kind": "note", "user": note.user, "thread": note.thread, "key": note.key, "note": note.note})


def end_line(turns: int, notes: int) -> str:
    """The last line: how many turns and notes stand before it."""
    return _written({"kind": "end", "turns": turns, "notes": notes})


def _checked(value: Mapping[str, Any]) -> str:
    return _written({**value, "check": _check(value)})


def _check(value: Mapping[str, Any]) -> str:
    """A hash of a line's values, however they are spaced, ordered and escaped."""
    rest = {name: item for name, item in value.items() if name != "check"}
    return blake2b(json.dumps(rest, sort_keys=True).encode(), digest_size=8).hexdigest()


def _written(value: Mapping[str, Any]) -> str:
    """JSON on one line; half of a surrogate pair, which UTF-8 cannot write, is escaped."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    try:
        text.encode()
    except UnicodeEncodeError:
        return json.dumps(value, separators=(",", ":"))
    return text


def read_line(line: str | bytes, number: int) -> Turn | Note | tuple[int, int] | None:
    """What a line holds; the turn's key is checked against its content.

    Args:
        line: With or without its newline.
        number: Of the line, from 1; named in errors.

    Returns:
        A turn, a note, the two counts of the end line, or None for the first line and for empty ones.

    Raises:
        ArchiveError: The line is broken, of a newer version, or was changed after it was written.
    """
    if not line.strip():
        return None
    data = _parsed(line, number)
    if number == 1 or "format" in data:
        _check_header(data, number)
        return None
    kind = data.get("kind")
    if not isinstance(kind, str) or kind not in _KINDS:
        raise ArchiveError(f"line {number} is of kind {kind!r}; known are {', '.join(_KINDS)}")
    _check_fields(data, _KINDS[kind], number)
    if kind == "end":
        return data["turns"], data["notes"]
    if _check(data) != data["check"]:
        raise ArchiveError(
            f"line {number} was changed after it was written: its content makes {_check(data)}, it says "
            f"{data['check']}; nothing from this line on is imported"
        )
    if kind == "note":
        return Note(user=data["user"], thread=data["thread"], key=data["key"], note=data["note"])
    return _turn(data, number)


def _parsed(line: str | bytes, number: int) -> dict[str, Any]:
    try:
        data = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise ArchiveError(
            f"line {number} is broken ({error}): the file was cut there, or is no export of qwen-memory; "
            "export it again"
        ) from error
    if not isinstance(data, dict):
        raise ArchiveError(f"line {number} is {type(data).__name__}, not an object; export it again")
    return data


def _check_header(data: Mapping[str, Any], number: int) -> None:
    version = data.get("version")
    if data.get("format") != _FORMAT or not isinstance(version, int):
        raise ArchiveError(f"line {number} is no head of an export; an export of qwen-memory begins {header_line()}")
    if version > VERSION:
        raise ArchiveError(
            f"the export has format version {version}, which a newer langchain-qwen-memory wrote; this one reads up "
            f"to version {VERSION}: pip install -U langchain-qwen-memory"
        )


def _check_fields(data: Mapping[str, Any], fields: Mapping[str, type | tuple[type, ...]], number: int) -> None:
    for name, kind in fields.items():
        if name not in data:
            raise ArchiveError(f"line {number} has no {name!r}; export it again")
        if not isinstance(data[name], kind) or isinstance(data[name], bool):
            raise ArchiveError(f"line {number}: {name!r} is {type(data[name]).__name__}; export it again")


def _turn(data: Mapping[str, Any], number: int) -> Turn:
    try:
        messages = tuple(messages_from_dict(data["messages"]))
        key = turn_key(data["parent"], messages)
    except Exception as error:
        raise ArchiveError(f"line {number}: its messages cannot be read ({error}); export it again") from error
    if key != data["key"] or not messages:
        raise ArchiveError(
            f"line {number} holds another turn than its key says: that is {data['key']}, its content makes {key}; "
            "nothing from this line on is imported"
        )
    names = ("user", "thread", "key", "parent", "tokens", "text")
    return Turn(messages=messages, at=float(data["at"]), **{name: data[name] for name in names})


def read_marks(file: BinaryIO) -> Marks:
    """Read how far an export goes; a broken last line is not counted.

    Raises:
        ArchiveError: The file is no export, or is broken elsewhere than at its end.
    """
    marks = Marks()
    for number, (line, is_last) in enumerate(_with_last(file), start=1):
        if not line.endswith(b"\n") and is_last:
            break
        found = read_line(line, number)
        if isinstance(found, tuple):
            break
        marks.offset += len(line)
        if isinstance(found, Turn):
            marks.turns += 1
            marks.last[found.user, found.thread] = found.key
        elif isinstance(found, Note):
            marks.notes.add((found.user, found.thread, found.key))
    return marks


def _with_last(lines: Iterable[bytes]) -> Iterable[tuple[bytes, bool]]:
    before = None
    for line in lines:
        if before is not None:
            yield before, False
        before = line
    if before is not None:
        yield before, True
