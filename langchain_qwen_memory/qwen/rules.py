"""Decides for each call whether the model thinks, and what gives way where thinking and the request exclude it."""

import warnings
from dataclasses import dataclass
from typing import Any

from langchain_qwen_memory.catalogue import ModelInfo
from langchain_qwen_memory.qwen.endpoints import ServerKind
from langchain_qwen_memory.qwen.media_rules import speaks
from langchain_qwen_memory.qwen.structured import (
    JSON_ONLY,
    is_forced,
    schema_instruction,
    wire_response_format,
    wire_tool_choice,
    wire_tools,
)

__all__ = ["Plan", "settle"]

_OPENING_TEMPLATES = frozenset({"qwen3-thinking", "qwen3.5", "qwen3.8"})
"""Chat templates that write `<think>` themselves, so that the answer begins inside thinking."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """What was decided beside the parameters that were changed."""

    thinks: bool
    """The model will think before it answers."""
    must_stream: bool
    """The service answers this call as a stream only."""
    opens: bool
    """The answer may begin inside thinking."""
    told_off: bool
    """Thinking is switched off in the request."""
    instruction: str
    """A sentence for the system message; empty: none."""
    needs_json_word: bool
    """The word JSON must stand in the messages."""


def settle(
    info: ModelInfo,
    knobs: dict[str, Any],
    params: dict[str, Any],
    *,
    server: ServerKind,
    template: dict[str, Any],
    goes_on: bool = False,
) -> Plan:
    """Decides; changes `knobs` and `params`, which are the call's own copies.

    On Alibaba's service a forced tool choice, JSON mode, a spoken answer and one already begun (`partial`) are refused
    while thinking. There, thinking is switched off for the call; where it cannot be (QwQ, Qwen3-Thinking), the choice
    becomes "auto" and the format a sentence, with a warning. A server of one's own is taken to allow them all.

    Args:
        info: What is known of the model.
        knobs: Qwen's own parameters.
        params: OpenAI's parameters.
        server: What answers.
        goes_on: The last message is the beginning of the answer.
        template: The `chat_template_kwargs` of the call, where a user may have said the same.

    Raises:
        ValueError: If the answer is begun and the model cannot go on with one.
    """
    if knobs.get("reasoning_effort") == "none" and server != "ollama":
        knobs |= {"reasoning_effort": None, "enable_thinking": False}
    asked = knobs.get("enable_thinking", template.get("enable_thinking"))
    thinks = info.thinking == "always" or (info.thinking == "by_default" if asked is None else bool(asked))
    answer_format, instruction = _format(info, params, server)
    tools = wire_tools(params.get("tools"))
    choice = wire_tool_choice(params.get("tool_choice"), tools or ())
    if server == "dashscope":
        if goes_on and info.thinking == "always":
            raise ValueError(
                f"{info.name} always thinks, and while thinking no answer that is begun (partial) can be gone on with. "
                "Leave the beginning out, or take model='qwen-plus'."
            )
        unthinking = goes_on or is_forced(choice) or _is_json_mode(answer_format) or speaks(params)
        if thinks and info.thinking != "always" and unthinking:
            knobs |= {"enable_thinking": False, "thinking_budget": None, "reasoning_effort": None}
            thinks, asked = False, False
        if thinks and is_forced(choice):
            _warn(f"{info.name} always thinks and cannot be forced to call a tool meanwhile: tool_choice is 'auto'.")
            choice = "auto"
        if _is_json_mode(answer_format) and (thinks or not info.json_mode):
            _warn(f"{info.name} has no JSON mode: it is only asked in words for JSON.")
            answer_format, instruction = None, instruction or JSON_ONLY
        _drop_useless_switch(info, knobs)
    params |= {"tools": tools, "tool_choice": choice, "response_format": answer_format}
    return Plan(
        thinks=thinks,
        must_stream=server == "dashscope"
        and (info.streams_only or speaks(params) or (info.thinking_streams_only and thinks)),
        opens=server != "dashscope" and _opens(info, asked, thinks=thinks),
        told_off=asked is False and not thinks,
        instruction=instruction,
        needs_json_word=server == "dashscope" and _is_json_mode(answer_format),
    )


def _format(info: ModelInfo, params: dict[str, Any], server: ServerKind) -> tuple[dict[str, Any] | None, str]:
    """Returns the format as the model takes it, and what must be said in words instead."""
    given = wire_response_format(params.pop("response_format", None))
    if given is None or given["type"] != "json_schema" or server != "dashscope" or info.json_schema:
        return given, ""
    return {"type": "json_object"}, schema_instruction(given)


def _is_json_mode(answer_format: dict[str, Any] | None) -> bool:
    return answer_format is not None and answer_format["type"] == "json_object"


def _drop_useless_switch(info: ModelInfo, knobs: dict[str, Any]) -> None:
    """Leaves out an "off" that the service would refuse: of a model that never thinks, or that always does."""
    if knobs.get("enable_thinking") is not False or not info.known:
        return
    if info.thinking == "always":
        _warn(f"{info.name} always thinks: enable_thinking=False is not sent.")
    if info.thinking in {"always", "never"}:
        knobs["enable_thinking"] = None


def _opens(info: ModelInfo, asked: bool | None, *, thinks: bool) -> bool:
    if not info.known:
        return asked is True
    return thinks and info.template in _OPENING_TEMPLATES


def _warn(text: str) -> None:
    warnings.warn(text, UserWarning, stacklevel=2)
