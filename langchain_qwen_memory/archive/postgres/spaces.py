"""A space of vectors as a Postgres database has it: what is told of it, its table, and how its vectors are written."""

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from langchain_qwen_memory.archive.embedding import Space

if TYPE_CHECKING:
    from langchain_qwen_memory.archive.embedding import Vectors

__all__ = ["LISTED", "Stored", "current", "kind", "listed", "literal", "table"]

LONGEST_VECTOR = 2_000
"""Numbers of a vector that pgvector stores and indexes in four bytes each; longer ones take two."""
LISTED = "SELECT json_agg(json_build_array(id, name, dimension, state) ORDER BY id) FROM {s}qwen_memory_spaces"
"""All spaces as one value."""


class Stored(NamedTuple):
    """A space in the database."""

    id: int
    space: Space
    state: str
    """`current` or `building`."""


def listed(told: Sequence[Sequence[Any]] | None) -> list[Stored]:
    """The spaces that `LISTED` tells."""
    return [
        Stored(number, Space(name=name, dimension=dimension), state) for number, name, dimension, state in told or []
    ]


def current(known: Iterable[Stored]) -> Stored | None:
    """The space that is searched."""
    return next((one for one in known if one.state == "current"), None)


def table(space: int) -> str:
    """The table of a space's vectors."""
    return f"{{s}}qwen_memory_vectors_{space:d}"


def kind(dimension: int) -> str:
    """How vectors of so many numbers are stored."""
    return "vector" if dimension <= LONGEST_VECTOR else "halfvec"


def literal(vector: "Vectors") -> str:
    """A vector as pgvector reads it, each number exactly."""
    return "[" + ",".join(map(repr, vector.tolist())) + "]"
