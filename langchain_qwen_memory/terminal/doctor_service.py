"""What `doctor` asks of the service: is there a key, does the endpoint answer, may the key use the model there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from langchain_qwen_memory.terminal.options import DEFAULT_MODEL, ChatOptions
from langchain_qwen_memory.terminal.say import Say

if TYPE_CHECKING:
    from langchain_qwen_memory.chat_models import ChatQwen

_SECONDS = 10.0
"""How long a server may take before it counts as unreachable."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Check:
    """What was found at one place."""

    name: str
    """key, endpoint, reachable, model, tokenizer, archive, checkpoints or embeddings."""
    ok: bool | None
    """None: it could not be looked at, because of an earlier one."""
    text: str
    """What was found."""
    fix: str = ""
    """What to do; empty where nothing is wrong."""


def key_check(options: ChatOptions, say: Say) -> Check:
    """Whether there is a key, and whether it looks like one; it is never shown."""
    if options.is_own:
        return Check(name="key", ok=True, text=say("key_own"))
    key = options.api_key
    if not key:
        return Check(name="key", ok=False, text=say("key_none"), fix=say("key_none_fix"))
    if not _plain(key):
        return Check(name="key", ok=False, text=say("key_odd"), fix=say("key_odd_fix"))
    return Check(name="key", ok=True, text=say("key_there", n=len(key)))


def _plain(key: str) -> bool:
    """Whether a key can be one: nothing but visible ASCII, without spaces."""
    return key.isascii() and key.isprintable() and " " not in key


def endpoint_check(options: ChatOptions, say: Say) -> tuple[ChatQwen | None, Check]:
    """Where the service is, and the model there; None if the options name no such place."""
    from langchain_qwen_memory.chat_models import ChatQwen
    from langchain_qwen_memory.qwen.endpoints import region_of, shown_url

    given: dict[str, Any] = {
        "model": options.model or DEFAULT_MODEL,
        "base_url": options.base_url,
        "server": options.server,
        "region": options.region,
        "workspace": options.workspace,
        "api_key": options.api_key if options.api_key and _plain(options.api_key) and not options.is_own else "EMPTY",
    }
    try:
        model = ChatQwen(
            **{name: value for name, value in given.items() if value is not None},
            max_retries=0,
            timeout=_SECONDS,
            max_tokens=1,
        )
    except ValueError as error:
        return None, Check(name="endpoint", ok=False, text=one_line(error), fix=say("endpoint_fix"))
    url = _url(model)
    region = region_of(url)
    text = say("endpoint_region", url=shown_url(url), region=region) if region else shown_url(url)
    return model, Check(name="endpoint", ok=True, text=text)


def _url(model: ChatQwen) -> str:
    return str(model.openai_api_base or "")


def reach_check(model: ChatQwen, say: Say) -> Check:
    """Whether anything answers there; what it answers does not matter yet, and the key is not sent."""
    import httpx

    from langchain_qwen_memory.qwen.endpoints import shown_url

    url = _url(model)
    try:
        status = httpx.get(f"{url.rstrip('/')}/models", timeout=_SECONDS).status_code
    except (httpx.HTTPError, httpx.InvalidURL, OSError) as error:
        fix = say("unreached_fix", url=shown_url(url))
        return Check(name="reachable", ok=False, text=f"{type(error).__name__}: {one_line(error)}", fix=fix)
    return Check(name="reachable", ok=True, text=say("reached", status=status))


def model_check(model: ChatQwen, options: ChatOptions, say: Say) -> Check:
    """Ask it for one token: the only way to know whether this key may use this model here."""
    from langchain_qwen_memory.catalogue import model_info
    from langchain_qwen_memory.qwen.model_errors import QwenAuthenticationError

    name = options.model or DEFAULT_MODEL
    try:
        model.invoke("1", enable_thinking=False) if model_info(name).known else model.invoke("1")
    except QwenAuthenticationError as error:
        return Check(name="model", ok=False, text=one_line(error), fix=_region_fix(_url(model), options, say))
    except Exception as error:  # noqa: BLE001 - whatever it is, it is told
        fix = _model_fix(error, name, options, say)
        return Check(name="model", ok=False, text=f"{type(error).__name__}: {one_line(error)}", fix=fix)
    if options.is_own or model_info(name).known:
        return Check(name="model", ok=True, text=say("model_answers", model=name))
    return Check(name="model", ok=True, text=say("model_unknown", model=name))


def _region_fix(url: str, options: ChatOptions, say: Say) -> str:
    """A key holds in one region only: try the others of the service's own, and say which it is."""
    from langchain_qwen_memory.qwen.endpoints import other_regions, region_of

    if region_of(url) is None or not options.api_key:
        return say("key_refused_fix")
    for region, other in other_regions(url).items():
        if _accepts(other, options.api_key):
            return say("wrong_region_fix", region=region, url=other)
    return say("key_refused_fix")


def _accepts(url: str, key: str) -> bool:
    import httpx

    try:
        answer = httpx.get(f"{url}/models", headers={"Authorization": f"Bearer {key}"}, timeout=_SECONDS)
    except (httpx.HTTPError, OSError):
        return False
    return answer.is_success


def _model_fix(error: Exception, name: str, options: ChatOptions, say: Say) -> str:
    from langchain_qwen_memory.qwen import model_errors as kinds

    fixes: list[tuple[type[Exception], str]] = [
        (kinds.QwenModelNotFoundError, "own_model_fix" if options.is_own else "model_fix"),
        (kinds.QwenArrearsError, "arrears_fix"),
        (kinds.QwenPermissionDeniedError, "permission_fix"),
        (kinds.QwenRateLimitError, "rate_fix"),
        (kinds.QwenTimeoutError, "timeout_fix"),
    ]
    key = next((key for kind, key in fixes if isinstance(error, kind)), "other_fix")
    return say(key, model=name)


def one_line(error: BaseException) -> str:
    """An error's text on one line."""
    return " ".join(str(error).split()) or type(error).__name__
