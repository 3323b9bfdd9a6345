"""Reads stored vectors of a Postgres archive, for an index that is filled with them."""

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

from langchain_qwen_memory.archive.base import root_key
from langchain_qwen_memory.archive.embedding import Space
from langchain_qwen_memory.archive.postgres.ops import Op, Query, raw, text
from langchain_qwen_memory.archive.postgres.spaces import current, table
from langchain_qwen_memory.archive.postgres.vectors import Spaces

if TYPE_CHECKING:
    from langchain_qwen_memory.archive.embedding import Vectors

__all__ = ["kept"]

_KEPT = """
SELECT t.key, v.embedding::text FROM {s}qwen_memory_threads h JOIN {s}qwen_memory_turns t ON t.thread = h.id
JOIN {table} v ON v.turn = t.id WHERE h.root = %s AND t.key = ANY(%s)
"""


def kept(spaces: Spaces, user: str, thread: str, keys: Sequence[str], given: Space) -> "Op[dict[str, Vectors]]":
    """Vectors of turns of a thread by key, of the space that is searched; turns without one are left out."""
    import numpy as np

    searched = current(spaces.fitting((yield from spaces.known()), given))
    if searched is None or searched.space.dimension is None:
        return {}
    query = _KEPT.replace("{table}", table(searched.id))
    rows = yield Query(query, (raw(root_key(user, thread)), [raw(key) for key in keys]))
    return {text(key): np.array(json.loads(vector), dtype=np.float32) for key, vector in rows}
