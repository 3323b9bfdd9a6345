"""Going back in a thread: a fork from an earlier turn, and the way back to what was left."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from langchain_core.runnables import RunnableConfig

    from langchain_qwen_memory.terminal.bot import Bot
    from langchain_qwen_memory.web.moments import Moments

_NOTE = "web/branch/{}"
"""Key of the archive's note on a thread's n-th leave; a note is written once, so the next one has the next number."""
_MOST = 200
"""Leaves of one thread that are listed."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Branch:
    """A way that a thread has left."""

    checkpoint: str
    """Id of its last checkpoint."""
    turns: int
    """Turns up to its end, those before the fork included."""
    said: str
    """Its newest question."""


async def go_back(bot: Bot, moments: Moments, turn: int) -> bool:
    """Let the thread stand after an earlier turn once more; what came after it becomes a branch.

    Args:
        bot: With the thread in its config, its lock held.
        moments: Where the checkpoint is found.
        turn: The turn's position; -1 for the beginning.

    Returns:
        False if the turn's checkpoint is gone.
    """
    config = await moments.at(bot, turn)
    if config is None:
        return False
    await _leave(bot, to="")
    if turn < 0:  # the checkpoint before the first input still waits for that input: a write of nothing drops it
        await bot.graph.aupdate_state(config, {"messages": []}, as_node="remember")
    else:
        await bot.graph.aupdate_state(config, None, as_node="__copy__")
    return True


async def go_over(bot: Bot, checkpoint: str) -> None:
    """Let the thread stand where a branch ended.

    Args:
        bot: With the thread in its config, its lock held.
        checkpoint: Of a `Branch`.
    """
    if checkpoint not in {branch.checkpoint for branch in await branches(bot)}:
        return
    await _leave(bot, to=checkpoint)
    await bot.graph.aupdate_state(_at(bot, checkpoint), None, as_node="__copy__")


async def branches(bot: Bot) -> list[Branch]:
    """Branches that can be gone back to, the one left last first."""
    notes = await _notes(bot)
    taken = {note["to"] for note in notes}
    found = [await _branch(bot, note["left"]) for note in reversed(notes) if note["left"] not in taken]
    return [branch for branch in found if branch is not None]


async def _branch(bot: Bot, checkpoint: str) -> Branch | None:
    from langchain_qwen_memory.steps.thread import owner_of
    from langchain_qwen_memory.terminal.bot import words

    state = await bot.graph.aget_state(_at(bot, checkpoint))
    thread = bot.wiring.read(state.values, owner_of(bot.config, bot.context))
    if not thread.turns:
        return None
    newest = thread.turns[-1]
    return Branch(checkpoint=checkpoint, turns=newest.position + 1, said=words(newest.question))


async def _leave(bot: Bot, *, to: str) -> None:
    """Write down which checkpoint the thread leaves, and for which branch (none: a new one)."""
    left = (await bot.graph.aget_state(bot.config)).config["configurable"]["checkpoint_id"]
    note = {"left": left, "to": to, "at": round(time.time(), 3)}
    user, thread, archive = _place(bot)
    for number in range(len(await _notes(bot)), _MOST):
        if await archive.aput_note(user, thread, _NOTE.format(number), note) == note:
            return


async def _notes(bot: Bot) -> list[dict[str, Any]]:
    user, thread, archive = _place(bot)
    notes: list[dict[str, Any]] = []
    while len(notes) < _MOST:
        note = await archive.aget_note(user, thread, _NOTE.format(len(notes)))
        if note is None:
            break
        notes.append(note)
    return notes


def _place(bot: Bot) -> tuple[str, str, Any]:
    from langchain_qwen_memory.steps.thread import owner_of

    owner = owner_of(bot.config, bot.context)
    assert bot.wiring.archive is not None
    return owner.user, owner.thread, bot.wiring.archive


def _at(bot: Bot, checkpoint: str) -> RunnableConfig:
    return {"configurable": {**bot.config["configurable"], "checkpoint_id": checkpoint}}
