"""The process is killed at random moments: a little of what `benchmarks/kill.py` does a thousand times."""

import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = Path(__file__).parents[2] / "benchmarks" / "kill.py"


@pytest.mark.slow
@pytest.mark.parametrize("colour", ["sync", "async"])
def test_killed_at_random_moments_nothing_is_lost_and_nothing_twice(colour):
    """After each of ten kills all that was said is kept once, and the conversation goes on."""
    command = [sys.executable, str(PROGRAM), "--kills", "10", "--store", "sqlite", "--colour", colour]
    run = subprocess.run(command, capture_output=True, text=True, timeout=110, check=False)
    assert run.returncode == 0, run.stdout + run.stderr
    assert "sqlite" in run.stdout
    assert "10 kills" in run.stdout
    assert "nothing lost, nothing twice" in run.stdout
