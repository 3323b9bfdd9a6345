"""What a Qwen service refuses, as LangChain's and OpenAI's error classes at once, with what to do about it.

QwenAuthenticationError     401: key missing, wrong, or of another region
QwenPermissionDeniedError   403: model not bought, free quota used up, workspace closed
QwenArrearsError            the account is in arrears
QwenModelNotFoundError      no such model here
QwenRateLimitError          429: too many requests or tokens a minute
QwenContextOverflowError    the prompt is longer than the model takes in
QwenContentInspectionError  the service's inspection objected to the prompt or the answer
QwenInvalidRequestError     any other 400
QwenStreamOnlyError         of these: the model answers such a request as a stream only
QwenServerError             5xx
QwenTimeoutError            no answer in time
QwenConnectionError         not reached, or broken off in the middle
QwenResponseError           answered with something that is no answer: HTML, no choices
"""

import json
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import openai
from langchain_core.exceptions import (
    ContextOverflowError,
    ModelAPIError,
    ModelAuthenticationError,
    ModelConnectionError,
    ModelInvalidRequestError,
    ModelNotFoundError,
    ModelPermissionDeniedError,
    ModelRateLimitError,
    ModelTimeoutError,
)

from langchain_qwen_memory.errors import page_of
from langchain_qwen_memory.qwen.endpoints import ServerKind, other_regions, server_of, shown_url

__all__ = [
    "QwenArrearsError",
    "QwenAuthenticationError",
    "QwenConnectionError",
    "QwenContentInspectionError",
    "QwenContextOverflowError",
    "QwenInvalidRequestError",
    "QwenModelNotFoundError",
    "QwenPermissionDeniedError",
    "QwenRateLimitError",
    "QwenResponseError",
    "QwenServerError",
    "QwenStreamOnlyError",
    "QwenTimeoutError",
    "ReportedError",
    "service_errors",
]


class QwenAuthenticationError(openai.AuthenticationError, ModelAuthenticationError):
    """The key is missing, wrong, or belongs to another region."""


class QwenPermissionDeniedError(openai.PermissionDeniedError, ModelPermissionDeniedError):
    """The key may not use this model or workspace."""


class QwenArrearsError(openai.APIStatusError, ModelPermissionDeniedError):
    """The account is in arrears; the service says so with status 400."""


class QwenModelNotFoundError(openai.NotFoundError, ModelNotFoundError):
    """There is no such model at this endpoint."""


class QwenRateLimitError(openai.RateLimitError, ModelRateLimitError):
    """Too many requests or tokens in a minute, or too sudden a rise."""


class QwenContextOverflowError(openai.BadRequestError, ContextOverflowError):
    """The prompt is longer than the model takes in."""


class QwenContentInspectionError(openai.BadRequestError, ModelInvalidRequestError):
    """The service's inspection objected to the prompt or to the answer."""


class QwenInvalidRequestError(openai.BadRequestError, ModelInvalidRequestError):
    """The request cannot be met as it is."""


class QwenStreamOnlyError(QwenInvalidRequestError):
    """The model answers this request as a stream only; ChatQwen then asks for one, so that callers do not see it."""


class QwenServerError(openai.InternalServerError, ModelAPIError):
    """The service failed; trying again may help."""


class QwenTimeoutError(openai.APITimeoutError, ModelTimeoutError):
    """No answer, or no further piece of it, in time."""


class QwenConnectionError(openai.APIConnectionError, ModelConnectionError):
    """The service was not reached, or the connection broke off in the middle of an answer."""


class QwenResponseError(openai.APIError, ModelAPIError):
    """The server answered with something that is no answer of a chat model."""


class ReportedError(openai.APIError):
    """What a server reports as an error under status 200; never reaches the caller as such."""

    def __init__(self, body: dict[str, Any], response: Any) -> None:
        error = body.get("error")
        told = error.get("message") if isinstance(error, dict) else error
        super().__init__(
            str(told or body.get("message") or "The server reported an error."), response.request, body=body
        )
        self.response = response


_OVERFLOW = re.compile(
    r"Range of input length should be|maximum context length|context length (?:is|of) only|context_length_exceeded"
    r"|exceeds? the (?:available )?context (?:size|window|length)|input (?:is|prompt) too long|prompt is too long"
    r"|(?:total|input) tokens? .*exceed|longer than the model's context length",
    re.IGNORECASE,
)
"""What DashScope, vLLM, SGLang, llama.cpp and Ollama say of a prompt that is too long."""

_WRONG_WAY = re.compile(r"url error, please check url")
_OTHER_WAY = "It is served by the other of text and multimodal generation: give multimodal=True, or False."

_WORDS = (
    (_OVERFLOW, QwenContextOverflowError),
    (re.compile("in good standing"), QwenArrearsError),
    (re.compile("Model not exist"), QwenModelNotFoundError),
    (re.compile("only support stream|for non-streaming calls|only support with stream"), QwenStreamOnlyError),
    (re.compile("free (?:allocated )?quota|free tier", re.IGNORECASE), QwenPermissionDeniedError),
)
"""What tells the kind whatever status and code go with it."""

_SERVER_FAILS = 500
"""The first status that is the server's fault."""

_CODES: dict[str, type[openai.APIStatusError]] = {
    "invalidapikey": QwenAuthenticationError,
    "arrearage": QwenArrearsError,
    "datainspectionfailed": QwenContentInspectionError,
    "customroleblocked": QwenContentInspectionError,
    "modelnotfound": QwenModelNotFoundError,
    "model.notexist": QwenModelNotFoundError,
    "accessdenied": QwenPermissionDeniedError,
    "accessdenied.unpurchased": QwenPermissionDeniedError,
    "allocationquota.freetieronly": QwenPermissionDeniedError,
    "throttling": QwenRateLimitError,
    "limitrequests": QwenRateLimitError,
    "limitburstrate": QwenRateLimitError,
    "insufficientquota": QwenRateLimitError,
    "internalerror": QwenServerError,
    "serviceunavailable": QwenServerError,
}
"""The service's codes, of both its protocols, in small letters without underscores."""

_STATUSES: dict[int, type[openai.APIStatusError]] = {
    401: QwenAuthenticationError,
    403: QwenPermissionDeniedError,
    404: QwenModelNotFoundError,
    429: QwenRateLimitError,
}


@contextmanager
def service_errors(url: str, *, secrets: Sequence[str] = (), kind: ServerKind | None = None) -> Iterator[None]:
    """Raises what happens inside as this module's classes.

    Args:
        url: The base URL that is called; named in the error.
        secrets: Texts that must not stand in an error, though a server may repeat them: the key.
        kind: What answers there; None: what the URL says.
    """
    try:
        yield
    except openai.APIError as error:
        own = (kind or server_of(url)) != "dashscope"
        _scrub(error, secrets)
        told = _translated(error, shown_url(url), secrets, own=own)
        if page_of(type(told)) not in getattr(told, "__notes__", ()):
            told.add_note(page_of(type(told)))
        raise told from None


def _translated(error: openai.APIError, url: str, secrets: Sequence[str], *, own: bool) -> openai.APIError:
    if isinstance(error, QwenResponseError | QwenConnectionError):
        return error
    if isinstance(error, openai.APITimeoutError):
        timeout = QwenTimeoutError(request=error.request)
        timeout.message = f"No answer in time from {url}. Raise timeout=..., or stream: then it holds for each piece."
        timeout.args = (timeout.message,)
        return timeout
    if isinstance(error, openai.APIConnectionError):
        reason = _hidden(str(error.__cause__ or error.message).rstrip("."), secrets)
        return QwenConnectionError(message=f"No connection to {url}, or it broke off: {reason}.", request=error.request)
    message, code, request_id = _said(error)
    kind = _kind(error, message, code)
    advice = _OTHER_WAY if _WRONG_WAY.search(message) else _advice(kind, url, code, own=own)
    text = _hidden(_text(message, code, request_id, advice), secrets)
    if not issubclass(kind, openai.APIStatusError) or not hasattr(error, "response"):
        return kind(message=text, request=error.request, body=error.body)
    return kind(message=text, response=error.response, body=error.body)


def _scrub(error: openai.APIError, secrets: Sequence[str]) -> None:
    """Take secrets out of the SDK's own error: it stays reachable as the context of ours, and loggers read it."""
    error.args = tuple(_hidden_in(one, secrets) for one in error.args)
    error.message, error.body = _hidden(error.message, secrets), _hidden_in(error.body, secrets)
    if isinstance(error, openai.APIStatusError):
        error.response = _without_secrets(error.response, secrets)


def _hidden_in(value: Any, secrets: Sequence[str]) -> Any:
    """A body without secrets, which a server may repeat: tracers are given it."""
    if isinstance(value, str):
        return _hidden(value, secrets)
    if isinstance(value, dict):
        return {_hidden_in(key, secrets): _hidden_in(one, secrets) for key, one in value.items()}
    return [_hidden_in(one, secrets) for one in value] if isinstance(value, list) else value


def _without_secrets(response: Any, secrets: Sequence[str]) -> Any:
    """The response itself, or one without secrets where it repeats them."""
    try:
        text = response.text
    except RuntimeError:  # a stream that was not read
        return response
    told = f"{text}{dict(response.headers)}"
    if _hidden(told, secrets) == told:
        return response
    headers = {name: _hidden(said, secrets) for name, said in response.headers.items() if name != "content-encoding"}
    content = _hidden(text, secrets).encode()
    headers.pop("content-length", None)
    return type(response)(response.status_code, headers=headers, content=content, request=response.request)


def _said(error: openai.APIError) -> tuple[str, str, str]:
    """Returns message, code and request id, from whichever of the service's forms they came in."""
    response = getattr(error, "response", None)
    body = error.body if isinstance(error.body, dict) else _framed(str(error.body or ""))
    whole = body if isinstance(error, ReportedError) else _whole(response) or body
    error_part = body.get("error")
    inner = error_part if isinstance(error_part, dict) else body
    message = inner.get("message") or _preview(str(error.body or "")) or error.message
    request_id = whole.get("request_id") or body.get("request_id") or getattr(error, "request_id", None) or ""
    return str(message), str(inner.get("code") or inner.get("type") or ""), str(request_id)


def _whole(response: Any) -> dict[str, Any]:
    """The response's JSON: OpenAI's SDK keeps only what is under "error", and the request id stands beside that."""
    try:
        body = response.json() if response is not None else None
    except (ValueError, RuntimeError):  # a bomb of brackets is the latter
        return {}
    return body if isinstance(body, dict) else {}


def _framed(text: str) -> dict[str, Any]:
    """Reads an error that is framed as an event though its content type says JSON, as gateways have sent it."""
    for line in text.splitlines():
        name, _, data = line.partition(":")
        if name == "data" and data.lstrip().startswith("{"):
            try:
                body = json.loads(data)
            except (json.JSONDecodeError, RecursionError):
                return {}
            return body if isinstance(body, dict) else {}
    return {}


def _kind(error: openai.APIError, message: str, code: str) -> type[openai.APIError]:
    """Tells the kind by what is said, then by the code, then by the status; a stream's errors have no status."""
    if said := next((kind for words, kind in _WORDS if words.search(message)), None):
        return said
    status, plain = getattr(error, "status_code", None), code.lower().replace("_", "")
    first = "" if "invalidparameter" in plain else plain.partition(".")[0]  # InternalError.Algo.InvalidParameter
    if coded := _CODES.get(plain) or _CODES.get(first):
        return coded
    if "invalidparameter" in plain:
        return QwenInvalidRequestError
    if status is None:
        return QwenInvalidRequestError if "invalid" in plain else QwenResponseError
    return _STATUSES.get(status, QwenServerError if status >= _SERVER_FAILS else QwenInvalidRequestError)


def _text(message: str, code: str, request_id: str, advice: str) -> str:
    marks = ", ".join(f"{name} {value}" for name, value in (("code", code), ("request id", request_id)) if value)
    told = message.strip().rstrip(".") + (f" ({marks})." if marks else ".")
    return f"{told} {advice}".strip()


def _advice(kind: type[Exception], url: str, code: str, *, own: bool) -> str:
    if own and kind is QwenModelNotFoundError and "model" not in code.lower():
        return f"Asked {url}: is base_url right? Most end in /v1. Is model=... the name the server gave it?"
    words = _OWN_ADVICE.get(kind, _ADVICE.get(kind, "")) if own else _ADVICE.get(kind, "")
    return words.format(url=url, others=_others(url))


_ADVICE: dict[type[Exception], str] = {
    QwenAuthenticationError: (
        "Tried {url} with the key of api_key or DASHSCOPE_API_KEY. A key is valid in its own region only; "
        "if yours is of another, give region=... or base_url=... (DASHSCOPE_API_BASE): {others}."
    ),
    QwenArrearsError: "Settle the account's balance in the console; it is not the request's fault.",
    QwenModelNotFoundError: "Looked for it at {url}; check model=..., and whether that region serves it.",
    QwenRateLimitError: "Limits count per account and model and recover within a minute; wait, or raise max_retries.",
    QwenContextOverflowError: "Send less: fewer turns or shorter tool results.",
    QwenContentInspectionError: "Inspection cannot be switched off; the text itself must change.",
}


_OWN_ADVICE: dict[type[Exception], str] = {
    QwenAuthenticationError: (
        "Tried {url}, a server of your own: give the key it was started with as api_key=... "
        "(DASHSCOPE_API_KEY is not sent to it)."
    ),
    QwenModelNotFoundError: "Looked for it at {url}; give model=... by the name the server gave it.",
    QwenRateLimitError: "Wait, or raise max_retries.",
    QwenArrearsError: "",
    QwenContentInspectionError: "",
}
"""What is said instead of a server of one's own, which has no regions, no console and no inspection."""


def _others(url: str) -> str:
    return ", ".join(f"{region} {other}" for region, other in other_regions(url).items())


def _hidden(text: str, secrets: Sequence[str]) -> str:
    for secret in secrets:
        for form in (secret, repr(secret)[1:-1]):  # as it is, and as a quoting error writes it
            text = text.replace(form, "***") if form else text
    return text


def _preview(text: str) -> str:
    return re.sub(r"\s+", " ", text).strip()[:200]
