"""What each release stored is read by this one: nothing is lost, and the thread goes on."""

import gzip
import json
from pathlib import Path

import pytest
from langgraph.checkpoint.sqlite import SqliteSaver

from langchain_qwen_memory import (
    ChatQwen,
    RecallMemory,
    SqliteArchive,
    WindowMemory,
    create_chat_graph,
    read_reports,
    run_turn,
    transcript,
)
from langchain_qwen_memory.testing import LocalDashScope
from scripts.store_state import ALICE, THREAD, WAYS

STORED = Path(__file__).parent / "stored"
FILES = sorted(STORED.glob("*/*.db.gz"))


def unpacked(packed, folder):
    file = folder / packed.stem
    file.write_bytes(gzip.decompress(packed.read_bytes()))
    return file


def questions(packed):
    return json.loads((packed.parent / "expected.json").read_text("utf-8"))["questions"]


def adopted(model, archive, saver):
    """A thread of plain messages, in a graph with memory."""
    memory = [WindowMemory(trigger=("turns", 4), keep=("turns", 2)), RecallMemory()]
    return create_chat_graph(model, memory=memory, archive=archive, checkpointer=saver)


@pytest.fixture
def server():
    with LocalDashScope() as running:
        yield running


def test_there_is_something_stored():
    """Every way of use, of every release."""
    assert FILES
    for release in {packed.parent for packed in FILES}:
        assert {packed.name.removesuffix(".db.gz") for packed in release.glob("*.db.gz")} == set(WAYS)


@pytest.mark.parametrize("packed", FILES, ids=lambda packed: f"{packed.parent.name}-{packed.stem}")
def test_a_stored_thread_goes_on(packed, tmp_path, server):
    """All turns are read, a new one is added, none is archived twice, and the report is in order."""
    name = packed.name.removesuffix(".db.gz")
    make = adopted if name == "plain" else WAYS[name]
    file, asked = unpacked(packed, tmp_path), questions(packed)
    model = ChatQwen(model="qwen-plus", base_url=server.base_url, api_key=server.api_key)
    with SqliteArchive(file) as archive, SqliteSaver.from_conn_string(str(file)) as saver:
        graph = make(model, archive, saver)
        if name != "plain":  # memory has not seen that one yet
            assert [turn.messages[0].text for turn in transcript(graph, THREAD, context=ALICE)] == asked
            assert archive.count("alice", "stored") == len(asked)
        for question in ("第 100 天：走了 5 步。", "我对什么过敏？"):
            run_turn(graph, question, THREAD, context=ALICE)
        read = [turn.messages[0].text for turn in transcript(graph, THREAD, context=ALICE)]
        assert read == [*asked, "第 100 天：走了 5 步。", "我对什么过敏？"]
        assert archive.count("alice", "stored") == len(read)
        assert read_reports(graph, THREAD)[-1]["errors"] == []


@pytest.mark.parametrize("packed", [one for one in FILES if "everything" in one.name], ids=lambda one: one.parent.name)
def test_what_was_summed_up_and_archived_is_still_known(packed, tmp_path, server):
    """The first turn's fact is in the answer: from the stored summary, or found again by recall."""
    file = unpacked(packed, tmp_path)
    model = ChatQwen(model="qwen-plus", base_url=server.base_url, api_key=server.api_key)
    with SqliteArchive(file) as archive, SqliteSaver.from_conn_string(str(file)) as saver:
        state = run_turn(WAYS["everything"](model, archive, saver), "我对什么过敏？", THREAD, context=ALICE)
        assert "花生" in state["messages"][-1].text
