"""Writes a request as the server at hand takes it: the one place that knows how servers of Qwen differ."""

import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from langchain_core.messages import AIMessage, BaseMessage

from langchain_qwen_memory.catalogue import ModelInfo, model_info
from langchain_qwen_memory.qwen.endpoints import ServerKind
from langchain_qwen_memory.qwen.media_rules import check_media
from langchain_qwen_memory.qwen.rules import Plan, settle
from langchain_qwen_memory.qwen.structured import JSON_WORD, mentions_json, with_instruction
from langchain_qwen_memory.qwen.wire_messages import wire_messages

__all__ = ["KNOBS", "Planned", "Request", "merged", "plan_request", "wire_request"]

KNOBS = (
    "enable_thinking",
    "thinking_budget",
    "reasoning_effort",
    "preserve_thinking",
    "top_k",
    "repetition_penalty",
    "enable_search",
    "search_options",
    "character_options",
    "vl_high_resolution_images",
)
"""What Qwen has beyond OpenAI's parameters, by the names DashScope gave them."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Dialect:
    """How one kind of server is told Qwen's knobs, and how it is told of thinking in the conversation."""

    fields: Mapping[str, str] = field(default_factory=dict)
    """Knob -> its name in the body."""
    template: frozenset[str] = frozenset()
    """Knobs that go into `chat_template_kwargs`, where the model's own template reads them."""
    reasoning_fields: tuple[str, ...] = ("reasoning_content", "reasoning")
    """Under which names thinking is sent back; vLLM and Ollama read `reasoning`, others the older name."""


_SAMPLING = {
    "top_k": "top_k",
    "repetition_penalty": "repetition_penalty",
    "reasoning_effort": "reasoning_effort",
}
_TEMPLATE = frozenset({"enable_thinking", "preserve_thinking"})

_DIALECTS: dict[ServerKind, _Dialect] = {
    "dashscope": _Dialect(fields={knob: knob for knob in KNOBS}, reasoning_fields=("reasoning_content",)),
    "self-hosted": _Dialect(fields=_SAMPLING, template=_TEMPLATE),
    "vllm": _Dialect(fields=_SAMPLING | {"thinking_budget": "thinking_token_budget"}, template=_TEMPLATE),
    "sglang": _Dialect(fields=_SAMPLING, template=_TEMPLATE),
    "llama.cpp": _Dialect(fields=_SAMPLING | {"repetition_penalty": "repeat_penalty"}, template=_TEMPLATE),
    "ollama": _Dialect(fields={"reasoning_effort": "reasoning_effort"}, reasoning_fields=("reasoning",)),
    "openrouter": _Dialect(
        fields={"top_k": "top_k", "repetition_penalty": "repetition_penalty"}, reasoning_fields=("reasoning",)
    ),
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Request:
    """A request as it is sent, and what its answer must be read with."""

    body: dict[str, Any]
    """The JSON body, without what only a stream has."""
    stream_options: dict[str, Any]
    """What the caller said of a stream; refused where there is none."""
    must_stream: bool
    """The service answers it as a stream only."""
    opens: bool
    """The answer may begin inside thinking, see `ThinkingFilter`."""
    told_off: bool
    """Thinking was switched off."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Planned:
    """A request that is settled and not yet written: what it says beside the messages."""

    params: dict[str, Any]
    """OpenAI's parameters."""
    knobs: dict[str, Any]
    """Qwen's own; None: not said."""
    extra: dict[str, Any]
    """`extra_body`, without the knobs."""
    plan: Plan
    """What was decided."""
    preserves: bool
    """Thinking of earlier turns goes back too."""


def plan_request(
    messages: Sequence[BaseMessage],
    defaults: Mapping[str, Any],
    call: Mapping[str, Any],
    *,
    server: ServerKind,
) -> Planned:
    """Settles a request; arguments and errors as for `wire_request`."""
    params = {**defaults, **call}
    extra = merged(defaults.get("extra_body") or {}, params.pop("extra_body", None) or {})
    info = model_info(params["model"])
    knobs = _knobs(defaults, call, extra, server)
    params = {key: value for key, value in params.items() if key not in {*KNOBS, "stream"}}
    template = extra.get("chat_template_kwargs") or {}
    plan = settle(info, knobs, params, server=server, template=template, goes_on=_goes_on(messages))
    return Planned(params=params, knobs=knobs, extra=extra, plan=plan, preserves=_preserves(info, knobs, extra))


def _goes_on(messages: Sequence[BaseMessage]) -> bool:
    """Whether the last message is the beginning of the answer, which the model is to go on with."""
    last = messages[-1] if messages else None
    return isinstance(last, AIMessage) and bool(last.additional_kwargs.get("partial"))


def wire_request(
    messages: Sequence[BaseMessage],
    defaults: Mapping[str, Any],
    call: Mapping[str, Any],
    *,
    server: ServerKind,
) -> Request:
    """Writes a request.

    Args:
        messages: The conversation.
        defaults: Parameters of the model object, knobs and `extra_body` among them.
        call: Parameters of this call, which come before those; its `extra_body` is merged into theirs.
        server: What answers.

    Raises:
        ValueError: If a message or a parameter cannot be sent.
    """
    planned, dialect = plan_request(messages, defaults, call, server=server), _DIALECTS[server]
    params, plan = dict(planned.params), planned.plan
    if server == "dashscope":
        check_media(messages, model_info(params["model"]), params)
    stream_options = params.pop("stream_options", None) or {}
    written = wire_messages(
        messages,
        all_reasoning=planned.preserves,
        reasoning_fields=dialect.reasoning_fields,
        raw_audio=server != "dashscope",
    )
    body = {"model": params.pop("model"), "messages": _instructed(written, plan)}
    body |= {key: value for key, value in params.items() if value is not None}
    body = merged(merged(body, _spoken(planned.knobs, dialect, server)), planned.extra)
    return Request(
        body=body,
        stream_options=stream_options,
        must_stream=plan.must_stream,
        opens=plan.opens,
        told_off=plan.told_off,
    )


def merged(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    """Returns `old` with `new` over it; where both hold a dict under one key, those are merged too."""
    both = {
        k: merged(old[k], new[k])
        for k in old.keys() & new.keys()
        if isinstance(old[k], dict) and isinstance(new[k], dict)
    }
    return {**old, **new, **both}


def _knobs(
    defaults: Mapping[str, Any], call: Mapping[str, Any], extra: dict[str, Any], server: ServerKind
) -> dict[str, Any]:
    """Collects Qwen's knobs: the call's before `extra_body`'s before the object's; those in `extra_body` are taken out.

    On a server of one's own what stands in `extra_body` is that server's business, and stays.
    """
    lifted = {knob: extra.pop(knob) for knob in KNOBS if knob in extra} if server == "dashscope" else {}
    own = {knob: defaults[knob] for knob in KNOBS if defaults.get(knob) is not None}
    asked = lifted | {knob: call[knob] for knob in KNOBS if knob in call}
    for one, other in (("thinking_budget", "reasoning_effort"), ("reasoning_effort", "thinking_budget")):
        if asked.get(one) is not None and other not in asked:
            own.pop(other, None)
    knobs = {knob: value for knob, value in (own | asked).items() if value is not None}
    if server == "dashscope" and {"thinking_budget", "reasoning_effort"} <= knobs.keys():
        raise ValueError(
            f"thinking_budget={knobs['thinking_budget']} and reasoning_effort={knobs['reasoning_effort']!r} "
            "both say how much to think, and the service takes one of them: give one."
        )
    return knobs


def _preserves(info: ModelInfo, knobs: Mapping[str, Any], extra: Mapping[str, Any]) -> bool:
    """Whether the model reads the thinking of earlier turns: what was asked, or else the server's default.

    The default is left as it is and mirrored in what is sent: thinking without the switch would be paid for and
    dropped, the switch without thinking would do nothing.
    """
    template = extra.get("chat_template_kwargs") or {}
    asked = knobs.get("preserve_thinking", template.get("preserve_thinking"))
    return info.preserve_thinking == "on" if asked is None else bool(asked)


def _instructed(messages: list[dict[str, Any]], plan: Plan) -> list[dict[str, Any]]:
    messages = with_instruction(messages, plan.instruction)
    if plan.needs_json_word and not mentions_json(messages):
        return with_instruction(messages, JSON_WORD)
    return messages


def _spoken(knobs: Mapping[str, Any], dialect: _Dialect, server: ServerKind) -> dict[str, Any]:
    """Returns the knobs as the server takes them; warns of those it does not have."""
    knobs = {knob: value for knob, value in knobs.items() if value is not None}
    body = {dialect.fields[knob]: knobs[knob] for knob in knobs.keys() & dialect.fields.keys()}
    if template := {knob: knobs[knob] for knob in knobs.keys() & dialect.template}:
        body["chat_template_kwargs"] = template
    if own := _OWN_WORDS.get(server):
        body |= own(knobs)
    unsaid = knobs.keys() - dialect.fields.keys() - dialect.template - _SAID_OTHERWISE.get(server, frozenset())
    if unsaid:
        warnings.warn(
            f"A {server} server has no {', '.join(sorted(unsaid))}: not sent. If yours has, name it in extra_body.",
            UserWarning,
            stacklevel=2,
        )
    return body


def _ollama(knobs: Mapping[str, Any]) -> dict[str, Any]:
    """Ollama knows thinking by effort only, where none is off."""
    if "enable_thinking" not in knobs or "reasoning_effort" in knobs:
        return {}
    return {"reasoning_effort": "medium" if knobs["enable_thinking"] else "none"}


def _openrouter(knobs: Mapping[str, Any]) -> dict[str, Any]:
    names = {"enable_thinking": "enabled", "reasoning_effort": "effort", "thinking_budget": "max_tokens"}
    reasoning = {names[knob]: knobs[knob] for knob in names if knob in knobs}
    return {"reasoning": reasoning} if reasoning else {}


_OWN_WORDS: dict[ServerKind, Callable[[Mapping[str, Any]], dict[str, Any]]] = {
    "ollama": _ollama,
    "openrouter": _openrouter,
}
_SAID_OTHERWISE: dict[ServerKind, frozenset[str]] = {
    "ollama": frozenset({"enable_thinking"}),
    "openrouter": frozenset({"enable_thinking", "reasoning_effort", "thinking_budget"}),
}
