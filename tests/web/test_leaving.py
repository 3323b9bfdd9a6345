"""Leaving the page with Ctrl-C, at whatever moment."""

import os
import subprocess
import sys

import pytest

PRESSED = """
import signal, sys
from langchain_qwen_memory.web import server
make = server.application
def pressed(*given, **options):
    signal.raise_signal(signal.SIGINT)
    return make(*given, **options)
server.application = pressed
sys.argv = ["qwen-memory-web", "--port", "0", "--db", sys.argv[1]]
import runpy
runpy.run_module("langchain_qwen_memory.web", run_name="__main__")
"""


def test_ctrl_c_while_the_page_is_made_ends_it_quietly(tmp_path):
    """It goes with the code of an interrupt, and no traceback: pressed so early, uvicorn would log one."""
    pytest.importorskip("gradio", reason='the page needs gradio: pip install "langchain-qwen-memory[web]"')
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("DASHSCOPE", "QWEN"))}
    done = subprocess.run(
        [sys.executable, "-c", PRESSED, str(tmp_path / "t.db")],
        env=clean,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 130
    assert "Traceback" not in done.stdout + done.stderr
