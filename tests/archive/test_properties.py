"""Whatever is appended, forked, retried and forgotten, an archive agrees with a plain model of what it promises."""

import math
from collections import Counter
from unittest import mock

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from langchain_core.messages import AIMessage, HumanMessage

from langchain_qwen_memory.archive import InMemoryArchive, SqliteArchive, root_key
from langchain_qwen_memory.archive.finding.fusion import Candidates, fused
from langchain_qwen_memory.archive.sqlite import postings
from tests.archive.contract import turn

WORDS = ["alpha", "beta", "gamma", "泵", "漏水", "KM-3000", "delta", "omega"]
USERS, THREADS = ["", "u"], ["s", "t"]

texts = st.lists(st.sampled_from(WORDS), min_size=1, max_size=6).map(" ".join)
appends = st.tuples(
    st.just("append"),
    st.sampled_from(USERS),
    st.sampled_from(THREADS),
    st.integers(0, 30),  # which turn is answered: the newest few, or the root
    st.lists(texts, min_size=1, max_size=9),
)
retries = st.tuples(st.just("retry"), st.sampled_from(USERS), st.sampled_from(THREADS), st.integers(0, 30), st.just(0))
forgets = st.tuples(
    st.just("forget"), st.sampled_from(USERS), st.sampled_from([*THREADS, None]), st.just(0), st.just(0)
)
histories = st.lists(st.one_of(appends, appends, appends, retries, forgets), max_size=14)


class Model:
    """Turns in the order they came; lineages by walking from parent to parent."""

    def __init__(self):
        self.turns = {}

    def of(self, user, thread):
        return self.turns.setdefault((user, thread), {})

    def line(self, user, thread, head=None):
        known = self.of(user, thread)
        key = next(reversed(known), None) if head is None else head
        line = []
        while key in known:
            line.append(known[key])
            key = known[key].parent
        return line[::-1]

    def search(self, query, lines):
        """BM25 as the textbook has it, over the turns of some lineages, and what becomes of it: {key: score}."""
        counts = {one.key: Counter(split(one.text)) for line in lines for one in line}
        if not counts:
            return {}
        mean = sum(count.total() for count in counts.values()) / len(counts)
        scores = dict.fromkeys(counts, 0.0)
        for word in set(split(query)):
            holders = [key for key, count in counts.items() if word in count]
            idf = math.log(1 + (len(counts) - len(holders) + 0.5) / (len(holders) + 0.5))
            for key in holders:
                often = counts[key][word]
                scores[key] += idf * often * 2.2 / (often + 1.2 * (0.25 + 0.75 * counts[key].total() / mean))
        rows = {key: row for row, key in enumerate(counts)}
        parents = {one.key: one.parent for line in lines for one in line}
        lexical, previous = np.array(list(scores.values())), np.array([rows.get(parents[key], -1) for key in rows])
        final = fused(Candidates(ids=np.arange(len(rows)), lexical=lexical, previous=previous))
        return {key: float(final[row]) for key, row in rows.items() if final[row] > 0}


def split(text):
    """The words of these tests' small vocabulary, cut by hand."""
    parts = {"KM-3000": ["km-3000", "km", "3000"], "漏水": ["漏", "水", "漏水"]}
    return [part for word in text.split() for part in parts.get(word, [word])]


def made(parent, texts, salt):
    turns = []
    for number, text in enumerate(texts):
        before = turns[-1].key if turns else parent
        turns.append(turn(before, HumanMessage(text), AIMessage(f"{salt}.{number}"), text=text))
    return turns


def apply(archive, model, history):
    for salt, (kind, user, thread, place, words) in enumerate(history):
        if kind == "forget":
            threads = THREADS if thread is None else [thread]
            gone = sum(len(model.turns.pop((user, name), {})) for name in threads)
            assert archive.forget(user, thread) == gone
            continue
        known = model.of(user, thread)
        keys = [root_key(user, thread), *known][::-1]
        if kind == "retry":
            assert archive.append(user, thread, list(known.values())[place : place + 5]) == 0
            continue
        turns = made(keys[place % len(keys)], words, salt)
        assert archive.append(user, thread, turns) == len(turns)
        known.update((one.key, one) for one in turns)


def check(archive, model, query, limit):
    for user in USERS:
        assert archive.count(user) == sum(len(model.of(user, thread)) for thread in THREADS)
        lines = [model.line(user, thread) for thread in THREADS]
        agree(archive.search(query, user=user, limit=limit), model.search(query, lines), limit)
        for thread in THREADS:
            known = model.of(user, thread)
            assert archive.head(user, thread) == next(reversed(known), None)
            for head in [None, *known]:
                line = model.line(user, thread, head)
                kept = archive.page(user, thread, head=head, limit=999)
                assert [one.key for one in kept] == [one.key for one in line]
                assert [one.position for one in kept] == list(range(len(line)))
                heads = {} if head is None else {thread: head}
                hits = archive.search(query, user=user, thread=thread, heads=heads, limit=limit)
                agree(hits, model.search(query, [line]), limit)


def agree(hits, scores, limit):
    assert len(hits) == min(limit, len(scores))
    best = sorted(scores.values(), reverse=True)[:limit]
    assert [hit.score for hit in hits] == pytest.approx(best)
    assert [hit.score for hit in hits] == pytest.approx([scores[hit.turn.key] for hit in hits])


@pytest.mark.parametrize("make", [InMemoryArchive, lambda: SqliteArchive(":memory:")], ids=["memory", "sqlite"])
@given(history=histories, query=texts, limit=st.sampled_from([1, 3, 999]))
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_any_history_reads_and_ranks_as_the_plain_model(make, history, query, limit):
    """Heads, pages, positions, counts and BM25 scores are those of the model, also across segments and merges."""
    with mock.patch.multiple(postings, FRESH=3, FULL=7, LARGE=20, STEPS=2, MORE_STEPS=3), make() as archive:
        model = Model()
        apply(archive, model, history)
        check(archive, model, query, limit)
