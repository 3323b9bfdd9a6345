"""Writes what binds an answer's form, answer schemas and tool choices, as Qwen servers take it."""

import json
from collections.abc import Sequence
from typing import Any

from langchain_core.utils.function_calling import convert_to_openai_function, convert_to_openai_tool

__all__ = [
    "INSTRUCTION",
    "JSON_ONLY",
    "JSON_WORD",
    "is_forced",
    "schema_instruction",
    "wire_response_format",
    "wire_tool_choice",
]

JSON_WORD = "Answer in JSON."
"""Said where json_object is asked for: the service refuses that if the word stands nowhere in the messages."""

JSON_ONLY = "Answer with one JSON object, and with nothing else."
"""Said where JSON is asked for and the model has no mode for it."""

INSTRUCTION = "Answer with one JSON object that fits this JSON Schema, and with nothing else:\n{schema}"
"""Said where a model takes no schema as a parameter."""


def wire_response_format(given: Any, *, strict: bool | None = None) -> dict[str, Any] | None:
    """Writes `response_format`: a type or schema becomes `json_schema`; what is in wire form already stays."""
    if given is None:
        return None
    if isinstance(given, dict) and given.get("type") in {"text", "json_object", "json_schema"}:
        return given
    if isinstance(given, dict) and "schema" in given and "name" in given:
        return {"type": "json_schema", "json_schema": given}
    function = convert_to_openai_function(given, strict=strict)
    named = {"name": function["name"], "schema": function["parameters"]}
    return {
        "type": "json_schema",
        "json_schema": named | {k: function[k] for k in ("description", "strict") if k in function},
    }


def schema_instruction(response_format: dict[str, Any]) -> str:
    """Returns the schema of a `json_schema` format as a sentence to the model."""
    schema = response_format["json_schema"].get("schema", {})
    return INSTRUCTION.format(schema=json.dumps(schema, ensure_ascii=False))


def wire_tool_choice(given: Any, tools: Sequence[dict[str, Any]]) -> Any:
    """Writes `tool_choice`: LangChain's "any", True and a tool's name become what the wire knows."""
    names = {tool["function"]["name"] for tool in tools if "function" in tool}
    if given in ("any", True):
        return "required"
    if isinstance(given, str) and given in names:
        return {"type": "function", "function": {"name": given}}
    return given or None


def wire_tools(given: Sequence[Any] | None) -> list[dict[str, Any]] | None:
    """Writes tools: functions, classes and LangChain tools become definitions; what is in wire form stays.

    Raises:
        ValueError: If a tool is one that OpenAI's servers run, which Qwen's compatible protocol does not know.
    """
    tools = [convert_to_openai_tool(tool) for tool in given or ()]
    for tool in tools:
        if "function" not in tool:
            raise ValueError(
                f"A tool of type {tool.get('type')!r} is run by OpenAI's servers and not by Qwen's: "
                "for search give enable_search=True, for all else a function."
            )
    return tools or None


def is_forced(tool_choice: Any) -> bool:
    """Says whether a written tool choice leaves the model no answer without a call."""
    return tool_choice == "required" or isinstance(tool_choice, dict)


def with_instruction(messages: list[dict[str, Any]], instruction: str) -> list[dict[str, Any]]:
    """Returns written messages with one more sentence at the end of the system message, which is made if missing."""
    if not instruction:
        return messages
    if not messages or messages[0]["role"] != "system":
        return [{"role": "system", "content": instruction}, *messages]
    system, *rest = messages
    content = system["content"]
    joined = (
        f"{content}\n\n{instruction}" if isinstance(content, str) else [*content, {"type": "text", "text": instruction}]
    )
    return [{**system, "content": joined}, *rest]


def mentions_json(messages: list[dict[str, Any]]) -> bool:
    """Says whether the word stands anywhere in written messages."""
    return "json" in json.dumps([message.get("content") for message in messages], ensure_ascii=False).lower()
