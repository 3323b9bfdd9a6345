"""`qwen-memory doctor`: looks at everything a chat needs, and says what is wrong and how to mend it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict
from typing import Any

from rich.text import Text

from langchain_qwen_memory.terminal.doctor_service import (
    Check,
    endpoint_check,
    key_check,
    model_check,
    one_line,
    reach_check,
)
from langchain_qwen_memory.terminal.listing import plain_console
from langchain_qwen_memory.terminal.options import DEFAULT_MODEL, ChatOptions
from langchain_qwen_memory.terminal.output import clean, to_json, write
from langchain_qwen_memory.terminal.place import MisuseError
from langchain_qwen_memory.terminal.say import Say, grouped

_SENTENCE, _TOKENS = "千问记得你对花生过敏。 KM-3000", 14
"""A text, and how many tokens Qwen's vocabulary makes of it."""


def doctor(options: ChatOptions, say: Say, *, as_json: bool) -> int:
    """Look at everything and tell.

    Args:
        options: As `chat` would take them.
        say: The language.
        as_json: One object: `{"ok", "checks"}`.

    Returns:
        The exit code: 1 if something is wrong.
    """
    checks: list[Check] = []
    for check in _checks(options, say):
        safe = _without_key(check, options.api_key)
        checks.append(safe)
        if not as_json:
            _print(safe, say)
    ok = all(check.ok is not False for check in checks)
    if as_json:
        write(to_json({"ok": ok, "checks": [asdict(check) for check in checks]}))
    else:
        wrong = sum(check.ok is False for check in checks)
        plain_console().print(Text(say("all_well") if ok else say("wrong", n=wrong), style="green" if ok else "red"))
    return 0 if ok else 1


def _without_key(check: Check, key: str | None) -> Check:
    if not key:
        return check
    hidden = {name: getattr(check, name).replace(key, "***") for name in ("text", "fix")}
    return Check(name=check.name, ok=check.ok, **hidden)


def _print(check: Check, say: Say) -> None:
    sign, style = {True: ("✓", "green"), False: ("✗", "red"), None: ("–", "dim")}[check.ok]
    console = plain_console()
    line = Text(f"{sign} ", style=style)
    line.append(f"{say(f'check_{check.name}')}{say('colon')}", style="bold not dim")
    line.append(clean(check.text), style="default" if check.ok is not None else "dim")
    console.print(line, soft_wrap=not console.is_terminal)
    if check.fix:
        console.print(Text(f"  → {clean(check.fix)}", style="yellow"), soft_wrap=not console.is_terminal)


def _checks(options: ChatOptions, say: Say) -> Iterator[Check]:
    key = key_check(options, say)
    yield key
    model, endpoint = endpoint_check(options, say)
    yield endpoint
    reached = reach_check(model, say) if model is not None else None
    yield reached or _skipped("reachable", say)
    asked = key.ok is not False and reached is not None and reached.ok
    yield model_check(model, options, say) if asked and model is not None else _skipped("model", say)
    yield _tokenizer(options, say)
    archive = _archive(options, say)
    yield archive
    yield _checkpoints(options, say) if archive.ok else _skipped("checkpoints", say)
    if options.embeddings not in {None, "none"}:
        yield _embeddings(options, say)


def _skipped(name: str, say: Say) -> Check:
    return Check(name=name, ok=None, text=say("skipped"))


def _tokenizer(options: ChatOptions, say: Say) -> Check:
    from langchain_qwen_memory.tokens import count_text

    try:
        counted = count_text(_SENTENCE, model=options.model or DEFAULT_MODEL)
    except Exception as error:  # noqa: BLE001 - whatever it is, it is told
        fix = say("tokenizer_fix")
        return Check(name="tokenizer", ok=False, text=f"{type(error).__name__}: {one_line(error)}", fix=fix)
    if counted != _TOKENS and options.model in {None, DEFAULT_MODEL}:
        text = say("tokenizer_off", counted=counted, wanted=_TOKENS)
        return Check(name="tokenizer", ok=False, text=text, fix=say("tokenizer_fix"))
    return Check(name="tokenizer", ok=True, text=say("tokenizer_well"))


def _archive(options: ChatOptions, say: Say) -> Check:
    from langchain_qwen_memory.terminal.stores import open_archive, opening

    place = options.place
    if not place.is_postgres and not place.path.exists():
        return _makable(options, say)
    try:
        with open_archive(place, say) as archive, opening(place, say):
            users = archive.users()
            turns = sum(archive.count(user) for user in users)
            missing = archive.missing_vectors()
    except (MisuseError, ImportError) as error:
        return Check(name="archive", ok=False, text=one_line(error), fix=say("archive_fix"))
    text = say("archive_well", db=place.shown, turns=grouped(turns), users=grouped(len(users)))
    if not missing:
        return Check(name="archive", ok=True, text=text)
    return Check(name="archive", ok=True, text=text, fix=say("missing_vectors", n=missing))


def _makable(options: ChatOptions, say: Say) -> Check:
    """A file that is not there yet is no fault, if it can be made."""
    import os

    folder = options.place.path.absolute().parent
    while not folder.exists():
        folder = folder.parent
    shown = options.place.shown
    if os.access(folder, os.W_OK):
        return Check(name="archive", ok=True, text=say("archive_new", db=shown))
    return Check(name="archive", ok=False, text=say("archive_denied", db=shown), fix=say("archive_fix"))


def _checkpoints(options: ChatOptions, say: Say) -> Check:
    from langchain_qwen_memory.terminal.stores import saver_of

    place = options.place
    if not place.is_postgres and not place.path.exists():
        return Check(name="checkpoints", ok=True, text=say("checkpoints_none"))
    try:
        with saver_of(place, say) as saver:
            if saver is not None:
                next(iter(saver.list(None, limit=1)), None)
    except Exception as error:  # noqa: BLE001 - whatever it is, it is told
        return Check(name="checkpoints", ok=False, text=one_line(error), fix=say("archive_fix"))
    return Check(name="checkpoints", ok=True, text=say("checkpoints_well" if saver is not None else "checkpoints_none"))


def _embeddings(options: ChatOptions, say: Say) -> Check:
    from langchain_qwen_memory.terminal.embedding import embeddings_of

    make: Callable[[], Any] = lambda: embeddings_of(options, say)  # noqa: E731
    try:
        vector = make().embed_query("1")
    except Exception as error:  # noqa: BLE001 - whatever it is, it is told
        return Check(name="embeddings", ok=False, text=one_line(error), fix=say("embeddings_fix"))
    return Check(name="embeddings", ok=True, text=say("embeddings_well", name=options.embeddings, n=len(vector)))
