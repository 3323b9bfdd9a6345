"""`qwen-memory`: chat in the terminal, or serve a local DashScope; the commands, thin."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, NoReturn

import typer

from langchain_qwen_memory.terminal.options import (
    DEFAULT_MEMORIES,
    SERVERS,
    ChatOptions,
    MisuseError,
    default_db,
    short_path,
)
from langchain_qwen_memory.terminal.say import Language, Say, asked_language

_say = Say(asked_language(sys.argv))
_HOME = {"HOME": str(Path.home())}
_DEFAULT = short_path(default_db(stand_in=False), _HOME)
_STAND_IN = short_path(default_db(stand_in=True), _HOME)

_UsageError: type[Exception] = typer.BadParameter.__bases__[0]
"""What a wrong command or option raises; typer exports this class only as a base of others."""

commands = typer.Typer(
    name="qwen-memory",
    help=_say("opt_app"),
    invoke_without_command=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)

Lang = Annotated[str | None, typer.Option("--lang", help=_say("opt_lang"))]


def app() -> None:
    """Run the program; misuse ends with one line and exit code 1."""
    try:
        code = commands(standalone_mode=False)
    except MisuseError as error:
        _leave(str(error))
    except _UsageError as error:
        _leave(str(getattr(error, "format_message", error.__str__)()))
    except (typer.Abort, KeyboardInterrupt):
        raise SystemExit(130) from None
    raise SystemExit(code or 0)


def _leave(text: str) -> NoReturn:
    typer.echo(_say("error", text=" ".join(text.split())), err=True)
    raise SystemExit(1) from None


def _version(asked: bool) -> None:
    if asked:
        from importlib.metadata import version

        typer.echo(f"langchain-qwen-memory {version('langchain-qwen-memory')}")
        raise typer.Exit


@commands.callback()
def _program(
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help=_say("opt_version"))
    ] = False,
) -> None:
    del version  # its callback has printed it
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


@commands.command(help=_say("opt_chat"))
def chat(  # noqa: PLR0917 - typer reads the options from the signature
    thread: Annotated[str, typer.Option(help=_say("opt_thread"))] = "main",
    db: Annotated[
        Path | None,
        typer.Option(envvar="QWEN_MEMORY_DB", help=_say("opt_db", default=_DEFAULT, stand_in=_STAND_IN)),
    ] = None,
    model: Annotated[str | None, typer.Option(help=_say("opt_model"))] = None,
    base_url: Annotated[str | None, typer.Option(envvar="DASHSCOPE_API_BASE", help=_say("opt_base_url"))] = None,
    server: Annotated[str, typer.Option(help=_say("opt_server", kinds=", ".join(SERVERS)))] = "auto",
    region: Annotated[str | None, typer.Option(help=_say("opt_region"))] = None,
    workspace: Annotated[str | None, typer.Option(help=_say("opt_workspace"))] = None,
    thinking: Annotated[bool | None, typer.Option("--thinking/--no-thinking", help=_say("opt_thinking"))] = None,
    system: Annotated[str | None, typer.Option(help=_say("opt_system"))] = None,
    user: Annotated[str | None, typer.Option(help=_say("opt_user"))] = None,
    memory: Annotated[list[str] | None, typer.Option(metavar="NAME", help=_say("opt_memory"))] = None,
    trigger: Annotated[int | None, typer.Option(help=_say("opt_trigger"))] = None,
    limit: Annotated[int | None, typer.Option(min=1, help=_say("opt_limit"))] = None,
    meter: Annotated[bool | None, typer.Option("--meter/--no-meter", help=_say("opt_meter"))] = None,
    lang: Lang = None,
) -> None:
    """Chat until the person leaves."""
    import os

    say = _spoken(lang)
    options = ChatOptions(
        thread=thread,
        db=db,
        model=model,
        base_url=base_url,
        api_key=os.environ.get("DASHSCOPE_API_KEY") or None,
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
    options.check(say)
    from langchain_qwen_memory.terminal.chat import chat as run

    raise typer.Exit(run(options, say, meter=meter))


@commands.command(help=_say("opt_local"))
def local(
    port: Annotated[int, typer.Option(min=0, max=65535, help=_say("opt_port"))] = 8008,
    log: Annotated[bool, typer.Option("--log", help=_say("opt_log"))] = False,
    lang: Lang = None,
) -> None:
    """Serve the stand-in until Ctrl-C."""
    from langchain_qwen_memory.terminal.local import serve

    serve(port, _spoken(lang), log=log)


def _spoken(lang: str | None) -> Say:
    if lang is None:
        return _say
    known: dict[str, Language] = {"zh": "zh", "en": "en"}
    if lang not in known:
        raise MisuseError(_say("bad_lang", given=lang))
    return Say(known[lang])
