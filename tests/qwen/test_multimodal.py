"""Pictures, films and sounds, in LangChain's form, OpenAI's and Anthropic's, over several turns."""

import base64

import pytest
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage

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
        qwen().invoke([HumanMessage(["?", block])])
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
    model = qwen("qwen3-omni-flash" if "stream" in way else "qwq-plus")
    answer = answer_by(way, model, modalities=["text", "audio"], audio={"voice": "Tina", "format": "wav"})
    assert answer.text == "我"
    assert answer.additional_kwargs["audio"] == {"data": "AAAABBBB", "id": "audio_1", "expires_at": 99}
    assert server.requests[-1].body["audio"] == {"voice": "Tina", "format": "wav"}
