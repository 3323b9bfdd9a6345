"""Speaking models of the local DashScope: sound in the stream, its tokens in the usage."""

import base64

from langchain_qwen_memory.testing import Reply

SPOKEN = {"modalities": ["text", "audio"], "audio": {"voice": "Tina", "format": "wav"}}


def test_a_spoken_answer_is_text_and_sound(client):
    """Text comes first, then samples in base64 with the id of the sound; the usage counts both apart."""
    client.server.script(Reply(content="Good morning to you."))
    asked = {"model": "qwen3.5-omni-plus", "stream_options": {"include_usage": True}, **SPOKEN}
    *chunks, last = client.chunks("Say good morning", **asked)
    deltas = [one["choices"][0]["delta"] for one in chunks]
    assert "".join(delta.get("content") or "" for delta in deltas) == "Good morning to you."
    sounds = [delta["audio"] for delta in deltas if "audio" in delta]
    samples = b"".join(base64.b64decode(one["data"]) for one in sounds)
    assert len(samples) == 24_000 * 2  # twenty characters are a second
    assert any(samples)
    assert len({one["id"] for one in sounds}) == 1
    details = last["usage"]["completion_tokens_details"]
    assert details["audio_tokens"] == 13
    assert details["audio_tokens"] + details["text_tokens"] == last["usage"]["completion_tokens"]


def test_a_model_that_is_not_asked_to_speak_does_not(client):
    """Without `modalities`, or of a model that cannot speak, there is only text."""
    client.server.script(*[Reply(content="Hi.")] * 2)
    for asked in ({"model": "qwen3.5-omni-plus"}, {"model": "qwen-plus", **SPOKEN}):
        assert not any("audio" in one["choices"][0]["delta"] for one in client.chunks("Hi", **asked))


def test_translators_repeat_the_whole_text_so_far(client):
    """qwen-mt-plus sends all that was said with each chunk; a reply can ask it of any model."""
    client.server.script(Reply(content="one two"), Reply(content="one two", whole_so_far=True))
    for model in ("qwen-mt-plus", "qwen-plus"):
        texts = [one["choices"][0]["delta"]["content"] for one in client.chunks("eins zwei", model=model)]
        assert texts == ["", "one ", "one two", ""]
