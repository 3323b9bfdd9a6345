"""The rerank endpoint of DashScope's own protocol: its rules and shapes around the stand-in's sense of likeness."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from langchain_qwen_memory.counting.vocabulary import count
from langchain_qwen_memory.qwen.pieces import cut
from langchain_qwen_memory.qwen.vector_limits import RERANK_MODELS
from langchain_qwen_memory.testing.embeddings import respond
from langchain_qwen_memory.testing.faults import Fault
from langchain_qwen_memory.testing.likeness import relevance
from langchain_qwen_memory.testing.native import NativeRefusal
from langchain_qwen_memory.testing.refusals import ALGORITHM, model_unknown
from langchain_qwen_memory.testing.request import parse_json
from langchain_qwen_memory.testing.spoiling import refuse

if TYPE_CHECKING:
    from langchain_qwen_memory.testing.desk import Desk
    from langchain_qwen_memory.testing.scripts import Exchange
    from langchain_qwen_memory.testing.wire import Response

LEAST = 30_000
"""Tokens that the service takes of any model's request, where a client had better assume less."""


def native(desk: Desk, exchange: Exchange) -> Response:
    """Answers a POST of `text-rerank`: best first, as many as `top_n`; `instruct` is taken and changes nothing."""
    body = exchange.body = parse_json(exchange.call.raw)
    fault = desk.next_fault(body) or Fault()
    if fault.refuses:
        return refuse(fault)
    query, documents, tokens = _read(body)
    parameters = body.get("parameters") or {}
    scores = [relevance(query, document) for document in documents]
    best = sorted(range(len(documents)), key=lambda at: -scores[at])[: parameters.get("top_n")]
    shown = bool(parameters.get("return_documents"))
    results = [
        {**({"document": {"text": documents[at]}} if shown else {}), "index": at, "relevance_score": scores[at]}
        for at in best
    ]
    usage = exchange.usage = {"total_tokens": tokens}
    answer = {"output": {"results": results}, "usage": usage, "request_id": exchange.call.request_id}
    return respond(desk, fault, answer)


def _read(body: dict[str, Any]) -> tuple[str, list[str], int]:
    """The question, the documents and the request's tokens; what is over the limit of one text is cut, unsaid.

    Raises:
        Refusal: As the service words it for an unknown model. Its words for the other cases are not known; these are
            made after those of its embedding endpoint.
    """
    limits = RERANK_MODELS.get(str(body.get("model")))
    if limits is None:
        raise model_unknown(str(body.get("model")))
    given = body.get("input") or {}
    query, documents = given.get("query"), given.get("documents")
    if not isinstance(query, str) or not query:
        raise _refused("Value error, query is not str: input.query")
    if not isinstance(documents, list) or not documents or not all(isinstance(one, str) and one for one in documents):
        raise _refused("Value error, documents is not list of str: input.documents")
    if len(documents) > limits.documents:
        raise _refused(f"Value error, the number of documents should not be larger than {limits.documents}")
    query, *documents = (cut(text, limits.tokens, "qwen-151k") for text in (query, *documents))
    tokens = count(query, "qwen-151k") * len(documents) + sum(count(one, "qwen-151k") for one in documents)
    if tokens > max(limits.request, LEAST):
        raise _refused(f"Range of input length should be [1, {max(limits.request, LEAST)}]")
    return query, documents, tokens


def _refused(message: str) -> NativeRefusal:
    return NativeRefusal(400, "InvalidParameter", ALGORITHM + message)
