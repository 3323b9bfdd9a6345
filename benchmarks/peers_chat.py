"""The chat models that are measured beside each other: how each is imported and pointed at a local DashScope."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

MODEL, KEY = "qwen-plus", "sk-local"


@dataclass(frozen=True, slots=True, kw_only=True)
class Chat:
    """One class of chat models."""

    name: str
    package: str
    """On PyPI."""
    module: str
    """Where a user imports it from."""
    cls: str
    native: bool = False
    """It speaks DashScope's own protocol, through the SDK."""
    streaming: dict[str, Any] = field(default_factory=dict)
    """Options without which its `stream` does not stream, or says no usage."""

    def load(self) -> Any:
        """The class."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return getattr(import_module(self.module), self.cls)

    def options(self, url: str) -> dict[str, Any]:
        """What it is made with to call the server at `url` (`http://127.0.0.1:PORT`)."""
        common: dict[str, Any] = {"model": MODEL, "api_key": KEY}
        if not self.native:
            return {**common, "base_url": f"{url}/compatible-mode/v1"}
        import dashscope

        dashscope.base_http_api_url = f"{url}/api/v1"
        return common


CHATS = (
    Chat(name="ChatQwen (ours)", package="langchain-qwen-memory", module="langchain_qwen_memory", cls="ChatQwen"),
    Chat(name="ChatQwen of langchain-qwq", package="langchain-qwq", module="langchain_qwq", cls="ChatQwen"),
    Chat(
        name="ChatOpenAI",
        package="langchain-openai",
        module="langchain_openai",
        cls="ChatOpenAI",
        streaming={"stream_usage": True},
    ),
    Chat(name="ChatDeepSeek", package="langchain-deepseek", module="langchain_deepseek", cls="ChatDeepSeek"),
    Chat(
        name="ChatTongyi",
        package="langchain-community",
        module="langchain_community.chat_models",
        cls="ChatTongyi",
        native=True,
        streaming={"streaming": True},
    ),
)


def named(name: str) -> Chat:
    return next(chat for chat in CHATS if chat.name == name)
