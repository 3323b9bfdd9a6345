"""Asks a Postgres archive which of a user's turns hold which word of a question how often."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from langchain_qwen_memory.archive.finding.fulltext import query_words
from langchain_qwen_memory.archive.finding.ranking import Postings
from langchain_qwen_memory.archive.postgres.append import MOST, lexeme
from langchain_qwen_memory.archive.postgres.ops import Op, Query
from langchain_qwen_memory.archive.sqlite.postings import FEWEST, MANY

if TYPE_CHECKING:
    from langchain_qwen_memory.archive.finding.ranking import Flags, Floats, Integers

__all__ = ["Scale", "lexemes", "mentioned", "postings", "rows_of"]

SAMPLED = 200
"""Newest turns in which is seen how common a word is: to count all mentions costs as much as to read them."""
_ASKED = "asked AS (SELECT word, number FROM unnest(%(words)s::text[]::tsquery[]) WITH ORDINALITY asked(word, number))"
_TELLING = f"""{_ASKED},
size AS (
    SELECT sum(turns) AS turns FROM {{s}}qwen_memory_threads
    WHERE owner = %(owner)s AND (%(root)s::bytea IS NULL OR root = %(root)s)),
newest AS MATERIALIZED (
    SELECT turn, words FROM {{s}}qwen_memory_words WHERE turn = ANY(ARRAY(
        SELECT id FROM {{s}}qwen_memory_turns WHERE owner = %(owner)s AND (%(root)s::bytea IS NULL
            OR thread = (SELECT id FROM {{s}}qwen_memory_threads WHERE root = %(root)s))
        ORDER BY id DESC LIMIT CASE WHEN (SELECT turns FROM size) > {MANY} THEN {SAMPLED} ELSE 0 END))),
telling AS (
    SELECT number, row_number() OVER rarest <= {FEWEST} OR sum(mentions) OVER rarest <= {MANY} AS tells FROM (
        SELECT number, count(turn) * (SELECT turns FROM size)::float8 / {SAMPLED} AS mentions
        FROM asked LEFT JOIN newest ON words @@ word GROUP BY number) shares
    WINDOW rarest AS (ORDER BY mentions, number))
"""  # noqa: S608
_MENTIONS = """
(SELECT array_agg(CASE WHEN {tells} THEN (
    SELECT string_agg(int8send(w.turn) || float4send(ts_rank('{1,1,1,1}'::float4[], w.words, asked.word)), ''::bytea)
    FROM {s}qwen_memory_words w WHERE w.words @@ asked.word AND w.owner = %(owner)s) END ORDER BY number)
FROM asked{telling})
"""
_ALL = (_ASKED, _MENTIONS.replace("{tells}", "true").replace("{telling}", ""))
_SOME = (_TELLING, _MENTIONS.replace("{tells}", "tells").replace("{telling}", " JOIN telling USING (number)"))
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


def lexemes(owner: int, query: str) -> list[str]:
    """The words of a question as a user's, in one order, so that equals add up equally."""
    return [lexeme(owner, word) for word in sorted(query_words(query))]


def mentioned(words: int, turns: int) -> tuple[str, str]:
    """A named part of a statement, and an expression: word by word the turns that hold it, and what `ts_rank` says.

    In a long history only words that are rare enough are looked up, as in a SQLite archive: the rarest, as many as have
    MANY mentions together, and the four rarest in any case.
    """
    return _SOME if turns > MANY and words > FEWEST else _ALL


def postings(told: Sequence[bytes | None], numbers: "Integers", order: "Integers", scale: Scale) -> Postings:
    """Where the words of a question stand, from what the server tells of each."""
    import numpy as np

    packed = [data or b"" for data in told]
    mentions = np.frombuffer(b"".join(packed), dtype=[("turn", ">i8"), ("rank", ">f4")])
    words = np.repeat(np.arange(len(packed)), [len(data) // mentions.itemsize for data in packed])
    turns = mentions["turn"].astype(np.int64)
    sorting = np.lexsort((turns, words))
    known, rows = rows_of(turns[sorting], numbers, order)
    return Postings(rows, words[sorting][known], scale.counts(mentions["rank"][sorting][known]))
