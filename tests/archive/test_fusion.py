"""How full text, vectors, neighbours and named periods become one score."""

import numpy as np
import pytest

from langchain_qwen_memory.archive.finding.fusion import Candidates, Weights, fused

ALONE = Weights(follows=0, leads=0)


def candidates(lexical, dense=None, inside=None, previous=None):
    return Candidates(
        ids=np.arange(len(lexical)),
        lexical=np.array(lexical, dtype=float),
        dense=None if dense is None else np.array(dense),
        inside=None if inside is None else np.array(inside),
        previous=None if previous is None else np.array(previous),
    )


def test_words_alone_keep_their_order():
    """Without embeddings the score is BM25's, brought to 0..1; a turn without a shared word is not wanted."""
    assert fused(candidates([2.0, 0.0, 4.0])).tolist() == [0.5, 0.0, 1.0]


def test_words_and_vectors_count_half_each():
    """Both are brought to 0..1 first, so that the narrow cosines of some models count as much as others' wide ones."""
    scores = fused(candidates([4.0, 0.0, 0.0], [0.80, 0.90, 0.85]), ALONE)
    assert scores == pytest.approx([0.5, 0.5, 0.25])
    wide = fused(candidates([4.0, 0.0, 0.0], [-1.0, 1.0, 0.0]), ALONE)
    assert wide == pytest.approx(scores)


def test_a_turn_without_a_vector_yet_stands_by_its_words():
    """It is neither lost nor preferred."""
    scores = fused(candidates([4.0, 2.0, 0.0], [0.9, np.nan, 0.5]), ALONE)
    assert scores == pytest.approx([1.0, 0.5, 0.0])
    assert fused(candidates([4.0, 2.0], [np.nan, np.nan])).tolist() == [1.0, 0.5]


def test_a_turn_beside_found_ones_gains():
    """An answer after its question, a question before its answer: both gain, the answer more."""
    scores = fused(candidates([4.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0], previous=[-1, 0, 1, 2, 3, 4, 5]))
    assert scores[0] > scores[1] > scores[2] > scores[5]
    leads = fused(candidates([1.0, 4.0, 1.0], previous=[-1, 0, 1]))
    assert leads[2] > leads[0]


def test_a_turn_that_shares_nothing_gains_nothing():
    """It may come along as a neighbour, but it is no hit."""
    assert fused(candidates([4.0, 0.0], previous=[-1, 0])).tolist() == [1.0, 0.0]


def test_threads_do_not_touch():
    """The first turn of a thread has no neighbour before it, whatever stands before it in the table."""
    assert fused(candidates([4.0, 1.0], previous=[-1, -1])).tolist() == [1.0, 0.25]


def test_a_named_period_comes_first():
    """Its turns stand before all others, in the order of their scores, even without a shared word."""
    scores = fused(candidates([4.0, 0.0, 2.0, 4.0], inside=[False, True, True, False], previous=[-1, 0, 1, 2]))
    assert scores[2] > scores[1] > max(scores[0], scores[3])


def test_nothing_to_rank():
    """No turns, no scores; and turns that share nothing are all left out."""
    assert fused(candidates([])).tolist() == []
    assert fused(candidates([0.0, 0.0], previous=[-1, 0])).tolist() == [0.0, 0.0]
    assert fused(candidates([0.0], [0.7])).tolist() == [0.5]
