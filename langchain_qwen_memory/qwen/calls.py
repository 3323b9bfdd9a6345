"""One call of a Qwen server: where it goes, what is sent, and how its answer is read."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

from langchain_core.outputs import ChatResult
from pydantic import SecretStr, ValidationError

from langchain_qwen_memory.qwen.endpoints import Server, ServerKind, endpoint_url, region_of, server_of, shown_url
from langchain_qwen_memory.qwen.model_errors import QwenConnectionError, QwenResponseError, service_errors
from langchain_qwen_memory.qwen.reading import AnswerReader, UnreadableError, read_completion
from langchain_qwen_memory.qwen.transport import RAW, request_to, whole_answer
from langchain_qwen_memory.qwen.wire import Request

__all__ = ["CONNECTION", "Call", "Link", "ThinkingTags", "clear_key", "common_names", "resolve_url"]

ThinkingTags = Literal["auto", "open", "off"]
"""How thinking is looked for in the text: by the catalogue, from the text's very beginning, or not at all."""

CONNECTION = frozenset(
    {
        *("api_key", "base_url", "region", "workspace", "server", "timeout", "max_retries"),
        *("http_client", "http_async_client", "default_headers", "default_query", "extra_headers", "extra_query"),
    }
)
"""Options that say how a request travels; never part of its body, nor of what is traced."""

_OTHER_NAMES = {
    "dashscope_api_key": "api_key",
    "openai_api_key": "api_key",
    "api_base": "base_url",
    "openai_api_base": "base_url",
    "request_timeout": "timeout",
    "model_name": "model",
    "stop_sequences": "stop",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Link:
    """Where a model object's calls go unless one says otherwise."""

    url: str = field(repr=False)
    """Base URL; some hold a password."""
    server: Server
    """What the user said of the server."""
    key: str = field(repr=False)
    """The key in clear."""
    key_is_the_services: bool = False
    """The key is DASHSCOPE_API_KEY's: it is sent to the service and to no other server."""

    @property
    def kind(self) -> ServerKind:
        """What the server is taken to be."""
        return server_of(self.url, self.server)

    @property
    def sent_key(self) -> str:
        """The key as this server gets it; empty: it gets none."""
        return "" if self.key_is_the_services and self.kind != "dashscope" else self.key

    def with_options(self, options: Mapping[str, Any]) -> "Link":
        """Returns the link of a call that has connection options of its own."""
        if options.keys() & {"base_url", "region", "workspace"}:
            url = resolve_url(**{k: options.get(k) for k in ("base_url", "region", "workspace")})
        else:
            url = self.url
        given = clear_key(options.get("api_key"))
        return Link(
            url=url,
            server=options.get("server", self.server),
            key=given or self.key,
            key_is_the_services=self.key_is_the_services and not given,
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class Call:
    """A request on its way."""

    link: Link
    """Where it goes."""
    request: Request
    """What is sent."""
    tags: ThinkingTags
    """How thinking is looked for in the text of its answer."""
    usage: bool
    """A stream is asked for token counts."""
    own: Mapping[str, Any] = field(repr=False)
    """This call's own connection options, without aliases; a key may be among them."""

    def body(self, *, stream: bool) -> dict[str, Any]:
        """Returns the JSON body, of a whole answer or a stream."""
        if not stream:
            return self.request.body
        options = ({"include_usage": True} if self.usage else {}) | self.request.stream_options
        return {**self.request.body, "stream": True, **({"stream_options": options} if options else {})}

    def arguments(self, stream_cls: Any) -> dict[str, Any]:
        """Returns what the SDK's `post` takes, for a stream of the given class, or for a whole answer."""
        own = self.own
        if stream_cls and (self.request.body.get("n") or 1) > 1:
            raise ValueError(
                f"n={self.request.body['n']} choices cannot come as a stream, which brings one: give n=1, or ask "
                f"several times, with model.batch([question] * {self.request.body['n']})."
            )
        options: dict[str, Any] = {"headers": {**(own.get("extra_headers") or {}), **({} if stream_cls else RAW)}}
        if own.get("extra_query"):
            options["params"] = dict(own["extra_query"])
        asked = {"path": "/chat/completions", "cast_to": object, "options": options}
        asked["body"] = self.body(stream=stream_cls is not None)
        return asked | ({"stream": True, "stream_cls": stream_cls} if stream_cls else {})

    def client_options(self, http_client: str) -> dict[str, Any]:
        """Returns what this call changes of the client: options of the SDK's `with_options`.

        Args:
            http_client: Which of the two is meant, `http_client` or `http_async_client`.
        """
        names = ("timeout", "max_retries", "default_headers", "default_query")
        changed = {name: self.own[name] for name in names if name in self.own}
        if self.own.get(http_client) is not None:
            changed["http_client"] = self.own[http_client]
        if self.own.keys() & {"base_url", "region", "workspace"}:
            changed["base_url"] = self.link.url
        if self.own.keys() & {"api_key", "base_url", "region", "workspace", "server"}:
            changed["api_key"] = self.link.sent_key or "none"
        return changed

    @contextmanager
    def errors(self) -> Iterator[None]:
        """Raises what goes wrong inside as this package's error classes."""
        with service_errors(self.link.url, secrets=(self.link.key,), kind=self.link.kind):
            try:
                yield
            except (UnreadableError, UnicodeDecodeError, ValidationError, RecursionError) as error:
                text = f"{shown_url(self.link.url)} answered in a form that cannot be read: {error}"
                raise QwenResponseError(text, request_to(self.link.url), body=None) from error

    def reader(self) -> AnswerReader:
        """Returns a reader for the answer as a stream."""
        return AnswerReader(opens=self._opens, told_off=self.request.told_off, looks=self.tags != "off")

    def check_end(self, reader: AnswerReader, events: Any) -> None:
        """Raises if the stream ended though neither the model nor the server had said so, or had no answer in it."""
        request = events.response.request
        if reader.finish_reason is None and not events.done:
            raise QwenConnectionError(message="The stream broke off before the answer was complete.", request=request)
        if not reader.began:
            url = shown_url(self.link.url)
            raise QwenResponseError(f"{url} answered with a stream without choices.", request, body=None)

    def collected(self, reader: AnswerReader, events: Any) -> ChatResult:
        """Returns the whole answer that a stream has brought, of models that answer in no other way."""
        self.check_end(reader, events)
        reader.close()
        return reader.result()

    def read(self, raw: Any) -> ChatResult:
        """Reads a whole answer."""
        return read_completion(
            whole_answer(raw.http_response),
            opens=self._opens,
            told_off=self.request.told_off,
            looks=self.tags != "off",
        )

    @property
    def _opens(self) -> bool:
        return self.tags == "open" or (self.tags == "auto" and self.request.opens)


def common_names(options: Mapping[str, Any]) -> dict[str, Any]:
    """Returns options under this package's names, where callers use another package's for the same."""
    return {_OTHER_NAMES.get(name, name): value for name, value in options.items()}


def resolve_url(*, base_url: str | None, region: str | None, workspace: str | None) -> str:
    """Returns the URL that is meant. Region and workspace come before one of Alibaba's own URLs.

    Raises:
        ValueError: If the URL of another server is given together with a region or workspace.
    """
    if base_url and (region or workspace) and (home := region_of(base_url)):
        return endpoint_url(region=region or home, workspace=workspace)
    if base_url and (region or workspace):
        raise ValueError(
            f"base_url={shown_url(base_url)!r} and region={region!r}, workspace={workspace!r} both say where to call: "
            "give base_url alone, or region and workspace."
        )
    return base_url or endpoint_url(region=region, workspace=workspace)


def clear_key(key: Any) -> str:
    """Returns a key as it is sent, without blanks around it; empty if there is none.

    Raises:
        ValueError: If it holds what no header can carry, such as a placeholder in Chinese. The key is not shown.
    """
    clear = (key.get_secret_value() if isinstance(key, SecretStr) else key or "").strip()
    if not (clear.isascii() and clear.isprintable()) or " " in clear:
        raise ValueError(
            "The key holds characters that no key has (a blank, a line break, or letters beyond ASCII). "
            "Look at DASHSCOPE_API_KEY or api_key=...; keys begin with sk-."
        )
    return clear
