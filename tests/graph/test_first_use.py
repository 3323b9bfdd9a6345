"""What takes long at its first use, or with a long text, is done before an event loop waits for it, or beside it."""

import asyncio
import threading
from uuid import uuid4

import pytest
import tiktoken
from langchain.agents import create_agent
from langchain_core.messages import AIMessage
from langchain_core.runnables import RunnableLambda
from langgraph.checkpoint.memory import InMemorySaver

from langchain_qwen_memory import ChatContext, MemoryMiddleware, WindowMemory, arun_turn, create_chat_graph
from langchain_qwen_memory.counting import vocabulary
from tests.scripted import ScriptedChatModel

CONFIG = {"configurable": {"thread_id": "t1"}}


@pytest.fixture
def made(monkeypatch):
    """Threads in which an encoder is made, as in a process that has counted nothing yet."""
    threads, encoder = [], tiktoken.Encoding

    def making(*given, **options):
        threads.append(threading.current_thread())
        return encoder(*given, **options)

    monkeypatch.setattr(tiktoken, "Encoding", making)
    monkeypatch.setattr(vocabulary, "_loaded", set())
    vocabulary.encoding.cache_clear()
    return threads


def test_a_graph_has_its_models_vocabulary_before_its_first_turn(made):
    """Making the graph reads it, so that no user waits, and no loop stands still."""
    graph = create_chat_graph(ScriptedChatModel(), checkpointer=InMemorySaver())
    assert len(made) == 1
    asyncio.run(arun_turn(graph, "hello", CONFIG))
    assert len(made) == 1


@pytest.mark.parametrize("kind", ["chain", "agent"])
def test_what_only_a_turn_tells_is_read_beside_the_loop(made, kind):
    """A chain that hides its model, and an agent's middleware: many first turns at once read it once, in a thread."""
    if kind == "chain":
        nameless = RunnableLambda(lambda messages: AIMessage(f"answer to {messages[-1].text}"))
        graph = create_chat_graph(nameless, checkpointer=InMemorySaver())
    else:
        memory = MemoryMiddleware(WindowMemory())
        graph = create_agent(ScriptedChatModel(), [], middleware=[memory], context_schema=ChatContext)
    assert made == []

    async def first():
        configs = ({"configurable": {"thread_id": f"t{number}"}} for number in range(4))
        return await asyncio.gather(*(arun_turn(graph, "hello", config) for config in configs))

    assert [state["messages"][-1].text for state in asyncio.run(first())] == ["answer to hello"] * 4
    assert len(made) == 1
    assert made[0] is not threading.main_thread()


def test_long_texts_are_counted_beside_the_loop(monkeypatch):
    """The loop goes on while a book is counted; a short text is not worth a thread."""
    counted, count = [], vocabulary._length

    def counting(text, encoder):
        counted.append((len(text), threading.current_thread() is threading.main_thread()))
        return count(text, encoder)

    monkeypatch.setattr(vocabulary, "_length", counting)
    graph = create_chat_graph(ScriptedChatModel(fallback=lambda _: "read"), checkpointer=InMemorySaver())
    for book in ("all work and no play. " * 2_000, [{"type": "text", "text": "makes Jack a dull boy. " * 2_000}]):
        counted.clear()
        asyncio.run(arun_turn(graph, {"role": "user", "content": book}, CONFIG))
        assert [here for length, here in counted if length > 40_000] == [False]
    counted.clear()
    asyncio.run(arun_turn(graph, f"a short one, {uuid4()}", CONFIG))
    assert counted
    assert all(here for _, here in counted)
