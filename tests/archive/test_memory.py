"""The archive in memory does what every archive does."""

import pytest

from langchain_qwen_memory.archive import InMemoryArchive
from tests.archive.contract import ArchiveContract
from tests.archive.vector_contract import VectorContract


class TestInMemoryArchive(ArchiveContract):
    @pytest.fixture
    def archive(self):
        return InMemoryArchive()


class TestVectorsInMemory(VectorContract):
    reopens = False

    @pytest.fixture
    def make(self):
        return lambda embeddings=None, name=None: InMemoryArchive(embeddings=embeddings, embeddings_name=name)
