"""The store fails: full disk, no rights, locked, damaged, gone. The user is answered and told; nothing is lost."""

import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from contextlib import closing
from pathlib import Path

import pytest
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.checkpoint.sqlite import SqliteSaver

from langchain_qwen_memory import (
    RecallMemory,
    SqliteArchive,
    WindowMemory,
    create_chat_graph,
    read_reports,
    run_turn,
    transcript,
)
from langchain_qwen_memory.errors import ArchiveError
from tests.faults.store_child import CONFIG
from tests.scripted import ScriptedChatModel

TOLD = "archive: ArchiveError"


def child(*command, **options):
    environment = {**os.environ, "LANGGRAPH_STRICT_MSGPACK": "true"}
    line = [sys.executable, "-m", "tests.faults.store_child", *map(str, command)]
    return subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment, **options)


def chat(archive, saver=None):
    return create_chat_graph(
        ScriptedChatModel(),
        memory=[WindowMemory(trigger=("turns", 3), keep=("turns", 1)), RecallMemory(k=1)],
        archive=archive,
        checkpointer=saver or InMemorySaver(),
    )


def ask(graph, *numbers):
    for number in numbers:
        answer = run_turn(graph, f"question {number}", CONFIG)["messages"][-1].text
        assert answer.startswith("answer to") and f"question {number}" in answer  # noqa: PT018 - with or without records
    return read_reports(graph, CONFIG, limit=len(numbers))


def asked(graph):
    return [turn.messages[0].text for turn in transcript(graph, CONFIG, limit=1_000)]


def questions(count):
    return [f"question {number}" for number in range(count)]


@pytest.mark.skipif(sys.platform == "win32", reason="limits of a process are POSIX")
def test_a_full_disk_keeps_turns_in_the_state(tmp_path):
    """While no file may grow, each question is answered, the log says what to do; then all turns are taken in."""
    process = child("full", tmp_path / "chat.db", "apart")
    said, log = process.communicate(timeout=60)
    assert [line for line in said.splitlines() if line.startswith("answered")] == [f"answered {n}" for n in range(6)]
    assert [line.strip() for line in said.splitlines() if line.startswith("told")] == [
        *["told"] * 2,
        *[f"told {TOLD}"] * 2,
        *["told"] * 2,
    ]
    assert "kept 6" in said
    assert f"free space, quota and health of {tmp_path}" in log


@pytest.mark.skipif(sys.platform == "win32", reason="limits of a process are POSIX")
def test_a_full_disk_under_the_checkpoints_too(tmp_path):
    """Then a run fails, since LangGraph cannot keep it; with room again the thread goes on with what was kept."""
    path = tmp_path / "chat.db"
    said, _ = child("full", path, "together").communicate(timeout=60)
    failed = [int(line.split()[1]) for line in said.splitlines() if line.startswith("failed")]
    answered = [int(line.split()[1]) for line in said.splitlines() if line.startswith("answered")]
    assert failed == [2, 3]
    assert answered == [0, 1, 4, 5]
    with SqliteSaver.from_conn_string(str(path)) as saver, SqliteArchive(path) as archive:
        kept = [" ".join(text.split()[:2]) for text in asked(chat(archive, saver))]
        assert [text for text in kept if int(text.split()[1]) in answered] == [f"question {n}" for n in answered]
        assert len(kept) == len(set(kept)) == archive.count("", "t1")


@pytest.mark.skipif(sys.platform == "win32", reason="rights are POSIX")
def test_who_may_not_write_is_told_so_at_once(tmp_path):
    """Opened by another user, a file and a folder that are read-only are refused with the command that mends it."""
    with tempfile.TemporaryDirectory() as folder:  # pytest's own folders are closed to other users
        path = Path(folder, "chat.db")
        with SqliteArchive(path) as archive:
            ask(chat(archive), 0)
        path.chmod(0o444)
        Path(folder).chmod(0o555)
        said, log = child("reader", folder).communicate(timeout=60)
        Path(folder).chmod(0o755)
    old, new = said.splitlines()
    assert f"chmod u+w {path} {folder}" in old, log
    assert "let this process write there" in new
    assert folder in new


def test_a_lock_held_for_too_long_costs_no_answer(tmp_path):
    """Another process keeps the write lock for too long: the report tells; when it lets go all turns are taken."""
    path = tmp_path / "chat.db"
    with SqliteArchive(path, timeout=0.2) as archive:
        graph = chat(archive)
        ask(graph, 0, 1)
        process = child("lock", path, 60)
        assert process.stdout.readline() == "locked\n"
        told = ask(graph, 2, 3, 4)
        assert [report["errors"] for report in told] == [[TOLD]] * 3
        process.kill()
        process.communicate()
        assert ask(graph, 5)[0]["errors"] == []
        assert asked(graph) == questions(6)
        assert archive.count("", "t1") == 6


def test_the_text_of_a_lock_says_what_to_do(tmp_path):
    """Wait, or raise the timeout."""
    path = tmp_path / "chat.db"
    with SqliteArchive(path, timeout=0.1) as archive, closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(ArchiveError, match=r"another process is writing.*timeout=0\.1"):
            archive.put_note("", "t1", "key", {})


def damage(path):
    """Overwrite all pages but the first, as a failing disk does."""
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(os.urandom(size - 4096))


def test_an_archive_damaged_under_a_living_thread_costs_no_answer(tmp_path):
    """Its pages are garbage: each question is answered, nothing leaves the state, a copy lets the thread go on."""
    path, copy, saver = tmp_path / "chat.db", tmp_path / "copy.db", InMemorySaver()
    with SqliteArchive(path) as archive:
        ask(chat(archive, saver), 0, 1, 2, 3)
    shutil.copy(path, copy)
    with SqliteArchive(path) as archive:
        damage(path)
        graph = chat(archive, saver)
        for report in ask(graph, 4, 5, 6):
            assert report["errors"][0] == f"{TOLD} on reading"
        live = [message.text for message in graph.get_state(CONFIG).values["messages"] if message.type == "human"]
        assert live[-3:] == questions(7)[-3:]
    for file in tmp_path.glob("chat.db*"):
        file.unlink()
    shutil.copy(copy, path)
    with SqliteArchive(path) as archive:
        graph = chat(archive, saver)
        assert ask(graph, 7)[0]["errors"] == []
        assert asked(graph) == questions(8)
        assert archive.count("", "t1") == 8


def test_a_damaged_archive_is_refused_when_it_is_opened(tmp_path):
    """The error says what may be done: a copy, or SQLite's own rescue."""
    path = tmp_path / "chat.db"
    with SqliteArchive(path) as archive:
        ask(chat(archive), 0, 1, 2, 3)
    damage(path)
    with pytest.raises(ArchiveError, match=r"the file is damaged: put a copy back.*\.recover"):
        SqliteArchive(path)


def test_what_is_no_database_is_refused(tmp_path):
    """The error names the file and asks for another path; the file is left as it is."""
    path = tmp_path / "chat.db"
    path.write_text("Dear diary, this is no database at all. " * 200)
    with pytest.raises(ArchiveError, match="no SQLite database: give another path"):
        SqliteArchive(path)
    assert path.read_text().startswith("Dear diary")


def moved_away(path, folder):
    """Take an archive's files away, as a clean-up script does."""
    folder.mkdir()
    for file in path.parent.glob("chat.db*"):
        if file.is_file():
            file.rename(folder / file.name)


@pytest.mark.skipif(sys.platform == "win32", reason="an open file cannot be removed there")
@pytest.mark.parametrize("replaced", [False, True], ids=["removed", "replaced"])
def test_a_file_taken_away_under_a_living_thread_takes_no_turn_with_it(tmp_path, replaced):
    """What would be written to a file without a name is not: turns stay in the state until the file is back."""
    path, away = tmp_path / "chat.db", tmp_path / "away"
    saver = InMemorySaver()
    with SqliteArchive(path) as archive:
        graph = chat(archive, saver)
        ask(graph, 0, 1, 2, 3, 4)
        moved_away(path, away)
        if replaced:
            SqliteArchive(path).close()
        for report in ask(graph, 5, 6, 7):
            assert TOLD in report["errors"]
        with pytest.raises(ArchiveError, match=r"removed or replaced.*put it back"):
            archive.put_note("", "t1", "key", {})
    for file in away.iterdir():
        file.replace(path.parent / file.name)
    with SqliteArchive(path) as archive:
        graph = chat(archive, saver)
        assert ask(graph, 8)[0]["errors"] == []
        assert asked(graph) == questions(9)
        assert archive.count("", "t1") == 9


@pytest.mark.skipif(sys.platform == "win32", reason="an open file cannot be removed there")
def test_the_file_put_back_is_gone_on_with(tmp_path):
    """The same process writes again once the very file is in its place."""
    path, away = tmp_path / "chat.db", tmp_path / "away"
    with SqliteArchive(path) as archive:
        graph = chat(archive)
        ask(graph, 0, 1)
        moved_away(path, away)
        assert ask(graph, 2)[0]["errors"] == [TOLD]
        for file in away.iterdir():
            file.rename(path.parent / file.name)
        assert ask(graph, 3)[0]["errors"] == []
        assert asked(graph) == questions(4)


def test_a_thread_whose_archive_is_lost_is_answered_and_told(tmp_path, caplog):
    """Started anew with an empty archive: each question is answered, live turns stay, the log says how to mend it."""
    path, saver = tmp_path / "chat.db", InMemorySaver()
    with SqliteArchive(path) as archive:
        ask(chat(archive, saver), 0, 1, 2, 3, 4)
    for file in tmp_path.glob("chat.db*"):
        file.unlink()
    with SqliteArchive(path) as archive:
        graph = chat(archive, saver)
        for report in ask(graph, *range(5, 12)):
            assert report["errors"] == [TOLD]
        assert asked(graph)[-7:] == questions(12)[-7:]
        assert archive.count("", "t1") == 0
    assert "put the archive" in caplog.text
    assert "new thread" in caplog.text
