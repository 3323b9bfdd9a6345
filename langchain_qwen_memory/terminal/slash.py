"""The slash commands of the chat: what is shown, found, forgotten and gone back to between two questions."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from rich.text import Text

from langchain_qwen_memory.terminal.output import clean, short
from langchain_qwen_memory.terminal.place import MisuseError
from langchain_qwen_memory.terminal.screen import coloured

if TYPE_CHECKING:
    from langchain_core.runnables import RunnableConfig

    from langchain_qwen_memory.terminal.bot import Bot
    from langchain_qwen_memory.terminal.chat import Session

_FOUND = 5
"""Turns that `/recall` shows."""
_LISTED = 10
"""Turns that `/branch` offers."""
_LONGEST = 240
"""Characters of a found turn's answer."""
_YES = frozenset({"y", "yes", "是", "好", "确定"})


class Commands:
    """The commands of one session."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._say = session.say

    @property
    def known(self) -> Mapping[str, tuple[str, Callable[[str], None]]]:
        """Command -> the key of its help text, and what it does with the words after it; `/quit` is the chat's own."""
        return {
            "/context": ("help_context", self.context),
            "/memory": ("help_memory", self.memory),
            "/recall": ("help_recall", self.recall),
            "/branch": ("help_branch", self.branch),
            "/model": ("help_model", self.model),
            "/forget": ("help_forget", self.forget),
            "/help": ("help_help", self.help),
            "/quit": ("help_quit", lambda _: None),
            "/exit": ("help_exit", lambda _: None),
        }

    def obey(self, text: str) -> None:
        """Do what a line that begins with a slash says."""
        command, _, words = text.partition(" ")
        if command in self.known:
            self.known[command][1](words.strip())
            return
        known = self._say("known_commands", commands=" ".join(self.known))
        self._session.note("unknown_command", command=short(command), known=known)

    def context(self, _words: str = "") -> None:
        """What the view of the last turn held."""
        from langchain_qwen_memory.terminal.figures import figures
        from langchain_qwen_memory.terminal.show import context

        session = self._session
        thread = session.loop.run(session.bot.thread())
        report = thread.record.get("report")
        if report is None:
            session.note("context_none")
        elif not report["view_tokens"]:
            session.note("context_unknown", turn=report["turn"] + 1)
        else:
            seen = figures(report, thread, session.bot.wiring)
            quotes = session.loop.run(session.bot.questions(report["recalled"], thread.head))
            colour, width = coloured(session.console), session.console.width
            session.console.print(context(seen, self._say, quotes=quotes, colour=colour, width=width))

    def memory(self, _words: str = "") -> None:
        """What memory keeps of the thread."""
        from langchain_qwen_memory.terminal.show import record
        from langchain_qwen_memory.threads import aread_reports

        session = self._session
        thread = session.loop.run(session.bot.thread())
        if not thread.record:
            session.note("memory_none")
            return
        archive = session.bot.wiring.archive
        assert archive is not None
        archived = session.loop.run(archive.acount(thread.owner.user, thread.owner.thread))
        reports = session.loop.run(aread_reports(session.bot.graph, session.bot.config, limit=8))
        session.console.print(record(thread, archived, reports, self._say))

    def recall(self, words: str) -> None:
        """Look in old turns, in those of all the user's threads where there is a user."""
        session = self._session
        if not words:
            session.note("recall_usage")
            return
        thread = session.loop.run(session.bot.thread())
        owner, archive = thread.owner, session.bot.wiring.archive
        assert archive is not None
        scope, heads = None if owner.user else owner.thread, {owner.thread: thread.head}
        found = session.loop.run(archive.asearch(words, user=owner.user, thread=scope, heads=heads, limit=_FOUND))
        if problem := getattr(found, "problem", ""):
            session.note("recall_words_only", why=problem)
        if not found:
            session.note("recall_nothing")
        for hit in found:
            session.console.print(_found(hit, owner.thread))

    def branch(self, words: str) -> None:
        """Go back to a turn; 0 is the beginning."""
        session = self._session
        thread = session.loop.run(session.bot.thread())
        total = thread.record.get("position", 0) + len(thread.turns)
        if not total:
            session.note("branch_none")
        elif not words.isdecimal() or int(words) >= total:
            for turn in thread.turns[-_LISTED:]:
                asked = turn.question.text if turn.question is not None else ""
                session.console.print(Text(f"  #{turn.position + 1}  {short(str(asked))}", style="dim"))
            session.note("branch_usage", first=0, last=total - 1)
        elif session.loop.run(go_back(session.bot, int(words))):
            session.note("branch_done" if int(words) else "branch_begin", turn=int(words), left=total - int(words))
        else:
            session.note("branch_gone", turn=int(words))

    def model(self, words: str) -> None:
        """Take another model from the next question on."""
        from langchain_qwen_memory.catalogue import model_info
        from langchain_qwen_memory.terminal.bot import with_model

        session = self._session
        if not words:
            session.note("model_now", model=session.bot.wiring.facts.name)
            return
        try:
            session.bot = with_model(session.bot, words)
        except MisuseError as error:
            session.show_error(error)
            return
        session.note("model_is", model=words)
        if not model_info(words).known and not session.bot.options.is_own:
            session.note("model_strange", model=words)

    def forget(self, words: str) -> None:
        """Forget the thread everywhere, if the person means it."""
        from langchain_qwen_memory.threads import aforget

        session = self._session
        thread = session.loop.run(session.bot.thread())
        user, name = thread.owner.user, thread.owner.thread
        archive = session.bot.wiring.archive
        assert archive is not None
        turns = session.loop.run(archive.acount(user, name))
        key = "ask_thread" if user else "ask_thread_alone"
        asked = self._say(key, thread=name, user=user, turns=self._say.turns(turns))
        if words.lower() not in {"--yes", "-y"} and session.lines.read(clean(f"{asked} ")).lower() not in _YES:
            session.note("kept_all")
            return
        removed = session.loop.run(aforget(session.bot.graph, user=user, thread=name))
        session.note("forgot_thread", thread=name, turns=self._say.turns(removed))

    def help(self, _words: str = "") -> None:
        """The commands."""
        for command, (key, _) in self.known.items():
            self._session.console.print(Text(f"  {command:<10}{self._say(key)}"))
        self._session.console.print(Text(f"  {self._say('help_keys')}", style="dim"))


def _found(hit: Any, thread: str) -> Text:
    """A hit on two lines: when and where, what was asked; what was answered."""
    from langchain_qwen_memory.terminal.bot import words

    turn = hit.turn
    at = time.strftime("%Y-%m-%d %H:%M", time.localtime(turn.at))
    where = f"#{turn.position + 1}" if turn.thread in {"", thread} else f"{clean(turn.thread)} #{turn.position + 1}"
    line = Text(f"{where}  {at}  {hit.score:.2f}  ", style="dim")
    line.append(short(words(turn.messages[0]), _LONGEST), style="bold not dim")
    answer = short(words(turn.messages[-1]), _LONGEST) if len(turn.messages) > 1 else ""
    return line.append(f"\n  {answer}", style="not dim") if answer else line


async def go_back(bot: Bot, turns: int) -> bool:
    """Let the thread stand once more as it stood after so many turns; the later ones stay in the archive.

    Returns:
        False if the checkpoint from then is gone.
    """
    at: RunnableConfig | None = (await bot.graph.aget_state(bot.config)).config
    first: RunnableConfig | None = None
    while at is not None:
        state = await bot.graph.aget_state(at)
        report = (state.values.get("record") or {}).get("report")
        if turns and report is not None and report["turn"] == turns - 1 and not state.next:
            await bot.graph.aupdate_state(at, None, as_node="__copy__")
            return True
        first, at = at, state.parent_config
    if turns or first is None:
        return False
    await bot.graph.aupdate_state(first, {"messages": []}, as_node="remember")
    return True
