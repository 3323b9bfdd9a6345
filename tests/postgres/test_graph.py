"""A chat graph with checkpoints and archive in one Postgres database: killed, resumed, the server restarted."""

import asyncio
import signal
import threading
from contextlib import AsyncExitStack

import pytest
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.checkpoint.postgres import PostgresSaver
from langgraph.checkpoint.postgres.aio import AsyncPostgresSaver

from langchain_qwen_memory import arun_turn, create_chat_graph, run_turn, stream_turn, transcript
from langchain_qwen_memory.archive.postgres.archive import PostgresArchive
from langchain_qwen_memory.errors import MemoryOptionError
from langchain_qwen_memory.nodes import wiring_of
from tests.postgres.child import CONFIG, chat
from tests.postgres.test_processes import start
from tests.scripted import ScriptedChatModel

TURNS = 6


def said(graph):
    return [[message.text for message in turn.messages] for turn in transcript(graph, CONFIG, limit=1_000)]


def expected(turns):
    return [[f"question {number}", f"answer to question {number}"] for number in range(turns)]


def test_a_url_is_an_archive(url):
    """`archive="postgresql://..."` is all it takes; the tables are made at first use."""
    graph = create_chat_graph(ScriptedChatModel(), archive=url, checkpointer=InMemorySaver())
    archive = wiring_of(graph).archive
    assert isinstance(archive, PostgresArchive)
    run_turn(graph, "hello", CONFIG)
    assert archive.count("", "t1") == 1
    archive.close()


def test_another_databases_url_is_refused_without_its_password():
    """What is no file, no Postgres and no archive is named, without user and password."""
    with pytest.raises(MemoryOptionError, match="postgresql://") as caught:
        create_chat_graph(ScriptedChatModel(), archive="mysql://me:secret@host/chat")
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("colour", ["sync", "async"])
@pytest.mark.parametrize("place", ["model:4", "append:3"])
def test_killed_and_resumed_every_turn_is_there_once(url, colour, place):
    """The process dies in the model's call or after an append; started again, it finishes: nothing lost or doubled."""
    child = start("talk", url, colour, str(TURNS), place)
    child.communicate(timeout=60)
    assert child.returncode == -signal.SIGKILL, "the process did not reach the place where it was to die"
    child = start("talk", url, colour, str(TURNS), "never")
    child.communicate(timeout=60)
    assert child.returncode == 0
    with PostgresSaver.from_conn_string(url) as saver, PostgresArchive(url) as archive:
        assert said(chat(saver, archive)) == expected(TURNS)
        assert archive.count("", "t1") == TURNS


def test_two_machines_never_run_one_thread_at_once(url):
    """Two graphs with connections of their own, as on two machines, answer one thread by turns and lose nothing."""

    def machine(number):
        with PostgresSaver.from_conn_string(url) as saver, PostgresArchive(url) as archive:
            graph = chat(saver, archive)
            for step in range(5):
                run_turn(graph, f"question {number}.{step}", CONFIG)

    with PostgresSaver.from_conn_string(url) as saver:
        saver.setup()
    machines = [threading.Thread(target=machine, args=(number,)) for number in range(2)]
    for one in machines:
        one.start()
    for one in machines:
        one.join()
    with PostgresSaver.from_conn_string(url) as saver, PostgresArchive(url) as archive:
        turns = said(chat(saver, archive))
    assert sorted(turn[0] for turn in turns) == [
        f"question {number}.{step}" for number in range(2) for step in range(5)
    ]
    assert all(turn[1] == f"answer to {turn[0]}" for turn in turns)


async def test_two_machines_never_run_one_thread_at_once_in_event_loops(url):
    """The same in an event loop, with AsyncPostgresSaver and the archive's own async pool."""
    async with AsyncExitStack() as stack:
        graphs = []
        for _ in range(2):
            saver = await stack.enter_async_context(AsyncPostgresSaver.from_conn_string(url))
            await saver.setup()
            graphs.append(chat(saver, await stack.enter_async_context(PostgresArchive(url))))
        await asyncio.gather(
            *(arun_turn(graph, f"question {number}", CONFIG) for number, graph in enumerate(graphs * 4))
        )
    with PostgresSaver.from_conn_string(url) as saver, PostgresArchive(url) as archive:
        turns = said(chat(saver, archive))
    assert sorted(turn[0] for turn in turns) == [f"question {number}" for number in range(8)]


@pytest.mark.parametrize("runs", [run_turn, lambda *given: list(stream_turn(*given))])
def test_the_user_is_answered_while_the_server_is_down(server, url, runs):
    """With the server gone in the middle of a conversation each question is answered, and nothing is lost."""
    with PostgresArchive(url, timeout=2) as archive:
        graph = chat(InMemorySaver(), archive)
        runs(graph, "question 0", CONFIG)
        server.stop()
        try:
            runs(graph, "question 1", CONFIG)
            assert graph.get_state(CONFIG).values["messages"][-1].text == "answer to question 1"
        finally:
            server.start()
        runs(graph, "question 2", CONFIG)
        assert said(graph) == expected(3)
        assert archive.count("", "t1") == 3


async def test_a_restart_is_not_noticed_between_two_calls(server, url):
    """Connections that a restart broke are replaced: the next call of either colour works as if nothing had been."""
    with PostgresArchive(url) as archive:
        graph = chat(InMemorySaver(), archive)
        await arun_turn(graph, "question 0", CONFIG)
        assert archive.count("", "t1") == 1
        server.stop()
        server.start()
        assert archive.count("", "t1") == await archive.acount("", "t1") == 1
        await arun_turn(graph, "question 1", CONFIG)
        assert await archive.acount("", "t1") == 2
        await archive.aclose()
