"""The embedding endpoints of both protocols: the service's rules and shapes around the stand-in's vectors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from langchain_qwen_memory.counting.vocabulary import count
from langchain_qwen_memory.qwen.vector_limits import EMBEDDING_MODELS, EmbeddingLimits
from langchain_qwen_memory.testing.faults import Fault
from langchain_qwen_memory.testing.likeness import vector, weights, word_number
from langchain_qwen_memory.testing.native import NativeRefusal
from langchain_qwen_memory.testing.refusals import ALGORITHM, Refusal, model_unknown
from langchain_qwen_memory.testing.request import parse_json
from langchain_qwen_memory.testing.spoiling import refuse, spoil_whole
from langchain_qwen_memory.testing.wire import Response

if TYPE_CHECKING:
    from langchain_qwen_memory.testing.desk import Desk
    from langchain_qwen_memory.testing.scripts import Exchange

OUTPUTS = ("dense", "sparse", "dense&sparse")
"""What can be asked for as `output_type`."""


OWN = EmbeddingLimits(batch=2_048, tokens=1_000_000)
"""What a server of one's own takes."""


class EmbeddingRefusal(Refusal):
    """A refusal of the model's front in the compatible protocol, whose shape is its own: code and type are one."""

    def body(self, request_id: str) -> dict[str, Any]:
        """The error body."""
        error = {"message": self.message, "type": self.code, "param": None, "code": self.code}
        return {"error": error, "id": request_id, "request_id": request_id}


@dataclass(frozen=True, kw_only=True, slots=True)
class _Asked:
    """An embedding request."""

    limits: EmbeddingLimits
    texts: list[str]
    length: int
    tokens: int


def compatible(desk: Desk, exchange: Exchange) -> Response:
    """Answers a POST of `embeddings`; vectors come as lists of numbers, whatever `encoding_format` says."""
    body = exchange.body = parse_json(exchange.call.raw)
    fault = desk.next_fault(body) or Fault()
    if fault.refuses:
        return refuse(fault)
    asked = _read(body, body.get("input"), body.get("dimensions"), EmbeddingRefusal, strict=exchange.strict)
    data = [
        {"embedding": vector(text, asked.length), "index": at, "object": "embedding"}
        for at, text in enumerate(asked.texts)
    ]
    usage = exchange.usage = {"prompt_tokens": asked.tokens, "total_tokens": asked.tokens}
    number = exchange.call.request_id
    answer = {"data": data, "object": "list", "model": body["model"], "usage": usage, "id": number}
    return respond(desk, fault, answer)


def native(desk: Desk, exchange: Exchange) -> Response:
    """Answers a POST of DashScope's own protocol; `text_type` and `instruct` are taken and change no vector."""
    body = exchange.body = parse_json(exchange.call.raw)
    fault = desk.next_fault(body) or Fault()
    if fault.refuses:
        return refuse(fault)
    parameters = body.get("parameters") or {}
    given = body.get("input") or {}
    asked = _read(body, given.get("texts"), parameters.get("dimension"), NativeRefusal)
    kind = parameters.get("output_type", "dense") if asked.limits.dimensions else "dense"
    if kind not in OUTPUTS:
        raise NativeRefusal(400, "InvalidParameter", f"{ALGORITHM}Value error, output_type should be in {OUTPUTS}")
    embeddings = [_item(text, at, asked.length, kind) for at, text in enumerate(asked.texts)]
    usage = exchange.usage = {"total_tokens": asked.tokens}
    answer = {"output": {"embeddings": embeddings}, "usage": usage, "request_id": exchange.call.request_id}
    return respond(desk, fault, answer)


def respond(desk: Desk, fault: Fault, answer: dict[str, Any]) -> Response:
    """The answer, spoiled as a fault wants it."""
    headers = {"content-type": "application/json"}
    return Response(headers=headers, body=spoil_whole(fault, answer), first_byte=desk.first_byte + fault.first_byte)


def _read(body: dict[str, Any], given: Any, dimension: Any, refusal: type[Refusal], *, strict: bool = True) -> _Asked:
    """Reads texts and applies the rules; a server of one's own knows any model, and ignores the length asked for.

    Raises:
        Refusal: As the service words it. No such words are known for an empty text, which gets those of a text that
            is too long, and for an empty list, which gets those of no list.
    """
    limits = EMBEDDING_MODELS.get(str(body.get("model"))) if strict else OWN
    if limits is None:
        raise model_unknown(str(body.get("model")))
    texts = [given] if isinstance(given, str) else given

    def refused(message: str) -> Refusal:
        return refusal(400, "InvalidParameter", ALGORITHM + message)

    if not isinstance(texts, list) or not texts or not all(isinstance(text, str) for text in texts):
        raise refused("Value error, contents is neither str nor list of str.: input.contents")
    if len(texts) > limits.batch:
        raise refused(
            f"Value error, batch size is invalid, it should not be larger than {limits.batch}.: input.contents"
        )
    if dimension is not None and limits.dimensions and dimension not in limits.dimensions:
        raise refused(
            f"Value error, dimension for embedding v3 is invalid, its value shold be in {list(limits.dimensions)}"
        )
    tokens = [count(text, limits.vocabulary) for text in texts]
    if not all(1 <= one <= limits.tokens for one in tokens):
        raise refused(f"Range of input length should be [1, {limits.tokens}]")
    length = dimension if dimension is not None and limits.dimensions else limits.length
    return _Asked(limits=limits, texts=texts, length=length, tokens=sum(tokens))


def _item(text: str, at: int, length: int, kind: str) -> dict[str, Any]:
    item: dict[str, Any] = {}
    if "sparse" in kind:
        item["sparse_embedding"] = [
            {"index": word_number(word), "value": round(weight, 4), "token": word}
            for word, weight in weights(text).items()
        ]
    if "dense" in kind:
        item["embedding"] = vector(text, length)
    return {**item, "text_index": at}
