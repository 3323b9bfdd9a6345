"""An index of one machine's turns in a folder: vectors and full text in zvec, for users with very many turns."""

import json
import os
import shutil
import threading
from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from typing_extensions import override

from langchain_qwen_memory.archive.index.base import Ask, Entry, Index, Near, Nearest
from langchain_qwen_memory.archive.index.zvec_rows import (
    CURSORS,
    cursor_doc,
    cursor_id,
    doc_of,
    near_of,
    open_turns,
    schema_of,
)
from langchain_qwen_memory.archive.index.zvec_search import MOST, ZvecSearch
from langchain_qwen_memory.errors import ArchiveError

if TYPE_CHECKING:
    from langchain_qwen_memory.archive.embedding import Vectors

__all__ = ["ZvecIndex"]


class ZvecIndex(Index):
    """Vectors (HNSW) and full text of turns in one folder, which one process at a time has open.

    Words are cut as the archive cuts them, since characters and pairs find more in Chinese than zvec's own tokenizer
    does (recall@5 on 100 questions 0.85, jieba 0.79), and identifiers stay whole. The final scores are the archive's
    formulas over the candidates of both halves. The vectors are those of the archive.

    At 10,000 turns of a user the exact search of `SqliteArchive` is faster and finds more, and its appends need no
    upkeep (`benchmarks/zvec_index.py` measures it on your machine): this index is for histories whose vectors do not
    fit into memory. Once more turns have a word of the question than are looked at, scores are those of zvec, whose
    rarity of words counts the turns of all users in the folder; what is found is the user's own all the same.

    Other processes open the same archive without the index, and find the same turns by its own search: zvec lets
    either one process write or many read. What they append is taken in with the next call here.
    """

    full_text = True

    def __init__(self, folder: str | os.PathLike[str], *, settle_every: int = 5_000) -> None:
        """Open or make the folder.

        Args:
            folder: where the index is; made if it is not there. It may be deleted while nobody has it open.
            settle_every: turns taken in after which a thread of this process puts them into their final form, which
                takes seconds; the search of their words is slow until then. 0: only `settle`.

        Raises:
            ImportError: zvec is not installed.
            ArchiveError: another process has the folder open, or it holds something else.
        """
        try:
            import zvec
        except ImportError as error:
            raise ImportError('ZvecIndex needs zvec: pip install "langchain-qwen-memory[zvec]"') from error
        self._zvec: Any = zvec
        self._folder = Path(folder).absolute()
        self._settle_every = settle_every
        self._fresh = 0
        self._settling: threading.Thread | None = None
        self._space: str | None = None
        self._db: Any = None
        self._closed = False
        self._open()

    def _open(self) -> None:
        """Open what is there; an index whose making was interrupted is thrown away."""
        self._folder.mkdir(parents=True, exist_ok=True)
        told = self._folder / "index.json"
        if told.exists():
            self._space = json.loads(told.read_text())["space"]
        elif any(self._folder.iterdir()) and not (self._folder / "turns").exists():
            raise ArchiveError(f"the folder {self._folder} holds something else than an index; give an empty folder")
        self._db = open_turns(self._zvec, self._folder)

    @property
    def _dimension(self) -> int | None:
        vectors = self._db.schema.vectors if self._db is not None else None
        return int(vectors[0].dimension) if vectors else None

    @override
    def begin(self, space: str | None) -> None:
        if space != self._space:
            self.clear()
            self._space = space
            written = self._folder / "index.json.new"
            written.write_text(json.dumps({"space": space}))
            written.replace(self._folder / "index.json")

    def _ready(self, dimension: int | None) -> Any:
        """The collection, with room for vectors of this length; made anew if it has room for others."""
        if self._closed:
            raise ArchiveError(f"the index in {self._folder} is closed; open another ZvecIndex")
        if self._db is not None and dimension is not None and dimension != self._dimension:
            self.clear()
        if self._db is None:
            schema = schema_of(self._zvec, dimension)
            self._db = self._zvec.create_and_open(str(self._folder / "turns"), schema)
        return self._db

    @override
    def cursor(self, owner: str, line: str) -> str:
        if self._db is None:
            return ""
        name = cursor_id(owner, line)
        found = self._db.fetch([name], output_fields=["place"], include_vector=False)
        return str(found[name].field("place")) if name in found else ""

    @override
    def add(self, owner: str, line: str, entries: Sequence[Entry], cursor: str) -> None:
        dimension = next((len(entry.vector) for entry in entries if entry.vector is not None), None)
        anew = dimension is not None and self._db is not None and dimension != self._dimension
        db = self._ready(dimension)
        self._upsert(db, [doc_of(self._zvec, owner, line, entry, self._dimension) for entry in entries])
        if not anew:  # a collection that was emptied lacks what came before these turns
            self._upsert(db, [cursor_doc(self._zvec, owner, line, cursor, self._dimension)])
        self._fresh += len(entries)
        if self._settle_every and self._fresh >= self._settle_every:
            self._settle_soon()

    @staticmethod
    def _upsert(db: Any, docs: list[Any]) -> None:
        for start in range(0, len(docs), MOST):
            for status in db.upsert(docs[start : start + MOST]):
                if not status.ok():
                    raise ArchiveError(f"zvec refused a turn: {status.message()}")

    @override
    def blank(self, owner: str, limit: int) -> list[Near]:
        if self._db is None:
            return []
        found = self._db.query(filter=f"owner = '{owner}' and blank = 1", topk=min(limit, MOST))
        return [near_of(doc) for doc in found]

    @override
    def fill(self, vectors: "Mapping[str, Vectors]") -> None:
        dimension = next(len(vector) for vector in vectors.values())
        if dimension != self._dimension:  # made before there was any vector
            self.clear()
            return
        doc = self._zvec.Doc
        self._db.update([doc(id=key, fields={"blank": 0}, vectors={"vector": one}) for key, one in vectors.items()])

    @override
    def search(self, ask: Ask) -> Nearest:
        return Nearest() if self._db is None else ZvecSearch(self._zvec, self._db, self._dimension, ask).nearest()

    @override
    def remove(self, keys: Collection[str]) -> None:
        if self._db is not None and keys:
            self._db.delete(list(keys))

    @override
    def forget(self, owner: str, line: str | None) -> None:
        if self._db is None:
            return
        if line is not None:
            self._db.delete_by_filter(f"owner = '{owner}' and line = '{line}'")
            self._db.delete([cursor_id(owner, line)])
            return
        self._db.delete_by_filter(f"owner = '{owner}'")
        self._db.delete_by_filter(f"owner = '{CURSORS}' and parent = '{owner}'")

    @override
    def keep(self, wanted: Callable[[str, str], bool]) -> None:
        if self._db is None:
            return
        self._wait()
        with self._db.iter_docs(output_fields=["owner", "line", "parent"], include_vector=False) as docs:
            held = Counter(
                (doc.field("parent" if doc.field("owner") == CURSORS else "owner"), doc.field("line")) for doc in docs
            )
        for owner, line in held:
            if not wanted(owner, line):
                self.forget(owner, line)

    @override
    def clear(self) -> None:
        self._wait()
        if self._db is not None:
            self._db.destroy()
            self._db = None
        shutil.rmtree(self._folder / "turns", ignore_errors=True)
        self._fresh = 0
        self.emptied += 1

    @override
    def settle(self) -> None:
        self._wait()
        if self._db is not None and not self._closed:
            self._db.optimize()
            self._fresh = 0

    def _settle_soon(self) -> None:
        if self._settling is None or not self._settling.is_alive():
            self._fresh = 0
            self._settling = threading.Thread(target=self._db.optimize, name="zvec-settle", daemon=True)
            self._settling.start()

    def _wait(self) -> None:
        if self._settling is not None:
            self._settling.join()
            self._settling = None

    @override
    def close(self) -> None:
        self._wait()
        self._closed = True
        if self._db is not None:
            self._db.close()
            self._db = None
