"""The archive in memory does what every archive does."""

import pytest

from langchain_qwen_memory.archive import InMemoryArchive
from tests.archive.contract import ArchiveContract


class TestInMemoryArchive(ArchiveContract):
    @pytest.fixture
    def archive(self):
        return InMemoryArchive()
