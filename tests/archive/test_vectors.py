"""Vectors in a SQLite file: beside the turns, in memory, across processes, and through changes of the schema."""

import sqlite3
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from unittest import mock

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from langchain_core.messages import AIMessage, HumanMessage

from langchain_qwen_memory.archive import InMemoryArchive, SqliteArchive, root_key
from langchain_qwen_memory.archive.sqlite import postings, vectors
from langchain_qwen_memory.archive.sqlite.partitions import Partitions
from langchain_qwen_memory.errors import ArchiveError, EmbeddingMismatchError
from tests.archive.contract import chain, fill, found, turn
from tests.archive.meaning import Meaning


@pytest.fixture
def path(tmp_path):
    return tmp_path / "chat.db"


def rows(path: Path, query: str) -> list[tuple]:
    """What a query finds in the file."""
    with sqlite3.connect(path) as db:
        answer = db.execute(query).fetchall()
    db.close()
    return answer


def downgrade(path: Path) -> None:
    """Make the file one that the first version of the schema wrote."""
    with sqlite3.connect(path) as db:
        for table in ("spaces", "missing", "vectors", "vector_segments", "moves"):
            db.execute(f"DROP TABLE qwen_memory_{table}")
        db.execute("DROP INDEX qwen_memory_turns_at")
        for column in ("epoch", "changes"):
            db.execute(f"ALTER TABLE qwen_memory_users DROP COLUMN {column}")
        db.execute("UPDATE qwen_memory_meta SET value = '1' WHERE name = 'schema'")
    db.close()


def test_a_file_of_the_first_version_is_brought_up_to_date(path):
    """A file written before there were vectors is opened, searched, embedded and forgotten as any other."""
    with SqliteArchive(path) as archive:
        turns = fill(archive, "u", "t", [f"q{number}" for number in range(100)] + ["a puppy"])
        fill(archive, "v", "t", ["a hound"])
    downgrade(path)
    with SqliteArchive(path, embeddings=Meaning()) as archive:
        assert found(archive.search("puppy", user="u", periods=[(0.0, 1.0)])) == ["a puppy"]
        assert archive.missing_vectors() == 102
        archive.append("u", "t", chain(turns[-1].key, ["three"]))
        assert list(archive.reindex())[-1] == (103, 103)
        assert found(archive.search("hound", user="u", limit=1)) == ["a puppy"]
        assert archive.forget("u") == 102
    with SqliteArchive(path) as archive:
        assert archive.users() == ["v"]
    assert rows(path, "SELECT value FROM qwen_memory_meta WHERE name = 'schema'") == [("4",)]


def test_a_vector_is_written_with_its_turn_or_not_at_all(path):
    """When storing the vector fails the turn is not stored either; both come with the retry."""
    with SqliteArchive(path, embeddings=Meaning()) as archive:
        turns = chain(root_key("u", "t"), ["a puppy"])
        broken = mock.patch.object(vectors, "add", side_effect=sqlite3.OperationalError("disk I/O error"))
        with broken, pytest.raises(ArchiveError, match="disk I/O error"):
            archive.append("u", "t", turns)
        assert archive.count("u") == 0
        assert (archive.append("u", "t", turns), archive.missing_vectors()) == (1, 0)


def test_each_turn_has_one_vector_in_the_file(path):
    """Singles and segments together hold one vector a turn, float32, of unit length."""
    with SqliteArchive(path, embeddings=Meaning()) as archive:
        turns = chain(root_key("u", "t"), [f"q{number}" for number in range(200)])
        for start in range(0, 200, 3):
            archive.append("u", "t", turns[start : start + 3])
    single = rows(path, "SELECT turn, length(vector) FROM qwen_memory_vectors")
    segments = rows(path, "SELECT length(turns) / 4, length(vectors) FROM qwen_memory_vector_segments")
    assert len(single) + sum(count for count, _ in segments) == 200
    assert len(segments) > 1
    assert {size for _, size in single} == {64 * 4}
    assert all(size == count * 64 * 4 for count, size in segments)


def test_forgotten_vectors_are_in_no_row(path):
    """After forgetting there is neither vector nor note of a missing one, in old spaces either."""
    meaning = Meaning()
    with SqliteArchive(path, embeddings=meaning) as archive:
        for user, thread in (("u", "t"), ("u", "s"), ("v", "t")):
            fill(archive, user, thread, [f"q{number}" for number in range(70)])
        meaning.down = True
        fill(archive, "u", "late", ["missing"])
        archive.forget("u", "t")
        assert rows(path, "SELECT sum(length(turns) / 4) FROM qwen_memory_vector_segments") == [(140,)]
        archive.forget("u")
        archive.forget("v")
    for table in ("vectors", "vector_segments", "missing", "users"):
        assert rows(path, f"SELECT * FROM qwen_memory_{table}") == []


def test_a_search_needs_no_more_memory_than_it_is_given(path):
    """Vectors of users searched lately are kept up to a limit; beyond it they are read again, and found as before."""
    with SqliteArchive(path, embeddings=Meaning(), vector_memory=100_000) as archive:
        for number in range(12):
            fill(archive, f"u{number}", "t", [f"a puppy of {number}", *(f"q{count}" for count in range(60))])
        for number in [*range(12), 3, 0, 11]:
            assert f"a puppy of {number}" in found(archive.search("hound", user=f"u{number}", limit=3))
        kept = archive._partitions._kept
        assert sum(one.bytes for one in kept.values()) == archive._partitions._bytes <= 100_000
        assert 1 < len(kept) < 12
    with SqliteArchive(path, embeddings=Meaning(), vector_memory=0) as archive:
        assert "a puppy of 5" in found(archive.search("hound", user="u5", limit=3))
        assert len(archive._partitions._kept) == 0


def test_what_was_forgotten_leaves_the_memory_of_other_processes(path):
    """The next search of any user lets go of vectors that were forgotten meanwhile, by whomever."""
    with SqliteArchive(path, embeddings=Meaning()) as one, SqliteArchive(path, embeddings=Meaning()) as two:
        for user in ("u", "v"):
            fill(one, user, "t", ["a puppy"])
            two.search("hound", user=user)
        assert len(two._partitions._kept) == 2
        one.forget("u")
        two.search("hound", user="v")
        assert len(two._partitions._kept) == 1


def test_a_model_that_never_stored_a_vector_is_no_hindrance(path):
    """An archive whose first model never answered may be opened with another one."""
    broken = Meaning("broken")
    broken.down = True
    with SqliteArchive(path, embeddings=broken) as archive:
        turns = fill(archive, "u", "t", ["a puppy"])
    with SqliteArchive(path, embeddings=Meaning()) as archive:
        archive.append("u", "t", chain(turns[-1].key, ["tea"]))
        assert (archive.missing_vectors(), found(archive.search("hound", user="u", limit=1))) == (0, ["a puppy"])
    with SqliteArchive(path, embeddings=broken) as archive, pytest.raises(EmbeddingMismatchError):
        archive.search("hound", user="u")


def test_a_model_half_built_and_given_up_leaves_nothing(path):
    """A rebuild with a second model that is followed by one with a third leaves vectors of the third only."""
    with SqliteArchive(path, embeddings=Meaning()) as archive:
        fill(archive, "u", "t", [f"q{number}" for number in range(300)])
    with SqliteArchive(path, embeddings=Meaning("second")) as archive:
        steps = archive.reindex()
        next(steps), next(steps)
        steps.close()
    with SqliteArchive(path, embeddings=Meaning("third")) as archive:
        assert list(archive.reindex())[-1] == (300, 300)
    assert rows(path, "SELECT name, state FROM qwen_memory_spaces") == [("third", "current")]
    [(segments,)] = rows(path, "SELECT sum(length(turns) / 4) FROM qwen_memory_vector_segments")
    [(single,)] = rows(path, "SELECT count(*) FROM qwen_memory_vectors")
    assert segments + single == 300


def test_a_turn_forgotten_while_it_is_embedded_gets_no_vector(path):
    """A turn that is forgotten during the embedding call leaves no vector to the turn that has its number now."""
    meaning = Meaning()
    meaning.down = True
    with SqliteArchive(path, embeddings=meaning) as archive:
        fill(archive, "u", "t", ["a puppy"])
        [after] = fill(archive, "u", "s", ["tea"])
        meaning.down = False

        class Meanwhile(Meaning):
            def embed_documents(self, texts):
                with SqliteArchive(path) as other:
                    if other.forget("u", "t"):
                        other.forget("w")
                        fill(other, "w", "t", ["a car"])
                return super().embed_documents(texts)

    with SqliteArchive(path, embeddings=Meanwhile()) as archive:
        archive.append("u", "s", chain(after.key, ["coffee"]))
        assert archive.search("hound", user="w") == []
        assert archive.missing_vectors() == 1
        assert set(found(archive.search("tea puppy", user="u"))) <= {"tea", "coffee"}


WORDS = ["alpha", "beta", "dog", "hound", "puppy", "漏水", "KM-3000", "car", "vehicle"]
texts = st.lists(st.sampled_from(WORDS), min_size=1, max_size=5).map(" ".join)
steps = st.one_of(
    st.tuples(st.just("append"), st.sampled_from("uv"), st.sampled_from("st"), st.lists(texts, min_size=1, max_size=6)),
    st.tuples(st.just("down"), st.sampled_from("uv"), st.sampled_from("st"), st.lists(texts, min_size=1, max_size=3)),
    st.tuples(st.just("fork"), st.sampled_from("uv"), st.sampled_from("st"), st.lists(texts, min_size=1, max_size=2)),
    st.tuples(st.just("forget"), st.sampled_from("uv"), st.sampled_from("st"), st.just([])),
    st.tuples(st.just("search"), st.sampled_from("uv"), st.sampled_from("st"), texts.map(lambda text: [text])),
    st.tuples(st.just("reindex"), st.just("u"), st.just("t"), st.just([])),
)


def play(archive, meaning, history):
    """What an archive answers to a history."""
    said = []
    for salt, (kind, user, thread, words) in enumerate(history):
        if kind in ("append", "down", "fork"):
            meaning.down = kind == "down"
            page = archive.page(user, thread)
            parent = page[len(page) // 2].key if kind == "fork" and page else archive.head(user, thread)
            turns = []
            for word in words:
                before = turns[-1].key if turns else parent or root_key(user, thread)
                turns.append(turn(before, HumanMessage(word), AIMessage(str(salt)), at=float(salt), text=word))
            added = archive.append(user, thread, turns)
            meaning.down = False
            said.append((int(added), added.problem, archive.missing_vectors()))
        elif kind == "forget":
            said.append(archive.forget(user, thread))
        elif kind == "reindex":
            said.append(list(archive.reindex())[-1])
        else:
            for options in ({}, {"thread": thread, "neighbours": True}, {"periods": [(0.0, salt / 2)], "limit": 3}):
                hits = archive.search(words[0], user=user, **options)
                around = [[side and side.key for side in (hit.before, hit.after)] for hit in hits]
                said.append(([hit.turn.key for hit in hits], around, hits.problem))
                said.append([round(hit.score, 4) for hit in hits])
    return said


LINES = ["alpha alpha dog puppy 漏水", "alpha dog puppy puppy KM-3000", "alpha alpha hound puppy KM-3000"]
EQUALS = [  # scores that are equal but for the order in which the two archives add them up
    ("append", "u", "s", ["alpha"]),
    ("forget", "u", "s", []),
    ("append", "u", "s", [*LINES, "alpha"]),
    ("fork", "u", "s", ["alpha alpha"]),
    ("append", "u", "s", ["alpha", "alpha", "alpha", "puppy", "alpha alpha"]),
    ("append", "u", "s", LINES),
    ("search", "u", "s", ["dog puppy KM-3000"]),
]


@given(history=st.lists(steps, max_size=20))
@example(history=EQUALS)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_any_history_is_answered_alike_by_both_archives(history):
    """In memory and in a file, in one block or in segments: same hits, neighbours, scores, problems and counts."""
    with (
        mock.patch.multiple(postings, FRESH=3, FULL=7, LARGE=20, STEPS=2, MORE_STEPS=3),
        mock.patch.object(vectors, "FRESH", 4),
        ExitStack() as opened,
    ):
        answers = []
        for make in (InMemoryArchive, lambda **options: SqliteArchive(":memory:", **options)):
            meaning = Meaning()
            answers.append(play(opened.enter_context(make(embeddings=meaning)), meaning, history))
        assert answers[0] == answers[1]


def test_the_vectors_in_memory_are_searched_by_one_at_a_time(path):
    """Whichever connection a search goes by: what is kept in memory is not made for several threads."""
    taken = threading.Lock()
    of = Partitions.of

    def alone(*given):
        assert taken.acquire(blocking=False), "somebody else is at it"
        try:
            time.sleep(0.002)
            return of(*given)
        finally:
            taken.release()

    with SqliteArchive(path, embeddings=Meaning()) as archive, mock.patch.object(Partitions, "of", alone):
        for user in "abc":
            fill(archive, user, "t", ["alpha dog", "hound puppy", "car vehicle"])
        with ThreadPoolExecutor(6) as pool:
            searches = [pool.submit(archive.search, "dog", user="abc"[number % 3]) for number in range(60)]
            assert all(search.result() for search in searches)
