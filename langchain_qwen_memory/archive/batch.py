"""What stores and embeddings hand to each other: a question, turns that need vectors, the vectors made."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

from langchain_qwen_memory.archive.embedding import Space
from langchain_qwen_memory.archive.turn import Turn, check_ids, check_limit, check_periods

if TYPE_CHECKING:
    from langchain_qwen_memory.archive.embedding import Vectors

__all__ = ["Batch", "Late", "Made", "Question"]


class Late(NamedTuple):
    """A stored turn without a vector."""

    number: int
    """The store's number of it, which another turn may have once this one is forgotten."""
    key: str
    """The turn's key, by which the store knows that it is still this one."""
    text: str
    """What is embedded."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Question:
    """The arguments of a search, checked."""

    query: str
    user: str
    thread: str | None = None
    heads: Mapping[str, str] = field(default_factory=dict)
    limit: int = 10
    exclude: Collection[str] = ()
    periods: Sequence[tuple[float, float]] = ()
    neighbours: bool = False

    def __post_init__(self) -> None:
        check_ids(self.user, self.thread)
        check_limit(self.limit)
        check_periods(self.periods)


@dataclass(frozen=True, kw_only=True, slots=True)
class Batch:
    """What is to be embedded for an append."""

    fresh: Sequence[Turn] = ()
    """Turns that are not stored yet and are not blank."""
    late: Sequence[Late] = ()
    """Turns of the same user that are stored and have no vector."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Made:
    """The vectors of a batch."""

    fresh: "Mapping[str, Vectors]" = field(default_factory=dict)
    """Vector of a new turn by its key."""
    late: "Mapping[Late, Vectors | None]" = field(default_factory=dict)
    """Vectors of stored turns; None for one without any word, which needs none."""
    failed: Sequence[Late] = ()
    """Stored turns that could not be embedded although new ones could: next time they are tried after others."""
    space: Space | None = None
    """Whose vectors these are; None: nobody was asked."""
    problem: str = ""
    """Why vectors are missing."""
