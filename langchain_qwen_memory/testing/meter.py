"""Counts what a prompt and an answer cost, with Qwen's own tokenizer and both context caches."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, SystemMessage, ToolMessage

from langchain_qwen_memory.catalogue import ModelInfo
from langchain_qwen_memory.counting.media import audio_tokens, image_tokens, video_tokens
from langchain_qwen_memory.counting.templates import TEMPLATES, body
from langchain_qwen_memory.testing import speaking
from langchain_qwen_memory.testing.answers import Tally, ToolCall
from langchain_qwen_memory.testing.explicit import Block, Charge, ExplicitCache, blocks
from langchain_qwen_memory.testing.prefixes import PrefixCache, as_text
from langchain_qwen_memory.testing.request import MEDIA, ChatRequest
from langchain_qwen_memory.tokens import HEADER, UNENDED, count_text, count_tokens

SEEN = 1
"""Tokens that a model with eyes counts beyond its text: the mark that ends it."""

LINE_BREAK = 1
"""Tokens of the line break after a message."""


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


def caches_explicitly(info: ModelInfo) -> bool:
    """Whether a model has the explicit cache: its list price of a hit says so."""
    return any(tier.cache_hit_explicit != tier.input for tiers in info.prices.values() for tier in tiers)


class Meter:
    """Counts prompts and answers, and remembers prompts for the caches.

    Args:
        implicit: Where every prompt is remembered.
        explicit: Where marked prefixes are remembered.
    """

    def __init__(self, implicit: PrefixCache, explicit: ExplicitCache) -> None:
        self.implicit, self.explicit = implicit, explicit

    def clear(self) -> None:
        """Forgets every prompt."""
        self.implicit.clear()
        self.explicit.clear()

    def prompt(self, request: ChatRequest) -> int:
        """Tokens of the whole prompt, template and tools included."""
        choice = request.body.get("tool_choice")
        return self._count(
            request,
            request.messages,
            tool_choice=choice if isinstance(choice, str) else None,
            response_format=request.format,
        )

    def _count(self, request: ChatRequest, messages: Sequence[Mapping[str, Any]], **more: Any) -> int:
        preserve = request.body.get("preserve_thinking")
        kept = request.info.preserve_thinking == "on" if preserve is None else bool(preserve)
        return count_tokens(
            as_messages(messages),
            model=request.model,
            tools=[{"type": "function", "function": tool} for tool in request.tools],
            thinking=request.thinking,
            reasoning="all" if kept else "open_turn",
            high_resolution=bool(request.body.get("vl_high_resolution_images")),
            **more,
        )

    def media(self, request: ChatRequest) -> dict[str, int]:
        """Tokens of the pictures, films and sounds of a prompt, by kind; only of the kinds that are there."""
        found: dict[str, int] = {}
        fine = bool(request.body.get("vl_high_resolution_images"))
        parts = [part for message in request.messages for part in _parts(message)]
        for part in parts:
            kind = MEDIA.get(str(part.get("type")))
            if kind == "image":
                tokens = image_tokens(part, request.info, high_resolution=fine)
            elif kind == "video":
                tokens = video_tokens(part, request.info)
            elif kind == "audio":
                tokens = audio_tokens(part, request.info)
            else:
                continue
            found[kind] = found.get(kind, 0) + tokens
        return found

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

    def tally(
        self,
        request: ChatRequest,
        *,
        key: str,
        prompt: int,
        content: str,
        reasoning: str | None,
        calls: Sequence[ToolCall],
    ) -> Tally:
        """What a request costs; its prompt is remembered for the caches.

        Args:
            request: What was asked.
            key: The API key; nothing is shared between two.
            prompt: Tokens of the prompt.
            content: The text of the answer.
            reasoning: The thinking; None where the model did not think.
            calls: The tool calls.
        """
        model = request.model
        charge = self._charge(request, f"{key}\n{model}\n")
        return Tally(
            prompt=prompt,
            media=self.media(request),
            text=self.text(content, model) + (SEEN if content and request.info.vision != "none" else 0),
            calls=[self._call(call, request) for call in calls],
            thought=None if reasoning is None else self.text(reasoning, model),
            cached=min(charge.hit if charge else self._cached(request, key), prompt),
            created=min(charge.created, prompt - min(charge.hit, prompt)) if charge else None,
            copies=int(request.body.get("n") or 1),
            speech=speaking.tokens(content) if speaking.wanted(request) else 0,
        )

    def _charge(self, request: ChatRequest, scope: str) -> Charge | None:
        """What the explicit cache did; None where nothing is marked, or the model does not have that cache."""
        if not caches_explicitly(request.info):
            return None
        prompt = list(blocks(request.messages, request.tools))
        return self.explicit.charge(scope, prompt, lambda block: self._up_to(request, block))

    def _up_to(self, request: ChatRequest, block: Block) -> int:
        """Tokens of a prompt up to the end of a block, without what opens the answer.

        After the last block of a message its end belongs to the prefix and the line break after that does not: so
        the documented numbers come out.
        """
        messages = request.messages[: block.message + 1]
        last = messages[-1]
        if not block.last:
            messages[-1] = {**last, "content": last["content"][: block.part + 1]}
        counted = self._count(request, messages)
        facts = TEMPLATES[request.info.template]
        counted -= facts.opening_thinking if request.thinking else facts.opening
        counted += UNENDED if last.get("role") == "assistant" else -HEADER
        return counted - (LINE_BREAK if block.last else UNENDED)

    def _cached(self, request: ChatRequest, key: str) -> int:
        text = as_text(request.messages, request.tools)
        scope = f"{key}\n{request.model}\n"
        return self.implicit.shared(scope, text, lambda part: self.text(part, request.model))

    def _call(self, call: ToolCall, request: ChatRequest) -> int:
        """Tokens of a call in the form in which its model writes it."""
        function = {"name": call.name, "arguments": call.arguments}
        message = {"role": "assistant", "tool_calls": [{"id": call.id, "function": function}]}
        return self.text(body(as_messages([message])[0], request.info).text, request.model)


def _parts(message: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    content = message.get("content")
    return [part for part in content if isinstance(part, dict)] if isinstance(content, list) else []
