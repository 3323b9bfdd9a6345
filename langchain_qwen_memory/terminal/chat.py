"""The terminal chat: reads a question, shows the answer as it comes, and obeys a few slash commands."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from rich.console import Console
from rich.text import Text

from langchain_qwen_memory.terminal.lines import Lines, Warnings
from langchain_qwen_memory.terminal.loop import LoopThread
from langchain_qwen_memory.terminal.options import DEFAULT_MODEL, ChatOptions
from langchain_qwen_memory.terminal.output import clean, short
from langchain_qwen_memory.terminal.say import Say
from langchain_qwen_memory.terminal.screen import TurnScreen, Waiting, coloured
from langchain_qwen_memory.terminal.slash import Commands

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
        db=options.place.shown,
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
        self.console, self.lines, self.loop = console, lines, loop
        self.bot, self.say, self._meter = bot, say, meter
        self._commands = Commands(self)
        self._untidy = False
        self._failed = False
        self._warnings = Warnings(held=lines.interactive)

    def welcome(self) -> None:
        """Say how the thread stands; answer a question that was left open when the program died."""
        from langchain_qwen_memory.terminal.adopting import adopt
        from langchain_qwen_memory.terminal.bot import words
        from langchain_qwen_memory.terminal.turn import unanswered

        if self.loop.run(adopt(self.bot)):
            self.console.print(Text(self.say("adopted"), style="dim"))
        question = self.loop.run(unanswered(self.bot))
        thread = self.loop.run(self.bot.thread())
        turns = [turn for turn in thread.turns if turn.finished]
        total = thread.record.get("position", 0) + len(turns)
        if not total:
            self.console.print(Text(self.say("new_thread"), style="dim"))
        else:
            self.console.print(Text(self.say("goes_on", turns=self.say.turns(total)), style="dim"))
        if turns:
            for key, message in (("you_said", turns[-1].question), ("model_said", turns[-1].messages[-1])):
                self.console.print(Text(f"  {self.say(key)}{short(words(message))}", style="dim"))
        if question is not None:
            self.console.print(Text(self.say("unanswered"), style="yellow"))
            self.console.print(Text(clean(f"{_PROMPT}{question}"), style="bold"))
            self._answer(None)

    def talk(self) -> bool:
        """Read and answer until the person leaves; True if a question was not answered."""
        while True:
            if self.lines.interactive:
                self.console.print()
            try:
                text = self.lines.read(_PROMPT)
            except EOFError:
                if self.lines.interactive:
                    self.console.print()
                return self._failed
            except KeyboardInterrupt:
                self.console.print()
                self.note("hint_leave")
                continue
            if text and not self.lines.interactive:
                self.console.print()
                self.console.print(Text(clean(f"{_PROMPT}{text}")), soft_wrap=True)
            if text in {"/quit", "/exit"}:
                return self._failed
            if text:
                self._obey_or_answer(text)

    def _obey_or_answer(self, text: str) -> None:
        try:
            if text.startswith("/") and "\n" not in text:
                self._commands.obey(text)
            else:
                with self.lines.away():
                    self._answer(text)
        except KeyboardInterrupt:
            self.console.print()

    # -- turns

    def _answer(self, question: str | None) -> None:
        from langchain_qwen_memory.terminal.turn import answer

        screen = TurnScreen(self.console, self.say)
        try:
            if self._untidy:
                self._settle("")
            screen.play(self.loop.stream(answer(self.bot, question)))
        except KeyboardInterrupt:
            self._after(screen, "stopped")
        except Exception as error:  # noqa: BLE001 - whatever a turn failed at, the thread goes on
            self._failed = True
            self.show_error(error)
            self._after(screen, "failed")
        if screen.report is not None and self._meter:
            self._show_meter(screen)
        for warning in self._warnings.take():
            self.console.print(Text(clean(warning), style="yellow"))

    def _after(self, screen: TurnScreen, how: str) -> None:
        """Put a turn in order that did not come to its end, and say what became of it."""
        try:
            with Waiting(self.console, self.say("remembering")):
                fate = self._settle(screen.shown)
        except KeyboardInterrupt:
            self._untidy, fate = True, "open"
        except Exception as error:  # noqa: BLE001 - it is tried again before the next turn
            self._untidy, fate = True, "open"
            self.show_error(error)
        self.note(f"{how}_{fate}")

    def _settle(self, shown: str) -> str:
        from langchain_qwen_memory.terminal.turn import settle

        fate = self.loop.run(settle(self.bot, shown))
        self._untidy = False
        return fate

    # -- what is shown

    def _show_meter(self, screen: TurnScreen) -> None:
        from langchain_qwen_memory.terminal.figures import figures
        from langchain_qwen_memory.terminal.show import meter

        assert screen.report is not None
        seen = figures(screen.report, self.loop.run(self.bot.thread()), self.bot.wiring)
        self.console.print()
        self.console.print(meter(seen, self.say), soft_wrap=not self.console.is_terminal)

    def show_error(self, error: BaseException) -> None:
        """One panel in a terminal, one line elsewhere."""
        from langchain_qwen_memory.terminal.show import failure

        if self.console.is_terminal:
            self.console.print(failure(error))
        else:
            line = " ".join(clean(str(error)).split())
            print(self.say("error", text=f"{type(error).__name__}: {line}"), file=sys.stderr)  # noqa: T201

    def note(self, key: str, **values: object) -> None:
        """Say something that is not the model's."""
        text = Text(clean(self.say(key, **values)), style="yellow")
        self.console.print(text, soft_wrap=not self.console.is_terminal)
