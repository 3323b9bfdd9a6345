"""The terminal chat: reads a question, shows the answer as it comes, and obeys a few slash commands."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.console import Console
from rich.text import Text

from langchain_qwen_memory.terminal.lines import Lines, Warnings
from langchain_qwen_memory.terminal.loop import LoopThread
from langchain_qwen_memory.terminal.options import DEFAULT_MODEL, ChatOptions, short_path
from langchain_qwen_memory.terminal.say import Say
from langchain_qwen_memory.terminal.screen import TurnScreen, Waiting, coloured
from langchain_qwen_memory.terminal.show import clean, short

if TYPE_CHECKING:
    from langchain_qwen_memory.terminal.bot import Bot

_PROMPT = "> "


def chat(options: ChatOptions, say: Say, *, meter: bool | None = None) -> int:
    """Chat until the person leaves.

    Args:
        options: Checked ones.
        say: The language.
        meter: Show a line of what memory did after each turn; None: in a terminal only.

    Returns:
        The exit code: 1 if a question that came through a pipe could not be answered.

    Raises:
        MisuseError: The thread cannot be opened.
    """
    console = Console(highlight=False)
    lines = Lines(colour=coloured(console))
    _greet(console, options, say)
    meter = lines.interactive if meter is None else meter
    with LoopThread() as loop, _opened(console, loop, options, say) as bot:
        session = Session(console=console, lines=lines, loop=loop, bot=bot, say=say, meter=meter)
        with lines.away():
            session.welcome()
        failed = session.talk()
        if lines.interactive:
            console.print(Text(say("bye", thread=options.thread), style="dim"))
    return 1 if failed and not lines.interactive else 0


def _greet(console: Console, options: ChatOptions, say: Say) -> None:
    """What is known before anything is loaded: so that something stands there at once."""
    if options.stands_in:
        console.print(Text(say("stand_in"), style="yellow"))
    header = say(
        "header_user" if options.user else "header",
        model=options.model or DEFAULT_MODEL,
        thread=options.thread,
        user=options.user,
        db=short_path(options.file, os.environ),
    )
    console.print(Text(clean(header), style="dim"), soft_wrap=True)


@contextmanager
def _opened(console: Console, loop: LoopThread, options: ChatOptions, say: Say) -> Iterator[Bot]:
    with Waiting(console, say("opening")):
        from langchain_qwen_memory.terminal.bot import open_bot

        bot = loop.run(open_bot(options, say))
    try:
        yield bot
    finally:
        loop.run(bot.close())


class Session:
    """One person at one thread."""

    def __init__(self, *, console: Console, lines: Lines, loop: LoopThread, bot: Bot, say: Say, meter: bool) -> None:
        self._console, self._lines, self._loop = console, lines, loop
        self._bot, self._say, self._meter = bot, say, meter
        self._untidy = False
        self._failed = False
        self._warnings = Warnings(held=lines.interactive)

    @property
    def commands(self) -> Mapping[str, tuple[str, Callable[[], None]]]:
        """Slash command -> the key of its help text, and what it does; `/quit` ends `talk` itself."""
        return {
            "/context": ("help_context", self.show_context),
            "/memory": ("help_memory", self.show_memory),
            "/help": ("help_help", self.show_help),
            "/quit": ("help_quit", lambda: None),
        }

    def welcome(self) -> None:
        """Say how the thread stands; answer a question that was left open when the program died."""
        from langchain_qwen_memory.terminal.bot import words
        from langchain_qwen_memory.terminal.turn import unanswered

        question = self._loop.run(unanswered(self._bot))
        thread = self._loop.run(self._bot.thread())
        turns = [turn for turn in thread.turns if turn.finished]
        total = thread.record.get("position", 0) + len(turns)
        if not total:
            self._console.print(Text(self._say("new_thread"), style="dim"))
        else:
            self._console.print(Text(self._say("goes_on", turns=self._say.turns(total)), style="dim"))
        if turns:
            for key, message in (("you_said", turns[-1].question), ("model_said", turns[-1].messages[-1])):
                self._console.print(Text(f"  {self._say(key)}{short(words(message))}", style="dim"))
        if question is not None:
            self._console.print(Text(self._say("unanswered"), style="yellow"))
            self._console.print(Text(clean(f"{_PROMPT}{question}"), style="bold"))
            self._answer(None)

    def talk(self) -> bool:
        """Read and answer until the person leaves; True if a question was not answered."""
        while True:
            if self._lines.interactive:
                self._console.print()
            try:
                text = self._lines.read(_PROMPT)
            except EOFError:
                if self._lines.interactive:
                    self._console.print()
                return self._failed
            except KeyboardInterrupt:
                self._console.print()
                self._note("hint_leave")
                continue
            if text and not self._lines.interactive:
                self._console.print()
                self._console.print(Text(clean(f"{_PROMPT}{text}")), soft_wrap=True)
            if text == "/quit":
                return self._failed
            if text:
                self._obey_or_answer(text)

    def _obey_or_answer(self, text: str) -> None:
        try:
            if text.startswith("/") and "\n" not in text:
                self._obey(text)
            else:
                with self._lines.away():
                    self._answer(text)
        except KeyboardInterrupt:
            self._console.print()

    def _obey(self, text: str) -> None:
        command = text.split(maxsplit=1)[0]
        if command in self.commands:
            self.commands[command][1]()
            return
        known = self._say("known_commands", commands=" ".join(self.commands))
        self._note("unknown_command", command=short(command), known=known)

    # -- turns

    def _answer(self, question: str | None) -> None:
        from langchain_qwen_memory.terminal.turn import answer

        screen = TurnScreen(self._console, self._say)
        try:
            if self._untidy:
                self._settle("")
            screen.play(self._loop.stream(answer(self._bot, question)))
        except KeyboardInterrupt:
            self._after(screen, "stopped")
        except Exception as error:  # noqa: BLE001 - whatever a turn failed at, the thread goes on
            self._failed = True
            self.show_error(error)
            self._after(screen, "failed")
        if screen.report is not None and self._meter:
            self._show_meter(screen)
        for warning in self._warnings.take():
            self._console.print(Text(clean(warning), style="yellow"))

    def _after(self, screen: TurnScreen, how: str) -> None:
        """Put a turn in order that did not come to its end, and say what became of it."""
        try:
            with Waiting(self._console, self._say("remembering")):
                fate = self._settle(screen.shown)
        except KeyboardInterrupt:
            self._untidy, fate = True, "open"
        except Exception as error:  # noqa: BLE001 - it is tried again before the next turn
            self._untidy, fate = True, "open"
            self.show_error(error)
        self._note(f"{how}_{fate}")

    def _settle(self, shown: str) -> str:
        from langchain_qwen_memory.terminal.turn import settle

        fate = self._loop.run(settle(self._bot, shown))
        self._untidy = False
        return fate

    # -- what is shown

    def _show_meter(self, screen: TurnScreen) -> None:
        from langchain_qwen_memory.terminal.figures import figures
        from langchain_qwen_memory.terminal.show import meter

        assert screen.report is not None
        seen = figures(screen.report, self._loop.run(self._bot.thread()), self._bot.wiring)
        self._console.print()
        self._console.print(meter(seen, self._say), soft_wrap=not self._console.is_terminal)

    def show_context(self) -> None:
        """What the view of the last turn held."""
        from langchain_qwen_memory.terminal.figures import figures
        from langchain_qwen_memory.terminal.show import context

        thread = self._loop.run(self._bot.thread())
        report = thread.record.get("report")
        if report is None:
            self._note("context_none")
        elif not report["view_tokens"]:
            self._note("context_unknown", turn=report["turn"] + 1)
        else:
            seen = figures(report, thread, self._bot.wiring)
            quotes = self._loop.run(self._bot.questions(report["recalled"], thread.head))
            colour, width = coloured(self._console), self._console.width
            self._console.print(context(seen, self._say, quotes=quotes, colour=colour, width=width))

    def show_memory(self) -> None:
        """What memory keeps of the thread."""
        from langchain_qwen_memory.terminal.show import record
        from langchain_qwen_memory.threads import aread_reports

        thread = self._loop.run(self._bot.thread())
        if not thread.record:
            self._note("memory_none")
            return
        archive = self._bot.wiring.archive
        assert archive is not None
        archived = self._loop.run(archive.acount(thread.owner.user, thread.owner.thread))
        reports = self._loop.run(aread_reports(self._bot.graph, self._bot.config, limit=8))
        self._console.print(record(thread, archived, reports, self._say))

    def show_help(self) -> None:
        """The slash commands."""
        for command, (key, _) in self.commands.items():
            self._console.print(Text(f"  {command:<10}{self._say(key)}"))
        self._console.print(Text(f"  {self._say('help_keys')}", style="dim"))

    def show_error(self, error: BaseException) -> None:
        """One panel in a terminal, one line elsewhere."""
        from langchain_qwen_memory.terminal.show import failure

        if self._console.is_terminal:
            self._console.print(failure(error))
        else:
            line = " ".join(clean(str(error)).split())
            print(self._say("error", text=f"{type(error).__name__}: {line}"), file=sys.stderr)  # noqa: T201

    def _note(self, key: str, **values: object) -> None:
        text = Text(clean(self._say(key, **values)), style="yellow")
        self._console.print(text, soft_wrap=not self._console.is_terminal)
