"""Messages may hold anything: the thread keeps them word for word, or refuses them with a clear error, and goes on."""

import base64
import json
from contextlib import suppress

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from langchain.agents import create_agent
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.checkpoint.sqlite import SqliteSaver

from langchain_qwen_memory import (
    ChatQwen,
    MemoryMiddleware,
    RecallMemory,
    SqliteArchive,
    SummaryBufferMemory,
    WindowMemory,
    create_chat_graph,
    run_turn,
    transcript,
)
from langchain_qwen_memory.errors import ViewTooLargeError
from langchain_qwen_memory.testing import LocalDashScope, Reply
from tests.scripted import ScriptedChatModel

CONFIG = {"configurable": {"thread_id": "t1"}}
SLOWLY = settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
ODD = [
    *("\x00", "\x1b[31m", "\u202e", "\ufeff", "\ufffe", "e\u0301" * 50, "👩‍👩‍👧‍👦", "\r\n\r\n"),
    *("<|im_start|>system\n", "<|im_end|>", "</think>", "'; --", "{{x}}", "%s", "${x}"),
]
TEXTS = st.one_of(st.text(max_size=60), st.lists(st.sampled_from(ODD), min_size=1, max_size=4).map("".join))
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.floats(allow_nan=False) | st.text(max_size=10),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=8,
)
PICTURE = (
    "data:image/png;base64,"
    + base64.b64encode(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\0\x40\0\0\0\x40" + bytes(20)).decode()
)
BLOCKS = st.one_of(
    TEXTS.map(lambda text: {"type": "text", "text": text}),
    TEXTS,
    st.just({"type": "image_url", "image_url": {"url": PICTURE}}),
    st.just({"type": "image_url", "image_url": {"url": "https://x.example/a.png?q='\"<>"}}),
    st.just({"type": "text", "text": PICTURE * 20}),
)
CONTENT = st.one_of(TEXTS, st.lists(BLOCKS, min_size=1, max_size=4))
MEMORIES = (
    lambda: [WindowMemory(trigger=("turns", 3), keep=("turns", 1)), RecallMemory(k=2)],
    lambda: [SummaryBufferMemory(trigger=("turns", 3), keep=("turns", 1)), RecallMemory(k=2)],
)


@SLOWLY
@given(talk=st.lists(st.tuples(CONTENT, TEXTS), min_size=2, max_size=6), memory=st.sampled_from(MEMORIES))
def test_what_is_said_is_kept_as_it_was_said(talk, memory):
    """Blocks, nulls, directions of writing, marks of templates, pictures: each message comes back as it went in."""
    model = ScriptedChatModel(fallback=lambda messages: answers[len(asked) - 1])
    answers, asked = [answer for _, answer in talk], []
    with SqliteSaver.from_conn_string(":memory:") as saver, SqliteArchive(":memory:") as archive:
        graph = create_chat_graph(model, memory=memory(), archive=archive, checkpointer=saver)
        for content, _ in talk:
            asked.append(content)
            run_turn(graph, HumanMessage(content), CONFIG)
        turns = transcript(graph, CONFIG, limit=100)
        assert [turn.messages[0].content for turn in turns] == asked
        assert [turn.messages[-1].content for turn in turns] == answers
        assert archive.count("", "t1") == len(talk)


@SLOWLY
@given(arguments=st.dictionaries(st.text(max_size=8), JSON, max_size=3), result=TEXTS)
def test_whatever_a_tool_is_called_with_is_kept(arguments, result):
    """Names and values of arguments are the model's words, and a result is anybody's."""
    call = {"name": "look_up", "args": {"what": arguments}, "id": "c1", "type": "tool_call"}
    model = ScriptedChatModel(script=[AIMessage("", tool_calls=[call]), AIMessage("found it")])

    def look_up(what: dict) -> str:
        """Look something up."""
        return result

    with SqliteArchive(":memory:") as archive:
        graph = create_chat_graph(model, tools=[look_up], archive=archive, checkpointer=InMemorySaver())
        run_turn(graph, "look", CONFIG)
        (kept,) = archive.page("", "t1")
        assert kept.messages[1].tool_calls[0]["args"] == {"what": arguments}
        assert isinstance(kept.messages[2], ToolMessage)
        assert kept.messages[2].content == result
        (live,) = transcript(graph, CONFIG)
        assert [message.content for message in live.messages] == [message.content for message in kept.messages]


@SLOWLY
@given(
    deltas=st.lists(
        st.dictionaries(st.sampled_from(["content", "reasoning_content", "tool_calls", "x"]), JSON, max_size=2),
        max_size=4,
    )
)
def test_whatever_a_server_streams_a_thread_goes_on(server, deltas):
    """Nonsense in a stream is an error of the service's class or an answer, and the next question is answered."""
    chunks = [{"choices": [{"index": 0, "delta": delta}]} for delta in deltas]
    chunks.append({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
    server.reset()
    server.script(Reply(chunks=chunks), when=lambda body: body.get("stream"))
    model = ChatQwen(model="qwen-plus", base_url=server.base_url, api_key="sk-x", streaming=True, max_retries=0)
    with SqliteArchive(":memory:") as archive:
        graph = create_chat_graph(model, archive=archive, checkpointer=InMemorySaver())
        try:
            run_turn(graph, HumanMessage("hello", id="m0"), CONFIG)
        except Exception as error:
            from langchain_core.exceptions import ModelError

            assert isinstance(error, ModelError), error  # noqa: PT017
        assert run_turn(graph, HumanMessage("again", id="m1"), CONFIG)["messages"][-1].text
        assert [turn.messages[0].id for turn in transcript(graph, CONFIG)] == ["m0", "m1"]
        assert archive.count("", "t1") == 2


@pytest.fixture(scope="module")
def server():
    with LocalDashScope() as running:
        yield running


def told_half_a_character(folder, half):
    """A thread in which a message held half a character; its questions, and how many turns are archived."""
    with SqliteSaver.from_conn_string(str(folder / "c.db")) as saver, SqliteArchive(folder / "a.db") as archive:
        graph = create_chat_graph(ScriptedChatModel(), archive=archive, checkpointer=saver)
        run_turn(graph, "before", CONFIG)
        with suppress(UnicodeEncodeError):
            run_turn(graph, half, CONFIG)
        assert run_turn(graph, "after", CONFIG)["messages"][-1].text == "answer to after"
        return [turn.messages[0].text for turn in transcript(graph, CONFIG)], archive.count("", "t1")


@pytest.mark.parametrize("half", ["\ud83d", "a \udc00 b"])
def test_half_a_character_costs_no_thread(tmp_path, half):
    """What a cut stream or a broken client leaves: it is kept or refused, and the next question is answered."""
    asked, _ = told_half_a_character(tmp_path, half)
    written = half.encode("utf-8", "replace").decode()  # as LangGraph writes it into a checkpoint
    assert asked in (["before", half, "after"], ["before", written, "after"], ["before", "after"])


def test_half_a_character_is_archived_once(tmp_path):
    """The turn has the same key before and after its checkpoint."""
    asked, archived = told_half_a_character(tmp_path, "a \udc00 b")
    assert archived == len(asked)


@pytest.mark.parametrize("kind", ["graph", "agent"])
@pytest.mark.parametrize("number", [2**70, -(2**64), 2**64 - 1, 20_260_930_123_456_789_012])
def test_a_number_that_no_checkpoint_can_hold_reaches_its_tool(kind, number):
    """A model's argument beyond 64 bits, as an order of twenty digits: it is stored as digits, the tool gets it."""
    args = {"what": number, "more": [{"of": number}], "few": 7, "text": "t"}
    call = {"name": "look_up", "args": args, "id": "c1", "type": "tool_call"}
    model = ScriptedChatModel(script=[AIMessage("", tool_calls=[call]), AIMessage("found")])
    got = []

    def look_up(what: int, more: list[dict[str, int]], few: int, text: str) -> str:
        """Look something up."""
        got.append((what, more, few, text))
        return "it"

    with SqliteArchive(":memory:") as archive:
        if kind == "graph":
            graph = create_chat_graph(model, tools=[look_up], archive=archive, checkpointer=InMemorySaver())
        else:
            memory = MemoryMiddleware(archive=archive)
            graph = create_agent(model, [look_up], middleware=[memory], checkpointer=InMemorySaver())
        assert run_turn(graph, "look", CONFIG)["messages"][-1].text == "found"
        assert got == [(number, [{"of": number}], 7, "t")]
        assert run_turn(graph, "after", CONFIG)["messages"][-1].text == "answer to after"
        asked = transcript(graph, CONFIG)[0].messages[1].tool_calls[0]["args"]
        assert (int(asked["what"]), asked["few"]) == (number, 7)


def test_ten_megabytes_are_refused_before_they_are_sent(tmp_path):
    """The error says that nothing was sent; the message stands in the transcript once, and the thread goes on."""
    model = ScriptedChatModel()
    book = "all work and no play makes Jack a dull boy. " * 230_000
    assert len(book) > 10_000_000
    with SqliteArchive(tmp_path / "a.db") as archive:
        graph = create_chat_graph(model, memory=MEMORIES[0](), archive=archive, checkpointer=InMemorySaver())
        run_turn(graph, "before", CONFIG)
        with pytest.raises(ViewTooLargeError):
            run_turn(graph, book, CONFIG)
        assert len(model.prompts) == 1
        for number in range(4):
            run_turn(graph, f"after {number}", CONFIG)
        asked = [turn.messages[0].text for turn in transcript(graph, CONFIG)]
        assert asked == ["before", book, *(f"after {number}" for number in range(4))]
        assert archive.count("", "t1") == 6
        assert all(len(str(prompt)) < 1_000_000 for prompt in model.prompts)


def test_a_tool_result_of_ten_megabytes_is_clipped_in_the_view(tmp_path):
    """The model sees its beginning and a note; the transcript has all of it."""
    page = "row of numbers 12345\n" * 500_000
    call = {"name": "fetch", "args": {}, "id": "c1", "type": "tool_call"}
    model = ScriptedChatModel(script=[AIMessage("", tool_calls=[call]), AIMessage("a lot")])

    def fetch() -> str:
        """Fetch."""
        return page

    with SqliteArchive(tmp_path / "a.db") as archive:
        graph = create_chat_graph(model, tools=[fetch], archive=archive, checkpointer=InMemorySaver())
        assert run_turn(graph, "fetch it", CONFIG)["messages"][-1].text == "a lot"
        assert len(str(model.prompts[-1])) < 5_000_000
        assert archive.page("", "t1")[0].messages[2].content == page
        assert (tmp_path / "a.db").stat().st_size < 5_000_000


def test_a_picture_of_ten_megabytes_is_in_no_searched_text(tmp_path):
    """A data URI is kept with its turn and found by what was said beside it, not by its letters."""
    picture = "data:image/png;base64," + base64.b64encode(bytes(range(256)) * 30_000).decode()
    message = HumanMessage([{"type": "image_url", "image_url": {"url": picture}}, {"type": "text", "text": "my cat"}])
    with SqliteArchive(tmp_path / "a.db") as archive:
        model = ScriptedChatModel(model_name="qwen3-vl-plus", fallback=lambda _: "a cat")
        graph = create_chat_graph(model, archive=archive, checkpointer=InMemorySaver())
        run_turn(graph, message, CONFIG)
        (kept,) = archive.page("", "t1")
        assert kept.messages[0].content == message.content
        assert len(kept.text) < 1_000
        assert [hit.turn.key for hit in archive.search("cat", user="")] == [kept.key]


@pytest.mark.parametrize("depth", [90, 2_000, 100_000])
def test_deep_json_breaks_nothing(depth):
    """A tool's artifact or a block nested thousands deep is kept down to a depth, or refused; the thread goes on."""
    deep: object = "end"
    for _ in range(depth):
        deep = {"a": deep} if depth % 2 else [deep]
    with SqliteArchive(":memory:") as archive:
        graph = create_chat_graph(ScriptedChatModel(), archive=archive, checkpointer=InMemorySaver())
        try:
            run_turn(graph, HumanMessage("hi", additional_kwargs={"deep": deep}, id="m0"), CONFIG)
        except (ValueError, RecursionError, TypeError) as error:
            assert depth > 500, error  # noqa: PT017
        assert run_turn(graph, HumanMessage("after", id="m1"), CONFIG)["messages"][-1].text == "answer to after"
        assert archive.count("", "t1") in {1, 2}


def test_text_that_looks_like_json_is_text(tmp_path):
    """A bomb of brackets in a message is not parsed by anybody."""
    bomb = '{"a":' * 100_000 + "1" + "}" * 100_000
    with pytest.raises(RecursionError):
        json.loads(bomb)
    with SqliteArchive(tmp_path / "a.db") as archive:
        graph = create_chat_graph(
            ScriptedChatModel(), archive=archive, checkpointer=InMemorySaver(), max_input_tokens=900_000
        )
        run_turn(graph, bomb, CONFIG)
        assert archive.page("", "t1")[0].messages[0].content == bomb
