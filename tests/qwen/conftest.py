"""What tests of ChatQwen share: a server of their own, and models that call it."""

import pytest

from langchain_qwen_memory.chat_models import ChatQwen
from langchain_qwen_memory.testing import LocalDashScope


@pytest.fixture(autouse=True)
def no_settings(monkeypatch):
    """Variables of the person who runs the tests say nothing to them."""
    for name in ("DASHSCOPE_API_KEY", "DASHSCOPE_API_BASE", "OPENAI_API_KEY", "OPENAI_API_BASE", "OPENAI_PROXY"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def server():
    with LocalDashScope() as running:
        yield running


@pytest.fixture
def qwen(server):
    """Makes a model on the service, with options of one's own."""

    def make(model="qwen-plus", **options):
        return ChatQwen(**{"model": model, "base_url": server.base_url, "api_key": "sk-local", **options})

    return make


@pytest.fixture
def own_qwen(server):
    """Makes a model on a server of one's own, which holds none of the service's rules."""

    def make(model="Qwen/Qwen3-32B", **options):
        return ChatQwen(**{"model": model, "base_url": server.plain_url, **options})

    return make


@pytest.fixture
def sent(server):
    """Returns the body of the newest request."""
    return lambda: server.requests[-1].body
