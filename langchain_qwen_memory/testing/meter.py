"""Counts what an answer costs: the usage object, with Qwen's own tokenizer."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage, ToolMessage

from langchain_qwen_memory.testing.prefixes import PrefixCache, as_text
from langchain_qwen_memory.testing.request import ChatRequest
from langchain_qwen_memory.testing.shapes import ToolCall
from langchain_qwen_memory.tokens import count_text, count_tokens

AROUND_THINKING = 4
"""Tokens that stand around the thinking in the completion: the two tags and their blank lines."""


def as_messages(messages: Sequence[Mapping[str, Any]]) -> list[BaseMessage]:
    """The request's messages as LangChain's; tool calls whose arguments are no JSON are counted as invalid ones."""
    kinds = {"system": SystemMessage, "developer": SystemMessage, "user": HumanMessage}
    made: list[BaseMessage] = []
    for message in messages:
        role, content = message.get("role"), message.get("content") or ""
        if role == "assistant":
            made.append(AIMessage(content, **_calls(message)))
        elif role == "tool":
            made.append(ToolMessage(content, tool_call_id=str(message.get("tool_call_id"))))
        else:
            made.append(kinds.get(str(role), HumanMessage)(content))
    return made


def _calls(message: Mapping[str, Any]) -> dict[str, Any]:
    good, bad = [], []
    for call in message.get("tool_calls") or ():
        name, text = call["function"]["name"], call["function"].get("arguments") or "{}"
        try:
            args = json.loads(text)
        except ValueError:
            args = None
        if isinstance(args, dict):
            good.append({"name": name, "args": args, "id": call.get("id")})
        else:
            bad.append({"name": name, "args": text, "id": call.get("id"), "error": None})
    extra = {"reasoning_content": message["reasoning_content"]} if message.get("reasoning_content") else {}
    return {"tool_calls": good, "invalid_tool_calls": bad, "additional_kwargs": extra}


class Meter:
    """Counts prompts and answers, and remembers prompts for the implicit cache.

    Args:
        cache: Where prompts are remembered.
    """

    def __init__(self, cache: PrefixCache) -> None:
        self.cache = cache

    def prompt(self, request: ChatRequest) -> int:
        """Tokens of the whole prompt, template and tools included."""
        body, preserve = request.body, request.body.get("preserve_thinking")
        kept = request.info.preserve_thinking == "on" if preserve is None else bool(preserve)
        choice = body.get("tool_choice")
        return count_tokens(
            as_messages(request.messages),
            model=request.model,
            tools=[{"type": "function", "function": tool} for tool in request.tools],
            tool_choice=choice if isinstance(choice, str) else None,
            response_format=request.format,
            thinking=request.thinking,
            reasoning="all" if kept else "open_turn",
            high_resolution=bool(body.get("vl_high_resolution_images")),
        )

    def text(self, text: str, model: str) -> int:
        """Tokens of a text."""
        return count_text(text, model=model) if text else 0

    def clip(self, text: str, limit: int, model: str) -> str:
        """The longest beginning of a text with at most so many tokens."""
        if len(text.encode()) <= limit or self.text(text, model) <= limit:
            return text
        low, high = 0, len(text)
        while low < high:
            middle = (low + high + 1) // 2
            low, high = (middle, high) if self.text(text[:middle], model) <= limit else (low, middle - 1)
        return text[:low]

    def usage(
        self,
        request: ChatRequest,
        *,
        key: str,
        prompt: int,
        content: str,
        reasoning: str | None,
        calls: Sequence[ToolCall],
    ) -> dict[str, Any]:
        """The usage object in the newer key order; the prompt is remembered for the implicit cache.

        Args:
            request: What was asked.
            key: The API key; nothing is shared between two.
            prompt: Tokens of the prompt.
            content: The text of the answer.
            reasoning: The thinking; None where the model did not think.
            calls: The tool calls.
        """
        model, copies = request.model, int(request.body.get("n") or 1)
        spoken = self.text(content, model) + sum(self._call(call, model) for call in calls)
        details: dict[str, Any] = {}
        if reasoning is not None:
            thought = self.text(reasoning, model)
            details = {"completion_tokens_details": {"reasoning_tokens": thought * copies}}
            spoken += thought + AROUND_THINKING
        return {
            "prompt_tokens": prompt,
            "completion_tokens": spoken * copies,
            "total_tokens": prompt + spoken * copies,
            **details,
            "prompt_tokens_details": {"cached_tokens": self._cached(request, key, prompt)},
        }

    def _cached(self, request: ChatRequest, key: str, prompt: int) -> int:
        text = as_text(request.messages, request.tools)
        scope = f"{key}\n{request.model}\n"
        return min(self.cache.shared(scope, text, lambda part: self.text(part, request.model)), prompt)

    def _call(self, call: ToolCall, model: str) -> int:
        written = f'<tool_call>\n{{"name": "{call.name}", "arguments": {call.arguments}}}\n</tool_call>'
        return self.text(written, model)
