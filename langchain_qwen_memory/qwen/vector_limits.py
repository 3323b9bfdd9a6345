"""What the service's embedding and rerank models take in one request, and which vector lengths they know."""

from dataclasses import dataclass
from types import MappingProxyType

from langchain_qwen_memory.counting.vocabulary import Vocabulary

__all__ = ["EMBEDDING_MODELS", "RERANK_MODELS", "EmbeddingLimits", "RerankLimits", "embedding_limits", "rerank_limits"]


@dataclass(frozen=True, kw_only=True, slots=True)
class EmbeddingLimits:
    """One embedding model's limits. The defaults are what is assumed of a model that the table does not hold."""

    batch: int = 10
    """Texts in one request."""
    tokens: int = 8_192
    """Tokens of one text."""
    dimensions: tuple[int, ...] = ()
    """Lengths of vector that can be asked for, as documented; (): not known, or the model has one length only."""
    length: int = 1_024
    """Length of a vector if none is asked for."""
    vocabulary: Vocabulary = "qwen-151k"
    """Whose tokens are counted; on recorded requests of v1 to v3 the older vocabulary is off by one at most."""


@dataclass(frozen=True, kw_only=True, slots=True)
class RerankLimits:
    """One rerank model's limits. The defaults are what is assumed of a model that the table does not hold.

    Older rerank models take 30,000 tokens a request but count them with a vocabulary of their own, in which texts
    were up to a fifth longer; so less is assumed.
    """

    documents: int = 500
    """Documents in one request."""
    tokens: int = 4_000
    """Tokens of the query, and of each document; the service cuts what is over, unsaid."""
    request: int = 24_000
    """Tokens of a request: those of the query once for each document, and those of all documents."""


_SHORT = (64, 128, 256, 512, 768, 1_024)
_OLD = EmbeddingLimits(batch=25, tokens=2_048, length=1_536)

EMBEDDING_MODELS = MappingProxyType(
    {
        "qwen3.7-text-embedding": EmbeddingLimits(
            batch=20,
            tokens=128_000,
            dimensions=(256, 512, 768, 1_024, 1_536, 2_048, 2_560),
            vocabulary="qwen-248k",
        ),
        "text-embedding-v1": _OLD,
        "text-embedding-v2": _OLD,
        "text-embedding-v3": EmbeddingLimits(dimensions=_SHORT),
        "text-embedding-v4": EmbeddingLimits(dimensions=(*_SHORT, 1_536, 2_048)),
    }
)
"""The service's embedding models for text."""

RERANK_MODELS = MappingProxyType(
    {
        "gte-rerank": RerankLimits(),
        "gte-rerank-v2": RerankLimits(),
        "qwen3-rerank": RerankLimits(request=120_000),
        "qwen3-vl-rerank": RerankLimits(documents=100, tokens=8_000, request=120_000),
        "qwen3.7-text-rerank": RerankLimits(),
    }
)
"""The service's rerank models, of which the first two are retired."""


def embedding_limits(model: str) -> EmbeddingLimits:
    """Returns a model's limits; of one that is not in the table, those of text-embedding-v4."""
    return EMBEDDING_MODELS.get(model) or EmbeddingLimits()


def rerank_limits(model: str) -> RerankLimits:
    """Returns a model's limits; of one that is not in the table, the narrowest."""
    return RERANK_MODELS.get(model) or RerankLimits()
