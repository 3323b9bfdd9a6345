"""Where the recordings and data sets stand that are given beside a checkout, and the mark for tests that need them."""

import os
from pathlib import Path

import pytest

SHARED = Path(os.environ.get("QWEN_MEMORY_SHARED", Path(__file__).parents[2] / "shared"))
"""The folder with `recordings/` and `data/`; QWEN_MEMORY_SHARED names another place."""

needs_shared = pytest.mark.skipif(
    not (SHARED / "recordings").is_dir(),
    reason=f"needs the recordings of the true service at {SHARED}; set QWEN_MEMORY_SHARED to their folder",
)
