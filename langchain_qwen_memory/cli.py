"""`qwen-memory`: chat in the terminal, read threads, see what memory did, look after archives; the commands, thin."""

# ruff: noqa: PLR0917 - typer reads the options from the signature

from __future__ import annotations

from typing import Annotated

import typer

from langchain_qwen_memory.terminal import flags
from langchain_qwen_memory.terminal.keeping import export, forget, import_, reindex
from langchain_qwen_memory.terminal.options import (
    DEFAULT_MEMORIES,
    MisuseError,
    asked_options,
    default_place,
)
from langchain_qwen_memory.terminal.program import Command, Program
from langchain_qwen_memory.web.command import web

commands = typer.Typer(
    name="qwen-memory",
    help="opt_app",
    cls=Program,
    invoke_without_command=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def app() -> None:
    """Run the program; misuse ends with one line and exit code 1."""
    commands()


def _version(asked: bool) -> None:
    if asked:
        from importlib.metadata import version

        typer.echo(f"langchain-qwen-memory {version('langchain-qwen-memory')}")
        raise typer.Exit


@commands.callback()
def _program(
    context: typer.Context,
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="opt_version")] = False,
    lang: flags.Lang = None,
) -> None:
    del version, lang  # their callbacks have seen to them
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


@commands.command(cls=Command, help="opt_chat")
def chat(
    context: typer.Context,
    thread: flags.Thread = "main",
    archive: flags.Archive = None,
    embeddings: flags.Embeddings = None,
    model: flags.Model = None,
    base_url: flags.BaseUrl = None,
    server: flags.Server = "auto",
    region: flags.Region = None,
    workspace: flags.Workspace = None,
    thinking: flags.Thinking = None,
    system: flags.System = None,
    user: flags.User = None,
    memory: flags.Memory = None,
    trigger: flags.Trigger = None,
    limit: flags.Limit = None,
    meter: flags.Meter = None,
    as_json: flags.JsonLines = False,
    lang: flags.Lang = None,
) -> None:
    """Chat until the person leaves."""
    del lang
    options = asked_options(
        context.obj,
        thread=thread,
        db=archive,
        embeddings=embeddings,
        model=model,
        base_url=base_url,
        server=server,
        region=region,
        workspace=workspace,
        thinking=thinking,
        system=system,
        user=user,
        memories=tuple(memory or DEFAULT_MEMORIES),
        trigger=trigger,
        limit=limit,
    )
    if as_json:
        from langchain_qwen_memory.terminal.chat_json import chat_json

        raise typer.Exit(chat_json(options, context.obj))
    from langchain_qwen_memory.terminal.chat import chat as run

    raise typer.Exit(run(options, context.obj, meter=meter))


@commands.command(cls=Command, help="opt_threads")
def threads(
    context: typer.Context,
    archive: flags.Archive = None,
    user: flags.OfUser = "",
    everyone: flags.AllUsers = False,
    as_json: flags.JsonLines = False,
    lang: flags.Lang = None,
) -> None:
    """List threads."""
    del lang
    from langchain_qwen_memory.terminal.listing import threads as run

    run(default_place(archive), user, context.obj, everyone=everyone, as_json=as_json)


@commands.command(cls=Command, help="opt_show")
def show(
    context: typer.Context,
    thread: flags.ThreadName,
    archive: flags.Archive = None,
    user: flags.OfUser = "",
    before: flags.Before = None,
    limit: flags.Turns = 20,
    everything: flags.Everything = False,
    as_json: flags.JsonLines = False,
    lang: flags.Lang = None,
) -> None:
    """Show a transcript."""
    del lang
    if before is not None and before <= 1:
        raise MisuseError(context.obj("bad_before", given=before))
    from langchain_qwen_memory.terminal.listing import show as run

    run(
        default_place(archive),
        user,
        thread,
        context.obj,
        before=before,
        limit=limit,
        everything=everything,
        as_json=as_json,
    )


@commands.command(cls=Command, help="opt_report")
def report(
    context: typer.Context,
    thread: flags.ThreadName,
    archive: flags.Archive = None,
    user: flags.OfUser = "",
    limit: flags.Turns = 20,
    as_json: flags.JsonLines = False,
    lang: flags.Lang = None,
) -> None:
    """Show what memory did."""
    del lang
    from langchain_qwen_memory.terminal.reports import report as run

    run(default_place(archive), user, thread, context.obj, limit=limit, as_json=as_json)


for _name, _function in (("export", export), ("import", import_), ("reindex", reindex), ("forget", forget)):
    commands.command(_name, cls=Command, help=f"opt_{_name}")(_function)


@commands.command(cls=Command, help="opt_local")
def local(
    context: typer.Context,
    port: flags.Port = 8008,
    log: flags.Log = False,
    as_json: flags.JsonLines = False,
    lang: flags.Lang = None,
) -> None:
    """Serve the stand-in until Ctrl-C."""
    del lang
    from langchain_qwen_memory.terminal.local import serve

    serve(port, context.obj, log=log, as_json=as_json)


commands.command("web", cls=Command, help="opt_web")(web)


@commands.command(cls=Command, help="opt_doctor")
def doctor(
    context: typer.Context,
    archive: flags.Archive = None,
    embeddings: flags.Embeddings = None,
    model: flags.Model = None,
    base_url: flags.BaseUrl = None,
    server: flags.Server = "auto",
    region: flags.Region = None,
    workspace: flags.Workspace = None,
    as_json: flags.Json = False,
    lang: flags.Lang = None,
) -> None:
    """Look at everything."""
    del lang
    options = asked_options(
        context.obj,
        db=archive,
        embeddings=embeddings,
        model=model,
        base_url=base_url,
        server=server,
        region=region,
        workspace=workspace,
    )
    from langchain_qwen_memory.terminal.doctor import doctor as run

    raise typer.Exit(run(options, context.obj, as_json=as_json))
