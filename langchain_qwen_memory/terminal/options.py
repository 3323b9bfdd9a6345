"""What a person asked for on the command line, checked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import cast, get_args

from langchain_qwen_memory.qwen.endpoints import Server, server_of
from langchain_qwen_memory.terminal.say import Say

MEMORIES = ("window", "summary", "recall")
"""Names of memories, as `--memory` takes them."""
SERVERS: tuple[str, ...] = get_args(Server)
"""Kinds of servers, as `--server` takes them."""
DEFAULT_MEMORIES = ("summary", "recall")
DEFAULT_MODEL = "qwen-plus"
_LEAST_TRIGGER = 100


class MisuseError(Exception):
    """The command was given what it cannot take; the text says what it takes, in the person's language."""


@dataclass(frozen=True, kw_only=True, slots=True)
class ChatOptions:
    """The options of `qwen-memory chat`."""

    thread: str = "main"
    """Name of the thread."""
    db: Path | None = None
    """The SQLite file; None: `default_db`."""
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
        return self.db or default_db(stand_in=self.stands_in)

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
        if self.db is not None and not self.db.absolute().parent.is_dir():
            raise MisuseError(say("no_folder", db=self.db, folder=self.db.absolute().parent))


def default_db(*, stand_in: bool) -> Path:
    """The file that is used unless `--db` names one: in the user's application folder."""
    import typer

    return Path(typer.get_app_dir("qwen-memory")) / ("stand-in.db" if stand_in else "chat.db")


def short_path(path: Path, environ: Mapping[str, str]) -> str:
    """A path as people write it: `~` for the home folder."""
    home = environ.get("HOME")
    text = str(path)
    return f"~{text[len(home) :]}" if home and home != "/" and text.startswith(f"{home}/") else text
