"""Where turns and checkpoints live, as a person writes it: a SQLite file, or the URL of a Postgres server."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from langchain_qwen_memory.terminal.say import Say

POSTGRES = ("postgresql://", "postgres://")


@dataclass(frozen=True, slots=True)
class Place:
    """Where turns and checkpoints live together."""

    given: str | None
    """A file or a URL as the person wrote it; None: the file in the application folder."""
    stand_in: bool = False
    """Whether that is the stand-in's own file."""

    @property
    def is_postgres(self) -> bool:
        """Whether a Postgres server keeps it."""
        return bool(self.given) and str(self.given).startswith(POSTGRES)

    @property
    def path(self) -> Path:
        """The SQLite file."""
        return default_db(stand_in=self.stand_in) if self.given is None else Path(self.given)

    @property
    def shown(self) -> str:
        """As it may be shown: a home folder as `~`, a URL without its password."""
        return shown_place(str(self.given)) if self.is_postgres else short_path(self.path, os.environ)

    def check(self, say: Say) -> None:
        """Refuse what cannot be a place.

        Raises:
            MisuseError: A URL of something else, or a file in a folder that is not there.
        """
        if self.given is None or self.is_postgres:
            return
        if "://" in self.given:
            raise MisuseError(say("bad_archive", given=shown_place(self.given)))
        folder = self.path.absolute().parent
        if not folder.is_dir():
            raise MisuseError(say("no_folder", db=self.path, folder=folder))


def shown_place(url: str) -> str:
    """A database URL without the password, and without the options that may hold one."""
    start, mark, rest = url.partition("://")
    rest = rest.partition("?")[0]
    who, at, where = rest.rpartition("@")
    return f"{start}{mark}{who.partition(':')[0]}{at}{where}"


class MisuseError(Exception):
    """The command was given what it cannot take; the text says what it takes, in the person's language."""


def default_db(*, stand_in: bool) -> Path:
    """The file that is used unless `--db` names one: in the user's application folder."""
    import typer

    return Path(typer.get_app_dir("qwen-memory")) / ("stand-in.db" if stand_in else "chat.db")


def short_path(path: Path, environ: Mapping[str, str]) -> str:
    """A path as people write it: `~` for the home folder."""
    home = environ.get("HOME")
    text = str(path)
    return f"~{text[len(home) :]}" if home and home != "/" and text.startswith(f"{home}/") else text
