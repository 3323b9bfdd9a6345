"""The house keeps its shape: arrows run downwards, names are exported, nothing heavy is imported unasked."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import langchain_qwen_memory

ROOT = Path(__file__).parents[1]
PACKAGE = ROOT / "langchain_qwen_memory"
MEMORY_WING = (
    "memory",
    "archive",
    "state",
    "steps",
    "nodes",
    "report",
    "graph",
    "run",
    "threads",
    "middleware",
    "moving",
)
MODEL_WING = ("chat_models", "dashscope", "embeddings", "rerank", "qwen")
HEAVY = (
    *("openai", "langchain_openai", "dashscope", "httpx", "tiktoken", "typer", "rich", "numpy", "langgraph"),
    *("psycopg", "psycopg_pool", "zvec", "gradio"),
)


def module_name(path):
    return ".".join(path.relative_to(PACKAGE).with_suffix("").parts).removesuffix(".__init__")


def imports_of(path, *, top_level=False):
    """Modules that a file imports; with `top_level`, only those that importing it imports."""
    tree = ast.parse(path.read_text())
    nodes = tree.body if top_level else ast.walk(tree)
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (_imported(node.module or "", alias.name) for alias in node.names)


def _imported(module, name):
    """`from package import module` imports that module."""
    path = ROOT.joinpath(*module.split("."), name)
    return f"{module}.{name}" if path.is_dir() or path.with_suffix(".py").exists() else module


def own(name):
    return name.removeprefix("langchain_qwen_memory").removeprefix(".")


def wing(name, names):
    return name.split(".")[0] in names


FILES = sorted(PACKAGE.rglob("*.py"))


@pytest.mark.parametrize("path", FILES, ids=module_name)
def test_the_wings_do_not_know_each_other(path):
    """Memory imports no chat model, and chat models import no memory."""
    name = module_name(path)
    used = [own(other) for other in imports_of(path) if other.startswith("langchain_qwen_memory")]
    if wing(name, MEMORY_WING):
        assert not [other for other in used if wing(other, MODEL_WING)]
    if wing(name, MODEL_WING):
        assert not [other for other in used if wing(other, MEMORY_WING)]


@pytest.mark.parametrize("path", sorted((PACKAGE / "memory").glob("*.py")), ids=module_name)
def test_policies_import_no_graph_no_vendor_and_no_http(path):
    """A memory is a pure policy."""
    assert not [name for name in imports_of(path) if name.split(".")[0] in HEAVY]


def test_modules_import_each_other_in_one_direction():
    """No circle of imports at the top of modules."""
    graph = {
        module_name(path): {own(name) for name in imports_of(path, top_level=True) if "langchain_qwen_memory" in name}
        for path in FILES
    }
    done, walking = set(), []

    def visit(name):
        if name in walking:
            raise AssertionError(" -> ".join([*walking[walking.index(name) :], name]))
        if name in done or name not in graph:
            return
        walking.append(name)
        for other in sorted(graph[name]):
            visit(other)
        walking.pop()
        done.add(name)

    for name in sorted(graph):
        visit(name)


def test_public_names_are_sorted_and_there():
    """`__all__` is sorted, complete, and each name can be imported."""
    names = langchain_qwen_memory.__all__
    assert names == sorted(names)
    assert set(names) == set(langchain_qwen_memory._HOME)
    assert all(getattr(langchain_qwen_memory, name) is not None for name in names)


def test_an_unknown_name_is_an_attribute_error():
    """As in any module."""
    with pytest.raises(AttributeError, match="no attribute 'ChatQwan'"):
        _ = langchain_qwen_memory.ChatQwan  # type: ignore[attr-defined]


def test_importing_the_package_imports_nothing_heavy():
    """`import langchain_qwen_memory` costs next to nothing; what is heavy comes when it is used."""
    code = "import sys, langchain_qwen_memory; print(' '.join(sorted({name.split('.')[0] for name in sys.modules})))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert not {*HEAVY, "langchain_core", "pydantic"} & set(loaded)


def test_every_module_and_every_test_says_what_it_is():
    """A file opens with one sentence; each test with one plain sentence."""
    silent = [str(path.relative_to(ROOT)) for path in FILES if not ast.get_docstring(ast.parse(path.read_text()))]
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            is_test = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test_")
            if is_test and not ast.get_docstring(node):
                silent.append(f"{path.relative_to(ROOT)}: {node.name}")
    assert silent == []


def test_no_function_is_longer_than_sixty_lines():
    """Docstrings aside."""
    long = []
    for path in FILES:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                body = node.body[1:] if ast.get_docstring(node) else node.body
                lines = (body[-1].end_lineno or 0) - body[0].lineno + 1 if body else 0
                if lines > 60:
                    long.append(f"{module_name(path)}.{node.name}: {lines}")
    assert long == []
