"""The chat endpoint: reads a request, refuses or answers it, and writes the answer as the compatible protocol does."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from langchain_qwen_memory.catalogue import model_info
from langchain_qwen_memory.testing import rules, shapes
from langchain_qwen_memory.testing.faults import Fault
from langchain_qwen_memory.testing.models import on_service
from langchain_qwen_memory.testing.refusals import invalid, model_unknown, too_long
from langchain_qwen_memory.testing.request import ChatRequest, parse_json, said, thinks
from langchain_qwen_memory.testing.spoiling import refuse, spoil, spoil_whole
from langchain_qwen_memory.testing.stream import Chunks, Kind, events
from langchain_qwen_memory.testing.wire import Response, Wait

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from langchain_qwen_memory.testing.meter import Meter
    from langchain_qwen_memory.testing.replies import Reply
    from langchain_qwen_memory.testing.scripts import Exchange
    from langchain_qwen_memory.testing.server import LocalDashScope

SSE = {"content-type": "text/event-stream;charset=UTF-8", "vary": "Origin"}
"""Headers of a streamed answer."""


def complete(server: LocalDashScope, exchange: Exchange) -> Response:
    """Answers one POST to `chat/completions`."""
    body = exchange.body = parse_json(exchange.call.raw)
    fault = server.next_fault(body) or Fault()
    if fault.refuses:
        return refuse(fault)
    request = read(body, strict=exchange.strict)
    if exchange.strict:
        rules.check(request, content_lists=server.content_lists)
    exchange.prompt_tokens = server.meter.prompt(request)
    most = request.info.max_input_thinking if request.thinking else request.info.max_input
    if exchange.strict and exchange.prompt_tokens > most:
        raise too_long(most)
    exchange.reply = reply = server.next_reply(request)
    answer = write(server.meter, exchange, request, reply)
    exchange.usage = answer.usage
    delay = server.first_byte + reply.delay + fault.first_byte
    if request.stream:
        chunks = spoil(fault, _chunks(server, answer, reply, request), exchange.call.request_id)
        return Response(headers=SSE, body=_paced(chunks, server.speed), first_byte=delay)
    if reply.chunks is not None and reply.body is None:
        raise ValueError("The scripted Reply has chunks only, but this request does not stream; give it a body too")
    whole = dict(reply.body) if reply.body is not None else shapes.whole(answer)
    headers = {"content-type": "application/json"}
    return Response(headers=headers, body=spoil_whole(fault, whole), first_byte=delay)


def read(body: Mapping[str, Any], *, strict: bool) -> ChatRequest:
    """Reads a body and applies the rules of the service.

    Args:
        body: The parsed body.
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


def write(meter: Meter, exchange: Exchange, request: ChatRequest, reply: Reply) -> shapes.Answer:
    """Turns a reply into an answer: the request's limits applied, ids given, tokens counted."""
    reasoning = reply.reasoning if request.thinking or reply.force_reasoning else None
    family = shapes.family_of(request.info.family, thinking=reasoning is not None)
    calls = [_call(call, family) for call in reply.tool_calls]
    reasoning, content, cut = limit(meter, request, reasoning, reply.content)
    counted = meter.usage(
        request,
        key=exchange.key,
        prompt=exchange.prompt_tokens,
        content=content,
        reasoning=reasoning,
        calls=calls,
    )
    return shapes.Answer(
        model=request.model,
        family=family,
        id=f"chatcmpl-{exchange.call.request_id}",
        content=content,
        reasoning=reasoning,
        calls=calls,
        finish_reason=reply.finish_reason or ("length" if cut else "tool_calls" if calls else "stop"),
        usage=counted if reply.usage is None else reply.usage,
        copies=int(request.body.get("n") or 1),
    )


def limit(meter: Meter, request: ChatRequest, reasoning: str | None, content: str) -> tuple[str | None, str, bool]:
    """Applies `thinking_budget`, `stop` and the two token limits; True as third if a limit cut the answer."""
    body, clip = request.body, meter.clip
    if reasoning is not None and (budget := body.get("thinking_budget")):
        reasoning = clip(reasoning, budget, request.model)
    stops = body.get("stop") or []
    for stop in [stops] if isinstance(stops, str) else stops:
        content = content.split(str(stop), 1)[0]
    most, room = body.get("max_tokens"), body.get("max_completion_tokens")
    if room is not None:
        reasoning = None if reasoning is None else clip(reasoning, room, request.model)
        left = room - meter.text(reasoning or "", request.model)
        most = left if most is None else min(most, left)
    if most is None:
        return reasoning, content, False
    shorter = clip(content, most, request.model)
    return reasoning, shorter, shorter != content


def _call(call: Mapping[str, Any], family: shapes.Family) -> shapes.ToolCall:
    args = call.get("args", call.get("arguments", {}))
    text = args if isinstance(args, str) else json.dumps(args, ensure_ascii=False)
    return shapes.ToolCall(name=call["name"], arguments=text, id=call.get("id") or shapes.call_id(family))


def _chunks(server: LocalDashScope, answer: shapes.Answer, reply: Reply, request: ChatRequest) -> Chunks:
    if reply.chunks is None:
        yield from events(answer, size=server.chunk_size, include_usage=request.include_usage)
        return
    for chunk in reply.chunks:
        yield "answer", shapes.event(chunk)
    yield "done", shapes.DONE


def _paced(chunks: Iterator[tuple[Kind, bytes | Wait]], speed: float) -> Iterator[bytes | Wait]:
    for kind, data in chunks:
        yield data
        if speed and kind in ("thinking", "answer", "tool"):
            yield Wait(speed)
