"""The four ways to call a model, so that a test can say that they come to the same."""

import asyncio
from functools import reduce
from operator import add

import pytest

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
