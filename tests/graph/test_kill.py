"""The process is killed with SIGKILL, at each place where it hurts: after a restart every turn is there once."""

import os
import random
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing

import pytest
from langgraph.checkpoint.sqlite import SqliteSaver

from langchain_qwen_memory import SqliteArchive, create_chat_graph, transcript
from tests.scripted import ScriptedChatModel

TURNS = 6
CONFIG = {"configurable": {"thread_id": "t1"}}
PLACES = ["model:1", "model:4", "append-before:4", "append-after:4", "put:2", "put:9", "put:11", "put:13", "put:14"]


def start(path, colour, turns=TURNS, place="never", fold="none"):
    command = [sys.executable, "-m", "tests.graph.kill_child", str(path), colour, str(turns), place, fold]
    environment = {**os.environ, "LANGGRAPH_STRICT_MSGPACK": "true"}
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment)


def answered(output):
    return [int(line.split()[1]) for line in output.splitlines() if line.startswith("answered")]


def check(path, turns=TURNS):
    """Every question once, in order, with one answer; the archive holds no other branch."""
    with SqliteSaver.from_conn_string(str(path)) as saver, SqliteArchive(path) as archive:
        graph = create_chat_graph(ScriptedChatModel(), archive=archive, checkpointer=saver)
        kept = [[message.text for message in turn.messages] for turn in transcript(graph, CONFIG, limit=1000)]
        assert kept == [[f"question {n}", f"answer to question {n}"] for n in range(turns)]
        assert archive.count("", "t1") == turns


@pytest.mark.parametrize("colour", ["sync", "async"])
@pytest.mark.parametrize("place", PLACES)
def test_killed_at_a_node_every_turn_is_there_once(tmp_path, colour, place):
    """The process dies at this place and is started again: nothing lost, nothing twice."""
    path = tmp_path / "chat.db"
    child = start(path, colour, place=place)
    told, _ = child.communicate(timeout=60)
    assert child.returncode == -signal.SIGKILL, "the process did not reach the place where it was to die"
    child = start(path, colour)
    told_again, _ = child.communicate(timeout=60)
    assert child.returncode == 0
    assert not set(answered(told)) & set(answered(told_again)), "an answer that the user had read was given again"
    check(path)


def notes(path):
    with closing(sqlite3.connect(path)) as db:
        return db.execute("SELECT count(*) FROM qwen_memory_notes").fetchone()[0]


@pytest.mark.parametrize("fold", ["after", "background"])
@pytest.mark.parametrize("place", ["fold:1", "note:1"])
def test_killed_in_a_fold_the_summary_is_made_once(tmp_path, fold, place):
    """The process dies in the summariser's call, or once its note is kept: no turn is lost, no fold is paid twice."""
    path, turns = tmp_path / "chat.db", 9
    child = start(path, "sync", turns, place, fold)
    told, _ = child.communicate(timeout=60)
    assert child.returncode == -signal.SIGKILL, "the process did not reach the place where it was to die"
    child = start(path, "sync", turns, fold=fold)
    told_again, _ = child.communicate(timeout=60)
    assert child.returncode == 0
    check(path, turns)
    assert notes(path) == (told + told_again).count("folded") >= 2


@pytest.mark.slow
@pytest.mark.parametrize("colour", ["sync", "async"])
def test_killed_at_random_moments_every_turn_is_there_once(tmp_path, colour):
    """Killed again and again from outside while it talks, the thread is whole in the end."""
    path, moments, turns = tmp_path / "chat.db", random.Random(7), 40
    for _ in range(5):
        child = start(path, colour, turns)
        assert child.stdout is not None
        child.stdout.readline()
        time.sleep(moments.uniform(0, 0.1))
        child.kill()
        child.communicate()
    child = start(path, colour, turns)
    child.communicate(timeout=100)
    assert child.returncode == 0
    check(path, turns)
