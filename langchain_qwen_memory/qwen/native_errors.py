"""Turns what the `dashscope` SDK and its HTTP library raise into the errors that every Qwen model here raises."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import openai
from dashscope.v2.errors import APIConnectionError, APITimeoutError, DashScopeError

__all__ = ["as_one_kind", "bare_response", "was_never_sent"]

_NEVER_SENT = (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout)
_JSON = "application/json"


@contextmanager
def as_one_kind(url: str) -> Iterator[None]:
    """Raises the SDK's errors as OpenAI's, from which `service_errors` makes this package's."""
    try:
        yield
    except (DashScopeError, httpx.HTTPError, httpx.StreamError) as error:
        raise _openais(error, url) from error.__cause__


def was_never_sent(error: BaseException) -> bool:
    """Whether there was no connection to send a request over, so that nothing can have been billed."""
    return isinstance(error, _NEVER_SENT) or isinstance(error.__cause__, _NEVER_SENT)


def bare_response(url: str, status: int, body: Any, headers: dict[str, str] | None = None) -> httpx.Response:
    """A response for an error to hold: the service's words without the request's headers, where the key stands."""
    text = body if isinstance(body, str) else json.dumps(body, ensure_ascii=False)
    kept = {key: value for key, value in (headers or {}).items() if key.lower().startswith(("x-", "retry-"))}
    content_type = {} if isinstance(body, str) else {"content-type": _JSON}
    return httpx.Response(status, headers=kept | content_type, text=text, request=httpx.Request("POST", url))


def _openais(error: Exception, url: str) -> openai.APIError:
    request: Any = httpx.Request("POST", url)
    if isinstance(error, APITimeoutError | httpx.TimeoutException) and not was_never_sent(error):
        return openai.APITimeoutError(request=request)
    if isinstance(error, APIConnectionError | httpx.HTTPError | httpx.StreamError):
        return openai.APIConnectionError(message=str(error.__cause__ or error) or type(error).__name__, request=request)
    if not isinstance(error, DashScopeError):
        raise TypeError(type(error))
    body = error.body if isinstance(error.body, dict) else error.message or f"status {error.status_code}, no word"
    response: Any = bare_response(url, error.status_code or httpx.codes.BAD_GATEWAY, body, dict(error.headers))
    return openai.APIStatusError(error.message, response=response, body=body)
