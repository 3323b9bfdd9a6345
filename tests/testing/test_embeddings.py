"""The local DashScope's endpoints for vectors and rankings: shapes as recorded, refusals in the service's words."""

import itertools
import json
import math

import pytest

from langchain_qwen_memory.testing import Fault, LocalDashScope
from tests.shared import SHARED, needs_shared

ALGORITHM = "<400> InternalError.Algo.InvalidParameter: "
EMBED = "/api/v1/services/embeddings/text-embedding/text-embedding"
RERANK = "/api/v1/services/rerank/text-rerank/text-rerank"
RECORDED = [
    path
    for name in ("loongsuite-litellm/TestEmbedding*", "loongsuite-dashscope/test_text_*embed*")
    for path in sorted((SHARED / "recordings").glob(f"{name}.json"))
] + sorted((SHARED / "recordings" / "loongsuite-dashscope").glob("test_text_rerank*.json"))


def shape(value):
    """The keys in their order, and the kinds of values; of a list of numbers, how many."""
    if isinstance(value, dict):
        return [(key, shape(one)) for key, one in value.items()]
    if isinstance(value, list):
        return len(value) if value and isinstance(value[0], float) else [shape(one) for one in value]
    return type(value).__name__


@needs_shared
@pytest.mark.parametrize("path", RECORDED, ids=lambda path: path.stem)
def test_shapes_are_the_recorded_ones(client, path):
    """A recorded request gets an answer with the recording's status, keys, their order and lengths of vectors."""
    recorded = json.loads(path.read_text())
    asked = recorded["request"]
    answer = client.http.post(client.server.url + asked["path"], json=asked["body"])
    assert answer.status_code == recorded["response"]["status"]
    assert shape(answer.json()) == shape(recorded["response"]["body"])
    if answer.status_code == 400:
        without = {"request_id": ""}
        assert answer.json() | without == recorded["response"]["body"] | without


@needs_shared
@pytest.mark.parametrize("path", [path for path in RECORDED if "mbed" in path.name], ids=lambda path: path.stem)
def test_usage_is_the_recorded_one(client, path):
    """The tokens counted are those that the service counted, give or take one a text."""
    recorded = json.loads(path.read_text())
    asked = recorded["request"]
    counted = client.http.post(client.server.url + asked["path"], json=asked["body"]).json()["usage"]
    billed = recorded["response"]["body"]["usage"]
    assert counted.keys() == billed.keys()
    assert abs(counted["total_tokens"] - billed["total_tokens"]) <= 3


@pytest.mark.parametrize(
    ("model", "more", "text"),
    [
        (
            "text-embedding-v4",
            {"input": ["a"] * 11},
            "Value error, batch size is invalid, it should not be larger than 10.: input.contents",
        ),
        (
            "text-embedding-v1",
            {"input": ["a"] * 26},
            "Value error, batch size is invalid, it should not be larger than 25.: input.contents",
        ),
        (
            "text-embedding-v3",
            {"input": "a", "dimensions": 100},
            "Value error, dimension for embedding v3 is invalid, its value shold be in [64, 128, 256, 512, 768, 1024]",
        ),
        ("text-embedding-v4", {"input": ""}, "Range of input length should be [1, 8192]"),
        ("text-embedding-v4", {"input": ["a", ""]}, "Range of input length should be [1, 8192]"),
        ("text-embedding-v4", {"input": "花" * 9_000}, "Range of input length should be [1, 8192]"),
        ("text-embedding-v2", {"input": "a b " * 2_000}, "Range of input length should be [1, 2048]"),
        ("text-embedding-v4", {"input": [1]}, "Value error, contents is neither str nor list of str.: input.contents"),
        ("text-embedding-v4", {}, "Value error, contents is neither str nor list of str.: input.contents"),
    ],
)
def test_embedding_requests_that_are_refused(client, model, more, text):
    """Each refusal has the service's words, in the compatible protocol and in DashScope's own."""
    answer = client.http.post("/embeddings", json={"model": model, **more})
    assert answer.status_code == 400
    error = {"message": ALGORITHM + text, "type": "InvalidParameter", "param": None, "code": "InvalidParameter"}
    number = answer.headers["x-request-id"]
    assert answer.json() == {"error": error, "id": number, "request_id": number}
    given = {"texts": more["input"]} if "input" in more else {}
    body = {"model": model, "input": given, "parameters": {"dimension": more.get("dimensions")}}
    answer = client.http.post(client.server.url + EMBED, json=body)
    number = answer.headers["x-request-id"]
    assert answer.status_code == 400
    assert answer.json() == {"code": "InvalidParameter", "message": ALGORITHM + text, "request_id": number}


def test_unknown_models_and_keys_are_refused_in_each_protocols_words(client):
    """404 and an error object in the one, 400 and code in the other; so with keys."""
    answer = client.http.post("/embeddings", json={"model": "qwen-plus", "input": "a"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (404, "model_not_found")
    for path in (EMBED, RERANK):
        answer = client.http.post(client.server.url + path, json={"model": "qwen-plus", "input": {}})
        assert (answer.status_code, answer.json()["code"]) == (400, "InvalidParameter")
        assert answer.json()["message"] == "Model not exist."
        answer = client.http.post(client.server.url + path, json={}, headers={"authorization": ""})
        assert (answer.status_code, answer.json()["message"]) == (401, "No API-key provided.")
    with LocalDashScope(api_key="sk-right") as strict:
        answer = client.http.post(strict.url + RERANK, json={})
        assert (answer.status_code, answer.json()["code"]) == (401, "InvalidApiKey")
        assert answer.json()["message"] == "Invalid API-key provided."


@pytest.mark.parametrize(
    ("fault", "status", "code"),
    [
        (Fault.rate_limit(), 429, "Throttling.RateQuota"),
        (Fault.quota(), 429, "Throttling.AllocationQuota"),
        (Fault.burst(), 429, "Throttling.BurstRate"),
        (Fault.inspected_input(), 400, "DataInspectionFailed"),
        (Fault.arrears(), 400, "Arrearage"),
        (Fault.internal(), 500, "InternalError"),
        (Fault.forbidden(), 403, "AccessDenied.Unpurchased"),
    ],
)
@pytest.mark.parametrize("path", [EMBED, RERANK])
def test_faults_speak_dashscopes_own_protocol_there(client, path, fault, status, code):
    """A fault has the code that it has in that protocol, and no error object."""
    client.server.misbehave(fault)
    answer = client.http.post(client.server.url + path, json={"model": "x"})
    assert answer.status_code == status
    assert answer.json().keys() == {"code", "message", "request_id"}
    assert answer.json()["code"] == code


@pytest.mark.parametrize(
    ("given", "text"),
    [
        (
            {"query": "a", "documents": ["b"] * 501},
            "Value error, the number of documents should not be larger than 500",
        ),
        ({"query": "花" * 3_000, "documents": ["b"] * 60}, "Range of input length should be [1, 120000]"),
        ({"query": "", "documents": ["b"]}, "Value error, query is not str: input.query"),
        ({"query": "a", "documents": []}, "Value error, documents is not list of str: input.documents"),
    ],
)
def test_rankings_that_are_refused(client, given, text):
    """Too many documents, too many tokens, and nothing to rank."""
    answer = client.http.post(client.server.url + RERANK, json={"model": "qwen3-rerank", "input": given})
    assert answer.status_code == 400
    assert answer.json()["message"] == ALGORITHM + text


@pytest.mark.parametrize("length", [64, 128, 256, 512, 768, 1024, 1536, 2048])
def test_vectors_have_the_length_asked_for(client, length):
    """Each is of unit length, and like texts are nearer than others at every length of vector."""
    texts = ["我对花生过敏，不能吃花生酱", "花生过敏的人不能吃花生酱", "明天上海下大雨", "!!!", "the"]
    body = {"model": "text-embedding-v4", "input": texts, "dimensions": length}
    vectors = [item["embedding"] for item in client.http.post("/embeddings", json=body).json()["data"]]
    assert {len(vector) for vector in vectors} == {length}
    assert all(math.hypot(*vector) == pytest.approx(1, abs=1e-6) for vector in vectors)
    like, other = (sum(map(float.__mul__, vectors[0], vectors[at])) for at in (1, 2))
    assert like > other + 0.2


def test_texts_without_a_common_word_are_at_right_angles(client):
    """Words fall on places of either sign, so chance likeness evens out, and function words make no likeness."""
    words = ["weather", "capital", "colour", "recipe", "violin", "glacier", "tariff", "pigeon"]
    asked = [f"What is the {word}?" for word in words]
    lists = [" ".join(str(1_000 * row + column) for column in range(40)) for row in range(1, 9)]
    assert abs(mean_likeness(client, asked)) < 0.05
    assert abs(mean_likeness(client, lists)) < 0.1


def mean_likeness(client, texts):
    """How near texts are to each other on average, in short vectors."""
    body = {"model": "text-embedding-v4", "input": texts, "dimensions": 64}
    vectors = [item["embedding"] for item in client.http.post("/embeddings", json=body).json()["data"]]
    likeness = [sum(map(float.__mul__, one, other)) for one, other in itertools.combinations(vectors, 2)]
    return sum(likeness) / len(likeness)


def test_dense_and_sparse_come_together(client):
    """output_type says what is given: a vector, words with weights, or both."""
    for kind, keys in (
        ("dense", {"embedding", "text_index"}),
        ("sparse", {"sparse_embedding", "text_index"}),
        ("dense&sparse", {"embedding", "sparse_embedding", "text_index"}),
    ):
        body = {"model": "text-embedding-v4", "input": {"texts": ["花生"]}, "parameters": {"output_type": kind}}
        (item,) = client.http.post(client.server.url + EMBED, json=body).json()["output"]["embeddings"]
        assert item.keys() == keys
    assert {word["token"] for word in item["sparse_embedding"]} == {"花", "生", "花生"}


def test_a_ranking_is_by_shared_words(client):
    """Best first, scores between 0 and 1, as many as top_n, texts only if asked for; usage by the documented rule."""
    given = {"query": "谁对花生过敏？", "documents": ["明天下雨", "我对花生过敏", "花生酱"]}
    body = {"model": "qwen3-rerank", "input": given, "parameters": {"top_n": 2, "return_documents": True}}
    answer = client.http.post(client.server.url + RERANK, json=body).json()
    results = answer["output"]["results"]
    assert [result["index"] for result in results] == [1, 2]
    assert results[0]["document"] == {"text": "我对花生过敏"}
    assert 1 >= results[0]["relevance_score"] > results[1]["relevance_score"] > 0
    assert client.server.requests[-1].usage == answer["usage"]
    alone = {**body, "input": {**given, "documents": ["我对花生过敏"]}}
    again = client.http.post(client.server.url + RERANK, json=alone).json()
    assert again["output"]["results"][0]["relevance_score"] == results[0]["relevance_score"]


def test_a_server_of_ones_own_takes_any_model(client):
    """The plain route knows no rules of DashScope and needs no key."""
    import httpx

    body = {"model": "Qwen/Qwen3-Embedding-8B", "input": ["a"] * 11, "dimensions": 77}
    answer = httpx.post(f"{client.server.plain_url}/embeddings", json=body)
    assert len(answer.json()["data"]) == 11
