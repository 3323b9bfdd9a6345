"""Measures chat models for Qwen beside each other: first token, cost of a streamed chunk, import, standard tests.

    python benchmarks/peers_env.py benchmarks/peers_models.py            # in the peers' environment; some three minutes
    python benchmarks/peers_env.py benchmarks/peers_models.py --write    # and write the table into docs/benchmarks.md

All call the same local DashScope, in another process: ChatTongyi by DashScope's own protocol, through its SDK, the
others by the compatible one. Each class is measured in a fresh process of its own, the classes taking turns, and its
best round counts, because a busy machine only ever adds. Time to first token is from the call of `stream` to the first
chunk with text, the server sending at once. The cost of a chunk is the CPU time of the client's process over a stream
of 2,000 chunks of one character each. Import is wall time from an empty interpreter, and the memory that it adds.
Standard tests are those of langchain-tests' `ChatModelIntegrationTests` with qwen-plus.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.metadata import version
from multiprocessing import get_context
from pathlib import Path
from typing import Any

from page import needs, version_line, write_section
from peers_chat import CHATS, Chat, named

HERE = Path(__file__).resolve().parent
CHUNKS = 2_000
FIRST = 25
"""Streams that are begun in each process to see their first token."""
ROUNDS = 5
"""Processes that each class is measured in."""
TITLES = (
    "class",
    "version",
    "time to first token, ms",
    "CPU of a streamed chunk, us",
    "import, ms",
    "memory of the import, MiB",
    "standard tests: passed / failed / xfailed / skipped",
)
COUNTS = ("passed", "failed", "xfailed", "skipped")


def serve(pipe: Any, answers: int) -> None:
    """A server that answers each request with the same 2,000 characters, one in a chunk."""
    from langchain_qwen_memory.testing import LocalDashScope, Reply

    with LocalDashScope(chunk_size=1, keep=10) as server:
        server.script(*[Reply(content="词" * CHUNKS)] * answers)
        pipe.send(server.url)
        try:
            pipe.recv()
        except EOFError:
            return


@contextmanager
def server_elsewhere(answers: int) -> Iterator[str]:
    context = get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=serve, args=(there, answers), daemon=True)
    process.start()
    there.close()
    try:
        yield here.recv()
    finally:
        here.close()
        process.join(5)
        process.terminate()


def rss() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def measured(chat: Chat, url: str, streams: int) -> dict[str, float]:
    """One class in this process, which has imported nothing of it."""
    begun, before = time.perf_counter(), rss()
    made = chat.load()
    found = {"import": (time.perf_counter() - begun) * 1e3, "memory": (rss() - before) / 2**20}
    model = made(**chat.options(url), **chat.streaming)
    spent = []
    for _ in range(streams + 1):
        cpu, text = time.process_time(), ""
        for chunk in model.stream("go"):
            text += str(chunk.content)
        spent.append(time.process_time() - cpu)
        assert text == "词" * CHUNKS, f"{chat.name} read {len(text)} of {CHUNKS} characters"
    first = [first_token(model) for _ in range(FIRST)]
    return {**found, "first": min(first) * 1e3, "chunk": min(spent[1:]) / CHUNKS * 1e6}


def first_token(model: Any) -> float:
    """Seconds until the first chunk with text; the rest of the stream is left unread."""
    begun = time.perf_counter()
    stream = model.stream("go")
    next(chunk for chunk in stream if chunk.content)
    spent = time.perf_counter() - begun
    stream.close()
    return spent


def in_a_process(chat: Chat, url: str, streams: int) -> dict[str, float]:
    command = [sys.executable, "-W", "ignore", __file__, "--measure", chat.name, url, str(streams)]
    output = subprocess.run(command, check=True, capture_output=True, text=True, cwd=HERE).stdout
    found: dict[str, float] = json.loads(output.splitlines()[-1])
    return found


def standard(chat: Chat) -> dict[str, int]:
    """How many of the standard tests it passes."""
    node = f"{HERE / 'peers_standard.py'}::Test{CHATS.index(chat)}"
    command = [sys.executable, "-m", "pytest", node, "-q", "--tb=no", "--noconftest", "-c", os.devnull]
    command += ["-o", "asyncio_mode=auto", "-o", "timeout=30", "-p", "no:cacheprovider", f"--rootdir={HERE}"]
    path = {**os.environ, "PYTHONPATH": str(HERE), "LANGCHAIN_TESTS_USER_AGENT": "nobody is asked"}
    done = subprocess.run(command, check=False, capture_output=True, text=True, env=path)
    last = done.stdout.strip().splitlines()[-1] if done.stdout.strip() else ""
    counts = {word: int(number) for number, word in re.findall(r"(\d+) (\w+)", last)}
    if not counts.get("passed"):
        sys.exit(f"The standard tests of {chat.name} did not run:\n{done.stdout}\n{done.stderr}")
    counts["failed"] = counts.get("failed", 0) + counts.get("error", 0) + counts.get("errors", 0)
    return {name: counts.get(name, 0) for name in COUNTS}


def row(chat: Chat, rounds: list[dict[str, float]], counts: dict[str, int] | None) -> str:
    best = {name: min(one[name] for one in rounds) for name in rounds[0]}
    tests = " / ".join(str(counts[name]) for name in COUNTS) if counts else "-"
    cells = (
        chat.name,
        f"{chat.package} {version(chat.package)}",
        f"{best['first']:.1f}",
        f"{best['chunk']:.0f}",
        f"{best['import']:,.0f}",
        f"{best['memory']:,.0f}",
        tests,
    )
    return f"| {' | '.join(cells)} |"


def section(lines: list[str], load: float) -> str:
    """The text between the markers."""
    command = "python benchmarks/peers_env.py benchmarks/peers_models.py --write"
    told = [
        f"Written by `{command}`. {version_line()}",
        "",
        "The same local DashScope for all, in another process; each class in fresh processes of its own, its best",
        "round. The server sends 2,000 characters, one in a chunk, as fast as it can.",
        "ChatTongyi speaks DashScope's own protocol through its SDK, and streams with `streaming=True` only. Import is",
        "of the class, from an empty interpreter.",
        "Standard tests: langchain-tests' `ChatModelIntegrationTests`, with tools, tool choice, structured output and",
        f"JSON mode asked of all, and pictures of none. The machine's load meanwhile was {load:.1f}.",
        "",
    ]
    return "\n".join([*told, f"| {' | '.join(TITLES)} |", "|---" * len(TITLES) + "|", *lines])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true", help="write the table into docs/benchmarks.md")
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--streams", type=int, default=6, help="streams that are read in each round")
    parser.add_argument("--no-tests", action="store_true", help="leave the standard tests out; writes nothing")
    parser.add_argument("--measure", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        name, url, streams = options.measure
        print(json.dumps(measured(named(name), url, int(streams))))
        return
    needs("langchain_qwq", "langchain_deepseek", "langchain_community", "langchain_tests")
    load = os.getloadavg()[0]
    found: dict[str, list[dict[str, float]]] = {chat.name: [] for chat in CHATS}
    with server_elsewhere(len(CHATS) * options.rounds * (options.streams + 1 + FIRST)) as url:
        for _ in range(options.rounds):
            for chat in CHATS:
                found[chat.name].append(in_a_process(chat, url, options.streams))
    lines = []
    for chat in CHATS:
        lines.append(row(chat, found[chat.name], None if options.no_tests else standard(chat)))
        print(lines[-1], flush=True)
    if options.write and not options.no_tests:
        write_section("models", section(lines, max(load, os.getloadavg()[0])))


if __name__ == "__main__":
    main()
