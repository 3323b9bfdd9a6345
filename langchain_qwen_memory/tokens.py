"""Exact Qwen token counts of texts, messages and whole prompts, offline, as the service bills them.

A prompt is rendered as its model's chat template renders it and counted with its model's own vocabulary.
Each message is tokenised once: counts are kept under a hash of the content, so an equal message loaded
again costs a look-up.
"""

import json
from collections import OrderedDict
from collections.abc import Callable, Sequence
from functools import lru_cache, partial
from hashlib import blake2b
from itertools import groupby
from threading import Lock
from typing import Any, Literal

from langchain_core.messages import AIMessage, BaseMessage

from langchain_qwen_memory.catalogue import ModelInfo, model_info
from langchain_qwen_memory.counting.templates import (
    EMPTY_THOUGHT,
    FULL_THOUGHT,
    TEMPLATES,
    TemplateFacts,
    body,
    joined,
    role_of,
    tool_text,
)
from langchain_qwen_memory.counting.vocabulary import count

__all__ = ["count_message", "count_text", "count_tokens"]

FRAME = 3
"""Tokens around each message: its start, its end, and the line break after that."""

HEADER = 3
"""Tokens that open the answer: start, role, line break."""

UNENDED = 2
"""Tokens that fall away when the last message is an answer to be continued: its end and line break."""

BLANK_LINE = 1
"""Tokens of the empty line between the parts of a system message."""

JSON_OBJECT = 2
"""Tokens that response_format json_object adds."""

TOOL_REQUIRED = 3
"""Tokens that tool_choice "required" adds."""

_KEPT = 131_072
"""Counts kept at most (about 30 MB): a thread of tens of thousands of turns stays counted."""

_Key = tuple[bytes | str, ...]


class _Counts:
    """The counts of what was counted before, least recently used forgotten first; safe between threads."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._known: OrderedDict[_Key, int] = OrderedDict()
        self._lock = Lock()

    def get(self, key: _Key, make: Callable[[], int]) -> int:
        with self._lock:
            if (known := self._known.get(key)) is not None:
                self._known.move_to_end(key)
                return known
        made = make()
        with self._lock:
            self._known[key] = made
            if len(self._known) > self._most:
                self._known.popitem(last=False)
        return made


_counts = _Counts(_KEPT)


def count_text(text: str, *, model: str = "qwen-plus") -> int:
    """Returns how many tokens a text is in a model's vocabulary, without any template; not cached.

    Text is brought to Unicode's composed form first. Special tokens written in it count as one each,
    because the service encodes the rendered prompt in one piece and does not tell its own marks from the
    user's.
    """
    return count(text, model_info(model).vocabulary)


def count_message(message: BaseMessage, *, model: str = "qwen-plus", high_resolution: bool = False) -> int:
    """Returns what one message adds to a prompt, the template's tokens around it included.

    For policies that add up messages one by one. The whole relates to the sum so::

        sum(count_message(m) for m in messages) + count_tokens([], tools=tools)  >=  count_tokens(messages,
        tools=tools)

    with equality where no two neighbours have the same role, the last message is not an answer, and tools
    do not meet a system message. Otherwise the sum is the larger: neighbours of one role share one header
    (5 tokens less each), tools and system message share one (about 5 less), an answer to be continued is
    not ended (5 less). One exception: Qwen3.5 to 3.7 write an empty thinking block before each answer
    after the newest user message; the whole holds 4 tokens for each, the sum does not.

    Args:
        message: Any message that is sent. Reasoning in `additional_kwargs` or content blocks is not counted.
        model: The model whose vocabulary, template and picture rules count.
        high_resolution: The request has vl_high_resolution_images.

    Returns:
        Tokens. Exact for text; pictures of known size exact; media that only a URL points to at the upper
        estimates of `langchain_qwen_memory.counting.media`.

    Raises:
        TypeError: A message that is never sent, such as RemoveMessage.
    """
    info = model_info(model)
    thought = EMPTY_THOUGHT if _thinks_always(message, TEMPLATES[info.template]) else 0
    return _group([message], info, high_resolution=high_resolution) + thought


def count_tokens(
    messages: Sequence[BaseMessage],
    *,
    model: str,
    tools: Sequence[Any] = (),
    tool_choice: str | None = None,
    response_format: str | None = None,
    thinking: bool | None = None,
    reasoning: Literal["none", "open_turn", "all"] = "none",
    high_resolution: bool = False,
) -> int:
    """Returns the tokens of a whole prompt, header of the answer included: what usage will say for the input.

    Messages that were counted before cost a look-up each, so a growing thread costs its new messages.

    Args:
        messages: The view, in order; may be empty.
        model: The model it is sent to. One the catalogue does not know counts with the older vocabulary.
        tools: Anything `bind_tools` takes: tools, functions, Pydantic models, OpenAI's dicts.
        tool_choice: "required" (or LangChain's "any") costs 3 tokens; other choices none.
        response_format: "json_object" costs 2 tokens; what others cost is not known, and not counted.
        thinking: Whether the model will think; None: its default.
        reasoning: Which earlier `additional_kwargs["reasoning_content"]` is sent back and so counts: none
            of it, that after the newest user message (a tool loop that goes on), or all (preserve_thinking).
        high_resolution: The request has vl_high_resolution_images.

    Returns:
        Tokens. On recorded traffic of the service exact for text and pictures and within 5 % with tools.

    Raises:
        TypeError: A message that is never sent, such as RemoveMessage.
    """
    info = model_info(model)
    facts = TEMPLATES[info.template]
    thinks = info.thinking in {"by_default", "always"} if thinking is None else thinking
    groups = [list(group) for _, group in groupby(messages, key=lambda one: _header(one, facts))]
    system = groups.pop(0) if groups and role_of(groups[0][0]) == "system" else []
    total = _system(system, tools, info, thinks=thinks)
    total += sum(_group(group, info, high_resolution=high_resolution) for group in groups)
    total += _thoughts(messages, info, reasoning)
    continued = bool(groups) and _header(groups[-1][0], facts) == "assistant"
    total += -UNENDED if continued else HEADER
    total += facts.opening_thinking if thinks else facts.opening
    total += JSON_OBJECT if response_format == "json_object" else 0
    return total + (TOOL_REQUIRED if tools and tool_choice in {"required", "any"} else 0)


def _header(message: BaseMessage, facts: TemplateFacts) -> str:
    """The role under whose header a message stands; Qwen-Agent writes results to the assistant's."""
    role = role_of(message)
    return "assistant" if role == "tool" and facts.form == "agent" else role


def _group(messages: Sequence[BaseMessage], info: ModelInfo, *, high_resolution: bool, ending: str = "") -> int:
    """Counts neighbours under one header, as one piece, since words may meet punctuation at the seam."""
    style = _style(info.family, info.template, high_resolution=high_resolution)
    key: _Key = (style, ending, *(_digest(message) for message in messages))
    return _counts.get(key, partial(_counted, messages, info, high_resolution=high_resolution, ending=ending))


def _counted(messages: Sequence[BaseMessage], info: ModelInfo, *, high_resolution: bool, ending: str) -> int:
    facts = TEMPLATES[info.template]
    bodies = [body(message, info, high_resolution=high_resolution) for message in messages]
    text = joined([one.text for one in bodies], [role_of(message) for message in messages], facts)
    role = _header(messages[0], facts)
    header = "user" if role == "tool" else role
    return count(f"{header}\n{text}{ending}", info.vocabulary) + sum(one.extra for one in bodies) + FRAME


def _system(system: Sequence[BaseMessage], tools: Sequence[Any], info: ModelInfo, *, thinks: bool) -> int:
    """Counts the system message, the tools that stand in it, and what thinking adds to it."""
    facts = TEMPLATES[info.template]
    total = _definitions(tools, info) if tools else 0
    if thinks and facts.thinking_text:
        total += facts.thinking_text + (BLANK_LINE if tools or system else 0)
    if system:
        ending = "\n\n" if tools and not facts.tools_first else ""
        total += BLANK_LINE if tools and facts.tools_first else 0
        return total + _group(system, info, high_resolution=False, ending=ending)
    if total:
        total += FRAME + count("system\n", info.vocabulary) + (facts.lone_tools_text if tools else 0)
    return total


def _definitions(tools: Sequence[Any], info: ModelInfo) -> int:
    from langchain_core.utils.function_calling import convert_to_openai_tool

    facts = TEMPLATES[info.template]
    total = facts.tools_text
    for tool in tools:
        text = tool_text(convert_to_openai_tool(tool), facts)
        key = (_style(info.family, info.template), "tool", _hash(text).digest())
        total += facts.each_tool + _counts.get(key, partial(count, text, info.vocabulary))
    return total


def _thoughts(messages: Sequence[BaseMessage], info: ModelInfo, sent: Literal["none", "open_turn", "all"]) -> int:
    """Counts thinking blocks of earlier answers: those sent back, and those a template writes empty."""
    facts = TEMPLATES[info.template]
    newest_user = max((at for at, one in enumerate(messages) if role_of(one) == "user"), default=-1)
    total = 0
    for at, message in enumerate(messages):
        if not isinstance(message, AIMessage):
            continue
        is_open = at > newest_user
        thought = message.additional_kwargs.get("reasoning_content")
        if thought and (sent == "all" or (sent == "open_turn" and is_open)):
            total += FULL_THOUGHT + count(thought, info.vocabulary)
        elif _thinks_always(message, facts) or (facts.empty_thought == "open_turn" and is_open):
            total += EMPTY_THOUGHT
    return total


def _thinks_always(message: BaseMessage, facts: TemplateFacts) -> bool:
    return facts.empty_thought == "always" and isinstance(message, AIMessage)


def _digest(message: BaseMessage) -> bytes:
    """A hash of all that is counted of a message: equal messages have one, whatever object they are."""
    content = message.content
    role = role_of(message)
    digest = _hash(f"{role}\0{content}") if isinstance(content, str) else _hash(f"{role}\1{_plain(content)}")
    if isinstance(message, AIMessage):
        calls = [*message.tool_calls, *message.invalid_tool_calls] or message.additional_kwargs.get("tool_calls")
        if calls:
            digest.update(b"\2" + _hash(_plain(calls)).digest())
    return digest.digest()


def _plain(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, default=repr)


def _hash(text: str) -> blake2b:
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16)


@lru_cache(maxsize=1024)
def _style(family: str, template: str, *, high_resolution: bool = False) -> bytes:
    """What makes one message count differently: vocabulary, template and the rules for media."""
    return blake2b(f"{family}\0{template}\0{high_resolution}".encode(), digest_size=16).digest()
