"""A process that talks, and dies where it is told to: `python -m tests.graph.kill_child DB COLOUR TURNS POINT FOLD`.

POINT is `model:5`, `append-before:3`, `append-after:3`, `put:17`, `fold:1`, `note:1` or `never`: the n-th time that
place is reached, the process kills itself with SIGKILL. FOLD is `none`, or when a summary is made: `after` or
`background`. Each answer that a user would have read is printed as `answered N`, each call of the summariser as
`folded`.
"""

import asyncio
import os
import signal
import sys
import threading
from collections import Counter
from pathlib import Path

from langchain_core.messages import HumanMessage
from langgraph.checkpoint.sqlite import SqliteSaver
from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver

from langchain_qwen_memory import (
    RecallMemory,
    SqliteArchive,
    SummaryBufferMemory,
    WindowMemory,
    arun_turn,
    atranscript,
    create_chat_graph,
    run_turn,
    transcript,
)
from tests.scripted import ScriptedChatModel

CONFIG = {"configurable": {"thread_id": "t1"}}
_place, _, _when = sys.argv[4].partition(":") if len(sys.argv) > 4 else ("never", "", "")
_fold = sys.argv[5] if len(sys.argv) > 5 else "none"
_reached: Counter[str] = Counter()


def reach(place):
    _reached[place] += 1
    if place == _place and _reached[place] == int(_when):
        os.kill(os.getpid(), signal.SIGKILL)


class MortalArchive(SqliteArchive):
    def append(self, user, thread, turns):
        reach("append-before")
        new = super().append(user, thread, turns)
        reach("append-after")
        return new

    async def aappend(self, user, thread, turns):
        reach("append-before")
        new = await super().aappend(user, thread, turns)
        reach("append-after")
        return new

    def put_note(self, user, thread, key, note):
        kept = super().put_note(user, thread, key, note)
        reach("note")
        return kept


class MortalSaver(SqliteSaver):
    def put(self, *args):
        reach("put")
        return super().put(*args)


class MortalAsyncSaver(AsyncSqliteSaver):
    async def aput(self, *args):
        reach("put")
        return await super().aput(*args)


def answer(messages):
    reach("model")
    question = messages[-1].text.split("\n\n")[-1]
    return f"answer to {question}"


def summarise(messages):
    reach("fold")
    print("folded", flush=True)
    return "questions and answers"


def memories():
    if _fold == "none":
        return [WindowMemory(trigger=("turns", 3)), RecallMemory(k=2)]
    summariser = ScriptedChatModel(fallback=summarise)
    return SummaryBufferMemory(model=summariser, trigger=("turns", 4), keep=("turns", 1), fold=_fold)


def settle():
    """Wait for a fold in the background, so that the place is reached before the next question is asked."""
    for worker in threading.enumerate():
        if worker.name == "qwen-memory-fold":
            worker.join(20)


def graph_with(saver, path):
    return create_chat_graph(
        ScriptedChatModel(fallback=answer),
        memory=memories(),
        archive=MortalArchive(path),
        checkpointer=saver,
    )


def todo(turns, total):
    """Questions that have no answer yet, the first of them perhaps asked already."""
    done = {turn.messages[0].text for turn in turns if len(turn.messages) > 1}
    return [n for n in range(total) if f"question {n}" not in done]


def question(number):
    return HumanMessage(f"question {number}", id=f"m{number}")


def talk(path, total):
    with MortalSaver.from_conn_string(path) as saver:
        graph = graph_with(saver, path)
        for number in todo(transcript(graph, CONFIG, limit=1000), total):
            run_turn(graph, question(number), CONFIG)
            print(f"answered {number}", flush=True)
            settle()


async def atalk(path, total):
    async with MortalAsyncSaver.from_conn_string(path) as saver:
        graph = graph_with(saver, path)
        for number in todo(await atranscript(graph, CONFIG, limit=1000), total):
            await arun_turn(graph, question(number), CONFIG)
            print(f"answered {number}", flush=True)


if __name__ == "__main__":
    database, colour, turns = str(Path(sys.argv[1])), sys.argv[2], int(sys.argv[3])
    if colour == "sync":
        talk(database, turns)
    else:
        asyncio.run(atalk(database, turns))
