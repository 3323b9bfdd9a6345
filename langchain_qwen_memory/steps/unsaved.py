"""Says once that a thread without a checkpointer is forgotten: the likeliest slip of a first try, and a silent one."""

from __future__ import annotations

import logging
from functools import cache

from langchain_core.runnables import RunnableConfig

from langchain_qwen_memory.steps.thread import Thread

logger = logging.getLogger("langchain_qwen_memory")

_SAVER = "__pregel_checkpointer"
"""Where LangGraph tells a node of the run's checkpointer, a parent graph's and a server's among them; None: none."""


def warn_if_unsaved(config: RunnableConfig, thread: Thread) -> None:
    """Warn, once a process, of a run that names a thread and keeps nothing of it.

    An app that hands over the whole conversation each time needs no checkpointer: after its first turn there are more.
    """
    if thread.owner.thread and len(thread.turns) == 1 and config.get("configurable", {}).get(_SAVER, True) is None:
        _warn()


@cache
def _warn() -> None:
    logger.warning(
        "a thread_id was given, and the graph has no checkpointer: the next run knows nothing of this one. "
        "Write checkpointer=InMemorySaver(), or one that lasts: "
        'with SqliteSaver.from_conn_string("chat.db") as saver: create_chat_graph(..., checkpointer=saver)'
    )
