"""A process whose disk, rights or locks are taken away: `python -m tests.faults.store_child COMMAND PATH ...`.

`full PATH CHECKPOINTS`: no file may grow any more for some questions (the system's own limit, EFBIG), then they may
again; CHECKPOINTS is `apart` or `together` with the archive. `reader FOLDER`: as a user who may not write, opens the
archive in FOLDER. `lock PATH SECONDS`: holds the write lock. Each answer is printed as `answered N`, each failed
run as `failed N ERROR`, the errors of the newest report as `told ...`.
"""

import os
import resource
import signal
import sqlite3
import sys
import time
from pathlib import Path

from langchain_core.messages import HumanMessage
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.checkpoint.sqlite import SqliteSaver

from langchain_qwen_memory import SqliteArchive, WindowMemory, create_chat_graph, read_reports, run_turn
from langchain_qwen_memory.errors import ArchiveError
from tests.scripted import ScriptedChatModel

CONFIG = {"configurable": {"thread_id": "t1"}}
NOBODY = 65534
LONG = "word " * 2_000


def graph_of(path, saver):
    memory = WindowMemory(trigger=("turns", 3), keep=("turns", 1))
    model = ScriptedChatModel(fallback=lambda messages: f"answer to {messages[-1].text[:12].strip()}")
    return create_chat_graph(model, memory=memory, archive=SqliteArchive(path, timeout=0.3), checkpointer=saver)


def ask(graph, number):
    try:
        run_turn(graph, HumanMessage(f"question {number} {LONG}", id=f"m{number}"), CONFIG)
    except Exception as error:
        print(f"failed {number} {type(error).__name__}", flush=True)
        return
    print(f"answered {number}", flush=True)
    print("told", *read_reports(graph, CONFIG, limit=1)[-1]["errors"], flush=True)


def full(path, checkpoints):
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # writing too much is then an error, not death
    if checkpoints == "apart":
        talk_on_a_full_disk(path, InMemorySaver())
    else:
        with SqliteSaver.from_conn_string(path) as saver:
            talk_on_a_full_disk(path, saver)


def talk_on_a_full_disk(path, saver):
    graph = graph_of(path, saver)
    for number in range(6):
        if number in {2, 4}:
            room = Path(f"{path}-wal").stat().st_size + 4096 if number == 2 else resource.RLIM_INFINITY
            resource.setrlimit(resource.RLIMIT_FSIZE, (room, resource.RLIM_INFINITY))
        ask(graph, number)
    print("kept", graph.nodes["model"].bound.wiring.archive.count("", "t1"), flush=True)


def reader(folder):
    if os.getuid() == 0:
        os.setgroups([])
        os.setuid(NOBODY)
    for path in (f"{folder}/chat.db", f"{folder}/new.db"):
        try:
            SqliteArchive(path).close()
        except ArchiveError as error:
            print(error, flush=True)


def lock(path, seconds):
    db = sqlite3.connect(path, isolation_level=None)
    db.execute("BEGIN IMMEDIATE")
    print("locked", flush=True)
    time.sleep(float(seconds))
    db.execute("ROLLBACK")
    db.close()


if __name__ == "__main__":
    {"full": full, "reader": reader, "lock": lock}[sys.argv[1]](*sys.argv[2:])
