"""The list of models, from the catalogue; each entry says that a stand-in answers for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from langchain_qwen_memory.catalogue import ModelInfo, model_info, model_names
from langchain_qwen_memory.testing.shapes import encode
from langchain_qwen_memory.testing.wire import Response

if TYPE_CHECKING:
    from langchain_qwen_memory.testing.desk import Desk
    from langchain_qwen_memory.testing.scripts import Exchange

OWNER = "local-stand-in"
"""Stands where the service says "system"."""


def on_service(info: ModelInfo) -> bool:
    """Whether the service has a model under this name.

    The catalogue also holds the names that open weights have on one's own server (`Qwen/Qwen3-32B`, `qwen3:8b`); the
    service's own ids are in lower case, without slash and colon.
    """
    return info.known and info.name == info.name.lower() and not {"/", ":"} & set(info.name)


def listed(_: Desk, exchange: Exchange) -> Response:
    """Answers a GET of `models`."""
    created = int(exchange.call.at)
    names = [name for name in model_names() if not exchange.strict or on_service(model_info(name))]
    data = [{"id": name, "object": "model", "created": created, "owned_by": OWNER} for name in names]
    return Response(headers={"content-type": "application/json"}, body=encode({"object": "list", "data": data}))
