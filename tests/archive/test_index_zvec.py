"""An archive searched through a zvec index does what every archive does."""

import random
import shutil
import subprocess
import sys

import pytest

from langchain_qwen_memory.archive import InMemoryArchive, SqliteArchive
from langchain_qwen_memory.archive.index.archive import IndexedArchive
from langchain_qwen_memory.archive.index.base import owner_of
from langchain_qwen_memory.errors import ArchiveError
from tests.archive.contract import ArchiveContract, chain, fill, found, say, turn
from tests.archive.meaning import Meaning
from tests.archive.vector_contract import VectorContract

pytest.importorskip("zvec", reason="zvec is not installed: pip install langchain-qwen-memory[zvec]")

from langchain_qwen_memory.archive.index.zvec import ZvecIndex


class Unsearched(InMemoryArchive):
    """An archive that may not be searched itself, so that what is found was found by the index."""

    def search(self, query, **options):
        raise AssertionError("the archive was searched, not its index")


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "index"


class TestZvecIndex(ArchiveContract):
    """All of the contract, with full text of zvec alone."""

    @pytest.fixture
    def archive(self, folder):
        with IndexedArchive(Unsearched(), ZvecIndex(folder)) as archive:
            yield archive


class TestZvecVectors(VectorContract):
    """All of the contract of archives with embeddings; one process has an index open, so it is not opened twice."""

    reopens = False

    @pytest.fixture
    def make(self, tmp_path):
        opened = []

        def make(embeddings=None, name=None):
            inner = InMemoryArchive(embeddings=embeddings, embeddings_name=name)
            opened.append(IndexedArchive(inner, ZvecIndex(tmp_path / f"index{len(opened)}")))
            return opened[-1]

        yield make
        for archive in opened:
            archive.close()


@pytest.fixture
def archive(tmp_path, folder):
    """A file and an index beside it."""
    with IndexedArchive(SqliteArchive(tmp_path / "chat.db", embeddings=Meaning()), ZvecIndex(folder)) as archive:
        yield archive


def test_two_processes_cannot_have_one_index_open(archive, folder):
    """A second process is told which folder is taken and what to do instead; the first goes on."""
    fill(archive, "u", "t", ["a puppy", "tea"])
    code = f"from langchain_qwen_memory.archive.index.zvec import ZvecIndex; ZvecIndex({str(folder)!r})"
    other = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=False)
    assert other.returncode == 1
    assert f"ArchiveError: the index in {folder} is open already" in other.stderr
    assert "open the archive here without the index" in other.stderr
    with pytest.raises(ArchiveError, match="is open already"):
        ZvecIndex(folder)
    assert found(archive.search("hound", user="u", limit=1)) == ["a puppy"]


def test_an_index_is_open_again_after_it_was_closed(archive, tmp_path, folder):
    """What one process took in the next one finds, without taking it in again."""
    fill(archive, "u", "t", ["a puppy", "tea"])
    archive.close()
    with IndexedArchive(SqliteArchive(tmp_path / "chat.db", embeddings=Meaning()), ZvecIndex(folder)) as again:
        again.index.add = None  # nothing may be taken in
        assert found(again.search("hound", user="u", limit=1)) == ["a puppy"]
        again.close()
        with pytest.raises(ArchiveError, match="closed"):
            again.append("u", "t", [])


def test_an_index_may_be_deleted(archive, tmp_path, folder):
    """A folder that is gone is filled from the archive, with the vectors that are stored there: nothing is embedded."""
    for user in ("u", "v"):
        fill(archive, user, "t", [f"puppy {number}" for number in range(200)] + ["a hound"])
    archive.close()
    shutil.rmtree(folder)
    meaning = Meaning()
    with IndexedArchive(SqliteArchive(tmp_path / "chat.db", embeddings=meaning), ZvecIndex(folder)) as again:
        assert list(again.catch_up())[-1] == (402, 402)
        assert meaning.documents == []
        again.archive.search = None  # the index answers
        hits = again.search("狗", user="u", limit=300)
        assert {hit.turn.user for hit in hits} == {"u"}
        assert found(again.search("hound", user="v"))[0] == "a hound"


def test_a_call_makes_up_for_a_few_turns_and_the_archive_is_searched_meanwhile(archive, tmp_path, folder):
    """Behind by hundreds of turns, each search takes in some of them and finds all the same, until none is left."""
    fill(archive, "u", "t", [f"item{number}" for number in range(700)])
    archive.close()
    shutil.rmtree(folder)
    index = ZvecIndex(folder)
    taken = []
    add = index.add
    index.add = lambda owner, line, entries, cursor: (taken.append(len(entries)), add(owner, line, entries, cursor))
    with IndexedArchive(SqliteArchive(tmp_path / "chat.db", embeddings=Meaning()), index) as again:
        for most in (320, 640, 700, 700):
            assert found(again.search("item3", user="u", limit=1)) == ["item3"]
            assert sum(taken) <= most
        assert sum(taken) == 700


KILLED = """
import os, sys
from langchain_qwen_memory.archive import SqliteArchive
from langchain_qwen_memory.archive.index.archive import IndexedArchive
from langchain_qwen_memory.archive.index.zvec import ZvecIndex
from tests.archive.contract import chain, fill
from tests.archive.meaning import Meaning

index = ZvecIndex(sys.argv[2])
archive = IndexedArchive(SqliteArchive(sys.argv[1], embeddings=Meaning()), index)
[one] = fill(archive, "u", "t", ["tea"])
upsert, calls = index._upsert, []

def killed(db, docs):
    calls.append(docs)
    if len(calls) > int(sys.argv[3]):
        os.kill(os.getpid(), 9)
    upsert(db, docs)

index._upsert = killed
archive.append("u", "t", chain(one.key, ["a puppy", "coffee"]))
"""


@pytest.mark.parametrize("writes", [0, 1])
def test_a_process_killed_between_archive_and_index_loses_nothing(tmp_path, folder, writes):
    """Killed after the archive's commit, before the index has the turns or its cursor: the next search finds them."""
    arguments = [sys.executable, "-c", KILLED, str(tmp_path / "chat.db"), str(folder), str(writes)]
    dead = subprocess.run(arguments, capture_output=True, text=True, timeout=60, check=False)
    assert dead.returncode == -9, dead.stderr
    with IndexedArchive(SqliteArchive(tmp_path / "chat.db", embeddings=Meaning()), ZvecIndex(folder)) as archive:
        archive.archive.search = None  # the index answers
        assert found(archive.search("hound", user="u", limit=1)) == ["a puppy"]
        archive.index.settle()
        assert found(archive.search("hound", user="u", limit=1)) == ["a puppy"]
        assert archive.index._db.stats.doc_count == 4  # three turns and a cursor


def test_what_was_forgotten_elsewhere_is_not_handed_out(archive, tmp_path):
    """A process that forgets without the index leaves it stale: no hit comes of that, and it is cleaned on sight."""
    for thread in ("t", "s"):
        fill(archive, "u", thread, [f"a puppy of {thread} {number}" for number in range(30)])
    archive.search("hound", user="u")
    with SqliteArchive(tmp_path / "chat.db") as other:
        assert other.forget("u", "t") == 30
    assert {hit.turn.thread for hit in archive.search("hound", user="u", limit=99)} == {"s"}
    assert archive.search("hound", user="u", thread="t") == []
    list(archive.catch_up())
    assert archive.index._db.stats.doc_count == 31


def test_a_thread_begun_anew_elsewhere_is_found_as_it_is_now(archive, tmp_path):
    """Turns that took the place of forgotten ones are found, and those are not."""
    fill(archive, "u", "t", ["a puppy", "tea", "water"])
    assert found(archive.search("hound", user="u", limit=1)) == ["a puppy"]
    with SqliteArchive(tmp_path / "chat.db", embeddings=Meaning()) as other:
        other.forget("u", "t")
        fill(other, "u", "t", ["a car", "coffee", "juice", "milk"])
    assert found(archive.search("vehicle", user="u", limit=1)) == ["a car"]
    assert "a puppy" not in found(archive.search("hound", user="u", limit=99))


def test_what_other_processes_append_is_found(archive, tmp_path):
    """Turns appended without the index, by a process that cannot open it, are taken in by the next search here."""
    [one] = fill(archive, "u", "t", ["tea"])
    with SqliteArchive(tmp_path / "chat.db", embeddings=Meaning()) as other:
        other.append("u", "t", chain(one.key, ["a puppy", "coffee"]))
        fill(other, "u", "s", ["a hound"])
    assert set(found(archive.search("狗", user="u", limit=2))) == {"a puppy", "a hound"}


def test_a_lineage_of_many_branches_is_searched_and_no_other(archive):
    """Of a thread that was forked many times, the turns of the meant lineage are found and none of the others."""
    line = fill(archive, "u", "t", ["dog 0"])
    for number in range(1, 30):
        archive.append("u", "t", [turn(line[-1].key, *say(f"abandoned hound {number}"))])
        line.append(turn(line[-1].key, *say(f"dog {number}")))
        archive.append("u", "t", [line[-1]])
    archive.archive.search = None  # the index answers
    for head in (None, line[-1].key, line[12].key):
        hits = archive.search("dog puppy", user="u", thread="t", heads={"t": head} if head else None, limit=99)
        top = 29 if head != line[12].key else 12
        assert set(found(hits)) <= {f"dog {number}" for number in range(top + 1)}
        assert len(hits) >= top


def test_the_best_turns_are_those_that_the_archive_finds(tmp_path):
    """As long as both halves bring all there is, index and archive find the same turns in the same order."""
    rng = random.Random(3)
    words = ["alpha", "beta", "puppy", "dog", "KM-3000", "漏水", "car", "vehicle", "泵", "tea", "milk", "bread", "rain"]
    texts = [" ".join(rng.choices(words, k=rng.randint(3, 9))) for _ in range(120)]
    inner = InMemoryArchive(embeddings=Meaning())
    with IndexedArchive(inner, ZvecIndex(tmp_path / "index")) as archive:
        fill(archive, "u", "t", texts)
        fill(archive, "v", "t", texts[::-1])
        for query in ("hound KM-3000", "泵漏水", "tea and bread", "vehicle", "rainy"):
            for options in ({}, {"periods": [(1_700_000_010.0, 1_700_000_020.0)], "neighbours": True}):
                ours, theirs = (one.search(query, user="u", limit=5, **options) for one in (archive, inner))
                assert len({hit.turn.key for hit in ours} & {hit.turn.key for hit in theirs}) >= 4
                assert ours[0].turn == theirs[0].turn
                if options:
                    around = [[hit.before, hit.after] for hit in ours if hit.turn == theirs[0].turn]
                    assert around == [[theirs[0].before, theirs[0].after]]


def test_vectors_that_come_late_come_to_the_index_too(tmp_path, folder):
    """Turns stored while the embeddings were down are found by their words, and by meaning once they have vectors."""
    meaning = Meaning()
    with IndexedArchive(InMemoryArchive(embeddings=meaning), ZvecIndex(folder)) as archive:
        turns = fill(archive, "u", "t", ["tea", "milk"])
        meaning.down = True
        turns += chain(turns[-1].key, ["a puppy", "rain"])
        assert archive.append("u", "t", turns[2:]).problem == "the embeddings failed: ConnectionError"
        assert found(archive.search("puppy", user="u"))[0] == "a puppy"
        meaning.down = False
        archive.append("u", "t", chain(turns[-1].key, ["bread"]))
        assert archive.index.blank(owner_of("u"), 10) == []
        assert found(archive.search("hound", user="u", limit=1)) == ["a puppy"]


def test_another_model_makes_another_index(archive, tmp_path, folder):
    """After a reindex with other embeddings the index holds their vectors and none of the old ones."""
    fill(archive, "u", "t", ["tea", "a puppy", "milk"])
    archive.close()
    with SqliteArchive(tmp_path / "chat.db", embeddings=Meaning("meaning-2", dimension=48)) as inner:
        list(inner.reindex())
        archive = IndexedArchive(inner, ZvecIndex(folder))
        assert found(archive.search("hound", user="u", limit=1)) == ["a puppy"]
        assert archive.index._dimension == 48
        archive.index.close()


def test_what_lies_in_the_folder_is_not_destroyed(tmp_path):
    """A folder with something else in it is refused, and left as it is."""
    (tmp_path / "letter.txt").write_text("dear")
    with pytest.raises(ArchiveError, match="holds something else than an index; give an empty folder"):
        ZvecIndex(tmp_path)
    assert (tmp_path / "letter.txt").read_text() == "dear"


def test_without_zvec_the_extra_is_named(tmp_path, monkeypatch):
    """Where zvec is not installed the error says what to install."""
    monkeypatch.setitem(sys.modules, "zvec", None)
    with pytest.raises(ImportError, match=r'pip install "langchain-qwen-memory\[zvec\]"'):
        ZvecIndex(tmp_path / "index")


def test_many_turns_are_settled_while_they_are_searched(tmp_path, folder):
    """A thread of the process puts turns into their final form, and what comes meanwhile is found too."""
    with IndexedArchive(InMemoryArchive(), ZvecIndex(folder, settle_every=100)) as archive:
        turns = fill(archive, "u", "t", [f"item{number} puppy" for number in range(250)])
        for number in range(250, 280):
            turns += chain(turns[-1].key, [f"item{number} puppy"])
            archive.append("u", "t", turns[-1:])
            assert found(archive.search(f"item{number}", user="u"))[0] == f"item{number} puppy"
        archive.index.settle()
        assert archive.index._db.stats.doc_count == 281
        assert found(archive.search("item3", user="u"))[0] == "item3 puppy"
