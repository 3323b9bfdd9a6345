"""A Postgres archive keeps the contract of all archives, on a real server."""

from contextlib import ExitStack
from uuid import uuid4

import psycopg
import pytest

from langchain_qwen_memory.archive.postgres.archive import PostgresArchive
from tests.archive.contract import ArchiveContract
from tests.archive.vector_contract import VectorContract


@pytest.fixture(scope="module")
def shared(server):
    made = server.database()
    yield made
    server.drop(made)


@pytest.fixture
def schema(shared):
    """A schema of its own for each test, with a name that has to be quoted."""
    name = f"Test {uuid4().hex[:8]}'s"
    yield name
    with psycopg.connect(shared, autocommit=True) as db:
        db.execute("SET client_min_messages = error")
        db.execute(psycopg.sql.SQL("DROP SCHEMA IF EXISTS {} CASCADE").format(psycopg.sql.Identifier(name)))


class TestPostgresArchive(ArchiveContract):
    """All of the contract."""

    @pytest.fixture
    def archive(self, shared, schema):
        with PostgresArchive(shared, schema=schema) as archive:
            yield archive


class TestPostgresVectors(VectorContract):
    """All of the contract of archives with embeddings."""

    @pytest.fixture
    def make(self, shared, schema):
        with ExitStack() as opened:
            yield lambda embeddings, name=None: opened.enter_context(
                PostgresArchive(shared, embeddings=embeddings, embeddings_name=name, schema=schema)
            )
