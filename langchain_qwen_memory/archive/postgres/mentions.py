"""Asks a Postgres archive which of a user's turns hold which word of a question how often."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

from langchain_qwen_memory.archive.finding.fulltext import query_words
from langchain_qwen_memory.archive.finding.ranking import Postings
from langchain_qwen_memory.archive.hybrid import Question
from langchain_qwen_memory.archive.postgres.append import MOST, lexeme
from langchain_qwen_memory.archive.postgres.ops import Op, Query
from langchain_qwen_memory.archive.sqlite.postings import FEWEST, MANY

if TYPE_CHECKING:
    from langchain_qwen_memory.archive.finding.ranking import Flags, Floats, Integers

__all__ = ["Scale", "postings", "rows_of"]

SAMPLED = 200
"""Newest turns in which is seen how common a word is."""
_WORDS = """
SELECT asked.number, string_agg(int8send(w.turn)
    || float4send(ts_rank('{1,1,1,1}'::float4[], w.words, asked.word)), ''::bytea)
FROM unnest(%s::text[]::tsquery[]) WITH ORDINALITY asked(word, number)
JOIN {s}qwen_memory_words w ON w.words @@ asked.word AND w.owner = %s GROUP BY 1 ORDER BY 1
"""
_SHARES = """
SELECT asked.number, count(*) FROM unnest(%s::text[]::tsquery[]) WITH ORDINALITY asked(word, number)
JOIN {s}qwen_memory_words w ON w.turn = ANY(%s) AND w.words @@ asked.word GROUP BY 1
"""
_SCALE = "SELECT string_agg(float4send(ts_rank('{1,1,1,1}'::float4[], times::tsvector, 'a')), ''::bytea ORDER BY n) "
_SCALE += "FROM unnest(%s::text[]) WITH ORDINALITY scale(times, n)"


@dataclass(slots=True)
class Scale:
    """What `ts_rank` gives a word that stands once, twice ... in a turn, as this server says: so counts are read."""

    ranks: "Floats | None" = None
    """Rising; at row 0 that of a word that stands once."""

    def learn(self) -> Op[None]:
        """Ask the server, once."""
        import numpy as np

        if self.ranks is None:
            times = ["a:" + ",".join(map(str, range(1, count + 1))) for count in range(1, MOST + 1)]
            rows = yield Query(_SCALE, (times,))
            self.ranks = np.frombuffer(rows[0][0], dtype=">f4").astype(np.float32)

    def counts(self, ranks: "Floats") -> "Integers":
        """How often the words stand that have these ranks."""
        import numpy as np

        assert self.ranks is not None
        return np.minimum(np.searchsorted(self.ranks, ranks.astype(np.float32)), MOST - 1) + 1


def rows_of(turns: "Integers", numbers: "Integers", order: "Integers") -> "tuple[Flags, Integers]":
    """Which of some turns are candidates, and their rows among these, whose order by number is given."""
    import numpy as np

    if not len(numbers):
        return np.zeros(len(turns), dtype=np.bool_), np.zeros(0, dtype=np.int64)
    ordered = numbers[order]
    found = np.minimum(np.searchsorted(ordered, turns), len(ordered) - 1)
    known = ordered[found] == turns
    return known, order[found[known]]


def postings(owner: int, question: Question, numbers: "Integers", order: "Integers", scale: Scale) -> Op[Postings]:
    """Where the words of a question stand, word by word in one order, so that equals add up equally."""
    import numpy as np

    words = [lexeme(owner, word) for word in sorted(query_words(question.query))]
    if len(numbers) > MANY and len(words) > FEWEST:
        words = yield from _telling(words, numbers, order)
    rows = (yield Query(_WORDS, (words, owner))) if words else []
    parts: list[tuple[Integers, Integers, Integers]] = []
    for number, packed in rows:
        mentions = np.frombuffer(packed, dtype=[("turn", ">i8"), ("rank", ">f4")])
        mentions = mentions[np.argsort(mentions["turn"], kind="stable")]
        known, places = rows_of(mentions["turn"].astype(np.int64), numbers, order)
        parts.append((places, np.full(len(places), number - 1), scale.counts(mentions["rank"][known])))
    if not parts:
        nothing = np.zeros(0, dtype=np.int64)
        return Postings(nothing, nothing, nothing)
    return Postings(*(np.concatenate(column) for column in zip(*parts, strict=True)))


def _telling(words: list[str], numbers: "Integers", order: "Integers") -> Op[list[str]]:
    """The words of a question that are rare enough to look up in a long history, as in a SQLite archive.

    How rare they are is asked of the user's newest turns: to count all mentions costs as much as to read them.
    """
    newest = [int(number) for number in numbers[order[-SAMPLED:]]]
    rows = yield Query(_SHARES, (words, newest))
    mentions = {int(number) - 1: count * len(numbers) / len(newest) for number, count in rows}
    kept: list[int] = []
    total = 0.0
    for number in sorted(range(len(words)), key=lambda number: (mentions.get(number, 0), number)):
        total += mentions.get(number, 0)
        if total > MANY and len(kept) >= FEWEST:
            break
        kept.append(number)
    return [words[number] for number in sorted(kept)]
