"""What a Postgres archive is beside the contract: its URL, its schema, its failures, its index."""

import subprocess
import sys

import psycopg
import pytest
from langchain_core.messages import HumanMessage

from langchain_qwen_memory.archive import InMemoryArchive, root_key
from langchain_qwen_memory.archive.postgres.append import Ready, append
from langchain_qwen_memory.archive.postgres.archive import PostgresArchive
from langchain_qwen_memory.archive.postgres.ops import drive
from langchain_qwen_memory.archive.postgres.places import Held, Kept
from langchain_qwen_memory.errors import ArchiveError
from tests.archive.contract import asked, chain, fill, found, turn
from tests.archive.meaning import Meaning
from tests.postgres.pooler import pooled


def test_the_password_is_in_no_text(caplog):
    """Neither the archive's name, nor an error, nor the log shows user or password."""
    url = "postgresql://me:s3cret@127.0.0.1:9/chat"
    archive = PostgresArchive(url, timeout=2)
    with pytest.raises(ArchiveError, match=r"127.0.0.1:9/chat failed.*see that the server") as error:
        archive.count("u")
    assert "s3cret" not in repr(archive) + str(error.value) + repr(error.value.__cause__) + caplog.text


@pytest.mark.parametrize("url", ["postgresql://me:s3cr@t@host/chat", "postgres:/me:s3cr@t", "s3cr@t host"])
def test_a_url_that_is_none_is_refused_without_being_shown(url):
    """A password with an @ in it, and what is no URL at all, is told with the fix and without the password."""
    with pytest.raises(ArchiveError, match="%40") as error:
        PostgresArchive(url)
    assert "s3cr" not in str(error.value)
    assert error.value.__cause__ is None


def test_a_schema_must_have_a_name():
    """An empty name and one that no quoting can help is refused."""
    for bad in ("", 'a"b', "a\0b", "{s}"):
        with pytest.raises(ArchiveError, match="schema must be the name"):
            PostgresArchive("postgresql://host/chat", schema=bad)


def test_without_psycopg_the_extra_is_named():
    """Where the extra is not installed, the error says what to type."""
    code = """
import sys
sys.modules["psycopg"] = None
from langchain_qwen_memory.archive.postgres.archive import PostgresArchive
PostgresArchive("postgresql://host/chat")
"""
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert 'pip install "langchain-qwen-memory[postgres]"' in run.stderr


async def test_setup_may_be_called_again_and_again(url):
    """Setup makes what is not there; once made, it changes nothing, whoever calls it."""
    with PostgresArchive(url) as archive:
        archive.setup()
        fill(archive, "u", "t", ["alarm"])
        archive.setup()
        await archive.asetup()
        assert asked(archive.page("u", "t")) == ["alarm"]
        await archive.aclose()


def test_a_newer_versions_schema_is_refused(url):
    """A schema from the future is not touched; the message says what to install."""
    with PostgresArchive(url) as archive:
        archive.setup()
    with psycopg.connect(url) as db:
        db.execute("INSERT INTO qwen_memory_migrations (v) VALUES (99)")
    with PostgresArchive(url) as archive, pytest.raises(ArchiveError, match="schema 99, which a newer version wrote"):
        archive.count("u")


def test_a_database_that_is_not_there_is_told_with_its_fix(url):
    """A wrong name of the database is told with the command that makes it."""
    with (
        PostgresArchive(url.replace("/t", "/none", 1)) as archive,
        pytest.raises(ArchiveError, match=r"failed: .*none"),
    ):
        archive.count("u")


def test_a_user_that_may_not_make_tables_is_told(url):
    """Rights that are missing are told with the fix."""
    with psycopg.connect(url, autocommit=True) as db:
        db.execute("DROP ROLE IF EXISTS poor")
        db.execute("CREATE ROLE poor LOGIN")
    poor = psycopg.conninfo.make_conninfo(url, user="poor")
    with (
        PostgresArchive(poor) as archive,
        pytest.raises(ArchiveError, match=r"GRANT the user what it lacks"),
    ):
        archive.count("u")


def test_a_turn_of_a_whole_book_is_archived_and_found(url):
    """A turn with more words than one tsvector holds is found by its first and its last."""
    book = " ".join(f"w{number}x" for number in range(120_000))
    with PostgresArchive(url) as archive:
        archive.append("u", "t", [turn(root_key("u", "t"), HumanMessage("book"), text=f"zebra {book} okapi")])
        for word in ("zebra", "w60000x", "okapi"):
            assert len(archive.search(word, user="u")) == 1


def test_scores_are_those_of_the_archive_in_memory(url):
    """Words and vectors weigh here what they weigh in any archive, to the last digits."""
    texts = [f"alarm {'pump ' * (number % 7)} valve{number % 5} 泵 {number}" for number in range(60)]
    scores = []
    for archive in (InMemoryArchive(embeddings=Meaning()), PostgresArchive(url, embeddings=Meaning())):
        with archive:
            fill(archive, "u", "t", texts)
            hits = archive.search("pump valve3 泵", user="u", limit=60)
            scores.append({hit.turn.position: hit.score for hit in hits})
    assert scores[1] == pytest.approx(scores[0], rel=1e-4)
    assert len(scores[0]) == 60


def test_a_common_word_does_not_hide_a_rare_one_in_a_long_history(url):
    """In a history of thousands of turns the rare words of a question are looked up, and lead to their turns."""
    with PostgresArchive(url) as archive:
        turns = chain(root_key("u", "t"), [f"one two three four five six number{number}" for number in range(2_200)])
        archive.append("u", "t", turns)
        assert found(archive.search("two three four five six number77", user="u", limit=1)) == [asked(turns)[77]]


def test_an_index_finds_the_nearest_of_very_many(url):
    """With hnsw=True and more turns than exact_up_to, the nearest turns are asked of the index, and come first."""
    with (
        PostgresArchive(url, embeddings=Meaning(), hnsw=True, exact_up_to=100) as near,
        PostgresArchive(url, embeddings=Meaning(), hnsw=True) as exact,
    ):
        fill(near, "u", "t", [f"item{number}" for number in range(600)])
        fill(near, "u", "s", ["a puppy"])
        fill(near, "v", "t", ["a puppy of another"])
        for question in ("hound", "item7 item8 hound", "?", "item7"):
            both = [archive.search(question, user="u", limit=5) for archive in (near, exact)]
            assert found(both[0])[:3] == found(both[1])[:3]
            assert [hit.score for hit in both[0]] == pytest.approx([hit.score for hit in both[1]], abs=0.1)
        assert "a puppy" in found(near.search("hound", user="u", limit=5))
    with psycopg.connect(url) as db:
        rows = db.execute("SELECT indexdef FROM pg_indexes WHERE indexname LIKE 'qwen_memory_vectors%'").fetchall()
    assert any("USING hnsw" in row[0] for row in rows)


LEFT = """
SELECT (SELECT count(*) FROM pg_prepared_statements),
    (SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid()),
    (SELECT count(*) FROM pg_settings WHERE name LIKE 'hnsw%' AND setting <> boot_val)
"""


def _sent(archive):
    """How often prepared statements were run on the archive's one connection."""
    with archive._link._open().connection() as db:
        return db.execute("SELECT sum(generic_plans + custom_plans) FROM pg_prepared_statements").fetchone()[0]


async def test_a_pooler_in_transaction_mode_may_stand_between(url):
    """Behind a pooler no statement is prepared and no setting or lock is left in a session, as others get it."""
    options = {"embeddings": Meaning(), "max_connections": 1, "hnsw": True, "exact_up_to": 1}
    with pooled(url) as between, PostgresArchive(between, **options) as archive:
        for number in range(10):
            fill(archive, "u", f"t{number}", ["a puppy"])
            archive.search("hound", user="u")
            assert found(await archive.asearch("hound", user="u", limit=1)) == ["a puppy"]
        async with (await archive._link._aopen()).connection() as db:
            assert await (await db.execute(LEFT)).fetchone() == (0, 0, 0)
        with archive._link._open().connection() as db:
            assert db.execute(LEFT).fetchone() == (0, 0, 0)
        await archive.aclose()


def test_where_no_pooler_stands_between_statements_are_prepared(url):
    """A statement that comes again is planned once, unless prepare_threshold=None says otherwise."""
    for threshold, prepared in ((2, True), (None, False)):
        with PostgresArchive(url, max_connections=1, prepare_threshold=threshold) as archive:
            for _ in range(4):
                archive.head("u", "t")
            with archive._link._open().connection() as db:
                assert (db.execute(LEFT).fetchone()[0] > 0) is prepared


def test_a_search_takes_two_statements(url):
    """Whatever is asked, one statement asks and one reads; the first search of a user takes a few more."""
    with PostgresArchive(url, embeddings=Meaning(), max_connections=1, prepare_threshold=0) as archive:
        fill(archive, "u", "t", ["a puppy", "rain", "a car"])
        archive.search("hound", user="u")
        before = _sent(archive)
        archive.search("vehicle", user="u", neighbours=True, exclude=["none"])
        assert _sent(archive) - before == 2 + 1  # and the one that counts


def test_what_others_append_and_forget_is_seen_at_the_next_search(url):
    """What a process holds of a user's turns is never older than its search, whatever other processes did meanwhile."""
    with PostgresArchive(url) as here, PostgresArchive(url) as there:

        def seen():
            return sorted(found(here.search("alarm", user="u")))

        fill(here, "u", "t", ["alarm one"])
        assert seen() == ["alarm one"]
        fill(there, "u", "s", ["alarm two"])
        assert seen() == ["alarm one", "alarm two"]
        there.forget("u", "t")
        assert seen() == ["alarm two"]
        with psycopg.connect(url) as late:  # gets its number before another turn does, and is there after it
            ready = [Ready.of(one) for one in chain(root_key("u", "late"), ["alarm three"])]
            drive(late, there._link.names, append("u", "late", ready))
            fill(there, "u", "s2", ["alarm four"])
            assert seen() == ["alarm four", "alarm two"]
        assert seen() == ["alarm four", "alarm three", "alarm two"]
        there.forget("u")
        assert seen() == []
        fill(there, "u", "t", ["alarm five"])
        assert seen() == ["alarm five"]


def test_places_are_held_for_the_users_searched_last():
    """A user of more turns than are held is read for each search; of others those searched last are held."""
    kept, packed = Kept(room=5), [bytes(40 * count) for count in (1, 3, 6)]
    small, large, huge = (Held.of(number, data) for number, data in enumerate(packed))
    kept.put(b"small", small)
    kept.put(b"large", large)
    kept.put(b"huge", huge)
    assert [kept.get(user) for user in (b"small", b"large", b"huge")] == [small, large, None]
    kept.get(b"small")
    kept.put(b"other", large)
    assert [kept.get(user) for user in (b"small", b"large", b"other")] == [small, None, large]
