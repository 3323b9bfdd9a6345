"""Writes what was measured into the docs: a section between markers, and a plot."""

from __future__ import annotations

import os
import platform
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

DOCS = Path(__file__).resolve().parent.parent / "docs"
PAGE = DOCS / "benchmarks.md"
PACKAGES = (
    "langchain-qwen-memory",
    "langchain-core",
    "langchain",
    "langgraph",
    "langgraph-checkpoint-sqlite",
    "langgraph-checkpoint-postgres",
    "langmem",
    "deepagents",
)
"""Whose versions are told, where they are installed."""


def version_line(packages: Sequence[str] = PACKAGES) -> str:
    """When, with what, on which machine; packages that are not installed are left out."""
    versions = ", ".join(f"{name} {version(name)}" for name in packages if _installed(name))
    today = datetime.now(UTC).date().isoformat()
    python = f"{platform.python_implementation()} {platform.python_version()}"
    return f"{today}; {os.cpu_count()} cores ({_processor()}), {platform.system()}, {python}; {versions}."


def _installed(package: str) -> bool:
    try:
        return bool(version(package))
    except PackageNotFoundError:
        return False


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def write_section(name: str, text: str) -> None:
    """Put a text between a page's markers; a page or markers that are not there are made."""
    begin, end = f"<!-- {name}:begin -->", f"<!-- {name}:end -->"
    DOCS.mkdir(exist_ok=True)
    page = PAGE.read_text(encoding="utf-8") if PAGE.exists() else "# Measured\n"
    if begin not in page or end not in page:
        page = f"{page.rstrip()}\n\n## {name.capitalize()}\n\n{begin}\n{end}\n"
    before, rest = page.split(begin, 1)
    after = rest.split(end, 1)[1]
    PAGE.write_text(f"{before}{begin}\n{text}\n{end}{after}", encoding="utf-8")


def plot(curves: Mapping[str, Sequence[tuple[int, float, float]]], name: str) -> None:
    """Draw CPU milliseconds and bytes over the length of a thread, for each memory: (turns, ms, bytes)."""
    import matplotlib as mpl

    mpl.use("svg")
    from matplotlib import pyplot as plt

    plt.rcParams.update({"svg.fonttype": "none", "svg.hashsalt": "growth", "font.size": 9})
    figure, (time, size) = plt.subplots(1, 2, figsize=(9, 4.2))
    for number, (label, points) in enumerate(curves.items()):
        turns, spent, stored = zip(*points, strict=True)
        ours = "(default)" in label
        colour = plt.get_cmap("tab20" if len(curves) > 10 else "tab10")(number)
        line = {"linewidth": 2 if ours else 1, "linestyle": "-" if ours else "--", "color": colour}
        style = {"marker": "o", "markersize": 3, **line}
        time.plot(turns, spent, label=label, **style)
        size.plot(turns, stored, **style)
    for axes, title in ((time, "CPU ms of one more turn"), (size, "bytes stored by one more turn")):
        axes.set(xscale="log", yscale="log", xlabel="turns in the thread", title=title)
        axes.grid(visible=True, alpha=0.3)
    figure.legend(loc="lower center", ncols=3, frameon=False, fontsize=8)
    figure.tight_layout(rect=(0, 0.03 + 0.04 * -(-len(curves) // 3), 1, 1))
    DOCS.mkdir(exist_ok=True)
    figure.savefig(DOCS / name, metadata={"Date": None}, bbox_inches="tight")


def needs(*modules: str) -> None:
    """End the program, saying how to install them, if modules are missing."""
    from importlib.util import find_spec

    missing = [name for name in modules if find_spec(name) is None]
    if missing:
        program = Path(sys.argv[0]).name
        sys.exit(
            f"This benchmark needs {', '.join(missing)}: python -m pip install --group bench; where these are peers, "
            f"python benchmarks/peers_env.py benchmarks/{program}"
        )
