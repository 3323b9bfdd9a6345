"""Shows a Qwen message as LangChain's standard content blocks: thinking, text, speech and calls, each in its place."""

from typing import Any, cast

from langchain_core.messages import AIMessage, AIMessageChunk
from langchain_core.messages import content as types
from langchain_core.messages.block_translators import register_translator

from langchain_qwen_memory.qwen.speech import as_wav

__all__ = ["PROVIDER", "register", "to_blocks", "to_chunk_blocks"]

PROVIDER = "qwen"
"""What `response_metadata["model_provider"]` says, by which LangChain finds these translators."""

_REASONING, _TEXT, _SPEECH, _CALL = "lc_rs_0", "lc_txt_0", "lc_aud_0", "lc_tc_{}"
"""Places of the blocks in a stream. LangChain sums up blocks of one place, and counts the places of a stream by itself
where none is given: then a tool call's own index 0 falls together with the text's."""


def to_blocks(message: AIMessage) -> list[types.ContentBlock]:
    """Returns a whole message's blocks: thinking first, then text with its sources, then speech, then tool calls."""
    blocks = [*_reasoning(message), *_cited(message, _content(message)), *_speech(message)]
    shown = {block.get("id") for block in blocks if block.get("type") == "tool_call"}
    return cast(
        "list[types.ContentBlock]",
        [*blocks, *(_tool_call(call) for call in message.tool_calls if call.get("id") not in shown)],
    )


def to_chunk_blocks(message: AIMessageChunk) -> list[types.ContentBlock]:
    """Returns the blocks of a piece of a stream, or of the pieces so far; speech is bare samples until its end."""
    blocks = [block | {"index": _REASONING} for block in _reasoning(message)]
    content = _cited(message, _content(message))
    blocks += [block | {"index": _TEXT} if block["type"] == "text" else block for block in content]
    ended = message.chunk_position == "last"
    blocks += [block | {"index": _SPEECH} for block in _speech(message, whole=ended)]
    if ended and message.tool_calls:
        blocks += [_tool_call(call) for call in message.tool_calls]
    else:
        blocks += [_tool_call_chunk(dict(chunk)) for chunk in message.tool_call_chunks]
    return cast("list[types.ContentBlock]", blocks)


def register() -> None:
    """Makes the translators known to LangChain; doing it twice changes nothing."""
    register_translator(PROVIDER, to_blocks, to_chunk_blocks)


def _reasoning(message: AIMessage) -> list[dict[str, Any]]:
    reasoning = message.additional_kwargs.get("reasoning_content")
    return [{"type": "reasoning", "reasoning": reasoning}] if reasoning else []


def _content(message: AIMessage) -> list[dict[str, Any]]:
    if isinstance(message.content, str):
        return [{"type": "text", "text": message.content}] if message.content else []
    blocks = [{"type": "text", "text": block} if isinstance(block, str) else block for block in message.content]
    return [block for block in blocks if block.get("type") != "reasoning"]


def _cited(message: AIMessage, content: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The content with the sources of a web search as citations of its last text."""
    found = (message.response_metadata.get("search_info") or {}).get("search_results") or []
    if not found or any("annotations" in block for block in content):
        return content
    place = max((at for at, block in enumerate(content) if block["type"] == "text"), default=len(content))
    text = content[place] if place < len(content) else {"type": "text", "text": ""}
    return [*content[:place], text | {"annotations": [_citation(one) for one in found]}, *content[place + 1 :]]


def _citation(source: dict[str, Any]) -> dict[str, Any]:
    named = {name: source[name] for name in ("url", "title") if source.get(name)}
    extras = {name: value for name, value in source.items() if name not in {"url", "title"} and value}
    return {"type": "citation", **named, **({"extras": extras} if extras else {})}


def _speech(message: AIMessage, *, whole: bool = True) -> list[dict[str, Any]]:
    """What Qwen-Omni said: a file that plays where it is whole, else samples of 16 bits at 24 kHz."""
    audio = message.additional_kwargs.get("audio") or {}
    if not audio.get("data"):
        return []
    named = {"id": audio["id"]} if audio.get("id") else {}
    if whole:
        return [{"type": "audio", "base64": as_wav(audio["data"]), "mime_type": "audio/wav", **named}]
    return [{"type": "audio", "base64": audio["data"], "mime_type": "audio/pcm", **named}]


def _tool_call(call: Any) -> dict[str, Any]:
    return {"type": "tool_call", "id": call.get("id"), "name": call["name"], "args": call["args"]}


def _tool_call_chunk(chunk: dict[str, Any]) -> dict[str, Any]:
    block = {"type": "tool_call_chunk", "id": chunk["id"], "name": chunk["name"], "args": chunk["args"]}
    if chunk.get("index") is not None:
        block["index"] = _CALL.format(chunk["index"])
    return block
