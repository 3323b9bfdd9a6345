"""`qwen-memory web`: the command's options, thin."""

# ruff: noqa: PLR0917 - typer reads the options from the signature

from __future__ import annotations

import sys
from typing import Annotated

import typer

from langchain_qwen_memory.terminal import flags
from langchain_qwen_memory.terminal.options import DEFAULT_MEMORIES, asked_options
from langchain_qwen_memory.terminal.say import Language, Say, asked_language
from langchain_qwen_memory.web.texts import Words

_words = Words(asked_language(sys.argv))
_LANGUAGES: dict[str | None, Language] = {"zh": "zh", "en": "en"}

SUMMARY = _words("opt_web")
"""What the command does, in the person's language."""

Host = Annotated[str, typer.Option("--host", metavar="ADDRESS", help=_words("opt_host"))]
Port = Annotated[int, typer.Option("--port", min=0, max=65535, help=_words("opt_port"))]
Token = Annotated[str | None, typer.Option("--token", envvar="QWEN_MEMORY_TOKEN", help=_words("opt_token"))]
AllowHost = Annotated[list[str] | None, typer.Option("--allow-host", metavar="NAME", help=_words("opt_allow_host"))]
Browse = Annotated[bool, typer.Option("--open", help=_words("opt_open"))]


def web(
    context: typer.Context,
    host: Host = "127.0.0.1",
    port: Port = 7860,
    token: Token = None,
    allow_host: AllowHost = None,
    browse: Browse = False,
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
    lang: flags.Lang = None,
) -> None:
    """Chat in the browser, and see beside it what memory did."""
    say: Say = context.obj
    options = asked_options(
        say,
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
    _need_gradio(say)
    from langchain_qwen_memory.web.server import Place, serve

    hosts, language = tuple(allow_host or ()), _LANGUAGES.get(lang)
    place = Place(host=host, port=port, token=token, hosts=hosts, language=language, browse=browse)
    serve(options, place, say, typer.echo)


def _need_gradio(say: Say) -> None:
    from importlib.util import find_spec

    if find_spec("gradio") is None:
        raise ImportError(Words(say.language)("no_gradio"))
