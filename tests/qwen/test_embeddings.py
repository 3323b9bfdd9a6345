"""QwenEmbeddings: any number of texts of any length become vectors in their order, within the service's limits."""

import asyncio
import json
import math
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import ClassVar

import pytest
from langchain_core.documents import Document
from langchain_core.vectorstores import InMemoryVectorStore
from langchain_tests.integration_tests import EmbeddingsIntegrationTests
from langchain_tests.unit_tests import EmbeddingsUnitTests
from pydantic import ValidationError

from langchain_qwen_memory.embeddings import QwenEmbeddings
from langchain_qwen_memory.qwen.model_errors import (
    QwenAuthenticationError,
    QwenConnectionError,
    QwenModelNotFoundError,
    QwenRateLimitError,
    QwenResponseError,
    QwenTimeoutError,
)
from langchain_qwen_memory.testing import Fault, LocalDashScope
from langchain_qwen_memory.tokens import count_text
from tests.shared import SHARED, needs_shared

NATIVE = "/api/v1/services/embeddings/text-embedding/text-embedding"
RECORDED = [
    path
    for name in ("loongsuite-litellm/TestEmbedding*", "loongsuite-dashscope/test_text_embedding*")
    for path in sorted((SHARED / "recordings").glob(f"{name}.json"))
]


class TestUnit(EmbeddingsUnitTests):
    """LangChain's own suite, without a server."""

    @property
    def embeddings_class(self):
        return QwenEmbeddings

    @property
    def embedding_model_params(self):
        return {"model": "text-embedding-v4", "api_key": "sk-local"}

    @property
    def init_from_env_params(self):
        env = {"DASHSCOPE_API_KEY": "sk-env", "DASHSCOPE_API_BASE": "https://dashscope-intl.aliyuncs.com/x"}
        return env, {}, {"api_key": "sk-env", "base_url": env["DASHSCOPE_API_BASE"]}


class _Called(EmbeddingsIntegrationTests):
    params: ClassVar[dict] = {}

    @pytest.fixture(autouse=True)
    def running(self, server):
        self.url = server.base_url

    @property
    def embeddings_class(self):
        return QwenEmbeddings

    @property
    def embedding_model_params(self):
        return {"api_key": "sk-local", "base_url": self.url, **self.params}

    @pytest.fixture
    def model(self, running):
        return self.embeddings_class(**self.embedding_model_params)


class TestCompatible(_Called):
    """LangChain's own suite, over the compatible protocol."""


class TestNative(_Called):
    """LangChain's own suite, over DashScope's own protocol."""

    params: ClassVar[dict] = {"asymmetric": True, "dimensions": 256}


@pytest.fixture
def qwen(server):
    """Makes embeddings on the service, with options of one's own."""
    return lambda **options: QwenEmbeddings(**{"base_url": server.base_url, "api_key": "sk-local", **options})


def near(one, other):
    return sum(a * b for a, b in zip(one, other, strict=True))


def both(embeddings, texts, **options):
    """The same call made both ways; it must come to the same."""
    done = embeddings.embed_with_usage(texts, **options)
    assert asyncio.run(embeddings.aembed_with_usage(texts, **options)) == done
    return done


def test_the_request_is_the_compatible_one(qwen, server, sent):
    """Texts, model and the length asked for go to the compatible endpoint, with the key as bearer."""
    vector = qwen(dimensions=512).embed_query("我对花生过敏")
    assert len(vector) == 512
    assert sent() == {
        "input": ["我对花生过敏"],
        "model": "text-embedding-v4",
        "encoding_format": "float",
        "dimensions": 512,
    }
    request = server.requests[-1]
    assert request.path == "/compatible-mode/v1/embeddings"
    assert request.headers["authorization"] == "Bearer sk-local"


@pytest.mark.parametrize(
    ("model", "count", "sizes"),
    [
        ("text-embedding-v4", 25, [10, 10, 5]),
        ("text-embedding-v3", 10, [10]),
        ("text-embedding-v2", 51, [25, 25, 1]),
        ("qwen3.7-text-embedding", 41, [20, 20, 1]),
    ],
)
def test_batches_are_as_large_as_the_model_takes(qwen, server, model, count, sizes):
    """No request has more texts than the model takes, and vectors come in the texts' order."""
    texts = [f"memo {number}: item{number * 7}" for number in range(count)]
    done = qwen(model=model).embed_with_usage(texts)
    assert [len(request.body["input"]) for request in server.requests] == sizes
    assert [text for request in server.requests for text in request.body["input"]] == texts
    assert done.requests == len(sizes)
    assert done.vectors == [qwen(model=model).embed_query(text) for text in texts]


def test_a_model_that_is_not_known_gets_small_batches(qwen, server):
    """A name the table does not hold is asked in batches of ten; batch_size says otherwise."""
    for options in ({}, {"batch_size": 3}):
        with pytest.raises(QwenModelNotFoundError, match="text-embedding-v9"):
            qwen(model="text-embedding-v9", **options).embed_documents(["a"] * 25)
    assert [len(request.body["input"]) for request in server.requests] == [10, 3]


def test_async_keeps_order_and_bounds_what_is_under_way(server, qwen):
    """Batches are under way together but never more than max_concurrency, and the order stays."""
    texts = [f"note number{number}" for number in range(90)]
    embeddings = qwen(max_concurrency=3)
    server.misbehave(Fault.slow(0.15), times=9)
    at = time.perf_counter()
    done = asyncio.run(embeddings.aembed_documents(texts))
    took = time.perf_counter() - at
    assert done == qwen().embed_documents(texts)
    assert took < 9 * 0.15
    # with three under way, a fourth request cannot come in before the first was answered
    arrived = sorted(request.at for request in server.requests[:9])
    assert all(later - first > 0.12 for first, later in zip(arrived, arrived[3:], strict=False))


def test_a_failing_batch_ends_the_others(server, qwen):
    """One batch that is refused fails the call, and batches that have not begun are not sent."""
    server.misbehave(Fault.bad_request("no"), times=1)
    with pytest.raises(Exception, match="no"):
        asyncio.run(qwen(max_concurrency=1).aembed_documents(["text"] * 100))
    assert len(server.requests) == 1


def test_one_object_serves_many_threads_and_loops(qwen):
    """The same object is used from threads and from event loops one after another, and counts do not mix."""
    embeddings = qwen()
    texts = [[f"thread{number} says something"] * (number + 1) for number in range(8)]
    with ThreadPoolExecutor(8) as pool:
        done = list(pool.map(embeddings.embed_with_usage, texts))
    for given, one in zip(texts, done, strict=True):
        assert one.tokens == sum(count_text(text) for text in given)
        assert one == asyncio.run(embeddings.aembed_with_usage(given))
    assert threading.active_count() < 50


def test_usage_is_what_the_service_counted(qwen, server):
    """embed_with_usage adds up what each request cost."""
    done = both(qwen(), ["我对花生过敏"] * 12)
    assert done.tokens == sum(request.usage["total_tokens"] for request in server.requests[:2])
    assert done.tokens == 12 * count_text("我对花生过敏")
    assert both(qwen(asymmetric=True), ["我对花生过敏"] * 12).tokens == done.tokens


def test_no_texts_are_no_request(qwen, server):
    """An empty list comes back empty."""
    assert both(qwen(), []).vectors == []
    assert server.requests == []


@pytest.mark.parametrize("blank", ["", "  \n", None, 3])
def test_a_blank_text_is_named_before_anything_is_sent(qwen, server, blank):
    """The error says which text it is; the service would refuse the whole batch."""
    with pytest.raises(ValueError, match=r"texts\[2\]=.* has nothing to embed"):
        qwen().embed_documents(["a", "b", blank])
    with pytest.raises(ValueError, match="give a list"):
        qwen().embed_documents("abc")
    assert server.requests == []


@pytest.mark.parametrize(("model", "limit"), [("text-embedding-v4", 8_192), ("text-embedding-v1", 2_048)])
@pytest.mark.parametrize(
    "sentence", ["我昨天买了第{}本关于园艺的书，花了不少钱。", "I bought book {} on gardening yesterday. "]
)
def test_a_long_text_is_cut_at_sentences_and_averaged(qwen, server, model, limit, sentence):
    """No piece is over the limit, nothing is left out, and the vector is the pieces' mean by their tokens."""
    text = "".join(sentence.format(number) for number in range(1_500))
    done = qwen(model=model).embed_with_usage(["短", text, "末"])
    pieces = [piece for request in server.requests for piece in request.body["input"]]
    assert (pieces[0], pieces[-1]) == ("短", "末")
    assert "".join(pieces[1:-1]) == text
    assert all(count_text(piece) <= limit for piece in pieces)
    assert all(piece.rstrip()[-1] in "。." for piece in pieces[1:-1])
    assert all(count_text(piece) > limit * 0.7 for piece in pieces[1:-2])
    parts = [qwen(model=model).embed_query(piece) for piece in pieces[1:-1]]
    weights = [count_text(piece) for piece in pieces[1:-1]]
    mean = [sum(w * v for w, v in zip(weights, column, strict=True)) for column in zip(*parts, strict=True)]
    norm = math.hypot(*mean)
    assert done.vectors[1] == pytest.approx([value / norm for value in mean], abs=1e-6)
    assert len(done.vectors) == 3


def test_text_without_blanks_or_sense_is_cut_too(qwen, server):
    """A digest of half a million signs, and whitespace without end, neither fail nor hang."""
    garbage = "".join(f"{number * 2654435761 % 2**32:08x}" for number in range(8_000))
    done = qwen().embed_documents([garbage, "x" + " " * 200_000 + "y", "🙂" * 9_000])
    assert len(done) == 3
    assert all(request.status == 200 for request in server.requests)


def test_half_a_character_does_not_break_a_request(qwen, sent):
    """Half of a surrogate pair, left by a stream that was cut, is sent as a question mark."""
    qwen().embed_query("hello \ud83d world")
    assert sent()["input"] == ["hello ? world"]


def test_the_limit_can_be_lowered(qwen, server):
    """max_tokens_per_text cuts where one wants, as a server of one's own may have a smaller window."""
    qwen(max_tokens_per_text=64).embed_documents(["花生酱和大米。" * 40])
    pieces = server.requests[-1].body["input"]
    assert len(pieces) > 3
    assert all(count_text(piece) <= 64 for piece in pieces)


def test_questions_are_told_from_documents_in_the_services_own_protocol(qwen, server):
    """With asymmetric, text_type goes along; with instruct, the task goes along with questions only."""
    embeddings = qwen(instruct="Find what the user said", dimensions=256)
    embeddings.embed_query("他不能吃什么？")
    embeddings.embed_documents(["我对花生过敏"])
    asked, stored = server.requests
    assert (asked.path, stored.path) == (NATIVE, NATIVE)
    assert asked.body == {
        "model": "text-embedding-v4",
        "input": {"texts": ["他不能吃什么？"]},
        "parameters": {"dimension": 256, "text_type": "query", "instruct": "Find what the user said"},
    }
    assert stored.body["parameters"] == {"dimension": 256, "text_type": "document"}
    qwen(asymmetric=True).embed_query("他不能吃什么？")
    assert server.requests[-1].body["parameters"] == {"text_type": "query"}


def test_words_have_weights_in_sparse_vectors(qwen, server):
    """embed_sparse gives each word's weight, both ways; texts that share words share places."""
    texts = ["我对花生过敏", "花生酱很好吃", "rain tomorrow"]
    done = qwen().embed_sparse(texts)
    assert asyncio.run(qwen().aembed_sparse(texts)) == done
    assert server.requests[-1].body["parameters"] == {"output_type": "sparse"}
    assert done[0].keys() & done[1].keys()
    assert not done[0].keys() & done[2].keys()
    long = qwen(max_tokens_per_text=64).embed_sparse(["花生酱和大米。" * 40 + "月亮。"])[0]
    pieces = server.requests[-1].body["input"]["texts"]
    alone = [qwen().embed_sparse([piece])[0] for piece in pieces]
    assert len({tuple(one.values()) for one in alone}) > 1
    assert long == {word: max(one.get(word, 0) for one in alone) for one in alone for word in one}
    with pytest.raises(QwenResponseError, match="this model has none"):
        qwen(model="text-embedding-v2").embed_sparse(["a"])


def test_a_length_that_the_model_does_not_give_is_an_error(qwen, server):
    """text-embedding-v1 ignores the length asked for, as recorded; that must not go unseen. v4 refuses unknown ones."""
    with pytest.raises(QwenResponseError, match=r"length 1536 where dimensions=512 .* give dimensions=None"):
        qwen(model="text-embedding-v1", dimensions=512).embed_query("a")
    assert len(qwen(model="text-embedding-v1").embed_query("a")) == 1536
    with pytest.raises(Exception, match="dimension for embedding v3 is invalid"):
        qwen(dimensions=1000).embed_query("a")


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (Fault.unauthorized(), QwenAuthenticationError),
        (Fault.rate_limit(), QwenRateLimitError),
        (Fault.html(200), QwenResponseError),
        (Fault.empty_body(), QwenResponseError),
        (Fault.cut(), QwenConnectionError),
    ],
)
@pytest.mark.parametrize("options", [{}, {"asymmetric": True}], ids=["compatible", "native"])
def test_errors_are_those_of_the_chat_model(qwen, server, fault, error, options):
    """What the service refuses or garbles is raised as ChatQwen raises it, in both protocols and both colours."""
    server.misbehave(fault, times=2)
    embeddings = qwen(max_retries=0, api_key="sk-secret-key", **options)
    with pytest.raises(error) as raised:
        embeddings.embed_query("a")
    assert "sk-secret-key" not in str(raised.value)
    with pytest.raises(error):
        asyncio.run(embeddings.aembed_query("a"))


@pytest.mark.parametrize("options", [{}, {"asymmetric": True}], ids=["compatible", "native"])
def test_a_key_that_the_service_repeats_is_not_shown(qwen, server, options):
    """Should an error text hold the key, the exception does not."""
    server.misbehave(Fault.bad_request("The key sk-secret-key is odd."), times=2)
    embeddings = qwen(api_key="sk-secret-key", **options)
    for call in (lambda: embeddings.embed_query("a"), lambda: asyncio.run(embeddings.aembed_query("a"))):
        with pytest.raises(Exception, match="is odd") as raised:
            call()
        assert "sk-secret-key" not in str(raised.value)


def test_a_busy_service_is_asked_again(qwen, server):
    """After 429 and 503 the same batch is sent once more."""
    server.misbehave(Fault.rate_limit())
    server.misbehave(Fault.unavailable())
    assert qwen().embed_query("a")
    assert [request.status for request in server.requests] == [429, 503, 200]


def test_a_silent_service_times_out(qwen, server):
    """timeout holds for each request."""
    server.misbehave(Fault.hang())
    with pytest.raises(QwenTimeoutError):
        qwen(timeout=0.3, max_retries=0).embed_query("a")


@pytest.mark.parametrize(
    "body",
    [
        {"data": [{"embedding": [1.0], "index": 1}]},
        {"data": [{"embedding": [1.0], "index": 0}, {"embedding": [1.0], "index": 1}]},
        {"data": [{"index": 0}]},
        {"data": [None]},
        {"object": "list"},
        ["data"],
    ],
)
def test_an_answer_that_lacks_vectors_is_an_error(qwen, server, body):
    """Too few, too many, misplaced or missing vectors never pass for the ones asked for."""
    server.replay({"protocol": "openai-embeddings", "response": {"status": 200, "body": body}})
    with pytest.raises(QwenResponseError):
        qwen().embed_query("a")


def test_vectors_may_come_in_any_order(qwen, server):
    """The index says whose vector it is, not the place."""
    data = [{"embedding": [2.0], "index": 1}, {"embedding": [1], "index": 0}]
    server.replay({"protocol": "openai-embeddings", "response": {"status": 200, "body": {"data": data}}})
    done = qwen().embed_with_usage(["a", "b"])
    assert done.vectors == [[1.0], [2.0]]
    assert done.tokens == 0


@needs_shared
@pytest.mark.parametrize("path", RECORDED, ids=lambda path: path.stem)
def test_recorded_answers_are_read_to_the_last_digit(qwen, server, path):
    """A replayed answer of the true service gives exactly its vectors and tokens."""
    recorded = json.loads(path.read_text())
    asked, answered = recorded["request"]["body"], recorded["response"]["body"]
    if recorded["protocol"] == "openai-embeddings":
        texts = [asked["input"]] if isinstance(asked["input"], str) else asked["input"]
        vectors, options = [item["embedding"] for item in answered["data"]], {}
    else:
        texts = asked["input"]["texts"]
        vectors, options = [item["embedding"] for item in answered["output"]["embeddings"]], {"asymmetric": True}
    server.replay(recorded)
    done = qwen(model=asked["model"], **options).embed_with_usage(texts)
    assert done.vectors == vectors
    assert done.tokens == answered["usage"]["total_tokens"]
    assert server.requests[-1].path == recorded["request"]["path"]


@needs_shared
def test_there_are_recordings():
    """The test above has something to run on."""
    assert len(RECORDED) == 10


def test_the_key_and_the_url_come_from_the_variables(monkeypatch, server):
    """DASHSCOPE_API_KEY and DASHSCOPE_API_BASE are read; what is said in code comes first; the key is not shown."""
    monkeypatch.setenv("DASHSCOPE_API_KEY", "sk-very-secret")
    monkeypatch.setenv("DASHSCOPE_API_BASE", server.base_url)
    embeddings = QwenEmbeddings()
    embeddings.embed_query("a")
    assert server.requests[-1].headers["authorization"] == "Bearer sk-very-secret"
    assert "sk-very-secret" not in repr(embeddings)
    QwenEmbeddings(dashscope_api_key="sk-other").embed_query("a")
    assert server.requests[-1].headers["authorization"] == "Bearer sk-other"
    assert QwenEmbeddings(region="singapore")._compatible("/embeddings") == (
        "https://dashscope-intl.aliyuncs.com/compatible-mode/v1/embeddings"
    )
    own = QwenEmbeddings(region="beijing", workspace="llm-1")
    assert own._native("/x") == "https://llm-1.cn-beijing.maas.aliyuncs.com/api/v1/x"
    given = QwenEmbeddings(base_url="https://dashscope.aliyuncs.com/api/v1")
    assert given._compatible("/embeddings") == "https://dashscope.aliyuncs.com/compatible-mode/v1/embeddings"


def test_options_that_cannot_be_are_refused():
    """A missing key, an unknown region and a misspelt option are named at once."""
    with pytest.raises(ValidationError, match="DASHSCOPE_API_KEY"):
        QwenEmbeddings()
    with pytest.raises(ValidationError, match="beijing"):
        QwenEmbeddings(api_key="k", region="mars")
    with pytest.raises(ValidationError, match="dimension"):
        QwenEmbeddings(api_key="k", dimension=512)
    with pytest.raises(ValidationError, match="frozen"):
        QwenEmbeddings(api_key="k").model = "other"


def test_a_server_of_ones_own_needs_no_key(server):
    """Any OpenAI-compatible server of embeddings works; what only DashScope has is refused in plain words."""
    own = {"base_url": server.plain_url, "model": "Qwen/Qwen3-Embedding-0.6B"}
    assert len(QwenEmbeddings(**own).embed_query("a")) == 1024
    assert server.requests[-1].path == "/v1/embeddings"
    with pytest.raises(ValueError, match="DashScope's own protocol"):
        QwenEmbeddings(**own, asymmetric=True).embed_query("a")


def test_a_client_of_ones_own_is_used_and_left_open(server):
    """http_client and http_async_client carry the requests."""
    import httpx

    with httpx.Client(headers={"x-mine": "yes"}) as client:
        QwenEmbeddings(base_url=server.base_url, api_key="k", http_client=client).embed_query("a")
        assert not client.is_closed
    assert server.requests[-1].headers["x-mine"] == "yes"


def test_it_serves_a_vector_store(qwen):
    """In LangChain's vector store the text that shares the question's words is found first."""
    store = InMemoryVectorStore(qwen(dimensions=256))
    texts = ["我对花生过敏，不能吃花生酱", "明天上海有雨", "My sister lives in Boston", "The dog likes long walks"]
    store.add_documents([Document(text) for text in texts * 6])
    assert store.similarity_search("谁对花生过敏？", k=1)[0].page_content == texts[0]
    assert store.similarity_search("Where does my sister live?", k=1)[0].page_content == texts[2]


def test_like_texts_are_near_each_other(qwen):
    """The local service's vectors are of unit length, the same each time, and nearer for texts that share words."""
    first, like, other = qwen().embed_documents(["我对花生过敏", "他也对花生过敏", "明天上海有雨"])
    assert near(first, first) == pytest.approx(1.0)
    assert near(first, like) > near(first, other) + 0.3
    assert qwen().embed_query("我对花生过敏") == first
    with LocalDashScope() as elsewhere:
        assert QwenEmbeddings(base_url=elsewhere.base_url, api_key="k").embed_query("我对花生过敏") == first


def test_importing_it_does_not_import_langchain_openai():
    """The embeddings need OpenAI's SDK but not LangChain's package around it, nor a tokenizer until a text is long."""
    code = "import sys, langchain_qwen_memory.embeddings; print(*sorted({n.split('.')[0] for n in sys.modules}))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {"langchain_openai", "dashscope", "tiktoken", "numpy", "langgraph"} & set(loaded)


def test_the_services_key_goes_to_no_other_server(monkeypatch):
    """A server of one's own gets a key only if it is given for it."""
    monkeypatch.setenv("DASHSCOPE_API_KEY", "sk-the-services-own")
    with LocalDashScope() as server:
        own = server.base_url.replace("/compatible-mode", "")
        QwenEmbeddings(base_url=own).embed_query("hi")
        assert "the-services-own" not in server.requests[-1].headers["authorization"]
