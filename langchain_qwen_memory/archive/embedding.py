"""Makes the vectors of turns and questions with any LangChain embeddings; a failure is told, never raised."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from langchain_core.embeddings import Embeddings

from langchain_qwen_memory.errors import EmbeddingMismatchError

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Vectors = npt.NDArray[np.float32]

__all__ = ["DIGITS", "EMBEDDED_CHARS", "Embedded", "Embedder", "Space", "check_space", "name_of"]

EMBEDDED_CHARS = 8_000
"""Characters of a text that are embedded, from its beginning: what the longest models take in, and the talk itself."""

DIGITS = 6
"""Decimal places of a cosine that count: what comes after them hangs on the order of additions, not on the texts, and
would order turns that say the same by chance."""

logger = logging.getLogger("langchain_qwen_memory")


@dataclass(frozen=True, kw_only=True, slots=True)
class Embedded:
    """Vectors of unit length, or why there are none."""

    vectors: "Vectors | None" = None
    """float32, a row for each text in the texts' order; None where they could not be made."""
    problem: str = ""
    """Why not, in one line that holds nothing of the error's own text, which may repeat a key."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Space:
    """Whose vectors an archive holds: only vectors of one space can be compared."""

    name: str
    """Name of the embeddings."""
    dimension: int | None = None
    """Length of their vectors; None while there are none."""

    def __str__(self) -> str:
        return repr(self.name) + (f" ({self.dimension} numbers)" if self.dimension else "")


def check_space(where: str, stored: Space, given: Space) -> None:
    """Refuse to mix vectors of different embeddings.

    Args:
        where: the archive, as its user knows it; no password in it.
        stored: whose vectors it holds.
        given: whose vectors are to be stored or compared with them.

    Raises:
        EmbeddingMismatchError: name or dimension differ, as far as both are known.
    """
    other_length = stored.dimension and given.dimension and stored.dimension != given.dimension
    if stored.name != given.name or other_length:
        raise EmbeddingMismatchError(
            f"the archive {where} holds vectors of {stored} and was opened with {given}; open it with the former, "
            "or make all vectors anew with the latter: qwen-memory reindex"
        )


def name_of(embeddings: Embeddings) -> str:
    """The name that embeddings go by: their `model` or `model_name`, else that of their class."""
    for field in ("model", "model_name"):
        name = getattr(embeddings, field, None)
        if isinstance(name, str) and name:
            return name
    return type(embeddings).__name__


class Embedder:
    """LangChain embeddings, asked so that nothing they do can fail a turn."""

    def __init__(self, embeddings: Embeddings, name: str | None = None) -> None:
        """Ask these embeddings.

        Args:
            embeddings: any LangChain embeddings.
            name: what their vectors are stored under; None: `name_of(embeddings)`.
        """
        given: object = embeddings
        if not isinstance(given, Embeddings):
            kind = type(given).__name__
            raise TypeError(f"embeddings must be LangChain Embeddings, not {kind}; write embeddings=QwenEmbeddings()")
        self.embeddings = embeddings
        self.name = name or name_of(embeddings)

    def space(self, vectors: "Vectors | None" = None) -> Space:
        """Whose vectors these are."""
        return Space(name=self.name, dimension=None if vectors is None else int(vectors.shape[1]))

    def documents(self, texts: Sequence[str]) -> Embedded:
        """Vectors of turns' texts, none of which may be blank."""
        try:
            return _checked(self.embeddings.embed_documents([*map(_cut, texts)]), len(texts))
        except Exception as error:  # noqa: BLE001 - whatever embeddings raise, the turns are stored
            return _failed(error)

    async def adocuments(self, texts: Sequence[str]) -> Embedded:
        """Async twin of `documents`."""
        try:
            made = await self.embeddings.aembed_documents([*map(_cut, texts)])
            return _checked(made, len(texts))
        except Exception as error:  # noqa: BLE001 - see above
            return _failed(error)

    def query(self, text: str) -> Embedded:
        """The vector of a question, as the one row."""
        try:
            return _checked([self.embeddings.embed_query(_cut(text))], 1)
        except Exception as error:  # noqa: BLE001 - the question is searched by full text then
            return _failed(error)

    async def aquery(self, text: str) -> Embedded:
        """Async twin of `query`."""
        try:
            return _checked([await self.embeddings.aembed_query(_cut(text))], 1)
        except Exception as error:  # noqa: BLE001 - see above
            return _failed(error)


def _cut(text: str) -> str:
    """What is embedded of a text, in characters that UTF-8 can write: half of a surrogate pair becomes "?"."""
    return text[:EMBEDDED_CHARS].encode("utf-8", "replace").decode()


def _checked(made: Any, count: int) -> Embedded:
    """Unit vectors of what embeddings gave, if that is a finite number for each place."""
    import numpy as np

    if len(made) != count:
        return _told(f"the embeddings gave {len(made)} vectors for {count} texts")
    if len({len(vector) for vector in made}) != 1 or not len(made[0]):
        return _told("the embeddings gave vectors of different lengths, or empty ones")
    vectors = np.asarray(made, dtype=np.float32)
    if not np.isfinite(vectors).all():
        return _told("the embeddings gave vectors with numbers that are none (nan or inf)")
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return Embedded(vectors=np.ascontiguousarray(vectors / np.maximum(lengths, np.float32(1e-12))))


def _failed(error: Exception) -> Embedded:
    status = getattr(error, "status_code", None)
    return _told(f"the embeddings failed: {type(error).__name__}" + (f" {status}" if isinstance(status, int) else ""))


def _told(problem: str) -> Embedded:
    logger.warning("%s; turns are kept and found by full text meanwhile", problem)
    return Embedded(problem=problem)
