"""The multimodal path of DashScope's own protocol: parts of a message, their tokens, and which models live there."""

import base64
import struct
import zlib

import pytest

from langchain_qwen_memory.catalogue import model_info
from langchain_qwen_memory.testing import Reply
from tests.testing.conftest import tool

URL_ERROR = "url error, please check url！"


def png(width, height):
    """A picture of this size, as a data URI."""

    def chunk(name, data):
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    rows = zlib.compress(b"".join(b"\0" + b"\x88" * width for _ in range(height)))
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0))
    data = b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", rows) + chunk(b"IEND", b"")
    return "data:image/png;base64," + base64.b64encode(data).decode()


def wav(seconds):
    """Silence of this length at 8 kHz, as a data URI."""
    data = b"\0" * (8000 * seconds)
    fmt = struct.pack("<HHIIHH", 1, 1, 8000, 8000, 1, 8)
    body = b"WAVEfmt " + struct.pack("<I", 16) + fmt + b"data" + struct.pack("<I", len(data)) + data
    return "data:audio/wav;base64," + base64.b64encode(b"RIFF" + struct.pack("<I", len(body)) + body).decode()


def user(*parts):
    """A message of the user."""
    return {"role": "user", "content": list(parts)}


def test_a_picture_is_counted_by_the_published_formula(native):
    """A receipt of 716 x 445 is 310 tokens of Qwen-VL-OCR, as the service counted it; the rest is text."""
    native.server.script(Reply(content="A receipt."))
    body = native.whole(user({"image": png(716, 445)}, {"text": "Read it."}), model="qwen-vl-ocr")
    usage = body["usage"]
    assert usage["image_tokens"] == usage["input_tokens_details"]["image_tokens"] == 310
    assert usage["input_tokens_details"]["text_tokens"] == usage["input_tokens"] - 310
    assert usage["output_tokens_details"] == {"text_tokens": usage["output_tokens"]}
    assert list(usage) == [
        "input_tokens_details",
        "prompt_tokens_details",
        "total_tokens",
        "output_tokens",
        "input_tokens",
        "output_tokens_details",
        "image_tokens",
    ]


def test_pixels_can_be_bounded(native):
    """`max_pixels` beside the picture makes it smaller, vl_high_resolution_images larger."""
    picture = {"image": png(2000, 2000)}

    def tokens(*parts, **more):
        return native.whole(user(*parts, {"text": "?"}), model="qwen3-vl-plus", **more)["usage"]["image_tokens"]

    assert tokens({**picture, "max_pixels": 100_000}) < 110 < tokens(picture)
    assert tokens(picture, vl_high_resolution_images=True) > tokens(picture)


def test_films_and_sounds_are_counted_apart(native):
    """A list of frames is a film; a sound costs its seconds."""
    film = native.whole(user({"video": [png(320, 320)] * 4}, {"text": "?"}), model="qwen3-vl-plus")["usage"]
    assert film["video_tokens"] == film["input_tokens_details"]["video_tokens"] == 2 * 10 * 10 + 2
    captioner = "qwen3-omni-30b-a3b-captioner"
    sound = native.whole(user({"audio": wav(4)}), model=captioner)["usage"]
    assert sound["audio_tokens"] == 50
    assert sound["input_tokens"] == sound["audio_tokens"] + sound["input_tokens_details"]["text_tokens"]


def test_content_is_a_list_of_parts(native):
    """Whole answers and increments carry `[{"text": ...}]`, and [] where nothing is said."""
    native.server.script(*[Reply(reasoning="Hm.", content="A dog.")] * 2)
    asked = user({"image": png(64, 64)}, {"text": "What is it?"})
    message = native.message(asked, model="qwen3.7-plus")
    assert message == {"content": [{"text": "A dog."}], "reasoning_content": "Hm.", "role": "assistant"}
    events = native.events(asked, model="qwen3.7-plus")
    contents = [one["output"]["choices"][0]["message"]["content"] for one in events]
    assert contents == [[], [{"text": "A do"}], [{"text": "g."}], []]
    assert events[-1]["output"]["choices"][0]["finish_reason"] == "stop"
    details = events[-1]["usage"]["output_tokens_details"]
    assert details["reasoning_tokens"] + details["text_tokens"] == events[-1]["usage"]["output_tokens"]


def test_tools_on_the_multimodal_path(native):
    """Calls come with content [], without an index of the choice, and end the answer."""
    weather = tool("weather", "Weather of a city", city={"type": "string"})
    native.server.script(Reply(reasoning="I call.", tool_calls=[{"name": "weather", "args": {"city": "Rome"}}]))
    events = native.events(user({"text": "Weather?"}), model="qwen3.6-plus", tools=[weather], enable_thinking=True)
    last = events[-1]["output"]["choices"][0]
    assert last["finish_reason"] == "tool_calls"
    assert last["message"]["content"] == []
    assert "index" not in last
    assert last["message"]["tool_calls"][0]["function"] == {"arguments": 'me"}'}


def test_what_was_said_of_a_picture_is_found_again(native):
    """The stand-in answers a later question from the words of the thread; the picture stays in it."""
    history = [
        user({"image": png(64, 64)}, {"text": "My dog is called Rex."}),
        {"role": "assistant", "content": [{"text": "Noted."}]},
        user({"text": "What is my dog called?"}),
    ]
    assert "Rex" in native.message(*history, model="qwen3.7-plus", enable_thinking=False)["content"][0]["text"]
    assert native.server.requests[-1].messages == history
    assert native.server.requests[-1].parameters["enable_thinking"] is False


@pytest.mark.parametrize(
    ("model", "path"),
    [
        ("qwen3.7-plus", "text"),
        ("qwen3.5-flash", "text"),
        ("qwen-vl-plus", "text"),
        ("qwen3.8-omni-flash", "text"),
        ("qwen-plus", "multimodal"),
        ("qwen3.7-max", "multimodal"),
    ],
)
def test_each_model_lives_on_one_path(native, model, path):
    """Qwen3.5 and later that see are multimodal only; what takes text only lives on the other path."""
    assert native.error("Hello", model=model, path=path)["message"] == URL_ERROR
    assert (model_info(model).inputs == {"text"}) == (path == "multimodal")
    assert native.message("Hello", model=model)["content"]


def test_a_part_of_no_known_kind_is_refused(native):
    """A part must have text, image, video or audio as key."""
    refused = native.error(user({"picture": "x"}), model="qwen3.7-plus")
    assert refused["message"].endswith("The item of content should be a message of a certain modal.")


def test_places_that_the_service_cannot_read_are_refused(native):
    """A path is none; `oss://` is one where the header says so, as the SDK says after an upload."""
    for place in ("/tmp/dog.png", "file:///tmp/dog.png", "oss://bucket/dog.png"):
        refused = native.error(user({"image": place}), model="qwen3.7-plus")
        assert "The provided URL does not appear to be valid." in refused["message"]
    native.http.headers["X-DashScope-OssResourceResolve"] = "enable"
    asked = user({"image": "oss://bucket/dog.png"}, {"text": "?"})
    assert native.whole(asked, model="qwen3.7-plus")["usage"]["image_tokens"] > 2000


def test_the_other_protocol_counts_the_same_media(native):
    """The same picture costs the same over the compatible protocol, which reports it in prompt_tokens_details."""
    picture = png(300, 500)
    own = native.whole(user({"image": picture}, {"text": "?"}), model="qwen3-vl-plus")["usage"]
    parts = [{"type": "image_url", "image_url": {"url": picture}}, {"type": "text", "text": "?"}]
    body = {"model": "qwen3-vl-plus", "messages": [{"role": "user", "content": parts}]}
    other = native.http.post(f"{native.server.base_url}/chat/completions", json=body).json()["usage"]
    assert other["prompt_tokens"] == own["input_tokens"]
    assert other["prompt_tokens_details"]["image_tokens"] == own["image_tokens"]
    assert other["prompt_tokens_details"]["text_tokens"] == own["input_tokens_details"]["text_tokens"]
