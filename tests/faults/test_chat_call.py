"""The chat's own call fails in each way that a service can fail: one clear error or an answer, and nothing is lost."""

import pytest
from langchain_core.exceptions import ModelError

from langchain_qwen_memory.qwen import model_errors as errors
from langchain_qwen_memory.testing import Fault, Reply
from tests.faults.talk import WAYS, Talk, of_the_chat

REFUSED = {
    "401": (Fault.unauthorized(), errors.QwenAuthenticationError),
    "403": (Fault.forbidden(), errors.QwenPermissionDeniedError),
    "free quota": (Fault.free_quota(), errors.QwenPermissionDeniedError),
    "429 rate": (Fault.rate_limit(), errors.QwenRateLimitError),
    "429 burst": (Fault.burst(), errors.QwenRateLimitError),
    "429 quota": (Fault.quota(), errors.QwenRateLimitError),
    "500": (Fault.internal(), errors.QwenServerError),
    "503": (Fault.unavailable(), errors.QwenServerError),
    "html": (Fault.html(), errors.QwenServerError),
    "html as 200": (Fault.html(status=200), errors.QwenResponseError),
    "empty body": (Fault.empty_body(), errors.QwenResponseError),
    "no choices": (Fault.no_choices(), errors.QwenResponseError),
    "input inspected": (Fault.inspected_input(), errors.QwenContentInspectionError),
    "output inspected": (Fault.inspected_output(), errors.QwenContentInspectionError),
    "output inspected in the stream": (Fault.inspected_output(after=2), errors.QwenContentInspectionError),
    "cut": (Fault.cut(after=2), errors.QwenConnectionError),
    "cut in a character": (Fault.cut_in_character(), errors.QwenConnectionError),
    "error in the stream": (Fault.error_in_stream(after=2), errors.QwenServerError),
}
"""What is done to a call, and what its caller is told."""
SILENT = {"no first byte": Fault.hang(), "stalled": Fault.stall(after=2)}
QUESTIONS = ("你好，我叫小明", "我叫什么名字？", "再见")


def asked_through(talk, server, fault, kind):
    """The fault strikes thrice; the client sends the question again, goes on where it stopped, or asks another."""
    assert talk.ask(QUESTIONS[0])
    for step in (talk.again, talk.go_on):
        server.misbehave(fault, when=of_the_chat)
        assert talk.ask_in_haste(f"{QUESTIONS[1]} {len(talk.asked)}") is None
        assert type(talk.errors[-1]) is kind
        assert step()
    server.misbehave(fault, when=of_the_chat)
    assert talk.ask_in_haste("一个没有回答的问题") is None
    assert type(talk.errors[-1]) is kind
    for number in range(4):
        assert talk.ask(f"{QUESTIONS[2]} {number}")
    talk.check()


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("case", REFUSED)
def test_a_call_that_fails_costs_nothing_but_itself(server, tmp_path, case, way):
    """One error of its class; sent again, gone on with or left alone, the question is there once, as is all else."""
    fault, kind = REFUSED[case]
    with Talk(server, tmp_path, way=way) as talk:
        asked_through(talk, server, fault, kind)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("case", SILENT)
def test_silence_ends_in_a_timeout_and_the_thread_goes_on(server, tmp_path, case, way):
    """Before the first byte and within an answer."""
    with Talk(server, tmp_path, way=way, hasty=0.4) as talk:
        asked_through(talk, server, SILENT[case], errors.QwenTimeoutError)


@pytest.mark.parametrize("way", ["run", "astream"])
@pytest.mark.parametrize("case", ["401", "429 rate", "500", "no choices", "input inspected", "cut"])
def test_an_agent_loses_nothing_either(server, tmp_path, case, way):
    """The same through `MemoryMiddleware`."""
    fault, kind = REFUSED[case]
    with Talk(server, tmp_path, way=way, agent=True) as talk:
        asked_through(talk, server, fault, kind)


@pytest.mark.parametrize("way", WAYS)
def test_a_slow_first_byte_is_waited_for(server, tmp_path, way):
    """Slow is no fault: the answer comes, and no error."""
    with Talk(server, tmp_path, way=way) as talk:
        server.misbehave(Fault.slow(0.4))
        assert talk.ask("你好")
        assert not talk.errors
        talk.check()


@pytest.mark.parametrize("way", ["stream", "astream"])
def test_a_stream_cut_in_its_thinking(server, tmp_path, way):
    """Half a thought is no answer, and it is in nothing that is kept."""
    with Talk(server, tmp_path, way=way, enable_thinking=True) as talk:
        server.script(Reply(reasoning="a half thought of mice and men", content="yes"))
        server.misbehave(Fault.cut_in_thinking(after=2))
        assert talk.ask("are you there?") is None
        assert type(talk.errors[-1]) is errors.QwenConnectionError
        assert talk.again()
        talk.check()
        assert "half" not in str(talk.turns())


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("agent", [False, True])
def test_a_stream_cut_in_a_tool_call(server, tmp_path, way, agent):
    """Half a call is not run; asked again, the model calls the tool whole, and it runs once."""
    ran = []

    def book(train: str) -> str:
        """Book a train."""
        ran.append(train)
        return f"booked {train}"

    call = Reply(tool_calls=[{"name": "book", "args": {"train": "G7301 to Hangzhou"}}])
    with Talk(server, tmp_path, way=way, agent=agent, tools=[book]) as talk:
        server.script(call, call, Reply(content="It is booked."))
        server.misbehave(Fault.cut_in_tool_call(after=1))
        assert talk.ask("book the G7301") is None
        assert not ran
        assert talk.again() == "It is booked."
        assert ran == ["G7301 to Hangzhou"]
        talk.check()


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("agent", [False, True])
@pytest.mark.parametrize(
    "fault", [Fault.internal(), Fault.cut(after=1), Fault.unauthorized()], ids=["500", "cut", "401"]
)
def test_a_tool_that_ran_is_not_run_again(server, tmp_path, way, agent, fault):
    """The call after the tool's result fails; gone on with, the result that is there is told to the model."""
    ran = []

    def pay(amount: int) -> str:
        """Pay."""
        ran.append(amount)
        return f"paid {amount}"

    call = Reply(tool_calls=[{"name": "pay", "args": {"amount": 300}}])
    with Talk(server, tmp_path, way=way, agent=agent, tools=[pay]) as talk:
        server.script(call, *[Reply(content="Paid, all done.")] * (2 if fault.after else 1))  # a cut answer is one too
        server.misbehave(fault, when=lambda body: body["messages"][-1]["role"] == "tool")
        assert talk.ask("pay 300") is None
        assert isinstance(talk.errors[-1], ModelError)
        assert talk.go_on() == "Paid, all done."
        assert ran == [300]
        assert talk.ask("thanks")
        talk.check()


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    "fault", [Fault.rate_limit(), Fault.burst(), Fault.unavailable()], ids=["rate", "burst", "503"]
)
def test_with_retries_a_passing_fault_is_not_noticed(server, tmp_path, way, fault):
    """`max_retries` is what keeps a busy service from the user; the turn is there once all the same."""
    with Talk(server, tmp_path, way=way, max_retries=1) as talk:
        server.misbehave(fault)
        assert talk.ask("你好")
        assert not talk.errors
        talk.check()


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("agent", [False, True])
def test_an_overflow_in_spite_of_the_count_is_answered_with_less(server, tmp_path, way, agent):
    """A long thread is sent once more, shorter, without the caller's noticing, and the report says so."""
    with Talk(server, tmp_path, way=way, agent=agent) as talk:
        for number in range(4):
            assert talk.ask(f"question {number}")
        server.misbehave(Fault.overflow(1_000), when=of_the_chat)
        assert talk.ask("the fifth")
        assert talk.reports()[-1]["errors"] == ["model: ContextOverflowError"]
        assert talk.ask("the sixth")
        talk.check()


@pytest.mark.parametrize("way", ["run", "astream"])
@pytest.mark.parametrize("agent", [False, True])
def test_an_overflow_that_stays_is_told(server, tmp_path, way, agent):
    """Where less is refused too, the service's own words are raised, and the next question is answered."""
    with Talk(server, tmp_path, way=way, agent=agent) as talk:
        for number in range(3):
            assert talk.ask(f"question {number}")
        server.misbehave(Fault.overflow(1_000), times=2, when=of_the_chat)
        assert talk.ask("the fourth") is None
        assert type(talk.errors[-1]) is errors.QwenContextOverflowError
        server.reset()
        assert talk.ask("the fifth")
        talk.check()
