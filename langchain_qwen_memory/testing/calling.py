"""Decides whether the stand-in calls a tool, which one, and with what arguments."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from langchain_qwen_memory.testing.finding import question
from langchain_qwen_memory.testing.request import ChatRequest
from langchain_qwen_memory.testing.schema import Evidence, value
from langchain_qwen_memory.testing.words import terms

_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|[_\-.]+")
_LIST = re.compile(r"\s*(?:,\s*and\s+|,\s*|\band\b|、|和|与|以及)\s*")


def forced(request: ChatRequest) -> bool:
    """Whether the request leaves the model no choice but to call a tool."""
    choice = request.body.get("tool_choice")
    return bool(request.tools) and (isinstance(choice, Mapping) or choice == "required")


def calls(request: ChatRequest) -> list[dict[str, Any]]:
    """The calls of an answer, [] if no tool fits or the newest message is a tool's result.

    A tool fits if the question names it, shares a word with its name, or two with its description. With
    `parallel_tool_calls` all fitting tools are called, and a tool with one text parameter once for each thing in a list.
    """
    asked, choice = question(request.said), request.body.get("tool_choice")
    if not request.tools or choice == "none" or (request.said[-1].role == "tool" and not forced(request)):
        return []
    tools: Sequence[Mapping[str, Any]] = sorted(request.tools, key=lambda tool: -fit(tool, asked))
    if isinstance(choice, Mapping):
        tools = [tool for tool in tools if tool.get("name") == choice["function"]["name"]]
    elif choice != "required":
        tools = [tool for tool in tools if fit(tool, asked) >= 1]
    if not request.body.get("parallel_tool_calls"):
        return [_call(tool, asked) for tool in tools[:1]]
    fitting = [tool for tool in tools if fit(tool, asked) >= 1] or tools[:1]
    return [call for tool in fitting for call in _calls_of(tool, asked)]


def fit(tool: Mapping[str, Any], asked: str) -> float:
    """How well a tool fits a question; 1 or more: it is called."""
    name = str(tool.get("name", ""))
    if name and re.search(rf"(?<!\w){re.escape(name)}(?!\w)", asked):
        return 10.0
    wanted = terms(asked)
    by_name = sum(wanted[term] for term in terms(_CAMEL.sub(" ", name)) if term in wanted)
    told = f"{tool.get('description', '')} {' '.join((tool.get('parameters') or {}).get('properties') or ())}"
    by_text = sum(wanted[term] for term in terms(_CAMEL.sub(" ", told)) if term in wanted)
    chinese = any(not term.isascii() and len(term) > 1 and term in wanted for term in terms(told))
    return by_name + (by_text if chinese else by_text / 2)


def _about(tool: Mapping[str, Any]) -> str:
    return f"{_CAMEL.sub(' ', str(tool.get('name', '')))} {tool.get('description', '')} use tool call generate create"


def _call(tool: Mapping[str, Any], asked: str) -> dict[str, Any]:
    parameters = tool.get("parameters") or {"type": "object", "properties": {}}
    args = value({"type": "object", **parameters}, Evidence(asked, _about(tool)))
    return {"name": tool["name"], "args": args}


def _calls_of(tool: Mapping[str, Any], asked: str) -> list[dict[str, Any]]:
    call = _call(tool, asked)
    texts = [name for name, given in call["args"].items() if isinstance(given, str)]
    if len(texts) != 1:
        return [call]
    things = [thing for thing in _LIST.split(call["args"][texts[0]]) if thing]
    return [{**call, "args": {**call["args"], texts[0]: thing}} for thing in things]
