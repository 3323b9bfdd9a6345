"""Which path answers what; a further endpoint is one more line here and a file of its own."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from langchain_qwen_memory.testing import chat, embeddings, models, rerank
from langchain_qwen_memory.testing.compatible import Compatible
from langchain_qwen_memory.testing.native_chat import Native
from langchain_qwen_memory.testing.refusals import Refusal, invalid

if TYPE_CHECKING:
    from collections.abc import Callable

    from langchain_qwen_memory.testing.desk import Desk
    from langchain_qwen_memory.testing.scripts import Exchange
    from langchain_qwen_memory.testing.wire import Call, Response


@dataclass(frozen=True, slots=True)
class Route:
    """One endpoint."""

    endpoint: Callable[[Desk, Exchange], Response]
    """Answers a request."""
    strict: bool
    """Whether DashScope's rules hold there: a key is needed, the model must be known."""
    native: bool = False
    """Whether it speaks DashScope's own protocol, and so words its refusals."""


_compatible = partial(chat.complete, dialect=Compatible())
_text = partial(chat.complete, dialect=Native(multimodal=False))
_multimodal = partial(chat.complete, dialect=Native(multimodal=True))

ROUTES: dict[tuple[str, str], Route] = {
    ("POST", "/compatible-mode/v1/chat/completions"): Route(_compatible, strict=True),
    ("GET", "/compatible-mode/v1/models"): Route(models.listed, strict=True),
    ("POST", "/compatible-mode/v1/embeddings"): Route(embeddings.compatible, strict=True),
    ("POST", "/api/v1/services/aigc/text-generation/generation"): Route(_text, strict=True, native=True),
    ("POST", "/api/v1/services/aigc/multimodal-generation/generation"): Route(_multimodal, strict=True, native=True),
    ("POST", "/api/v1/services/embeddings/text-embedding/text-embedding"): Route(
        embeddings.native, strict=True, native=True
    ),
    ("POST", "/api/v1/services/rerank/text-rerank/text-rerank"): Route(rerank.native, strict=True, native=True),
    ("POST", "/v1/embeddings"): Route(embeddings.compatible, strict=False),
    ("POST", "/v1/chat/completions"): Route(_compatible, strict=False),
    ("GET", "/v1/models"): Route(models.listed, strict=False),
}
"""Method and path -> endpoint."""


def find(call: Call) -> Route:
    """The endpoint of a request.

    Raises:
        Refusal: There is none, or not for this method.
    """
    path = call.path.rstrip("/")
    route = ROUTES.get((call.method, path))
    if route is not None:
        return route
    if any(known == path for _, known in ROUTES):
        raise invalid(f"Request method '{call.method}' is not supported.")
    paths = ", ".join(sorted({known for _, known in ROUTES}))
    raise Refusal(404, "not_found", f"No endpoint at {call.path}; the local DashScope has {paths}")
