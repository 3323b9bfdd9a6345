"""The chat endpoint of both protocols: reads a request, refuses or answers it, and lets the protocol write."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from langchain_qwen_memory.catalogue import model_info
from langchain_qwen_memory.testing import rules, speaking
from langchain_qwen_memory.testing.answers import Answer, ToolCall, call_id
from langchain_qwen_memory.testing.faults import Fault
from langchain_qwen_memory.testing.models import on_service
from langchain_qwen_memory.testing.refusals import Refusal, invalid, model_unknown, too_long
from langchain_qwen_memory.testing.request import ChatRequest, parse_json, said, thinks
from langchain_qwen_memory.testing.shapes import family_of
from langchain_qwen_memory.testing.spelling import Spelling, stops
from langchain_qwen_memory.testing.spoiling import refuse, spoil, spoil_whole
from langchain_qwen_memory.testing.wire import Response, Wait

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from langchain_qwen_memory.testing.desk import Desk
    from langchain_qwen_memory.testing.dialect import Chunks, Dialect, Kind
    from langchain_qwen_memory.testing.meter import Meter
    from langchain_qwen_memory.testing.replies import Reply
    from langchain_qwen_memory.testing.scripts import Exchange

SSE = {"content-type": "text/event-stream;charset=UTF-8", "vary": "Origin"}
"""Headers of a streamed answer."""


def complete(desk: Desk, exchange: Exchange, *, dialect: Dialect) -> Response:
    """Answers one POST for an answer, in the words of a protocol."""
    body = exchange.body = parse_json(exchange.call.raw)
    flat = dialect.flat(exchange.call, body)
    fault = desk.next_fault(flat) or Fault()
    try:
        return refuse(fault) if fault.refuses else _answered(desk, exchange, dialect, flat, fault)
    except Refusal as refusal:
        return dialect.refused(refusal, exchange.call.request_id, fault.framing or desk.native_refusals)


def _answered(desk: Desk, exchange: Exchange, dialect: Dialect, body: dict[str, Any], fault: Fault) -> Response:
    dialect.check_body(exchange.call, body)
    request = read(body, strict=exchange.strict)
    if exchange.strict:
        dialect.check(request)
        rules.check(request, content_lists=desk.content_lists)
    exchange.prompt_tokens = desk.meter.prompt(request)
    most = request.info.max_input_thinking if request.thinking else request.info.max_input
    if exchange.strict and exchange.prompt_tokens > most:
        raise too_long(most)
    exchange.reply = reply = desk.next_reply(request)
    answer = write(desk.meter, exchange, request, reply)
    exchange.usage = dialect.usage(answer, request)
    delay = desk.first_byte + reply.delay + fault.first_byte
    if request.stream:
        chunks = _chunks(dialect, answer, request, reply, desk.chunk_size)
        good = _without_choices(chunks, dialect) if fault.empty_choices else chunks
        spoiled = spoil(fault, good, dialect, exchange.call.request_id)
        return Response(headers=SSE, body=_paced(spoiled, desk.speed), first_byte=delay)
    if reply.chunks is not None and reply.body is None:
        raise ValueError("The scripted Reply has chunks only, but this request does not stream; give it a body too")
    whole = dict(reply.body) if reply.body is not None else dialect.whole(answer, request, reply)
    sent = spoil_whole(fault, dialect.emptied(whole) if fault.empty_choices else whole)
    return Response(headers={"content-type": "application/json"}, body=sent, first_byte=delay)


def read(body: Mapping[str, Any], *, strict: bool) -> ChatRequest:
    """Reads a body and applies the rules of the service.

    Args:
        body: The parsed body, in the compatible protocol's form.
        strict: Whether DashScope's rules hold; a self-hosted server knows none of them.
    """
    model = body.get("model")
    if not isinstance(model, str) or not model:
        raise invalid('Required parameter "model" missing from request.')
    info = model_info(model)
    if strict and not on_service(info):
        raise model_unknown(model)
    rules.check_messages(body)
    template = body.get("chat_template_kwargs") or {}
    return ChatRequest(
        body=body,
        model=model,
        info=info,
        said=tuple(said(message) for message in body["messages"]),
        stream=bool(body.get("stream")),
        thinking=thinks(body, info.thinking) if strict else bool(template.get("enable_thinking")),
        tools=tuple(tool.get("function") or {} for tool in body.get("tools") or ()),
    )


def write(meter: Meter, exchange: Exchange, request: ChatRequest, reply: Reply) -> Answer:
    """Turns a reply into an answer: the request's limits applied, ids given, tokens counted."""
    reasoning = reply.reasoning if request.thinking or reply.force_reasoning else None
    newer = family_of(request.info.family, thinking=reasoning is not None) == "newer"
    calls = [_call(call, 24 if newer else 22) for call in reply.tool_calls]
    reasoning, content, cut = limit(meter, request, reasoning, reply.content)
    tally = meter.tally(
        request,
        key=exchange.key,
        prompt=exchange.prompt_tokens,
        content=content,
        reasoning=reasoning,
        calls=calls,
    )
    return Answer(
        model=request.model,
        request_id=exchange.call.request_id,
        content=content,
        reasoning=reasoning,
        calls=calls,
        finish_reason=reply.finish_reason or ("length" if cut else "tool_calls" if calls else "stop"),
        tally=tally,
        spelling=Spelling(request.info.vocabulary),
        usage=reply.usage,
        logprobs=bool(request.body.get("logprobs")),
        top_logprobs=bool(request.body.get("top_logprobs")),
        spoken=speaking.wanted(request),
    )


def limit(meter: Meter, request: ChatRequest, reasoning: str | None, content: str) -> tuple[str | None, str, bool]:
    """Applies `thinking_budget`, `stop` and the two token limits; True as third if a limit cut the answer."""
    body, clip = request.body, meter.clip
    if reasoning is not None and (budget := body.get("thinking_budget")):
        reasoning = clip(reasoning, budget, request.model)
    for stop in filter(None, stops(body.get("stop"), request.info.vocabulary)):
        content = content.split(stop, 1)[0]
    most, room = body.get("max_tokens"), body.get("max_completion_tokens")
    if room is not None:
        reasoning = None if reasoning is None else clip(reasoning, room, request.model)
        left = room - meter.text(reasoning or "", request.model)
        most = left if most is None else min(most, left)
    if most is None:
        return reasoning, content, False
    shorter = clip(content, most, request.model)
    return reasoning, shorter, shorter != content


def _call(call: Mapping[str, Any], digits: int) -> ToolCall:
    args = call.get("args", call.get("arguments", {}))
    text = args if isinstance(args, str) else json.dumps(args, ensure_ascii=False)
    return ToolCall(name=call["name"], arguments=text, id=call.get("id") or call_id(digits))


def _chunks(dialect: Dialect, answer: Answer, request: ChatRequest, reply: Reply, size: int) -> Chunks:
    if reply.chunks is None:
        yield from dialect.events(answer, request, reply, size=size)
        return
    for number, chunk in enumerate(reply.chunks, 1):
        yield "answer", dialect.event(chunk, number)
    if dialect.done:
        yield "done", dialect.done


def _without_choices(chunks: Chunks, dialect: Dialect) -> Chunks:
    for number, (kind, data) in enumerate(chunks, 1):
        body = dialect.body_of(data)
        yield kind, data if body is None else dialect.event(dialect.emptied(body), number)


def _paced(chunks: Iterator[tuple[Kind, bytes | Wait]], speed: float) -> Iterator[bytes | Wait]:
    for kind, data in chunks:
        yield data
        if speed and kind in ("thinking", "answer", "tool"):
            yield Wait(speed)
