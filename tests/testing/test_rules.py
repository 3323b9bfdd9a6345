"""The local DashScope refuses what the service refuses, with its status, code and words."""

import pytest

from langchain_qwen_memory.catalogue import model_info
from langchain_qwen_memory.testing import LocalDashScope
from tests.testing.conftest import Client, said, tool

ADD = tool("add", "Adds", a={"type": "integer"})
CALL = {
    "role": "assistant",
    "content": "",
    "tool_calls": [{"id": "c1", "type": "function", "function": {"name": "add", "arguments": "{}"}}],
}
RESULT = {"role": "tool", "tool_call_id": "c1", "content": "3"}
PICTURE = {"type": "image_url", "image_url": {"url": "https://example.com/cat.png"}}
ALGORITHM = "<400> InternalError.Algo.InvalidParameter: "


@pytest.mark.parametrize(
    ("model", "more", "text"),
    [
        ("qwen3-32b", {}, "parameter.enable_thinking must be set to false for non-streaming calls"),
        (
            "qwq-plus",
            {},
            "This model only support stream mode, please enable the stream parameter to access the model. ",
        ),
        (
            "qwen3-235b-a22b-thinking-2507",
            {"enable_thinking": False, "stream": True},
            "The value of the enable_thinking parameter is restricted to True.",
        ),
        (
            "qwen-plus",
            {"enable_thinking": True, "thinking_budget": 0},
            "The thinking_budget parameter must be a positive integer and not greater than 81920",
        ),
        (
            "qwen-plus",
            {"enable_thinking": True, "thinking_budget": 81_921},
            "The thinking_budget parameter must be a positive integer and not greater than 81920",
        ),
        ("qwen-plus", {"temperature": 2}, "Temperature should be in [0.0, 2.0)"),
        ("qwen-plus", {"temperature": "hot"}, "'temperature' must be Float"),
        ("qwen-plus", {"top_p": 0}, "Range of top_p should be (0.0, 1.0]"),
        ("qwen-plus", {"presence_penalty": 3}, "Presence_penalty should be in [-2.0, 2.0]"),
        ("qwen-plus", {"repetition_penalty": 0}, "Repetition_penalty should be greater than 0.0"),
        ("qwen-plus", {"n": 5}, "Range of n should be [1, 4]"),
        ("qwen-plus", {"seed": -1}, "Range of seed should be [0, 9223372036854775807]"),
        ("qwen-plus", {"max_tokens": 0}, "Range of max_tokens should be [1, 32768]"),
        ("qwen-plus", {"max_tokens": 32_769}, "Range of max_tokens should be [1, 32768]"),
        (
            "qwen-plus",
            {"stream_options": {"include_usage": True}},
            "'stream_options' only set this when you set stream",
        ),
        (
            "qwen-plus",
            {"tools": [ADD], "tool_choice": "any"},
            'tool_choice is one of the strings that should be ["none", "auto"]',
        ),
        (
            "qwen3.7-plus",
            {"tools": [ADD], "tool_choice": "required"},
            "The tool_choice parameter does not support being set to required or object in thinking mode",
        ),
        (
            "qwen3.7-plus",
            {"tools": [ADD], "tool_choice": {"type": "function", "function": {"name": "add"}}},
            "The tool_choice parameter does not support being set to required or object in thinking mode",
        ),
        (
            "qwen-plus",
            {"response_format": {"type": "json_object"}},
            "'messages' must contain the word 'json' in some form, to use 'response_format' of type 'json_object'.",
        ),
        (
            "qwen-plus",
            {"response_format": {"type": "json_object"}, "enable_thinking": True},
            "Json mode response is not supported when enable_thinking is true",
        ),
        ("qwen-plus", {"response_format": {"type": "xml"}}, "Unknown format of response_format"),
    ],
)
def test_a_parameter_that_the_model_does_not_take(client, model, more, text):
    """Each rule is a 400 with the service's own text."""
    error = client.error("Hello", model=model, **more)
    assert error["message"].removeprefix(ALGORITHM).startswith(text)
    assert error["code"] == "invalid_parameter_error"


@pytest.mark.parametrize(
    ("messages", "text"),
    [
        ([], "[] is too short - 'messages'"),
        ([{"role": "robot", "content": "x"}], "Input should be a valid dictionary or instance of GPT3Message"),
        ([{"role": "user"}], "The content field is a required field."),
        ([{"role": "user", "content": 3}], "input content must be a string."),
        (
            [{"role": "system", "content": "x"}],
            "The input messages do not contain elements with the role of user.",
        ),
        (["x", RESULT], 'messages with role "tool" must be a response to a preceeding message with "tool_calls".'),
        (
            ["x", said("y"), RESULT],
            'messages with role "tool" must be a response to a preceeding message with "tool_calls".',
        ),
        (["x", CALL], 'An assistant message with "tool_calls" must be followed by tool messages'),
        (["x", CALL, "go on"], 'An assistant message with "tool_calls" must be followed by tool messages'),
        (
            [{"role": "user", "content": [{"type": "text", "text": "What is it?"}, PICTURE]}],
            "The provided messages input is invalid. The error info is [Unexpected item type in content.]",
        ),
    ],
)
def test_messages_that_the_service_does_not_take(client, messages, text):
    """Broken tool turns, empty lists, unknown roles and pictures for a text model are 400s."""
    assert client.error(*messages)["message"].removeprefix(ALGORITHM).startswith(text)


def test_what_the_service_takes_is_taken(client):
    """Whole tool turns, "required" without thinking, text parts, a picture for a vision model, a system text."""
    assert client.say("What is 1 + 2?", CALL, RESULT, tools=[ADD]) == "add returned: 3"
    assert client.message("Hello", tools=[ADD], tool_choice="required")["tool_calls"]
    assert client.say({"role": "user", "content": [{"type": "text", "text": "Hello"}]})
    parts = [{"type": "text", "text": "What is it?"}, PICTURE]
    answer = client.say({"role": "user", "content": parts}, model="qwen-vl-max")
    assert "1 image" in answer


def test_text_parts_can_be_refused():
    """The service's documents disagree on lists for text models; a server made so refuses them."""
    with LocalDashScope(content_lists=False) as server:
        client = Client(server)
        with client.http:
            error = client.error({"role": "user", "content": [{"type": "text", "text": "Hello"}]})
    assert error["message"] == f"{ALGORITHM}input content must be a string."


def test_thinking_follows_the_catalogue(client):
    """By default, on request, never: a model thinks as its row says, and as the request says where it may."""
    assert "reasoning_content" in client.message("Hello", model="qwen3.7-plus")
    assert "reasoning_content" not in client.message("Hello", model="qwen3.7-plus", enable_thinking=False)
    assert "reasoning_content" not in client.message("Hello", model="qwen-plus")
    assert "reasoning_content" in client.message("Hello", model="qwen-plus", enable_thinking=True)
    assert "reasoning_content" not in client.message("Hello", model="qwen-max", enable_thinking=True)
    assert client.chunks("Hello", model="qwq-plus")[0]["choices"][0]["delta"]["reasoning_content"] == ""
    assert client.say("Hello", model="qwen3-32b", enable_thinking=False)


def test_a_prompt_over_the_models_limit_is_refused_by_its_token_count(client):
    """The limit is the catalogue's, in tokens of the whole prompt; one token less is answered."""
    limit = model_info("qwen-vl-ocr").max_input
    error = client.error("a " * (limit + 1), model="qwen-vl-ocr")
    assert error["message"] == f"{ALGORITHM}Range of input length should be [1, {limit}]"
    base = client.post("a", model="qwen-vl-ocr").json()["usage"]["prompt_tokens"]
    exact = "a" + " a" * (limit - base)
    assert client.post(exact, model="qwen-vl-ocr").json()["usage"]["prompt_tokens"] == limit
    client.error(exact + " a", model="qwen-vl-ocr")


def test_an_unknown_model_is_a_404(client):
    """The error has the gateway's key order and a request id; names of a self-hosted server are unknown too."""
    answer = client.post("Hello", model="qwen-nosuch")
    assert answer.status_code == 404
    body = answer.json()
    assert list(body) == ["error", "request_id"]
    assert list(body["error"]) == ["message", "type", "param", "code"]
    assert body["error"]["code"] == "model_not_found"
    assert "`qwen-nosuch`" in body["error"]["message"]
    client.error("Hello", model="Qwen/Qwen3-32B", status=404)


def test_a_model_of_the_other_protocol_is_a_404(client):
    """Qwen-Audio is there, but not over the compatible protocol."""
    answer = client.post("Hello", model="qwen-audio-turbo")
    error = answer.json()["error"]
    assert (answer.status_code, error["code"]) == (404, "model_not_supported")
    assert error["message"] == "Unsupported model `qwen-audio-turbo` for OpenAI compatibility mode."


def test_an_invalid_parameter_has_the_shape_of_the_models_front(client):
    """A 400 carries id and request_id, and its error keys stand in another order than the gateway's."""
    body = client.post("Hello", temperature=5).json()
    assert list(body) == ["error", "id", "request_id"]
    assert list(body["error"]) == ["code", "param", "message", "type"]
    assert body["id"] == f"chatcmpl-{body['request_id']}"


def test_keys(client):
    """A request without a key is a 401 with a null code; a wrong key, where one is set, is invalid_api_key."""
    missing = client.http.post("/chat/completions", json={}, headers={"authorization": ""})
    assert missing.status_code == 401
    assert missing.json()["error"]["code"] is None
    with LocalDashScope(api_key="sk-right") as server:
        made = Client(server)
        with made.http:
            assert made.say("Hello")
            wrong = made.http.post("/chat/completions", json={}, headers={"authorization": "Bearer sk-wrong"})
    assert wrong.status_code == 401
    assert wrong.json()["error"]["code"] == "invalid_api_key"


def test_a_body_that_is_no_json(client):
    """Broken JSON is a 400, not a crash."""
    answer = client.http.post("/chat/completions", content=b"{not json")
    assert answer.status_code == 400
    assert "Required body invalid" in answer.json()["error"]["message"]


def test_the_plain_route_has_none_of_these_rules(client):
    """`plain_url` is an OpenAI-compatible server without DashScope's rules: any model, thinking by template."""
    body = {"model": "my-qwen", "messages": [{"role": "user", "content": "Hello"}], "temperature": 2}
    url = f"{client.server.plain_url}/chat/completions"
    answer = client.http.post(url, json=body, headers={"authorization": ""}).json()
    assert "reasoning_content" not in answer["choices"][0]["message"]
    thinking = client.http.post(url, json={**body, "chat_template_kwargs": {"enable_thinking": True}}).json()
    assert thinking["choices"][0]["message"]["reasoning_content"]
