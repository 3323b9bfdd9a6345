"""The stand-in calls tools that fit and fills schemas from what the question says."""

import json

import pytest

from tests.testing.conftest import said, tool

WEATHER = tool(
    "get_weather",
    "Get the current weather in a given location",
    ("location",),
    location={"type": "string"},
    unit={"type": "string", "enum": ["celsius", "fahrenheit"]},
)
CITY = tool("get_weather", "查询一个城市的天气", city={"type": "string", "description": "城市名"})
ADDER = tool("my_adder_tool", "Returns a sum", a={"type": "integer"}, b={"type": "integer"})
CLOCK = tool("current_time", "Tells the time")


def calls(client, *texts, **more):
    """The calls of an answer as pairs of name and arguments."""
    made = client.message(*texts, **more).get("tool_calls", [])
    return [(call["function"]["name"], json.loads(call["function"]["arguments"])) for call in made]


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        ("What is the weather in San Francisco, CA?", [("get_weather", {"location": "San Francisco, CA"})]),
        ("What is the weather in Oslo in celsius?", [("get_weather", {"location": "Oslo", "unit": "celsius"})]),
        ("What is 3 + 4", [("my_adder_tool", {"a": 3, "b": 4})]),
        ("What is the value of my_adder_tool(1, -2)?", [("my_adder_tool", {"a": 1, "b": -2})]),
        ("What time is it?", [("current_time", {})]),
        ("Hello", []),
        ("What is my name?", []),
    ],
)
def test_the_tool_that_fits_is_called_with_what_the_question_says(client, question, expected):
    """A tool is called if the question shares words with it; arguments are the question's own phrases and numbers."""
    assert calls(client, question, tools=[WEATHER, ADDER, CLOCK]) == expected


def test_chinese_questions_fit_chinese_descriptions(client):
    """A description in the language of the question is enough; what is asked about is the argument."""
    assert calls(client, "北京今天天气怎么样？", tools=[ADDER, CITY]) == [("get_weather", {"city": "北京"})]


def test_parallel_calls_need_the_parameter(client):
    """With parallel_tool_calls there is one call for each thing asked about; without it there is one call."""
    asked = "What's the weather like in Paris and London today, and what time is it?"
    both = calls(client, asked, tools=[WEATHER, CLOCK], parallel_tool_calls=True)
    assert [args.get("location") for name, args in both if name == "get_weather"] == ["Paris", "London"]
    assert ("current_time", {}) in both
    assert len(calls(client, asked, tools=[WEATHER, CLOCK])) == 1
    chinese = calls(client, "上海和北京的天气怎么样？", tools=[CITY], parallel_tool_calls=True)
    assert [args["city"] for _, args in chinese] == ["上海", "北京"]


def test_tool_choice_is_obeyed(client):
    """The choice "none" forbids, "required" and a name force, even where nothing fits."""
    tools = [WEATHER, ADDER]
    assert calls(client, "What is 3 + 4", tools=tools, tool_choice="none") == []
    assert len(calls(client, "Hello", tools=tools, tool_choice="required")) == 1
    named = {"type": "function", "function": {"name": "my_adder_tool"}}
    assert calls(client, "Hello", tools=tools, tool_choice=named) == [("my_adder_tool", {"a": 1, "b": 1})]


def test_a_tool_is_not_called_again_after_its_result(client):
    """A tool loop ends: after a result it answers in words, and calls again for the next question."""
    first = client.message("What is 3 + 4", tools=[ADDER])
    result = {"role": "tool", "tool_call_id": first["tool_calls"][0]["id"], "content": "7"}
    assert client.say("What is 3 + 4", first, result, tools=[ADDER]) == "my_adder_tool returned: 7"
    again = calls(client, "What is 3 + 4", first, result, said("7"), "What is 5 + 6", tools=[ADDER])
    assert again == [("my_adder_tool", {"a": 5, "b": 6})]


def test_other_scripts_come_through(client):
    """Quoted names in any script are arguments as they are, unescaped on the wire."""
    customer = tool("create_customer", "Creates a customer", customer_name={"type": "string"})
    for name in ("你好啊集团", "こんにちは株式会社", "Ωmega"):
        answer = client.post(f"Create a customer named '{name}'", tools=[customer])
        assert name in answer.text
        assert calls(client, f"Create a customer named '{name}'", tools=[customer])[0][1]["customer_name"] == name


def test_a_schema_is_obeyed(client):
    """Enums, ranges, lengths, references, nested objects and optional fields come out valid."""
    schema = {
        "title": "Order",
        "type": "object",
        "$defs": {
            "Item": {
                "type": "object",
                "properties": {"name": {"type": "string"}, "count": {"type": "integer", "minimum": 1, "maximum": 2}},
                "required": ["name", "count"],
            }
        },
        "properties": {
            "customer_name": {"type": "string", "maxLength": 10},
            "items": {"type": "array", "items": {"$ref": "#/$defs/Item"}, "minItems": 2},
            "speed": {"enum": ["slow", "express"]},
            "paid": {"type": "boolean"},
            "kind": {"const": "order"},
            "price": {"anyOf": [{"type": "null"}, {"type": "number", "exclusiveMinimum": 0}]},
            "note": {"type": ["string", "null"]},
        },
        "required": ["customer_name", "items", "speed", "paid", "kind", "price"],
    }
    form = {"type": "json_schema", "json_schema": {"name": "Order", "schema": schema}}
    text = client.say(
        "Anna wants 9 pizzas, express delivery.", model="qwen3.7-plus", enable_thinking=False, response_format=form
    )
    made = json.loads(text)
    assert made["customer_name"] == "Anna"
    assert made["speed"] == "express"
    assert made["kind"] == "order"
    assert made["price"] > 0
    assert len(made["items"]) == 2
    assert all(item["name"] and 1 <= item["count"] <= 2 for item in made["items"])
    assert "note" not in made


def test_json_mode_has_the_keys_that_are_asked_for(client):
    """json_object gives an object with the quoted keys, or one with the answer."""
    form = {"type": "json_object"}
    asked = "Tell me a joke about cats. Return JSON with 'setup' and 'punchline' keys."
    made = json.loads(client.say(asked, response_format=form))
    assert list(made) == ["setup", "punchline"]
    assert all(made.values())
    answer = json.loads(client.say("我叫小王。", said("好"), "请用 JSON 回答：我叫什么？", response_format=form))
    assert answer == {"answer": "你说过：我叫小王。"}


def test_an_optional_field_is_filled_only_if_it_is_asked_for(client):
    """Saying "no punchline" leaves it out, "include the punchline" puts it in."""
    joke = tool("Joke", "Joke to tell user", ("setup",), setup={"type": "string"}, punchline={"type": "string"})
    ((_, without),) = calls(client, "Give me the setup to a joke about cats, no punchline.", tools=[joke])
    assert "punchline" not in without
    ((_, whole),) = calls(client, "Give me a joke about cats, include the punchline.", tools=[joke])
    assert whole["punchline"]
