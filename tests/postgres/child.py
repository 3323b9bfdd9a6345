"""A process of its own for the tests: `python -m tests.postgres.child COMMAND URL ...`; it prints what it has done.

`write URL NUMBER CLIENTS TURNS`: so many clients append that many turns each, each turn twice, in a thread of its own,
and print a turn's thread and key once it is acknowledged. `talk URL COLOUR TURNS PLACE`: a chat graph with its
checkpoints in the same database answers questions; at PLACE (`model:3`, `append:3`, `never`) it kills itself. `hold URL
SECONDS`: holds a thread so long.
"""

import asyncio
import os
import signal
import sys
import threading
import time
from collections import Counter

from langchain_core.messages import HumanMessage

from langchain_qwen_memory import RecallMemory, WindowMemory, arun_turn, create_chat_graph, run_turn
from langchain_qwen_memory.archive import root_key
from langchain_qwen_memory.archive.postgres.archive import PostgresArchive
from langchain_qwen_memory.threads import atranscript, transcript
from tests.archive.contract import chain
from tests.scripted import ScriptedChatModel

CONFIG = {"configurable": {"thread_id": "t1"}}
_reached: Counter[str] = Counter()
_printing = threading.Lock()


def reach(place: str, wanted: str) -> None:
    _reached[place] += 1
    if f"{place}:{_reached[place]}" == wanted:
        os.kill(os.getpid(), signal.SIGKILL)


def told(line: str) -> None:
    with _printing:
        os.write(1, f"{line}\n".encode())


def write(url: str, number: str, clients: str, turns: str) -> None:
    archive = PostgresArchive(url)

    def client(client_number: int) -> None:
        thread = f"t{number}.{client_number}"
        parent = archive.head("u", thread) or root_key("u", thread)
        for step in range(archive.count("u", thread), int(turns)):
            made = chain(parent, [f"alarm {thread} number{step}"])
            archive.append("u", thread, made)
            archive.append("u", thread, made)
            parent = made[-1].key
            told(f"{thread} {parent}")

    workers = [threading.Thread(target=client, args=(one,)) for one in range(int(clients))]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    archive.close()


class Mortal(PostgresArchive):
    place = "never"

    def append(self, user, thread, turns):
        new = super().append(user, thread, turns)
        reach("append", self.place)
        return new

    async def aappend(self, user, thread, turns):
        new = await super().aappend(user, thread, turns)
        reach("append", self.place)
        return new


def chat(saver, archive, place="never"):
    def answer(messages):
        reach("model", place)
        question = messages[-1].text.split("\n\n")[-1]
        return f"answer to {question}"

    memory = [WindowMemory(trigger=("turns", 3)), RecallMemory(k=2)]
    return create_chat_graph(ScriptedChatModel(fallback=answer), memory=memory, archive=archive, checkpointer=saver)


def left(turns, total):
    """Questions that were not answered yet."""
    done = {turn.messages[0].text for turn in turns if len(turn.messages) > 1}
    return [number for number in range(total) if f"question {number}" not in done]


def question(number: int) -> HumanMessage:
    return HumanMessage(f"question {number}", id=f"m{number}")


def talk(url: str, total: int, place: str) -> None:
    from langgraph.checkpoint.postgres import PostgresSaver

    Mortal.place = place
    with PostgresSaver.from_conn_string(url) as saver, Mortal(url) as archive:
        saver.setup()
        graph = chat(saver, archive, place)
        for number in left(transcript(graph, CONFIG, limit=1_000), total):
            run_turn(graph, question(number), CONFIG)
            told(f"answered {number}")


async def atalk(url: str, total: int, place: str) -> None:
    from langgraph.checkpoint.postgres.aio import AsyncPostgresSaver

    Mortal.place = place
    async with AsyncPostgresSaver.from_conn_string(url) as saver, Mortal(url) as archive:
        await saver.setup()
        graph = chat(saver, archive, place)
        for number in left(await atranscript(graph, CONFIG, limit=1_000), total):
            await arun_turn(graph, question(number), CONFIG)
            told(f"answered {number}")


def hold(url: str, seconds: str) -> None:
    with PostgresArchive(url) as archive, archive.hold("", "t1"):
        told("held")
        time.sleep(float(seconds))
        told("let go")


if __name__ == "__main__":
    command, url, *rest = sys.argv[1:]
    if command == "write":
        write(url, *rest)
    elif command == "hold":
        hold(url, *rest)
    elif rest[0] == "sync":
        talk(url, int(rest[1]), rest[2])
    else:
        asyncio.run(atalk(url, int(rest[1]), rest[2]))
