"""Installing the package gives every test session a `local_dashscope` fixture, and costs it nothing."""

import signal
import subprocess
import sys
import textwrap

import httpx
import pytest


def test_the_fixture_is_there_and_runs(local_dashscope):
    """A test that names the fixture gets a running server of its own."""
    assert local_dashscope.base_url.endswith("/compatible-mode/v1")
    assert local_dashscope.requests == []


def test_loading_the_plugin_loads_nothing_heavy():
    """A session that does not use the fixture pays for no HTTP server, tokenizer or LangChain."""
    code = """
        import sys
        import langchain_qwen_memory.testing.plugin
        heavy = {"http.server", "tiktoken", "langchain_core", "openai", "httpx", "dashscope"} & set(sys.modules)
        heavy |= {name for name in sys.modules if name.startswith("langchain_qwen_memory.testing.s")}
        sys.exit(", ".join(sorted(heavy)) or 0)
    """
    done = subprocess.run([sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_serve_runs_until_it_is_interrupted():
    """`serve` says once where it listens, answers, ends at Ctrl-C without a traceback and frees its port."""
    code = "from langchain_qwen_memory.testing import serve; serve(0, started=lambda s: print(s.base_url, flush=True))"
    with subprocess.Popen(
        [sys.executable, "-W", "error", "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as running:
        url = running.stdout.readline().strip()
        assert httpx.get(f"{url}/models", headers={"authorization": "Bearer k"}).status_code == 200
        running.send_signal(signal.SIGINT)
        _, noise = running.communicate(timeout=10)
    assert running.returncode == 0
    assert noise == ""
    with pytest.raises(httpx.ConnectError):
        httpx.get(f"{url}/models")
