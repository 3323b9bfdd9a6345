"""Begins the checkpoints of a thread that only the archive knows, so that an imported thread goes on where it ended."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from langchain_qwen_memory.terminal.bot import Bot

_LIVE = 20
"""Turns that stand in the state word for word; the older ones stay in the archive, as after any fold."""
_PAGE = 200


async def adopt(bot: Bot) -> int:
    """Let a thread without checkpoints go on from its newest archived turn.

    Keys are made of content, so the turns that are put into the state are those of the archive, and are not archived
    once more.

    Returns:
        How many turns the thread has; 0 if it has checkpoints, or no turns at all.
    """
    from langgraph.graph import END

    from langchain_qwen_memory.state import RECORD_VERSION

    state = await bot.graph.aget_state(bot.config)
    if state.values.get("record") or state.values.get("messages"):
        return 0
    thread, archive = await bot.thread(), bot.wiring.archive
    assert archive is not None
    owner = thread.owner
    turns = await archive.apage(owner.user, owner.thread, limit=_LIVE)
    if not turns:
        return 0
    record = {
        "v": RECORD_VERSION,
        "root": owner.root,
        "user": owner.mark,
        "parent": turns[0].parent,
        "position": turns[0].position,
        "head": turns[-1].key,
        "archived": turns[-1].position + 1,
        "archived_tokens": await _tokens(bot, turns[0].position),
        "slots": {},
    }
    messages = [message for turn in turns for message in turn.messages]
    await bot.graph.aupdate_state(bot.config, {"messages": messages, "record": record}, as_node="remember")
    await bot.graph.aupdate_state(bot.config, None, as_node=END)
    return turns[-1].position + 1


async def _tokens(bot: Bot, before: int) -> int:
    """Tokens of the turns before a position."""
    owner, archive = (await bot.thread()).owner, bot.wiring.archive
    assert archive is not None
    tokens = 0
    while before > 0:
        page = await archive.apage(owner.user, owner.thread, before=before, limit=_PAGE)
        if not page:
            break
        tokens, before = tokens + sum(turn.tokens for turn in page), page[0].position
    return tokens
