"""How each chat template writes messages and tools, as far as it changes the number of tokens.

Fixed wording is kept as the number of tokens it costs; what depends on the message is written out. The
figures were measured with the templates published with the open weights, and agree with the usage the
service reported.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, cast

from langchain_core.messages import AIMessage, BaseMessage, ChatMessage

from langchain_qwen_memory.catalogue import ModelInfo
from langchain_qwen_memory.counting.media import audio_tokens, image_tokens, video_tokens

__all__ = ["TEMPLATES", "UNSENT", "Body", "TemplateFacts", "body", "joined", "role_of", "sendable_answer", "tool_text"]

Form = Literal["json", "xml", "agent"]


@dataclass(frozen=True, kw_only=True, slots=True)
class TemplateFacts:
    """What one chat template costs besides the messages' own words, in tokens."""

    form: Form = "json"
    """How a tool call is written in history: Hermes JSON, XML tags, or Qwen-Agent's marks."""
    tools_as: Form = "json"
    """How a tool's definition is written."""
    tools_text: int = 35 + 42
    """The fixed words around the tools."""
    each_tool: int = 0
    """The fixed words around one tool."""
    tools_first: bool = False
    """The tools stand before the system message's own words, not after."""
    lone_tools_text: int = 0
    """What tools cost more when there is no system message."""
    opening: int = 0
    """What follows the header of the answer without thinking (an empty block, where the template writes
    one)."""
    opening_thinking: int = 0
    """What follows it with thinking on (the opening tag, where the template writes it)."""
    thinking_text: int = 0
    """What is added to the system message with thinking on."""
    empty_thought: Literal["never", "open_turn", "always"] = "never"
    """Which earlier answers are written with an empty thinking block where no reasoning is sent back."""
    trims: bool = False
    """Blanks around a message's words are dropped."""


EMPTY_THOUGHT = 4
"""Tokens of a thinking block without content."""

FULL_THOUGHT = 4
"""Tokens of a thinking block besides its content."""

_QWEN35 = TemplateFacts(
    form="xml",
    tools_text=16 + 180,
    tools_first=True,
    opening=4,
    opening_thinking=2,
    empty_thought="open_turn",
    trims=True,
)

TEMPLATES: dict[str, TemplateFacts] = {
    "hermes": TemplateFacts(),
    "qwen3": TemplateFacts(opening=4),
    "qwen3-thinking": TemplateFacts(opening=2, opening_thinking=2),
    "qwen3-coder": TemplateFacts(form="xml", tools_as="xml", tools_text=14 + 170, lone_tools_text=19),
    "qwen3.5": _QWEN35,
    "qwen3.8": replace(_QWEN35, empty_thought="always", thinking_text=37),
    "qwen-agent": TemplateFacts(form="agent", tools_as="agent", tools_text=12 + 149, each_tool=12, lone_tools_text=1),
}
"""By the catalogue's names. Qwen-Agent's form is what qwen-max still uses."""

_PLACE = "<|vision_start|><|image_pad|><|vision_end|>"
_PLACE_TOKENS = 3

_ROLES = {"human": "user", "ai": "assistant", "system": "system", "tool": "tool", "function": "tool"}
_KINDS = {
    "image": "image",
    "image_url": "image",
    "video": "video",
    "video_url": "video",
    "audio": "audio",
    "input_audio": "audio",
    "audio_url": "audio",
}
_THOUGHTS = {"reasoning", "reasoning_content", "thinking", "redacted_thinking"}
_CALLS = {"tool_call", "tool_call_chunk", "invalid_tool_call", "tool_use", "function_call"}
_FOREIGN = {"non_standard", "executable_code", "code_execution_result", "web_search_tool_result"}
_FOREIGN |= {"server_tool_call", "server_tool_call_chunk", "server_tool_result", "server_tool_use"}
UNSENT = frozenset(_THOUGHTS | _CALLS | _FOREIGN)
"""Blocks that are not sent as content, and so not counted: thinking is not history, calls have a place of their own,
and the rest is another provider's. Of an answer, no block is sent that is no text."""
_WORDS = frozenset({"text", "text-plain", "refusal"})


@dataclass(frozen=True, kw_only=True, slots=True)
class Body:
    """One message as its template writes it between the header and the end."""

    text: str
    """The words, with a stand-in of special tokens for each picture, film or sound."""
    extra: int
    """Tokens of media beyond their stand-ins."""


def role_of(message: BaseMessage) -> str:
    """Returns user, assistant, system, tool, or the role a ChatMessage names.

    Raises:
        TypeError: A message of another kind (RemoveMessage), which is never sent.
    """
    if isinstance(message, ChatMessage):
        return message.role
    kind = message.type.removesuffix("MessageChunk").lower()
    if kind not in _ROLES:
        raise TypeError(
            f"Cannot count a message of type {message.type!r}; countable are {', '.join(_ROLES)} and chat. "
            f"Leave out what is not sent, for example [m for m in messages if m.type != {message.type!r}]."
        )
    return _ROLES[kind]


def body(message: BaseMessage, info: ModelInfo, *, high_resolution: bool = False) -> Body:
    """Writes one message as its model's template does, without header and end, tool calls included."""
    facts = TEMPLATES[info.template]
    content = message.content
    if isinstance(message, AIMessage) and not isinstance(content, str):
        content = [block for block in content if isinstance(block, str) or sendable_answer(block)]
    words, extra = _content(content, info, high_resolution=high_resolution)
    words = words.strip() if facts.trims else words
    if role_of(message) == "tool" and facts.form != "agent":
        words = f"<tool_response>\n{words}\n</tool_response>"
    elif isinstance(message, AIMessage):
        words = _with_calls(words, _calls(message), facts.form)
    return Body(text=words, extra=extra)


def joined(texts: Sequence[str], roles: Sequence[str], facts: TemplateFacts) -> str:
    """Joins the words of neighbours that share one header (one role; with Qwen-Agent, calls and results)."""
    if facts.form != "agent" or "tool" not in roles:
        return "\n".join(texts)
    parts = []
    for index, (text, role) in enumerate(zip(texts, roles, strict=True)):
        after_result = index > 0 and roles[index - 1] == "tool"
        mark = "\n✿RESULT✿: " if role == "tool" else "\n✿RETURN✿: " if after_result else "\n" if index else ""
        parts.append(mark + text)
    return "".join(parts) + ("\n✿RETURN✿:" if roles[-1] == "tool" else "")


def tool_text(tool: Mapping[str, Any], facts: TemplateFacts) -> str:
    """Writes one tool definition, given in OpenAI's form, as the template does."""
    function = cast("dict[str, Any]", tool.get("function", tool))
    if facts.tools_as == "xml":
        return _tool_as_xml(function)
    if facts.tools_as == "agent":
        name, parameters = function["name"], json.dumps(function.get("parameters", {}), ensure_ascii=False)
        return f"{name}\n\n{name}: {function.get('description', '')} {parameters} ,{name}\n\n"
    named_last = {key: value for key, value in function.items() if key != "name"} | {"name": function.get("name")}
    return json.dumps({**tool, "function": named_last}, ensure_ascii=False) + "\n"


def sendable_answer(block: Mapping[str, Any]) -> bool:
    """Whether a block of an answer is sent back: its words are; what it spoke or drew, and others' blocks, are not."""
    return block.get("type") in _WORDS


def _content(content: str | list[Any], info: ModelInfo, *, high_resolution: bool) -> tuple[str, int]:
    if isinstance(content, str):
        return content, 0
    words, extra = [], 0
    for part in content:
        block = {"text": part} if isinstance(part, str) else part
        text, tokens = _block(block, info, high_resolution=high_resolution)
        words.append(text)
        extra += tokens
    return "".join(words), extra


def _block(block: Mapping[str, Any], info: ModelInfo, *, high_resolution: bool) -> tuple[str, int]:
    kind = str(block.get("type", ""))
    if kind in UNSENT:
        return "", 0
    sort = (
        _sort_of_file(block)
        if kind == "file"
        else _KINDS.get(kind) or next((known for key, known in _KINDS.items() if key in block), None)
    )
    if sort == "image":
        return _PLACE, image_tokens(block, info, high_resolution=high_resolution) - _PLACE_TOKENS
    if sort == "video":
        return _PLACE, video_tokens(block, info) - _PLACE_TOKENS
    if sort == "audio":
        return _PLACE, audio_tokens(block, info) - _PLACE_TOKENS
    if isinstance(text := block.get("text") or block.get("refusal"), str):
        return text, 0
    return json.dumps(block, ensure_ascii=False, default=str), 0


def _sort_of_file(block: Mapping[str, Any]) -> str | None:
    medium = str(block.get("mime_type") or "").partition("/")[0]
    return medium if medium in {"image", "video", "audio"} else None


def _calls(message: AIMessage) -> list[tuple[str, Any]]:
    """Names and arguments as they are sent; broken arguments as the text they are."""
    if message.tool_calls or message.invalid_tool_calls:
        valid: list[tuple[str, Any]] = [(call["name"], call["args"]) for call in message.tool_calls]
        return valid + [(call.get("name") or "", call.get("args") or "") for call in message.invalid_tool_calls]
    raw = message.additional_kwargs.get("tool_calls") or ()
    return [(call["function"]["name"], _parsed(call["function"].get("arguments") or "")) for call in raw]


def _parsed(arguments: str) -> Any:
    try:
        return json.loads(arguments)
    except ValueError:
        return arguments


def _with_calls(words: str, calls: Sequence[tuple[str, Any]], form: Form) -> str:
    if not calls:
        return words
    write = {"json": _call_as_json, "xml": _call_as_xml, "agent": _call_for_agent}[form]
    gap = "\n\n" if form == "xml" else "\n"
    return words + (gap if words else "") + "\n".join(write(name, arguments) for name, arguments in calls)


def _dumped(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)


def _call_as_json(name: str, arguments: Any) -> str:
    return f'<tool_call>\n{{"name": "{name}", "arguments": {_dumped(arguments)}}}\n</tool_call>'


def _call_as_xml(name: str, arguments: Any) -> str:
    pairs = arguments.items() if isinstance(arguments, dict) else ()
    inside = "".join(f"<parameter={key}>\n{_dumped(value)}\n</parameter>\n" for key, value in pairs)
    if not isinstance(arguments, dict):
        inside = f"{_dumped(arguments)}\n"
    return f"<tool_call>\n<function={name}>\n{inside}</function>\n</tool_call>"


def _call_for_agent(name: str, arguments: Any) -> str:
    return f"✿FUNCTION✿: {name}\n✿ARGS✿: {_dumped(arguments)}"


def _tool_as_xml(function: Mapping[str, Any]) -> str:
    parameters = function.get("parameters") or {}
    lines = ["<function>", f"<name>{function.get('name')}</name>"]
    if function.get("description"):
        lines.append(f"<description>{function['description'].strip()}</description>")
    lines.append("<parameters>")
    for name, one in (parameters.get("properties") or {}).items():
        lines += ["<parameter>", f"<name>{name}</name>", *_fields(one, ("name",)), "</parameter>"]
    lines += _fields(parameters, ("type", "properties"))
    lines += [
        "</parameters>",
        *_fields(function, ("type", "name", "description", "parameters")),
        "</function>",
    ]
    return "\n".join(lines) + "\n"


def _fields(holder: Mapping[str, Any], without: Sequence[str]) -> list[str]:
    """One line a field, `type` and `description` first, as the template orders them."""
    ordered = sorted(
        holder, key=lambda key: ("type", "description").index(key) if key in ("type", "description") else 2
    )
    return [f"<{key}>{_dumped(holder[key])}</{key}>" for key in ordered if key not in without]
