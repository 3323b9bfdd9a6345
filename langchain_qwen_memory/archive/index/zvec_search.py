"""One search in zvec: both halves, turns of named periods, and the turns beside the best, all with exact likenesses."""

from collections.abc import Mapping, Sequence
from typing import Any

from langchain_qwen_memory.archive.index.base import Ask, Near, Nearest
from langchain_qwen_memory.archive.index.zvec_rows import near_of, periods_filter

__all__ = ["MOST", "ZvecSearch"]

MOST = 1_024
"""The most that zvec brings at once."""
AROUND = 48
"""Turns, the best by themselves, whose neighbours are looked at: these can lift a turn above others."""


class ZvecSearch:
    """Asks one question of a collection."""

    def __init__(self, zvec: Any, db: Any, dimension: int | None, ask: Ask) -> None:
        """Ask this collection, whose vectors are of this length."""
        self._zvec = zvec
        self._db = db
        self._vector = ask.vector if ask.vector is not None and len(ask.vector) == dimension else None
        self._ask = ask
        self._limit = min(ask.limit, MOST)
        self._where = f"owner = '{ask.owner}'" + (f" and line = '{ask.line}'" if ask.line else "")
        self._found: dict[str, Near] = {}
        self._whole = self._worded = True

    def nearest(self) -> Nearest:
        """What there is."""
        if self._ask.words:
            match = self._zvec.Fts(match_string=" ".join(self._ask.words))
            docs = self._query(self._zvec.Query("words", fts=match), self._where)
            self._worded = len(docs) < self._limit
            self._take(docs, {doc.id: doc.score for doc in docs})
        least = None if self._vector is None else self._by_vector()
        if self._ask.periods:
            self._take(self._query(None, f"{self._where} and ({periods_filter(self._ask.periods)})"))
        if not self._whole:
            self._look_around()
        return Nearest(turns=[*self._found.values()], worded=self._worded, whole=self._whole, least=least)

    def _query(self, query: Any, where: str) -> list[Any]:
        vectors = self._vector is not None and (query is None or query.fts is None)
        docs = list(self._db.query(query, filter=where, topk=self._limit, include_vector=vectors))
        self._whole = self._whole and len(docs) < self._limit
        return docs

    def _take(self, docs: Sequence[Any], lexical: Mapping[str, float] | None = None) -> None:
        """Take turns in that are not known yet, each with its exact likeness; those found by words without vectors."""
        if lexical and self._vector is not None:  # zvec fails where it is to give vectors with a search of words
            docs = [*self._db.fetch([doc.id for doc in docs], include_vector=True).values()]
        for doc in docs:
            if doc.id not in self._found:
                dense = None if self._vector is None else self._likeness(doc)
                self._found[doc.id] = near_of(doc, lexical=(lexical or {}).get(doc.id, 0.0), dense=dense)

    def _likeness(self, doc: Any) -> float:
        import numpy as np

        assert self._vector is not None
        return float(np.asarray(doc.vector("vector"), dtype=np.float32) @ self._vector)

    def _by_vector(self) -> float | None:
        """Take the nearest in; the likeness of the farthest, which is the nearest to the opposite."""
        import numpy as np

        assert self._vector is not None
        where = f"{self._where} and blank = 0"
        docs = self._query(self._zvec.Query("vector", vector=self._vector), where)
        self._take(docs)
        if not docs:
            return None
        likenesses = [near.dense for near in self._found.values() if near.dense is not None]
        if len(docs) == self._limit:
            opposite = self._zvec.Query("vector", vector=-self._vector)
            likenesses += [-doc.score for doc in self._db.query(opposite, filter=where, topk=1)]
        return float(np.nanmin(likenesses))

    def _look_around(self) -> None:
        """Take the turns before and after the best in, as they lend them some of their score."""
        best = self._best_alone()
        if not best:
            return
        before = [near.parent for near in best if near.position and near.parent not in self._found]
        if before:
            self._take([*self._db.fetch(before, include_vector=self._vector is not None).values()])
        keys = ", ".join(f"'{near.key}'" for near in best)
        where = f"{self._where} and parent in ({keys})"
        self._take(self._db.query(filter=where, topk=MOST, include_vector=self._vector is not None))

    def _best_alone(self) -> list[Near]:
        """The turns that are worth most by themselves, about."""
        import numpy as np

        found = [*self._found.values()]
        if not found:
            return []
        lexical = np.array([near.lexical for near in found])
        dense = np.nan_to_num([near.dense or 0.0 for near in found])
        span = float(dense.max() - dense.min())
        worth = lexical / (lexical.max() or 1.0) + (dense - dense.min()) / (span or 1.0)
        return [found[row] for row in np.argsort(-worth)[:AROUND]]
