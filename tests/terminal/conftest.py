"""A person without a key in an empty home folder; a thread that was talked in."""

import json
from types import SimpleNamespace

import pytest
from typer.testing import CliRunner

from langchain_qwen_memory.cli import commands
from langchain_qwen_memory.testing import LocalDashScope


@pytest.fixture
def home(tmp_path, monkeypatch):
    """An empty home folder that is the current one too; no key, no settings."""
    for name in ("DASHSCOPE_API_KEY", "DASHSCOPE_API_BASE", "QWEN_MEMORY_ARCHIVE", "QWEN_MEMORY_DB", "LC_ALL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.delenv("XDG_CONFIG_HOME", raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("LANG", "C.UTF-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def run(home):
    """Runs the program in this process, as in a pipe; gives exit code, output and errors."""

    def run(*words, text="", **environment):
        done = CliRunner().invoke(commands, [str(word) for word in words], input=text, env=environment)
        return SimpleNamespace(code=done.exit_code, out=done.stdout, err=done.stderr)

    return run


@pytest.fixture
def server():
    with LocalDashScope() as server:
        yield server


@pytest.fixture
def talk(run, server):
    """Talks in a thread of t.db, without a person."""

    def talk(*questions, thread="trip", options=()):
        at = ("--base-url", server.base_url, "--model", "qwen-plus", "--archive", "t.db", "--thread", thread)
        done = run("chat", "--json", *at, *options, text="".join(f"{question}\n" for question in questions))
        assert done.code == 0, done.err
        return lines(done)

    return talk


def lines(done):
    """JSON Lines as values."""
    return [json.loads(line) for line in done.out.splitlines()]
