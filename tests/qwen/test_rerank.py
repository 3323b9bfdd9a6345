"""QwenReranker: documents are sorted by how well they answer a question, however many and long they are."""

import asyncio
import json

import pytest
from langchain_core.documents import Document
from pydantic import ValidationError

from langchain_qwen_memory.qwen.model_errors import (
    QwenAuthenticationError,
    QwenModelNotFoundError,
    QwenRateLimitError,
    QwenResponseError,
)
from langchain_qwen_memory.rerank import QwenReranker
from langchain_qwen_memory.testing import Fault
from langchain_qwen_memory.tokens import count_text
from tests.shared import SHARED, needs_shared

PATH = "/api/v1/services/rerank/text-rerank/text-rerank"
RECORDED = sorted((SHARED / "recordings" / "loongsuite-dashscope").glob("test_text_rerank*.json"))
TEXTS = ["明天上海有雨", "我对花生过敏", "花生酱五块钱一瓶", "我住在杭州"]
QUESTION = "谁对花生过敏？"


@pytest.fixture
def qwen(server):
    """Makes a reranker on the service, with options of one's own."""
    return lambda **options: QwenReranker(**{"base_url": server.base_url, "api_key": "sk-local", **options})


def both(reranker, texts, query=QUESTION):
    """The same call made both ways; it must come to the same."""
    done = reranker.rerank(texts, query)
    assert asyncio.run(reranker.arerank(texts, query)) == done
    return done


def asked_tokens(body):
    """What a request costs by the service's rule."""
    documents = body["input"]["documents"]
    return count_text(body["input"]["query"]) * len(documents) + sum(count_text(one) for one in documents)


def test_the_best_document_comes_first_and_none_is_changed(qwen, server, sent):
    """Documents come back as copies with relevance_score; those that were given stay as they were."""
    documents = [Document(text, id=str(at), metadata={"at": at}) for at, text in enumerate(TEXTS)]
    best = qwen(top_n=2, instruct="Find allergies").compress_documents(documents, QUESTION)
    assert [document.page_content for document in best] == ["我对花生过敏", "花生酱五块钱一瓶"]
    assert [document.id for document in best] == ["1", "2"]
    assert best[0].metadata["at"] == 1
    assert 1 >= best[0].metadata["relevance_score"] > best[1].metadata["relevance_score"] > 0
    assert all(document.metadata == {"at": at} for at, document in enumerate(documents))
    assert server.requests[-1].path == PATH
    assert sent() == {
        "model": "qwen3-rerank",
        "input": {"query": QUESTION, "documents": TEXTS},
        "parameters": {"top_n": 2, "instruct": "Find allergies"},
    }


def test_async_is_the_same(qwen, server):
    """acompress_documents sends the same request and returns the same documents."""
    documents = [Document(text) for text in TEXTS]
    reranker = qwen(model="qwen3-vl-rerank", top_n=3)
    assert asyncio.run(reranker.acompress_documents(documents, QUESTION)) == reranker.compress_documents(
        documents, QUESTION
    )
    assert server.requests[0].body == server.requests[1].body
    assert server.requests[0].body["model"] == "qwen3-vl-rerank"


def test_without_top_n_all_are_returned(qwen, sent):
    """All documents come back, sorted; equal ones in the order in which they were given."""
    done = both(qwen(), ["b", "a", "我对花生过敏", "c"])
    assert [place for place, _ in done.scores] == [2, 0, 1, 3]
    assert sent()["parameters"] == {}
    assert both(qwen(top_n=9), TEXTS).scores[0][0] == 1
    assert sent()["parameters"] == {"top_n": 4}


def test_more_documents_than_one_request_takes(qwen, server):
    """1,201 documents go out in three requests, and the best of all come back as if it had been one."""
    texts = [f"note{number} about the weather" for number in range(1_200)]
    texts.insert(977, "我对花生过敏")
    texts.insert(3, "花生酱")
    done = qwen(top_n=3).rerank(texts, QUESTION)
    assert [len(request.body["input"]["documents"]) for request in server.requests] == [500, 500, 202]
    assert [text for request in server.requests for text in request.body["input"]["documents"]] == texts
    assert [place for place, _ in done.scores[:2]] == [texts.index("我对花生过敏"), 3]
    assert len(done.scores) == 3
    assert done.requests == 3
    assert done.tokens == sum(request.usage["total_tokens"] for request in server.requests)
    assert asyncio.run(qwen(top_n=3, max_concurrency=2).arerank(texts, QUESTION)) == done


@pytest.mark.parametrize(
    ("model", "limit"), [("qwen3-rerank", 120_000), ("qwen3.7-text-rerank", 30_000), ("qwen3-vl-rerank", 120_000)]
)
def test_more_tokens_than_one_request_takes(qwen, server, model, limit):
    """A long question counts once for each document; no request is over the limit, none is refused, none is small."""
    query = "花生过敏的人可以吃什么？" * 100
    texts = [f"第{number}条：" + "我对花生过敏，不能吃花生酱。" * (number % 90) for number in range(160)]
    done = qwen(model=model).rerank(texts, query)
    bodies = [request.body for request in server.requests]
    assert all(request.status == 200 for request in server.requests)
    assert all(asked_tokens(body) <= limit for body in bodies)
    assert len(bodies) > 1
    if model != "qwen3-vl-rerank":  # that one is limited by its 100 documents
        assert all(asked_tokens(body) > limit * 0.6 for body in bodies[:-1])
    assert sorted(place for place, _ in done.scores) == list(range(160))


def test_a_document_over_the_limit_is_cut(qwen, server):
    """A document of more tokens than the model reads is sent as far as it would be read; so is the question."""
    long = "我对花生过敏。" * 2_000
    qwen().rerank([long, "短"], "为什么？" * 3_000)
    body = server.requests[-1].body
    kept = body["input"]["documents"][0]
    assert long.startswith(kept)
    assert 3_400 < count_text(kept) <= 4_000
    assert body["input"]["documents"][1] == "短"
    assert 3_400 < count_text(body["input"]["query"]) <= 4_000


def test_the_limit_of_a_request_can_be_lowered(qwen, server):
    """max_request_tokens holds where a region takes less; each document fits into a request of its own at least."""
    texts = ["我对花生过敏。" * 400] * 4
    qwen(max_request_tokens=1_000).rerank(texts, QUESTION)
    assert [len(request.body["input"]["documents"]) for request in server.requests] == [1, 1, 1, 1]
    assert all(asked_tokens(request.body) <= 1_000 for request in server.requests)


def test_blank_documents_are_not_sent_and_come_last(qwen, server):
    """The service refuses a document without text; here it gets score 0 and the last place."""
    done = both(qwen(), ["", "xyz", "我对花生过敏", "  "])
    assert [place for place, _ in done.scores] == [2, 1, 0, 3]
    assert [score for _, score in done.scores[2:]] == [0.0, 0.0]
    assert server.requests[-1].body["input"]["documents"] == ["xyz", "我对花生过敏"]
    assert both(qwen(top_n=3), ["", "", "a"]).scores[0][0] == 2


def test_nothing_to_sort_is_no_request(qwen, server):
    """No documents, or blank ones only, ask the service nothing; a blank question is an error."""
    assert qwen().compress_documents([], QUESTION) == []
    assert both(qwen(), ["", " "]).scores == [(0, 0.0), (1, 0.0)]
    with pytest.raises(ValueError, match="query=' ' asks nothing"):
        qwen().rerank(["a"], " ")
    with pytest.raises(ValueError, match="give a list"):
        qwen().rerank("abc", "a")
    assert server.requests == []


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (Fault.unauthorized(), QwenAuthenticationError),
        (Fault.rate_limit(), QwenRateLimitError),
        (Fault.html(200), QwenResponseError),
    ],
)
def test_errors_are_those_of_the_chat_model(qwen, server, fault, error):
    """What the service refuses or garbles is raised as ChatQwen raises it, in both colours, without the key."""
    server.misbehave(fault, times=2)
    reranker = qwen(max_retries=0, api_key="sk-secret-key")
    for call in (lambda: reranker.rerank(["a"], "b"), lambda: asyncio.run(reranker.arerank(["a"], "b"))):
        with pytest.raises(error) as raised:
            call()
        assert "sk-secret-key" not in str(raised.value)


def test_a_busy_service_is_asked_again(qwen, server):
    """After 429 the same request is sent once more."""
    server.misbehave(Fault.rate_limit())
    assert qwen().rerank(["a"], "a").scores[0] == (0, 1.0)
    assert [request.status for request in server.requests] == [429, 200]


@pytest.mark.parametrize(
    "results",
    [
        [{"index": 0, "relevance_score": 0.5}],
        [{"index": 0, "relevance_score": 0.5}, {"index": 2, "relevance_score": 0.5}],
        [{"index": 0, "relevance_score": 0.5}, {"index": 0, "relevance_score": 0.5}],
        [{"index": 0}, {"index": 1}],
    ],
)
def test_an_answer_that_lacks_documents_is_an_error(qwen, server, results):
    """A score too few, twice, or of a document that was not given never passes unseen."""
    server.replay({"protocol": "native-rerank", "response": {"status": 200, "body": {"output": {"results": results}}}})
    with pytest.raises(QwenResponseError):
        qwen().rerank(["a", "b"], "c")


@needs_shared
@pytest.mark.parametrize("path", RECORDED, ids=lambda path: path.stem)
def test_recorded_answers_are_read_to_the_last_digit(qwen, server, path):
    """A replayed answer of the true service gives exactly its order, scores and tokens; a refusal is raised."""
    recorded = json.loads(path.read_text())
    asked, answered = recorded["request"]["body"], recorded["response"]["body"]
    top_n = asked["parameters"].get("top_n")
    reranker = qwen(model=asked["model"], top_n=top_n)
    server.replay(recorded)
    if recorded["response"]["status"] == 400:
        with pytest.raises(QwenModelNotFoundError, match="Model not exist"):
            reranker.rerank(asked["input"]["documents"], asked["input"]["query"])
        return
    done = reranker.rerank(asked["input"]["documents"], asked["input"]["query"])
    results = answered["output"]["results"]
    assert done.scores == [(result["index"], result["relevance_score"]) for result in results]
    assert done.tokens == answered["usage"]["total_tokens"]
    assert server.requests[-1].path == recorded["request"]["path"]


@needs_shared
def test_a_recorded_score_does_not_depend_on_the_other_documents():
    """Why scores of several requests may be merged: each pair has one score in all recorded requests."""
    found = {}
    for path in RECORDED:
        recorded = json.loads(path.read_text())
        given = recorded["request"]["body"]["input"]
        for result in (recorded["response"]["body"].get("output") or {}).get("results", []):
            pair = (given["query"], given["documents"][result["index"]])
            found.setdefault(pair, []).append(result["relevance_score"])
    assert sum(len(scores) > 1 for scores in found.values()) >= 2
    assert all(len(set(scores)) == 1 for scores in found.values())


def test_options_that_cannot_be_are_refused(server):
    """A missing key, no documents wanted, and a server without DashScope's own protocol are named."""
    with pytest.raises(ValidationError, match="DASHSCOPE_API_KEY"):
        QwenReranker()
    with pytest.raises(ValidationError, match="top_n"):
        QwenReranker(api_key="k", top_n=0)
    with pytest.raises(ValueError, match="DashScope's own protocol"):
        QwenReranker(base_url=server.plain_url).rerank(["a"], "b")
    assert QwenReranker(base_url=server.native_url, api_key="k").rerank(["a"], "a").requests == 1
