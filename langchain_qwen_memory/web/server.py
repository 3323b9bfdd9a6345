"""Serves the page: one application with a page in each language, the guard before it, the threads behind it."""

from __future__ import annotations

import asyncio
import os
import secrets
import socket
import tempfile
import webbrowser
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, get_args

from langchain_qwen_memory.terminal.options import ChatOptions, MisuseError
from langchain_qwen_memory.terminal.say import Language, Say
from langchain_qwen_memory.web.guard import LOOPBACK, Door, Guard
from langchain_qwen_memory.web.texts import Words, preferred

if TYPE_CHECKING:
    from fastapi import FastAPI
    from starlette.requests import Request

    from langchain_qwen_memory.web.desk import Desk

LEAST_TOKEN = 16
"""Characters of a token that a person chooses."""
LARGEST_PICTURE = "10mb"
"""What the service takes of one picture."""
_PATIENCE = 3
"""Seconds that open streams have once the server is told to stop."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Place:
    """Where the page is, and for whom."""

    host: str = "127.0.0.1"
    """Address to listen on."""
    port: int = 7860
    """0: a free one."""
    token: str | None = None
    """None: none on this machine's own addresses, else a new one."""
    hosts: tuple[str, ...] = ()
    """Further names of the page."""
    language: Language | None = None
    """None: each browser's own."""
    browse: bool = False
    """Open the browser."""

    @property
    def is_own(self) -> bool:
        """Whether only this machine reaches it."""
        return self.host in LOOPBACK

    def check(self, words: Words) -> None:
        """Refuse a token that could be guessed.

        Raises:
            MisuseError: With what is accepted.
        """
        if self.token is not None and len(self.token) < LEAST_TOKEN:
            raise MisuseError(words("short_token", least=LEAST_TOKEN))


def serve(options: ChatOptions, place: Place, say: Say, tell: Callable[[str], None]) -> None:
    """Serve until Ctrl-C.

    Args:
        options: Of the chat, checked.
        place: Where.
        say: The language of errors.
        tell: Prints a line.

    Raises:
        MisuseError: The port is taken, or the threads cannot be opened.
    """
    words = Words(say.language)
    place.check(words)
    with ExitStack() as stack:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="qwen-memory-web-"))
        os.environ.update(GRADIO_TEMP_DIR=folder, GRADIO_ANALYTICS_ENABLED="False", HF_HUB_DISABLE_TELEMETRY="1")
        listening = stack.enter_context(_listening(place, words))
        asyncio.run(_serve(options, place, say, tell, listening))


def _listening(place: Place, words: Words) -> socket.socket:
    family = socket.AF_INET6 if ":" in place.host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((place.host, place.port))
        listening.listen()  # who comes before all is loaded waits, and is not turned away
    except OSError as error:
        listening.close()
        why = error.strerror or str(error)
        told = words("port_taken", host=place.host, port=place.port, why=why, other=place.port + 1)
        raise MisuseError(told) from error
    return listening


async def _serve(
    options: ChatOptions, place: Place, say: Say, tell: Callable[[str], None], listening: socket.socket
) -> None:
    import uvicorn

    from langchain_qwen_memory.terminal.bot import open_bot
    from langchain_qwen_memory.web.desk import Desk

    door = _door(place, listening.getsockname()[1])
    desk = Desk(await open_bot(options, say))
    try:
        app = application(desk, door, language=place.language, stand_in=options.stands_in)
        await asyncio.sleep(0)  # Ctrl-C while it was made ends it here; within uvicorn it would end in a traceback
        config = uvicorn.Config(
            app, log_level="warning", access_log=False, server_header=False, timeout_graceful_shutdown=_PATIENCE
        )
        url = _address(place, door)
        _greet(place, options, Words(say.language), tell, url)
        if place.browse:
            asyncio.get_running_loop().call_later(1, webbrowser.open, url)
        await uvicorn.Server(config).serve(sockets=[listening])
    finally:
        await desk.close()


def _door(place: Place, port: int) -> Door:
    token = place.token or (None if place.is_own else secrets.token_urlsafe(24))
    names = {*LOOPBACK, *place.hosts, *(() if place.is_own else (place.host, socket.gethostname()))}
    return Door(hosts={name.lower() for name in names}, any_address=not place.is_own, token=token, port=port)


def _address(place: Place, door: Door) -> str:
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(place.host, place.host)  # noqa: S104 - told from the others
    query = f"?token={door.token}" if door.token else ""
    return f"http://{f'[{host}]' if ':' in host else host}:{door.port}/{query}"


def _greet(place: Place, options: ChatOptions, words: Words, tell: Callable[[str], None], url: str) -> None:
    if options.stands_in:
        tell(words("stand_in"))
    tell(words("at", url=url))
    if not place.is_own:
        tell(words("open_to_others"))


def application(desk: Desk, door: Door, *, language: Language | None = None, stand_in: bool = False) -> FastAPI:
    """The page in both languages, behind its guard.

    Args:
        desk: The threads.
        door: Who is let in.
        language: Of everybody; None: the browser's own, and a link to the other.
        stand_in: Whether nobody but the stand-in answers.
    """
    import gradio as gr
    from fastapi import FastAPI
    from starlette.responses import JSONResponse, RedirectResponse, Response

    from langchain_qwen_memory.web.page import appearance, page

    async def choose(request: Request) -> Response:
        chosen = language or preferred(request.headers.get("accept-language", ""))
        return RedirectResponse(f"/{chosen}/?{request.url.query}", headers={"vary": "Accept-Language"})

    async def manifest(_request: Request) -> Response:  # Gradio's page asks for it at the root, wherever it is mounted
        return JSONResponse({"name": Words(language or "en")("title"), "display": "browser"})

    async def no_icon(_request: Request) -> Response:
        return Response(status_code=204)

    quiet: Any = {"auto_configure": False}  # newer versions would export traces wherever the environment says
    app: Any = FastAPI(docs_url=None, redoc_url=None, openapi_url=None, telemetry=quiet)
    app.add_route("/", choose)
    app.add_route("/manifest.json", manifest)
    app.add_route("/favicon.ico", no_icon)
    for spoken in get_args(Language):
        app = gr.mount_gradio_app(
            app,
            page(desk, Words(spoken), stand_in=stand_in),
            path=f"/{spoken}",
            footer_links=[],
            run_history=False,
            show_error=True,
            max_file_size=LARGEST_PICTURE,
            ssr_mode=False,
            enable_monitoring=False,
            mcp_server=False,
            pwa=False,
            **appearance(Words(spoken)),
        )
    app.add_middleware(Guard, door=door)
    return app  # type: ignore[no-any-return]
