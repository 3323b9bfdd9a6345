"""LangChain's own integration suite for chat models, for each peer, against a local DashScope; for `peers_models.py`.

All are asked the same: tools and tool choice, structured output, JSON mode. What a class cannot do it fails.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, ClassVar

import pytest
from langchain_tests.integration_tests import ChatModelIntegrationTests
from peers_chat import CHATS, Chat

from langchain_qwen_memory.testing import LocalDashScope


@pytest.fixture(scope="module", autouse=True)
def server() -> Iterator[None]:
    with LocalDashScope() as running:
        Suite.url = running.url
        yield


class Suite(ChatModelIntegrationTests):
    url: ClassVar[str] = ""
    chat: ClassVar[Chat]

    @property
    def chat_model_class(self) -> Any:
        return self.chat.load()

    @property
    def chat_model_params(self) -> dict[str, Any]:
        return self.chat.options(self.url)

    @property
    def has_tool_choice(self) -> bool:
        return True

    @property
    def supports_json_mode(self) -> bool:
        return True


class Test0(Suite):
    chat = CHATS[0]


class Test1(Suite):
    chat = CHATS[1]


class Test2(Suite):
    chat = CHATS[2]


class Test3(Suite):
    chat = CHATS[3]


class Test4(Suite):
    chat = CHATS[4]
