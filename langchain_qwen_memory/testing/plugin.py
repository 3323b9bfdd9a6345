"""Gives every test session the `local_dashscope` fixture."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from langchain_qwen_memory.testing import LocalDashScope


@pytest.fixture
def local_dashscope() -> Iterator[LocalDashScope]:
    """A running local DashScope of this test's own; `pytest --fixtures` lists it."""
    from langchain_qwen_memory.testing import LocalDashScope

    with LocalDashScope() as server:
        yield server
