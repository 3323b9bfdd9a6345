"""Texts token by token: how many tokens a beginning has, what a stop of token ids says, and the logprobs of a text."""

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from itertools import pairwise
from typing import Any

from langchain_qwen_memory.counting.vocabulary import Vocabulary, count, encoding


class Spelled:
    """One text and the places at which its tokens begin.

    Args:
        text: The text.
        vocabulary: Whose tokens.
    """

    def __init__(self, text: str, vocabulary: Vocabulary) -> None:
        self.text, self._vocabulary = text, vocabulary

    @cached_property
    def starts(self) -> Sequence[int]:
        """The character at which each token begins; two tokens of one character begin at the same."""
        if not self.text:
            return []
        encoder = encoding(self._vocabulary)
        try:
            tokens = encoder.encode(self.text, allowed_special="all", disallowed_special=())
        except ValueError:  # the splitter gives up on very long runs of blanks: spread the count evenly
            whole = count(self.text, self._vocabulary)
            return [at * len(self.text) // whole for at in range(whole)]
        return encoder.decode_with_offsets(tokens)[1]

    def tokens(self, characters: int) -> int:
        """How many tokens have begun within so many first characters."""
        return bisect_left(self.starts, characters)

    def words(self) -> list[str]:
        """The text cut where tokens begin; tokens of one character stay together."""
        borders = [*dict.fromkeys(self.starts), len(self.text)]
        return [self.text[begin:end] for begin, end in pairwise(borders)]


@dataclass(frozen=True, slots=True)
class Spelling:
    """The spelling of an answer's parts."""

    vocabulary: Vocabulary
    """Whose tokens."""
    _known: dict[str, Spelled] = field(default_factory=dict)

    def of(self, text: str) -> Spelled:
        """The spelling of one text; made once."""
        return self._known.setdefault(text, Spelled(text, self.vocabulary))


def logprobs(text: str, spelling: Spelling, *, top: bool = False) -> dict[str, Any]:
    """What `logprobs` asks for: each token with probability one, since a stand-in never thinks of another.

    Args:
        text: A whole answer or one chunk of it.
        spelling: Of the answer's model.
        top: Whether the likeliest tokens were asked for, too; there is only the one.
    """
    content = []
    for word in Spelled(text, spelling.vocabulary).words():
        one = {"token": word, "bytes": list(word.encode("utf-8", "surrogatepass")), "logprob": 0.0}
        content.append({**one, "top_logprobs": [one] if top else []})
    return {"content": content}


def stops(given: Any, vocabulary: Vocabulary) -> list[str]:
    """The texts at which an answer ends: `stop` is a text, a list of token ids, or a list of either."""
    if isinstance(given, str):
        return [given]
    if not isinstance(given, list) or not given:
        return []
    if all(isinstance(one, int) for one in given):
        return [encoding(vocabulary).decode(given)]
    return [text for one in given for text in stops(one, vocabulary)]
