"""Pictures, films and sounds, in LangChain's form, OpenAI's and Anthropic's, over several turns."""

import base64
import io
import wave

import pytest
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage, ToolMessage

from langchain_qwen_memory.media import media_block
from langchain_qwen_memory.qwen.model_errors import QwenModelNotFoundError
from langchain_qwen_memory.tokens import count_tokens
from tests.media import picture, png, sound, wav
from tests.qwen.ways import all_ways, answer_by

URL = "https://example.com/a.bin"
DATA = b"\x89PNG not really"
B64 = base64.b64encode(DATA).decode()


def uri(mime):
    """The bytes as a data URI."""
    return f"data:{mime};base64,{B64}"


PICTURE = {"type": "image_url", "image_url": {"url": uri("image/png")}}
PICTURE_URL = {"type": "image_url", "image_url": {"url": URL}}
FILM = {"type": "video_url", "video_url": {"url": uri("video/mp4")}}
FILM_URL = {"type": "video_url", "video_url": {"url": URL}}
SOUND = {"type": "input_audio", "input_audio": {"data": f"data:;base64,{B64}", "format": "wav"}}

BLOCKS = {
    "LangChain picture, URL": ({"type": "image", "url": URL}, PICTURE_URL),
    "LangChain picture, base64": ({"type": "image", "base64": B64, "mime_type": "image/png"}, PICTURE),
    "LangChain picture, bytes": ({"type": "image", "base64": DATA, "mime_type": "image/png"}, PICTURE),
    "LangChain picture, old form, base64": (
        {"type": "image", "source_type": "base64", "data": B64, "mime_type": "image/png"},
        PICTURE,
    ),
    "LangChain picture, old form, URL": ({"type": "image", "source_type": "url", "url": URL}, PICTURE_URL),
    "LangChain picture, data URI": ({"type": "image", "url": uri("image/png")}, PICTURE),
    "OpenAI picture": (PICTURE_URL, PICTURE_URL),
    "OpenAI picture, short": ({"type": "image_url", "image_url": URL}, PICTURE_URL),
    "Anthropic picture, base64": (
        {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": B64}},
        PICTURE,
    ),
    "Anthropic picture, URL": ({"type": "image", "source": {"type": "url", "url": URL}}, PICTURE_URL),
    "the service's own picture": ({"type": "image", "image": URL}, PICTURE_URL),
    "a file that is a picture": ({"type": "file", "base64": B64, "mime_type": "image/png"}, PICTURE),
    "LangChain film, URL": ({"type": "video", "url": URL}, FILM_URL),
    "LangChain film, base64": ({"type": "video", "base64": B64, "mime_type": "video/mp4"}, FILM),
    "LangChain film, bytes": ({"type": "video", "base64": DATA, "mime_type": "video/mp4"}, FILM),
    "the service's own film": (FILM_URL, FILM_URL),
    "a film as its frames": ({"type": "video", "video": [URL] * 4}, {"type": "video", "video": [URL] * 4}),
    "LangChain sound, base64": ({"type": "audio", "base64": B64, "mime_type": "audio/wav"}, SOUND),
    "LangChain sound, bytes": ({"type": "audio", "base64": DATA, "mime_type": "audio/x-wav"}, SOUND),
    "LangChain sound, URL": (
        {"type": "audio", "url": URL, "mime_type": "audio/mpeg"},
        {"type": "input_audio", "input_audio": {"data": URL, "format": "mp3"}},
    ),
    "OpenAI sound": ({"type": "input_audio", "input_audio": {"data": B64, "format": "wav"}}, SOUND),
    "OpenAI sound, data URI": (SOUND, SOUND),
    "OpenAI sound, URL": (
        {"type": "input_audio", "input_audio": {"data": URL, "format": "wav"}},
        {"type": "input_audio", "input_audio": {"data": URL, "format": "wav"}},
    ),
}


@pytest.fixture
def sees(qwen, server):
    """A model that takes all media; what it answers does not matter."""
    body = {"choices": [{"index": 0, "message": {"content": "seen"}, "finish_reason": "stop"}]}
    chunk = {"choices": [{"index": 0, "delta": {"content": "seen"}, "finish_reason": "stop"}]}

    def ask(way, messages, **options):
        kept = {"response": {"raw": None, "body": body} if "invoke" in way else {"events": [{"data": chunk}]}}
        server.replay(kept)
        return answer_by(way, qwen("qwen3.8-omni-flash", **options), messages)

    return ask


@all_ways
@pytest.mark.parametrize("form", BLOCKS)
def test_each_form_reaches_the_wire(sees, server, way, form):
    """In the service's form, beside the words."""
    given, written = BLOCKS[form]
    import json

    sees(way, [HumanMessage([{"type": "text", "text": "What is it?"}, given])])
    content = json.loads(json.dumps(server.requests[-1].body))["messages"][0]["content"]
    assert content == [{"type": "text", "text": "What is it?"}, written]


def test_media_of_earlier_turns_go_along(sees, server):
    """A question about a picture may come turns later."""
    picture, film = BLOCKS["LangChain picture, URL"][0], BLOCKS["LangChain film, URL"][0]
    sees(
        "invoke",
        [
            HumanMessage(["one", picture]),
            AIMessage("1"),
            HumanMessage(["two", film]),
            AIMessage("2"),
            HumanMessage("?"),
        ],
    )
    kinds = [[p["type"] for p in m["content"]] for m in server.requests[-1].messages if isinstance(m["content"], list)]
    assert kinds == [["text", "image_url"], ["text", "video_url"]]


def test_how_finely_it_is_looked_at_is_kept(sees, server):
    """Pixels and frames stand beside the medium."""
    sees(
        "invoke",
        [HumanMessage([{**PICTURE_URL, "max_pixels": 1000}, {"type": "video", "url": URL, "extras": {"fps": 1}}])],
    )
    assert server.requests[-1].messages[0]["content"] == [{**PICTURE_URL, "max_pixels": 1000}, {**FILM_URL, "fps": 1}]


def test_a_tool_may_return_a_picture(sees, server):
    """Its content is then a list too."""
    call = {"name": "f", "args": {}, "id": "c", "type": "tool_call"}
    messages = [
        HumanMessage("?"),
        AIMessage("", tool_calls=[call]),
        ToolMessage([BLOCKS["LangChain picture, URL"][0]], tool_call_id="c"),
    ]
    sees("invoke", messages)
    assert server.requests[-1].messages[-1]["content"] == [PICTURE_URL]


@pytest.mark.parametrize(
    ("block", "words"),
    [
        ({"type": "image", "file_id": "file-1"}, "Ids of uploaded files are not taken"),
        ({"type": "video", "base64": B64}, "add mime_type='video/...'"),
        ({"type": "file", "base64": B64, "mime_type": "application/pdf"}, "application/pdf cannot be sent"),
        ({"type": "hologram"}, "'hologram' cannot be sent"),
    ],
)
def test_what_cannot_be_sent_is_said_before_it_is(qwen, server, block, words):
    """The error names what was given and what is taken; no request goes out."""
    with pytest.raises(ValueError, match=words):
        qwen("qwen3.8-omni-flash").invoke([HumanMessage(["?", block])])
    assert server.requests == []


def test_servers_of_ones_own_take_sounds_in_openais_form(own_qwen, sent):
    """Plain base64 there, and URLs under a name of their own."""
    own_qwen().invoke([HumanMessage([BLOCKS["LangChain sound, base64"][0], {"type": "audio", "url": URL}])])
    assert sent()["messages"][0]["content"] == [
        {"type": "input_audio", "input_audio": {"data": B64, "format": "wav"}},
        {"type": "audio_url", "audio_url": {"url": URL}},
    ]


@all_ways
def test_a_spoken_answer_is_heard(qwen, server, way):
    """Its pieces are joined, and what is said of it is said once."""
    pieces = [{"data": "AAAA", "id": "audio_1", "expires_at": 99}, {"data": "BBBB", "id": "audio_1", "expires_at": 99}]
    events = [{"data": {"choices": [{"index": 0, "delta": {"content": "我"}, "finish_reason": None}]}}]
    events += [
        {"data": {"choices": [{"index": 0, "delta": {"audio": piece}, "finish_reason": None}]}} for piece in pieces
    ]
    events.append({"data": {"choices": [{"index": 0, "delta": {"content": ""}, "finish_reason": "stop"}]}})
    server.replay({"response": {"events": events}})
    model = qwen("qwen3-omni-flash")
    answer = answer_by(way, model, modalities=["text", "audio"], audio={"voice": "Tina", "format": "wav"})
    assert answer.text == "我"
    assert answer.additional_kwargs["audio"] == {"data": "AAAABBBB", "id": "audio_1", "expires_at": 99}
    assert server.requests[-1].body["audio"] == {"voice": "Tina", "format": "wav"}


@all_ways
def test_a_spoken_answer_is_a_standard_audio_block(qwen, server, way):
    """Its samples become a WAV file of 24,000 samples a second; the words stand beside it."""
    samples = bytes(range(256)) * 3
    pieces = [base64.b64encode(samples[at : at + 100]).decode() for at in range(0, len(samples), 100)]
    events = [{"data": {"choices": [{"index": 0, "delta": {"content": "我"}, "finish_reason": None}]}}]
    events += [
        {"data": {"choices": [{"index": 0, "delta": {"audio": {"data": piece, "id": "audio_1"}}}]}} for piece in pieces
    ]
    events.append({"data": {"choices": [{"index": 0, "delta": {"content": ""}, "finish_reason": "stop"}]}})
    server.replay({"response": {"events": events}})
    answer = answer_by(way, qwen("qwen3.5-omni-flash"), **SPEECH)
    text, spoken = answer.content_blocks
    assert text["text"] == "我"
    assert (spoken["type"], spoken["mime_type"], spoken["id"]) == ("audio", "audio/wav", "audio_1")
    with wave.open(io.BytesIO(base64.b64decode(spoken["base64"]))) as file:
        assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (24_000, 1, 2)
        assert file.readframes(10_000) == samples


def test_a_spoken_answer_goes_back_as_its_words(qwen, server):
    """Omni's history holds text alone, whatever was said aloud."""
    spoken = AIMessage("你好", additional_kwargs={"audio": {"data": B64, "id": "audio_1"}})
    qwen("qwen3.5-omni-flash").invoke([HumanMessage("hi"), spoken, HumanMessage("again")])
    assert server.requests[-1].messages[1] == {"role": "assistant", "content": "你好"}


def test_omni_is_always_streamed(qwen, server):
    """`invoke` streams under the hood, since the service answers nothing else there."""
    qwen("qwen3-omni-flash").invoke([HumanMessage(["?", sound()])])
    assert server.requests[-1].body["stream"] is True


def test_speech_switches_thinking_off(qwen, server):
    """The service refuses an answer that is spoken and thought about at once."""
    qwen("qwen3-omni-flash", enable_thinking=True).invoke("?", **SPEECH)
    assert server.requests[-1].body["enable_thinking"] is False


SPEECH = {"modalities": ["text", "audio"], "audio": {"voice": "Tina", "format": "wav"}}
CAT, FILM_BLOCK = picture(), {"type": "video", "url": URL}
TURNS = [HumanMessage(["one", CAT]), AIMessage("1"), HumanMessage("two")]
REFUSED = {
    "a picture for a model without eyes": ("qwen-plus", [HumanMessage(["?", CAT])], {}, "qwen-plus takes text"),
    "a sound for a model without ears": (
        "qwen3.7-plus",
        [HumanMessage(["?", sound()])],
        {},
        r"audio, and qwen3\.7-plus takes image, text, video\. Take model='qwen3\.8-omni-flash'",
    ),
    "two media for an older Omni": (
        "qwen3-omni-flash",
        [HumanMessage(["?", CAT, sound()])],
        {},
        "audio and image, and qwen3-omni-flash takes text and one other medium",
    ),
    "speech without a system message": (
        "qwen-omni-turbo",
        [SystemMessage("Be kind."), HumanMessage("?")],
        SPEECH,
        "does not read the system message when it speaks",
    ),
    "speech of a silent model": (
        "qwen3.8-omni-flash",
        [HumanMessage("?")],
        SPEECH,
        "qwen3.8-omni-flash does not speak",
    ),
    "speech without a voice": (
        "qwen3-omni-flash",
        [HumanMessage("?")],
        {"modalities": ["text", "audio"]},
        'add audio={"voice": "Cherry"',
    ),
    "a conversation with the reader of documents": ("qwen-vl-ocr", TURNS, {}, "one user message a call.*qwen3.7-plus"),
    "a conversation with the captioner": (
        "qwen3-omni-30b-a3b-captioner",
        [HumanMessage([sound()]), AIMessage("a"), HumanMessage([sound()])],
        {},
        "one user message a call.*qwen3.8-omni-flash",
    ),
    "words for the captioner": (
        "qwen3-omni-30b-a3b-captioner",
        [HumanMessage(["what is it?", sound()])],
        {},
        "takes audio and no words",
    ),
    "a picture of a few pixels": ("qwen3.7-plus", [HumanMessage([picture(9, 40)])], {}, "'cat.png' is 9 x 40 pixels"),
    "a picture like a thread": ("qwen3.7-plus", [HumanMessage([picture(10, 2_010)])], {}, "at most 200 times"),
    "a picture of 11 MB": (
        "qwen3.7-plus",
        [HumanMessage([{"type": "image", "base64": "A" * (11 << 20), "mime_type": "image/png"}])],
        {},
        "11.0 MB as base64, and the service takes 10 MB",
    ),
    "bytes of 11 MB": (
        "qwen3.7-plus",
        [HumanMessage([{"type": "image", "base64": bytes(9 << 20), "mime_type": "image/png"}])],
        {},
        "12.0 MB as base64",
    ),
    "too many pictures": (
        "qwen3-vl-plus",
        [HumanMessage([{"type": "image", "url": URL}] * 257)],
        {},
        "257 pictures in one request: qwen3-vl-plus takes 256",
    ),
    "too many films": ("qwen3.7-plus", [HumanMessage([FILM_BLOCK] * 65)], {}, "65 films"),
    "a film of three frames": (
        "qwen3.7-plus",
        [HumanMessage([{"type": "video", "video": [URL] * 3}])],
        {},
        "3 frames: the service takes 4",
    ),
    "a file of this machine": (
        "qwen3.7-plus",
        [HumanMessage([{"type": "image", "url": "file:///etc/cat.png"}])],
        {},
        r"media_block\(path\)",
    ),
    "the same as OpenAI writes it": (
        "qwen3.7-plus",
        [HumanMessage([{"type": "image_url", "image_url": {"url": "file:///etc/cat.png"}}])],
        {},
        "does not open for a message",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_the_service_would_refuse_is_said_before_it_is_sent(qwen, server, case):
    """The error names what was given, what is taken and what to write; no request goes out."""
    model, messages, options, words = REFUSED[case]
    with pytest.raises(ValueError, match=words):
        qwen(model).invoke(messages, **options)
    assert server.requests == []


def test_a_server_of_ones_own_makes_its_own_rules(own_qwen, sent):
    """What the service refuses, weights on another server may take."""
    own_qwen("Qwen/Qwen3-VL-8B-Instruct").invoke([HumanMessage(["?", picture(9, 9)])])
    assert len(sent()["messages"][0]["content"]) == 2


@pytest.mark.parametrize(
    ("model", "content"),
    [("qwen-vl-ocr", ["read it", picture()]), ("qwen3-omni-30b-a3b-captioner", [sound()])],
)
def test_single_turn_models_work_alone(qwen, server, model, content):
    """One message, one answer."""
    assert qwen(model).invoke([HumanMessage(content)]).text
    assert len(server.requests) == 1


QWEN_AUDIO = ["qwen-audio-turbo", "qwen-audio-turbo-latest", "qwen2-audio-instruct", "qwen-audio-chat"]


@pytest.mark.parametrize("model", QWEN_AUDIO)
@all_ways
def test_qwen_audio_is_sent_to_chat_dashscope(qwen, server, model, way):
    """The compatible protocol does not take it: one error that says what to write, before anything is sent."""
    with pytest.raises(ValueError, match=rf"ChatDashScope\(model='{model}'\).*model='qwen3.8-omni-flash'"):
        answer_by(way, qwen(model), [HumanMessage([SOUND])])
    with pytest.raises(ValueError, match="is served by DashScope's own protocol only"):
        answer_by(way, qwen(), "hello", model=model)
    assert server.requests == []


def test_a_new_model_of_that_kind_gets_the_same_advice(qwen, server):
    """One that the catalogue does not know: the service's refusal is shown with the class to write."""
    said = "Unsupported model `qwen9-audio` for OpenAI compatibility mode."
    error = {"message": said, "type": "invalid_request_error", "param": None, "code": "model_not_supported"}
    server.replay({"response": {"status": 404, "body": {"error": error, "request_id": "r"}}})
    with pytest.raises(QwenModelNotFoundError, match=r"write ChatDashScope\(model=...\)"):
        qwen("qwen9-audio").invoke("hello")


@pytest.mark.parametrize("protocol", ["native"])
@pytest.mark.parametrize("model", QWEN_AUDIO)
@all_ways
def test_qwen_audio_hears(qwen, server, model, way):
    """Over DashScope's own protocol, on the multimodal path, with its tokens: 25 a second."""
    answer = answer_by(way, qwen(model), [HumanMessage([SOUND, {"type": "text", "text": "who speaks?"}])])
    assert answer.text == server.requests[-1].reply.content
    assert server.requests[-1].path.endswith("multimodal-generation/generation")
    assert answer.usage_metadata["input_token_details"]["audio"] == 25


def test_a_file_becomes_a_block_where_one_asks_for_it(qwen, server, tmp_path):
    """Read by one's own call, named by its file; never because a message says so."""
    (tmp_path / "cat.png").write_bytes(png())
    block = media_block(tmp_path / "cat.png")
    assert (block["type"], block["mime_type"], block["extras"]) == ("image", "image/png", {"name": "cat.png"})
    qwen("qwen3.7-plus").invoke([HumanMessage(["?", block])])
    url = server.requests[-1].messages[0]["content"][1]["image_url"]["url"]
    assert url == "data:image/png;base64," + base64.b64encode(png()).decode()


@pytest.mark.parametrize(
    ("data", "kind", "mime"),
    [
        (png(), "image", "image/png"),
        (wav(), "audio", "audio/wav"),
        (b"\xff\xd8\xff\xe0" + bytes(9), "image", "image/jpeg"),
        (b"\0\0\0 ftypisom" + bytes(9), "video", "video/mp4"),
        (b"RIFF\0\0\0\0WEBPVP8 ", "image", "image/webp"),
    ],
)
def test_bytes_tell_what_they_are(data, kind, mime):
    """By their first bytes."""
    block = media_block(data)
    assert (block["type"], block["mime_type"], base64.b64decode(block["base64"])) == (kind, mime, data)


@pytest.mark.parametrize("name", ["notes.txt", "noname"])
def test_what_is_no_medium_is_no_block(tmp_path, name):
    """A text file is not a picture."""
    (tmp_path / name).write_text("words")
    with pytest.raises(ValueError, match=f"{name} is .* no picture, film or sound"):
        media_block(tmp_path / name)


def test_a_picture_costs_what_the_formula_says(qwen, server):
    """640 x 480 pixels are 300 squares of 32 pixels, and two marks; the service counts the same."""
    message = HumanMessage([picture(), {"type": "text", "text": "?"}])
    answer = qwen("qwen3.7-plus").invoke([message])
    words = count_tokens([HumanMessage("?")], model="qwen3.7-plus", thinking=True)
    assert answer.usage_metadata["input_tokens"] == words + 302
    assert qwen("qwen3.7-plus").get_num_tokens_from_messages([message]) == words + 302
