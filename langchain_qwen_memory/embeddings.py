"""QwenEmbeddings: texts as vectors by Alibaba's embedding models, as LangChain's Embeddings."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, TypeVar

from langchain_core.embeddings import Embeddings
from pydantic import Field

from langchain_qwen_memory.qwen.pieces import Piece, joined, joined_sparse, pieces_of
from langchain_qwen_memory.qwen.service import QwenService, UnusableAnswerError, gathered
from langchain_qwen_memory.qwen.vector_limits import EmbeddingLimits, embedding_limits

__all__ = ["Embedded", "QwenEmbeddings", "TextType"]

TextType = Literal["document", "query"]
"""What a text is in a search: one of those that are found, or what is looked for."""

_NATIVE = "/services/embeddings/text-embedding/text-embedding"

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True, slots=True)
class Embedded:
    """Vectors, and what they cost."""

    vectors: list[list[float]]
    """One for each text, in the texts' order."""
    tokens: int
    """Tokens that the service counted, over all requests; what it does not report counts as none."""
    requests: int
    """Requests that it took, retries aside."""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Part:
    """The answer to one request."""

    things: list[Any]
    tokens: int


class QwenEmbeddings(QwenService, Embeddings):
    """Embedding models of Alibaba's Model Studio (百炼, DashScope), or of a server of one's own.

    Any number of texts of any length can be given. They go out in batches of as many as the model takes, and their
    vectors come back in their order. A text of more tokens than the model takes is cut into pieces at the ends of
    sentences; its vector is the mean of theirs by tokens, as long as they are. A text without any word is a
    ValueError before anything is sent: the service refuses it, and with it the nine others of its batch.

    Setup:
        ```bash
        pip install -U langchain-qwen-memory
        export DASHSCOPE_API_KEY="sk-..."
        ```

    Instantiate:
        ```python
        from langchain_qwen_memory.embeddings import QwenEmbeddings

        embeddings = QwenEmbeddings(model="text-embedding-v4", dimensions=512)
        ```

    Use:
        ```python
        vectors = embeddings.embed_documents(["我对花生过敏", "明天下雨"])
        vector = embeddings.embed_query("他不能吃什么？")
        embeddings.embed_with_usage(["我对花生过敏"]).tokens
        await embeddings.aembed_documents(["..."] * 1000)  # several batches at once, at most max_concurrency
        ```

    Search:
        With `asymmetric=True` questions and documents are embedded each in its own way, and with `instruct` questions
        by a task in words. Only DashScope's own protocol has that, so calls then go there. Vectors made with and
        without it should not be compared.

    Errors:
        As ChatQwen's, `langchain_qwen_memory.qwen.model_errors`; ValueError for texts and options that cannot be sent.
    """

    model: str = "text-embedding-v4"
    """Name of the model, as the server knows it."""

    dimensions: int | None = Field(default=None, ge=1)
    """Length of the vectors; None: the model's own, 1,024 for text-embedding-v4. A server that answers with another
    length is an error, since v1 and v2 and many servers of one's own ignore what they are asked for."""

    asymmetric: bool = False
    """Tell the service which texts are questions (`text_type`)."""

    instruct: str | None = None
    """One sentence, best in English, on what questions look for; implies `asymmetric`."""

    batch_size: int | None = Field(default=None, ge=1)
    """Texts in one request; None: as many as the model takes."""

    max_tokens_per_text: int | None = Field(default=None, ge=64)
    """Tokens from which a text is cut into pieces; None: as many as the model takes."""

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        """Returns a vector for each text, in their order."""
        return self.embed_with_usage(texts).vectors

    async def aembed_documents(self, texts: list[str]) -> list[list[float]]:
        """Returns a vector for each text, in their order."""
        return (await self.aembed_with_usage(texts)).vectors

    def embed_query(self, text: str) -> list[float]:
        """Returns the vector of a question."""
        return self.embed_with_usage([text], text_type="query").vectors[0]

    async def aembed_query(self, text: str) -> list[float]:
        """Returns the vector of a question."""
        return (await self.aembed_with_usage([text], text_type="query")).vectors[0]

    def embed_with_usage(self, texts: Sequence[str], *, text_type: TextType = "document") -> Embedded:
        """Returns vectors together with what they cost; safe between threads.

        Args:
            texts: Any number of texts; none is no request.
            text_type: Whether they are documents or questions; matters with `asymmetric` only.

        Raises:
            ValueError: If a text is blank.
            QwenResponseError: If the answer lacks vectors, or they have not the length that was asked for.
        """
        pieces = self._pieces(texts)
        parts = [self._post(**request) for request in self._dense(pieces, text_type)]
        return _embedded(pieces, parts)

    async def aembed_with_usage(self, texts: Sequence[str], *, text_type: TextType = "document") -> Embedded:
        """Returns vectors together with what they cost, as `embed_with_usage`."""
        pieces = self._pieces(texts)
        jobs = [partial(self._apost, **request) for request in self._dense(pieces, text_type)]
        return _embedded(pieces, await gathered(jobs, most=self.max_concurrency))

    def embed_sparse(self, texts: Sequence[str], *, text_type: TextType = "document") -> list[dict[int, float]]:
        """Returns for each text the weight of each of its words, by the word's number in the model's vocabulary.

        text-embedding-v3, -v4 and qwen3.7-text-embedding only. Of a text in pieces, a word has its greatest weight.

        Raises:
            ValueError: If a text is blank, or the server is not DashScope.
            QwenResponseError: If the model has no such weights.
        """
        pieces = self._pieces(texts)
        parts = [self._post(**request) for request in self._sparse(pieces, text_type)]
        return joined_sparse(pieces, _things(parts))

    async def aembed_sparse(self, texts: Sequence[str], *, text_type: TextType = "document") -> list[dict[int, float]]:
        """Returns the weights of each text's words, as `embed_sparse`."""
        pieces = self._pieces(texts)
        jobs = [partial(self._apost, **request) for request in self._sparse(pieces, text_type)]
        return joined_sparse(pieces, _things(await gathered(jobs, most=self.max_concurrency)))

    # --- requests ---

    @property
    def _limits(self) -> EmbeddingLimits:
        return embedding_limits(self.model)

    def _pieces(self, texts: Sequence[str]) -> list[Piece]:
        if isinstance(texts, str):
            raise ValueError(f"texts={texts[:40]!r} is one string; give a list: [{texts[:40]!r}]")  # noqa: TRY004
        for at, text in enumerate(texts):
            if not isinstance(text, str) or not text.strip():
                raise ValueError(f"texts[{at}]={text!r} has nothing to embed; leave it out or give it some text.")
        limits = self._limits
        most = self.max_tokens_per_text or limits.tokens
        return pieces_of(texts, most=most, vocabulary=limits.vocabulary)

    def _dense(self, pieces: Sequence[Piece], text_type: TextType) -> list[dict[str, Any]]:
        """The requests for vectors."""
        if self.asymmetric or self.instruct:
            return self._natively(pieces, text_type, {}, partial(_native_vector, length=self.dimensions))
        url = self._compatible("/embeddings")
        extra = {"dimensions": self.dimensions} if self.dimensions else {}
        fixed = {"model": self.model, "encoding_format": "float", **extra}
        return [
            {
                "url": url,
                "body": {"input": batch, **fixed},
                "holds": "data",
                "read": partial(_compatible_part, count=len(batch), length=self.dimensions),
            }
            for batch in self._batches(pieces)
        ]

    def _sparse(self, pieces: Sequence[Piece], text_type: TextType) -> list[dict[str, Any]]:
        return self._natively(pieces, text_type, {"output_type": "sparse"}, _native_weights)

    def _natively(
        self, pieces: Sequence[Piece], text_type: TextType, extra: dict[str, Any], take: Callable[[Any], Any]
    ) -> list[dict[str, Any]]:
        """The requests in DashScope's own protocol."""
        url = self._native(_NATIVE)
        parameters: dict[str, Any] = {"dimension": self.dimensions} if self.dimensions else {}
        if self.asymmetric or self.instruct:
            parameters["text_type"] = text_type
        if self.instruct and text_type == "query":
            parameters["instruct"] = self.instruct
        return [
            {
                "url": url,
                "body": {"model": self.model, "input": {"texts": batch}, "parameters": parameters | extra},
                "holds": "output",
                "read": partial(_native_part, count=len(batch), take=take),
            }
            for batch in self._batches(pieces)
        ]

    def _batches(self, pieces: Sequence[Piece]) -> list[list[str]]:
        size = self.batch_size or self._limits.batch
        return [[piece.text for piece in pieces[at : at + size]] for at in range(0, len(pieces), size)]


# --- answers ---


def _embedded(pieces: Sequence[Piece], parts: Sequence[_Part]) -> Embedded:
    vectors = joined(pieces, _things(parts))
    return Embedded(vectors=vectors, tokens=sum(part.tokens for part in parts), requests=len(parts))


def _things(parts: Sequence[_Part]) -> list[Any]:
    return [thing for part in parts for thing in part.things]


def _compatible_part(body: dict[str, Any], *, count: int, length: int | None) -> _Part:
    found = {item["index"]: _vector(item["embedding"], length) for item in body["data"]}
    return _part(found, count, body)


def _native_part(body: dict[str, Any], *, count: int, take: Callable[[Any], Any]) -> _Part:
    found = {item["text_index"]: take(item) for item in body["output"]["embeddings"]}
    return _part(found, count, body)


def _part(found: dict[int, Any], count: int, body: dict[str, Any]) -> _Part:
    if sorted(found) != list(range(count)):
        raise UnusableAnswerError(f"vectors of the texts {sorted(found)}, where those of {count} texts were asked for.")
    tokens = (body.get("usage") or {}).get("total_tokens") or 0
    return _Part(things=[found[at] for at in range(count)], tokens=tokens)


def _native_vector(item: dict[str, Any], *, length: int | None) -> list[float]:
    return _vector(item["embedding"], length)


def _native_weights(item: dict[str, Any]) -> dict[int, float]:
    if not isinstance(item.get("sparse_embedding"), list):
        raise UnusableAnswerError("no sparse_embedding: this model has none; text-embedding-v4 does.")
    return {int(word["index"]): float(word["value"]) for word in item["sparse_embedding"]}


def _vector(values: list[float], length: int | None) -> list[float]:
    if length is not None and len(values) != length:
        raise UnusableAnswerError(
            f"vectors of length {len(values)} where dimensions={length} was asked for: this model has that length "
            f"only; give dimensions=None or dimensions={len(values)}."
        )
    return [float(value) for value in values]
