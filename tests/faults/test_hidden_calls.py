"""The calls that nobody sees fail: the summariser's and those for vectors. The user is answered; the report tells."""

import pytest

from langchain_qwen_memory import QwenEmbeddings, RecallMemory, SummaryBufferMemory, WindowMemory
from langchain_qwen_memory.testing import Fault
from tests.faults.talk import WAYS, Talk, of_the_embeddings, of_the_summary

SUMMARY = {
    "401": (Fault.unauthorized(), "QwenAuthenticationError"),
    "403": (Fault.forbidden(), "QwenPermissionDeniedError"),
    "429 rate": (Fault.rate_limit(), "QwenRateLimitError"),
    "429 burst": (Fault.burst(), "QwenRateLimitError"),
    "429 quota": (Fault.quota(), "QwenRateLimitError"),
    "500": (Fault.internal(), "QwenServerError"),
    "503": (Fault.unavailable(), "QwenServerError"),
    "html": (Fault.html(), "QwenServerError"),
    "empty body": (Fault.empty_body(), "QwenResponseError"),
    "no choices": (Fault.no_choices(), "QwenResponseError"),
    "input inspected": (Fault.inspected_input(), "QwenContentInspectionError"),
    "output inspected": (Fault.inspected_output(), "QwenContentInspectionError"),
    "overflow": (Fault.overflow(1_000), "QwenContextOverflowError"),
    "cut": (Fault.cut(after=2), "QwenConnectionError"),
    "no first byte": (Fault.hang(), "QwenTimeoutError"),
    "stalled": (Fault.stall(after=2), "QwenTimeoutError"),
}
"""What is done to the summariser's call, and the error that the report names."""
VECTORS = {
    "401": (Fault.unauthorized(), "QwenAuthenticationError 401"),
    "403": (Fault.forbidden(), "QwenPermissionDeniedError 403"),
    "429 rate": (Fault.rate_limit(), "QwenRateLimitError 429"),
    "429 quota": (Fault.quota(), "QwenRateLimitError 429"),
    "500": (Fault.internal(), "QwenServerError 500"),
    "503": (Fault.unavailable(), "QwenServerError 503"),
    "html": (Fault.html(), "QwenServerError 502"),
    "html as 200": (Fault.html(status=200), "QwenResponseError"),
    "empty body": (Fault.empty_body(), "QwenResponseError"),
    "inspected": (Fault.inspected_input(), "QwenContentInspectionError 400"),
    "cut": (Fault.cut(after=2), "QwenConnectionError"),
    "no first byte": (Fault.hang(), "QwenTimeoutError"),
}
"""What is done to a call for vectors, and what the report says of it."""


def way_of(case, cases):
    """A way for each case, so that over all cases each way is taken often."""
    return WAYS[list(cases).index(case) % len(WAYS)]


@pytest.mark.parametrize("agent", [False, True])
@pytest.mark.parametrize("case", SUMMARY)
def test_a_summariser_that_fails_is_not_the_users_trouble(server, tmp_path, case, agent):
    """Each question is answered; the turns stay until a later fold takes them, once; the report names the error."""
    fault, name = SUMMARY[case]
    memory = SummaryBufferMemory(trigger=("turns", 4), keep=("turns", 2))
    with Talk(server, tmp_path, way=way_of(case, SUMMARY), agent=agent, memory=memory, timeout=0.8) as talk:
        server.misbehave(fault, when=of_the_summary, times=2)
        for number in range(12):
            assert talk.ask(f"My order number {number} is KM-30{number:02}, keep it in mind.")
        told = [report["errors"] for report in talk.reports()]
        assert [errors for errors in told if errors] == [[f"summary: {name}"]] * 2
        assert sum(report["folded"] for report in talk.reports()) >= 6
        assert not talk.errors
        talk.check()


def test_a_summariser_that_stays_down_costs_no_turn(server, tmp_path):
    """It is asked ever more seldom, all turns stay in the view, and when it is back one fold takes them."""
    memory = SummaryBufferMemory(trigger=("turns", 4), keep=("turns", 2))
    with Talk(server, tmp_path, memory=memory) as talk:
        server.misbehave(Fault.unavailable(), when=of_the_summary, times=4)
        for number in range(12):
            assert talk.ask(f"My order number {number} is KM-30{number:02}.")
        assert not talk.notes()
        assert sum(map(of_the_summary, (request.body for request in server.requests))) < 5
        assert "KM-3000" in str(server.requests[-1].body)
        server.reset()
        for number in range(12, 24):
            assert talk.ask(f"My order number {number} is KM-30{number:02}.")
        assert talk.notes()
        talk.check()


def found_by_meaning(server):
    """Embeddings of the server that give up quickly."""
    return QwenEmbeddings(base_url=server.base_url, api_key=server.api_key, max_retries=0, timeout=0.5)


@pytest.mark.parametrize("agent", [False, True])
@pytest.mark.parametrize("case", VECTORS)
def test_a_turn_without_its_vector_is_archived_all_the_same(server, tmp_path, case, agent):
    """The failed call is in the report; with the next turn the vector is made, and nothing is missing."""
    fault, name = VECTORS[case]
    memory = [WindowMemory(trigger=("turns", 3), keep=("turns", 1))]
    with Talk(
        server, tmp_path, way=way_of(case, VECTORS), agent=agent, memory=memory, embeddings=found_by_meaning(server)
    ) as talk:
        assert talk.ask("my dog is called Rex")
        server.misbehave(fault, when=of_the_embeddings)
        assert talk.ask("I live in Hangzhou")
        assert talk.archive.missing_vectors() == 1
        assert talk.reports()[-1]["errors"] == [f"embeddings: the embeddings failed: {name}"]
        assert talk.ask("thanks")
        assert talk.archive.missing_vectors() == 0
        assert talk.reports()[-1]["errors"] == []
        talk.check()


@pytest.mark.parametrize("agent", [False, True])
@pytest.mark.parametrize("case", VECTORS)
def test_a_question_without_its_vector_is_searched_by_its_words(server, tmp_path, case, agent):
    """What was said of Rex is recalled by its name, and the report says what failed."""
    fault, name = VECTORS[case]
    memory = [WindowMemory(trigger=("turns", 2), keep=("turns", 1)), RecallMemory(k=1)]
    with Talk(
        server, tmp_path, way=way_of(case, VECTORS), agent=agent, memory=memory, embeddings=found_by_meaning(server)
    ) as talk:
        for text in ("my dog Rex eats salmon", "good morning", "how are you?"):
            assert talk.ask(text)
        server.misbehave(fault, when=of_the_embeddings)
        assert talk.ask("what does Rex eat?")
        (errors,) = [report["errors"] for report in talk.reports()[-1:]]
        assert errors == [f"recall: the embeddings failed: {name}"]
        asked = [request.body for request in server.requests if "messages" in request.body]
        assert "salmon" in str(asked[-1]["messages"][-1])
        talk.check()


def test_everything_down_at_once(server, tmp_path):
    """Summariser and vectors fail together while the chat's own call works: answers come, nothing is lost or twice."""
    memory = [SummaryBufferMemory(trigger=("turns", 4), keep=("turns", 2)), RecallMemory(k=2)]
    with Talk(server, tmp_path, memory=memory, embeddings=found_by_meaning(server)) as talk:
        server.misbehave(
            Fault.unavailable(), times=200, when=lambda body: of_the_embeddings(body) or of_the_summary(body)
        )
        for number in range(8):
            assert talk.ask(f"My order number {number} is KM-30{number:02}.")
        assert talk.archive.missing_vectors() == 8
        server.reset()
        for number in range(8, 16):
            assert talk.ask(f"My order number {number} is KM-30{number:02}.")
        assert talk.archive.missing_vectors() == 0
        assert talk.notes()
        talk.check()
