"""Turns that move from one archive to another as JSON Lines: whole, checked, renamed, and done again after a stop."""

import io
import json
from hashlib import blake2b

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage

from langchain_qwen_memory.archive import InMemoryArchive, SqliteArchive, root_key, turn_key
from langchain_qwen_memory.errors import ArchiveError, MemoryOptionError
from langchain_qwen_memory.moving.exchange import aexport_lines, aimport_lines, export_lines, import_lines, read_marks
from tests.archive.contract import STRANGE_IDS, asked, chain, fill, say, turn


@pytest.fixture
def archive(tmp_path):
    """A file with two users, one of whom has two threads."""
    with SqliteArchive(tmp_path / "from.db") as archive:
        fill(archive, "alice", "trip", ["我对花生过敏", "去哪里？", "几点？"])
        fill(archive, "alice", "work", ["The order is KM-3000."])
        fill(archive, "ben", "trip", ["My parking place is 77."])
        yield archive


@pytest.fixture
def other():
    return InMemoryArchive()


def last(steps):
    """The last step of an import."""
    return list(steps)[-1]


def everything(archive):
    """All that an archive holds, by user and thread."""
    return {
        (user, one.thread): archive.page(user, one.thread, limit=10_000)
        for user in archive.users()
        for one in archive.threads(user)
    }


def bare(turns):
    """What of turns does not depend on the store."""
    return [(one.key, one.parent, one.messages, one.text, one.at, one.tokens, one.position) for one in turns]


# -- whole


def test_everything_moves_to_another_kind_of_archive(archive, other):
    """Each turn arrives under its key, with its messages, text, time and tokens."""
    done = last(import_lines(other, export_lines(archive)))
    assert (done.turns, done.new) == (5, 5)
    before, after = everything(archive), everything(other)
    assert {whose: bare(turns) for whose, turns in after.items()} == {
        whose: bare(turns) for whose, turns in before.items()
    }


def test_one_user_or_one_thread_moves_alone(archive, other):
    """What was not asked for stays where it is."""
    last(import_lines(other, export_lines(archive, user="alice", thread="trip")))
    assert list(everything(other)) == [("alice", "trip")]
    last(import_lines(other, export_lines(archive, user="alice")))
    assert sorted(everything(other)) == [("alice", "trip"), ("alice", "work")]


def test_a_thread_needs_its_user(archive):
    """Threads of two users may have one name."""
    with pytest.raises(MemoryOptionError, match='user=""'):
        export_lines(archive, thread="trip")


def test_messages_of_every_kind_arrive_as_they_were(archive, other):
    """Tool calls, media, thinking, ids, usage, half a character of a stream that was cut."""
    call = {"name": "look", "args": {"part": "KM-3000", "n": [1, 2.5, None]}, "id": "c1", "type": "tool_call"}
    messages = (
        HumanMessage([{"type": "image_url", "image_url": {"url": "https://x/y.png"}}], id="h1", name="alice"),
        AIMessage("", tool_calls=[call], additional_kwargs={"reasoning_content": "let me look"}),
        ToolMessage("a pump", tool_call_id="c1", status="error", artifact={"rows": [1, 2]}),
        AIMessage("一台泵 \ud83d", usage_metadata={"input_tokens": 5, "output_tokens": 7, "total_tokens": 12}),
    )
    archive.append("u", "t", [turn(root_key("u", "t"), *messages, text="dated text", at=1.5)])
    lines = list(export_lines(archive, user="u"))
    assert all(line.encode() for line in lines)
    last(import_lines(other, lines))
    assert other.page("u", "t")[0].messages == messages
    assert (other.page("u", "t")[0].text, other.page("u", "t")[0].at) == ("dated text", 1.5)


def test_strange_names_are_only_names(other):
    """Quotes, line breaks and look-alikes in ids come through."""
    source = InMemoryArchive()
    for number, name in enumerate([*STRANGE_IDS, "line\nbreak", "\u2028"]):
        fill(source, name, name, [f"question {number}"])
    text = "".join(f"{line}\n" for line in export_lines(source))
    last(import_lines(other, io.StringIO(text)))
    assert set(everything(other)) == set(everything(source))


def test_an_empty_archive_is_an_export_too(other):
    """A head and an end, and nothing between them."""
    lines = list(export_lines(InMemoryArchive()))
    assert len(lines) == 2
    assert last(import_lines(other, lines)).turns == 0


def test_thousands_of_turns_go_in_pages(other):
    """Neither side asks for or writes all of a thread at once; progress grows to its end."""
    source, sizes = InMemoryArchive(), []
    fill(source, "u", "long", [f"fact {number}" for number in range(1050)])
    page, append = source.page, other.append
    source.page = lambda *what, **how: sizes.append(len(found := page(*what, **how))) or found
    other.append = lambda user, thread, turns: sizes.append(len(turns)) or append(user, thread, turns)
    lines = list(export_lines(source))
    steps = list(import_lines(other, lines))
    assert max(sizes) <= 100
    assert [line.done for line in lines[1:-1]] == list(range(1, 1051))
    assert {line.total for line in lines} == {1050}
    assert [step.new for step in steps] == sorted(step.new for step in steps)
    assert steps[-1].new == len(other.page("u", "long", limit=2000)) == 1050


async def test_the_async_twins_do_the_same(archive, other):
    """Lines may come from an async iterator, so that nothing in between is kept."""
    steps = [step async for step in aimport_lines(other, aexport_lines(archive))]
    assert steps[-1].new == 5
    assert [line async for line in aexport_lines(other)] == list(export_lines(archive))
    assert [step async for step in aimport_lines(other, list(export_lines(archive)))][-1].new == 0


# -- once, though it is done again


def test_a_second_import_finds_everything_there(archive, other):
    """Keys are made of content, so nothing is there twice."""
    lines = list(export_lines(archive))
    last(import_lines(other, lines))
    again = last(import_lines(other, lines))
    assert (again.turns, again.new) == (5, 0)
    assert other.count("alice") == 4


def test_an_import_that_was_killed_is_simply_done_again(other):
    """What the first one brought is passed over, and the rest comes."""
    source = InMemoryArchive()
    fill(source, "u", "long", [f"fact {number}" for number in range(350)])
    lines = list(export_lines(source))
    steps = import_lines(other, lines)
    next(steps)
    steps.close()
    assert 0 < other.count("u") < 350
    done = last(import_lines(other, lines))
    assert done.turns == 350
    assert 0 < done.new < 350
    assert bare(other.page("u", "long", limit=400)) == bare(source.page("u", "long", limit=400))


def forked():
    """A thread whose second question was said anew, and one of the branches goes on."""
    source = InMemoryArchive()
    first, old, older = fill(source, "u", "t", ["I like tea.", "Which tea?", "How hot?"])
    new = turn(first.key, *say("Which coffee?"))
    source.append("u", "t", [new])
    return source, [first, old, older, new]


def test_branches_that_were_left_move_too():
    """Going back to one of them works in the new archive as in the old one; the newest is the head in both."""
    source, (_, _, older, new) = forked()
    target = InMemoryArchive()
    assert last(import_lines(target, export_lines(source))).new == 4
    assert target.head("u", "t") == new.key
    assert asked(target.page("u", "t")) == ["I like tea.", "Which coffee?"]
    assert asked(target.page("u", "t", head=older.key)) == ["I like tea.", "Which tea?", "How hot?"]


def test_notes_move_with_their_thread():
    """A summary that was paid for is not paid for again."""
    source, _ = forked()
    source.put_note("u", "t", "fold", {"text": "likes tea"})
    target = InMemoryArchive()
    done = last(import_lines(target, export_lines(source)))
    assert (done.notes, target.get_note("u", "t", "fold")) == (1, {"text": "likes tea"})


def test_an_export_goes_on_where_the_file_ends(tmp_path):
    """Only what came since is added; a line that was cut is written again; the file is whole then."""
    source, path = forked()[0], tmp_path / "t.jsonl"
    source.put_note("u", "t", "fold", {"text": "likes tea"})
    whole = "".join(f"{line}\n" for line in export_lines(source))
    for cut in (len(whole.encode()), len(whole.encode()) - 8, len(whole.encode()) // 2, 60):
        path.write_bytes(whole.encode()[:cut])
        with path.open("rb+") as file:
            marks = read_marks(file)
            file.truncate(marks.offset)
            file.seek(marks.offset)
            file.writelines(f"{line}\n".encode() for line in export_lines(source, marks=marks))
        assert path.read_text() == whole
    source.append("u", "t", [turn(source.head("u", "t"), *say("And biscuits?"))])
    with path.open("rb") as file:
        marks = read_marks(file)
    fresh = list(export_lines(source, marks=marks))
    assert [json.loads(line)["kind"] for line in fresh] == ["turn", "end"]
    assert json.loads(fresh[-1]) == {"kind": "end", "turns": 5, "notes": 1}


def test_an_export_of_one_lineage_goes_on_too(tmp_path, other):
    """Where branches cannot be listed, the newest lineage is gone on with."""
    first = fill(other, "u", "t", [f"fact {number}" for number in range(130)])
    path = tmp_path / "t.jsonl"
    path.write_text("".join(f"{line}\n" for line in export_lines(other)))
    other.append("u", "t", [turn(first[-1].key, *say("And biscuits?"))])
    with path.open("rb") as file:
        fresh = list(export_lines(other, marks=read_marks(file)))
    assert [json.loads(line)["kind"] for line in fresh] == ["turn", "end"]


# -- checked


def lines_of(archive):
    return list(export_lines(archive, user="alice", thread="trip"))


@pytest.mark.parametrize("cut", [1, 20, 100])
def test_a_broken_last_line_is_told_with_its_number(archive, other, cut):
    """The turns before it are there, of the broken one nothing is."""
    lines = lines_of(archive)[:-1]
    lines[-1] = lines[-1][:-cut]
    with pytest.raises(ArchiveError, match="line 4 is broken"):
        list(import_lines(other, lines))
    assert bare(other.page("alice", "trip")) == bare(archive.page("alice", "trip")[:2])


def test_a_file_that_was_cut_between_two_lines_is_told(archive, other):
    """The end line is missing, so something else may be."""
    with pytest.raises(ArchiveError, match="has no end line"):
        list(import_lines(other, lines_of(archive)[:-1]))
    assert other.count("alice") == 3


def test_a_line_that_is_missing_is_told(archive, other):
    """In the middle of a thread by the turn after it, elsewhere by the count."""
    lines = lines_of(archive)
    with pytest.raises(ArchiveError, match="not archived in this thread"):
        list(import_lines(other, [*lines[:2], *lines[3:]]))
    assert other.count("alice") == 0
    with pytest.raises(ArchiveError, match="lines are missing"):
        list(import_lines(other, [*lines[:3], lines[-1]]))


@pytest.mark.parametrize(("was", "now"), [("去哪里", "去那里"), ('"tokens":2', '"tokens":3'), ('"at":17', '"at":16')])
def test_a_line_that_was_changed_is_told(archive, other, was, now):
    """Not a word, not a number of it may be another than when it was written."""
    lines = lines_of(archive)
    lines[2] = lines[2].replace(was, now, 1)
    with pytest.raises(ArchiveError, match="line 3 was changed"):
        list(import_lines(other, lines))
    assert other.count("alice") == 1


def test_a_line_that_was_forged_is_told_too(archive, other):
    """Who mends the check has not mended the key, which is a hash of all that was said before."""
    lines = lines_of(archive)
    data = json.loads(lines[2]) | {"key": "0" * 32}
    del data["check"]
    text = json.dumps(data, sort_keys=True)
    check = blake2b(text.encode(), digest_size=8).hexdigest()
    with pytest.raises(ArchiveError, match="line 3 holds another turn than its key says"):
        list(import_lines(other, [*lines[:2], json.dumps(data | {"check": check})]))


def test_a_line_may_be_written_in_another_manner(archive, other):
    """Spaces, order and escapes are not what was said."""
    lines = [json.dumps(json.loads(line), indent=None, sort_keys=True) for line in lines_of(archive)]
    assert last(import_lines(other, lines)).new == 3


@pytest.mark.parametrize(
    ("line", "told"),
    [
        ('{"kind": "turn"}', "has no 'user'"),
        ('{"kind": "turm"}', "of kind 'turm'"),
        ("[1]", "is list, not an object"),
        ('{"kind":"note","user":"u","thread":"t","key":"k","note":"x","check":""}', "'note' is str"),
        ('{"kind":"end","turns":true,"notes":0}', "'turns' is bool"),
        ('{"format":"qwen-memory","version":99}', "pip install -U"),
    ],
)
def test_a_line_that_is_none_of_an_export_is_told(archive, other, line, told):
    """With its number and what is wrong with it."""
    with pytest.raises(ArchiveError, match=told):
        list(import_lines(other, [lines_of(archive)[0], line]))


def test_a_file_of_something_else_is_told(other):
    """Before anything is written."""
    with pytest.raises(ArchiveError, match="begins"):
        list(import_lines(other, ['{"role": "user", "content": "hi"}']))


# -- renamed


def test_a_thread_gets_another_user_and_name(archive, other):
    """Keys grow out of the thread's root: all of them are made anew, along the chain."""
    done = last(import_lines(other, lines_of(archive), to_user="anna", to_thread="journey"))
    assert done.new == 3
    turns = other.page("anna", "journey")
    assert asked(turns) == asked(archive.page("alice", "trip"))
    parent = root_key("anna", "journey")
    for one in turns:
        assert (one.parent, one.key) == (parent, turn_key(parent, one.messages))
        parent = one.key
    assert other.search("花生", user="anna")
    assert not other.search("花生", user="alice")


def test_a_renamed_import_is_done_again_without_doubles(archive, other):
    """The new keys are made of content too."""
    last(import_lines(other, lines_of(archive), to_user="anna"))
    assert last(import_lines(other, lines_of(archive), to_user="anna")).new == 0


def test_branches_keep_their_forks_when_they_are_renamed():
    """Two turns with one parent have one parent afterwards; notes of the old keys stay behind, and that is told."""
    source, _ = forked()
    source.put_note("u", "t", "fold", {"text": "likes tea"})
    target = InMemoryArchive()
    done = last(import_lines(target, export_lines(source), to_thread="copy"))
    assert (done.new, done.notes, done.left_notes) == (4, 0, 1)
    first, old, older, new = target.turns("u", "copy")
    assert old.parent == new.parent == first.key
    assert older.parent == old.key


def test_two_threads_are_not_mixed_into_one(archive, other):
    """Nor two users: the line where the other begins is told."""
    with pytest.raises(ArchiveError, match="line 5 is of thread 'work'"):
        list(import_lines(other, export_lines(archive, user="alice"), to_thread="all"))
    with pytest.raises(ArchiveError, match="is of user 'ben'"):
        list(import_lines(other, export_lines(archive), to_user="all"))


def test_another_conversation_of_that_name_is_not_hidden(archive, other):
    """An import never puts a second beginning into a thread that is in use."""
    fill(other, "alice", "trip", ["A conversation of its own."])
    with pytest.raises(ArchiveError, match="another conversation in thread 'trip'"):
        list(import_lines(other, lines_of(archive)))
    assert asked(other.page("alice", "trip")) == ["A conversation of its own."]


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    st.lists(
        st.tuples(st.sampled_from(["a", "b"]), st.sampled_from(["s", "t"]), st.text(max_size=20)),
        max_size=12,
    ),
    st.data(),
)
def test_whatever_trees_there_are_arrive_whole(said, data):
    """Any turns, said after any earlier ones; streamed from one archive straight into the other."""
    source, target = InMemoryArchive(), InMemoryArchive()
    for number, (user, thread, text) in enumerate(said):
        known = [root_key(user, thread), *(one.key for one in source.turns(user, thread))]
        source.append(user, thread, [turn(data.draw(st.sampled_from(known)), *say(f"{number} {text}"))])
    steps = list(import_lines(target, export_lines(source)))
    assert steps[-1].new == len(said)
    for user in ("a", "b"):
        for thread in ("s", "t"):
            assert bare(target.turns(user, thread)) == bare(source.turns(user, thread))
            assert target.head(user, thread) == source.head(user, thread)


def test_chains_are_made_as_the_contract_makes_them():
    """The helper's keys are the archive's keys."""
    first, second = chain(root_key("u", "t"), ["one", "two"])
    assert second.parent == first.key
