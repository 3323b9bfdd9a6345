"""Reads a chat request of DashScope's own protocol, and what the service refuses in that protocol only."""

from collections.abc import Mapping
from typing import Any

from langchain_qwen_memory.catalogue import ModelInfo
from langchain_qwen_memory.testing.native import NativeRefusal
from langchain_qwen_memory.testing.refusals import invalid
from langchain_qwen_memory.testing.request import ChatRequest
from langchain_qwen_memory.testing.wire import Call

KINDS = ("text", "image", "video", "audio")
"""A content part has one of these as key, where the compatible protocol has a type."""

PLACES = ("http://", "https://", "data:")
"""How a medium begins that the service can read."""

NEWER = frozenset({"qwen3-max", "qwen3-max-preview", "qwen3-vl-plus", "qwen3-vl-flash"})
"""Beside the models that think unasked, those that stream increments and answer with a message unless told not to."""

MESSAGE_ONLY = frozenset({"qwen-long"})
"""Answers with a message by default, though it streams the whole text so far."""


def flat(call: Call, body: dict[str, Any]) -> dict[str, Any]:
    """The body in the compatible protocol's form, with its own `input` and `parameters` left in it.

    A stream is asked for by header; `stream` among the parameters says nothing to the service.
    """
    given = body.get("input")
    parameters = body.get("parameters")
    given, parameters = (one if isinstance(one, Mapping) else {} for one in (given, parameters))
    sse = call.headers.get("x-dashscope-sse", "").lower() == "enable"
    stream = sse or "text/event-stream" in call.headers.get("accept", "")
    told = {**parameters, **body, "stream": stream}
    messages = _messages(given)
    return told if messages is None else {**told, "messages": messages}


def _messages(given: Mapping[str, Any]) -> Any:
    """The messages; a `prompt` is a message of the user, after the `history` of older requests."""
    messages = given.get("messages")
    if messages is None and isinstance(given.get("prompt"), str) and given["prompt"]:
        messages = [*_history(given.get("history")), {"role": "user", "content": given["prompt"]}]
    if not isinstance(messages, list):
        return messages
    return [_message(one) if isinstance(one, Mapping) else one for one in messages]


def _history(history: Any) -> list[dict[str, Any]]:
    pairs = [one for one in history or () if isinstance(one, Mapping)]
    roles = {"user": "user", "bot": "assistant"}
    return [{"role": role, "content": pair[key]} for pair in pairs for key, role in roles.items() if pair.get(key)]


def _message(message: Mapping[str, Any]) -> dict[str, Any]:
    content = message.get("content")
    parts = [_part(part) for part in content] if isinstance(content, list) else content
    return {**message, "content": parts}


def _part(part: Any) -> Any:
    """A part with a type, as the compatible protocol has it: `{"image": url}` is `{"type": "image", "image": url}`."""
    if not isinstance(part, Mapping) or "type" in part:
        return part
    kind = next((kind for kind in KINDS if kind in part), None)
    return {"type": kind, **part} if kind else part


def is_multimodal(info: ModelInfo) -> bool:
    """Whether a model is called on the multimodal path: it takes more than text, as Qwen3.5 and later do."""
    return info.inputs != {"text"}


def newer(info: ModelInfo) -> bool:
    """Whether increments and a message are this model's default; documented up to Qwen3, assumed after it."""
    return info.thinking in ("by_default", "always") or info.family in NEWER


def incremental(request: ChatRequest) -> bool:
    """Whether each event of a stream holds only what is new."""
    if request.info.whole_chunks:
        return False
    asked = request.body.get("incremental_output")
    return newer(request.info) if asked is None else bool(asked)


def as_message(request: ChatRequest) -> bool:
    """Whether the answer is a message in `choices`, not a bare `text`.

    Tools and more than one answer need a message; what the service does where they are asked for with `text` is not
    known.
    """
    if is_multimodal(request.info) or request.tools or (request.body.get("n") or 1) > 1:
        return True
    asked = request.body.get("result_format")
    default = newer(request.info) or request.thinking or request.info.family in MESSAGE_ONLY
    return default if asked is None else asked == "message"


def check_body(call: Call, body: Mapping[str, Any]) -> None:
    """Refuses a body without a model, messages that are an empty list, and parts that carry nothing known.

    A place in the service's own store is known only where the header asks to resolve it.

    Raises:
        NativeRefusal: In the service's words.
    """
    if not body.get("model"):
        raise NativeRefusal(400, "BadRequest.EmptyModel", 'Required parameter "model" missing from request.')
    if body.get("messages") == []:
        text = "Role must be user or assistant and Content length must be greater than 0"
        raise NativeRefusal(400, "InvalidParameter", text)
    contents = [one.get("content") for one in body.get("messages") or () if isinstance(one, Mapping)]
    parts = [part for content in contents if isinstance(content, list) for part in content]
    if not all(isinstance(part, Mapping) and any(kind in part for kind in KINDS) for part in parts):
        raise invalid("The item of content should be a message of a certain modal.", algorithm=True)
    resolves = call.headers.get("x-dashscope-ossresourceresolve", "").lower() == "enable"
    known = (*PLACES, "oss://") if resolves else PLACES
    given = [part.get(kind) for part in parts for kind in KINDS[1:]]
    media = [one for medium in given for one in (medium if isinstance(medium, list) else [medium])]
    if not all(medium is None or str(medium).startswith(known) for medium in media):
        text = "The provided URL does not appear to be valid. Ensure it is correctly formatted."
        raise invalid(text, algorithm=True)


def check(request: ChatRequest, *, multimodal: bool) -> None:
    """Refuses a model on the other path, and forms of answer that thinking does not come in.

    Args:
        request: The request.
        multimodal: Whether it came on the multimodal path.

    Raises:
        Refusal: In the service's words.
    """
    if is_multimodal(request.info) != multimodal:
        raise invalid("url error, please check url！")
    if "search" in [tool.get("name") for tool in request.tools]:
        raise invalid("Tool names are not allowed to be [search]", algorithm=True)
    if request.stream and request.thinking and not incremental(request):
        raise invalid('The incremental_output parameter must be "true" when enable_thinking is true', algorithm=True)
    if request.stream and request.info.thinking_streams_only and not incremental(request):
        raise invalid("The incremental_output parameter of this model cannot be set to False.", algorithm=True)
    if request.thinking and not as_message(request):
        raise invalid('The result_format parameter must be "message" when enable_thinking is true', algorithm=True)
