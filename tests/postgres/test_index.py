"""A Postgres archive may be searched through an index of one machine, which is filled with the vectors stored there."""

import pytest

from langchain_qwen_memory.archive.index.archive import IndexedArchive
from langchain_qwen_memory.archive.postgres.archive import PostgresArchive
from tests.archive.contract import chain, fill, found
from tests.archive.meaning import Meaning

pytest.importorskip("zvec", reason="zvec is not installed: pip install langchain-qwen-memory[zvec]")

from langchain_qwen_memory.archive.index.zvec import ZvecIndex


def test_an_index_gets_the_vectors_that_postgres_has(url, tmp_path):
    """Each turn is embedded once: the index of this machine reads the vectors, of other machines' turns too."""
    meaning = Meaning()
    with (
        PostgresArchive(url, embeddings=Meaning()) as elsewhere,
        IndexedArchive(PostgresArchive(url, embeddings=meaning), ZvecIndex(tmp_path / "index")) as archive,
    ):
        turns = fill(archive, "o'brien", "t", ["a puppy", "rain", "milk"])
        elsewhere.append("o'brien", "t", chain(turns[-1].key, ["a car", "bread"]))
        archive.archive.search = None  # the index answers
        assert found(archive.search("hound", user="o'brien", limit=1)) == ["a puppy"]
        assert found(archive.search("vehicle", user="o'brien", limit=1)) == ["a car"]
        assert len(meaning.documents) == 3
        assert archive.forget("o'brien") == 5
        assert archive.index._db.stats.doc_count == 0
