"""How text is cut into the words that it is found by."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from langchain_qwen_memory.archive.finding.fulltext import MOST_WORDS, count_words, query_words


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("花生酱", {"花": 1, "生": 1, "酱": 1, "花生": 1, "生酱": 1}),
        ("我，你", {"我": 1, "你": 1}),
        ("Running runs, ran!", {"run": 2, "ran": 1}),
        ("KM-3000型号", {"km-3000": 1, "km": 1, "3000": 1, "型": 1, "号": 1, "型号": 1}),
        ("ＫＭ－３０００", {"km-3000": 1, "km": 1, "3000": 1}),
        ("3.14", {"3.14": 1, "3": 1, "14": 1}),
        ("user_id", {"user_id": 1, "user": 1, "id": 1}),
        ("Caroline's Caroline’s", {"carolin": 2}),
        ("C++ c#", {"c++": 1, "c#": 1, "c": 2}),
        ("Straße STRASSE", {"strass": 2}),
        ("e\u0301te\u0301 été", {"été": 2}),
        ("さくら", {"さ": 1, "く": 1, "ら": 1, "さく": 1, "くら": 1}),
        ("Привет мир", {"привет": 1, "мир": 1}),
        ("-- _ … 😀 \x00 \ud83d", {}),
    ],
)
def test_words_of_a_turn(text, words):
    """Characters and pairs where words are not parted, stems of English, identifiers whole beside their parts."""
    assert count_words(text) == words


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("我曾经说过喜欢什么？", ["曾", "经", "喜", "欢", "我曾", "曾经", "经说", "过喜", "喜欢", "欢什"]),
        ("What did I say about the pump?", ["say", "pump"]),
        ("who are you", ["who", "are", "you"]),
        ("是的", ["是", "的", "是的"]),
        ("pump pump Pumps", ["pump"]),
    ],
)
def test_words_of_a_question(text, words):
    """Each word once; function words only where there is nothing else to look up."""
    assert query_words(text) == words


def test_a_long_question_is_its_beginning_and_its_end():
    """What is pasted into the middle of a question does not make the search long."""
    words = query_words(" ".join(f"w{chr(97 + number % 26)}{'x' * (number // 26)}" for number in range(2_000)))
    assert len(words) == MOST_WORDS


def test_a_word_is_no_longer_than_64_characters():
    """A digest or a long address is found by its beginning, and does not fill the index."""
    assert max(map(len, count_words("z" * 500 + " https://example.com/" + "a/" * 200))) == 64


@given(st.text(), st.text())
def test_a_text_is_found_by_its_own_words(before, after):
    """Every word of a question that is a text itself stands in that text, whatever stands around it."""
    told = count_words(f"{before} 花生 KM-3000 {after}")
    assert set(query_words("花生 KM-3000")) <= set(told)
    assert set(query_words(before)) <= set(told)


@given(st.text())
def test_no_word_holds_a_blank(text):
    """Words can be stored one per line."""
    assert not any(character.isspace() for word in count_words(text) for character in word)
