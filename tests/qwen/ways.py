"""The four ways to call a model, so that a test can say that they come to the same."""

import asyncio
from functools import reduce
from operator import add

import pytest

BOTH = ("compatible", "native")
"""The two protocols by which the service is called."""

over_both = pytest.mark.parametrize("protocol", BOTH)
"""Runs a test once over each protocol; `qwen` then makes the model that speaks it."""

WAYS = ("invoke", "ainvoke", "stream", "astream")

all_ways = pytest.mark.parametrize("way", WAYS)
"""Runs a test once for each way."""


def chunks_by(way, model, question, /, **options):
    """Returns the pieces of an answer; of a whole answer, the one."""
    if way == "invoke":
        return [model.invoke(question, **options)]
    if way == "ainvoke":
        return [asyncio.run(model.ainvoke(question, **options))]
    if way == "stream":
        return list(model.stream(question, **options))

    async def gathered():
        return [chunk async for chunk in model.astream(question, **options)]

    return asyncio.run(gathered())


def answer_by(way, model, question="go", /, **options):
    """Returns the whole answer; pieces of a stream are summed up as LangChain's users do."""
    return reduce(add, chunks_by(way, model, question, **options))


def events_by(way, model, question="go", /, **options):
    """Returns the message that LangChain's event stream, version 3, comes to; `way` is stream or astream."""
    if way == "stream":
        return model.stream_events(question, version="v3", **options).output

    async def gathered():
        stream = await model.astream_events(question, version="v3", **options)
        return await stream.output

    return asyncio.run(gathered())


def flat(body):
    """A chat request's body in the compatible protocol's form, so that a test reads both alike; others as they are."""
    if "messages" not in body.get("input", ()):
        return body
    parameters = {k: v for k, v in body["parameters"].items() if k not in {"result_format", "incremental_output"}}
    stream = {"stream": True} if body["parameters"].get("incremental_output") else {}
    messages = [one | {"content": _flat_content(one["content"])} for one in body["input"]["messages"]]
    return {"model": body["model"], "messages": messages, **parameters, **stream}


def _flat_content(content):
    """Lists of text alone are how multimodal generation writes text."""
    if isinstance(content, list) and all(part.keys() == {"text"} for part in content):
        return "".join(part["text"] for part in content)
    return content


def spoken(protocol, chunks):
    """Events of a stream as a protocol has them; they are written in the compatible one's form."""
    if protocol == "compatible":
        return chunks
    return [{"output": {"choices": [_spoken(one) for one in chunk["choices"]]}, "request_id": "r"} for chunk in chunks]


def _spoken(choice):
    return {"message": choice["delta"], "finish_reason": choice["finish_reason"] or "null"}
