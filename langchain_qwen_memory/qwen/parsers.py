"""Reads answers that must be JSON, and takes nothing for whole that was cut off."""

import json
from collections.abc import AsyncIterator, Iterator
from typing import Any

from langchain_core.exceptions import OutputParserException
from langchain_core.messages import BaseMessage
from langchain_core.output_parsers import JsonOutputParser, PydanticOutputParser
from langchain_core.output_parsers.openai_tools import JsonOutputKeyToolsParser, PydanticToolsParser
from langchain_core.outputs import Generation
from langchain_core.runnables import Runnable
from langchain_core.utils.function_calling import convert_to_openai_tool
from langchain_core.utils.json import parse_json_markdown
from langchain_core.utils.pydantic import is_basemodel_subclass
from pydantic import BaseModel

__all__ = ["is_modern", "json_parser", "tool_parser"]


def is_modern(schema: Any) -> bool:
    """Whether a schema is no class of Pydantic's version 1, which only the tool parser reads."""
    return not (isinstance(schema, type) and is_basemodel_subclass(schema)) or issubclass(schema, BaseModel)


def json_parser(schema: Any) -> PydanticOutputParser[Any] | JsonOutputParser:
    """Returns what reads a text of JSON: into an object for a Pydantic class, else into a dict."""
    if isinstance(schema, type) and issubclass(schema, BaseModel):
        return _WholeObject(pydantic_object=schema)
    return _WholeJson()


def tool_parser(schema: Any) -> Runnable[Any, Any]:
    """Returns what reads the arguments of the call that stands for an answer of this schema."""
    if isinstance(schema, type) and is_basemodel_subclass(schema):
        return PydanticToolsParser(tools=[schema], first_tool_only=True)
    name = convert_to_openai_tool(schema)["function"]["name"]
    return JsonOutputKeyToolsParser(key_name=name, first_tool_only=True)


class _WholeJson(JsonOutputParser):
    """Reads JSON that is whole: LangChain's own parser closes what was cut off, which is a guess.

    A stream shows what has come so far, as LangChain's does, and raises at its end if that was not all.
    """

    def parse_result(self, result: list[Generation], *, partial: bool = False) -> Any:
        if not partial:
            _check_whole(result[0])
        return super().parse_result(result, partial=partial)

    def _transform(self, input: Iterator[str | BaseMessage]) -> Iterator[Any]:  # noqa: A002 - the parent's name
        pieces: list[str] = []
        yield from super()._transform(_heard(one, pieces) for one in input)
        _check_whole(Generation(text="".join(pieces)))

    async def _atransform(self, input: AsyncIterator[str | BaseMessage]) -> AsyncIterator[Any]:  # noqa: A002
        pieces: list[str] = []
        async for parsed in super()._atransform(_heard(one, pieces) async for one in input):
            yield parsed
        _check_whole(Generation(text="".join(pieces)))


class _WholeObject(_WholeJson, PydanticOutputParser[Any]):
    """The same, into an object."""


def _heard(piece: str | BaseMessage, pieces: list[str]) -> str | BaseMessage:
    pieces.append(piece if isinstance(piece, str) else str(piece.text))
    return piece


def _check_whole(answer: Generation) -> None:
    try:
        parse_json_markdown(answer.text, parser=json.loads)
    except ValueError as error:
        raise OutputParserException(
            f"The answer is not whole JSON: {error}. If it was cut off, raise max_tokens.", llm_output=answer.text
        ) from error
