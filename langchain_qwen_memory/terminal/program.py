"""The program around its commands: which language it speaks, what its help looks like, how it ends on an error."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Sequence
from difflib import get_close_matches
from typing import Any, NoReturn

import typer
from typer.core import TyperCommand, TyperGroup

from langchain_qwen_memory.errors import QwenMemoryError
from langchain_qwen_memory.terminal.options import MisuseError, places
from langchain_qwen_memory.terminal.output import clean, to_json
from langchain_qwen_memory.terminal.say import TEXTS, Say, asked_language

_UsageError: type[Exception] = typer.BadParameter.__bases__[0]
"""What a wrong command or option raises; typer exports this class only as a base of others."""
_NARROW = 60
"""Columns below which an option's text stands under its name."""
_WIDEST = 100
_TRACE = "QWEN_MEMORY_TRACEBACK"
"""Set to anything: errors come with Python's traceback, for those who look for a bug."""


class HelpPage:
    """Writes help in the person's language; typer's own knows English, and counts a Chinese character as one column."""

    def format_help(self, ctx: Any, formatter: Any) -> None:
        """Called by typer for `--help`."""
        formatter.write(help_page(self, ctx, _say_of(ctx)))


class Command(HelpPage, TyperCommand):
    """A command whose help texts are keys of `say`."""


class Program(HelpPage, TyperGroup):
    """`qwen-memory` itself."""

    def main(self, args: Sequence[str] | None = None, prog_name: str | None = None, *more: Any, **extra: Any) -> Any:
        """Run; whatever goes wrong is one line on standard error, and an exit code that is not 0."""
        argv = list(sys.argv[1:] if args is None else args)
        say, as_json = Say(asked_language(argv)), "--json" in argv
        extra["standalone_mode"] = False
        extra.setdefault("obj", say)
        try:
            code = super().main(argv, prog_name or "qwen-memory", *more, **extra)
            sys.stdout.flush()
        except (typer.Abort, KeyboardInterrupt):
            raise SystemExit(130) from None
        except BrokenPipeError:
            _close_quietly()
            raise SystemExit(141) from None
        except Exception as error:
            if os.environ.get(_TRACE):
                raise
            _leave(error, say, as_json=as_json)
        raise SystemExit(code if isinstance(code, int) else 0)

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Called by typer: find the command that the first word names.

        Raises:
            MisuseError: There is none; with one that is spelt nearly so.
        """
        if args[0] not in self.commands and not args[0].startswith("-"):
            near = ", ".join(get_close_matches(args[0], list(self.commands)))
            say = _say_of(ctx)
            raise MisuseError(say("no_such_command", name=args[0]) + (say("perhaps", others=near) if near else ""))
        return super().resolve_command(ctx, args)


def _leave(error: Exception, say: Say, *, as_json: bool) -> NoReturn:
    text = " ".join(clean(_told(error, say)).split())
    if as_json:
        typer.echo(to_json({"error": {"kind": type(error).__name__, "text": text}}), err=True)
    else:
        typer.echo(say("error", text=text), err=True)
    raise SystemExit(1) from None


def _told(error: Exception, say: Say) -> str:
    """What an error says; of those that nobody foresaw, where to look for more."""
    if isinstance(error, _UsageError):
        return _misuse(error, say)
    if isinstance(error, MisuseError | QwenMemoryError | ImportError):
        return str(error) or type(error).__name__
    if isinstance(error, OSError):
        return f"{error.strerror or error}: {error.filename}" if error.filename else str(error)
    return say("unforeseen", kind=type(error).__name__, text=error, name=_TRACE)


def _misuse(error: Any, say: Say) -> str:
    """Typer's usage errors; the usual ones in the person's language."""
    kind = type(error).__name__
    if kind == "NoSuchOption":
        others = ", ".join(sorted(error.possibilities or ()))
        return say("no_such_option", name=error.option_name) + (say("perhaps", others=others) if others else "")
    if kind == "MissingParameter" and error.param is not None:
        return say("missing", name=error.param.metavar or error.param.name)
    return str(getattr(error, "format_message", error.__str__)())


def _close_quietly() -> None:
    """The reader of a pipe has left: what is still in the buffer must not raise once more at the end."""
    devnull = os.open(os.devnull, os.O_WRONLY)
    os.dup2(devnull, sys.stdout.fileno())


def _say_of(ctx: Any) -> Say:
    return ctx.obj if isinstance(ctx.obj, Say) else Say(asked_language(sys.argv))


def help_page(command: Any, ctx: Any, say: Say) -> str:
    """Usage, what it does, arguments, options, commands: as wide as the terminal, plain."""
    from rich.console import Console
    from rich.text import Text

    width = min(int(getattr(ctx, "terminal_width", None) or _columns()), _WIDEST)
    out = io.StringIO()
    console = Console(file=out, width=width, no_color=True, highlight=False, markup=False, emoji=False)
    usage = " ".join([ctx.command_path, *command.collect_usage_pieces(ctx)])
    console.print(Text(say("help_usage", usage=usage)))
    console.print()
    console.print(Text(_text(command.help, say)))
    params = command.get_params(ctx)
    arguments = [_argument(param, say) for param in params if param.param_type_name == "argument"]
    options = [_option(param, say) for param in params if param.param_type_name == "option" and not param.hidden]
    subcommands = getattr(command, "commands", {})
    listed = [(name, _text(each.help, say)) for name, each in subcommands.items() if not each.hidden]
    for title, rows in (("help_arguments", arguments), ("help_options", options), ("help_commands", listed)):
        if rows:
            console.print()
            console.print(Text(say(title)))
            console.print(_rows(rows, width))
    return "\n".join(line.rstrip() for line in out.getvalue().splitlines()) + "\n"


def _columns() -> int:
    import shutil

    return shutil.get_terminal_size().columns


def _text(key: str | None, say: Say) -> str:
    """The text of a key; typer's own texts ("Show this message and exit.") are no keys."""
    if key is not None and key in TEXTS["en"]:
        return say(key, **places(key))
    return say("help_own") if key and key.startswith("Show this message") else key or ""


def _argument(param: Any, say: Say) -> tuple[str, str]:
    return str(param.metavar or param.name).upper(), _text(param.help, say)


def _option(param: Any, say: Say) -> tuple[str, str]:
    names = "/".join([", ".join(_short_first(param.opts)), *param.secondary_opts])
    if not param.is_flag:
        names += f" {param.metavar or str(param.name).upper()}"
    default = param.default
    told = _text(param.help, say)
    if default not in {None, False, ""} and not callable(default) and not param.is_flag:
        told += " " + say("help_default", value=default)
    if param.envvar:
        env = param.envvar if isinstance(param.envvar, str) else ", ".join(param.envvar)
        told += " " + say("help_env", name=env)
    return names, told


def _short_first(names: Sequence[str]) -> list[str]:
    """`-h` before `--help`; else in the order in which they were written, which typer does not keep."""
    return sorted(names, key=lambda name: (name.startswith("--"), name))


def _rows(rows: Sequence[tuple[str, str]], width: int) -> Any:
    from rich.console import Group
    from rich.padding import Padding
    from rich.table import Table
    from rich.text import Text

    widest = max(len(name) for name, _ in rows)
    if width < _NARROW or widest > width // 2:
        return Group(*(Group(Text(f"  {name}"), Padding(Text(told), (0, 0, 0, 6))) for name, told in rows))
    table = Table.grid(padding=(0, 2), pad_edge=False)
    table.add_column(no_wrap=True)
    table.add_column()
    for name, told in rows:
        table.add_row(Text(f"  {name}"), Text(told))
    return table
