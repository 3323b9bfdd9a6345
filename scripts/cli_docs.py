"""Fills the help of each command into docs/cli.md: `python scripts/cli_docs.py`."""

import os
import re
import subprocess
import sys
from pathlib import Path

PAGE = Path(__file__).parents[1] / "docs" / "cli.md"
BLOCK = re.compile(r"^```text\n\$ (qwen-memory [^\n]*)\n.*?^```$", re.DOTALL | re.MULTILINE)
SETTING = {"COLUMNS": "80", "HOME": "/home/you", "LANG": "C.UTF-8", "PYTHONIOENCODING": "utf-8"}


def output(command: str) -> str:
    """What a command prints in 80 columns, at the desk of somebody without a key."""
    left_out = ("DASHSCOPE", "QWEN", "LC_", "XDG_")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(left_out)}
    words = [sys.executable, "-m", "langchain_qwen_memory", *command.split()[1:]]
    done = subprocess.run(words, env={**kept, **SETTING}, capture_output=True, encoding="utf-8", check=True)
    return done.stdout.strip()


def filled(page: str) -> str:
    """The page with each block `$ qwen-memory ...` holding what that command prints now."""
    return BLOCK.sub(lambda block: f"```text\n$ {block[1]}\n{output(block[1])}\n```", page)


if __name__ == "__main__":
    PAGE.write_text(filled(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
