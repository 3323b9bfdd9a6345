"""What tests of the chat models share: a server of their own, and models that call it by either protocol."""

import pytest

from langchain_qwen_memory.chat_models import ChatQwen
from langchain_qwen_memory.dashscope import ChatDashScope
from langchain_qwen_memory.testing import LocalDashScope
from tests.qwen.ways import flat


@pytest.fixture
def protocol():
    """Which protocol the models of a test speak."""
    return "compatible"


@pytest.fixture(autouse=True)
def no_settings(monkeypatch):
    """Variables of the person who runs the tests say nothing to them."""
    for name in ("DASHSCOPE_API_KEY", "DASHSCOPE_API_BASE", "OPENAI_API_KEY", "OPENAI_API_BASE", "OPENAI_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.delenv("DASHSCOPE_HTTP_BASE_URL", raising=False)


@pytest.fixture
def server():
    with LocalDashScope() as running:
        yield running


@pytest.fixture
def url(server, protocol):
    """Where that protocol is."""
    return {"compatible": server.base_url, "native": server.native_url}[protocol]


@pytest.fixture
def qwen(url, protocol):
    """Makes a model on the service, with options of one's own."""
    kind = {"compatible": ChatQwen, "native": ChatDashScope}[protocol]

    def make(model="qwen-plus", **options):
        return kind(**{"model": model, "base_url": url, "api_key": "sk-local", **options})

    return make


@pytest.fixture
def own_qwen(server):
    """Makes a model on a server of one's own, which holds none of the service's rules."""

    def make(model="Qwen/Qwen3-32B", **options):
        return ChatQwen(**{"model": model, "base_url": server.plain_url, **options})

    return make


@pytest.fixture
def sent(server):
    """Returns the body of the newest request; of DashScope's own protocol in the other's form."""
    return lambda: flat(server.requests[-1].body)
