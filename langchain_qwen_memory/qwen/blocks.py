"""Shows a Qwen message as LangChain's standard content blocks: thinking, text and tool calls, each in its own place."""

from typing import Any, cast

from langchain_core.messages import AIMessage, AIMessageChunk
from langchain_core.messages import content as types
from langchain_core.messages.block_translators import register_translator

__all__ = ["PROVIDER", "register", "to_blocks", "to_chunk_blocks"]

PROVIDER = "qwen"
"""What `response_metadata["model_provider"]` says, by which LangChain finds these translators."""

_REASONING, _TEXT, _CALL = "lc_rs_0", "lc_txt_0", "lc_tc_{}"
"""Places of the blocks in a stream. LangChain sums up blocks of one place, and counts the places of a stream by itself
where none is given: then a tool call's own index 0 falls together with the text's."""


def to_blocks(message: AIMessage) -> list[types.ContentBlock]:
    """Returns a whole message's blocks: thinking first, then text, then tool calls."""
    blocks = [*_reasoning(message), *_content(message)]
    shown = {block.get("id") for block in blocks if block.get("type") == "tool_call"}
    return cast(
        "list[types.ContentBlock]",
        [*blocks, *(_tool_call(call) for call in message.tool_calls if call.get("id") not in shown)],
    )


def to_chunk_blocks(message: AIMessageChunk) -> list[types.ContentBlock]:
    """Returns the blocks of a piece of a stream, or of the pieces summed up so far."""
    blocks = [block | {"index": _REASONING} for block in _reasoning(message)]
    blocks += [block | {"index": _TEXT} if block["type"] == "text" else block for block in _content(message)]
    if message.chunk_position == "last" and message.tool_calls:
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


def _tool_call(call: Any) -> dict[str, Any]:
    return {"type": "tool_call", "id": call.get("id"), "name": call["name"], "args": call["args"]}


def _tool_call_chunk(chunk: dict[str, Any]) -> dict[str, Any]:
    block = {"type": "tool_call_chunk", "id": chunk["id"], "name": chunk["name"], "args": chunk["args"]}
    if chunk.get("index") is not None:
        block["index"] = _CALL.format(chunk["index"])
    return block
