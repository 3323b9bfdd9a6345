"""The notebooks run from top to bottom, and both languages hold the same code."""

import os
from pathlib import Path

import pytest

nbformat = pytest.importorskip("nbformat", reason="nbformat is not installed")
nbclient = pytest.importorskip("nbclient", reason="nbclient is not installed")

EXAMPLES = Path(__file__).parents[1] / "examples"
NOTEBOOKS = ("tour.ipynb", "tour.zh-CN.ipynb")


def read(name):
    return nbformat.read(EXAMPLES / name, as_version=4)


@pytest.mark.parametrize("name", NOTEBOOKS)
@pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::RuntimeWarning", "ignore::ResourceWarning")
def test_a_notebook_runs(name, tmp_path, monkeypatch):
    """Each cell without an error, in an empty folder and without a key."""
    for variable in [known for known in os.environ if known.startswith(("DASHSCOPE", "QWEN"))]:
        monkeypatch.delenv(variable)
    notebook = read(name)
    client = nbclient.NotebookClient(notebook, timeout=90, resources={"metadata": {"path": str(tmp_path)}})
    client.execute()
    printed = "".join(
        output.get("text", "") for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs
    )
    assert "15 turns; the first: 我叫小李" in printed
    assert "其实我想换成退货" in printed


def test_both_languages_hold_the_same_code():
    """Only the words between the cells differ."""
    first, second = ([cell.source for cell in read(name).cells if cell.cell_type == "code"] for name in NOTEBOOKS)
    assert first == second


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_a_notebook_is_kept_without_output(name):
    """What a cell printed on somebody's machine is not part of the source."""
    assert not any(cell.outputs or cell.execution_count for cell in read(name).cells if cell.cell_type == "code")
