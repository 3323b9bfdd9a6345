"""An archive searched through a LangChain vector store does what every archive does."""

import pytest
from langchain_core.embeddings import Embeddings
from langchain_core.messages import HumanMessage
from langchain_core.vectorstores import InMemoryVectorStore

from langchain_qwen_memory.archive import InMemoryArchive, SqliteArchive, root_key
from langchain_qwen_memory.archive.finding.fulltext import count_words
from langchain_qwen_memory.archive.index.archive import IndexedArchive
from langchain_qwen_memory.archive.index.base import owner_of
from langchain_qwen_memory.archive.index.vector_store import VectorStoreIndex
from langchain_qwen_memory.errors import MemoryOptionError
from tests.archive.contract import ArchiveContract, chain, fill, found, turn
from tests.archive.meaning import SAME, Meaning


class Words(Embeddings):
    """A text is the words in it, so that meaning adds nothing to what full text says."""

    def __init__(self):
        self.places = {}
        self.down = False
        self.refused = ()
        self.asked = 0

    def embed_documents(self, texts):
        return [self.embed_query(text) for text in texts]

    def embed_query(self, text):
        if self.down:
            raise ConnectionError("https://example.com is down; your key sk-secret was not sent")
        if any(word in text for word in self.refused):
            raise ValueError("inappropriate content for sk-secret")
        self.asked += 1
        vector = [1e-9] + [0.0] * 4_095
        for word, count in count_words(text).items():
            place = self.places.setdefault(SAME.get(word, word), len(self.places) + 1)
            if place < len(vector):
                vector[place] += count
        return vector


class Strict(InMemoryVectorStore):
    """A store that names only what has something in common with the question, as full text does."""

    def similarity_search_with_score(self, query, k=4, **options):
        return [one for one in super().similarity_search_with_score(query, k, **options) if one[1] > 1e-6]


class TestVectorStoreIndex(ArchiveContract):
    """All of the contract."""

    @pytest.fixture
    def archive(self):
        index = VectorStoreIndex(Strict(Words()))
        with IndexedArchive(InMemoryArchive(), index) as archive:
            yield archive


@pytest.fixture
def words():
    return Words()


@pytest.fixture
def archive(words):
    index = VectorStoreIndex(InMemoryVectorStore(words), filter=of_owner)
    with IndexedArchive(InMemoryArchive(), index) as archive:
        yield archive


def of_owner(owner):
    """The filter of LangChain's own store: a function of a document."""
    return {"filter": lambda document: document.metadata["owner"] == owner}


def test_a_turn_is_found_by_its_meaning_and_by_its_words(archive):
    """The store finds what shares no word with the question, the archive what shares one, and both stands first."""
    for number, text in enumerate(["puppy KM-3000", "puppy and more", "KM-3000 and more", "nothing at all"]):
        fill(archive, "u", f"t{number}", [text])
    ranked = found(archive.search("hound KM-3000", user="u"))
    assert ranked[0] == "puppy KM-3000"
    assert set(ranked[1:3]) == {"puppy and more", "KM-3000 and more"}


def test_the_store_knows_no_ids_but_digests(archive):
    """What the store keeps beside the text are digests: a user's id is in no metadata and in no filter."""
    fill(archive, "o'brien\"; DROP --", "secret thread", ["a puppy"])
    [kept] = archive.index.vector_store.store.values()
    assert "brien" not in str(kept["metadata"])
    assert "secret" not in str(kept["metadata"])
    assert kept["metadata"]["owner"] == owner_of("o'brien\"; DROP --")
    assert found(archive.search("hound", user="o'brien\"; DROP --")) == ["a puppy"]


@pytest.mark.parametrize("store_filters", [True, False])
def test_users_are_apart_in_the_store(words, store_filters):
    """With a filter and without one a question brings its own user's turns only, though others' are nearer."""
    index = VectorStoreIndex(InMemoryVectorStore(words), filter=of_owner if store_filters else None)
    with IndexedArchive(InMemoryArchive(), index) as archive:
        for user in ("", "u", "v", "u\x00", "u'"):
            fill(archive, user, "t", [f"puppy {number} of many" for number in range(60)] + ["a hound barks loudly"])
        for user in ("", "u", "v", "u\x00", "u'"):
            hits = archive.search("狗", user=user, limit=100)
            assert {hit.turn.user for hit in hits} == {user}
            assert len(hits) == 61


class Distances(InMemoryVectorStore):
    """A store that tells distances, the nearest first, as Milvus with L2 and Chroma do."""

    def similarity_search_with_score(self, query, k=4, **options):
        return [(one, 40 - 40 * score) for one, score in super().similarity_search_with_score(query, k, **options)]


def test_a_distance_is_as_good_as_a_score(words):
    """Whether a store tells likeness or distance, of whatever scale, the same turns are found in the same order."""
    ranked = []
    for kind in (InMemoryVectorStore, Distances):
        with IndexedArchive(InMemoryArchive(), VectorStoreIndex(kind(words))) as archive:
            fill(archive, "u", "t", ["a puppy", "dogs and cars", "a car KM-3000", "tea", "hound hound hound"])
            hits = archive.search("狗 KM-3000", user="u")
            ranked.append([(hit.turn.key, round(hit.score, 4)) for hit in hits])
    assert ranked[0] == ranked[1] != []


def test_while_the_store_is_down_turns_are_kept_and_found_by_their_words(archive, words):
    """A store that fails costs no turn and no answer; both say so without a key, and it gets the turns later."""
    words.down = True
    [one] = chain(root_key("u", "t"), ["a puppy"])
    added = archive.append("u", "t", [one])
    hits = archive.search("puppy", user="u")
    assert (added, found(hits)) == (1, ["a puppy"])
    assert added.problem.startswith("the index failed: ConnectionError")
    assert hits.problem.startswith("the index failed: ConnectionError")
    assert "sk-secret" not in added.problem + hits.problem
    words.down = False
    added = archive.append("u", "t", chain(one.key, ["tea"]))
    hits = archive.search("hound", user="u", limit=1)
    assert (added.problem, found(hits), hits.problem) == ("", ["a puppy"], "")


def test_a_turn_that_the_store_refuses_holds_up_no_other(archive, words):
    """A text that is refused is left out of the store, found by its words, and tried no more."""
    words.refused = ("forbidden",)
    turns = fill(archive, "u", "t", ["one", "forbidden words", "a puppy"])
    assert found(archive.search("hound", user="u", limit=1)) == ["a puppy"]
    words.refused, asked = (), words.asked
    archive.append("u", "t", chain(turns[-1].key, ["later"]))
    assert words.asked == asked + 1
    assert "forbidden words" in found(archive.search("words", user="u"))


def test_a_store_that_was_emptied_is_filled_again(archive):
    """A collection that somebody dropped is noticed at the next question; the one after it finds by meaning again."""
    fill(archive, "u", "t", ["a puppy", "tea"])
    assert found(archive.search("hound", user="u", limit=1)) == ["a puppy"]
    archive.index.vector_store.store.clear()
    archive.search("hound", user="u")
    assert found(archive.search("hound", user="u", limit=1)) == ["a puppy"]
    assert len(archive.index.vector_store.store) == 2


def test_forgotten_turns_leave_the_store_too(archive):
    """What is forgotten is erased from the store, abandoned branches too; others' turns stay."""
    turns = fill(archive, "u", "t", ["a puppy", "tea"])
    archive.append("u", "t", [turn(turns[0].key, HumanMessage("a hound"))])
    fill(archive, "u", "s", ["dogs"])
    fill(archive, "v", "t", ["dogs too"])
    assert archive.forget("u", "t") == 3
    assert sorted(kept["text"].split("\n")[0] for kept in archive.index.vector_store.store.values()) == [
        "dogs",
        "dogs too",
    ]
    assert (archive.forget("u"), archive.forget("v"), archive.index.vector_store.store) == (1, 1, {})


def test_marks_in_a_file_spare_the_store_what_it_has(tmp_path, words):
    """With a marks file a new process gives the store nothing twice; without one it gives all once more, each once."""
    store = InMemoryVectorStore(words)
    with SqliteArchive(tmp_path / "chat.db") as inner:
        first = IndexedArchive(inner, VectorStoreIndex(store, marks=tmp_path / "marks.db"))
        fill(first, "u", "t", ["a puppy", "tea"])
        first.index.close()
        asked = words.asked
        second = IndexedArchive(inner, VectorStoreIndex(store, marks=tmp_path / "marks.db"))
        assert found(second.search("hound", user="u", limit=1)) == ["a puppy"]
        assert words.asked == asked + 1
        second.index.close()
        third = IndexedArchive(inner, VectorStoreIndex(store))
        assert found(third.search("hound", user="u", limit=1)) == ["a puppy"]
        assert len(store.store) == 2
        third.index.close()


def test_turns_are_not_embedded_twice(words):
    """An archive with embeddings of its own is refused, and so is what is no vector store."""
    index = VectorStoreIndex(InMemoryVectorStore(words))
    with pytest.raises(MemoryOptionError, match="embedded twice; open the archive without embeddings="):
        IndexedArchive(InMemoryArchive(embeddings=Meaning()), index)
    with pytest.raises(MemoryOptionError, match="must be a LangChain VectorStore, not Words"):
        VectorStoreIndex(words)


class TestMilvusLite:
    """Milvus in one file, as a store that cannot tell what it has, filters by an expression, and takes ids once."""

    @pytest.fixture
    def store(self, tmp_path, words):
        reason = "Milvus Lite is not installed: pip install langchain-milvus milvus-lite"
        pytest.importorskip("milvus_lite", reason=reason)
        milvus = pytest.importorskip("langchain_milvus", reason=reason)
        store = milvus.Milvus(
            embedding_function=words,
            connection_args={"uri": str(tmp_path / "milvus.db")},
            auto_id=False,
            index_params={"index_type": "FLAT", "metric_type": "COSINE"},
        )
        yield store
        store.client.close()

    @pytest.fixture
    def archive(self, store, tmp_path):
        index = VectorStoreIndex(
            store, marks=tmp_path / "marks.db", filter=lambda owner: {"expr": f'owner == "{owner}"'}
        )
        with IndexedArchive(InMemoryArchive(), index) as archive:
            yield archive

    @pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::pytest.PytestUnraisableExceptionWarning")
    def test_milvus_finds_and_forgets(self, archive, store):
        """Turns of two users are found by meaning, each by its own user, and are gone when they are forgotten."""
        turns = fill(archive, "u", "t", ["a puppy", "tea", "coffee"])
        fill(archive, "v'\"", "t", ["dogs everywhere", "water"])
        hits = archive.search("hound", user="u", limit=1)
        assert (found(hits), hits.problem) == (["a puppy"], "")
        assert found(archive.search("hound", user="v'\"", limit=1)) == ["dogs everywhere"]
        fork = turn(turns[0].key, HumanMessage("a hound instead"))
        archive.append("u", "t", [fork, turn(fork.key, HumanMessage("juice"))])
        assert set(found(archive.search("dog", user="u", limit=2))) == {"a puppy", "a hound instead"}
        assert archive.forget("u") == 5
        assert archive.search("hound", user="u") == []
        assert found(archive.search("hound", user="v'\"", limit=1)) == ["dogs everywhere"]
        owners = {row["owner"] for row in store.client.query(store.collection_name, filter="position >= 0")}
        assert owners == {owner_of("v'\"")}
