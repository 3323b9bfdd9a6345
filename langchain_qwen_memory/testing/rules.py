"""The rules of the compatible protocol: what the service refuses, in its own words."""

from collections.abc import Mapping, Sequence
from math import inf
from typing import Any

from langchain_qwen_memory.testing.refusals import Refusal, invalid
from langchain_qwen_memory.testing.request import MEDIA, ChatRequest

ROLES = ("system", "developer", "user", "assistant", "tool")
"""The roles a message can have."""

UNREADABLE_PART = "The provided messages input is invalid. The error info is [Unexpected item type in content.]"
"""What is said of a content part that the model cannot read, as a picture for a text model."""

RANGES: Mapping[str, tuple[float, float, str]] = {
    "temperature": (0, 2 - 1e-9, "Temperature should be in [0.0, 2.0)"),
    "top_p": (1e-9, 1, "Range of top_p should be (0.0, 1.0]"),
    "presence_penalty": (-2, 2, "Presence_penalty should be in [-2.0, 2.0]"),
    "repetition_penalty": (1e-9, inf, "Repetition_penalty should be greater than 0.0"),
    "top_k": (0, inf, "Parameter top_k be greater than or equal to 0"),
    "n": (1, 4, "Range of n should be [1, 4]"),
    "seed": (0, 2**63 - 1, "Range of seed should be [0, 9223372036854775807]"),
}
"""Parameter -> the least and the most it can be, and what the service says if it is not."""


def check_messages(body: Mapping[str, Any]) -> None:
    """Refuses messages and tools that cannot even be read, on any server.

    Raises:
        Refusal: They are absent, empty, of an unknown role or not of the protocol's shape.
    """
    messages = body.get("messages")
    if messages is None:
        raise invalid('Either "prompt" or "messages" must exist and cannot both be none')
    if not isinstance(messages, list) or not messages:
        raise invalid("[] is too short - 'messages'")
    for message in messages:
        _check_message(message)
    for tool in body.get("tools") or ():
        if not isinstance(tool, dict) or not (tool.get("function") or {}).get("name"):
            raise invalid("Required body invalid, please check the request body format.")


def _check_message(message: Any) -> None:
    if not isinstance(message, dict) or message.get("role") not in ROLES:
        raise invalid("Input should be a valid dictionary or instance of GPT3Message")
    content, calls = message.get("content"), message.get("tool_calls") or ()
    if content is None and not calls:
        raise invalid("The content field is a required field.", algorithm=True)
    if content is not None and not isinstance(content, str | list):
        raise invalid("input content must be a string.", algorithm=True)
    if isinstance(content, list) and not all(isinstance(part, dict) and "type" in part for part in content):
        raise invalid(UNREADABLE_PART, algorithm=True)
    for call in calls:
        if not isinstance(call, dict) or not call.get("id") or not (call.get("function") or {}).get("name"):
            raise invalid("Required body invalid, please check the request body format.")


def _check_tool_turns(messages: Sequence[Mapping[str, Any]]) -> None:
    waiting: list[Any] = []
    called = False
    for index, message in enumerate(messages):
        if message["role"] == "tool":
            for answered in _answered(message):
                if not called or answered not in waiting:
                    raise invalid(
                        'messages with role "tool" must be a response to a preceeding message with "tool_calls".',
                        algorithm=True,
                    )
                waiting.remove(answered)
            continue
        if waiting:
            raise _unanswered(index)
        called = bool(message.get("tool_calls"))
        waiting = [call.get("id") for call in message.get("tool_calls") or ()]
    if waiting:
        raise _unanswered(len(messages))


def _answered(message: Mapping[str, Any]) -> list[Any]:
    """The calls that a tool's message answers: one, or one in each content block that says which."""
    content = message.get("content")
    parts = content if isinstance(content, list) else []
    within = [part["tool_call_id"] for part in parts if part.get("tool_call_id")]
    return within or [message.get("tool_call_id")]


def _unanswered(index: int) -> Refusal:
    return invalid(
        'An assistant message with "tool_calls" must be followed by tool messages responding to each "tool_call_id". '
        f"The following tool_call_ids did not have response messages: message[{index}].role",
        algorithm=True,
    )


def check(request: ChatRequest, *, content_lists: bool) -> None:
    """Refuses what DashScope or this model does not take.

    Args:
        request: The request.
        content_lists: Whether a text model takes a list of text parts as content.

    Raises:
        Refusal: With the service's own status, code and text.
    """
    _check_tool_turns(request.messages)
    if not any(said.role == "user" for said in request.said):
        raise invalid("The input messages do not contain elements with the role of user.", algorithm=True)
    _check_numbers(request)
    _check_stream(request)
    _check_thinking(request)
    _check_tools(request)
    _check_format(request)
    _check_media(request, content_lists=content_lists)


def _check_numbers(request: ChatRequest) -> None:
    body = request.body
    for name, (least, most, text) in RANGES.items():
        value = body.get(name)
        if value is None:
            continue
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise invalid(f"'{name}' must be Float", algorithm=True)
        if not least <= value <= most:
            raise invalid(text, algorithm=True)
    for name in ("max_tokens", "max_completion_tokens"):
        extra = request.info.max_thinking or 0 if name == "max_completion_tokens" else 0
        limit, value = request.info.max_output + extra, body.get(name)
        if value is not None and not (isinstance(value, int) and 1 <= value <= limit):
            raise invalid(f"Range of {name} should be [1, {limit}]", algorithm=True)


def _check_stream(request: ChatRequest) -> None:
    if request.body.get("stream_options") and not request.stream:
        raise invalid("'stream_options' only set this when you set stream: true", algorithm=True)
    if request.info.streams_only and not request.stream:
        raise invalid("This model only support stream mode, please enable the stream parameter to access the model. ")


def _check_thinking(request: ChatRequest) -> None:
    body, info = request.body, request.info
    asked, budget, effort = (body.get(key) for key in ("enable_thinking", "thinking_budget", "reasoning_effort"))
    if asked is False and info.thinking == "always":
        raise invalid("The value of the enable_thinking parameter is restricted to True.", algorithm=True)
    if request.thinking and request.messages[-1].get("partial"):
        raise invalid("The partial mode is not supported when enable_thinking is true", algorithm=True)
    if request.thinking and info.thinking_streams_only and not request.stream:
        raise invalid("parameter.enable_thinking must be set to false for non-streaming calls")
    most = info.max_thinking
    if budget is not None and most and not (isinstance(budget, int) and 0 < budget <= most):
        text = "The thinking_budget parameter must be a positive integer and not greater than"
        raise invalid(f"{text} {most}", algorithm=True)
    if budget is not None and effort is not None and info.reasoning_effort:
        raise invalid("reasoning_effort and thinking_budget cannot be set at the same time", algorithm=True)


def _check_tools(request: ChatRequest) -> None:
    choice = request.body.get("tool_choice")
    if isinstance(choice, str) and choice not in ("none", "auto", "required"):
        raise invalid('tool_choice is one of the strings that should be ["none", "auto"]', algorithm=True)
    if request.tools and not request.info.tools:
        raise invalid("The tool call is not supported.", algorithm=True)
    if request.thinking and (isinstance(choice, dict) or choice == "required"):
        raise invalid(
            "The tool_choice parameter does not support being set to required or object in thinking mode",
            algorithm=True,
        )
    names = [tool.get("name") for tool in request.tools]
    if isinstance(choice, dict) and (choice.get("function") or {}).get("name") not in names:
        raise invalid("tool_choice names a function that is not in tools", algorithm=True)


def _check_format(request: ChatRequest) -> None:
    if request.format == "text":
        return
    if request.format not in ("json_object", "json_schema"):
        raise invalid(
            "Unknown format of response_format, response_format should be a dict, includes 'type' and an optional key "
            f"'json_schema'. The response_format type from user is {request.format}.",
            algorithm=True,
        )
    if request.thinking and not request.info.json_schema:
        raise invalid("Json mode response is not supported when enable_thinking is true", algorithm=True)
    if request.format == "json_object" and not any("json" in said.text.lower() for said in request.said):
        raise invalid(
            "'messages' must contain the word 'json' in some form, to use 'response_format' of type 'json_object'.",
            algorithm=True,
        )


def _check_media(request: ChatRequest, *, content_lists: bool) -> None:
    for message, said in zip(request.messages, request.said, strict=True):
        parts = message["content"] if isinstance(message.get("content"), list) else []
        unknown = any(part["type"] not in (*MEDIA, "text") for part in parts)
        if unknown or any(kind not in request.info.inputs for kind in said.media):
            raise invalid(UNREADABLE_PART, algorithm=True)
        if parts and not content_lists and request.info.inputs == {"text"}:
            raise invalid("input content must be a string.", algorithm=True)
    turns = sum(said.role == "user" for said in request.said)
    if not request.info.multi_turn and turns > 1:
        raise invalid("messages length only support 1", algorithm=True)
