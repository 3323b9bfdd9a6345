"""What goes wrong is raised as LangChain's and OpenAI's classes at once, in words that say what to do."""

import json
import traceback

import openai
import pytest
from langchain_core import exceptions

from langchain_qwen_memory.qwen import model_errors as errors
from langchain_qwen_memory.testing import Fault, LocalDashScope
from langchain_qwen_memory.testing.native import native
from langchain_qwen_memory.testing.refusals import Refusal
from tests.qwen.ways import all_ways, answer_by, over_both

KEY = "sk-very-secret-0123456789"

REFUSALS = {
    "wrong key": (Fault.unauthorized(), errors.QwenAuthenticationError, exceptions.ModelAuthenticationError),
    "no key": (Fault.no_key(), errors.QwenAuthenticationError, openai.AuthenticationError),
    "not bought": (Fault.forbidden(), errors.QwenPermissionDeniedError, exceptions.ModelPermissionDeniedError),
    "free quota": (Fault.free_quota(), errors.QwenPermissionDeniedError, openai.PermissionDeniedError),
    "arrears": (Fault.arrears(), errors.QwenArrearsError, exceptions.ModelPermissionDeniedError),
    "no such model": (Fault.not_found(), errors.QwenModelNotFoundError, exceptions.ModelNotFoundError),
    "requests": (Fault.rate_limit(), errors.QwenRateLimitError, exceptions.ModelRateLimitError),
    "tokens": (Fault.quota(), errors.QwenRateLimitError, openai.RateLimitError),
    "burst": (Fault.burst(), errors.QwenRateLimitError, exceptions.ModelRateLimitError),
    "too long": (Fault.overflow(30_720), errors.QwenContextOverflowError, exceptions.ContextOverflowError),
    "prompt inspected": (Fault.inspected_input(), errors.QwenContentInspectionError, openai.BadRequestError),
    "bad request": (
        Fault.bad_request("Range of top_p should be (0.0, 1.0]"),
        errors.QwenInvalidRequestError,
        openai.BadRequestError,
    ),
    "failure": (Fault.internal(), errors.QwenServerError, exceptions.ModelAPIError),
    "down": (Fault.unavailable(), errors.QwenServerError, openai.InternalServerError),
    "gateway page": (Fault.html(), errors.QwenServerError, exceptions.ModelAPIError),
}


def raised(qwen, way, **options):
    """Calls, and returns the error."""
    with pytest.raises(openai.APIError) as caught:
        answer_by(way, qwen(**{"max_retries": 0, "api_key": KEY, **options}), "你好")
    return caught.value


@over_both
@all_ways
@pytest.mark.parametrize("case", REFUSALS)
def test_a_refusal_has_its_class(server, qwen, way, case):
    """Code that catches OpenAI's class, LangChain's or ours meets it, in each way of calling."""
    fault, ours, theirs = REFUSALS[case]
    server.misbehave(fault)
    error = raised(qwen, way)
    assert type(error) is ours
    assert isinstance(error, theirs)
    assert isinstance(error, exceptions.ModelError)


@over_both
@all_ways
@pytest.mark.parametrize("case", ["wrong key", "arrears", "too long", "requests"])
def test_the_services_words_and_request_id_are_in_the_text(server, qwen, protocol, way, case):
    """With these the service's support can find the call."""
    fault = REFUSALS[case][0]
    server.misbehave(fault)
    text = str(raised(qwen, way))
    said = fault.refusal if protocol == "compatible" else native(fault.refusal)
    assert said.message.strip().rstrip(".") in text
    assert server.requests[-1].request_id in text


@over_both
@all_ways
def test_an_authentication_error_says_where_else_the_key_may_belong(server, qwen, url, way):
    """Keys are valid in one region; the text names the URL tried, the other regions and the variables."""
    server.misbehave(Fault.unauthorized())
    text = str(raised(qwen, way))
    for part in (url, "dashscope-intl.aliyuncs.com", "dashscope-us.aliyuncs.com", "DASHSCOPE_API_KEY"):
        assert part in text
    assert "DASHSCOPE_API_BASE" in text


@over_both
@all_ways
def test_the_key_is_in_no_error(server, qwen, way):
    """Not even where the server repeats it: neither in the text nor in the traceback."""
    server.misbehave(Fault.bad_request(f"Incorrect API key provided: {KEY}."))
    error = raised(qwen, way)
    assert KEY not in str(error)
    assert KEY not in repr(error)
    assert KEY not in "".join(traceback.format_exception(error))


@over_both
@pytest.mark.parametrize(
    "said",
    [
        "Range of input length should be [1, 30720]",
        "<400> InternalError.Algo.InvalidParameter: Range of input length should be [1, 129024]",
        "This model's maximum context length is 32768 tokens. However, you requested 40000 tokens in the messages.",
        "The input (40000 tokens) is longer than the model's context length (32768 tokens).",
        "the request exceeds the available context size, try increasing it",
    ],
)
def test_a_prompt_that_is_too_long_is_told_by_what_servers_say(server, qwen, said):
    """The service's words with and without its prefix, vLLM's, SGLang's and llama.cpp's; the advice is to send less."""
    server.misbehave(Fault.bad_request(said))
    error = raised(qwen, "invoke")
    assert isinstance(error, exceptions.ContextOverflowError)
    assert isinstance(error, openai.BadRequestError)


@over_both
def test_a_limit_on_the_answer_is_no_overflow(server, qwen):
    """It is another parameter that is wrong then, and sending less would not help."""
    server.misbehave(Fault.bad_request("Range of max_tokens should be [1, 8192]"))
    assert type(raised(qwen, "invoke")) is errors.QwenInvalidRequestError


@over_both
def test_only_what_may_pass_is_worth_trying_again(server, qwen):
    """LangChain asks the error whether a retry may help."""
    expected = {"requests": True, "failure": True, "wrong key": False, "arrears": False, "too long": False}
    for case, retryable in expected.items():
        server.misbehave(REFUSALS[case][0])
        assert raised(qwen, "invoke").is_retryable is retryable, case


@over_both
@all_ways
def test_a_busy_service_is_asked_again(server, qwen, way):
    """As often as max_retries says, without the caller's noticing."""
    server.misbehave(Fault.rate_limit(), times=1)
    assert answer_by(way, qwen(max_retries=1)).text
    assert [request.status for request in server.requests] == [429, 200]


@over_both
@pytest.mark.parametrize("way", ["stream", "astream"])
@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        (Fault.cut(after=2), errors.QwenConnectionError),
        (Fault.cut_in_character(), errors.QwenConnectionError),
        (Fault.error_in_stream(after=2), errors.QwenServerError),
        (Fault.inspected_output(after=2), errors.QwenContentInspectionError),
    ],
)
def test_a_stream_that_breaks_raises_after_what_had_come(server, qwen, way, fault, kind):
    """A cut answer is never mistaken for a short one."""
    server.misbehave(fault)
    assert type(raised(qwen, way)) is kind


@over_both
@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("ModelUnavailable", errors.QwenServerError),
        ("ModelServingError", errors.QwenServerError),
        ("BadRequest.InputDownloadFailed", errors.QwenInvalidRequestError),
        ("Audio.DecoderError", errors.QwenInvalidRequestError),
        ("Model.AccessDenied", errors.QwenPermissionDeniedError),
        ("Throttling.RateQuota", errors.QwenRateLimitError),
    ],
)
@pytest.mark.parametrize("way", ["stream", "astream"])
def test_an_error_in_a_stream_is_told_by_its_code(server, qwen, code, kind, way):
    """It comes under status 200, so that nothing else tells what kind it is."""
    server.misbehave(Fault(error=Refusal(400, code, "It failed.", kind=code), after=1))
    with pytest.raises(kind):
        answer_by(way, qwen(max_retries=0))


@over_both
@pytest.mark.parametrize("fault", [Fault.cut(after=2), Fault.error_in_stream(after=2)])
@pytest.mark.parametrize("way", ["invoke", "ainvoke"])
def test_a_stream_that_breaks_inside_a_whole_call_raises_too(server, qwen, way, fault):
    """Models that only stream are read to the end, or not at all."""
    server.misbehave(fault)
    assert isinstance(raised(qwen, way, model="qwq-plus"), exceptions.ModelError)


@over_both
@all_ways
@pytest.mark.parametrize("fault", [Fault.html(status=200), Fault.empty_body(), Fault.no_choices()])
def test_what_is_no_answer_is_named(server, qwen, url, way, fault):
    """A proxy's page, an empty body, an answer without choices: an error that shows the URL, not an empty message."""
    server.misbehave(fault)
    error = raised(qwen, way)
    assert isinstance(error, exceptions.ModelError)
    assert url in str(error)


@over_both
@all_ways
def test_silence_is_a_timeout(server, qwen, way):
    """The time-out holds for the first byte."""
    server.misbehave(Fault.hang())
    error = raised(qwen, way, timeout=0.2)
    assert type(error) is errors.QwenTimeoutError
    assert "timeout=" in str(error)


@over_both
@pytest.mark.parametrize("way", ["stream", "astream"])
def test_silence_within_a_stream_is_a_timeout(server, qwen, way):
    """And for each further piece."""
    server.misbehave(Fault.stall(after=2))
    assert type(raised(qwen, way, timeout=0.2)) is errors.QwenTimeoutError


@over_both
@all_ways
def test_nobody_at_home_is_a_connection_error(qwen, protocol, way):
    """The URL is named."""
    with LocalDashScope() as gone:
        url = gone.base_url if protocol == "compatible" else gone.native_url
    error = raised(qwen, way, base_url=url)
    assert type(error) is errors.QwenConnectionError
    assert url in str(error)


@over_both
def test_an_error_framed_as_an_event_is_read(server, qwen):
    """A gateway has sent errors as events under a content type that says JSON."""
    said = {"code": "InvalidParameter", "message": "Range of input length should be [1, 8]", "request_id": "r-1"}
    framed = f"id:1\nevent:error\n:HTTP_STATUS/400\ndata:{json.dumps(said)}"
    server.replay({"response": {"status": 400, "headers": {"content-type": "application/json"}, "raw": framed}})
    error = raised(qwen, "invoke")
    assert type(error) is errors.QwenContextOverflowError
    assert "r-1" in str(error)


@over_both
def test_an_error_under_status_200_is_an_error(server, qwen):
    """Some proxies say 200 to everything."""
    body = json.dumps(
        {"error": {"code": "invalid_api_key", "message": "Incorrect API key provided."}, "request_id": "r-2"}
    )
    server.replay({"response": {"status": 200, "raw": body}})
    error = raised(qwen, "invoke")
    assert type(error) is errors.QwenAuthenticationError
    assert "r-2" in str(error)


@over_both
@all_ways
def test_a_language_tool_may_fall_back_on_overflow(server, qwen, way):
    """LangChain's fallbacks go by the class."""
    server.misbehave(Fault.overflow(), when=lambda body: body["model"] == "qwen-plus")
    safe = qwen(max_retries=0).with_fallbacks(
        [qwen("qwen-flash")], exceptions_to_handle=(exceptions.ContextOverflowError,)
    )
    assert answer_by(way, safe).response_metadata["model_name"] == "qwen-flash"
