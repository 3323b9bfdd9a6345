"""Reads threads that are not being talked in: live and archived turns, and what memory did in each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from langchain_qwen_memory.terminal.place import MisuseError, Place
from langchain_qwen_memory.terminal.say import Say
from langchain_qwen_memory.terminal.stores import open_archive, saver_of

if TYPE_CHECKING:
    from langchain_core.runnables import RunnableConfig

    from langchain_qwen_memory.archive.base import Archive
    from langchain_qwen_memory.state import Report
    from langchain_qwen_memory.threads import TranscriptTurn

_PAGE = 50


@dataclass(frozen=True, kw_only=True)
class Reader:
    """One user's threads at one place."""

    archive: Archive
    """Where finished turns are."""
    graph: Any
    """Reads checkpoints and never runs; None where the place holds none."""
    user: str
    """Whose."""
    say: Say
    """The language of errors."""

    def config(self, thread: str) -> RunnableConfig:
        """Names a thread."""
        return {"configurable": {"thread_id": thread}}

    def has(self, thread: str) -> bool:
        """Whether anything is kept of a thread."""
        return self._record(thread) is not None or self.archive.count(self.user, thread) > 0

    def check(self, thread: str) -> None:
        """Refuse a thread that is not there.

        Raises:
            MisuseError: With the threads and users that are.
        """
        if not self.has(thread):
            raise MisuseError(self.say("no_thread", thread=thread, known=self.known()))

    def known(self) -> str:
        """The user's threads in a few words; where there are none, who has some."""
        names = [one.thread for one in self.archive.threads(self.user)]
        if names:
            return self.say("known_threads", names=_few(names))
        users = [user for user in self.archive.users() if user != self.user]
        return self.say("known_users", names=_few([user or '""' for user in users])) if users else ""

    def page(self, thread: str, *, before: int | None = None, limit: int = _PAGE) -> list[TranscriptTurn]:
        """Turns of a thread, live and archived, oldest first; `before` and `limit` as in `transcript`."""
        from langchain_qwen_memory.threads import TranscriptTurn, transcript

        if self._record(thread) is not None:
            return transcript(
                self.graph, self.config(thread), context={"user_id": self.user}, before=before, limit=limit
            )
        turns = self.archive.page(self.user, thread, before=before, limit=limit)
        return [TranscriptTurn(position=one.position, messages=one.messages, live=False, at=one.at) for one in turns]

    def all(self, thread: str) -> Iterator[TranscriptTurn]:
        """Every turn, oldest first, a page in memory at a time."""
        at = 0
        while page := [one for one in self.page(thread, before=at + _PAGE) if one.position >= at]:
            yield from page
            at = page[-1].position + 1

    def reports(self, thread: str, limit: int) -> Sequence[Report]:
        """What memory did in the newest turns, oldest first."""
        from langchain_qwen_memory.threads import read_reports

        return read_reports(self.graph, self.config(thread), limit=limit) if self._record(thread) is not None else []

    def _record(self, thread: str) -> Any:
        """What memory keeps of a thread in its checkpoints.

        Raises:
            MisuseError: Another user began it.
        """
        if self.graph is None:
            return None
        from langchain_qwen_memory.errors import ThreadError
        from langchain_qwen_memory.nodes import wiring_of
        from langchain_qwen_memory.steps.thread import owner_of

        values = self.graph.get_state(self.config(thread)).values
        try:
            wiring_of(self.graph).read(values, owner_of(self.config(thread), {"user_id": self.user}))
        except ThreadError as error:
            raise MisuseError(self.say("not_yours", thread=thread)) from error
        return values.get("record")


@contextmanager
def open_reader(place: Place, user: str, say: Say) -> Iterator[Reader]:
    """Open a place for reading; nothing is made that is not there.

    Raises:
        MisuseError: There is nothing at that place.
    """
    place.check(say)
    with ExitStack() as stack:
        archive = stack.enter_context(open_archive(place, say))
        saver = stack.enter_context(saver_of(place, say))
        graph = None if saver is None else reading_graph(archive, saver)
        yield Reader(archive=archive, graph=graph, user=user, say=say)


def reading_graph(archive: Archive | None, saver: Any) -> Any:
    """A graph that reads and forgets; its model is never asked."""
    from langchain_core.messages import AIMessage
    from langchain_core.runnables import RunnableLambda

    from langchain_qwen_memory.graph import create_chat_graph

    nobody: Any = RunnableLambda(lambda _: AIMessage(""))
    return create_chat_graph(nobody, archive=archive, checkpointer=saver)


def _few(names: Sequence[str], most: int = 8) -> str:
    return ", ".join([*names[:most], *(["…"] if len(names) > most else [])])
