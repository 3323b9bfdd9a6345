"""The archive in a SQLite file: what every archive does, beside a checkpointer, and when the file is not well."""

import os
import re
import resource
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from operator import add
from pathlib import Path
from typing import Annotated, TypedDict
from unittest import mock

import pytest
from langchain_core.messages import AIMessage, HumanMessage
from langgraph.checkpoint.sqlite import SqliteSaver
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver
from langgraph.graph import END, START, StateGraph

from langchain_qwen_memory.archive import SqliteArchive, root_key
from langchain_qwen_memory.archive.sqlite import postings
from langchain_qwen_memory.errors import ArchiveError, QwenMemoryError
from tests.archive.contract import ArchiveContract, asked, chain, fill, found, say, turn
from tests.archive.vector_contract import VectorContract


class TestSqliteArchive(ArchiveContract):
    @pytest.fixture(params=["file", "memory"])
    def archive(self, request, tmp_path):
        path = tmp_path / "chat.db" if request.param == "file" else ":memory:"
        with SqliteArchive(path) as archive:
            yield archive


class TestVectorsInSqlite(VectorContract):
    @pytest.fixture
    def make(self, tmp_path):
        with ExitStack() as opened:
            yield lambda embeddings=None, name=None: opened.enter_context(
                SqliteArchive(tmp_path / "chat.db", embeddings=embeddings, embeddings_name=name)
            )


class TestVectorsInSqlitesMemory(VectorContract):
    reopens = False

    @pytest.fixture
    def make(self):
        with ExitStack() as opened:
            yield lambda embeddings=None, name=None: opened.enter_context(
                SqliteArchive(":memory:", embeddings=embeddings, embeddings_name=name)
            )


@pytest.fixture
def path(tmp_path):
    return tmp_path / "chat.db"


def everything(path: Path) -> str:
    """All rows of all tables of a file, as text."""
    with sqlite3.connect(path) as db:
        tables = [row[0] for row in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        rows = [repr((table, row)) for table in tables for row in db.execute(f"SELECT * FROM {table}")]
    db.close()
    return "\n".join(rows)


# The file


def test_what_was_archived_is_there_when_the_file_is_opened_again(path):
    """An archive is its file: closed and opened again it holds the same turns, words and notes."""
    with SqliteArchive(path) as archive:
        turns = fill(archive, "u", "t", [f"alarm {number}" for number in range(100)])
        archive.put_note("u", "t", "k", {"a": 1})
    with SqliteArchive(str(path)) as archive:
        assert archive.page("u", "t", limit=100)[-1].key == turns[-1].key
        assert len(archive.search("alarm", user="u", limit=999)) == 100
        assert archive.get_note("u", "t", "k") == {"a": 1}


def test_two_archives_on_one_file_see_each_other(path):
    """What one connection has written the other reads at once, and neither writes a turn again."""
    with SqliteArchive(path) as one, SqliteArchive(path) as two:
        turns = fill(one, "u", "t", ["alarm"])
        assert two.append("u", "t", [*turns, *chain(turns[-1].key, ["alarm again"])]) == 1
        assert found(one.search("alarm", user="u")) == found(two.search("alarm", user="u")) != []


def test_what_is_forgotten_is_in_no_row_and_no_byte_of_the_file(path):
    """After forgetting, no table holds a word, an id or a note of it, nor do freed pages or the log."""
    secrets = [f"canary{chr(97 + number % 26)}{chr(97 + number // 26)}" for number in range(150)]
    with SqliteArchive(path) as archive:
        for user, thread in (("canaryuser", "t"), ("u", "canarythread"), ("u", "t")):
            words = secrets if "canary" in user + thread else [f"kept {number}" for number in range(150)]
            turns = chain(root_key(user, thread), words)
            for one in turns:
                archive.append(user, thread, [one])
            if words is secrets:
                archive.append(user, thread, [turn(turns[3].key, HumanMessage("canaryfork"), text="canaryfork")])
                archive.put_note(user, thread, "canarykey", {"canary": 1})
        assert "canary" in everything(path)
        assert archive.forget("canaryuser") == 151
        assert archive.forget("u", "canarythread") == 151
        assert "canary" not in everything(path)
        assert archive.count("u") == len(archive.search("kept", user="u", limit=999)) == 150
        raw = b"".join(Path(f"{path}{end}").read_bytes() for end in ("", "-wal"))
        assert b"canary" not in raw
        assert b"kept" in raw


def test_an_empty_archive_holds_no_rows_of_its_users(path):
    """Forgetting all users leaves the schema's version, how often something was forgotten, and nothing else."""
    with SqliteArchive(path) as archive:
        for user in ("a", "b"):
            turns = fill(archive, user, "t", [f"alarm {number}" for number in range(140)])
            archive.append(user, "t", chain(turns[5].key, ["fork"]))
            archive.put_note(user, "only notes", "k", {})
            archive.forget(user)
    assert sorted(everything(path).splitlines()) == [
        "('qwen_memory_meta', ('erasures', '2'))",
        "('qwen_memory_meta', ('schema', '4'))",
    ]


# Beside LangGraph's own savers


class State(TypedDict):
    said: Annotated[list[str], add]


def chat(saver, archive):
    """A graph that archives each of its turns in a node."""

    def remember(state, config):
        thread = config["configurable"]["thread_id"]
        parent = archive.head("u", thread) or root_key("u", thread)
        archive.append("u", thread, [turn(parent, *say(state["said"][-1]))])

    builder = StateGraph(State)
    builder.add_node("remember", remember)
    builder.add_edge(START, "remember")
    builder.add_edge("remember", END)
    return builder.compile(checkpointer=saver)


def test_the_file_may_be_the_checkpointers_own(path):
    """SqliteSaver and the archive write to one file, from several threads, and both have everything."""
    with SqliteSaver.from_conn_string(str(path)) as saver, SqliteArchive(path) as archive:
        graph = chat(saver, archive)

        def talk(thread):
            for number in range(10):
                graph.invoke({"said": [f"alarm {number}"]}, {"configurable": {"thread_id": thread}})

        talkers = [threading.Thread(target=talk, args=(f"t{number}",)) for number in range(4)]
        for talker in talkers:
            talker.start()
        for talker in talkers:
            talker.join()
        for number in range(4):
            kept = graph.get_state({"configurable": {"thread_id": f"t{number}"}}).values["said"]
            assert kept == asked(archive.page("u", f"t{number}")) == [f"alarm {number}" for number in range(10)]


async def test_the_file_may_be_the_async_checkpointers_own(path):
    """AsyncSqliteSaver and the archive write to one file."""
    async with AsyncSqliteSaver.from_conn_string(str(path)) as saver, SqliteArchive(path) as archive:
        graph = chat(saver, archive)
        config = {"configurable": {"thread_id": "t"}}
        for number in range(10):
            await graph.ainvoke({"said": [f"alarm {number}"]}, config)
        assert (await graph.aget_state(config)).values["said"] == asked(await archive.apage("u", "t"))


# Failures


def test_a_missing_folder_is_named_with_the_command_that_makes_it(tmp_path):
    """A path into a folder that is not there fails at once, with path and fix."""
    path = tmp_path / "nowhere" / "chat.db"
    with pytest.raises(ArchiveError, match=f"the archive {path} failed.*mkdir -p {path.parent}") as caught:
        SqliteArchive(path)
    assert isinstance(caught.value, QwenMemoryError)
    assert isinstance(caught.value.__cause__, sqlite3.Error)


@pytest.mark.parametrize(("given", "message"), [("", "needs a path"), (".", "unable to open")])
def test_a_path_that_is_no_file_is_refused(given, message):
    """An empty path and a folder are refused."""
    with pytest.raises(ArchiveError, match=message):
        SqliteArchive(given)


def test_another_programs_file_is_refused(path):
    """A file that is no SQLite database is refused and left as it is."""
    path.write_text("a letter to my mother\n" * 100)
    with pytest.raises(ArchiveError, match="it is no SQLite database: give another path"):
        SqliteArchive(path)
    assert path.read_text().startswith("a letter")


def test_a_newer_versions_file_is_refused(path):
    """A schema from the future is not touched; the message says what to install."""
    SqliteArchive(path).close()
    with sqlite3.connect(path) as db:
        db.execute("UPDATE qwen_memory_meta SET value = '99'")
    db.close()
    with pytest.raises(
        ArchiveError, match=r"schema 99, which a newer version wrote.*pip install -U langchain-qwen-memory"
    ):
        SqliteArchive(path)


def test_a_file_of_someone_else_is_refused():
    """A process without the right to write the file gets an error that names the right to give."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "chat.db"
        with SqliteArchive(path) as archive:
            fill(archive, "u", "t", ["a"])
        path.chmod(0o444)
        Path(folder).chmod(0o555)
        code = f"""
import os
from langchain_qwen_memory.archive import SqliteArchive
from langchain_qwen_memory.errors import ArchiveError
from tests.archive.contract import fill
fill(SqliteArchive(":memory:"), "u", "t", ["load all modules while they can be read"])
if os.geteuid() == 0:
    os.setuid(65534)  # root may write everywhere
try:
    fill(SqliteArchive({str(path)!r}), "u", "s", ["a"])
except ArchiveError as error:
    print(error)
"""
        run = subprocess.run([sys.executable, "-c", code], check=False, capture_output=True, text=True)
        Path(folder).chmod(0o755)
        assert re.search(f"let this process write.*{folder}|write there", run.stdout), run.stdout + run.stderr


def test_a_read_only_database_is_told_with_its_fix(path):
    """When SQLite refuses to write, the error names file and folder; reading goes on."""
    with SqliteArchive(path) as archive:
        fill(archive, "u", "t", ["a"])
        archive._file._writer.execute("PRAGMA query_only = ON")
        with pytest.raises(ArchiveError, match=f"chmod u\\+w {path} {path.parent}"):
            fill(archive, "u", "s", ["a"])
        assert asked(archive.page("u", "t")) == ["a"]


def test_a_locked_file_is_told_after_the_timeout(path):
    """While another process holds the write lock, reading works; writing waits, then says what it waited for."""
    with SqliteArchive(path, timeout=0.2) as archive:
        fill(archive, "u", "t", ["alarm"])
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        started = time.monotonic()
        with pytest.raises(ArchiveError, match=r"locked; another process is writing.*timeout=0\.2"):
            fill(archive, "u", "s", ["a"])
        assert 0.15 < time.monotonic() - started < 5
        assert found(archive.search("alarm", user="u")) == ["alarm"]
        other.execute("ROLLBACK")
        other.close()
        fill(archive, "u", "s", ["a"])


def test_a_search_does_not_wait_for_a_writer_of_this_process(path):
    """While one thread waits for the write lock, another one searches."""
    with SqliteArchive(path, timeout=20) as archive:
        fill(archive, "u", "t", ["alarm"])
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        writer = threading.Thread(target=fill, args=(archive, "u", "s", ["a"]))
        writer.start()
        started = time.monotonic()
        assert found(archive.search("alarm", user="u")) == ["alarm"]
        assert time.monotonic() - started < 5
        assert writer.is_alive()
        other.execute("ROLLBACK")
        other.close()
        writer.join()
        assert archive.count("u") == 2


def test_a_full_disk_loses_nothing_that_was_acknowledged(path):
    """When the database cannot grow, the append fails whole with the fix, and goes on when there is room again."""
    with SqliteArchive(path) as archive:
        turns = fill(archive, "u", "t", ["alarm"])
        pages = archive._file._writer.execute("PRAGMA page_count").fetchone()[0]
        archive._file._writer.execute(f"PRAGMA max_page_count = {pages + 2}")
        big = chain(turns[-1].key, [os.urandom(9_000).hex() for _ in range(3)])
        with pytest.raises(ArchiveError, match="the disk is full: free some space"):
            archive.append("u", "t", big)
        assert (archive.count("u"), archive.head("u", "t")) == (1, turns[-1].key)
        archive._file._writer.execute("PRAGMA max_page_count = 100000")
        assert archive.append("u", "t", big) == 3
        assert found(archive.search("alarm", user="u")) == ["alarm"]


def test_a_disk_quota_is_an_error_with_a_fix(path):
    """A real process that may not write beyond 200 kB gets an ArchiveError, and what it acknowledged is kept."""
    code = f"""
import os
from langchain_qwen_memory.archive import SqliteArchive, root_key
from langchain_qwen_memory.errors import ArchiveError
from tests.archive.contract import chain
archive, parent = SqliteArchive({str(path)!r}), root_key("u", "t")
for number in range(1000):
    turns = chain(parent, [f"alarm {{number}} " + os.urandom(3000).hex()])
    try:
        archive.append("u", "t", turns)
    except ArchiveError as error:
        print(error, flush=True)
        os._exit(7)
    parent = turns[-1].key
    print("kept", flush=True)
"""
    limit = lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000))  # noqa: E731
    run = subprocess.run([sys.executable, "-c", code], check=False, preexec_fn=limit, capture_output=True, text=True)
    *kept, last = run.stdout.splitlines()
    assert run.returncode == 7, run.stderr
    assert "free space" in last
    with SqliteArchive(path) as archive:
        assert archive.count("u") == len(kept) > 3


def test_a_closed_archive_says_so(path):
    """Using an archive after closing it is an error, not a new empty file."""
    archive = SqliteArchive(path)
    archive.close()
    with pytest.raises(ArchiveError, match=f"the archive {path} is closed"):
        archive.count("u")


def test_an_error_in_the_middle_undoes_the_whole_batch(path):
    """A value that SQLite refuses in the last turn leaves no row of the turns before it."""
    with SqliteArchive(path) as archive:
        turns = chain(root_key("u", "t"), ["alarm one", "two"])
        broken = turn(turns[-1].key, HumanMessage("three"), AIMessage("3"), at=object())
        with pytest.raises(ArchiveError, match="failed"):
            archive.append("u", "t", [*turns, broken])
        assert (archive.count("u"), archive.search("alarm", user="u")) == (0, [])
        assert archive.append("u", "t", turns) == 2


def test_a_file_that_another_program_is_reading_is_waited_for(path):
    """Making a foreign database a write-ahead one needs it alone for a moment: opening waits for its readers."""
    other = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    other.execute("CREATE TABLE theirs (x)")
    other.execute("BEGIN")
    other.execute("SELECT * FROM theirs").fetchall()
    ending = threading.Timer(0.4, other.execute, ["COMMIT"])
    ending.start()
    with SqliteArchive(path, timeout=20) as archive:
        assert not ending.is_alive()
        fill(archive, "u", "t", ["a"])
    ending.join()
    assert other.execute("SELECT count(*) FROM theirs").fetchone() == (0,)
    other.close()


def test_a_new_file_may_be_opened_by_many_at_once(tmp_path):
    """Workers that start together make the file once: none is told that it is locked, each can write."""

    def work(path, number, together):
        together.wait()
        with SqliteArchive(path) as archive:
            fill(archive, f"u{number}", "t", ["a"])

    for attempt in range(40):
        path, together = tmp_path / f"{attempt}.db", threading.Barrier(6)
        with ThreadPoolExecutor(6) as pool:
            list(pool.map(work, [path] * 6, range(6), [together] * 6))
        with SqliteArchive(path) as archive:
            assert [archive.count(f"u{number}") for number in range(6)] == [1] * 6


def test_merging_keeps_no_append_waiting(path):
    """Segments of the full text are merged a little with each append: none rewrites the words of hundreds of turns."""
    texts = [" ".join(f"own{number}x{place}" for place in range(10)) for number in range(640)]
    changed = []
    with SqliteArchive(path) as archive:
        for one in chain(root_key("u", "t"), texts):
            before = archive._file._writer.total_changes
            archive.append("u", "t", [one])
            changed.append(archive._file._writer.total_changes - before)
            sought = len(changed) // 2
            assert len(changed) % 20 or found(archive.search(f"own{sought}x7", user="u", limit=1)) == [texts[sought]]
        merged = archive._file._writer.execute("SELECT count(*) FROM qwen_memory_segments WHERE size >= 512").fetchone()
    assert merged == (1,)
    assert max(changed) < 1_500


def test_a_long_history_stands_in_few_segments(path):
    """Merged segments are merged again, a little with each append, while the next small ones are merged too."""
    sizes = {"FRESH": 4, "FULL": 16, "LARGE": 64, "STEPS": 6, "MORE_STEPS": 16}
    texts = [f"word{number} common" for number in range(400)]
    most = []
    with mock.patch.multiple(postings, **sizes), SqliteArchive(path) as archive:
        for number, one in enumerate(chain(root_key("u", "t"), texts)):
            archive.append("u", "t", [one])
            db = archive._file._writer
            most.append(db.execute("SELECT count(*) FROM qwen_memory_segments").fetchone()[0])
            if number % 10 == 0:
                assert found(archive.search(f"word{number // 2}", user="u", limit=1)) == [texts[number // 2]]
        stored = db.execute("SELECT size FROM qwen_memory_segments WHERE size >= 64").fetchall()
        moving = db.execute("SELECT count(DISTINCT target) FROM qwen_memory_moves").fetchone()[0]
        alike = archive.search("common", user="u", limit=400)
    assert len(stored) >= 5
    assert max(most) <= 400 // 64 + 4 + 4 + 1, "each kind of segment stands four times at most"
    assert moving <= 2
    assert len(alike) == 400


def test_a_search_goes_by_the_connection_that_wrote(path):
    """A commit empties the other one's cache of pages; that one is for searches while somebody writes."""
    with SqliteArchive(path) as archive:
        fill(archive, "u", "t", [f"alarm {number}" for number in range(20)])
        seen = []
        archive._file._reader.set_trace_callback(seen.append)
        assert len(archive.search("alarm", user="u")) == 10
        assert seen == []
        with archive._file.write(), ThreadPoolExecutor(1) as pool:
            assert len(pool.submit(archive.search, "alarm", user="u").result(timeout=5)) == 10
        assert seen


def test_many_segments_of_an_older_file_are_merged_some_at_a_time(path):
    """A file whose segments were never merged again is caught up with; none gets more turns than it can number."""
    texts = [f"word{number} common" for number in range(120)]
    sizes = {"FRESH": 4, "FULL": 8, "STEPS": 2, "MORE_STEPS": 4}
    turns = chain(root_key("u", "t"), texts)
    with mock.patch.multiple(postings, LARGE=1 << 15, **sizes), SqliteArchive(path) as archive:
        archive.append("u", "t", turns[:80])
    with mock.patch.multiple(postings, LARGE=32, **sizes), SqliteArchive(path) as archive:
        for one in turns[80:]:
            archive.append("u", "t", [one])
        stored = archive._file._writer.execute("SELECT size FROM qwen_memory_segments").fetchall()
        assert found(archive.search("word3", user="u", limit=1)) == [texts[3]]
        assert len(archive.search("common", user="u", limit=200)) == 120
    assert max(stored) < (32 + 8,)
    assert len(stored) < 9
