"""The options of the commands; a help text is a key of `say`, read when help is asked for, in the person's language."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from langchain_qwen_memory.terminal.options import MisuseError
from langchain_qwen_memory.terminal.say import Say


def _known_language(context: typer.Context, given: str | None) -> str | None:
    """`--lang` was read before all else; here it is only checked."""
    if given not in {None, "zh", "en"}:
        say: Say = context.obj
        raise MisuseError(say("bad_lang", given=given))
    return given


def _option(*names: str, **how: Any) -> Any:
    return typer.Option(*names, **how)


Archive = Annotated[
    str | None,
    _option("--archive", "--db", envvar=["QWEN_MEMORY_ARCHIVE", "QWEN_MEMORY_DB"], metavar="FILE|URL", help="opt_db"),
]
Embeddings = Annotated[
    str | None, _option("--embeddings", envvar="QWEN_MEMORY_EMBEDDINGS", metavar="NAME", help="opt_embeddings")
]
Json = Annotated[bool, _option("--json", help="opt_json")]
JsonLines = Annotated[bool, _option("--json", help="opt_json_lines")]
Lang = Annotated[str | None, _option("--lang", metavar="zh|en", callback=_known_language, help="opt_lang")]
OfUser = Annotated[str, _option("--user", help="opt_of_user")]
User = Annotated[str | None, _option("--user", help="opt_user")]
AllUsers = Annotated[bool, _option("--all-users", help="opt_all_users")]
ThreadName = Annotated[str, typer.Argument(metavar="THREAD", help="arg_thread")]
ThreadOrAll = Annotated[str | None, typer.Argument(metavar="THREAD", help="arg_thread_or_all")]
Thread = Annotated[str, _option("--thread", help="opt_thread")]
Model = Annotated[str | None, _option("--model", help="opt_model")]
BaseUrl = Annotated[str | None, _option("--base-url", envvar="DASHSCOPE_API_BASE", metavar="URL", help="opt_base_url")]
Server = Annotated[str, _option("--server", metavar="KIND", help="opt_server")]
Region = Annotated[str | None, _option("--region", help="opt_region")]
Workspace = Annotated[str | None, _option("--workspace", metavar="ID", help="opt_workspace")]
Thinking = Annotated[bool | None, _option("--thinking/--no-thinking", help="opt_thinking")]
System = Annotated[str | None, _option("--system", metavar="TEXT", help="opt_system")]
Memory = Annotated[list[str] | None, _option("--memory", metavar="NAME", help="opt_memory")]
Trigger = Annotated[int | None, _option("--trigger", metavar="TOKENS", help="opt_trigger")]
Limit = Annotated[int | None, _option("--limit", min=1, metavar="TOKENS", help="opt_limit")]
Meter = Annotated[bool | None, _option("--meter/--no-meter", help="opt_meter")]
Before = Annotated[int | None, _option("--before", metavar="TURN", help="opt_before")]
Turns = Annotated[int, _option("--limit", min=1, metavar="TURNS", help="opt_turns")]
Everything = Annotated[bool, _option("--all", help="opt_everything")]
Output = Annotated[Path | None, _option("--output", "-o", metavar="FILE", help="opt_output")]
Resume = Annotated[bool, _option("--resume", help="opt_resume")]
Source = Annotated[str | None, typer.Argument(metavar="FILE", help="arg_file")]
ToUser = Annotated[str | None, _option("--to-user", metavar="USER", help="opt_to_user")]
ToThread = Annotated[str | None, _option("--to-thread", metavar="THREAD", help="opt_to_thread")]
Yes = Annotated[bool, _option("--yes", "-y", help="opt_yes")]
All = Annotated[bool, _option("--all", help="opt_all")]
Port = Annotated[int, _option("--port", min=0, max=65535, help="opt_port")]
Log = Annotated[bool, _option("--log", help="opt_log")]
