"""Answers in a form, by each method and on each kind of model, with the model left as it was."""

from typing import Any

import pytest
from langchain_core.messages import SystemMessage
from pydantic import BaseModel, Field
from typing_extensions import TypedDict

from langchain_qwen_memory.chat_models import ChatQwen
from langchain_qwen_memory.testing import Reply
from tests.qwen.ways import all_ways, answer_by, chunks_by, over_both

ANSWER = '{"city": "杭州", "people": 12}'
CALL = {"name": "City", "args": {"city": "杭州", "people": 12}}


class City(BaseModel):
    """A city."""

    city: str = Field(description="Its name.")
    people: int


class CityDict(TypedDict):
    """A city."""

    city: str
    people: int


SCHEMAS: dict[str, Any] = {"class": City, "typed dict": CityDict, "schema": City.model_json_schema()}
METHODS = ["json_schema", "function_calling", "json_mode", None]
MODELS = [
    {"model": "qwen-plus"},
    {"model": "qwen-plus", "enable_thinking": True},
    {"model": "qwen3.7-plus"},
    {"model": "qwen3-32b"},
]


def script(server, name="City", **more):
    """Answers in text or by the call, whichever is asked for."""
    call = {"name": name, "args": CALL["args"]}
    server.script(Reply(tool_calls=[call], **more), when=lambda body: bool(body.get("tools")))
    server.script(Reply(content=ANSWER, **more), when=lambda body: not body.get("tools"))


@all_ways
@pytest.mark.parametrize("options", MODELS)
@pytest.mark.parametrize(("method", "kind"), [(m, k) for m in METHODS for k in SCHEMAS])
def test_every_method_gives_the_object_on_every_model(server, way, options, method, kind):
    """Where a model does not take the method, what it takes is used instead."""
    script(server, "CityDict" if kind == "typed dict" else "City")
    model = ChatQwen(base_url=server.base_url, api_key="sk-local", **options)
    form = model.with_structured_output(SCHEMAS[kind], method=method)
    answer = chunks_by(way, form, "Give me a city as json.")[-1]
    expected = {"city": "杭州", "people": 12}
    assert answer == (City(**expected) if kind == "class" else expected)


@over_both
def test_a_schema_is_sent_where_the_model_takes_it(server, qwen, sent):
    """As the service's own parameter, thinking left on."""
    script(server)
    qwen("qwen3.7-plus").with_structured_output(City, strict=True).invoke("A city.")
    body = sent()
    assert body["response_format"]["type"] == "json_schema"
    assert body["response_format"]["json_schema"]["strict"] is True
    assert set(body["response_format"]["json_schema"]["schema"]["properties"]) == {"city", "people"}
    assert "enable_thinking" not in body


@over_both
def test_elsewhere_the_schema_is_said_in_words(server, qwen, sent):
    """In JSON mode, at the end of the system message."""
    script(server)
    qwen().with_structured_output(City, method="json_schema").invoke([SystemMessage("Be brief."), ("user", "A city.")])
    body = sent()
    assert body["response_format"] == {"type": "json_object"}
    assert body["messages"][0]["content"].startswith("Be brief.\n\n")
    assert '"people"' in body["messages"][0]["content"]


@over_both
def test_the_word_that_json_mode_needs_is_added(server, qwen, sent):
    """The service refuses JSON mode without it; where it stands already, nothing is added."""
    script(server)
    form = qwen().with_structured_output(None, method="json_mode")
    form.invoke("Give me a city.")
    assert "JSON" in sent()["messages"][0]["content"]
    script(server)
    form.invoke("Give me a city as json.")
    assert [m["role"] for m in sent()["messages"]] == ["user"]


@over_both
@pytest.mark.parametrize("method", ["json_mode", "function_calling"])
def test_thinking_is_off_where_the_service_demands_it(server, qwen, sent, method):
    """For that call only."""
    script(server)
    model = qwen("qwen3.7-plus")
    model.with_structured_output(City, method=method).invoke("A city as json.")
    assert sent()["enable_thinking"] is False
    assert model.enable_thinking is None
    server.reset()
    assert model.invoke("go").additional_kwargs["reasoning_content"]


@over_both
@all_ways
def test_a_model_that_always_thinks_is_asked_in_words(server, qwen, sent, way):
    """It has no JSON mode; the form is asked for, with a warning, and its thinking does not get into it."""
    server.script(Reply(content=ANSWER, reasoning="A city with people: {}"))
    with pytest.warns(UserWarning, match="only asked in words"):
        answer = chunks_by(way, qwen("qwq-plus").with_structured_output(City), "A city.")[-1]
    assert answer == City(city="杭州", people=12)
    assert "response_format" not in sent()
    assert '"people"' in sent()["messages"][0]["content"]


@over_both
@all_ways
@pytest.mark.parametrize("method", ["json_schema"])
def test_thinking_is_kept_beside_the_object(server, qwen, way, method):
    """With include_raw, streamed as well."""
    server.script(Reply(content=ANSWER, reasoning="A large one."))
    form = qwen("qwen3.7-plus").with_structured_output(City, method=method, include_raw=True)
    answer = answer_by(way, form, "A city.")
    assert answer["parsed"] == City(city="杭州", people=12)
    assert answer["parsing_error"] is None
    assert answer["raw"].additional_kwargs["reasoning_content"] == "A large one."


@over_both
@pytest.mark.parametrize("way", ["invoke", "ainvoke"])
def test_a_failed_reading_is_given_and_not_raised(server, qwen, way):
    """With include_raw the caller sees what came."""
    server.script(Reply(content="no json"))
    form = qwen("qwen3.7-plus").with_structured_output(City, include_raw=True)
    answer = answer_by(way, form, "A city.")
    assert answer["parsed"] is None
    assert answer["parsing_error"] is not None
    assert answer["raw"].text == "no json"


@over_both
def test_objects_are_streamed_as_they_grow(server, qwen):
    """Dicts come in pieces that become fuller."""
    script(server)
    pieces = list(qwen("qwen3.7-plus").with_structured_output(SCHEMAS["schema"]).stream("A city."))
    assert pieces[-1] == {"city": "杭州", "people": 12}
    assert len(pieces) > 1


def test_a_server_of_ones_own_takes_schemas(server, own_qwen, sent):
    """All of them do, whatever the model, and think meanwhile."""
    script(server)
    own_qwen(enable_thinking=True).with_structured_output(City).invoke("A city.")
    assert sent()["response_format"]["type"] == "json_schema"
    assert sent()["chat_template_kwargs"] == {"enable_thinking": True}


@all_ways
def test_inline_thinking_does_not_get_into_the_object(server, own_qwen, way):
    """Text before the JSON, from a server without a parser."""
    text = f"<think>{{}} maybe</think>\n{ANSWER}"
    chunk = {"choices": [{"index": 0, "delta": {"content": text}, "finish_reason": "stop"}]}
    body = {"choices": [{"index": 0, "message": {"content": text}, "finish_reason": "stop"}]}
    server.script(Reply(body=body) if "invoke" in way else Reply(chunks=[chunk]))
    assert chunks_by(way, own_qwen().with_structured_output(City), "A city.")[-1] == City(city="杭州", people=12)


@over_both
def test_a_form_can_be_bound_beside_tools(server, qwen, sent):
    """As create_agent does for models that take schemas."""
    script(server)
    definition = {"type": "function", "function": {"name": "f", "description": "F", "parameters": {"type": "object"}}}
    qwen("qwen3.7-plus").bind_tools([definition], response_format=City).invoke("A city.")
    assert sent()["response_format"]["json_schema"]["name"] == "City"
    assert sent()["tools"][0]["function"]["name"] == "f"
