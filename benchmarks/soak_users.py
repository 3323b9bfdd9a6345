"""The users of a soak: each talks in one to three threads; some leave midway, some send two turns at once."""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from soak_model import TOKEN, Turn, turn

from langchain_qwen_memory import astream_turn, atranscript

LEAVES, TWINS, ASKS = 0.1, 0.08, 0.25
"""Shares of turns whose reader leaves midway; that are sent together with another; that ask for an earlier turn."""
_FILL = (
    "我们计划周末去杭州看西湖的荷花，高铁时间有点紧，酒店靠近地铁比较方便。",
    "项目进度比预期慢，主要因为接口文档没有更新，建议先把关键路径列出来再分配人手。",
    "The plan for this quarter is to move our service to a smaller cluster and measure latency first.",
    "Please keep the summary short and mention open questions, because the team reads it on the way to work.",
    "装修选浅色木地板，厨房台面用石英石，灯光分层，书桌靠窗。",
)


@dataclass
class Soak:
    """What all users share, and what they lived through."""

    graph: Any
    pause: float
    """Seconds of thought between two turns of a user, on average."""
    until: float
    """`time.monotonic()` after which nobody begins another turn."""
    sent: dict[tuple[int, int], list[str]] = field(default_factory=dict)
    """Tokens that each thread was sent, in order; those sent together stand beside each other."""
    own: list[float] = field(default_factory=list)
    """Seconds of each timed turn that were not the model's."""
    saved: list[float] = field(default_factory=list)
    """Seconds of each timed turn in calls of LangGraph's checkpointer."""
    whole: list[float] = field(default_factory=list)
    """Seconds of each timed turn."""
    turns: int = 0
    left: int = 0
    twins: int = 0
    failed: list[str] = field(default_factory=list)
    unsettled: set[tuple[int, int]] = field(default_factory=set)
    """Threads whose last reader left: the next turn waits for that one, and is not timed."""

    def config(self, user: int, thread: int) -> Any:
        return {"configurable": {"thread_id": f"u{user}-t{thread}"}}


async def live(soak: Soak, user: int) -> None:
    """A user's life until the time is over."""
    draw = random.Random(user)
    threads = draw.randint(1, 3)
    await asyncio.sleep(draw.random() * min(soak.pause, max(0.0, soak.until - time.monotonic())))
    while time.monotonic() < soak.until:
        thread = draw.randrange(threads)
        if draw.random() < TWINS:
            soak.twins += 2
            await asyncio.gather(*(_say(soak, user, thread, draw, timed=False) for _ in range(2)))
        else:
            await _say(soak, user, thread, draw, timed=True)
        await asyncio.sleep(min(soak.pause * (0.5 + draw.random()), max(0.0, soak.until - time.monotonic())))


async def _say(soak: Soak, user: int, thread: int, draw: random.Random, *, timed: bool) -> None:
    """Send one turn and read its answer, or half of it."""
    sent = soak.sent.setdefault((user, thread), [])
    token = f"u{user}x{thread}x{len(sent)}z"
    fill = draw.choice(_FILL)
    if sent and draw.random() < ASKS:
        question = f"{token}：你还记得 {draw.choice(sent)} 说的是什么吗？{fill}"
    else:
        question = f"{token} {fill}"
    sent.append(token)
    timed = timed and (user, thread) not in soak.unsettled
    soak.unsettled.discard((user, thread))
    now = Turn(user)
    begun = time.perf_counter()
    try:
        if await _read(soak, user, thread, question, now, leaves=draw.random() < LEAVES):
            soak.left += 1
            soak.unsettled.add((user, thread))
        elif timed:
            soak.whole.append(time.perf_counter() - begun)
            soak.own.append(soak.whole[-1] - now.waited)
            soak.saved.append(now.saved)
    except Exception as error:
        soak.failed.append(f"{token}: {type(error).__name__}: {error}")
    soak.turns += 1


async def _read(soak: Soak, user: int, thread: int, question: str, now: Turn, *, leaves: bool) -> bool:
    """Read a turn's stream; whether the reader left before its end."""
    held = turn.set(now)
    stream: Any = astream_turn(soak.graph, question, soak.config(user, thread), context={"user_id": f"user{user}"})
    try:
        count = 0
        async for _ in stream:
            count += 1
            if leaves and count >= 3:
                return True
        return False
    finally:
        await stream.aclose()
        turn.reset(held)


async def settled() -> int:
    """Wait until turns whose readers left have ended, a minute at most; how many had not by then."""
    end = time.monotonic() + 60
    while True:
        running = [task for task in asyncio.all_tasks() if "astream_turn" in str(task.get_coro())]
        if not running or time.monotonic() > end:
            return len(running)
        await asyncio.sleep(0.1)


@dataclass
class Verdict:
    """What the transcripts say."""

    turns: int = 0
    threads: int = 0
    lost: list[str] = field(default_factory=list)
    doubled: list[str] = field(default_factory=list)
    crossed: list[str] = field(default_factory=list)
    unanswered: list[str] = field(default_factory=list)
    disordered: list[str] = field(default_factory=list)


async def verify(soak: Soak, archive: Any) -> Verdict:
    """Read each thread's transcript, and the archive's own count, against what was sent."""
    verdict = Verdict()
    for (user, thread), sent in soak.sent.items():
        config, context = soak.config(user, thread), {"user_id": f"user{user}"}
        pages = await atranscript(soak.graph, config, context=context, limit=100_000)
        judge(verdict, user, sent, [one.messages for one in pages])
        stored = await archive.acount(f"user{user}", f"u{user}-t{thread}")
        if stored > len(pages):
            verdict.doubled.append(f"u{user}-t{thread}: {stored} archived, {len(pages)} in the transcript")
        if stored < len(pages):
            verdict.lost.append(f"u{user}-t{thread}: {stored} archived, {len(pages)} in the transcript")
    return verdict


def judge(verdict: Verdict, user: int, sent: list[str], turns: list[Any]) -> None:
    asked = [_token(messages[0].text) for messages in turns]
    counted = Counter(asked)
    verdict.turns += len(turns)
    verdict.threads += 1
    verdict.lost += [token for token in sent if not counted[token]]
    verdict.doubled += [token for token, times in counted.items() if times > 1]
    verdict.disordered += [token for at, token in enumerate(asked) if token in sent and abs(sent.index(token) - at) > 1]
    for token, messages in zip(asked, turns, strict=True):
        text = "\n".join(message.text for message in messages)
        verdict.crossed += [found[0] for found in TOKEN.finditer(text) if int(found[1]) != user]
        if messages[-1].type != "ai" or not messages[-1].text:
            verdict.unanswered.append(token)


def _token(text: str) -> str:
    found = TOKEN.search(text)
    return found[0] if found else text[:40]
