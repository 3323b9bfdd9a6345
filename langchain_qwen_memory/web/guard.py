"""Stands before the page: who may come in, under which name, from where, and what a browser may load."""

from __future__ import annotations

import hmac
import html
import ipaddress
from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, urlencode, urlsplit

from langchain_qwen_memory.web.texts import Words, preferred

if TYPE_CHECKING:
    from starlette.requests import Request
    from starlette.responses import Response
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

LOOPBACK = ("127.0.0.1", "localhost", "::1")
SIGN_IN = "/sign-in"
"""Where the form with the token goes."""
_COOKIE = "qwen-memory-{}"
"""Cookies know no ports: two pages on one machine would throw each other out."""
_LONGEST_FORM = 4_096
"""Bytes."""
_POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; "
    "img-src 'self' data: blob:; font-src 'self' data:; connect-src 'self'; worker-src 'self' blob:; "
    "object-src 'none'; base-uri 'self'; form-action 'self'; frame-ancestors 'none'"
)
"""Nothing is loaded from elsewhere, whatever a text holds. Gradio's own page has inline scripts and compiles some."""
_HEADERS = {
    "content-security-policy": _POLICY,
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
}


@dataclass(frozen=True, kw_only=True)
class Door:
    """Who is let in."""

    hosts: Collection[str]
    """Names that the page may be called by, without ports."""
    any_address: bool
    """Whether any IP address will do: where the page listens on several; an address cannot be rebound."""
    token: str | None
    """What a browser must know; None: being on this machine is enough."""
    port: int
    """Names the cookie."""

    def knows(self, host: str) -> bool:
        """Whether the page may be called by this Host header."""
        name = _name(host)
        return name in self.hosts or (self.any_address and _is_address(name))

    def opens(self, given: str) -> bool:
        """Whether a token is right; takes as long for a wrong one."""
        return self.token is not None and hmac.compare_digest(given.encode(), self.token.encode())

    @property
    def cookie(self) -> str:
        """Name of the cookie."""
        return _COOKIE.format(self.port)


class Guard:
    """ASGI middleware around the whole application."""

    def __init__(self, app: ASGIApp, *, door: Door) -> None:
        self._app, self._door = app, door

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer what is not let in; hand on the rest, with headers that keep the page to itself."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":  # the page needs no websocket
            return
        from starlette.requests import Request

        request = Request(scope, receive)
        answer = self._refusal(request) or await self._at_the_door(request)
        await (answer or self._app)(scope, receive, _with_headers(send))

    def _refusal(self, request: Request) -> Response | None:
        from starlette.responses import PlainTextResponse

        host, origin = request.headers.get("host", ""), request.headers.get("origin")
        if not self._door.knows(host):
            told = f"{_name(host)!r} is no name of this page. If it should be: qwen-memory web --allow-host NAME\n"
            return PlainTextResponse(told, status_code=421)
        if origin is not None and urlsplit(origin).netloc != host:
            return PlainTextResponse("This page takes requests from itself only.\n", status_code=403)
        if _is_foreign(request):
            return PlainTextResponse("This page is not to be loaded by others.\n", status_code=403)
        return None

    async def _at_the_door(self, request: Request) -> Response | None:
        """The way in: by an address with the token, by the form, by the cookie that both leave; None: let in."""
        if self._door.token is None:
            return None
        from starlette.responses import RedirectResponse

        words = Words(preferred(request.headers.get("accept-language", "")))
        if request.url.path == SIGN_IN and request.method == "POST":
            return self._let_in(request, "/") if self._door.opens(await _typed(request)) else _form(words, wrong=True)
        given = request.query_params.get("token")
        if given is not None:
            rest = urlencode([pair for pair in request.query_params.multi_items() if pair[0] != "token"])
            path = request.url.path if not request.url.path.startswith("//") else "/"
            return self._let_in(request, f"{path}?{rest}") if self._door.opens(given) else _form(words, wrong=True)
        if self._door.opens(request.cookies.get(self._door.cookie, "")):
            return RedirectResponse("/", status_code=303) if request.url.path == SIGN_IN else None
        return _form(words, wrong=False)

    def _let_in(self, request: Request, where: str) -> Response:
        from starlette.responses import RedirectResponse

        answer = RedirectResponse(where, status_code=303)
        answer.set_cookie(
            self._door.cookie,
            self._door.token or "",
            httponly=True,
            samesite="lax",
            secure=request.url.scheme == "https",
            path="/",
        )
        return answer


async def _typed(request: Request) -> str:
    """The token out of the form; nothing out of what is too long to be one."""
    body = b""
    async for piece in request.stream():
        body += piece
        if len(body) > _LONGEST_FORM:
            return ""
    return dict(parse_qsl(body.decode("utf-8", "replace"))).get("token", "")


def _name(host: str) -> str:
    """A Host header's name, without port and brackets."""
    try:
        return (urlsplit(f"//{host}").hostname or "").rstrip(".")
    except ValueError:
        return ""


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _is_foreign(request: Request) -> bool:
    """Whether another site has this loaded, other than by a link to it that a person followed."""
    if request.headers.get("sec-fetch-site", "none") in ("none", "same-origin"):
        return False
    return request.headers.get("sec-fetch-mode") != "navigate" or request.method not in ("GET", "HEAD")


def _with_headers(send: Send) -> Send:
    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            own = [(name.encode(), value.encode()) for name, value in _HEADERS.items()]
            message = {**message, "headers": [*message.get("headers", ()), *own]}
        await send(message)

    return sending


def _form(words: Words, *, wrong: bool) -> Response:
    """Asks for the token."""
    from starlette.responses import HTMLResponse

    told = {name: html.escape(words(f"token_{name}")) for name in ("title", "text", "wrong", "field", "go")}
    alert = f'<p role="alert">{told["wrong"]}</p>' if wrong else ""
    page = f"""<!doctype html><html lang="{words.language}"><meta charset="utf-8"><title>{told["title"]}</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<style>body{{font:16px/1.5 system-ui,sans-serif;max-width:26rem;margin:15vh auto;padding:0 1.2rem}}
input,button{{font:inherit;padding:.5rem .7rem;box-sizing:border-box;width:100%;margin:.4rem 0}}</style>
<h1>{told["title"]}</h1><p>{told["text"]}</p>{alert}<form method="post" action="{SIGN_IN}">
<label>{told["field"]} <input name="token" type="password" autocomplete="off" required autofocus></label>
<button>{told["go"]}</button></form></html>"""
    return HTMLResponse(page, status_code=401)
