"""x"""
import pytest

from langchain_qwen_memory.archive import SqliteArchive
from tests.archive.contract import ArchiveContract


class TestSqliteArchive(ArchiveContract):
    @pytest.fixture(params=["file", "memory"])
    def archive(self, request, tmp_path):
        path = tmp_path / "chat.db" if request.param == "file" else ":memory:"
        with SqliteArchive(path) as archive:
            yield archive
