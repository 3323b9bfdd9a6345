"""Any LangChain vector store as the index of an archive: it finds by meaning, the archive's full text by words."""

import logging
import math
import os
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from langchain_core.documents import Document
from langchain_core.vectorstores import VectorStore
from typing_extensions import override

from langchain_qwen_memory.archive.embedding import EMBEDDED_CHARS
from langchain_qwen_memory.archive.index.base import Ask, Entry, Index, Near, Nearest
from langchain_qwen_memory.archive.index.marks import Marks
from langchain_qwen_memory.errors import MemoryOptionError

__all__ = ["VectorStoreIndex"]

WIDER = 16
"""How many times the turns wanted are asked of a store that cannot filter by owner, at most."""

logger = logging.getLogger("langchain_qwen_memory")


class VectorStoreIndex(Index):
    """Turns in Milvus, DashVector, Qdrant, Chroma or any other LangChain vector store, which embeds by itself.

    Each turn is a document with its key as id; its metadata hold digests of user and thread and its place in the
    archive, nothing that was said. Stores tell likeness as a score or as a distance, of any scale: the order of the
    answer shows which, and the archive's fusion brings them to 0..1. A turn that the store does not name counts as
    unlike as the last one it names.

    Example:
        >>> from langchain_core.embeddings import DeterministicFakeEmbedding
        >>> from langchain_core.vectorstores import InMemoryVectorStore
        >>> index = VectorStoreIndex(InMemoryVectorStore(DeterministicFakeEmbedding(size=8)))
        >>> index.close()
    """

    embeds = True

    def __init__(
        self,
        vector_store: VectorStore,
        *,
        marks: str | os.PathLike[str] = ":memory:",
        filter: Callable[[str], Mapping[str, Any]] | None = None,  # noqa: A002 - as stores call it
    ) -> None:
        """Use a store, which should hold nothing else.

        Args:
            vector_store: with embeddings of its own. It must take ids (`Milvus(auto_id=False)`).
            marks: a file in which is written down what the store was given. Give a path where the store outlives the
                process; by default all turns are given to it again after a start.
            filter: makes, of a user's digest (32 hex digits, in the metadata as `owner`), the keyword arguments by
                which the store's `similarity_search_with_score` finds that user's documents only, for example
                `lambda owner: {"expr": f'owner == "{owner}"'}` for Milvus, `lambda owner: {"filter": {"owner": owner}}`
                for Chroma. Without it more turns than needed are asked for and those of others left out, which finds
                less the more users there are.

        Raises:
            MemoryOptionError: it is no vector store.
        """
        given: object = vector_store
        if not isinstance(given, VectorStore):
            kind = type(given).__name__
            raise MemoryOptionError(f"vector_store must be a LangChain VectorStore, not {kind}; write Milvus(...)")
        self.vector_store = vector_store
        self._filter = filter
        self._marks = Marks(marks)
        self._refilled = False

    @override
    def cursor(self, owner: str, line: str) -> str:
        return self._marks.cursor(owner, line)

    @override
    def add(self, owner: str, line: str, entries: Sequence[Entry], cursor: str) -> None:
        again = self._marks.held(entry.key for entry in entries)
        if again:  # stores differ in what a second document of the same id does
            self.vector_store.delete(again)
        worded = [entry for entry in entries if entry.text.strip()]
        if worded:
            self._marks.add(owner, line, [entry.key for entry in worded])
            self._give([_document(owner, line, entry) for entry in worded])
        self._marks.reach(owner, line, cursor)

    def _give(self, documents: list[Document]) -> None:
        """Add documents; where the store refuses them together, each alone, and one it refuses alone is left out."""
        try:
            self._add(documents)
        except Exception:
            if len(documents) == 1:
                raise
            given = [document for document in documents if self._given_alone(document)]
            if not given:
                raise

    def _given_alone(self, document: Document) -> bool:
        try:
            self.vector_store.delete([str(document.id)])
            self._add([document])
        except Exception as error:  # noqa: BLE001 - one text that is refused holds up no other
            logger.warning("the vector store refused a turn: %s; it is found by its words", type(error).__name__)
            return False
        return True

    def _add(self, documents: list[Document]) -> None:
        self.vector_store.add_documents(documents, ids=[str(document.id) for document in documents])

    @override
    def search(self, ask: Ask) -> Nearest:
        if not ask.query.strip() or not self._marks.any(ask.owner, ask.line):
            return Nearest()
        mine, whole = self._found(ask)
        if not mine and self._lost(ask):  # from here on the store is filled again
            self._marks.forget(ask.owner, None)
            self.emptied += 1
            raise LookupError("the vector store has none of the turns that it was given")
        scores = [score for _, score in mine]
        sign = -1.0 if scores and scores[0] < scores[-1] else 1.0  # best first: a distance grows, a score falls
        turns = [_near(document, sign * score) for document, score in mine]
        least = min((near.dense for near in turns if near.dense is not None), default=None)
        return Nearest(turns=turns, whole=whole, least=least)

    def _lost(self, ask: Ask) -> bool:
        """Whether the store was emptied; one that cannot tell is filled again once in the life of this process."""
        some = self._marks.keys(ask.owner, ask.line)[:20]
        try:
            return not self.vector_store.get_by_ids(some)
        except NotImplementedError:
            first, self._refilled = not self._refilled, True
            return first

    def _found(self, ask: Ask) -> tuple[list[tuple[Document, float]], bool]:
        """Documents of the owner (and line), and whether these are all."""
        options = dict(self._filter(ask.owner)) if self._filter else {}
        most = ask.limit if self._filter and ask.line is None else ask.limit * WIDER
        wanted = ask.limit
        while True:
            found = self.vector_store.similarity_search_with_score(ask.query[:EMBEDDED_CHARS], k=wanted, **options)
            mine = [one for one in found if _is_of(one[0], ask)]
            if len(found) < wanted or len(mine) >= ask.limit or wanted >= most:
                finite = [one for one in mine if math.isfinite(one[1])]
                return finite[: ask.limit], len(found) < wanted
            wanted = min(wanted * 4, most)

    @override
    def remove(self, keys: Collection[str]) -> None:
        if keys:
            self.vector_store.delete(list(keys))
            self._marks.drop(keys)

    @override
    def forget(self, owner: str, line: str | None) -> None:
        keys = self._marks.keys(owner, line)
        if keys:
            self._check(self.vector_store.delete(keys))
        self._marks.forget(owner, line)

    @staticmethod
    def _check(deleted: object) -> None:
        """Some stores tell a failure in their answer alone."""
        if deleted is False:
            raise RuntimeError("the vector store did not delete what it was asked to")

    @override
    def keep(self, wanted: Callable[[str, str], bool]) -> None:
        for owner, line in self._marks.lines():
            if not wanted(owner, line):
                self.forget(owner, line)

    @override
    def clear(self) -> None:
        self.keep(lambda _owner, _line: False)
        self.emptied += 1

    @override
    def close(self) -> None:
        self._marks.close()


def _document(owner: str, line: str, entry: Entry) -> Document:
    place = {
        "owner": owner,
        "line": line,
        "parent": entry.parent,
        "branch": entry.branch,
        "position": entry.position,
        "at": entry.at,
        "number": entry.number,
    }
    text = entry.text[:EMBEDDED_CHARS].encode("utf-8", "replace").decode()
    return Document(id=entry.key, page_content=text, metadata={"key": entry.key, **place})


def _is_of(document: Document, ask: Ask) -> bool:
    place = document.metadata
    return place.get("owner") == ask.owner and ask.line in (None, place.get("line"))


def _near(document: Document, dense: float) -> Near:
    place = document.metadata
    return Near(
        key=place["key"],
        line=place["line"],
        parent=place["parent"],
        branch=place["branch"],
        position=int(place["position"]),
        at=float(place["at"]),
        number=int(place["number"]),
        dense=dense,
    )
