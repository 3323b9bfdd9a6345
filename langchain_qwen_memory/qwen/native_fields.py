"""The options of ChatDashScope beside those that both chat models have, and how they are settled."""

from typing import Any, Self

from langchain_core.utils import from_env, get_pydantic_field_names, secret_from_env
from pydantic import ConfigDict, Field, SecretStr, model_validator

from langchain_qwen_memory.qwen.answering import QwenAnswering
from langchain_qwen_memory.qwen.calls import Link, clear_key, resolve_url
from langchain_qwen_memory.qwen.endpoints import native_url, shown_url
from langchain_qwen_memory.qwen.native_transport import NativeClients

__all__ = ["NativeFields"]

_COMMON = (
    *("temperature", "top_p", "max_tokens", "stop", "n", "seed", "presence_penalty", "frequency_penalty"),
    *("logprobs", "top_logprobs", "logit_bias", "extra_body"),
)


class NativeFields(QwenAnswering):
    """Options of a chat model over DashScope's own protocol."""

    model_config = ConfigDict(hide_input_in_errors=True)

    model_name: str = Field(default="qwen-plus", alias="model")
    """Name of the model, as the service knows it."""

    api_key: SecretStr | None = Field(default_factory=secret_from_env("DASHSCOPE_API_KEY", default=None))
    """Key of the service, from DASHSCOPE_API_KEY if not given."""

    base_url: str | None = Field(
        default_factory=from_env(["DASHSCOPE_API_BASE", "DASHSCOPE_HTTP_BASE_URL"], default=None)
    )
    """Base URL, from DASHSCOPE_API_BASE or DASHSCOPE_HTTP_BASE_URL if not given; else `region` and `workspace` give it,
    else it is Beijing's. After construction: the URL that is called."""

    multimodal: bool | None = None
    """Whether calls go to multimodal generation, not to text generation; None: the catalogue says, and of models it
    does not know, whether a picture, film or sound is among the messages."""

    temperature: float | None = None
    """How freely it chooses its words, from 0 to below 2."""

    top_p: float | None = None
    """Sample among the most likely tokens that have so much probability together."""

    max_tokens: int | None = None
    """Most tokens of an answer, without its thinking."""

    stop: list[str] | str | None = Field(default=None, alias="stop_sequences")
    """Texts at which the answer ends."""

    n: int | None = None
    """How many answers, of one question, 1 to 4; not as a stream."""

    seed: int | None = None
    """Makes answers repeatable, as far as the service can."""

    presence_penalty: float | None = None
    """Above 0, what was said is less likely said again; -2 to 2."""

    frequency_penalty: float | None = None
    """The same by how often it was said, for models that take it."""

    logprobs: bool | None = None
    """Return how likely each token was."""

    top_logprobs: int | None = None
    """The same of so many others in its place, 5 at most."""

    logit_bias: dict[int, int] | None = None
    """Token -> how much more likely it is made; character models take it."""

    extra_body: dict[str, Any] | None = None
    """Further parameters; a call's own are merged into them."""

    model_kwargs: dict[str, Any] = Field(default_factory=dict)
    """Further parameters by ChatTongyi's name for them."""

    streaming: bool = False
    """Answer whole calls over a stream."""

    timeout: Any = None
    """Seconds to the first byte, and between two pieces of a stream; 600 if not given. Or `httpx.Timeout`."""

    max_retries: int | None = Field(default=None, ge=0)
    """How often a busy or failing service is asked again; 2 if not given."""

    default_headers: dict[str, str] | None = None
    """Headers sent with every call."""

    default_query: dict[str, Any] | None = None
    """Query parameters sent with every call."""

    http_client: Any = Field(default=None, exclude=True)
    """An `httpx.Client` of one's own, for synchronous calls; never closed here."""

    http_async_client: Any = Field(default=None, exclude=True)
    """An `httpx.AsyncClient` of one's own, for asynchronous calls; never closed here."""

    @property
    def _identifying_params(self) -> dict[str, Any]:
        return {"model_name": self.model_name, **self._default_params}

    @model_validator(mode="before")
    @classmethod
    def _keep_what_is_not_known(cls, values: dict[str, Any]) -> dict[str, Any]:
        """Options without a field become `model_kwargs`, with a word about it, as in LangChain's other models."""
        from langchain_core.utils.utils import _build_model_kwargs

        named = {"request_timeout": "timeout"}
        taken = {named.get(name, name): value for name, value in values.items()}
        return _build_model_kwargs(taken, get_pydantic_field_names(cls))

    @model_validator(mode="after")
    def _settle(self) -> Self:
        """Settles where calls go and with which key.

        Raises:
            ValueError: If there is no key, or the options contradict each other.
        """
        if self.streaming and self.n is not None and self.n > 1:
            raise ValueError(f"n={self.n} choices cannot be streamed: give n=1 or streaming=False.")
        # what is said in code comes before the variables
        said = "base_url" in self.model_fields_set or not (self.region or self.workspace)
        given = self.base_url if said else None
        url = native_url(resolve_url(base_url=given, region=self.region, workspace=self.workspace))
        from_variable = "api_key" not in self.model_fields_set
        self._link = Link(url=url, server="dashscope", key=clear_key(self.api_key), key_is_the_services=from_variable)
        if not self._link.sent_key:
            raise ValueError(f"No key for {shown_url(url)}: set DASHSCOPE_API_KEY or give api_key=...")
        self.base_url = url
        self._clients = NativeClients(http_client=self.http_client, http_async_client=self.http_async_client)
        return self

    def _common_params(self) -> dict[str, Any]:
        said = {name: getattr(self, name) for name in _COMMON}
        return {
            "model": self.model_name,
            **{name: value for name, value in said.items() if value is not None and value != []},
            **self.model_kwargs,
        }
