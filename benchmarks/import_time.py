"""Importing this package against importing langchain_openai, in fresh processes of one run.

Run: python benchmarks/import_time.py      (fails where the ratio is above a third)
"""

import statistics
import subprocess
import sys
import time

ROUNDS = 7
LIMIT = 1 / 3


def seconds(statement: str) -> float:
    begun = time.perf_counter()
    subprocess.run([sys.executable, "-c", statement], check=True)
    return time.perf_counter() - begun


def main() -> int:
    names = {"nothing": "pass", "ours": "import langchain_qwen_memory", "langchain_openai": "import langchain_openai"}
    times: dict[str, list[float]] = {name: [] for name in names}
    for _ in range(ROUNDS):
        for name, statement in names.items():
            times[name].append(seconds(statement))
    best = {name: statistics.median(values) for name, values in times.items()}
    ours, theirs = best["ours"] - best["nothing"], best["langchain_openai"] - best["nothing"]
    print(f"import langchain_qwen_memory {ours * 1e3:7.1f} ms")
    print(f"import langchain_openai      {theirs * 1e3:7.1f} ms")
    print(f"ratio {ours / theirs:.3f} (at most {LIMIT:.3f})")
    return int(ours / theirs > LIMIT)


if __name__ == "__main__":
    sys.exit(main())
