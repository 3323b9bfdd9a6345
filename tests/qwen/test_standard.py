"""LangChain's own suites, over both protocols: four models that differ in when they think, and one that hears."""

import importlib
import io
import struct
import wave
import zlib
from collections.abc import Iterator
from typing import Any, ClassVar

import pytest
from langchain_core.language_models import BaseChatModel
from langchain_tests.integration_tests import ChatModelIntegrationTests
from langchain_tests.unit_tests import ChatModelUnitTests

from langchain_qwen_memory.chat_models import ChatQwen
from langchain_qwen_memory.dashscope import ChatDashScope
from langchain_qwen_memory.testing import LocalDashScope

KEY = "sk-local"


@pytest.fixture(scope="module", autouse=True)
def server() -> Iterator[LocalDashScope]:
    with LocalDashScope() as running:
        _Called.url, _Called.native_url = running.base_url, running.native_url
        yield running


@pytest.fixture(autouse=True)
def no_downloads(monkeypatch: pytest.MonkeyPatch) -> None:
    """The suites fetch their pictures and sounds from the net; here they are made."""
    import httpx

    def fetch(url: str, **_: Any) -> httpx.Response:
        made = _sound() if url.endswith((".wav", ".mp3")) else _picture()
        return httpx.Response(200, content=made)

    monkeypatch.setattr(httpx, "get", fetch)
    monkeypatch.setenv("LANGCHAIN_TESTS_USER_AGENT", "nobody is asked")


@pytest.fixture(autouse=True)
def known_to_load(monkeypatch: pytest.MonkeyPatch) -> None:
    """`load` takes foreign classes by name only, and the suite names none: here its list of allowed ones is widened."""
    load = importlib.import_module("langchain_core.load.load")
    paths = {(*kind.__module__.split("."), kind.__name__) for kind in (ChatQwen, ChatDashScope)}
    monkeypatch.setitem(load._default_class_paths_cache, "all", paths)


class _Setting:
    """What is true of qwen-plus, and of the others where they do not say otherwise."""

    params: ClassVar[dict[str, Any]] = {"model": "qwen-plus"}

    @property
    def chat_model_class(self) -> type[BaseChatModel]:
        return ChatQwen

    @property
    def chat_model_params(self) -> dict[str, Any]:
        return {**self.params, "api_key": KEY}

    @property
    def init_from_env_params(self) -> tuple[dict[str, str], dict[str, Any], dict[str, Any]]:
        env = {"DASHSCOPE_API_KEY": KEY, "DASHSCOPE_API_BASE": "https://dashscope-intl.aliyuncs.com/compatible-mode/v1"}
        return env, self.params, {"openai_api_key": KEY, "openai_api_base": env["DASHSCOPE_API_BASE"]}

    @property
    def has_tool_choice(self) -> bool:
        return True

    @property
    def supports_json_mode(self) -> bool:
        return True

    @property
    def supports_anthropic_inputs(self) -> bool:
        return True

    @property
    def supports_model_override(self) -> bool:
        return True

    @property
    def model_override_value(self) -> str:
        return "qwen-flash"


class _Native:
    """The same, over DashScope's own protocol."""

    @property
    def chat_model_class(self) -> type[BaseChatModel]:
        return ChatDashScope

    @property
    def init_from_env_params(self) -> tuple[dict[str, str], dict[str, Any], dict[str, Any]]:
        env = {"DASHSCOPE_API_KEY": KEY, "DASHSCOPE_API_BASE": "https://dashscope-intl.aliyuncs.com/compatible-mode/v1"}
        return env, self.params, {"api_key": KEY, "base_url": "https://dashscope-intl.aliyuncs.com/api/v1"}


class _Sees(_Setting):
    @property
    def supports_image_inputs(self) -> bool:
        return True

    @property
    def supports_image_urls(self) -> bool:
        return True

    @property
    def supports_video_inputs(self) -> bool:
        return True


class TestPlusUnit(_Setting, ChatModelUnitTests):
    """qwen-plus, which thinks on request."""


class TestPlusThinkingUnit(_Setting, ChatModelUnitTests):
    """qwen-plus, asked to think."""

    params: ClassVar[dict[str, Any]] = {"model": "qwen-plus", "enable_thinking": True}


class TestSeeingUnit(_Sees, ChatModelUnitTests):
    """qwen3.7-plus, which sees and thinks by default."""

    params: ClassVar[dict[str, Any]] = {"model": "qwen3.7-plus"}


class TestOpenWeightUnit(_Setting, ChatModelUnitTests):
    """qwen3-32b, which thinks by default and then answers in streams only."""

    params: ClassVar[dict[str, Any]] = {"model": "qwen3-32b"}


class _Called(_Setting):
    url = native_url = ""

    @property
    def chat_model_params(self) -> dict[str, Any]:
        url = self.native_url if self.chat_model_class is ChatDashScope else self.url
        return {**super().chat_model_params, "base_url": url}


class TestPlus(_Called, ChatModelIntegrationTests):
    """qwen-plus, which thinks on request."""


class TestPlusThinking(_Called, ChatModelIntegrationTests):
    """qwen-plus, asked to think."""

    params: ClassVar[dict[str, Any]] = {"model": "qwen-plus", "enable_thinking": True}


class TestSeeing(_Sees, _Called, ChatModelIntegrationTests):
    """qwen3.7-plus, which sees and thinks by default."""

    params: ClassVar[dict[str, Any]] = {"model": "qwen3.7-plus"}


class TestOpenWeight(_Called, ChatModelIntegrationTests):
    """qwen3-32b, which thinks by default and then answers in streams only."""

    params: ClassVar[dict[str, Any]] = {"model": "qwen3-32b"}


class TestHearing(_Called, ChatModelIntegrationTests):
    """qwen3.8-omni-flash, which also hears."""

    params: ClassVar[dict[str, Any]] = {"model": "qwen3.8-omni-flash"}

    @property
    def supports_image_inputs(self) -> bool:
        return True

    @property
    def supports_image_urls(self) -> bool:
        return True

    @property
    def supports_audio_inputs(self) -> bool:
        return True

    @property
    def supports_video_inputs(self) -> bool:
        return True


class TestNativePlusUnit(_Native, TestPlusUnit):
    """qwen-plus, which thinks on request, over DashScope's own protocol."""


class TestNativePlusThinkingUnit(_Native, TestPlusThinkingUnit):
    """qwen-plus, asked to think, over DashScope's own protocol."""


class TestNativeSeeingUnit(_Native, TestSeeingUnit):
    """qwen3.7-plus, which sees and thinks by default, over DashScope's own protocol."""


class TestNativeOpenWeightUnit(_Native, TestOpenWeightUnit):
    """qwen3-32b, which thinks by default and then answers in streams only, over DashScope's own protocol."""


class TestNativePlus(_Native, TestPlus):
    """qwen-plus, which thinks on request, over DashScope's own protocol."""


class TestNativePlusThinking(_Native, TestPlusThinking):
    """qwen-plus, asked to think, over DashScope's own protocol."""


class TestNativeSeeing(_Native, TestSeeing):
    """qwen3.7-plus, which sees and thinks by default, over DashScope's own protocol."""


class TestNativeOpenWeight(_Native, TestOpenWeight):
    """qwen3-32b, which thinks by default and then answers in streams only, over DashScope's own protocol."""


class TestNativeHearing(_Native, TestHearing):
    """qwen3.8-omni-flash, which also hears, over DashScope's own protocol."""


def _picture() -> bytes:
    """A grey PNG of 64 x 64."""
    header = struct.pack(">IIBBBBB", 64, 64, 8, 0, 0, 0, 0)
    rows = zlib.compress(b"".join(b"\x00" + b"\x80" * 64 for _ in range(64)))
    parts = (b"IHDR", header), (b"IDAT", rows), (b"IEND", b"")
    chunks = (struct.pack(">I", len(d)) + k + d + struct.pack(">I", zlib.crc32(k + d)) for k, d in parts)
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def _sound() -> bytes:
    """A tenth of a second of silence."""
    held = io.BytesIO()
    with wave.open(held, "wb") as out:
        out.setparams((1, 2, 8000, 0, "NONE", ""))
        out.writeframes(bytes(1600))
    return held.getvalue()
