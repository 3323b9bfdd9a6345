"""Which lineages a question to an indexed archive is about, and whether the index has all of their turns."""

from typing import Any

from langchain_qwen_memory.archive.base import Archive
from langchain_qwen_memory.archive.batch import Question
from langchain_qwen_memory.archive.index.base import line_of
from langchain_qwen_memory.archive.index.filling import Filling
from langchain_qwen_memory.archive.index.lines import Line, line_at

__all__ = ["Behind", "Scope"]

LOOKS = 256
"""Threads that one search may look at anew; a user with more that changed waits for a later one."""
REMEMBERED = 20_000
"""Lineages that are remembered, some hundred bytes each."""


class Behind(Exception):  # noqa: N818 - not an error: the archive is searched then
    """The index lacks more turns than one call may make up for."""


class Scope:
    """Remembers lineages for as long as their threads are as they were."""

    def __init__(self, archive: Archive, filling: Filling) -> None:
        """Of this archive, whose index is filled by this."""
        self._archive = archive
        self._filling = filling
        self._known: dict[tuple[str, str, str | None], tuple[Any, Line | None]] = {}

    def clear(self) -> None:
        """Remember nothing."""
        self._known.clear()

    def lines(self, question: Question, most: int) -> dict[str, Line]:
        """The lineages, by the names that the index has for their threads, with all their turns taken in.

        Args:
            question: the question.
            most: turns that may be taken in for it.

        Raises:
            Behind: there are more than that.
        """
        user, looks = question.user, 0
        found = {}
        for thread, state in self._threads(question):
            head = question.heads.get(thread)
            known = self._known.get((user, thread, head))
            if known is None or known[0] != state:
                looks += 1
                taken, all_in = self._filling.sync(user, thread, most + 1)
                most -= taken
                if not all_in or most < 0 or looks > LOOKS:
                    raise Behind
                known = (state, line_at(self._archive, user, thread, head))
                self._remember((user, thread, head), known)
            if known[1] is not None:
                found[line_of(user, thread)] = known[1]
        return found

    def _threads(self, question: Question) -> list[tuple[str, tuple[Any, ...]]]:
        """The threads asked about, each with what is different once it has changed; those longest untouched first."""
        user, thread = question.user, question.thread
        if thread is None:
            emptied = self._filling.index.emptied
            return [(one.thread, (emptied, one)) for one in reversed(self._archive.threads(user))]
        head, count = self._archive.head(user, thread), self._archive.count(user, thread)
        return [(thread, (self._filling.index.emptied, head, count))]

    def _remember(self, place: tuple[str, str, str | None], known: tuple[Any, Line | None]) -> None:
        if len(self._known) >= REMEMBERED:
            self._known.clear()
        self._known[place] = known
