"""User and thread ids are anybody's text: each is kept apart, byte for byte, and forms no path and no SQL."""

import unicodedata
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.checkpoint.sqlite import SqliteSaver

from langchain_qwen_memory import InMemoryArchive, SqliteArchive, create_chat_graph, forget, run_turn, transcript
from langchain_qwen_memory.archive import root_key
from langchain_qwen_memory.errors import ArchiveError, ThreadError
from tests.archive.contract import chain
from tests.scripted import ScriptedChatModel

NASTY = [
    "", " ", "alice", "Alice", "alice ", " alice", "alice\n", "alice\x00", "\x00", "alice\x00bob",
    "a'; DROP TABLE x; --",
    'a"b', "a`b", "a\\b", "%", "_", "al%", "al_ce", "*", "a*", "..", "../../etc/passwd", "/etc/passwd", "C:\\x", "~",
    "$(rm -rf /)", "{user}", "%s", "?", ":user", "null", "None", "0", "00", "1e0", "-1", "true", "é", "e\u0301",
    "Å", "\u212b", "A\u030a", "ﬁ", "fi", "ı", "i", "İ", "ß", "ss", "а", "a", "\u200b", "a\u200b", "\u202ea", "a\ufeff",
    "\ufeff", "김", "\u1100\u1175\u11b7", "😀", "😀\ufe0f", "用户", "用戶", "\U0010ffff", "x" * 10_000, "x" * 10_001,
]  # fmt: skip
"""Ids that somewhere have been taken for one another, or for a path or a statement."""
IDS = st.one_of(st.sampled_from(NASTY), st.text(max_size=30))
QUICK = settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))


def archive_of(kind, folder):
    return InMemoryArchive() if kind == "memory" else SqliteArchive(folder / "chat.db")


@pytest.mark.parametrize("kind", ["memory", "sqlite"])
def test_no_two_ids_are_one(kind, tmp_path):
    """Composed and decomposed letters, look-alikes, quotes, blanks, nulls: each user has exactly what is its own."""
    with archive_of(kind, tmp_path) as archive:
        for number, user in enumerate(NASTY):
            archive.append(user, user, chain(root_key(user, user), [f"secret{number} word"]))
        for number, user in enumerate(NASTY):
            assert [turn.messages[0].text for turn in archive.page(user, user)] == [f"secret{number} word"]
            assert [hit.turn.messages[0].text for hit in archive.search("word", user=user)] == [f"secret{number} word"]
            assert [one.thread for one in archive.threads(user)] == [user]
            assert archive.count(user) == 1
        assert archive.users() == sorted(NASTY)
        for user in NASTY[::2]:
            assert archive.forget(user) == 1
        assert archive.users() == sorted(NASTY[1::2])
    assert sorted(file.name for file in tmp_path.iterdir() if not file.name.startswith("chat.db")) == []


@pytest.mark.parametrize("kind", ["memory", "sqlite"])
def test_composed_and_decomposed_are_two_users(kind, tmp_path):
    """José in one form never reads what José in the other form said, whatever a screen shows."""
    composed, decomposed = (unicodedata.normalize(form, "José") for form in ("NFC", "NFD"))
    with archive_of(kind, tmp_path) as archive:
        archive.append(composed, "t", chain(root_key(composed, "t"), ["my pin is 1234"]))
        assert archive.page(decomposed, "t") == []
        assert archive.search("pin", user=decomposed) == []
        assert archive.head(decomposed, "t") is None


@QUICK
@given(users=st.lists(IDS, min_size=2, max_size=4, unique=True), thread=IDS)
@example(users=["a", "ab"], thread="bc")
@example(users=["a\x00", "a"], thread="\x00b")
def test_whatever_two_ids_are_they_are_kept_apart(users, thread):
    """Users who named a thread alike, in one file."""
    with SqliteArchive(":memory:") as archive:
        for number, user in enumerate(users):
            archive.append(user, thread, chain(root_key(user, thread), [f"secret{number}"]))
            archive.put_note(user, thread, "k", {"mine": number})
        for number, user in enumerate(users):
            assert [turn.messages[0].text for turn in archive.page(user, thread)] == [f"secret{number}"]
            assert archive.get_note(user, thread, "k") == {"mine": number}
            hits = archive.search(" ".join(f"secret{other}" for other in range(len(users))), user=user)
            assert [hit.turn.messages[0].text for hit in hits] == [f"secret{number}"]


def test_ids_with_a_boundary_between_them_have_their_own_root():
    """User and thread are not just written behind each other."""
    pairs = [
        ("a", "bc"),
        ("ab", "c"),
        ("", "abc"),
        ("abc", ""),
        ("a\x00b", "c"),
        ("a", "b\x00c"),
        ("a,b", "c"),
        ('a","b', "c"),
    ]
    assert len({root_key(user, thread) for user, thread in pairs}) == len(pairs)


@pytest.mark.parametrize("thread", ["../../up", "/etc/passwd", "a'b\"c; DROP TABLE checkpoints; --", "é", "x" * 10_000])
def test_a_graph_takes_any_thread_id(tmp_path, thread):
    """It talks, remembers, tells its transcript and forgets; nothing but the one database is written."""
    path = tmp_path / "chat.db"
    config, alice = {"configurable": {"thread_id": thread}}, {"user_id": "al'ice"}
    with SqliteSaver.from_conn_string(str(path)) as saver, SqliteArchive(path) as archive:
        graph = create_chat_graph(ScriptedChatModel(), archive=archive, checkpointer=saver)
        for number in range(3):
            run_turn(graph, f"question {number}", config, context=alice)
        assert len(transcript(graph, config, context=alice)) == 3
        assert archive.count("al'ice", thread) == 3
        assert forget(graph, user="al'ice", thread=thread) == 3
        assert transcript(graph, config, context=alice) == []
    assert {file.name.partition("-")[0] for file in tmp_path.iterdir()} == {"chat.db"}


@pytest.mark.parametrize("kind", ["memory", "sqlite"])
@pytest.mark.parametrize("half", ["\ud83d", "a\udc00b"])
def test_half_a_character_is_no_id(kind, tmp_path, half):
    """It could not be written without becoming another's; the error says how to clean it."""
    with archive_of(kind, tmp_path) as archive, pytest.raises(ArchiveError, match=r"half of a surrogate pair.*encode"):
        archive.page(half, "t")


def test_a_graph_told_half_a_character_as_an_id_says_so():
    """The run ends in a clear error before the model is called."""
    model = ScriptedChatModel()
    graph = create_chat_graph(model, archive=InMemoryArchive(), checkpointer=InMemorySaver())
    with pytest.raises(ThreadError, match=r"user_id=.*half of a surrogate pair"):
        run_turn(graph, "hello", {"configurable": {"thread_id": "t"}}, context={"user_id": "\ud83d"})
    with pytest.raises(ThreadError, match=r"thread_id=.*half of a surrogate pair"):
        run_turn(graph, "hello", {"configurable": {"thread_id": "\ud83d"}})
    assert model.prompts == []


def test_the_archives_path_is_the_apps_own():
    """No id is part of it: two users and a hundred threads are one file, and one that is named as a path is a name."""
    with SqliteArchive(":memory:") as archive:
        before = set(Path().iterdir())
        for number in range(100):
            thread = f"../t{number}/x"
            archive.append("/root/u", thread, chain(root_key("/root/u", thread), ["hi"]))
            with archive.hold("/root/u", thread):
                pass
        assert set(Path().iterdir()) == before
