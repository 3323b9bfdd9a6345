"""A server that can be told to fail, for each test its own."""

import pytest

from langchain_qwen_memory.testing import LocalDashScope


@pytest.fixture
def server():
    with LocalDashScope() as running:
        yield running
