"""What reaches the wire: every option, said once for all calls, for one call, or through bind."""

import json

import httpx
import pytest
from langchain_core.messages import AIMessage, ChatMessage, HumanMessage, SystemMessage, ToolMessage
from pydantic import SecretStr

from langchain_qwen_memory.chat_models import ChatQwen
from langchain_qwen_memory.qwen.endpoints import server_of
from langchain_qwen_memory.testing import LocalDashScope, Reply
from tests.qwen.ways import all_ways, answer_by, over_both

OPTIONS = {
    "model": "qwen-flash",
    "temperature": 0.3,
    "top_p": 0.7,
    "top_k": 20,
    "max_tokens": 77,
    "seed": 12,
    "stop": ["###"],
    "presence_penalty": 0.5,
    "repetition_penalty": 1.05,
    "enable_thinking": True,
    "preserve_thinking": False,
    "enable_search": True,
    "search_options": {"forced_search": True},
    "character_options": {"profile": "You are Jiang Rang."},
    "vl_high_resolution_images": True,
}


@over_both
@pytest.mark.parametrize("option", OPTIONS)
@pytest.mark.parametrize("place", ["object", "call", "bind"])
@all_ways
def test_every_option_reaches_the_body(qwen, sent, way, place, option):
    """Under the service's own name and at its top level, wherever it was said."""
    said = {option: OPTIONS[option]}
    if place == "object":
        answer_by(way, qwen(**said))
    elif place == "call":
        answer_by(way, qwen(), **said)
    else:
        answer_by(way, qwen().bind(**said))
    assert sent()[option] == OPTIONS[option]


@over_both
@pytest.mark.parametrize("option", [*OPTIONS, "thinking_budget", "reasoning_effort"])
def test_a_call_comes_before_the_object(qwen, sent, option):
    """What one call says holds for it, and for it only."""
    both = OPTIONS | {"thinking_budget": 100, "reasoning_effort": "low"}
    others = {
        "model": "qwen-plus",
        "temperature": 0.4,
        "top_p": 0.8,
        "top_k": 5,
        "max_tokens": 7,
        "seed": 1,
        "stop": ["+"],
        "presence_penalty": 0.1,
        "repetition_penalty": 1.2,
        "enable_thinking": False,
        "preserve_thinking": True,
        "enable_search": False,
        "search_options": {"forced_search": False},
        "character_options": {"profile": "You are somebody else."},
        "vl_high_resolution_images": False,
        "thinking_budget": 9,
        "reasoning_effort": "medium",
    }
    other = others[option]
    model = qwen(**{option: both[option]})
    model.invoke("go", **{option: other})
    assert sent()[option] == other
    model.invoke("go")
    assert sent()[option] == both[option]


@over_both
def test_options_that_are_not_given_are_not_sent(qwen, sent):
    """The service's defaults stay its own."""
    qwen().invoke("go")
    assert sent() == {"model": "qwen-plus", "messages": [{"role": "user", "content": "go"}]}


@pytest.mark.parametrize("way", ["stream", "astream"])
def test_a_stream_asks_for_its_usage(qwen, sent, way):
    """Without asking, no counter would work."""
    assert answer_by(way, qwen()).usage_metadata["output_tokens"] > 0
    assert sent()["stream"] is True
    assert sent()["stream_options"] == {"include_usage": True}


@over_both
def test_a_stream_can_go_without_usage(qwen, sent):
    """For proxies that do not know the option."""
    assert answer_by("stream", qwen(stream_usage=False)).usage_metadata is None
    assert "stream_options" not in sent()


@over_both
@all_ways
def test_extra_body_of_a_call_is_merged_into_the_objects(qwen, sent, way):
    """Whatever the service will learn can be said today, in part here and in part there."""
    model = qwen(extra_body={"a": 1, "nested": {"x": 1, "y": 1}}, enable_thinking=True)
    answer_by(way, model, extra_body={"b": 2, "nested": {"y": 2}})
    body = sent()
    assert (body["a"], body["b"], body["nested"]) == (1, 2, {"x": 1, "y": 2})
    assert body["enable_thinking"] is True
    assert "extra_body" not in body


@over_both
def test_thinking_said_in_extra_body_follows_the_same_rules(qwen, sent):
    """Where people had to write it so far, it may stay: a forced tool call still switches it off."""
    model = qwen(extra_body={"enable_thinking": True})
    model.invoke("go")
    assert sent()["enable_thinking"] is True
    model.invoke("go", tools=[TOOL], tool_choice="required")
    assert sent()["enable_thinking"] is False


TOOL = {
    "type": "function",
    "function": {"name": "f", "description": "F.", "parameters": {"type": "object", "properties": {}}},
}


@over_both
@all_ways
def test_a_call_never_changes_the_object(qwen, way):
    """Whatever is asked of one call, the object is afterwards what it was."""
    model = qwen(extra_body={"a": {"b": 1}}, enable_thinking=True, stop=["x"])
    before = json.dumps(model.model_dump(mode="json", exclude={"callbacks", "profile"}), default=str, sort_keys=True)
    asks = [
        {"extra_body": {"a": {"c": 2}}, "enable_thinking": False},
        {"tools": [TOOL], "tool_choice": "any"},
        {"response_format": {"type": "json_object"}},
        {"model": "qwq-plus", "thinking_budget": 10, "timeout": 3, "max_retries": 0},
    ]
    for ask in asks:
        answer_by(way, model, **ask)
    model.with_structured_output({"title": "t", "description": "T.", "type": "object", "properties": {}}).invoke("json")
    after = json.dumps(model.model_dump(mode="json", exclude={"callbacks", "profile"}), default=str, sort_keys=True)
    assert after == before
    assert model.extra_body == {"a": {"b": 1}}


# --- where a request goes ---


def url_of(**options):
    """The URL a model calls."""
    return ChatQwen(api_key="sk-1", **options).openai_api_base


def test_without_a_word_it_is_beijing():
    """As most people's keys are from there."""
    assert url_of() == "https://dashscope.aliyuncs.com/compatible-mode/v1"


@pytest.mark.parametrize(
    ("region", "public", "region_id"),
    [
        ("beijing", "dashscope.aliyuncs.com", "cn-beijing"),
        ("singapore", "dashscope-intl.aliyuncs.com", "ap-southeast-1"),
        ("us", "dashscope-us.aliyuncs.com", "us-east-1"),
        ("hongkong", "cn-hongkong.dashscope.aliyuncs.com", "cn-hongkong"),
        ("tokyo", None, "ap-northeast-1"),
        ("frankfurt", None, "eu-central-1"),
    ],
)
def test_a_region_gives_the_url(region, public, region_id):
    """Public hosts where there are some; a workspace has a host of its own everywhere."""
    assert url_of(region=region, workspace="ws1") == f"https://ws1.{region_id}.maas.aliyuncs.com/compatible-mode/v1"
    assert url_of(region=region_id, workspace="ws1") == url_of(region=region, workspace="ws1")
    if public:
        assert url_of(region=region) == f"https://{public}/compatible-mode/v1"
    else:
        with pytest.raises(ValueError, match="give workspace="):
            url_of(region=region)


def test_what_contradicts_itself_is_refused():
    """One place to say where to call; a region that is none names those that are."""
    with pytest.raises(ValueError, match="both say where to call"):
        url_of(region="us", base_url="http://localhost:8000/v1")
    with pytest.raises(ValueError, match="beijing, singapore"):
        url_of(region="mars")
    with pytest.raises(ValueError, match=r"'vllm', 'sglang', 'llama\.cpp'"):
        url_of(server="tgi")


def test_what_is_said_in_code_comes_before_the_variables(monkeypatch):
    """The variables are for what the code leaves open."""
    monkeypatch.setenv("DASHSCOPE_API_BASE", "https://proxy.example/compatible-mode/v1")
    monkeypatch.setenv("DASHSCOPE_API_KEY", "sk-of-the-variable")
    assert ChatQwen().openai_api_base == "https://proxy.example/compatible-mode/v1"
    assert ChatQwen(region="singapore").openai_api_base == "https://dashscope-intl.aliyuncs.com/compatible-mode/v1"
    assert ChatQwen(base_url="http://localhost:1/v1").openai_api_base == "http://localhost:1/v1"
    assert ChatQwen(api_key="sk-of-the-code").openai_api_key.get_secret_value() == "sk-of-the-code"


def test_the_service_needs_a_key_and_ones_own_server_does_not():
    """The error names the variable."""
    with pytest.raises(ValueError, match="DASHSCOPE_API_KEY"):
        ChatQwen()
    assert ChatQwen(base_url="http://localhost:8000/v1").openai_api_key is None


@pytest.mark.parametrize(
    ("url", "kind"),
    [
        ("https://dashscope.aliyuncs.com/compatible-mode/v1", "dashscope"),
        ("https://ws-1.cn-beijing.maas.aliyuncs.com/compatible-mode/v1", "dashscope"),
        ("https://vpc-cn-beijing.dashscope.aliyuncs.com/v1", "dashscope"),
        ("http://gateway.local/qwen/compatible-mode/v1", "dashscope"),
        ("http://gateway.local/compatible-mode", "dashscope"),
        ("http://localhost:8000/v1", "self-hosted"),
        ("https://my-dashscope.example.com/v1", "self-hosted"),
        ("https://dashscope.aliyuncs.com.example.com/v1", "self-hosted"),
        ("http://1234.cn-beijing.pai-eas.aliyuncs.com/api/predict/qwen/v1", "self-hosted"),
    ],
)
def test_what_answers_at_a_url(url, kind):
    """Alibaba's own hosts and the path of its protocol are the service; all else is somebody's own server."""
    assert server_of(url) == kind
    assert server_of(url, "vllm") == "vllm"


def test_a_region_comes_before_one_of_alibabas_own_urls():
    """So that a model can be configured to another region later, where its URL stands already."""
    beijing = url_of()
    assert url_of(base_url=beijing, region="us") == url_of(region="us")
    assert url_of(base_url=url_of(region="singapore"), workspace="w") == url_of(region="singapore", workspace="w")


@over_both
@all_ways
def test_a_call_may_go_elsewhere_with_another_key(qwen, server, way):
    """URL, key and the rest of the way belong to the call then; the object goes where it went."""
    with LocalDashScope(api_key="sk-other") as other:
        model = qwen()
        answer_by(way, model, base_url=other.base_url, api_key="sk-other", max_retries=0, timeout=5)
        answer_by(way, model)
        assert [r.headers["authorization"] for r in other.requests] == ["Bearer sk-other"]
        assert [r.headers["authorization"] for r in server.requests] == ["Bearer sk-local"]
        assert "api_key" not in other.requests[0].body


@over_both
@all_ways
def test_a_callers_own_http_clients_are_used(qwen, server, way):
    """For proxies, certificates and hooks; also for one call only."""
    one_call_each = httpx.Limits(max_keepalive_connections=0)
    marks = {
        "http_client": httpx.Client(headers={"x-mark": "s"}, limits=one_call_each),
        "http_async_client": httpx.AsyncClient(headers={"x-mark": "a"}, limits=one_call_each),
    }
    answer_by(way, qwen(**marks))
    answer_by(way, qwen(), **marks)
    assert [r.headers["x-mark"] for r in server.requests] == ["a" if way.startswith("a") else "s"] * 2


@over_both
def test_headers_may_be_added(qwen, server):
    """To all calls, or to one."""
    qwen(default_headers={"x-all": "1"}).invoke("go", extra_headers={"x-one": "2"})
    headers = server.requests[-1].headers
    assert (headers["x-all"], headers["x-one"]) == ("1", "2")


@over_both
def test_another_companys_settings_stay_at_home(monkeypatch, qwen, server):
    """OpenAI's organisation in the environment is not told to Alibaba."""
    monkeypatch.setenv("OPENAI_ORG_ID", "org-secret")
    monkeypatch.setenv("OPENAI_PROJECT_ID", "proj-secret")
    qwen().invoke("go")
    assert "secret" not in json.dumps(dict(server.requests[-1].headers))


def test_the_key_shows_nowhere(qwen):
    """Neither in the object's text, nor in what is traced, nor in what is written down."""
    from langchain_core.load import dumps

    model = qwen(api_key="sk-hidden-1")
    shown = [repr(model), str(model), dumps(model), str(model._get_invocation_params(api_key="sk-hidden-1"))]
    assert isinstance(model.openai_api_key, SecretStr)
    assert not [text for text in shown if "sk-hidden" in text]


# --- names people come with ---

SHARED_NAMES = {
    "ChatTongyi": [
        "model",
        "model_name",
        "top_p",
        "dashscope_api_key",
        "api_key",
        "streaming",
        "max_retries",
        "model_kwargs",
    ],
    "ChatQwen of langchain-qwq": [
        *(
            "model",
            "model_name",
            "api_key",
            "api_base",
            "base_url",
            "temperature",
            "max_tokens",
            "timeout",
            "max_retries",
        ),
        *("enable_thinking", "thinking_budget", "streaming", "top_p", "stop", "extra_body", "model_kwargs"),
    ],
    "ChatOpenAI": [
        *(
            "model",
            "openai_api_key",
            "openai_api_base",
            "request_timeout",
            "stop_sequences",
            "seed",
            "presence_penalty",
        ),
        *("frequency_penalty", "logprobs", "top_logprobs", "n", "default_headers", "http_client", "reasoning_effort"),
    ],
}
VALUES = {
    "model": "qwen-max",
    "model_name": "qwen-max",
    "top_p": 0.5,
    "streaming": True,
    "max_retries": 1,
    "temperature": 0.1,
    **dict.fromkeys(("dashscope_api_key", "api_key", "openai_api_key"), "sk-2"),
    **dict.fromkeys(("api_base", "base_url", "openai_api_base"), "http://127.0.0.1:9/v1"),
    "max_tokens": 5,
    "timeout": 3,
    "request_timeout": 3,
    "enable_thinking": True,
    "thinking_budget": 9,
    "stop": ["a"],
    "stop_sequences": ["a"],
    "extra_body": {"a": 1},
    "model_kwargs": {"b": 1},
    "seed": 1,
    "presence_penalty": 0.1,
    "frequency_penalty": 0.1,
    "logprobs": True,
    "top_logprobs": 2,
    "n": 2,
    "default_headers": {"a": "b"},
    "http_client": None,
    "reasoning_effort": "low",
}
FIELDS = {
    **dict.fromkeys(("dashscope_api_key", "api_key"), "openai_api_key"),
    **dict.fromkeys(("api_base", "base_url"), "openai_api_base"),
    "model": "model_name",
    "timeout": "request_timeout",
    "stop_sequences": "stop",
}


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(("package", "name"), [(p, n) for p, names in SHARED_NAMES.items() for n in names])
def test_users_of_other_packages_change_only_the_import(package, name):
    """Each option that another package's chat model has is taken under its name there."""
    model = ChatQwen(**{"api_key": "sk-1", name: VALUES[name]} if "api_key" not in name else {name: VALUES[name]})
    value = getattr(model, FIELDS.get(name, name))
    assert (value.get_secret_value() if isinstance(value, SecretStr) else value) == VALUES[name]


# --- messages ---


@over_both
def test_each_kind_of_message_has_its_role(qwen, server, sent):
    """System, user, assistant with calls, tool; names go along."""
    server.script(Reply(content="done"))
    call = {"name": "f", "args": {"城市": "杭州"}, "id": "call_1", "type": "tool_call"}
    qwen().invoke(
        [
            SystemMessage("Be brief."),
            HumanMessage("hi", name="alice"),
            AIMessage("", tool_calls=[call]),
            ToolMessage("sunny", tool_call_id="call_1"),
            ChatMessage("and now?", role="user"),
        ]
    )
    assert sent()["messages"] == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "hi", "name": "alice"},
        {
            "role": "assistant",
            "content": "",
            "tool_calls": [
                {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": '{"城市": "杭州"}'}}
            ],
        },
        {"role": "tool", "tool_call_id": "call_1", "content": "sunny"},
        {"role": "user", "content": "and now?"},
    ]


@over_both
def test_lists_of_text_become_one_string(qwen, sent):
    """Models without eyes take no lists; the template would join them the same way."""
    blocks = [{"type": "text", "text": "Be "}, "brief."]
    qwen().invoke([SystemMessage(blocks), HumanMessage(blocks), AIMessage(blocks), HumanMessage("?")])
    assert [m["content"] for m in sent()["messages"]] == ["Be brief."] * 3 + ["?"]


def test_a_marked_prefix_keeps_its_mark(qwen, sent):
    """The explicit cache goes by a mark on a block, which therefore stays a block."""
    block = {"type": "text", "text": "long", "cache_control": {"type": "ephemeral"}}
    qwen().invoke([SystemMessage([block]), HumanMessage("?")])
    assert sent()["messages"][0]["content"] == [block]


@over_both
def test_an_answer_may_be_begun(qwen, sent):
    """A last assistant message marked partial is gone on with."""
    qwen().invoke([HumanMessage("count"), AIMessage("1, 2,", additional_kwargs={"partial": True})])
    assert sent()["messages"][-1] == {"role": "assistant", "content": "1, 2,", "partial": True}


@over_both
def test_broken_calls_are_sent_back_as_they_came(qwen, sent):
    """The model then sees what it wrote, beside the tool message that complains."""
    broken = {"name": "f", "args": '{"a": ', "id": "call_1", "error": "no JSON", "type": "invalid_tool_call"}
    qwen().invoke(
        [HumanMessage("go"), AIMessage("", invalid_tool_calls=[broken]), ToolMessage("no JSON", tool_call_id="call_1")]
    )
    assert sent()["messages"][1]["tool_calls"][0]["function"] == {"name": "f", "arguments": '{"a": '}
