"""What embeddings and rerankers share: where the service is, with which key, and how one call of it goes."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Self, TypeVar

from langchain_core.utils import from_env, secret_from_env
from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, SecretStr, model_validator

from langchain_qwen_memory.qwen.calls import Link, clear_key, common_names, resolve_url
from langchain_qwen_memory.qwen.endpoints import COMPATIBLE, NATIVE, native_url
from langchain_qwen_memory.qwen.model_errors import QwenResponseError, service_errors
from langchain_qwen_memory.qwen.transport import RAW, OpenAIClients, whole_answer

__all__ = ["QwenService", "UnusableAnswerError", "gathered"]

T = TypeVar("T")


class UnusableAnswerError(Exception):
    """Raised by a reader of answers, with what is wrong with one; reaches the caller as QwenResponseError."""


class QwenService(BaseModel):
    """Options of the connection, as ChatQwen has them, and the calls that go over it.

    Each object has HTTP clients of its own, made when first used; asynchronous calls have one for each event loop.
    """

    model_config = ConfigDict(
        frozen=True, extra="forbid", arbitrary_types_allowed=True, protected_namespaces=(), hide_input_in_errors=True
    )

    api_key: SecretStr | None = Field(default_factory=secret_from_env("DASHSCOPE_API_KEY", default=None))
    """Key of the service, from DASHSCOPE_API_KEY if not given. A server of one's own needs none."""

    base_url: str | None = Field(default_factory=from_env("DASHSCOPE_API_BASE", default=None))
    """Base URL of the compatible protocol, from DASHSCOPE_API_BASE if not given; else `region` and `workspace` give
    it, else it is Beijing's. The path of DashScope's own protocol is derived from it."""

    region: str | None = None
    """beijing, singapore, us, hongkong, tokyo or frankfurt. A key is valid in its own region only."""

    workspace: str | None = None
    """Id of a workspace, which has a host of its own in each region."""

    timeout: float | None = Field(default=None, gt=0)
    """Seconds to wait for an answer; None: ten minutes."""

    max_retries: int = Field(default=2, ge=0)
    """How often a busy (429) or failing (5xx) service is asked again, after a growing pause."""

    max_concurrency: int = Field(default=4, ge=1)
    """Requests under way at once, where one asynchronous call needs several."""

    http_client: Any = Field(default=None, exclude=True, repr=False)
    """A client of one's own for synchronous calls."""

    http_async_client: Any = Field(default=None, exclude=True, repr=False)
    """A client of one's own for asynchronous calls."""

    _clients: OpenAIClients = PrivateAttr()
    _link: Link = PrivateAttr()

    @model_validator(mode="before")
    @classmethod
    def _take_shared_names(cls, values: Any) -> Any:
        """Takes the names that other packages have for the same options."""
        return common_names(values) if isinstance(values, dict) else values

    @model_validator(mode="after")
    def _settle(self) -> Self:
        """Settles where calls go and with which key.

        Raises:
            ValueError: If there is no key though the service needs one, or the options contradict each other.
        """
        # what is said in code comes before the variable
        said = "base_url" in self.model_fields_set or not (self.region or self.workspace)
        url = resolve_url(base_url=self.base_url if said else None, region=self.region, workspace=self.workspace)
        link = Link(
            url=url.rstrip("/"),
            server="auto",
            key=clear_key(self.api_key),
            key_is_the_services="api_key" not in self.model_fields_set,
        )
        key = link.sent_key
        if not key and link.kind == "dashscope":
            raise ValueError(f"No key for {url}: set DASHSCOPE_API_KEY or give api_key=...")
        self._link = link
        options = {"base_url": url, "api_key": key or "none", "max_retries": self.max_retries}
        self._clients = OpenAIClients(
            options | ({"timeout": self.timeout} if self.timeout is not None else {}),
            http_client=self.http_client,
            http_async_client=self.http_async_client,
        )
        return self

    def _compatible(self, path: str) -> str:
        """The URL of an endpoint of the compatible protocol."""
        url = self._link.url
        if self._link.kind == "dashscope" and url.endswith(NATIVE):
            url = url.removesuffix(NATIVE) + COMPATIBLE
        return url + path

    def _native(self, path: str) -> str:
        """The URL of an endpoint of DashScope's own protocol.

        Raises:
            ValueError: If the base URL is that of a server which does not speak it.
        """
        url = native_url(self._link.url)
        if url.endswith(NATIVE):
            return url + path
        raise ValueError(
            f"base_url={url!r} does not lead to DashScope's own protocol, which is needed here: give a URL that ends "
            f"in {COMPATIBLE} or {NATIVE}, or region=... instead."
        )

    def _post(self, url: str, body: dict[str, Any], *, holds: str, read: Callable[[dict[str, Any]], T]) -> T:
        """Sends one request and reads its answer, of which `holds` names the key that must be there."""
        with service_errors(self._link.url, secrets=(self._link.key,)):
            raw = self._clients.sync.post(path=url, cast_to=object, body=body, options={"headers": RAW})
            return _answer(raw, holds, read)

    async def _apost(self, url: str, body: dict[str, Any], *, holds: str, read: Callable[[dict[str, Any]], T]) -> T:
        with service_errors(self._link.url, secrets=(self._link.key,)):
            client = await self._clients.of_this_loop()
            raw = await client.post(path=url, cast_to=object, body=body, options={"headers": RAW})
            return _answer(raw, holds, read)


async def gathered(jobs: Sequence[Callable[[], Awaitable[T]]], *, most: int) -> list[T]:
    """Returns what the jobs return, in their order, with at most so many under way; one that fails ends the others."""
    gate, failed = asyncio.Semaphore(most), asyncio.Event()

    async def one(job: Callable[[], Awaitable[T]]) -> T:
        async with gate:
            if failed.is_set():  # it was let in before it could be cancelled
                raise asyncio.CancelledError
            try:
                return await job()
            except BaseException:
                failed.set()
                raise

    tasks = [asyncio.ensure_future(one(job)) for job in jobs]
    try:
        return await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def _answer(raw: Any, holds: str, read: Callable[[dict[str, Any]], T]) -> T:
    response = raw.http_response
    body = whole_answer(response, holds=holds)
    try:
        return read(body)
    except UnusableAnswerError as error:
        why: str = f"{response.request.url} answered with {error}"
    except (KeyError, TypeError, ValueError, AttributeError):
        why = f"{response.request.url} answered with something else: {response.text[:200]!r}."
    raise QwenResponseError(message=why, request=response.request, body=body)
