"""What the terminal program says, in the person's language; the texts stand in `chinese.py` and `english.py`."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, TypeAlias

from langchain_qwen_memory.terminal import chinese, english

Language: TypeAlias = Literal["zh", "en"]

TEXTS: Mapping[Language, Mapping[str, str]] = {"zh": chinese.TEXTS, "en": english.TEXTS}
"""Language -> key -> text; both languages have the same keys, and the same places to fill in."""


@dataclass(frozen=True)
class Say:
    """Says things in one language: `say("turn", turn=3)`."""

    language: Language

    def __call__(self, key: str, **values: object) -> str:
        """The text of a key, its places filled in."""
        text = TEXTS[self.language][key]
        return text.format(**values) if values else text

    def turns(self, number: int) -> str:
        """So many turns, in words."""
        if self.language == "zh":
            return f"{number}"
        return f"{number} turn" if number == 1 else f"{number} turns"


def locale_language(environ: Mapping[str, str] | None = None) -> Language:
    """Chinese if the locale is; the first of LC_ALL, LC_MESSAGES and LANG that is set says so."""
    environ = os.environ if environ is None else environ
    told = next((environ[name] for name in ("LC_ALL", "LC_MESSAGES", "LANG") if environ.get(name)), "")
    return "zh" if told.lower().startswith("zh") else "en"


def asked_language(argv: Sequence[str]) -> Language:
    """The language of help and error texts, which may be needed before options are read: `--lang`, else the locale."""
    for at, word in enumerate(argv):
        given = word.removeprefix("--lang=") if word.startswith("--lang=") else None
        if word == "--lang" and at + 1 < len(argv):
            given = argv[at + 1]
        if given == "zh":
            return "zh"
        if given == "en":
            return "en"
    return locale_language()


def grouped(number: float) -> str:
    """A number with its thousands parted: `12 345`."""
    return f"{number:,.0f}".replace(",", "\u00a0")
