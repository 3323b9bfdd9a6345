"""What every archive must do; a test file subclasses `ArchiveContract` and gives it an archive."""

import asyncio
import json
import pickle
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from langchain_core.messages import AIMessage, AIMessageChunk, BaseMessage, HumanMessage, SystemMessage, ToolMessage

from langchain_qwen_memory.archive import Archive, Hit, Turn, root_key, searchable_text, turn_key
from langchain_qwen_memory.errors import ArchiveError

STRANGE_IDS = [
    "",
    "a.b",
    "a.b.c",
    "alice@example.com",
    "o'brien\"; DROP TABLE qwen_memory_turns; --",
    "nul\x00a",
    "nul\x00b",
    "nul",
    "x" * 10_000,
    "x" * 10_001,
    "user%",
    "user_",
    "USER",
    "user",
    "useｒ",
    "usеr",
    "é",
    "e\u0301",
    "王伟",
    " ",
    "😀",
]
"""Ids that stores have mixed up: quotes, dots, NUL, wild cards, capitals, look-alikes, two spellings of one letter."""


def say(question: str, answer: str = "好的") -> tuple[BaseMessage, ...]:
    """The messages of a plain turn."""
    return (HumanMessage(question), AIMessage(answer))


def turn(parent: str, *messages: BaseMessage, at: float = 1_700_000_000.0, text: str | None = None) -> Turn:
    """A finished turn, as a node makes it."""
    found_by = searchable_text(messages) if text is None else text
    return Turn(
        key=turn_key(parent, messages), parent=parent, messages=messages, text=found_by, at=at, tokens=len(messages)
    )


def chain(parent: str, questions: Sequence[str]) -> list[Turn]:
    """Turns that follow each other."""
    turns: list[Turn] = []
    for number, question in enumerate(questions):
        turns.append(turn(turns[-1].key if turns else parent, *say(question), at=1_700_000_000.0 + number))
    return turns


def fill(archive: Archive, user: str, thread: str, questions: Sequence[str]) -> list[Turn]:
    """Archive a new thread and give its turns."""
    turns = chain(root_key(user, thread), questions)
    assert archive.append(user, thread, turns) == len(turns)
    return turns


def asked(turns: Sequence[Turn]) -> list[str]:
    """The users' words of turns."""
    return [str(turn.messages[0].content) for turn in turns]


def found(hits: Sequence[Hit]) -> list[str]:
    """The users' words of hits."""
    return asked([hit.turn for hit in hits])


class ArchiveContract:
    """The tests; `archive` is the fixture a subclass gives."""

    @pytest.fixture
    def archive(self) -> Iterator[Archive]:
        raise NotImplementedError

    # Taking in and giving back

    def test_the_turns_of_all_branches_are_listed_in_the_order_in_which_they_came(self, archive):
        """In pages, after any of them, each once; of one thread of one user only."""
        first = turn(root_key("alice", "t"), *say("one"))
        old, new = turn(first.key, *say("two")), turn(first.key, *say("two, said anew"))
        later = turn(old.key, *say("three"))
        for batch in ([first, old], [new], [later]):
            archive.append("alice", "t", batch)
        archive.append("alice", "other", [turn(root_key("alice", "other"), *say("elsewhere"))])
        keys = [one.key for one in (first, old, new, later)]
        assert [one.key for one in archive.turns("alice", "t")] == keys
        assert [one.key for one in archive.turns("alice", "t", after=old.key, limit=1)] == [new.key]
        assert [one.key for one in archive.turns("alice", "t", after=later.key)] == []
        assert [one.key for one in archive.turns("alice", "t", after="unknown")] == keys
        assert archive.turns("bob", "t") == []
        assert {one.branch for one in archive.turns("alice", "t")} != {""}

    def test_the_notes_of_a_thread_are_listed(self, archive):
        """With their keys, sorted; of one thread of one user only."""
        archive.append("alice", "t", [turn(root_key("alice", "t"), *say("one"))])
        for key in ("b", "a"):
            archive.put_note("alice", "t", key, {"text": key})
        archive.put_note("alice", "other", "c", {"text": "c"})
        assert archive.notes("alice", "t") == [("a", {"text": "a"}), ("b", {"text": "b"})]
        assert archive.notes("bob", "t") == []

    def test_a_turn_given_twice_in_one_call_is_new_once(self, archive):
        """Whoever repeats itself is counted right."""
        given = turn(root_key("alice", "t"), *say("one"))
        assert archive.append("alice", "t", [given, given]) == 1
        assert archive.count("alice", "t") == 1

    def test_a_turn_comes_back_as_it_went_in(self, archive):
        """A turn comes back word for word, with tool calls, media, reasoning, ids and usage."""
        call = {"name": "look", "args": {"part": "KM-3000", "n": [1, 2.5, None]}, "id": "c1", "type": "tool_call"}
        messages = (
            HumanMessage(
                [
                    {"type": "text", "text": "这是什么？"},
                    {"type": "image_url", "image_url": {"url": "https://x/y.png"}},
                ],
                id="h1",
                name="alice",
            ),
            AIMessage("", tool_calls=[call], additional_kwargs={"reasoning_content": "let me look"}),
            ToolMessage("a pump", tool_call_id="c1", status="error", artifact={"rows": [1, 2]}),
            AIMessage(
                "一台泵 \ud83d",
                usage_metadata={"input_tokens": 5, "output_tokens": 7, "total_tokens": 12},
                response_metadata={"model_name": "qwen-plus"},
            ),
        )
        archive.append("alice", "t", [turn(root_key("alice", "t"), *messages, text="dated text", at=1.5)])
        [back] = archive.page("alice", "t")
        assert back.messages == messages
        assert [type(message) for message in back.messages] == [type(message) for message in messages]
        assert (back.text, back.at, back.tokens, back.position, back.user, back.thread) == (
            "dated text", 1.5, 4, 0, "alice", "t",
        )  # fmt: skip

    def test_what_a_stream_gave_is_kept_as_the_message_it_stands_for(self, archive):
        """A message that is still the sum of its chunks has the key of the whole message and comes back whole."""
        chunks = AIMessageChunk("你") + AIMessageChunk("好", chunk_position="last")
        streamed = turn(root_key("", "t"), HumanMessage("hi"), chunks)
        assert streamed.key == turn(root_key("", "t"), HumanMessage("hi"), AIMessage("你好")).key
        archive.append("", "t", [streamed])
        assert archive.get("", "t", [streamed.key])[0].messages[1].text == "你好"

    def test_an_artifact_that_json_does_not_know_does_not_fail_a_write(self, archive):
        """Whatever a tool hands along, the turn is archived, and the words come back."""
        loop: list[object] = []
        loop.append(loop)
        artifact = {
            "bytes": b"\x00\xff",
            "set": {1, 2},
            "object": object(),
            "type": dict,
            "loop": loop,
            3: float("nan"),
        }
        tool = ToolMessage("done", tool_call_id="c", artifact=artifact)
        assert archive.append("", "t", [turn(root_key("", "t"), HumanMessage("go"), tool)]) == 1
        assert [message.text for message in archive.page("", "t")[0].messages] == ["go", "done"]

    def test_appending_again_adds_nothing(self, archive):
        """A turn that is sent twice, or a batch that is retried with one more, is stored once."""
        turns = fill(archive, "alice", "t", ["one", "two"])
        more = [*turns, *chain(turns[-1].key, ["three"])]
        assert [archive.append("alice", "t", more), archive.append("alice", "t", [*more, *more])] == [1, 0]
        assert asked(archive.page("alice", "t")) == ["one", "two", "three"]
        assert found(archive.search("two", user="alice")) == ["two"]

    def test_a_turn_without_its_parent_is_refused_and_nothing_is_written(self, archive):
        """A gap in the transcript is an error that names the missing parent; the turns before it are not written."""
        orphan = turn("0" * 32, *say("orphan"))
        with pytest.raises(ArchiveError, match=f"{orphan.key} follows {'0' * 32}.*oldest first"):
            archive.append("alice", "t", [*chain(root_key("alice", "t"), ["one"]), orphan])
        assert (archive.count("alice"), archive.threads("alice"), archive.head("alice", "t")) == (0, [], None)
        assert archive.search("one orphan", user="alice") == []

    def test_a_parent_in_another_thread_is_no_parent(self, archive):
        """Turns cannot be hung onto another thread or another user."""
        turns = fill(archive, "alice", "t", ["one"])
        for user, thread in (("alice", "u"), ("bob", "t"), ("", "t")):
            with pytest.raises(ArchiveError, match="not archived in this thread"):
                archive.append(user, thread, chain(turns[0].key, ["two"]))

    def test_an_empty_batch_is_nothing(self, archive):
        """Appending no turns writes nothing and is no error."""
        assert (archive.append("a", "t", []), archive.count("a"), archive.threads("a")) == (0, 0, [])

    def test_get_answers_in_the_order_asked(self, archive):
        """Turns are read by key, in the order asked, of any branch; unknown keys are left out."""
        one, two = fill(archive, "alice", "t", ["one", "two"])
        fork = turn(one.key, *say("other two"))
        archive.append("alice", "t", [fork])
        keys = [two.key, "unknown", fork.key, one.key, two.key]
        assert asked(archive.get("alice", "t", keys)) == ["two", "other two", "one", "two"]
        assert archive.get("bob", "t", keys) == archive.get("alice", "u", keys) == []

    # Pages

    def test_pages_read_backwards_give_the_whole_transcript(self, archive):
        """The newest page comes first, oldest turn first within it; `before` walks back to the beginning."""
        fill(archive, "alice", "t", [f"q{number}" for number in range(13)])
        page = archive.page("alice", "t", limit=5)
        assert [turn.position for turn in page] == [8, 9, 10, 11, 12]
        read = page
        while page := archive.page("alice", "t", before=page[0].position, limit=5):
            read = page + read
        assert asked(read) == [f"q{number}" for number in range(13)]

    @pytest.mark.parametrize(
        ("before", "limit", "positions"), [(0, 5, []), (-3, 5, []), (99, 2, [2, 3]), (2, 99, [0, 1]), (None, 0, [])]
    )
    def test_pages_at_the_edges(self, archive, before, limit, positions):
        """Pages beyond either end are empty or short."""
        fill(archive, "", "t", list("abcd"))
        assert [turn.position for turn in archive.page("", "t", before=before, limit=limit)] == positions

    def test_a_negative_limit_is_an_error(self, archive):
        """A negative limit is refused instead of meaning "all"."""
        with pytest.raises(ArchiveError, match="limit must be 0 or more, not -1"):
            archive.page("", "t", limit=-1)
        with pytest.raises(ArchiveError, match="limit must be 0 or more, not -1"):
            archive.search("q", user="", limit=-1)

    # Branches

    def test_a_fork_shares_its_ancestors(self, archive):
        """After going back and saying something else, each head reads its own past; the common past is stored once."""
        turns = fill(archive, "alice", "t", ["one", "two", "three"])
        fork = chain(turns[0].key, ["zwei", "drei"])
        assert archive.append("alice", "t", fork) == 2
        assert archive.count("alice", "t") == 5
        assert asked(archive.page("alice", "t")) == ["one", "zwei", "drei"]
        assert asked(archive.page("alice", "t", head=turns[2].key)) == ["one", "two", "three"]
        assert asked(archive.page("alice", "t", head=turns[1].key, limit=1)) == ["two"]
        assert [turn.position for turn in archive.page("alice", "t")] == [0, 1, 2]

    def test_a_page_crosses_branch_points(self, archive):
        """A lineage over several forks is one sequence, whatever the page size."""
        line = fill(archive, "u", "t", ["q0"])
        for number in range(1, 12):  # each turn is said twice; the second saying is the one that goes on
            archive.append("u", "t", [turn(line[-1].key, *say(f"abandoned {number}"))])
            line.append(turn(line[-1].key, *say(f"q{number}")))
            archive.append("u", "t", [line[-1]])
        for limit in (1, 2, 3, 5, 20):
            read, page = [], archive.page("u", "t", limit=limit)
            while page:
                read = asked(page) + read
                page = archive.page("u", "t", before=page[0].position, limit=limit)
            assert read == [f"q{number}" for number in range(12)]

    def test_an_abandoned_branch_is_not_found(self, archive):
        """Search sees the head's lineage only, with the scores it would have if nothing else were stored."""
        turns = fill(archive, "alice", "t", ["peanuts are fine", "I live in Xi'an", "more peanuts"])
        fork = turn(turns[0].key, *say("no peanuts at all"))
        archive.append("alice", "t", [fork])
        assert sorted(found(archive.search("peanuts", user="alice"))) == ["no peanuts at all", "peanuts are fine"]
        old = archive.search("peanuts", user="alice", thread="t", heads={"t": turns[2].key})
        assert sorted(found(old)) == ["more peanuts", "peanuts are fine"]
        fill(archive, "bob", "t", ["peanuts are fine", "I live in Xi'an", "more peanuts"])
        alone = archive.search("peanuts", user="bob", thread="t")
        assert [hit.score for hit in old] == pytest.approx([hit.score for hit in alone])

    def test_two_beginnings_of_one_thread_are_two_branches(self, archive):
        """A thread that is begun anew from its root keeps both beginnings apart."""
        first = fill(archive, "u", "t", ["a", "b"])
        archive.append("u", "t", chain(root_key("u", "t"), ["x", "y"]))
        assert asked(archive.page("u", "t")) == ["x", "y"]
        assert asked(archive.page("u", "t", head=first[-1].key)) == ["a", "b"]

    def test_the_head_is_the_newest_turn_appended(self, archive):
        """Without a head the newest turn appended is meant; a retry of an old turn does not move it."""
        turns = fill(archive, "u", "t", ["a", "b"])
        assert archive.head("u", "t") == turns[1].key
        fork = turn(turns[0].key, *say("c"))
        archive.append("u", "t", [fork])
        archive.append("u", "t", turns)
        assert archive.head("u", "t") == fork.key
        assert archive.head("u", "nothing here") is None

    def test_an_unknown_head_has_no_past(self, archive):
        """A head that was never archived, such as the root of a new thread, reaches nothing, not another branch."""
        fill(archive, "u", "t", ["a", "b"])
        for head in ("f" * 32, "", root_key("u", "t")):
            assert archive.page("u", "t", head=head) == []
            assert archive.search("a b", user="u", thread="t", heads={"t": head}) == []

    def test_a_search_over_all_threads_knows_the_heads_that_are_meant(self, archive):
        """In a thread whose head is given that lineage is searched, in the user's other threads the newest one."""
        turns = fill(archive, "u", "t", ["peanuts are fine", "I like peanuts"])
        archive.append("u", "t", [turn(turns[0].key, *say("I hate peanuts"))])
        fill(archive, "u", "other", ["peanuts and walnuts"])
        both = archive.search("peanuts", user="u", heads={"t": turns[1].key, "nowhere": "f" * 32})
        assert sorted(found(both)) == ["I like peanuts", "peanuts and walnuts", "peanuts are fine"]
        assert found(archive.search("peanuts", user="u", heads={"t": root_key("u", "t")})) == ["peanuts and walnuts"]

    def test_messages_delivered_once_more_are_known(self, archive):
        """Message ids of a lineage are known in it; not in another branch, thread or user."""
        question, other = HumanMessage("q", id="m1"), HumanMessage("another q", id="m2")
        first = turn(root_key("u", "t"), question, AIMessage("a", id="m3"))
        fork = turn(root_key("u", "t"), other)
        archive.append("u", "t", [first, fork])
        ids = ["m1", "m2", "m3", "m4"]
        assert archive.known_messages("u", "t", ids, head=first.key) == {"m1", "m3"}
        assert archive.known_messages("u", "t", ids, head=fork.key) == {"m2"}
        assert archive.known_messages("u", "t", ids, head=root_key("u", "t")) == set()
        assert archive.known_messages("v", "t", ids, head=first.key) == set()

    # Search

    def test_search_puts_the_best_turn_first(self, archive):
        """More of the question's words, rarer words and shorter turns rank higher."""
        fill(
            archive,
            "u",
            "t",
            ["the pump KM-3000 leaks", "the pump is old", "pump " + "and many other words " * 20, "hi"],
        )
        hits = archive.search("pump KM-3000", user="u")
        assert [question[:10] for question in found(hits)] == ["the pump K", "the pump i", "pump and m"]
        assert hits[0].score > hits[1].score > hits[2].score > 0
        assert found(archive.search("pump KM-3000", user="u", limit=1)) == ["the pump KM-3000 leaks"]

    def test_equals_are_found_newest_first(self, archive):
        """Of turns that say the same, each alone in its thread, the newest is first."""
        for number in range(5):
            fill(archive, "u", f"t{number}", [f"alarm{'!' * number}"])
        assert found(archive.search("alarm", user="u", limit=3)) == ["alarm!!!!", "alarm!!!", "alarm!!"]

    @pytest.mark.parametrize(
        ("query", "expected"),
        [
            ("我对什么过敏？", "我对花生过敏"),
            ("花生", "我对花生过敏"),
            ("茶", "她爱喝茶"),
            ("running shoes", "I ran and bought a running shoe"),
            ("km-3000", "KM-3000型号的泵"),
            ("ＫＭ－３０００", "KM-3000型号的泵"),
            ("caroline’s dog", "Caroline's dogs bark"),
            ("C++", "mostly C++ code"),
            ("a@b.cn", "write to a@b.cn"),
            ("서울에서", "서울에서 만나요"),
        ],
    )
    def test_words_of_any_language_are_found(self, archive, query, expected):
        """Chinese by characters and pairs, English by stems, part numbers and addresses whole, full-width as plain."""
        questions = [
            "我对花生过敏",
            "她爱喝茶",
            "I ran and bought a running shoe",
            "KM-3000型号的泵",
            "KM-4000",
            "Caroline's dogs bark",
            "mostly C++ code",
            "plain c is fine too, c, c",
            "write to a@b.cn",
            "서울에서 만나요",
        ]
        fill(archive, "u", "t", questions)
        assert found(archive.search(query, user="u"))[0] == expected

    @pytest.mark.parametrize(
        "query", ["zebra", "", "   ", "?!…", "\x00", "\ud83d", "' OR 1=1 --", 'NEAR("a" AND *', "😀"]
    )
    def test_any_query_is_plain_text(self, archive, query):
        """There are no operators: signs and fragments neither fail nor match everything."""
        turns = fill(archive, "u", "t", ["完全无关的内容", "more"])
        assert archive.search(query, user="u") == []
        assert archive.search(query, user="u", thread="t", heads={"t": turns[0].key}) == []

    def test_a_pasted_page_is_a_query_too(self, archive):
        """A very long question is looked up by its beginning and its end."""
        fill(archive, "u", "t", ["zebra", "okapi", "gnu"])
        pasted = " ".join(f"w{number}x" for number in range(40_000))
        assert sorted(found(archive.search(f"zebra {pasted} okapi", user="u"))) == ["okapi", "zebra"]

    def test_only_what_was_said_is_found(self, archive):
        """Thinking, system text and base64 are not found; a tool's result and a speaker's name are."""
        messages = (
            SystemMessage("secretsystem"),
            HumanMessage("picture data:image/png;base64," + "QUJD" * 100 + " end", name="Melanie"),
            AIMessage(
                [{"type": "reasoning", "reasoning": "secretblock"}, {"type": "text", "text": "pump"}],
                additional_kwargs={"reasoning_content": "secretkwarg"},
            ),
            ToolMessage("valve " + "x " * 3_000 + "beyond", tool_call_id="c"),
            AIMessage("<think>secrettag</think>nozzle"),
        )
        archive.append("u", "t", [turn(root_key("u", "t"), *messages)])
        for word in ("Melanie", "picture", "end", "pump", "valve", "nozzle"):
            assert len(archive.search(word, user="u")) == 1, word
        for word in ("secretsystem", "secretblock", "secretkwarg", "secrettag", "beyond", "QUJD" * 100, "base64"):
            assert archive.search(word, user="u") == [], word

    def test_a_found_turn_is_the_turn_that_get_gives(self, archive):
        """Whether its body was looked into or not: copied, pickled, compared."""
        stored = fill(archive, "alice", "t1", ["花生过敏", "去杭州", "花生酱呢"])
        hits = archive.search("花生", user="alice", thread="t1", limit=2, neighbours=True)
        there = {turn.key: turn for turn in archive.get("alice", "t1", [turn.key for turn in stored])}
        assert len(hits) == 2
        for hit in hits:
            copied = pickle.loads(pickle.dumps(hit.turn))
            assert copied == replace(hit.turn) == hit.turn == there[hit.turn.key]
            for other in (hit.before, hit.after):
                assert other is None or other == there[other.key]

    def test_excluded_turns_make_room_for_others(self, archive):
        """Turns still in the window are left out, and the limit is filled with the next best."""
        turns = fill(archive, "u", "t", [f"alarm{'!' * number}" for number in range(9)])
        keys = {turn.key for turn in turns[-4:]}
        assert found(archive.search("alarm", user="u", limit=3, exclude=keys)) == [f"alarm{'!' * n}" for n in (4, 3, 2)]
        assert archive.search("alarm", user="u", exclude=[turn.key for turn in turns]) == []

    def test_one_thread_or_all_threads_of_the_user(self, archive):
        """Without a thread all of the user's threads are searched, each along its newest head."""
        one = fill(archive, "u", "t1", ["alarm one", "alarm gone"])
        archive.append("u", "t1", [turn(one[0].key, *say("alarm instead"))])
        fill(archive, "u", "t2", ["alarm two"])
        fill(archive, "v", "t1", ["alarm of another user"])
        assert sorted(found(archive.search("alarm", user="u"))) == ["alarm instead", "alarm one", "alarm two"]
        assert found(archive.search("alarm", user="u", thread="t2")) == ["alarm two"]
        assert {hit.turn.thread for hit in archive.search("alarm", user="u")} == {"t1", "t2"}

    def test_long_histories_are_searched_as_short_ones(self, archive):
        """However many turns were appended, singly or at once, each word leads to its turns."""
        colours = ["red", "green", "blue", "white", "black", "grey", "pink"]
        questions = [f"item{number} {colours[number % 7]}" for number in range(700)]
        turns = chain(root_key("u", "t"), questions)
        for start, stop in ((0, 1), (1, 130), (130, 131), (131, 690), (690, 700)):
            archive.append("u", "t", turns[start:stop])
        for number in (0, 1, 63, 64, 127, 128, 511, 512, 650, 699):
            assert found(archive.search(f"item{number}", user="u"))[0] == questions[number]
        assert found(archive.search("white", user="u", limit=200)) == questions[3::7][::-1]

    # Users and threads

    def test_users_are_apart(self, archive):
        """A turn is reached with its user's id only; "" is a user of its own."""
        ids = STRANGE_IDS
        for number, user in enumerate(ids):
            fill(archive, user, "t", [f"shared secret{number}"])
        for number, user in enumerate(ids):
            assert asked(archive.page(user, "t")) == [f"shared secret{number}"]
            assert found(archive.search("shared", user=user)) == [f"shared secret{number}"]
            assert (archive.count(user), len(archive.threads(user))) == (1, 1)
        assert archive.search("shared", user="nobody") == archive.page("nobody", "t") == []

    def test_threads_are_apart(self, archive):
        """Threads may have any name, and none reaches into another."""
        for number, thread in enumerate(STRANGE_IDS):
            fill(archive, "u", thread, [f"shared secret{number}"])
        for number, thread in enumerate(STRANGE_IDS):
            assert asked(archive.page("u", thread)) == [f"shared secret{number}"]
            assert found(archive.search("shared", user="u", thread=thread)) == [f"shared secret{number}"]
        assert [line.thread for line in archive.threads("u")] == STRANGE_IDS[::-1]

    @pytest.mark.parametrize("bad", [None, 7, b"alice", "half \ud83d pair"])
    def test_an_id_that_is_no_text_is_an_error(self, archive, bad):
        """A missing or broken id is refused with the fix, never taken for "all" or for another's."""
        for call in (
            lambda: archive.search("q", user=bad),
            lambda: archive.count(bad),
            lambda: archive.page("u", bad) if bad is not None else archive.page(bad, "t"),
            lambda: archive.append(bad, "t", []),
            lambda: archive.forget(bad),
            lambda: archive.get_note(bad, "t", "k"),
        ):
            with pytest.raises(ArchiveError, match=r"must be a string|surrogate"):
                call()

    def test_threads_are_listed_newest_first(self, archive):
        """A user's threads come with their turns and times, the one appended to last first."""
        fill(archive, "u", "old", ["a", "b"])
        fill(archive, "u", "new", ["c"])
        archive.append("u", "old", [turn(archive.head("u", "old"), *say("d"), at=5.0)])
        listed = [(line.thread, line.turns, line.first, line.last) for line in archive.threads("u")]
        assert listed == [("old", 3, 5.0, 1_700_000_001.0), ("new", 1, 1_700_000_000.0, 1_700_000_000.0)]
        assert (archive.count("u"), archive.count("u", "old"), archive.count("u", "none")) == (4, 3, 0)

    # Notes and forgetting

    def test_the_first_note_stands(self, archive):
        """Whoever writes a note first is told its own, everyone after it the first one's: made once."""
        note = {"summary": "用户对花生过敏 \ud83d", "tokens": 12, "of": ["a", "b"], "deep": {"x": None}}
        assert archive.put_note("u", "t", "k", note) == note
        assert archive.put_note("u", "t", "k", {"summary": "second"}) == note
        assert archive.get_note("u", "t", "k") == note
        assert archive.put_note("u", "t", "k2", {}) == {}
        for user, thread, key in (("v", "t", "k"), ("u", "s", "k"), ("u", "t", "K"), ("", "t", "k")):
            assert archive.get_note(user, thread, key) is None
        assert archive.threads("u") == []

    def test_a_note_that_is_no_json_is_an_error(self, archive):
        """A note that would not come back as it was is refused."""
        with pytest.raises(ArchiveError, match="a note must be JSON data"):
            archive.put_note("u", "t", "k", {"x": object()})
        assert archive.get_note("u", "t", "k") is None

    def test_a_note_that_is_changed_later_is_not_changed_in_the_archive(self, archive):
        """The archive keeps a copy."""
        note = {"list": [1]}
        archive.put_note("u", "t", "k", note)["list"].append(2)
        note["list"].append(3)
        assert archive.get_note("u", "t", "k") == {"list": [1]}

    def test_a_forgotten_thread_is_gone(self, archive):
        """Forgetting a thread takes its turns, words and notes, and leaves the user's others as they were."""
        for thread, word in (("t1", "lemon"), ("t2", "melon"), ("t3", "onion")):
            fill(archive, "u", thread, [f"alarm {word} {number}" for number in range(50)])
            archive.put_note("u", thread, "k", {"of": thread})
        fill(archive, "v", "t2", ["alarm of another"])
        before = archive.search("alarm", user="u", thread="t1", limit=99)
        assert archive.forget("u", "t2") == 50
        assert archive.page("u", "t2") == archive.search("melon", user="u") == []
        assert (archive.get_note("u", "t2", "k"), archive.get_note("u", "t1", "k")) == (None, {"of": "t1"})
        assert len(archive.search("alarm", user="u", limit=999)) == 100
        assert archive.search("alarm", user="u", thread="t1", limit=99) == before
        assert (archive.count("u"), archive.count("v"), archive.forget("u", "t2")) == (100, 1, 0)

    def test_a_forgotten_user_is_gone(self, archive):
        """Forgetting a user takes all threads and notes, and nothing of anyone else."""
        for user in ("u", "", "v"):
            for thread in ("t1", "t2"):
                fill(archive, user, thread, [f"alarm {number}" for number in range(70)])
                archive.put_note(user, thread, "k", {"of": user})
        assert archive.forget("u") == 140
        assert (archive.count("u"), archive.threads("u"), archive.search("alarm", user="u")) == (0, [], [])
        assert archive.get_note("u", "t1", "k") is None
        for user in ("", "v"):
            assert (archive.count(user), archive.get_note(user, "t1", "k")) == (140, {"of": user})
            assert len(archive.search("alarm", user=user, limit=999)) == 140
        assert (archive.forget("u"), archive.forget("nobody")) == (0, 0)

    def test_a_forgotten_thread_may_begin_anew(self, archive):
        """The same turns may be archived again after they were forgotten."""
        turns = fill(archive, "u", "t", ["alarm", "b"])
        archive.forget("u", "t")
        assert archive.append("u", "t", turns) == 2
        assert found(archive.search("alarm", user="u")) == ["alarm"]

    # Threads of the machine, and async

    def test_writers_at_once_agree_on_branches(self, archive):
        """Eight writers that answer the same turn make eight branches, each once, whatever the order."""
        [first] = fill(archive, "u", "t", ["first"])
        answers = [turn(first.key, *say(f"answer {number}")) for number in range(8)]
        with ThreadPoolExecutor(8) as pool:
            counts = list(pool.map(lambda answer: archive.append("u", "t", [answer]), answers * 3))
        assert (sum(counts), archive.count("u")) == (8, 9)
        for answer in answers:
            assert asked(archive.page("u", "t", head=answer.key)) == ["first", answer.messages[0].content]
        assert len({kept.branch for kept in archive.get("u", "t", [answer.key for answer in answers])}) == 8

    async def test_async_methods_do_the_same(self, archive):
        """Each async twin answers as the sync method does."""
        turns = chain(root_key("u", "t"), ["alarm one", "two", "three"])
        assert await archive.aappend("u", "t", turns) == 3
        assert await archive.aget("u", "t", [turns[1].key]) == archive.get("u", "t", [turns[1].key])
        assert await archive.apage("u", "t", head=turns[1].key, before=1, limit=5) == archive.page("u", "t", before=1)
        options = {"user": "u", "thread": "t", "heads": {"t": turns[2].key}, "limit": 2, "exclude": [turns[0].key]}
        assert await archive.asearch("alarm two", **options) == archive.search("alarm two", **options) != []
        assert await archive.ahead("u", "t") == archive.head("u", "t") == turns[2].key
        assert (await archive.acount("u"), await archive.acount("u", "t")) == (3, 3)
        assert await archive.athreads("u") == archive.threads("u")
        assert await archive.aput_note("u", "t", "k", {"a": 1}) == await archive.aget_note("u", "t", "k") == {"a": 1}
        assert (await archive.aforget("u", "t"), await archive.acount("u")) == (3, 0)

    async def test_many_tasks_at_once(self, archive):
        """A hundred conversations of one process may archive and search at the same time."""

        async def talk(number: int) -> int:
            user = f"u{number % 10}"
            turns = chain(root_key(user, f"t{number}"), [f"alarm {number}", "b"])
            for one in turns:
                await archive.aappend(user, f"t{number}", [one])
            return len(await archive.asearch("alarm", user=user, thread=f"t{number}"))

        assert await asyncio.gather(*(talk(number) for number in range(100))) == [1] * 100
        assert [archive.count(f"u{number}") for number in range(10)] == [20] * 10

    def test_it_is_a_context_manager(self, archive):
        """Leaving the block closes the archive; closing twice is allowed."""
        with archive as entered:
            assert entered is archive
        archive.close()

    async def test_it_is_an_async_context_manager(self, archive):
        """The async block closes it too."""
        async with archive as entered:
            assert entered is archive
        await archive.aclose()

    def test_nothing_it_gives_names_an_inner_detail(self, archive):
        """Positions are numbers from 0 and branches are strings, so that a turn's place can go into JSON."""
        fill(archive, "u", "t", ["a"])
        [kept] = archive.page("u", "t")
        assert json.dumps([kept.position, kept.branch, kept.user, kept.thread]) == f'[0, "{kept.branch}", "u", "t"]'
