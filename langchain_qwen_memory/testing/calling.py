"""Decides whether the stand-in calls a tool, which one, and with what arguments."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from langchain_qwen_memory.testing.finding import question
from langchain_qwen_memory.testing.request import ChatRequest
from langchain_qwen_memory.testing.schema import Evidence, value
from langchain_qwen_memory.testing.words import terms

_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|[_\-.]+")
_AND = re.compile(r"\s+and\s+|、|和|与|以及")
_LIST = re.compile(r"\s*(?:,\s*and\s+|,\s*|\s+and\s+|、|和|与|以及)\s*")
_NUMBERS = 2
"""A tool that takes at least so many numbers, and nothing else, fits a question with just so many."""


def forced(request: ChatRequest) -> bool:
    """Whether the request leaves the model no choice but to call a tool."""
    choice = request.body.get("tool_choice")
    return bool(request.tools) and (isinstance(choice, Mapping) or choice == "required")


def calls(request: ChatRequest) -> list[dict[str, Any]]:
    """The calls of an answer; [] if no tool fits or the newest message is a tool's result.

    A tool fits if the question names it, shares a word with its name, two with its description, or has as many
    numbers as it takes. With `parallel_tool_calls` all fitting tools are called, and a tool with one text
    argument once for each thing in a list.
    """
    asked, choice = question(request.said), request.body.get("tool_choice")
    if not request.tools or choice == "none" or (request.said[-1].role == "tool" and not forced(request)):
        return []
    tools: Sequence[Mapping[str, Any]] = sorted(request.tools, key=lambda tool: -fit(tool, asked))
    if isinstance(choice, Mapping):
        tools = [tool for tool in tools if tool.get("name") == choice["function"]["name"]]
    fitting = [tool for tool in tools if fit(tool, asked) >= 1]
    if forced(request):
        fitting = fitting or list(tools[:1])
    if not request.body.get("parallel_tool_calls"):
        return [_call(tool, asked) for tool in fitting[:1]]
    return [call for tool in fitting for call in _each(_call(tool, asked))]


def fit(tool: Mapping[str, Any], asked: str) -> float:
    """How well a tool fits a question; 1 or more: it is called."""
    name = str(tool.get("name", ""))
    if re.search(rf"(?<!\w){re.escape(name)}(?!\w)", asked):
        return 10.0
    wanted = terms(asked)
    of_name, told = terms(_CAMEL.sub(" ", name)), terms(_CAMEL.sub(" ", _description(tool)))
    by_name = sum(weight for term, weight in wanted.items() if term in of_name)
    by_text = sum(weight for term, weight in wanted.items() if term in told)
    chinese = any(term in told for term in wanted if len(term) > 1 and not term.isascii())
    return by_name + (by_text if chinese else by_text / 2) + _takes_the_numbers(tool, asked)


def _takes_the_numbers(tool: Mapping[str, Any], asked: str) -> bool:
    fields = ((tool.get("parameters") or {}).get("properties") or {}).values()
    numeric = all(isinstance(one, Mapping) and one.get("type") in ("integer", "number") for one in fields)
    return numeric and len(fields) == len(Evidence(asked).numbers) >= _NUMBERS


def _description(tool: Mapping[str, Any]) -> str:
    fields = (tool.get("parameters") or {}).get("properties") or ()
    return f"{tool.get('description') or ''} {' '.join(fields)}"


def _call(tool: Mapping[str, Any], asked: str) -> dict[str, Any]:
    about = f"{_CAMEL.sub(' ', str(tool['name']))} {tool.get('description') or ''} tool generate value"
    schema = {"type": "object", **(tool.get("parameters") or {})}
    return {"name": tool["name"], "args": value(schema, Evidence(asked, about))}


def _each(call: dict[str, Any]) -> list[dict[str, Any]]:
    """One call for each thing in its only text argument, where that is a list."""
    texts = [name for name, given in call["args"].items() if isinstance(given, str)]
    if len(texts) != 1 or not _AND.search(call["args"][texts[0]]):
        return [call]
    things = [thing for thing in _LIST.split(call["args"][texts[0]]) if thing]
    return [{**call, "args": {**call["args"], texts[0]: thing}} for thing in things]
