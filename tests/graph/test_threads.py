"""A thread as a whole: its pages, its reports, and forgetting it everywhere."""

import sqlite3
import threading
from contextlib import closing

import pytest
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.checkpoint.sqlite import SqliteSaver
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver

from langchain_qwen_memory import (
    InMemoryArchive,
    MemoryOptionError,
    SqliteArchive,
    ThreadError,
    WindowMemory,
    aforget,
    aread_reports,
    atranscript,
    create_chat_graph,
    forget,
    read_reports,
    run_turn,
    transcript,
)
from tests.scripted import ScriptedChatModel

CONFIG = {"configurable": {"thread_id": "t1"}}
ALICE = {"user_id": "alice"}


def chat(**options):
    options.setdefault("archive", InMemoryArchive())
    options.setdefault("checkpointer", InMemorySaver())
    return create_chat_graph(ScriptedChatModel(), memory=WindowMemory(trigger=("turns", 3)), **options)


def say(graph, *texts, thread="t1", context=ALICE):
    for text in texts:
        graph.invoke({"messages": text}, {"configurable": {"thread_id": thread}}, context=context)


def test_reports_of_the_newest_turns_are_read_from_the_checkpoints():
    """One report a turn, oldest first."""
    graph = chat()
    say(graph, *"abcdef")
    reports = read_reports(graph, CONFIG, limit=4)
    assert [report["turn"] for report in reports] == [2, 3, 4, 5]
    assert [report["kept"] for report in reports] == [3, 1, 2, 3]


async def test_reports_and_transcript_are_read_alike_in_async():
    """The async twins give the same."""
    graph = chat()
    say(graph, *"abcdef")
    assert await aread_reports(graph, CONFIG, limit=4) == read_reports(graph, CONFIG, limit=4)
    assert await atranscript(graph, CONFIG, context=ALICE) == transcript(graph, CONFIG, context=ALICE)


def test_a_whole_bot_is_one_file(tmp_path):
    """Checkpoints and archive share a file, and a new process finds the thread in it."""
    path = tmp_path / "chat.db"
    with SqliteSaver.from_conn_string(str(path)) as saver, SqliteArchive(path) as archive:
        say(chat(checkpointer=saver, archive=archive), *"abcdefgh")
    with SqliteSaver.from_conn_string(str(path)) as saver, SqliteArchive(path) as archive:
        graph = chat(checkpointer=saver, archive=archive)
        say(graph, "i")
        turns = transcript(graph, CONFIG, context=ALICE)
    assert "".join(turn.messages[0].text for turn in turns) == "abcdefghi"


def test_forgetting_a_thread_leaves_no_trace(tmp_path):
    """After `forget` neither checkpoints nor archive hold a word of the thread; others stay."""
    path = tmp_path / "chat.db"
    with SqliteSaver.from_conn_string(str(path)) as saver, SqliteArchive(path) as archive:
        graph = chat(checkpointer=saver, archive=archive)
        say(graph, "canary KM-3000", *"abcd")
        say(graph, "other thread", thread="t2")
        assert forget(graph, user="alice", thread="t1") == 5
        assert transcript(graph, CONFIG, context=ALICE) == []
        assert archive.count("alice") == 1
        assert len(transcript(graph, {"configurable": {"thread_id": "t2"}}, context=ALICE)) == 1
    with closing(sqlite3.connect(path)) as db:
        dump = "".join(db.iterdump()).lower()
    assert "canary" not in dump
    assert b"canary".hex() not in dump


def test_forgetting_a_user_removes_all_threads():
    """Every thread that the archive knows of the user goes; other users' threads stay."""
    graph = chat()
    say(graph, "a")
    say(graph, "b", thread="t2")
    say(graph, "c", thread="t3", context={"user_id": "bob"})
    assert forget(graph, user="alice") == 2
    assert graph.get_state(CONFIG).values == {}
    assert len(transcript(graph, {"configurable": {"thread_id": "t3"}}, context={"user_id": "bob"})) == 1


def test_another_users_thread_is_not_forgotten():
    """Forgetting needs the thread's own user id."""
    graph = chat()
    say(graph, "a")
    with pytest.raises(ThreadError, match="nothing was removed"):
        forget(graph, user="bob", thread="t1")
    assert len(transcript(graph, CONFIG, context=ALICE)) == 1


def test_forgetting_a_user_needs_an_archive():
    """Checkpoints alone do not know whose threads there are."""
    with pytest.raises(MemoryOptionError, match="Name the thread"):
        forget(chat(archive=None), user="alice")


async def test_forgetting_is_alike_in_async(tmp_path):
    """The async twin removes the same."""
    async with AsyncSqliteSaver.from_conn_string(str(tmp_path / "chat.db")) as saver:
        graph = chat(checkpointer=saver, archive=SqliteArchive(tmp_path / "chat.db"))
        for text in "abcd":
            await graph.ainvoke({"messages": text}, CONFIG, context=ALICE)
        assert await aforget(graph, user="alice", thread="t1") == 4
        assert await atranscript(graph, CONFIG, context=ALICE) == []


def test_reports_of_a_branch_that_was_left_are_not_read():
    """After time travel the reports are those of the turns that led to the present one."""
    graph = chat()
    say(graph, *"abcd")
    past = next(
        state
        for state in graph.get_state_history(CONFIG)
        if not state.next and state.values["record"]["report"]["turn"] == 1
    )
    graph.invoke({"messages": "another way"}, past.config, context=ALICE)
    assert [report["turn"] for report in read_reports(graph, CONFIG)] == [0, 1, 2]


def test_a_page_without_room_is_empty():
    """`limit=0` is no turns, not all of them."""
    graph = chat()
    say(graph, *"abcdef")
    assert transcript(graph, CONFIG, context=ALICE, limit=0) == []


async def test_forgetting_says_what_is_to_go():
    """A missing argument does not empty an app that has no users; said aloud, it does."""
    graph = chat()
    say(graph, "a", context=None)
    with pytest.raises(MemoryOptionError, match="does not say what is to go"):
        forget(graph)
    with pytest.raises(MemoryOptionError, match="does not say what is to go"):
        await aforget(graph)
    assert forget(graph, user="") == 1


def test_a_user_id_may_be_a_number():
    """`forget(user=42)` is whom runs know as `{"user_id": 42}`."""
    graph = chat()
    say(graph, "a", context={"user_id": 42})
    assert forget(graph, user=42) == 1
    assert graph.get_state(CONFIG).values == {}


def test_forgetting_waits_for_the_turn_that_is_under_way():
    """A turn that runs while its thread is forgotten does not bring the thread back."""
    asked, go_on = threading.Event(), threading.Event()

    def held(_):
        asked.set()
        assert go_on.wait(10)
        return "ok"

    archive = InMemoryArchive()
    model = ScriptedChatModel(fallback=held)
    graph = create_chat_graph(model, memory=WindowMemory(), archive=archive, checkpointer=InMemorySaver())
    turn = threading.Thread(target=run_turn, args=(graph, "secret", CONFIG))
    turn.start()
    assert asked.wait(10)
    forgetting = threading.Thread(target=forget, args=(graph,), kwargs={"thread": "t1"})
    forgetting.start()
    go_on.set()
    turn.join()
    forgetting.join()
    assert graph.get_state(CONFIG).values == {}
    assert archive.count("", "t1") == 0
