"""The commands that look after an archive: export, import, reindex, forget; thin."""

# ruff: noqa: PLR0917 - typer reads the options from the signature

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import typer

from langchain_qwen_memory.terminal import flags
from langchain_qwen_memory.terminal.options import (
    EMBEDDINGS,
    MisuseError,
    asked_options,
    check_embeddings,
    default_place,
)
from langchain_qwen_memory.terminal.say import Say


def export(
    context: typer.Context,
    thread: flags.ThreadOrAll = None,
    archive: flags.Archive = None,
    user: flags.OfUser = "",
    everyone: flags.AllUsers = False,
    output: flags.Output = None,
    resume: flags.Resume = False,
    as_json: flags.Json = False,
    lang: flags.Lang = None,
) -> None:
    """Write turns down."""
    del lang
    if everyone and (user or thread is not None):
        raise MisuseError(context.obj("user_or_all" if user else "thread_of_all"))
    from langchain_qwen_memory.terminal.carrying import export as run

    whose = None if everyone else user
    run(default_place(archive), whose, thread, context.obj, output=output, resume=resume, as_json=as_json)


def import_(
    context: typer.Context,
    source: flags.Source = None,
    archive: flags.Archive = None,
    to_user: flags.ToUser = None,
    to_thread: flags.ToThread = None,
    embeddings: flags.Embeddings = None,
    as_json: flags.Json = False,
    lang: flags.Lang = None,
) -> None:
    """Take an export in."""
    del lang
    from langchain_qwen_memory.terminal.carrying import import_ as run

    path = None if source in {None, "-"} else Path(str(source))
    run(
        default_place(archive),
        path,
        context.obj,
        to_user=to_user,
        to_thread=to_thread,
        embeddings=_embeddings(embeddings, context.obj),
        as_json=as_json,
    )


def reindex(
    context: typer.Context,
    archive: flags.Archive = None,
    embeddings: flags.Embeddings = None,
    as_json: flags.Json = False,
    lang: flags.Lang = None,
) -> None:
    """Make all vectors anew."""
    del lang
    made = _embeddings(embeddings, context.obj)
    if made is None:
        kinds = ", ".join(name for name in EMBEDDINGS if name != "none")
        raise MisuseError(context.obj("needs_embeddings", kinds=kinds))
    from langchain_qwen_memory.terminal.carrying import reindex as run

    run(default_place(archive), made, str(embeddings), context.obj, as_json=as_json)


def _embeddings(name: str | None, say: Say) -> Any:
    check_embeddings(name, say)
    from langchain_qwen_memory.terminal.embedding import embeddings_of

    base_url = os.environ.get("DASHSCOPE_API_BASE") or None
    model = "-"  # nobody is asked; a server of one's own would want a name
    return embeddings_of(asked_options(say, embeddings=name, base_url=base_url, model=model), say)


def forget(
    context: typer.Context,
    thread: flags.ThreadOrAll = None,
    archive: flags.Archive = None,
    user: flags.OfUser = "",
    everything: flags.All = False,
    yes: flags.Yes = False,
    as_json: flags.Json = False,
    lang: flags.Lang = None,
) -> None:
    """Erase."""
    del lang
    if (thread is None) != everything:
        raise MisuseError(context.obj("thread_or_all"))
    from langchain_qwen_memory.terminal.carrying import forget as run

    run(default_place(archive), user, thread, context.obj, yes=yes, as_json=as_json)
