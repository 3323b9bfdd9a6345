"""What every archive with embeddings must do; a test file subclasses `VectorContract` and gives it archives."""

import asyncio
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from langchain_core.messages import HumanMessage

from langchain_qwen_memory.archive import Archive, root_key
from langchain_qwen_memory.errors import ArchiveError, EmbeddingMismatchError
from tests.archive.contract import asked, chain, fill, found, say, turn
from tests.archive.meaning import Meaning


class VectorContract:
    """The tests; `make` is the fixture a subclass gives."""

    reopens = True
    """Whether `make` called again opens what was stored before, as another process would."""

    @pytest.fixture
    def make(self):
        """A function (embeddings, embeddings_name) that opens the archive; each call opens it once more."""
        raise NotImplementedError

    @pytest.fixture
    def embeddings(self) -> Meaning:
        return Meaning()

    @pytest.fixture
    def archive(self, make, embeddings) -> Archive:
        return make(embeddings)

    def again(self, make, *options) -> Archive:
        """The same archive, opened once more; other processes look like this."""
        if not self.reopens:
            pytest.skip("this archive is gone when it is closed")
        return make(*options)

    # Finding by meaning

    def test_a_turn_is_found_by_its_meaning(self, archive):
        """A question that shares no word with a turn finds it by what both mean."""
        fill(archive, "u", "t", ["we bought a puppy", "the weather is fine", "taxes are due in May"])
        hits = archive.search("hound", user="u", limit=1)
        assert (found(hits), hits.problem) == (["we bought a puppy"], "")

    def test_words_and_meaning_count_together(self, archive):
        """A turn that has the word and the meaning stands before one that has only either."""
        for number, text in enumerate(["puppy KM-3000", "puppy and more", "KM-3000 and more", "nothing at all"]):
            fill(archive, "u", f"t{number}", [text])
        ranked = found(archive.search("hound KM-3000", user="u"))
        assert ranked[0] == "puppy KM-3000"
        assert set(ranked[1:3]) == {"puppy and more", "KM-3000 and more"}

    def test_a_turn_is_embedded_once(self, archive, embeddings):
        """Each turn is embedded when it is first appended; a retry costs nothing."""
        turns = fill(archive, "u", "t", ["one", "two"])
        assert archive.append("u", "t", turns) == 0
        archive.append("u", "t", [*turns, *chain(turns[-1].key, ["three"])])
        assert [text.split()[0] for text in embeddings.documents] == ["one", "two", "three"]

    def test_only_the_beginning_of_a_long_turn_is_embedded(self, archive, embeddings):
        """A pasted book costs 8,000 characters; half of a surrogate pair does not stop them."""
        archive.append("u", "t", [turn(root_key("u", "t"), HumanMessage("x"), text="\ud83dpuppy " + "y" * 50_000)])
        assert [len(text) for text in embeddings.documents] == [8_000]
        assert archive.missing_vectors() == 0

    def test_a_turn_without_a_word_needs_no_vector(self, archive, embeddings):
        """A picture without a text is archived and never sent to the embeddings."""
        added = archive.append("u", "t", [turn(root_key("u", "t"), *say("x"), text="  \n")])
        assert (added, added.problem, archive.missing_vectors(), embeddings.calls) == (1, "", 0, [])
        assert archive.search("  ", user="u") == []

    def test_users_are_apart_in_meaning_too(self, archive):
        """A user's vectors are compared with that user's questions only."""
        for user in ("", "u", "v", "u\x00"):
            fill(archive, user, "t", [f"the puppy of {user!r}", "something else"])
        for user in ("", "u", "v", "u\x00"):
            hits = archive.search("hound", user=user)
            assert {hit.turn.user for hit in hits} == {user}
            assert found(hits)[0] == f"the puppy of {user!r}"
        assert archive.search("hound", user="nobody") == []

    def test_lineages_threads_and_exclusions_hold_for_vectors(self, archive):
        """What full text may not see, vectors may not see: other branches, other threads, turns of the window."""
        turns = fill(archive, "u", "t", ["hello", "a puppy", "goodbye"])
        archive.append("u", "t", [turn(turns[0].key, *say("a hound instead"))])
        other = fill(archive, "u", "other", ["dogs everywhere"])
        everywhere = found(archive.search("狗", user="u"))
        assert "a puppy" not in everywhere
        assert {"a hound instead", "dogs everywhere"} <= set(everywhere)
        assert "a puppy" in found(archive.search("狗", user="u", thread="t", heads={"t": turns[2].key}))
        assert "dogs everywhere" not in found(archive.search("狗", user="u", thread="t"))
        assert "dogs everywhere" not in found(archive.search("狗", user="u", exclude=[other[0].key]))
        assert archive.search("狗", user="u", thread="t", heads={"t": "f" * 32}) == []

    def test_what_is_appended_is_found_at_once(self, archive):
        """A search sees the turns appended since the one before, singly and in bulk, in every thread."""
        parent = root_key("u", "t")
        for number in range(70):
            [one] = chain(parent, [f"item{number}"])
            archive.append("u", "t", [one])
            parent = one.key
            if number % 7 == 0:
                assert found(archive.search(f"item{number}", user="u"))[0] == f"item{number}"
        archive.append("u", "t", chain(parent, [f"more{number}" for number in range(150)]))
        fill(archive, "u", "s", ["a puppy"])
        assert "a puppy" in found(archive.search("hound", user="u", limit=3))

    # Periods and neighbours

    def test_turns_of_a_period_come_first(self, archive):
        """A period that a question names brings its turns first, those that share no word with it too."""
        fill(archive, "u", "t", ["a puppy", "tea", "a hound", "coffee", "dogs again"])
        at = 1_700_000_000.0
        hits = archive.search("dog", user="u", periods=[(at + 1, at + 2), (at + 3, at + 4)])
        assert set(found(hits)[:2]) == {"tea", "coffee"}
        assert "a hound" in found(hits)
        none = archive.search("dog", user="u", periods=[(at + 100, at + 200)])
        assert found(none)[0] in {"a puppy", "a hound", "dogs again"}

    @pytest.mark.parametrize("bad", [(2.0, 1.0), (1.0,), ("a", "b"), 7, (float("nan"), 1.0)])
    def test_a_period_that_is_none_is_an_error(self, archive, bad):
        """A period that ends before it begins, or is no pair of times, is refused."""
        with pytest.raises(ArchiveError, match=r"a period is \(start, end\) in Unix seconds"):
            archive.search("q", user="u", periods=[bad])

    def test_neighbours_come_along_when_asked_for(self, archive):
        """A hit brings the turns before and after it in the searched lineage, and none beyond its ends."""
        turns = fill(archive, "u", "t", ["zero", "one", "two puppies", "three"])
        archive.append("u", "t", [turn(turns[2].key, *say("three instead"))])
        fill(archive, "u", "s", ["elsewhere"])
        [hit] = archive.search("puppies", user="u", limit=1, neighbours=True)
        assert hit.before is not None
        assert hit.after is not None
        assert asked([hit.before, hit.turn, hit.after]) == ["one", "two puppies", "three instead"]
        [old] = archive.search("puppies", user="u", heads={"t": turns[3].key}, limit=1, neighbours=True)
        assert asked([old.after]) == ["three"]
        [first] = archive.search("zero", user="u", limit=1, neighbours=True)
        [last] = archive.search("instead", user="u", thread="t", limit=1, neighbours=True)
        assert (first.before, last.after) == (None, None)
        [plain] = archive.search("puppies", user="u", limit=1)
        assert (plain.before, plain.after) == (None, None)

    # Failures of the embeddings

    def test_turns_are_stored_though_the_embeddings_fail(self, archive, embeddings):
        """A turn whose embedding failed is stored and found by its words; the answer says why, without a key."""
        embeddings.down = True
        [one] = chain(root_key("u", "t"), ["a puppy"])
        added = archive.append("u", "t", [one])
        assert (added, added.problem) == (1, "the embeddings failed: ConnectionError")
        assert archive.missing_vectors() == 1
        hits = archive.search("puppy", user="u")
        assert found(hits) == ["a puppy"]
        assert "sk-secret" not in added.problem + hits.problem

    def test_a_turn_left_behind_gets_its_vector_with_a_later_append(self, archive, embeddings):
        """Once the embeddings answer again, the next append of the same user makes up for what is missing, once."""
        embeddings.down = True
        one, two = fill(archive, "u", "t", ["a puppy", "tea"])
        fill(archive, "v", "t", ["of someone else"])
        embeddings.down = False
        added = archive.append("u", "t", chain(two.key, ["three"]))
        assert (added, added.problem, archive.missing_vectors()) == (1, "", 1)
        assert [text.split("\n")[0] for text in embeddings.documents] == ["three", "a puppy", "tea"]
        assert found(archive.search("hound", user="u"))[0] == "a puppy"
        archive.append("u", "t", [one, two])
        assert len(embeddings.documents) == 3

    def test_not_all_that_is_missing_is_made_up_for_at_once(self, archive, embeddings):
        """After a long failure each append makes up for 32 turns at most, so that no answer waits for hundreds."""
        embeddings.down = True
        turns = fill(archive, "u", "t", [f"q{number}" for number in range(70)])
        embeddings.down = False
        for left in (38, 6, 0, 0):
            turns += chain(turns[-1].key, [f"more{left}"])
            archive.append("u", "t", turns[-1:])
            assert archive.missing_vectors() == left

    def test_a_turn_that_is_refused_holds_up_no_other(self, archive, embeddings):
        """A text that the embeddings refuse is tried alone a few times and then left; all others get their vectors."""
        embeddings.refused = ("forbidden",)
        turns = fill(archive, "u", "t", ["one", "forbidden words", "three"])
        for number in range(12):
            turns += chain(turns[-1].key, [f"later{number}"])
            archive.append("u", "t", turns[-1:])
        assert archive.missing_vectors() == 1
        asks = len(embeddings.calls)
        turns += chain(turns[-1].key, ["last"])
        assert archive.append("u", "t", turns[-1:]).problem == ""
        assert len(embeddings.calls) == asks + 1
        assert found(archive.search("forbidden", user="u"))[0] == "forbidden words"

    def test_a_question_that_cannot_be_embedded_is_searched_by_its_words(self, archive, embeddings):
        """While the embeddings are down a search goes by full text, and says so."""
        fill(archive, "u", "t", ["a puppy", "a hound"])
        embeddings.down = True
        hits = archive.search("puppy", user="u")
        assert (found(hits)[0], hits.problem) == ("a puppy", "the embeddings failed: ConnectionError")

    @pytest.mark.parametrize(
        "answer",
        [
            [],
            [[1.0, 2.0]] * 2,
            [[]],
            [[float("nan"), 1.0]],
            [["a", "b"]],
            None,
        ],
    )
    def test_vectors_that_are_none_are_a_failure_of_the_embeddings(self, make, answer):
        """Too few vectors, too many, empty ones and such as hold no numbers are not stored; the turn is."""

        class Broken(Meaning):
            def embed_documents(self, texts):
                return answer

        archive = make(Broken())
        [one] = chain(root_key("u", "t"), ["a puppy"])
        added = archive.append("u", "t", [one])
        assert (added, archive.missing_vectors(), found(archive.search("puppy", user="u"))) == (1, 1, ["a puppy"])
        assert added.problem.startswith("the embeddings ")

    def test_without_embeddings_full_text_is_all(self, make):
        """No embeddings, no vectors: turns are found by their words, nothing is missing, and nothing can be rebuilt."""
        archive = make(None)
        fill(archive, "u", "t", ["a puppy"])
        assert (found(archive.search("puppy", user="u")), archive.search("hound", user="u")) == (["a puppy"], [])
        assert archive.missing_vectors() == 0
        with pytest.raises(ArchiveError, match=r"opened without embeddings.*embeddings="):
            archive.reindex()

    def test_what_is_no_embeddings_is_refused(self, make):
        """A model's name, or anything else that is no LangChain embeddings, is refused when the archive is opened."""
        with pytest.raises(TypeError, match=r"must be LangChain Embeddings, not str; write embeddings="):
            make("text-embedding-v4")

    # Another model

    def test_another_model_is_refused(self, make, archive):
        """Vectors of two models cannot be compared: the second model is named, with the command that rebuilds."""
        turns = fill(archive, "u", "t", ["a puppy"])
        other = self.again(make, Meaning("meaning-2"))
        for call in (
            lambda: other.append("u", "t", chain(turns[-1].key, ["two"])),
            lambda: other.search("hound", user="u"),
        ):
            with pytest.raises(
                EmbeddingMismatchError, match=r"'meaning-1' \(64 numbers\).*'meaning-2'.*qwen-memory reindex"
            ):
                call()
        assert archive.count("u") == 1

    def test_another_length_is_refused(self, make, archive):
        """The same model asked for shorter vectors is another one."""
        turns = fill(archive, "u", "t", ["a puppy"])
        other = self.again(make, Meaning(dimension=32))
        for call in (
            lambda: other.append("u", "t", chain(turns[-1].key, ["two"])),
            lambda: other.search("hound", user="u"),
        ):
            with pytest.raises(EmbeddingMismatchError, match=r"\(64 numbers\).*\(32 numbers\)"):
                call()
        assert archive.count("u") == 1

    def test_a_name_given_is_the_name_that_counts(self, make):
        """Embeddings without a good name of their own are given one; under it they are known again."""
        fill(make(Meaning("local path"), "e5"), "u", "t", ["a puppy"])
        assert found(self.again(make, Meaning("other path"), "e5").search("hound", user="u", limit=1)) == ["a puppy"]

    def test_vectors_wait_while_an_archive_is_opened_without_embeddings(self, make, archive):
        """Opened without embeddings it is searched by words; turns appended then are missing, and made up for later."""
        [one] = fill(archive, "u", "t", ["a puppy"])
        plain = self.again(make, None)
        assert found(plain.search("puppy", user="u")) == ["a puppy"]
        [two] = chain(one.key, ["a hound"])
        assert (plain.append("u", "t", [two]), plain.missing_vectors()) == (1, 1)
        archive.append("u", "t", chain(two.key, ["tea"]))
        assert archive.missing_vectors() == 0
        assert set(found(archive.search("狗", user="u", limit=2))) == {"a puppy", "a hound"}

    def test_an_archive_gets_embeddings_later(self, make, embeddings):
        """Turns archived before there were embeddings get their vectors with later appends, or by a reindex."""
        turns = fill(make(None), "u", "t", ["a puppy", "tea"])
        archive = self.again(make, embeddings)
        assert (archive.missing_vectors(), found(archive.search("tea", user="u"))[:1]) == (2, ["tea"])
        assert list(archive.reindex())[-1] == (2, 2)
        assert (archive.missing_vectors(), found(archive.search("hound", user="u"))[:1]) == (0, ["a puppy"])
        archive.append("u", "t", chain(turns[-1].key, ["three"]))
        assert archive.missing_vectors() == 0

    # Rebuilding

    def test_reindex_makes_each_vector_anew_and_tells_how_far_it_is(self, archive, embeddings):
        """All turns of all users, abandoned branches too, are embedded once more; the last step says all of all."""
        turns = fill(archive, "u", "t", [f"q{number}" for number in range(100)])
        archive.append("u", "t", [turn(turns[5].key, *say("a puppy"))])
        fill(archive, "v", "t", ["a hound"])
        embeddings.documents.clear()
        steps = list(archive.reindex())
        assert (steps[0], steps[-1], steps == sorted(steps)) == ((0, 102), (102, 102), True)
        assert len(steps) > 2
        assert len(embeddings.documents) == len(set(embeddings.documents)) == 102
        assert (archive.missing_vectors(), found(archive.search("狗", user="v", limit=1))) == (0, ["a hound"])

    def test_an_empty_archive_is_reindexed_at_once(self, archive):
        """Nothing to do is done."""
        assert list(archive.reindex()) == [(0, 0)]

    def test_reindex_changes_the_model(self, make, archive):
        """Until all new vectors are there the old model finds by the old ones; then only the new one does."""
        turns = fill(archive, "u", "t", [f"q{number}" for number in range(100)] + ["a puppy"])
        new = Meaning("meaning-2", dimension=48)
        other = self.again(make, new)
        steps = other.reindex()
        assert [next(steps), next(steps)[1]] == [(0, 101), 101]
        assert found(archive.search("hound", user="u", limit=1)) == ["a puppy"]
        meanwhile = other.search("puppy", user="u")
        assert (found(meanwhile)[0], "made anew" in meanwhile.problem, new.questions) == ("a puppy", True, [])
        [late] = chain(turns[-1].key, ["a car"])
        archive.append("u", "t", [late])
        assert list(steps)[-1][0] >= 101
        assert "a puppy" in found(other.search("hound", user="u", limit=2))
        assert "a car" in found(other.search("vehicle", user="u", limit=2))
        with pytest.raises(EmbeddingMismatchError, match=r"'meaning-2' \(48 numbers\).*'meaning-1'"):
            archive.search("hound", user="u")
        assert other.missing_vectors() == 0

    def test_a_reindex_that_was_stopped_goes_on(self, make, archive):
        """What was done before the stop is not done again; turns forgotten in between are not missed."""
        fill(archive, "u", "t", [f"q{number}" for number in range(200)])
        fill(archive, "v", "t", ["a puppy", "tea"])
        new = Meaning("meaning-2")
        steps = self.again(make, new).reindex()
        done = [next(steps), next(steps)][-1][0]
        steps.close()
        assert 0 < done < 202
        archive.forget("v")
        other = self.again(make, new)
        again = list(other.reindex())
        assert (again[0][0], again[-1]) == (done, (200, 200))
        assert len(new.documents) == len(set(new.documents)) == 200
        assert other.missing_vectors() == 0

    def test_a_reindex_whose_embeddings_fail_is_an_error_and_goes_on_later(self, archive, embeddings):
        """When the embeddings are down it stops with what to do; called again it finishes."""
        fill(archive, "u", "t", [f"q{number}" for number in range(100)])
        steps = archive.reindex()
        next(steps), next(steps)
        embeddings.down = True
        with pytest.raises(ArchiveError, match=r"the embeddings failed: ConnectionError; what is done is kept"):
            list(steps)
        assert found(archive.search("q7", user="u"))[0] == "q7"
        embeddings.down = False
        embeddings.documents.clear()
        assert list(archive.reindex())[-1] == (100, 100)
        assert 0 < len(embeddings.documents) < 100

    def test_a_reindex_passes_over_what_is_refused(self, archive, embeddings):
        """A text that the embeddings refuse has no vector in the end, and holds up none of the others."""
        fill(archive, "u", "t", ["one", "forbidden words", "a puppy"])
        embeddings.refused = ("forbidden",)
        list(archive.reindex())
        assert (archive.missing_vectors(), found(archive.search("hound", user="u"))[:1]) == (1, ["a puppy"])

    # Forgetting

    def test_forgotten_turns_are_found_by_no_vector(self, make, archive):
        """After forgetting, neither this archive nor one that had searched before finds anything by meaning."""
        watching = self.again(make, Meaning())
        for user, thread in (("u", "t"), ("u", "s"), ("v", "t")):
            fill(archive, user, thread, [f"a puppy {number} of {user} {thread}" for number in range(90)])
        for one in (archive, watching):
            assert {hit.turn.thread for hit in one.search("hound", user="u", limit=200)} == {"t", "s"}
        assert archive.forget("u", "t") == 90
        for one in (archive, watching):
            assert {hit.turn.thread for hit in one.search("hound", user="u", limit=200)} == {"s"}
        assert archive.forget("u") == 90
        fill(archive, "w", "t", ["a car"])
        for one in (archive, watching):
            assert one.search("hound", user="u") == []
            assert found(one.search("vehicle", user="w")) == ["a car"]
            assert len(one.search("hound", user="v", limit=200)) > 50
        assert archive.missing_vectors() == 0

    def test_a_forgotten_thread_may_begin_anew_with_other_vectors(self, make, archive):
        """Turns that take the place of forgotten ones are found by their own meaning, everywhere."""
        watching = self.again(make, Meaning())
        fill(archive, "u", "t", ["a puppy", "tea"])
        assert found(watching.search("hound", user="u"))[0] == "a puppy"
        archive.forget("u", "t")
        fill(archive, "u", "t", ["a car", "coffee"])
        for one in (archive, watching):
            assert found(one.search("vehicle", user="u"))[0] == "a car"

    # Users, runs, async

    def test_everyone_who_has_turns_is_listed(self, archive):
        """Users with turns are listed, in order; those with notes only and those forgotten are not."""
        for user in ("b", "", "a", "gone"):
            fill(archive, user, "t", ["x"])
        archive.put_note("notes", "t", "k", {})
        archive.forget("gone")
        assert archive.users() == ["", "a", "b"]

    async def test_async_methods_embed_asynchronously(self, archive, embeddings):
        """In an event loop the embeddings' own async calls are awaited, and the answers are the same."""
        turns = chain(root_key("u", "t"), ["a puppy", "tea"])
        added = await archive.aappend("u", "t", turns)
        hits = await archive.asearch("hound", user="u", neighbours=True, periods=[(0.0, 1.0)])
        assert (added, added.problem, hits.problem) == (2, "", "")
        assert embeddings.calls == ["aembed_documents", "aembed_query"]
        assert hits == archive.search("hound", user="u", neighbours=True, periods=[(0.0, 1.0)]) != []
        assert (await archive.ausers(), await archive.amissing_vectors()) == (["u"], 0)
        embeddings.down = True
        added = await archive.aappend("u", "t", chain(turns[-1].key, ["three"]))
        assert (added, added.problem) == (1, "the embeddings failed: ConnectionError")
        assert (await archive.asearch("tea", user="u")).problem == "the embeddings failed: ConnectionError"
        embeddings.down = False
        await archive.aappend("u", "t", [*chain(turns[-1].key, ["three", "four"])][1:])
        assert archive.missing_vectors() == 0
        assert [step async for step in archive.areindex()][-1] == (4, 4)

    def test_writers_at_once_make_one_vector_each(self, make, archive, embeddings):
        """Two that find the same turn missing both embed it; one vector is stored, and nobody fails."""
        embeddings.down = True
        turns = fill(archive, "u", "t", [f"puppy {number}" for number in range(20)])
        embeddings.down = False
        together = threading.Barrier(4)

        def add(number: int) -> int:
            together.wait()
            return archive.append("u", f"t{number}", chain(root_key("u", f"t{number}"), [f"tea {number}"]))

        with ThreadPoolExecutor(4) as pool:
            assert list(pool.map(add, range(4))) == [1] * 4
        assert archive.missing_vectors() == 0
        hits = archive.search("hound puppy", user="u", thread="t", limit=99)
        assert sorted(hit.turn.key for hit in hits) == sorted(turn.key for turn in turns)

    def test_one_run_of_a_thread_at_a_time(self, make, archive):
        """Who holds a thread keeps others out, also through another archive on the same store; other threads go on."""
        other = make(None) if self.reopens else archive
        with archive.hold("u", "t"):
            with other.hold("u", "s"), other.hold("v", "t"), other.hold("", "ut"):
                pass
            started = time.monotonic()
            with pytest.raises(ArchiveError, match=r"waited .* s for thread 't', which another run holds"), \
                    other.hold("u", "t", timeout=0.1):  # fmt: skip
                pytest.fail("two held one thread")
            assert 0.1 <= time.monotonic() - started < 5
        with other.hold("u", "t", timeout=0):
            pass

    def test_a_held_thread_is_let_go_when_the_block_fails(self, archive):
        """An error inside the block lets go of the thread."""
        with pytest.raises(ZeroDivisionError), archive.hold("u", "t"):
            _ = 1 / 0
        with archive.hold("u", "t", timeout=0):
            pass

    def test_who_waits_for_a_thread_gets_it(self, archive):
        """Threads that wait for one conversation run one after the other, and all of them."""
        inside, most, runs = 0, 0, 0

        def run(_: int) -> None:
            nonlocal inside, most, runs
            with archive.hold("u", "t", timeout=60):
                inside += 1
                most = max(most, inside)
                time.sleep(0.005)
                runs += 1
                inside -= 1

        with ThreadPoolExecutor(6) as pool:
            list(pool.map(run, range(12)))
        assert (most, runs) == (1, 12)

    async def test_who_waits_in_an_event_loop_blocks_nobody(self, archive):
        """In an event loop one waits without holding it up, may give up, and gets it in the end."""
        async with archive.ahold("u", "t"):
            waiting = asyncio.create_task(self._held(archive))
            given_up = asyncio.create_task(self._held(archive))
            await asyncio.sleep(0.05)
            assert not waiting.done()
            given_up.cancel()
            with pytest.raises(ArchiveError, match="waited"):
                async with archive.ahold("u", "t", timeout=0.05):
                    pytest.fail("two held one thread")
        assert await asyncio.wait_for(waiting, 10) == "held"
        with pytest.raises(asyncio.CancelledError):
            await given_up

    @staticmethod
    async def _held(archive: Archive) -> str:
        async with archive.ahold("u", "t"):
            return "held"

    def test_a_hold_needs_ids_that_are_text(self, archive):
        """An id that is no text is refused before anything is locked."""
        with pytest.raises(ArchiveError, match="must be a string"):
            archive.hold(None, "t")
