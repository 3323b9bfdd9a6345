"""What a turn looks like in zvec: the schema of the collection, and the way there and back."""

import shutil
from collections import Counter
from collections.abc import Sequence
from hashlib import blake2b
from math import nan
from pathlib import Path
from typing import Any

from langchain_qwen_memory.archive.finding.fulltext import count_words
from langchain_qwen_memory.archive.index.base import Entry, Near
from langchain_qwen_memory.errors import ArchiveError

__all__ = ["CURSORS", "cursor_doc", "cursor_id", "doc_of", "near_of", "open_turns", "periods_filter", "schema_of"]

CURSORS = "cursors"
"""Whose the cursors are: no user's digest."""

FAR = 1e300
"""What stands for infinity in a filter, which knows no word for it."""


def schema_of(zvec: Any, dimension: int | None) -> Any:
    """The collection: what is filtered by, words of the full text, and vectors if there are any."""
    field, kind = zvec.FieldSchema, zvec.DataType
    by_value = zvec.InvertIndexParam()
    words = zvec.FtsIndexParam(tokenizer_name="whitespace", filters=[])
    fields = [
        field("owner", kind.STRING, index_param=by_value),
        field("line", kind.STRING, index_param=by_value),
        field("parent", kind.STRING, index_param=by_value),
        field("blank", kind.INT32, index_param=by_value),
        field("at", kind.DOUBLE, index_param=zvec.InvertIndexParam(enable_range_optimization=True)),
        field("place", kind.STRING),
        field("position", kind.INT64),
        field("number", kind.INT64),
        field("words", kind.STRING, nullable=True, index_param=words),
    ]
    if dimension is None:
        return zvec.CollectionSchema("turns", fields=fields)
    graph = zvec.HnswIndexParam(metric_type=zvec.MetricType.IP, m=16, ef_construction=200)
    vectors = [zvec.VectorSchema("vector", kind.VECTOR_FP32, dimension, index_param=graph)]
    return zvec.CollectionSchema("turns", fields=fields, vectors=vectors)


def cursor_doc(zvec: Any, owner: str, line: str, cursor: str, dimension: int | None) -> Any:
    """A thread's cursor as a document, which no question finds."""
    entry = Entry(key=cursor_id(owner, line), parent=owner, branch=cursor, position=0, at=0.0, number=0, text="")
    return doc_of(zvec, CURSORS, line, entry, dimension)


def open_turns(zvec: Any, folder: Path) -> Any:
    """The collection of a folder; None if there is none, or one whose making was interrupted, which is thrown away.

    Raises:
        ArchiveError: somebody has it open.
    """
    path = folder / "turns"
    if not path.exists():
        return None
    try:
        return zvec.open(str(path))
    except (RuntimeError, ValueError) as error:
        if "lock" in str(error).lower():
            raise ArchiveError(
                f"the index in {folder} is open already, in another process or in this one; zvec lets one in. Close "
                "that one, or open the archive here without the index: its own search finds the same turns"
            ) from None
        shutil.rmtree(path)
        return None


def cursor_id(owner: str, line: str) -> str:
    """Id of the document that a thread's cursor is in."""
    return "cursor-" + blake2b(f"{owner}{line}".encode(), digest_size=16).hexdigest()


def doc_of(zvec: Any, owner: str, line: str, entry: Entry, dimension: int | None) -> Any:
    """A turn as a document; its words are cut already, and stand in it as often as in the turn."""
    import numpy as np

    fields = {
        "owner": owner,
        "line": line,
        "parent": entry.parent,
        "blank": int(entry.vector is None and bool(entry.text.strip())),
        "at": entry.at,
        "place": entry.branch,
        "position": entry.position,
        "number": entry.number,
        "words": " ".join(count_words(entry.text).elements()),
    }
    if dimension is None:
        return zvec.Doc(id=entry.key, fields=fields)
    vector = np.zeros(dimension, dtype=np.float32) if entry.vector is None else entry.vector
    if entry.vector is None and not fields["blank"]:
        fields["blank"] = 2  # no words, no vector, none to come
    return zvec.Doc(id=entry.key, fields=fields, vectors={"vector": vector})


def near_of(doc: Any, *, lexical: float = 0.0, dense: float | None = None) -> Near:
    """A turn from its document."""
    words = Counter((doc.field("words") or "").split())
    if doc.field("blank"):
        dense = nan
    return Near(
        key=doc.id,
        line=doc.field("line"),
        parent=doc.field("parent"),
        branch=doc.field("place"),
        position=doc.field("position"),
        at=doc.field("at"),
        number=doc.field("number"),
        words=words,
        length=words.total(),
        lexical=lexical,
        dense=dense,
    )


def periods_filter(periods: Sequence[tuple[float, float]]) -> str:
    """The condition that a turn stands in one of the periods; numbers only."""
    parts = [(max(float(start), -FAR), min(float(end), FAR)) for start, end in periods]
    return " or ".join(f"(at >= {start!r} and at < {end!r})" for start, end in parts)
