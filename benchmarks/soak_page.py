"""What a soak amounts to: what was promised and whether it held, the table, and the text for the docs."""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from page import version_line
from soak_model import Prompts
from soak_stores import ARCHIVES_POOL, SAVERS_POOL
from soak_users import Soak, Verdict
from soak_watch import LONG, Watch, quantile

GROWTH, ROOM = 0.10, 8 * 2**20
"""Memory is flat if in the last two thirds it grows by so much at most: a share, and bytes."""
FILES_BESIDE = 60
"""Files that may be open beside connections: of Python, of the model's HTTP client, of the stores."""


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """A soak that is over."""

    options: argparse.Namespace
    soak: Soak
    watch: Watch
    prompts: Prompts
    verdict: Verdict
    connections: int
    warnings: list[str]
    seconds: float
    cpu: float
    """CPU seconds of this process."""
    load: tuple[float, float]
    """Processes that wanted a core on this machine, one minute's average: before and at the end."""
    stuck: int


def flat(watch: Watch) -> tuple[int, int, int]:
    """Bytes at the start, after a third of the time, and at the end: medians of a twentieth of the samples."""
    sizes = [size for _, size in watch.memory]
    some = max(1, len(sizes) // 20)

    def near(place: int) -> int:
        return sorted(sizes[place : place + some])[some // 2] if sizes[place : place + some] else sizes[-1]

    return near(0), near(len(sizes) // 3), near(max(0, len(sizes) - some))


def promises(made: Outcome) -> Iterator[tuple[bool, str]]:
    """What was promised, and whether it held."""
    verdict, soak, watch = made.verdict, made.soak, made.watch
    sent = sum(map(len, soak.sent.values()))
    yield not verdict.lost, f"{len(verdict.lost)} of {sent:,} turns lost {verdict.lost[:3] or ''}"
    yield not verdict.doubled, f"{len(verdict.doubled)} doubled {verdict.doubled[:3] or ''}"
    crossed = verdict.crossed + made.prompts.crossed
    yield not crossed, f"{len(crossed)} crossed between users, in transcripts and prompts {crossed[:3] or ''}"
    yield not verdict.disordered, f"{len(verdict.disordered)} out of order {verdict.disordered[:3] or ''}"
    yield not verdict.unanswered, f"{len(verdict.unanswered)} without an answer {verdict.unanswered[:3] or ''}"
    yield not soak.failed, f"{len(soak.failed)} failed {soak.failed[:3] or ''}"
    yield not made.stuck, f"{made.stuck} turns had not ended a minute after the last was sent"
    yield not made.warnings, f"{len(made.warnings)} warnings of the package {made.warnings[:3] or ''}"
    _, warm, end = flat(watch)
    bound = warm * (1 + GROWTH) + ROOM
    yield end <= bound, f"memory: {end / 2**20:,.0f} MiB at the end (at most {bound / 2**20:,.0f}: +10 % and 8 MiB)"
    most = SAVERS_POOL + ARCHIVES_POOL + 3 * made.options.users
    yield made.connections <= most, f"{made.connections} connections to the database at most (bound: {most})"
    bound_files = most + 3 * made.options.users + FILES_BESIDE
    yield watch.files <= bound_files, f"{watch.files} open files at most (bound: {bound_files})"
    longest = max(watch.own, default=0.0)
    yield longest <= LONG, f"the loop stood still for {longest * 1e3:.0f} ms at most (50)"


def figures(made: Outcome) -> list[tuple[str, str]]:
    """The rows of the table."""
    soak, watch, options, verdict = made.soak, made.watch, made.options, made.verdict
    crossed = len(verdict.crossed) + len(made.prompts.crossed)
    cpu = f"{made.cpu / max(1, soak.turns) * 1e3:,.1f} ({made.cpu / made.seconds:.0%})"
    memory = " / ".join(f"{size / 2**20:,.0f}" for size in flat(watch))
    load = f"{made.load[0]:.1f} to {made.load[1]:.1f} on {os.cpu_count()} cores"
    long = sum(wall > LONG for wall, _, _ in watch.steps)
    collected = max(watch.collections, default=0) * 1e3
    return [
        ("users at once, minutes, pause of a user", f"{options.users}, {options.minutes:g}, {options.pause:g} s"),
        ("turns, in threads", f"{soak.turns:,} in {len(soak.sent):,}"),
        ("readers who left midway; turns sent two at a time", f"{soak.left:,}; {soak.twins:,}"),
        ("lost / doubled / crossed between users", f"{len(verdict.lost)} / {len(verdict.doubled)} / {crossed}"),
        ("turns a second", f"{soak.turns / made.seconds:,.1f}"),
        ("the package's own time of a turn, ms: p50 / p95 / p99", _times(soak.own)),
        ("in calls of the checkpointer, ms a turn, partly while the model answers", _times(soak.saved)),
        ("whole turns, ms: p50 / p95 / p99", _times(soak.whole)),
        ("CPU of this process, ms a turn (share of one core)", cpu),
        ("memory, MiB: start / after a third / end", memory),
        ("connections to the database, open files, most at once", f"{made.connections or '-'}, {watch.files}"),
        ("loop stood still, ms: p99 / longest", _lags(watch.own)),
        ("the same with the time others had the cores", _lags(watch.lags)),
        ("single steps of the loop over 50 ms wall; longest full garbage collection, ms", f"{long}; {collected:.0f}"),
        ("the machine's load meanwhile, all processes", load),
    ]


def _times(values: Sequence[float]) -> str:
    return " / ".join(f"{quantile(values, share) * 1e3:,.0f}" for share in (0.5, 0.95, 0.99))


def _lags(values: Sequence[float]) -> str:
    return f"{quantile(values, 0.99) * 1e3:.0f} / {max(values, default=0.0) * 1e3:.0f}"


SHARES = """\
Own time holds the work of checkpointer and database, and all waiting for a core: where the machine has other work, as
its load tells, each step of a turn waits for that."""


def section(made: Outcome, broken: Sequence[str]) -> str:
    """The text between the markers."""
    options = made.options
    command = f"python benchmarks/soak.py --users {options.users} --minutes {options.minutes:g} --store {options.store}"
    command += f" --pause {options.pause:g}" + (" --unlocked" if options.unlocked else "")
    when = datetime.now(UTC).strftime("%H:%M UTC")
    lines = [f"Written by `{command}` at {when}. {version_line()}", "", "| | |", "|---|---|"]
    lines += [f"| {name} | {value} |" for name, value in figures(made)]
    lines += ["", SHARES, ""]
    lines += ["Promises that were broken in this run:" if broken else "No promise was broken.", ""]
    return "\n".join([*lines, *(f"- {words}" for words in broken)]).rstrip()
