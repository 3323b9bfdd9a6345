"""A state as the nodes read it: whose thread it is, its system messages, its live turns, and what memory kept."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from hashlib import blake2b
from typing import Any

from langchain_core.messages import BaseMessage, SystemMessage
from langchain_core.runnables import RunnableConfig
from langgraph.errors import GraphBubbleUp

from langchain_qwen_memory.archive.base import root_key
from langchain_qwen_memory.errors import ThreadError
from langchain_qwen_memory.memory.turns import LiveTurn
from langchain_qwen_memory.state import Record

CONTROL = (GraphBubbleUp,)
"""How LangGraph stops a run on purpose, as for an interrupt: no failure of a memory."""


@dataclass(frozen=True, kw_only=True)
class Owner:
    """Whose thread this is. Nothing of another owner is ever read."""

    user: str
    """`user_id` of the run's context; empty where the app has no users."""
    thread: str
    """`thread_id` of the run's config; empty without a checkpointer."""

    @cached_property
    def root(self) -> str:
        """Parent of the thread's first turn."""
        return root_key(self.user, self.thread)

    @property
    def mark(self) -> str:
        """Digest of the user id, which itself is in no checkpoint."""
        return blake2b(f"user\0{self.user}".encode("utf-8", "replace"), digest_size=4).hexdigest()


def owner_of(config: RunnableConfig, context: Any) -> Owner:
    """Read the thread from the config and the user from the context, which is not stored in checkpoints.

    Raises:
        ThreadError: Config or context is something else, or an id is no text that could be stored and told from others.
    """
    if not isinstance(config, Mapping):
        raise ThreadError(f'{config!r} is no config; write {{"configurable": {{"thread_id": {config!r}}}}}.')
    if isinstance(context, str | int):
        raise ThreadError(f'context={context!r} names nobody; write context={{"user_id": {str(context)!r}}}.')
    user = context.get("user_id") if isinstance(context, Mapping) else getattr(context, "user_id", None)
    thread = config.get("configurable", {}).get("thread_id")
    owner = Owner(user="" if user is None else str(user), thread="" if thread is None else str(thread))
    for name, text in (("user_id", owner.user), ("thread_id", owner.thread)):
        try:
            text.encode()
        except UnicodeEncodeError:
            raise ThreadError(
                f"{name}={text!r} holds half of a surrogate pair, which is no text; clean it with "
                f"{name}.encode('utf-8', 'replace').decode()"
            ) from None
    return owner


@dataclass(frozen=True, kw_only=True, slots=True)
class Thread:
    """A state, read: what the nodes work on."""

    owner: Owner
    """Whose it is."""
    system: tuple[BaseMessage, ...]
    """System messages: the graph's own, then those in the state."""
    stored_system: tuple[SystemMessage, ...]
    """System messages in the state."""
    turns: tuple[LiveTurn, ...]
    """Live turns."""
    record: Record
    """What memory kept."""

    @property
    def head(self) -> str:
        """Key of the newest archived turn in the lineage of this state; the root key if there is none.

        After an edit the record's head may be a turn of the branch that was left: then the first live turn's parent
        holds, which is archived for sure, since a turn leaves the live state only once it is.
        """
        known = self.record.get("head")
        chain = {turn.key for turn in self.turns} | {turn.parent for turn in self.turns[:1]}
        if known and (known in chain or not self.turns):
            return known
        return self.turns[0].parent if self.turns else self.record.get("parent", self.owner.root)

    @property
    def unarchived(self) -> tuple[LiveTurn, ...]:
        """Live turns that come after `head`."""
        keys = [turn.key for turn in self.turns]
        head = self.head
        return self.turns[keys.index(head) + 1 :] if head in keys else self.turns


def without_refused(turns: Sequence[LiveTurn], refused: Collection[str]) -> tuple[LiveTurn, ...]:
    """The turns, those whose questions the provider refused marked so."""
    return tuple(
        replace(turn, refused=True) if turn.question is not None and turn.question.id in refused else turn
        for turn in turns
    )
