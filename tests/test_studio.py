"""`langgraph dev` serves the three graphs of examples/studio, and they remember over HTTP."""

import importlib.util
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import httpx
import pytest

STUDIO = Path(__file__).parents[1] / "examples" / "studio"

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("langgraph_api") is None, reason='langgraph dev is not installed: "langgraph-cli[inmem]"'
)


@pytest.fixture(scope="module")
def studio(tmp_path_factory):
    folder = tmp_path_factory.mktemp("studio") / "app"
    shutil.copytree(STUDIO, folder, ignore=shutil.ignore_patterns("*.db*", ".langgraph_api", "__pycache__"))
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("DASHSCOPE", "LANGGRAPH"))}
    command = [Path(sys.executable).with_name("langgraph"), "dev", "--no-browser", "--no-reload", "--port", str(port)]
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(
            command, cwd=folder, env={**clean, "LANGSMITH_TRACING": "false"}, stdout=log, stderr=log
        )
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60) as client:
            try:
                _wait_for(client, process, folder / "log")
                yield client
            finally:
                process.send_signal(signal.SIGINT)
                process.wait(timeout=30)


def _wait_for(client, process, log):
    for _ in range(600):
        try:
            if client.get("/ok").is_success:
                return
        except httpx.HTTPError:
            assert process.poll() is None, log.read_text()
        time.sleep(0.1)
    raise AssertionError(log.read_text())


def ask(studio, thread, graph, question, user="alice"):
    asked = {
        "assistant_id": graph,
        "input": {"messages": [{"role": "user", "content": question}]},
        "context": {"user_id": user},
    }
    return studio.post(f"/threads/{thread}/runs/wait", json=asked).raise_for_status().json()


def test_three_graphs_are_served(studio):
    """Each is listed under its name."""
    served = {one["graph_id"] for one in studio.post("/assistants/search", json={}).json()}
    assert served == {"window", "everything", "agent"}


@pytest.mark.parametrize("graph", ["window", "everything", "agent"])
def test_a_served_graph_remembers(studio, graph):
    """The second answer knows the first turn."""
    thread = studio.post("/threads", json={}).json()["thread_id"]
    ask(studio, thread, graph, "我对花生过敏。")
    state = ask(studio, thread, graph, "我对什么过敏？")
    assert state["messages"][-1]["content"] == "你说过：我对花生过敏。"


def test_a_served_graph_shows_its_report_and_not_what_it_recalled(studio):
    """The state over HTTP holds the record, and no selection."""
    thread = studio.post("/threads", json={}).json()["thread_id"]
    ask(studio, thread, "everything", "我对花生过敏。")
    values = studio.get(f"/threads/{thread}/state").json()["values"]
    assert values["record"]["report"]["turn"] == 0
    assert "selection" not in values
