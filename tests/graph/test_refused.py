"""A question that the provider refuses costs that question, not the thread."""

import pytest
from langchain.agents import create_agent
from langchain_core.messages import AIMessage, HumanMessage
from langgraph.checkpoint.memory import InMemorySaver

from langchain_qwen_memory import (
    ChatQwen,
    InMemoryArchive,
    MemoryMiddleware,
    RecallMemory,
    SummaryBufferMemory,
    WindowMemory,
    arun_turn,
    create_chat_graph,
    read_reports,
    run_turn,
    transcript,
)
from langchain_qwen_memory.dashscope import ChatDashScope
from langchain_qwen_memory.qwen.model_errors import QwenContentInspectionError, QwenMessageError, QwenServerError
from langchain_qwen_memory.steps.choosing import REFUSED
from langchain_qwen_memory.testing import Fault, LocalDashScope
from tests.media import picture, sound

CONFIG = {"configurable": {"thread_id": "t1"}}
BAD = "a forbidden question about teapots"


@pytest.fixture
def server():
    with LocalDashScope() as running:
        yield running


def chat(server, memory=None, archive=None):
    model = ChatQwen(model="qwen-plus", base_url=server.base_url, api_key=server.api_key, max_retries=0)
    return create_chat_graph(
        model,
        memory=memory or WindowMemory(),
        archive=archive if archive is not None else InMemoryArchive(),
        checkpointer=InMemorySaver(),
    )


def refuse(server, graph, text=BAD):
    server.misbehave(Fault.inspected_input())
    with pytest.raises(QwenContentInspectionError):
        run_turn(graph, text, CONFIG)


def sent(server):
    return [str(message["content"]) for message in server.requests[-1].body["messages"]]


def test_the_thread_goes_on_after_a_refused_question(server):
    """The next question is refused for the old one's sake, is sent again without it, and is answered."""
    graph = chat(server)
    run_turn(graph, "hello", CONFIG)
    refuse(server, graph)
    server.misbehave(Fault.inspected_input())
    state = run_turn(graph, "and the weather?", CONFIG)
    assert isinstance(state["messages"][-1], AIMessage)
    assert not any(BAD in text for text in sent(server))
    assert any("hello" in text for text in sent(server))
    assert state["record"]["report"]["errors"] == [REFUSED]


async def test_async_too(server):
    """The same with `await`."""
    graph = chat(server)
    refuse(server, graph)
    server.misbehave(Fault.inspected_input())
    await arun_turn(graph, "and the weather?", CONFIG)
    assert not any(BAD in text for text in sent(server))


def test_later_turns_know_what_was_refused(server):
    """One call a turn again: the refused question is not tried any more."""
    graph = chat(server)
    refuse(server, graph)
    server.misbehave(Fault.inspected_input())
    run_turn(graph, "second", CONFIG)
    before = len(server.requests)
    for question in ("third", "fourth"):
        run_turn(graph, question, CONFIG)
    assert len(server.requests) == before + 2
    assert not any(BAD in text for text in sent(server))
    assert list(read_reports(graph, CONFIG))[-1]["errors"] == []


def test_nothing_is_lost_and_nothing_refused_is_recalled(server):
    """The refused question stands in the transcript and the archive; recall does not bring it back."""
    archive = InMemoryArchive()
    window = WindowMemory(trigger=("turns", 2), keep=("turns", 1))
    graph = chat(server, memory=[window, RecallMemory()], archive=archive)
    refuse(server, graph)
    server.misbehave(Fault.inspected_input())
    for number in range(5):
        run_turn(graph, f"question {number}", CONFIG)
    run_turn(graph, "what about the forbidden teapots?", CONFIG)
    assert next(turn.messages[0].text for turn in transcript(graph, CONFIG)) == BAD
    assert archive.count("", "t1") == 7
    assert not any(BAD in text for text in sent(server))


def test_a_summary_is_made_without_it(server):
    """The summariser is not shown what the provider refuses."""
    memory = SummaryBufferMemory(trigger=("tokens", 120), keep=("turns", 1))
    graph = chat(server, memory=memory)
    refuse(server, graph)
    server.misbehave(Fault.inspected_input())
    for number in range(6):
        run_turn(graph, f"the order number {number} is KM-300{number}, please keep it in mind", CONFIG)
    assert any(report["folded"] for report in read_reports(graph, CONFIG))
    later = [str(request.body) for request in server.requests[3:]]
    assert not any(BAD in body for body in later)


def test_the_question_itself_is_refused_with_the_providers_error(server):
    """Where nothing unanswered stands before it, the refusal is the user's to see, and one call is made."""
    graph = chat(server)
    run_turn(graph, "hello", CONFIG)
    before = len(server.requests)
    refuse(server, graph)
    assert len(server.requests) == before + 1


def test_a_question_that_failed_otherwise_stays_in_view(server):
    """A server that was down is no reason to leave a question out."""
    graph = chat(server)
    server.misbehave(Fault.internal())
    with pytest.raises(QwenServerError):
        run_turn(graph, "my name is Bo", CONFIG)
    run_turn(graph, "what is my name?", CONFIG)
    assert any("my name is Bo" in text for text in sent(server))


def test_both_refused(server):
    """If the new question is refused as well, its error is raised, and the question after it is answered."""
    graph = chat(server)
    refuse(server, graph)
    server.misbehave(Fault.inspected_input(), times=2)
    with pytest.raises(QwenContentInspectionError):
        run_turn(graph, BAD + " again", CONFIG)
    server.misbehave(Fault.inspected_input())
    run_turn(graph, "fine now?", CONFIG)
    assert not any(BAD in text for text in sent(server))


@pytest.mark.parametrize("folded", [False, True])
def test_an_agent_goes_on_too(server, folded):
    """The same through `MemoryMiddleware`."""
    model = ChatQwen(model="qwen-plus", base_url=server.base_url, api_key=server.api_key, max_retries=0)
    memory = MemoryMiddleware(WindowMemory(), archive=InMemoryArchive(), archive_folded=folded)
    agent = create_agent(model, [], middleware=[memory], checkpointer=InMemorySaver())
    refuse(server, agent)
    server.misbehave(Fault.inspected_input())
    run_turn(agent, "second", CONFIG)
    assert not any(BAD in text for text in sent(server))
    run_turn(agent, HumanMessage("third"), CONFIG)
    assert not any(BAD in text for text in sent(server))


UNSENDABLE = {
    "two media at once": ("qwen3-omni-flash", [picture(), sound(1.0)]),
    "a picture too small": ("qwen3.7-plus", [picture(5, 5)]),
    "a film of one frame": ("qwen3.7-plus", [{"type": "video", "video": ["https://example.com/1.jpg"]}]),
    "a file of this machine": ("qwen3.7-plus", [{"type": "image", "url": "file:///etc/cat.png"}]),
    "a picture for a text model": ("qwen-plus", [picture()]),
}


@pytest.mark.parametrize("case", UNSENDABLE)
@pytest.mark.parametrize("kind", ["graph", "agent"])
@pytest.mark.parametrize("native", [False, True])
async def test_what_cannot_be_sent_costs_its_question_only(server, case, kind, native):
    """It is refused before it is sent, sync and async; later questions are answered, and the transcript has it."""
    name, content = UNSENDABLE[case]
    if native:
        model = ChatDashScope(model=name, base_url=server.native_url, api_key=server.api_key)
    else:
        model = ChatQwen(model=name, base_url=server.base_url, api_key=server.api_key)
    archive = InMemoryArchive()
    if kind == "graph":
        graph = create_chat_graph(model, archive=archive, checkpointer=InMemorySaver())
    else:
        graph = create_agent(model, middleware=[MemoryMiddleware(archive=archive)], checkpointer=InMemorySaver())
    with pytest.raises(QwenMessageError):
        run_turn(graph, HumanMessage(content), CONFIG)
    assert server.requests == []
    assert run_turn(graph, "hello", CONFIG)["messages"][-1].text
    with pytest.raises(QwenMessageError):
        await arun_turn(graph, HumanMessage(content), CONFIG)
    assert (await arun_turn(graph, "and now?", CONFIG))["messages"][-1].text
    asked = [turn.messages[0].content for turn in transcript(graph, CONFIG)]
    assert asked == [content, "hello", content, "and now?"]
