"""ChatDashScope on its way to the service: whose settings hold, what is sent again, what is closed, what leaks."""

import asyncio
import gc
import http.server
import json
import threading
from contextlib import contextmanager

import dashscope
import httpx
import pytest
from langchain_core.load import dumpd, dumps, load
from langchain_core.messages import AIMessage, HumanMessage
from pydantic import SecretStr

import langchain_qwen_memory
from langchain_qwen_memory.dashscope import ChatDashScope
from langchain_qwen_memory.qwen import model_errors
from langchain_qwen_memory.testing import Fault, LocalDashScope, Reply
from tests.qwen.ways import WAYS, all_ways, answer_by, chunks_by

pytestmark = pytest.mark.parametrize("protocol", ["native"])

FRAMES = [f"https://a.example/{n}.png" for n in range(4)]
TEXT, MEDIA = "text-generation/generation", "multimodal-generation/generation"


@contextmanager
def raw_server(answer):
    """A server on loopback that answers each POST by `answer(handler, body)`; yields its URL and what it was sent."""
    seen = []

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self):
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            seen.append({"headers": dict(self.headers), "body": json.loads(body), "path": self.path})
            answer(self, len(seen))

        def log_message(self, *_):
            """Says nothing."""

    listener = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    listener.daemon_threads = True
    thread = threading.Thread(target=listener.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.server_address[1]}/api/v1", seen
    finally:
        listener.shutdown()
        listener.server_close()
        thread.join()


def send(handler, status, body, **headers):
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    handler.send_response(status)
    for name, value in {"content-type": "application/json", **headers}.items():
        handler.send_header(name.replace("_", "-"), value)
    handler.send_header("content-length", str(len(data)))
    handler.end_headers()
    handler.wfile.write(data)


# --- whose settings hold ---


def test_the_module_has_the_sdks_name_and_not_its_place(protocol):
    """`import dashscope` is the SDK, and the package exports the model."""
    assert dashscope.Client.__module__.startswith("dashscope.")
    assert langchain_qwen_memory.ChatDashScope is ChatDashScope


@all_ways
def test_the_sdks_globals_are_neither_asked_nor_changed(server, qwen, monkeypatch, tmp_path, way):
    """Other code in the process may use the SDK with other keys, hosts and workspaces."""
    elsewhere = "https://elsewhere.invalid/api/v1"
    config = tmp_path / "config.toml"
    config.write_text('api_key = "sk-file"\nbase_url = "https://elsewhere.invalid"\nworkspace = "ws-file"\n')
    monkeypatch.setattr(dashscope, "api_key", "sk-global")
    monkeypatch.setattr(dashscope, "base_http_api_url", elsewhere)
    monkeypatch.setenv("DASHSCOPE_API_REGION", "no-such-region")
    monkeypatch.setenv("DASHSCOPE_WORKSPACE_ID", "ws-env")
    monkeypatch.setenv("DASHSCOPE_MAX_RETRIES", "9")
    monkeypatch.setenv("DASHSCOPE_CONFIG_PATH", str(config))
    assert answer_by(way, qwen()).text
    headers = server.requests[-1].headers
    assert headers["authorization"] == "Bearer sk-local"
    assert "x-dashscope-workspace" not in headers
    assert (dashscope.api_key, dashscope.base_http_api_url) == ("sk-global", elsewhere)
    assert dashscope.settings.get_explicit("api_key") is None


@pytest.mark.parametrize(
    ("options", "url"),
    [
        ({}, "https://dashscope.aliyuncs.com/api/v1"),
        ({"region": "singapore"}, "https://dashscope-intl.aliyuncs.com/api/v1"),
        ({"region": "frankfurt", "workspace": "w"}, "https://w.eu-central-1.maas.aliyuncs.com/api/v1"),
        (
            {"base_url": "https://dashscope-us.aliyuncs.com/compatible-mode/v1"},
            "https://dashscope-us.aliyuncs.com/api/v1",
        ),
        ({"base_url": "https://gate.example/qwen/api/v1/"}, "https://gate.example/qwen/api/v1"),
    ],
)
def test_regions_and_workspaces_are_those_of_the_other_protocol(protocol, options, url):
    """A URL of the compatible protocol serves as well."""
    assert ChatDashScope(api_key="sk-local", **options).base_url == url


def test_the_variables_are_those_of_both(protocol, monkeypatch):
    """This package's and the SDK's; what is said in code comes first."""
    monkeypatch.setenv("DASHSCOPE_API_KEY", "sk-v")
    monkeypatch.setenv("DASHSCOPE_HTTP_BASE_URL", "https://sdk.example/api/v1")
    assert ChatDashScope().base_url == "https://sdk.example/api/v1"
    monkeypatch.setenv("DASHSCOPE_API_BASE", "https://ours.example/compatible-mode/v1")
    assert ChatDashScope().base_url == "https://ours.example/api/v1"
    assert ChatDashScope(region="us").base_url == "https://dashscope-us.aliyuncs.com/api/v1"


def test_a_key_is_needed(protocol):
    """And the error says where it goes."""
    with pytest.raises(ValueError, match="set DASHSCOPE_API_KEY or give api_key="):
        ChatDashScope()


def test_a_workspace_is_named_to_the_service(server, qwen):
    """In the SDK's own header."""
    qwen().invoke("go")
    assert "x-dashscope-workspace" not in server.requests[-1].headers
    with _to(server) as own:
        model = ChatDashScope(api_key="sk-local", workspace="ws-1", http_client=own)
        model.invoke("go")
        assert server.requests[-1].headers["x-dashscope-workspace"] == "ws-1"
        model.invoke("go", region="us")
        assert "x-dashscope-workspace" not in server.requests[-1].headers


def _to(server):
    """A client that takes every host for the local one."""
    host, port = server.url.removeprefix("http://").split(":")

    class Here(httpx.HTTPTransport):
        def handle_request(self, request):
            request.url = request.url.copy_with(scheme="http", host=host, port=int(port))
            request.headers["host"] = f"{host}:{port}"
            return super().handle_request(request)

    return httpx.Client(transport=Here())


@pytest.mark.parametrize(
    ("model", "path"),
    [
        ("qwen-plus", TEXT),
        ("qwen3.7-max", TEXT),
        ("qwen3.7-plus", MEDIA),
        ("qwen-vl-max", MEDIA),
        ("qwen3.8-max", MEDIA),
    ],
)
@all_ways
def test_the_catalogue_says_which_way_a_model_goes(server, qwen, model, path, way):
    """Models that see are served by multimodal generation only, be they asked in text alone."""
    assert answer_by(way, qwen(model)).text
    assert server.requests[-1].path.endswith(path)


def test_of_a_model_too_new_for_the_catalogue_the_user_says_it(protocol):
    """Else its messages say it; a wrong way is an error that names the option."""
    good = {"output": {"choices": [{"message": {"content": "ok"}, "finish_reason": "stop"}]}, "usage": {}}
    wrong = {"code": "InvalidParameter", "message": "url error, please check url！", "request_id": "r"}

    def answer(handler, number):
        is_right = handler.path.endswith(MEDIA)
        send(handler, 200 if is_right else 400, good if is_right else wrong)

    picture = {"type": "image", "url": "https://a.example/cat.png"}
    with raw_server(answer) as (url, _):
        model = ChatDashScope(model="qwen9-plus", base_url=url, api_key="sk-local")
        with pytest.raises(model_errors.QwenInvalidRequestError, match="multimodal=True"):
            model.invoke("go")
        assert model.invoke("go", multimodal=True).text == "ok"
        assert model.invoke([HumanMessage([picture])]).text == "ok"
        model.close()


# --- what is sent again ---


@pytest.mark.parametrize("way", WAYS)
def test_what_was_sent_and_lost_is_not_sent_again(protocol, way):
    """It may have been answered, and billed; the error is the other protocol's."""

    def drop(handler, number):
        handler.close_connection = True
        handler.connection.close()

    with raw_server(drop) as (url, seen):
        model = ChatDashScope(base_url=url, api_key="sk-local", max_retries=5)
        with pytest.raises(model_errors.QwenConnectionError):
            answer_by(way, model)
        assert len(seen) == 1
        model.close()


@pytest.mark.parametrize("way", WAYS)
def test_silence_is_not_asked_again_either(server, qwen, way):
    """The service may still be at it."""
    server.misbehave(Fault.hang())
    with pytest.raises(model_errors.QwenTimeoutError):
        answer_by(way, qwen(timeout=0.2, max_retries=5))
    assert len(server.requests) <= 1


@pytest.mark.parametrize("way", WAYS)
def test_what_was_refused_for_the_moment_is_sent_again(server, qwen, way):
    """As often as was said, at the pace the service asks for."""
    server.misbehave(Fault.unavailable(), times=2)
    assert answer_by(way, qwen(max_retries=2)).text
    assert [one.status for one in server.requests] == [503, 503, 200]


@pytest.mark.parametrize(("headers", "times"), [({"x_should_retry": "false"}, 1), ({"retry_after_ms": "1"}, 3)])
def test_the_service_may_say_whether_and_when(protocol, headers, times):
    """In the SDK's headers."""
    busy = {"code": "Throttling", "message": "busy", "request_id": "r"}
    with raw_server(lambda handler, number: send(handler, 429, busy, **headers)) as (url, seen):
        model = ChatDashScope(base_url=url, api_key="sk-local", max_retries=2)
        with pytest.raises(model_errors.QwenRateLimitError, match="request id r"):
            model.invoke("go")
        assert len(seen) == times
        model.close()


FRAMED = {
    "wrong key": (Fault.unauthorized(), model_errors.QwenAuthenticationError),
    "forbidden": (Fault.forbidden(), model_errors.QwenPermissionDeniedError),
    "unknown model": (Fault.not_found(), model_errors.QwenModelNotFoundError),
    "too many": (Fault.rate_limit(), model_errors.QwenRateLimitError),
    "too long": (Fault.overflow(), model_errors.QwenContextOverflowError),
    "inspected": (Fault.inspected_input(), model_errors.QwenContentInspectionError),
    "internal": (Fault.internal(), model_errors.QwenServerError),
    "unavailable": (Fault.unavailable(), model_errors.QwenServerError),
}


@pytest.mark.parametrize("case", FRAMED)
@pytest.mark.parametrize("framing", ["json", "event", "labelled", "nested"])
@all_ways
def test_a_refusal_is_the_same_error_however_it_is_framed(server, qwen, framing, case, way):
    """As JSON, as an event under status 200, as an event that is labelled JSON, or nested."""
    fault, kind = FRAMED[case]
    server.misbehave(fault.framed(framing))
    with pytest.raises(kind):
        answer_by(way, qwen(max_retries=0))


@pytest.mark.parametrize("way", ["stream", "astream"])
def test_an_error_within_a_stream_has_the_status_that_stands_in_it(server, qwen, way):
    """Not that of the stream, which began well."""
    server.misbehave(Fault.error_in_stream(after=2))
    with pytest.raises(model_errors.QwenServerError) as caught:
        answer_by(way, qwen())
    assert caught.value.status_code == 500


# --- whole texts ---


@pytest.mark.parametrize(
    "text", ["na na na na na na na na batman", "哈哈哈哈哈哈", "a", "", "one two three 🙂 four", "11111111"]
)
@pytest.mark.parametrize("whole", [False, True])
@pytest.mark.parametrize("size", [1, 2, 4])
@pytest.mark.parametrize("way", ["stream", "astream"])
def test_nothing_is_lost_or_said_twice(protocol, text, whole, size, way):
    """Whether a model sends what is new or, though asked for that, all so far; repeating texts do not mislead."""
    with LocalDashScope(chunk_size=size) as server:
        server.script(Reply(content=text, reasoning="so so so", whole_so_far=whole))
        model = ChatDashScope(base_url=server.native_url, api_key="sk-local", enable_thinking=True)
        answer = answer_by(way, model)
        assert answer.text == text
        assert answer.additional_kwargs["reasoning_content"] == "so so so"
        model.close()


@pytest.mark.parametrize("whole", [False, True])
@all_ways
def test_calls_come_whole_too(server, qwen, whole, way):
    """Several at once."""
    calls = [{"name": "f", "args": args, "id": f"c{n}"} for n, args in enumerate([{"a": 11}, {"a": 11}, {}], 1)]
    tool = {"type": "function", "function": {"name": "f", "description": "f", "parameters": {"type": "object"}}}
    server.script(Reply(content="Look: ", tool_calls=calls, whole_so_far=whole))
    answer = answer_by(way, qwen().bind_tools([tool], parallel_tool_calls=True))
    assert [(c["id"], c["args"]) for c in answer.tool_calls] == [("c1", {"a": 11}), ("c2", {"a": 11}), ("c3", {})]
    assert answer.text == "Look: "


def test_usage_is_that_of_the_last_event(server, qwen):
    """Each event counts all so far; summed chunks hold it once, or not at all where it is not wanted."""
    summed = answer_by("stream", qwen())
    assert summed.usage_metadata["output_tokens"] == server.requests[-1].usage["output_tokens"]
    assert answer_by("stream", qwen(stream_usage=False)).usage_metadata is None


@pytest.mark.parametrize("way", ["stream", "astream"])
def test_a_stream_without_its_last_blank_line_is_whole(protocol, way):
    """And events that are not parted by blank lines are events."""
    events = ["你", "好", ""]
    frames = [
        f'id:{n}\nevent:result\n:HTTP_STATUS/200\ndata:{{"output":{{"choices":[{{"message":{{"content":"{text}"}},'
        f'"finish_reason":"{"null" if text else "stop"}"}}]}},"usage":{{"input_tokens":1,"output_tokens":{n}}}}}'
        for n, text in enumerate(events, 1)
    ]
    body = "\n".join(frames).encode()
    with raw_server(lambda handler, number: send(handler, 200, body, content_type="text/event-stream")) as (url, _):
        model = ChatDashScope(base_url=url, api_key="sk-local")
        assert answer_by(way, model).text == "你好"
        model.close()


# --- what is closed ---


def test_connections_are_closed_when_asked_and_opened_again(server, qwen):
    """Those of synchronous calls by `close`."""
    model = qwen()
    assert model.invoke("go").text
    http = model._clients.sync.transport.http_client
    model.close()
    assert http.is_closed
    assert model.invoke("go").text
    model.close()
    model.close()


def test_an_event_loops_connections_are_closed_when_asked(qwen):
    """By `aclose`, in the loop."""
    model = qwen()

    async def go():
        assert (await model.ainvoke("go")).text
        http = (await model._clients.of_this_loop()).transport.http_client
        await model.aclose()
        assert http.is_closed
        assert (await model.ainvoke("go")).text

    asyncio.run(go())


def test_a_callers_own_client_is_left_open(server, qwen):
    """Who made it closes it."""
    with httpx.Client() as own:
        model = qwen(http_client=own)
        assert model.invoke("go").text
        model.close()
        assert not own.is_closed
        assert model.invoke("go").text


def test_a_cancelled_call_closes_its_connection(protocol):
    """The server notices; it need not go on."""
    noticed = threading.Event()

    def wait(handler, number):
        handler.send_response(200)
        handler.send_header("content-type", "text/event-stream")
        handler.end_headers()
        handler.wfile.flush()
        if handler.connection.recv(1) == b"":
            noticed.set()

    with raw_server(wait) as (url, _):

        async def give_up():
            model = ChatDashScope(base_url=url, api_key="sk-local")
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(answer(model), 0.3)
            assert await asyncio.to_thread(noticed.wait, 5)

        async def answer(model):
            async for _ in model.astream("go"):
                pass

        asyncio.run(give_up())


@pytest.mark.parametrize("way", ["stream", "astream"])
def test_a_stream_that_is_left_closes_its_connection(server, qwen, way):
    """Nothing is left for the garbage collector to complain about, which would be an error here."""
    server.script(Reply(content="word " * 300))
    model = qwen()
    if way == "stream":
        stream = model.stream("go")
        next(stream)
        stream.close()
    else:

        async def leave():
            stream = model.astream("go")
            await anext(stream)
            await stream.aclose()

        asyncio.run(leave())
    assert model.invoke("go").text
    gc.collect()


# --- what leaks ---


@pytest.mark.parametrize("status", [301, 302, 307, 308])
@pytest.mark.parametrize("way", WAYS)
def test_the_key_follows_no_redirect(protocol, status, way):
    """To another host it must not go, and to no other place it has to; the error names the place."""
    with raw_server(lambda handler, number: send(handler, 200, {})) as (foreign, stolen):

        def lead(handler, number):
            send(handler, status, {}, location=f"{foreign}/x?token=secret")

        with raw_server(lead) as (url, _):
            model = ChatDashScope(base_url=url, api_key="sk-hidden", max_retries=0)
            with pytest.raises(model_errors.QwenResponseError, match="base_url=") as caught:
                answer_by(way, model)
            assert "token" not in str(caught.value)
            model.close()
    assert stolen == []


@pytest.mark.filterwarnings("ignore:.*is in beta:langchain_core._api.beta_decorator.LangChainBetaWarning")
def test_the_key_shows_nowhere(qwen, monkeypatch):
    """Neither in the object's text, nor in traces, nor in what is written down and loaded again, nor in errors."""
    model = qwen(api_key="sk-hidden-1", default_headers={"x-auth": "sk-hidden-2"})
    shown = [repr(model), str(model), str(model._get_invocation_params(api_key="sk-hidden-1"))]
    assert isinstance(model.api_key, SecretStr)
    assert not [text for text in [*shown, dumps(qwen(api_key="sk-hidden-1"))] if "sk-hidden" in text]
    monkeypatch.setenv("DASHSCOPE_API_KEY", "sk-of-the-variable")
    again = load(
        dumpd(qwen(enable_thinking=True, api_key="sk-secret")),
        allowed_objects=[ChatDashScope],
        valid_namespaces=["langchain_qwen_memory"],
        secrets_from_env=True,
    )
    assert (again.enable_thinking, again.api_key.get_secret_value()) == (True, "sk-of-the-variable")


@all_ways
def test_an_error_holds_no_request_with_the_key(server, qwen, way):
    """Error trackers write errors down whole."""
    server.misbehave(Fault.bad_request("no"))
    with pytest.raises(model_errors.QwenInvalidRequestError) as caught:
        answer_by(way, qwen(api_key="sk-hidden", max_retries=0))
    error = caught.value
    assert "sk-hidden" not in str(dict(error.response.request.headers)) + str(dict(error.request.headers))


# --- search ---


@all_ways
def test_sources_of_a_search_are_kept_once(server, qwen, way):
    """In `response_metadata`, and as citations of the text."""
    found = [{"index": 1, "title": "天气", "url": "https://a.example/1", "site_name": "a"}]
    server.script(Reply(content="晴。", search=found))
    model = qwen(enable_search=True, search_options={"enable_source": True})
    answer = answer_by(way, model)
    assert answer.response_metadata["search_info"]["search_results"] == found
    text = answer.content_blocks[-1]
    assert text["text"] == "晴。"
    assert [(note["type"], note["url"], note["title"]) for note in text["annotations"]] == [
        ("citation", "https://a.example/1", "天气")
    ]


def test_a_character_has_a_name_and_the_first_word(server, qwen, sent):
    """Names stand beside messages, an opening of the character's own comes first; tokens can be made likelier."""
    opening = AIMessage("（皱眉）又出 bug 了？", name="张三")
    model = qwen("qwen-plus-character", logit_bias={9909: -100})
    assert model.invoke([("system", "你是张三。"), opening, HumanMessage("帮帮我", name="李四")]).text
    assert [one.get("name") for one in sent()["messages"]] == [None, "张三", "李四"]
    assert sent()["logit_bias"] == {"9909": -100}


# --- what is said ---


def test_further_parameters_have_three_ways(server, qwen):
    """`extra_body`, `model_kwargs` of other packages, and unknown options, about which one is told."""
    with pytest.warns(UserWarning, match="translation_options"):
        model = qwen(extra_body={"a": 1, "input": {"b": 2}}, model_kwargs={"c": 3}, translation_options={"d": 4})
    model.invoke("go", extra_body={"parameters": {"e": 5}})
    body = server.requests[-1].body
    assert {key: body["parameters"][key] for key in ("a", "c", "e")} == {"a": 1, "c": 3, "e": 5}
    assert body["parameters"]["translation_options"] == {"d": 4}
    assert body["input"]["b"] == 2


def test_a_stream_of_increments_is_asked_for_and_a_message(server, qwen):
    """By header and parameter; a whole answer is asked for without either."""
    chunks_by("stream", qwen(), "go")
    stream = server.requests[-1]
    assert stream.headers["x-dashscope-sse"] == "enable"
    assert stream.body["parameters"]["incremental_output"] is True
    qwen().invoke("go")
    whole = server.requests[-1]
    assert "x-dashscope-sse" not in whole.headers
    assert whole.body["parameters"] == {"result_format": "message"}


def test_media_have_this_protocols_form(server, qwen):
    """A part's key says what it is; how finely it is looked at, and where a cache ends, stand beside it."""
    parts = [
        {"type": "text", "text": "look", "cache_control": {"type": "ephemeral"}},
        {"type": "image", "base64": "iVBORw0KGgo=", "mime_type": "image/png", "max_pixels": 4096},
        {"type": "image_url", "image_url": {"url": "https://a.example/cat.png"}},
        {"type": "video", "video": FRAMES, "fps": 2},
        {"type": "video", "url": "https://a.example/film.mp4"},
        {"image": "https://a.example/own.png", "type": "image"},
    ]
    qwen("qwen3.7-plus").invoke([("system", "short"), HumanMessage(parts)])
    system, human = server.requests[-1].messages
    assert system["content"] == [{"text": "short"}]
    assert human["content"] == [
        {"text": "look", "cache_control": {"type": "ephemeral"}},
        {"image": "data:image/png;base64,iVBORw0KGgo=", "max_pixels": 4096},
        {"image": "https://a.example/cat.png"},
        {"video": FRAMES, "fps": 2},
        {"video": "https://a.example/film.mp4"},
        {"image": "https://a.example/own.png"},
    ]


def test_a_sounds_type_is_in_its_data_uri(server, qwen):
    """The compatible protocol says it beside it."""
    sound = {"type": "audio", "base64": "UklGRg==", "mime_type": "audio/mpeg"}
    qwen("qwen3.8-omni-flash").invoke([HumanMessage([sound, {"type": "text", "text": "?"}])])
    assert server.requests[-1].messages[0]["content"][0] == {"audio": "data:audio/mp3;base64,UklGRg=="}


def test_what_lies_in_the_services_own_store_is_resolved_there(server, qwen):
    """For which a header asks; no other request carries it."""
    picture = {"type": "image", "url": "oss://dashscope-instant/cat.png"}
    qwen("qwen3.7-plus").invoke([HumanMessage([picture])])
    assert server.requests[-1].headers["x-dashscope-ossresourceresolve"] == "enable"
    qwen("qwen3.7-plus").invoke("go")
    assert "x-dashscope-ossresourceresolve" not in server.requests[-1].headers
