"""What a person asked for on the command line, checked."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast, get_args

from langchain_qwen_memory.qwen.endpoints import Server, server_of
from langchain_qwen_memory.terminal.place import MisuseError, Place, default_db, short_path
from langchain_qwen_memory.terminal.say import Say

__all__ = [
    "DEFAULT_MEMORIES",
    "DEFAULT_MODEL",
    "EMBEDDINGS",
    "MEMORIES",
    "SERVERS",
    "ChatOptions",
    "MisuseError",
    "asked_options",
    "check_embeddings",
    "default_db",
    "default_place",
    "places",
    "short_path",
]

MEMORIES = ("window", "summary", "recall")
"""Names of memories, as `--memory` takes them."""
SERVERS: tuple[str, ...] = get_args(Server)
"""Kinds of servers, as `--server` takes them."""
DEFAULT_MEMORIES = ("summary", "recall")
DEFAULT_MODEL = "qwen-plus"
EMBEDDINGS = ("qwen", "use", "e5", "none")
"""What `--embeddings` takes: the service's text-embedding-v4, two that run on this machine, none."""
_LEAST_TRIGGER = 100


@dataclass(frozen=True, kw_only=True, slots=True)
class ChatOptions:
    """The options of `qwen-memory chat`."""

    thread: str = "main"
    """Name of the thread."""
    db: str | Path | None = None
    """A SQLite file or a Postgres URL; None: `default_db`."""
    model: str | None = None
    """The model's name; None: qwen-plus."""
    base_url: str | None = None
    """A server of one's own."""
    api_key: str | None = None
    """The key of the service, from DASHSCOPE_API_KEY."""
    server: str = "auto"
    """The kind of server; "auto": what the URL says."""
    region: str | None = None
    """The service's region."""
    workspace: str | None = None
    """The service's workspace."""
    thinking: bool | None = None
    """None: the model's default."""
    system: str | None = None
    """System prompt."""
    user: str | None = None
    """User id."""
    memories: tuple[str, ...] = DEFAULT_MEMORIES
    """Names of memories, in the order in which they choose."""
    trigger: int | None = None
    """Tokens past which the window leaps; None: each memory's default."""
    limit: int | None = None
    """Tokens a prompt may have, where the person knows better than the catalogue."""

    embeddings: str | None = None
    """What finds turns by meaning, one of `EMBEDDINGS`; None: words alone do."""

    @property
    def stands_in(self) -> bool:
        """Whether there is nobody to talk to but the local stand-in."""
        return not self.api_key and not self.base_url

    @property
    def is_own(self) -> bool:
        """Whether a server of one's own answers, which has models and keys of its own."""
        return bool(self.base_url) and server_of(self.base_url or "", cast("Server", self.server)) != "dashscope"

    @property
    def file(self) -> Path:
        """The SQLite file; the stand-in has one of its own, so that a first try does not get into Qwen's threads."""
        return self.place.path

    @property
    def place(self) -> Place:
        """Where the thread is kept."""
        return Place(None if self.db is None else str(self.db), self.stands_in)

    def check(self, say: Say) -> None:
        """Refuse what cannot be.

        Raises:
            MisuseError: With what is accepted, in the language of `say`.
        """
        if not self.thread.strip():
            raise MisuseError(say("empty_thread"))
        if self.server not in SERVERS:
            raise MisuseError(say("bad_server", given=self.server, kinds=", ".join(SERVERS)))
        if self.is_own and not self.model:
            raise MisuseError(say("needs_model"))
        for name in self.memories:
            if name not in MEMORIES:
                raise MisuseError(say("bad_memory", given=name))
        if self.trigger is not None and self.trigger < _LEAST_TRIGGER:
            raise MisuseError(say("bad_trigger", given=self.trigger))
        if self.trigger is not None and not {"window", "summary"} & set(self.memories):
            raise MisuseError(say("trigger_without_window", given=self.trigger))
        check_embeddings(self.embeddings, say)
        self.place.check(say)


def check_embeddings(name: str | None, say: Say) -> None:
    """Refuse embeddings that are not known.

    Raises:
        MisuseError: With those that are.
    """
    if name is not None and name not in EMBEDDINGS:
        raise MisuseError(say("bad_embeddings", given=name, kinds=", ".join(EMBEDDINGS)))


def asked_options(say: Say, **given: Any) -> ChatOptions:
    """The options with the service's key beside them, checked.

    Raises:
        MisuseError: With what is accepted.
    """
    options = ChatOptions(api_key=os.environ.get("DASHSCOPE_API_KEY") or None, **given)
    options.check(say)
    return options


def default_place(given: str | None) -> Place:
    """The place that a command reads: as named, or else where `chat` keeps its threads in the same environment."""
    stands_in = not os.environ.get("DASHSCOPE_API_KEY") and not os.environ.get("DASHSCOPE_API_BASE")
    return Place(given, stands_in)


def places(key: str) -> dict[str, object]:
    """What fills the places of a help text."""
    files = {name: short_path(default_db(stand_in=name == "stand_in"), os.environ) for name in ("default", "stand_in")}
    known: dict[str, dict[str, object]] = {
        "opt_db": {**files},
        "opt_server": {"kinds": ", ".join(SERVERS)},
        "opt_embeddings": {"kinds": ", ".join(EMBEDDINGS)},
    }
    return known.get(key, {})
