"""What an exchangeable index of an archive's turns promises: take turns in, find near ones, forget.

An index is derived: it may be deleted, and is then filled from the archive again. It sees users and threads as digests
only, which are 32 hex digits and may be put into the filter of any engine. `IndexedArchive` uses it.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from langchain_qwen_memory.archive.embedding import Vectors

__all__ = ["Ask", "Entry", "Index", "Near", "Nearest", "line_of", "owner_of"]

BYTES = 16


def owner_of(user: str) -> str:
    """The digest by which an index knows a user: 32 hex digits."""
    return blake2b(user.encode(), digest_size=BYTES, person=b"owner").hexdigest()


def line_of(user: str, thread: str) -> str:
    """The digest by which an index knows a user's thread: 32 hex digits that no other user and thread share."""
    return blake2b(f"{len(user)}:{user}{thread}".encode(), digest_size=BYTES, person=b"line").hexdigest()


@dataclass(frozen=True, kw_only=True, slots=True)
class Entry:
    """A turn, as an index takes it in."""

    key: str
    """The turn's key."""
    parent: str
    """Key of the turn before it."""
    branch: str
    """The archive's name of its branch."""
    position: int
    """Number of turns before it in its lineage."""
    at: float
    """When it was finished: Unix seconds."""
    number: int
    """Greater for what was taken in later; below 2**53, so that any store keeps it exactly."""
    text: str
    """What it is found by."""
    vector: "Vectors | None" = None
    """float32 of unit length; None where the archive has none yet, or the index embeds by itself."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Ask:
    """A question to an index."""

    owner: str
    """Whose turns."""
    line: str | None
    """Which thread; None: all of the owner's."""
    query: str
    """The question's text, for an index that embeds by itself."""
    words: Sequence[str] = ()
    """Words of the question, as `fulltext.query_words` cuts them."""
    vector: "Vectors | None" = None
    """The question's vector, of unit length."""
    limit: int
    """Turns that each half may bring."""
    periods: Sequence[tuple[float, float]] = ()
    """Turns inside are wanted whatever they say."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Near:
    """A turn that an index found, as the index remembers it: the archive is asked before it is handed on."""

    key: str
    line: str
    parent: str
    branch: str
    position: int
    at: float
    number: int
    words: Mapping[str, int] = field(default_factory=dict)
    """The words of the turn, at least those of the question, and how often each stands in it."""
    length: int = 0
    """Words of the turn in all."""
    lexical: float = 0.0
    """The engine's score for the words, 0 for none."""
    dense: float | None = None
    """Likeness to the question, greater is nearer, of any scale; None: not told; nan: the turn has no vector yet."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Nearest:
    """What an index found."""

    turns: Sequence[Near] = ()
    """Each turn once, in any order."""
    worded: bool = True
    """Whether every turn of the owner (and line) that has a word of the question is among them."""
    whole: bool = True
    """Whether nothing was left out for want of room, in either half."""
    least: float | None = None
    """Likeness of the turn that is least like the question, found or not; None where nothing was compared."""


class Index(ABC):
    """An engine that holds derived copies of turns; calls may come from many threads, writes one at a time.

    Whatever its calls raise, the archive has the turns: `IndexedArchive` says so and searches the archive then.
    """

    full_text = False
    """Whether it searches words; if not, the archive's full text is the other half."""
    embeds = False
    """Whether it makes vectors by itself; if not, it is given those of the archive."""
    emptied = 0
    """How often it was emptied, by `clear` or because vectors of another length came: all must be taken in again."""

    def begin(self, space: str | None) -> None:
        """Get ready for vectors of embeddings of this name; what others made is dropped. None: there are none."""
        del space

    @abstractmethod
    def cursor(self, owner: str, line: str) -> str:
        """How far a thread was taken in, as told to `add` last; "" if never."""

    @abstractmethod
    def add(self, owner: str, line: str, entries: Sequence[Entry], cursor: str) -> None:
        """Take turns of a thread in, or anew; the cursor is kept after they are, never before."""

    def blank(self, owner: str, limit: int) -> list[Near]:
        """Turns with words that have no vector yet."""
        del owner, limit
        return []

    def fill(self, vectors: "Mapping[str, Vectors]") -> None:
        """Give turns their vectors, by key."""
        del vectors

    @abstractmethod
    def search(self, ask: Ask) -> Nearest:
        """The turns nearest to a question in each half, never more than one owner's."""

    @abstractmethod
    def remove(self, keys: Collection[str]) -> None:
        """Erase turns that the archive has no more."""

    @abstractmethod
    def forget(self, owner: str, line: str | None) -> None:
        """Erase a thread, or all of an owner, cursors too."""

    @abstractmethod
    def keep(self, wanted: Callable[[str, str], bool]) -> None:
        """Erase threads that are not wanted, which is asked by (owner, line)."""

    @abstractmethod
    def clear(self) -> None:
        """Erase everything."""

    def settle(self) -> None:  # noqa: B027 - most engines need none
        """Put what was taken in into the form that is searched fastest."""

    def close(self) -> None:  # noqa: B027 - most engines need none
        """Let go of files and connections; closing twice is allowed."""
