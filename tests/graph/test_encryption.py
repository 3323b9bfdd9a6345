"""Checkpoints may be encrypted by LangGraph's own serializer: memory works as before, the file gives nothing away."""

import os

import pytest
from langgraph.checkpoint.serde.encrypted import EncryptedSerializer
from langgraph.checkpoint.sqlite import SqliteSaver

from langchain_qwen_memory import InMemoryArchive, RecallMemory, SummaryBufferMemory, create_chat_graph, run_turn
from tests.scripted import ScriptedChatModel

CONFIG = {"configurable": {"thread_id": "t1"}}
SECRET = "peanut-4711"

pytest.importorskip("Crypto", reason="pycryptodome is not installed")


def summarising(messages):
    return f"The user keeps {SECRET} in mind." if "summary" in messages[-1].text else "noted"


def talk(saver, questions):
    memory = [SummaryBufferMemory(trigger=("tokens", 200), keep=("turns", 2)), RecallMemory()]
    graph = create_chat_graph(
        ScriptedChatModel(fallback=summarising), memory=memory, archive=InMemoryArchive(), checkpointer=saver
    )
    for question in questions:
        state = run_turn(graph, question, CONFIG)
    return state


@pytest.mark.parametrize("encrypted", [False, True])
def test_an_encrypted_checkpoint_holds_no_word_of_the_talk(tmp_path, encrypted):
    """The words are in the file without the serializer, which shows that the search works, and not with it."""
    file = tmp_path / "chat.db"
    serde = EncryptedSerializer.from_pycryptodome_aes(key=os.urandom(32))
    with SqliteSaver.from_conn_string(str(file)) as saver:
        if encrypted:
            saver.serde = serde
        state = talk(saver, [f"the word {SECRET} and number {n}" for n in range(12)])
        assert state["record"]["slots"]["summary"]["text"]
    written = b"".join(path.read_bytes() for path in tmp_path.iterdir())
    assert (SECRET.encode() in written) is not encrypted


def test_an_encrypted_thread_goes_on(tmp_path):
    """Another saver with the same key reads it; with another key nothing is read and nothing is lost."""
    file, key = str(tmp_path / "chat.db"), os.urandom(32)
    with SqliteSaver.from_conn_string(file) as saver:
        saver.serde = EncryptedSerializer.from_pycryptodome_aes(key=key)
        talk(saver, ["first"])
    with SqliteSaver.from_conn_string(file) as saver:
        saver.serde = EncryptedSerializer.from_pycryptodome_aes(key=os.urandom(32))
        with pytest.raises(ValueError, match="MAC"):
            talk(saver, ["second"])
    with SqliteSaver.from_conn_string(file) as saver:
        saver.serde = EncryptedSerializer.from_pycryptodome_aes(key=key)
        assert talk(saver, ["second"])["record"]["report"]["turn"] == 1
