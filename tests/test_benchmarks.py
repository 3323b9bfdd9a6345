"""The benchmarks run: each says what it does, a small soak passes, and its watch sees a loop that stands still."""

import asyncio
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
HERE = ROOT / "benchmarks"
NEEDS = {"growth.py": "langmem", "cost.py": "langmem", "search.py": "numpy"}
"""What a program imports that the group `test` does not bring."""
AS_MODULES = ("recall.py",)


def run(*command: str, timeout: float = 100):
    return subprocess.run(
        [sys.executable, *command], cwd=ROOT, capture_output=True, text=True, timeout=timeout, check=False
    )


def programs():
    return sorted(path.name for path in HERE.glob("*.py") if "ArgumentParser(" in path.read_text(encoding="utf-8"))


@pytest.mark.slow
@pytest.mark.parametrize("name", [*programs(), "peers_env.py"])
def test_each_program_says_how_it_is_used(name):
    """`--help` tells what a benchmark measures and with which options, and measures nothing."""
    if name in NEEDS:
        pytest.importorskip(NEEDS[name])
    command = ["-m", f"benchmarks.{name[:-3]}"] if name in AS_MODULES else [str(HERE / name)]
    done = run(*command, "--help")
    assert done.returncode == 0, done.stderr
    assert f"{name}" in done.stdout


def test_each_program_stands_in_the_readme():
    """The folder's README has a row for each program."""
    table = (HERE / "README.md").read_text(encoding="utf-8")
    told = [name for name in [*programs(), "peers_env.py"] if f"`{name}`" in table]
    assert told == [*programs(), "peers_env.py"]


def test_a_result_is_written_where_no_peer_is_installed(monkeypatch, tmp_path):
    """After an hour of work no program fails for want of a version to tell; a section stands between its markers."""
    monkeypatch.syspath_prepend(str(HERE))
    import page

    monkeypatch.setattr(page, "PACKAGES", ("langgraph", "a-peer-that-is-not-here"))
    monkeypatch.setattr(page, "DOCS", tmp_path)
    monkeypatch.setattr(page, "PAGE", tmp_path / "benchmarks.md")
    for number in range(2):
        page.write_section("kills", f"{number} kills. {page.version_line()}")
    written = (tmp_path / "benchmarks.md").read_text(encoding="utf-8")
    assert "1 kills. " in written
    assert "0 kills" not in written
    assert "langgraph 1" in written
    assert "not-here" not in written


@pytest.mark.slow
def test_a_small_soak_loses_doubles_and_crosses_nothing():
    """Five users talk for three seconds through SQLite, some leaving midway: each turn is there once, and its own."""
    done = run("benchmarks/soak.py", "--users", "5", "--minutes", "0.05", "--pause", "0.3", "--store", "sqlite")
    print(done.stdout, done.stderr)
    promised = [line for line in done.stdout.splitlines() if line.startswith(("ok ", "BROKEN"))]
    kept = [line for line in promised if line.startswith("ok ") or "stood still" in line]  # on a busy machine it may
    assert len(promised) == 12
    assert kept == promised
    assert "lost / doubled / crossed between users" in done.stdout


async def test_the_watch_sees_a_loop_that_stands_still(monkeypatch):
    """A callback that sleeps for 150 ms is found, by the beats that came late and as a single step."""
    monkeypatch.syspath_prepend(str(HERE))
    from soak_watch import Watch

    watch = Watch()
    watch.time_steps()
    beating = asyncio.create_task(watch.beat())
    try:
        await asyncio.sleep(0.1)
        time.sleep(0.15)  # noqa: ASYNC251 - this is what the watch is there to find
        await asyncio.sleep(0.1)
    finally:
        watch.stop()
        beating.cancel()
        await asyncio.gather(beating, return_exceptions=True)
    assert max(watch.own) > 0.1
    assert max(wall for wall, _, _ in watch.steps) > 0.14


def test_what_transcripts_are_judged_by_finds_each_fault(monkeypatch):
    """A turn that is missing, there twice, another user's or unanswered does not pass."""
    monkeypatch.syspath_prepend(str(HERE))
    from langchain_core.messages import AIMessage, HumanMessage
    from soak_users import Verdict, judge

    def turn(token, answer="noted"):
        return [HumanMessage(f"{token} hello"), AIMessage(answer)]

    verdict = Verdict()
    sent = ["u1x0x0z", "u1x0x1z", "u1x0x2z"]
    judge(verdict, 1, sent, [turn("u1x0x0z"), turn("u1x0x0z", ""), turn("u1x0x2z", "as u2x0x0z said")])
    assert verdict.lost == ["u1x0x1z"]
    assert verdict.doubled == ["u1x0x0z"]
    assert verdict.crossed == ["u2x0x0z"]
    assert verdict.unanswered == ["u1x0x0z"]
