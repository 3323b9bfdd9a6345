"""Conversations with pictures, films and sounds: what reaches the model turn by turn, what is kept, what is found."""

import base64
import io
import json
import wave
from typing import Any

import pytest
from langchain.agents import create_agent
from langchain_core.messages import HumanMessage
from langgraph.checkpoint.memory import InMemorySaver

from langchain_qwen_memory import (
    ChatQwen,
    MemoryMiddleware,
    MemoryOptionError,
    RecallMemory,
    SqliteArchive,
    SummaryBufferMemory,
    WindowMemory,
    create_chat_graph,
    read_reports,
    transcript,
)
from langchain_qwen_memory.dashscope import ChatDashScope
from langchain_qwen_memory.estimating import estimate
from langchain_qwen_memory.media import media_block
from langchain_qwen_memory.testing import LocalDashScope, Reply
from tests.media import picture, png, sound, wav

CONFIG: Any = {"configurable": {"thread_id": "t1"}}
ALICE: Any = {"user_id": "alice"}
URL = "https://example.com/trip/cat.png?Signature=secret"
PNG = base64.b64encode(png()).decode()
SPEECH = {"modalities": ["text", "audio"], "audio": {"voice": "Cherry", "format": "wav"}}
PROTOCOLS = ("compatible", "native")


@pytest.fixture
def server():
    with LocalDashScope() as running:
        yield running


@pytest.fixture
def qwen(server):
    """Makes a chat model over either protocol."""

    def make(model="qwen3.7-plus", *, protocol="compatible", **options):
        options = {"model": model, "api_key": server.api_key, "enable_thinking": None, **options}
        if protocol == "native":
            return ChatDashScope(base_url=server.native_url, **options)
        return ChatQwen(base_url=server.base_url, **options)

    return make


def chat(model, **options):
    options.setdefault("memory", WindowMemory())
    return create_chat_graph(model, checkpointer=InMemorySaver(), **options)


def say(graph, *contents):
    for content in contents:
        state = graph.invoke({"messages": [HumanMessage(content)]}, CONFIG, context=ALICE)
    return state


def words(text):
    return {"type": "text", "text": text}


def media_sent(request):
    """What was sent beside text, message by message, in either protocol's form."""
    sent = []
    for message in request.messages:
        parts = message["content"] if isinstance(message["content"], list) else []
        sent.append([part for part in parts if "text" not in part])
    return [parts for parts in sent if parts]


FORMS = {
    "URL": lambda _: {"type": "image", "url": URL},
    "data URI": lambda _: {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}},
    "base64": lambda _: {"type": "image", "base64": PNG, "mime_type": "image/png"},
    "bytes": lambda _: media_block(png()),
    "raw bytes": lambda _: {"type": "image", "base64": png(), "mime_type": "image/png"},
    "file": lambda folder: media_block(_written(folder / "cat.png", png())),
}


def _written(path, data):
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("form", FORMS)
def test_a_picture_stays_in_the_thread(qwen, server, tmp_path, form, protocol):
    """However it was given, it goes along with each later question, from the same stored message."""
    block = FORMS[form](tmp_path)
    graph = chat(qwen(protocol=protocol), archive=tmp_path / "chat.db")
    say(graph, [block, words("这是什么？")], "它多大？", "什么颜色？")
    first, *later = map(media_sent, server.requests)
    assert first == later[0] == later[1]
    assert len(first[0]) == 1
    place = first[0][0].get("image") or first[0][0]["image_url"]["url"]
    assert place == (URL if form == "URL" else f"data:image/png;base64,{PNG}")


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_several_pictures_and_films_in_several_turns(qwen, server, protocol):
    """All that the window keeps stands where it was said, in its order."""
    graph = chat(qwen(protocol=protocol))
    film = {"type": "video", "url": "https://example.com/run.mp4"}
    frames = {"type": "video", "video": [f"https://example.com/{n}.jpg" for n in range(4)]}
    say(graph, [picture(), picture(320, 320, name="dog.png"), words("which is which?")], "and?", [film, words("?")])
    say(graph, [frames, words("and these?")])
    assert [len(parts) for parts in media_sent(server.requests[-1])] == [2, 1, 1]


@pytest.mark.parametrize("protocol", PROTOCOLS)
@pytest.mark.parametrize("block", [picture(), picture(1920, 1080), sound(3.0)], ids=["small", "large", "sound"])
def test_the_view_is_counted_as_the_service_counts_it(qwen, server, block, protocol):
    """Pictures and sounds count by their formulas, turn after turn."""
    model = "qwen3.7-plus" if block["type"] == "image" else "qwen3.8-omni-flash"
    graph = chat(qwen(model, protocol=protocol))
    for content in ([block, words("?")], "and now?"):
        report = say(graph, content)["record"]["report"]
        assert report["view_tokens"] == report["input_tokens"]


ORDER = "Merge the conversation above"
STORY = "My cat is called Tom and he likes to sleep in the garden behind the house. " * 20


def is_fold(body):
    """Whether a request is the summariser's."""
    return ORDER in str(body["messages"][-1]["content"])


def fold(server, chat_model, path, **options):
    """Folds a turn with a picture; returns the graph and the summariser's request."""
    server.script(Reply(content="Tom sleeps in the garden. cat.png: a grey cat."), when=is_fold)
    memory = SummaryBufferMemory(trigger=("turns", 2), keep=("turns", 1), **options)
    graph = chat(chat_model, memory=memory, archive=SqliteArchive(path / "chat.db"))
    say(graph, [picture(), words(STORY)], "And what else do you see?", "Good. And now?", "Well?")
    return graph, next(one for one in server.requests if is_fold(one.body))


def test_a_folded_picture_leaves_a_description(qwen, server, tmp_path):
    """The summariser sees the picture and is asked for a sentence on it; then the view has that, not the bytes."""
    _, asked = fold(server, qwen(), tmp_path)
    assert "in order: cat.png" in asked.messages[-1]["content"]
    assert media_sent(asked)[0][0]["image_url"]["url"].endswith(PNG)
    last = server.requests[-1]
    assert "cat.png: a grey cat." in last.messages[0]["content"]
    assert PNG[:40] not in json.dumps(last.body)


def test_a_summariser_without_eyes_gets_the_name(qwen, server, tmp_path):
    """A cheaper model that reads text only sums up a chat with pictures: notes stand for them, never base64."""
    _, asked = fold(server, qwen(), tmp_path, model=qwen("qwen-plus"))
    assert asked.body["model"] == "qwen-plus"
    assert "[picture: cat.png]" in str(asked.messages)
    assert PNG[:40] not in json.dumps(asked.body)


def test_the_archive_keeps_the_picture(qwen, server, tmp_path):
    """The folded turn is in the transcript as it was said, bytes and name; and it is found by that name."""
    graph, _ = fold(server, qwen(), tmp_path)
    (first, *_) = transcript(graph, CONFIG, context=ALICE)
    assert first.messages[0].content == [picture(), words(STORY)]
    archive = SqliteArchive(tmp_path / "chat.db")
    for query in ("cat.png", "那张图片", "the picture"):
        (hit, *_) = archive.search(query, user="alice", thread="t1")
        assert hit.turn.position == 0
        assert PNG[:40] not in hit.turn.text
        assert "cat.png" in hit.turn.text


@pytest.mark.parametrize(
    ("block", "shown"),
    [
        (picture(), "[picture: cat.png]"),
        ({"type": "image", "url": URL}, "[picture: cat.png]"),
        ({"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}}, "[picture: image/png]"),
        ({"type": "video", "url": "https://example.com/run.mp4"}, "[video: run.mp4]"),
    ],
)
def test_a_recalled_picture_is_shown_by_its_name(qwen, server, block, shown, tmp_path):
    """A turn that recall brings back names its picture; neither bytes nor what a signed URL carries are sent."""
    graph = chat(qwen(), memory=[WindowMemory(trigger=("turns", 1)), RecallMemory()], archive=tmp_path / "chat.db")
    say(graph, [block, words("Our cat Tom in Hangzhou")], "Nice weather today", "Where was our cat Tom?")
    last = server.requests[-1]
    assert shown in str(last.messages[-1]["content"])
    assert PNG[:40] not in json.dumps(last.body)
    assert "secret" not in json.dumps(last.body)


def test_a_thread_with_pictures_goes_on_with_a_model_without_eyes(qwen, server):
    """Earlier pictures become notes; one in the newest question is refused with the model to take."""
    saver = InMemorySaver()
    say(create_chat_graph(qwen(), memory=WindowMemory(), checkpointer=saver), [picture(), words("what?")])
    blind = create_chat_graph(qwen("qwen-plus"), memory=WindowMemory(), checkpointer=saver)
    report = say(blind, "and its name?")["record"]["report"]
    assert server.requests[-1].messages[0]["content"] == "[picture: cat.png]what?"
    assert report["view_tokens"] == report["input_tokens"]
    with pytest.raises(ValueError, match=r"qwen-plus takes text\. Take model='qwen3.7-plus'"):
        say(blind, [picture(), words("and this?")])


@pytest.mark.parametrize("model", ["qwen3.8-omni-flash", "qwen3.5-omni-flash", "qwen3-omni-flash", "qwen-omni-turbo"])
def test_sounds_are_heard_in_later_turns(qwen, server, model):
    """Each Omni gets the sound of the first turn with the second question, and what it costs is counted."""
    graph = chat(qwen(model))
    say(graph, [sound(), words("who speaks?")])
    report = say(graph, "and in which language?")["record"]["report"]
    assert media_sent(server.requests[-1])[0][0]["input_audio"]["data"].endswith(base64.b64encode(wav()).decode())
    assert report["view_tokens"] == report["input_tokens"]


def test_a_spoken_answer_is_kept_and_goes_back_as_words(qwen, server, tmp_path):
    """The thread and the archive hold it as a standard audio block; the next view holds its text alone."""
    graph = chat(qwen("qwen3.5-omni-flash", model_kwargs=SPEECH), archive=tmp_path / "chat.db")
    say(graph, "My cat is called Tom.", "What is my cat called?")
    stored = transcript(graph, CONFIG, context=ALICE)[0].messages[-1]
    spoken = next(block for block in stored.content_blocks if block["type"] == "audio")
    with wave.open(io.BytesIO(base64.b64decode(spoken["base64"]))) as file:
        assert file.getnframes() > 0
    assert server.requests[-1].body["stream"] is True
    assert server.requests[-1].messages[1] == {"role": "assistant", "content": stored.text}
    (hit, *_) = SqliteArchive(tmp_path / "chat.db").search("cat Tom", user="alice", thread="t1")
    assert spoken["base64"][:40] not in hit.turn.text
    assert stored.additional_kwargs["audio"]["data"][:40] not in hit.turn.text


SINGLE = {"qwen-vl-ocr": "qwen3.7-plus", "qwen3-omni-30b-a3b-captioner": "qwen3.8-omni-flash"}


@pytest.mark.parametrize("model", SINGLE)
def test_a_single_turn_model_cannot_remember(qwen, server, model):
    """Graph and middleware say so with the model to take, before anything is sent."""
    words_of_it = f"{model}' takes one user message a call and cannot hold a conversation. Write model='{SINGLE[model]}"
    with pytest.raises(MemoryOptionError, match=words_of_it):
        create_chat_graph(qwen(model))
    agent = create_agent(qwen(model), middleware=[MemoryMiddleware()])
    with pytest.raises(MemoryOptionError, match=words_of_it):
        agent.invoke({"messages": [HumanMessage([picture()])]}, CONFIG, context=ALICE)
    with pytest.raises(MemoryOptionError, match="cannot summarise for SummaryBufferMemory"):
        create_chat_graph(qwen(), memory=SummaryBufferMemory(model=qwen(model)))
    assert server.requests == []


def test_a_deaf_speaker_is_not_given_a_summary(qwen):
    """An old Omni that ignores the system message when it speaks would lose the summary: it is said instead."""
    graph = chat(qwen("qwen-omni-turbo", model_kwargs=SPEECH), system_prompt="Be kind.")
    with pytest.raises(ValueError, match="does not read the system message when it speaks"):
        say(graph, "hello")


@pytest.mark.parametrize("form", ["v0", "v1"])
def test_a_spoken_answer_costs_its_words_only(qwen, form):
    """In either form of LangChain's content, speech is kept, not sent, and not counted."""
    graph = chat(qwen("qwen3.5-omni-flash", model_kwargs=SPEECH, output_version=form))
    report = say(graph, "My cat is called Tom.", "What is my cat called?")["record"]["report"]
    assert report["view_tokens"] == report["input_tokens"]


def test_an_agent_keeps_pictures_too(qwen, server):
    """`MemoryMiddleware` sends the picture of an earlier turn along, and counts it."""
    agent = create_agent(qwen(), middleware=[MemoryMiddleware()], checkpointer=InMemorySaver())
    say(agent, [picture(), words("what?")], "and its name?")
    assert media_sent(server.requests[-1])[0][0]["image_url"]["url"].endswith(PNG)
    (*_, report) = read_reports(agent, CONFIG)
    assert report["view_tokens"] == report["input_tokens"]


async def test_pictures_in_an_async_stream(qwen, server):
    """The same in an event loop, token by token."""
    graph = chat(qwen())
    for content in ([picture(), words("what?")], "and its name?"):
        pieces = [
            chunk.text
            async for chunk, _ in graph.astream({"messages": [HumanMessage(content)]}, CONFIG, stream_mode="messages")
        ]
        assert len(pieces) > 1
    assert media_sent(server.requests[-1])[0][0]["image_url"]["url"].endswith(PNG)


@pytest.mark.parametrize("model", ["qwen-audio-turbo", "qwen-audio-turbo-latest", "qwen2-audio-instruct"])
def test_qwen_audio_hears_the_sounds_of_earlier_turns(qwen, server, model):
    """Over DashScope's own protocol, the only one that serves it: three turns, sounds in two, counted as billed."""
    graph = chat(qwen(model, protocol="native"))
    state = say(graph, [sound(3.0), words("who speaks?")], [sound(2.0)], "and of what?")
    assert server.requests[-1].path.endswith("multimodal-generation/generation")
    first, second = media_sent(server.requests[-1])
    assert first[0]["audio"].endswith(base64.b64encode(wav(3.0)).decode())
    assert second[0]["audio"].endswith(base64.b64encode(wav(2.0)).decode())
    report = state["record"]["report"]
    assert report["errors"] == []
    assert report["view_tokens"] == report["input_tokens"]
    assert server.requests[-1].usage["audio_tokens"] == 125


def test_qwen_audio_forgets_no_sound_silently(qwen, server):
    """A fold leaves a line in the summary; sounds longer than the 30 seconds it hears do not overfill its 6,000."""
    server.script(
        *[Reply(content="A recording in which two people speak of tea.")] * 4,
        when=lambda body: "Merge the conversation" in str(body["messages"][-1]["content"]),
    )
    memory = SummaryBufferMemory(trigger=("turns", 3), keep=("turns", 1))
    graph = chat(qwen("qwen-audio-turbo", protocol="native"), memory=memory)
    state = say(graph, *[[sound(200.0), words(f"who speaks? {n}")] for n in range(6)])
    report = state["record"]["report"]
    assert report["errors"] == []
    assert report["input_tokens"] < 3_000
    assert "two people speak of tea" in str(server.requests[-1].messages[0]["content"])


def test_sounds_have_their_own_price_in_the_report(qwen):
    """Where an Omni's list has one: what a turn cost is what was estimated for its prompt and answer."""
    graph = chat(qwen("qwen3.5-omni-flash"))
    asked = HumanMessage([sound(60.0), picture(), words("who speaks?")])
    report = say(graph, asked.content)["record"]["report"]
    known = estimate([asked], model="qwen3.5-omni-flash", output_tokens=report["output_tokens"])
    assert known.audio_tokens == 420
    assert report["cost"] == pytest.approx(known.cost)
    assert "cost_otherwise" not in report


def test_what_speech_costs_is_not_guessed(qwen):
    """No list says how words and speech of one answer are billed: the report leaves the money out."""
    report = say(chat(qwen("qwen3.5-omni-flash", model_kwargs=SPEECH)), "hello")["record"]["report"]
    assert "cost" not in report
