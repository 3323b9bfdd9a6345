"""The bodies of DashScope's own protocol, key by key in the order in which the service sends them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from langchain_qwen_memory.testing.answers import AROUND_THINKING, Answer, Tally, ToolCall
from langchain_qwen_memory.testing.native_request import as_message, is_multimodal
from langchain_qwen_memory.testing.request import ChatRequest
from langchain_qwen_memory.testing.spelling import logprobs


@dataclass(frozen=True, kw_only=True, slots=True)
class Form:
    """In which of its forms the protocol writes an answer."""

    multimodal: bool
    """Content is a list of parts, and usage counts kinds of tokens apart."""
    message: bool
    """The answer is a message in `choices`; else a bare text."""
    indexed: bool
    """Each choice says which it is: where there are tools or several answers."""
    search: str | None
    """The strategy of the search that was asked for; None: none."""
    sources: bool
    """The sources of the search are asked for."""

    @classmethod
    def of(cls, request: ChatRequest) -> "Form":
        """The form that a request asks for."""
        body, multimodal = request.body, is_multimodal(request.info)
        options = body.get("search_options") or {}
        several = (body.get("n") or 1) > 1
        return cls(
            multimodal=multimodal,
            message=as_message(request),
            indexed=several or (bool(request.tools) and not multimodal),
            search=str(options.get("search_strategy", "turbo")) if body.get("enable_search") else None,
            sources=bool(body.get("enable_search") and options.get("enable_source")),
        )


def whole(answer: Answer, form: Form, sources: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The body of an answer that is not streamed."""
    counted = usage(answer.tally, form) if answer.usage is None else answer.usage
    if not form.message:
        output: dict[str, Any] = {"finish_reason": answer.finish_reason, "text": answer.content}
    else:
        output = {"choices": [_choice(answer, form, index) for index in range(answer.copies)]}
    if form.sources:
        output["search_info"] = {"search_results": list(sources)}
    return {"output": output, "usage": counted, "request_id": answer.request_id}


def _choice(answer: Answer, form: Form, index: int) -> dict[str, Any]:
    calls = [_whole_call(call, at) for at, call in enumerate(answer.calls)]
    message: dict[str, Any] = {"content": content(answer.content, form)}
    if answer.reasoning is not None:
        message["reasoning_content"] = answer.reasoning
    message |= {"role": "assistant", **({"tool_calls": calls} if calls else {})}
    place = {"index": index} if form.indexed else {}
    told = logprobs(answer.content, answer.spelling, top=answer.top_logprobs) if answer.logprobs else None
    spelled = {} if told is None else {"logprobs": told}
    return {"finish_reason": answer.finish_reason, **place, **spelled, "message": message}


def _whole_call(call: ToolCall, at: int) -> dict[str, Any]:
    function = {"arguments": call.arguments, "name": call.name}
    return {"function": function, "id": call.id, "index": at, "type": "function"}


def content(text: str, form: Form) -> Any:
    """The content of a message: a text, or a list of parts that is empty where nothing is said."""
    if not form.multimodal:
        return text
    return [{"text": text}] if text else []


def usage(tally: Tally, form: Form) -> dict[str, Any]:
    """The usage object of a whole answer."""
    thought = None if tally.thought is None else tally.thought * tally.copies
    return counted(tally, form, output=tally.output, thought=thought)


def counted(tally: Tally, form: Form, *, output: int, thought: int | None) -> dict[str, Any]:
    """The usage object at one point of an answer.

    Args:
        tally: What the request costs.
        form: The form of the answer.
        output: Tokens of the output up to this point.
        thought: Of these, thinking; None where the model does not think.
    """
    sums = {"total_tokens": tally.prompt + output, "output_tokens": output, "input_tokens": tally.prompt}
    plugins = {"plugins": {"search": {"count": 1, "strategy": form.search}}} if form.search else {}
    reasoning = {} if thought is None else {"reasoning_tokens": thought}
    if not form.multimodal:
        details = {"output_tokens_details": reasoning} if reasoning else {}
        return {**sums, **details, **plugins, "prompt_tokens_details": tally.details}
    media = {f"{kind}_tokens": tokens for kind, tokens in tally.media.items()}
    return {
        "input_tokens_details": {**media, "text_tokens": tally.prompt - sum(media.values())},
        "prompt_tokens_details": tally.details,
        **sums,
        "output_tokens_details": {**reasoning, "text_tokens": output - (thought or 0)},
        **plugins,
        **media,
    }


def spent(tally: Tally, *, thought: int, said: int, ended: bool) -> int:
    """Tokens of one answer's output up to a point; the tags count as soon as the thinking is over.

    Args:
        tally: What the request costs.
        thought: Tokens of the thinking so far.
        said: Tokens of the text and the calls so far.
        ended: Whether the answer is at its end.
    """
    over = tally.thought is not None and (said > 0 or ended)
    return thought + said + (AROUND_THINKING if over else 0)
