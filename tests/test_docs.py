"""What the documents say is true: their code runs, both languages have the same, every name is told."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

import langchain_qwen_memory
from langchain_qwen_memory.testing import LocalDashScope

ROOT = Path(__file__).parents[1]
READMES = ["README.md", "README.zh-CN.md"]
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.DOTALL | re.MULTILINE)


def blocks(name):
    return BLOCK.findall((ROOT / name).read_text())


def programs(name):
    return [code for language, code in blocks(name) if language == "python"]


def test_both_readmes_have_the_same_blocks():
    """The code of the English and of the Chinese page is one and the same."""
    assert blocks("README.md") == blocks("README.zh-CN.md")


def test_both_readmes_have_the_same_parts():
    """Each heading has its twin, at the same level; each table has as many rows."""

    def shape(name):
        lines = (ROOT / name).read_text().splitlines()
        return [re.match(r"#+ |\|", line)[0] for line in lines if re.match(r"#+ |\|", line)]

    assert shape("README.md") == shape("README.zh-CN.md")


@pytest.mark.parametrize("number", range(len(programs("README.md"))))
def test_a_block_of_the_readme_runs(number, tmp_path):
    """Each block runs by itself in an empty folder, against a local DashScope."""
    with LocalDashScope() as server:
        environment = {**os.environ, "DASHSCOPE_API_BASE": server.base_url, "DASHSCOPE_API_KEY": server.api_key}
        code = programs("README.md")[number]
        done = subprocess.run(
            [sys.executable, "-W", "error", "-c", code],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip()


def test_the_first_program_remembers(tmp_path):
    """The third answer knows what the first message said."""
    with LocalDashScope() as server:
        environment = {**os.environ, "DASHSCOPE_API_BASE": server.base_url, "DASHSCOPE_API_KEY": server.api_key}
        code = programs("README.md")[0]
        for _ in range(2):
            done = subprocess.run(
                [sys.executable, "-c", code],
                cwd=tmp_path,
                env=environment,
                capture_output=True,
                text=True,
                timeout=60,
                check=True,
            )
            assert "花生" in done.stdout.splitlines()[2]


def test_links_between_documents_lead_somewhere():
    """Every relative link of the READMEs names a file that is there."""
    for name in READMES:
        for target in re.findall(r"\]\((?!http)([^)#]+)\)", (ROOT / name).read_text()):
            assert (ROOT / target).exists(), f"{name} links to {target}"


@pytest.mark.parametrize("name", langchain_qwen_memory.__all__)
def test_a_public_name_says_what_it_is(name):
    """Each public name has a docstring of its own."""
    value = getattr(langchain_qwen_memory, name)
    assert value.__doc__
    assert len(value.__doc__) > 10
