"""Summary memory: older turns are folded into a running summary, newer ones stay word for word."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache
from typing import Any, ClassVar, Literal, TypeAlias, get_args

from langchain_core.messages import HumanMessage

from langchain_qwen_memory.errors import MemoryOptionError
from langchain_qwen_memory.memory.base import (
    Answer,
    Conversation,
    FindNote,
    Flow,
    Memory,
    Need,
    PutNote,
    Selection,
)
from langchain_qwen_memory.memory.folding import Rule
from langchain_qwen_memory.memory.running import Running
from langchain_qwen_memory.memory.sizing import Sizes, Trigger
from langchain_qwen_memory.memory.summariser import Job, in_chinese, instruction, is_note
from langchain_qwen_memory.memory.turns import Counter
from langchain_qwen_memory.memory.window import Size

FoldWhen: TypeAlias = Literal["after", "background"]
"""After the answer in the same run, or prepared outside of runs."""

_PREPARED_FROM = 0.85
"""Share of the trigger from which a fold in the background is prepared."""
_USAGE = ("input_tokens", "output_tokens", "cached_tokens", "created_tokens")


@dataclass(frozen=True, slots=True)
class _Work:
    """How far a call of `select` has come."""

    running: Running
    selection: Selection
    demand: int
    """Position up to which an earlier memory has given the turns up."""

    def failed(self, name: str, error: str, turn: int) -> _Work:
        return replace(self.erred(name, error), running=self.running.failed(turn))

    def erred(self, name: str, error: str) -> _Work:
        selection = replace(self.selection, errors=(*self.selection.errors, f"{name}: {error}"))
        return replace(self, selection=selection)


@dataclass(frozen=True, kw_only=True)
class SummaryBufferMemory(Memory):
    """Keeps the newest turns word for word, and a running summary of all turns before them.

    Past `trigger` the oldest turns are folded into the summary by one call of a model, down to `keep`. The call repeats
    the chat's own messages and adds an instruction, so that the provider bills what it has read already at cache price.
    Hard facts (ids, numbers, dates, likes and dislikes ...) that the summary leaves out are kept beside it, word for
    word. A fold is kept as a note under a key made of what it folds: it is paid once, whatever is retried.

    If the summariser fails, the conversation goes on and the turns stay; it is tried again after 1, 2, 4, 8 and then
    each 16 turns, so that a dead one does not cost a timeout at each turn. A slow one is given up after 60 seconds of
    silence, in each try that the model makes (`max_retries`), if it takes a `timeout` as chat models usually do. With
    `fold="after"` a fold stands between the answer and the end of the run: what waits for that waits for the fold. An
    answer that would not make the view shorter is not taken, and not asked for again before the history has grown by a
    quarter.

    In a list of memories place it after a `WindowMemory`: it folds what the window gives up, and until that is done the
    turns stay in the view.

    Example:
        ```python
        SummaryBufferMemory(trigger=("tokens", 8_000))
        SummaryBufferMemory(trigger=("cost", "auto"))       # as cheap as can be, with 8 turns word for word at least
        SummaryBufferMemory(model=ChatQwen(model="qwen-flash"), trigger=("fraction", 0.7), fold="background")
        ```

    Raises:
        MemoryOptionError: A size is not one, `keep` is above `trigger`, or another option is not what it can be.
    """

    name: ClassVar[str] = "summary"
    moves_edge: ClassVar[bool] = True
    folds: ClassVar[bool] = True

    model: Any = field(default=None, repr=False)
    """Who summarises; None: the chat's own model, thinking off. Another one should take in as much."""
    trigger: Trigger = ("tokens", 8_000)
    """How much summary and turns may be together before turns are folded; 70 % of the model's input at most."""
    keep: Size | None = None
    """How much a fold leaves; half of `trigger`, or 8 turns with a cost trigger; three quarters at most."""
    summary_prompt: str | None = None
    """The instruction to the summariser, as it is; None: one in Chinese or English, as the conversation is."""
    max_summary_tokens: int = 400
    """The longest summary; where `trigger` is small, a quarter of it."""
    max_ledger_tokens: int = 200
    """How much is kept beside the summary word for word; where `trigger` is small, an eighth of it. 0: nothing."""
    fold: FoldWhen = "after"
    """When: after the answer in the same run, or "background": prepared from 85 % of `trigger` while nobody waits."""

    def __post_init__(self) -> None:
        """Refuse what cannot be."""
        if self.fold not in get_args(FoldWhen):
            raise MemoryOptionError(f'fold={self.fold!r} is neither "after" nor "background".')
        if self.summary_prompt is not None and not self.summary_prompt.strip():
            raise MemoryOptionError("summary_prompt is empty; write an instruction, or leave it out for the default.")
        self.sizes.check()

    @cached_property
    def sizes(self) -> Sizes:
        """The sizes, checked."""
        return Sizes(
            trigger=self.trigger,
            keep=self.keep,
            summary=self.max_summary_tokens,
            ledger=self.max_ledger_tokens,
        )

    def select(self, conversation: Conversation, selection: Selection) -> Flow:
        """Give the view summary and kept turns; fold if it is due, or if the view would not fit otherwise."""
        work = _Work(Running.read(conversation, self.name), selection, selection.start)
        background = self._in_background(conversation)
        if background:
            work = yield from self._fold_due(conversation, work, plan=_PREPARED_FROM, asks=False)
        elif conversation.phase == "after":
            work = yield from self._fold_due(conversation, work)
        if conversation.phase == "before":
            work = yield from self._fold_to_fit(conversation, work)
        return self._told(conversation, work)

    def prepare(self, conversation: Conversation, selection: Selection) -> Flow | None:
        """With `fold="background"`: ask for the summary that will be due soon and keep it as a note.

        Nothing of what the flow returns goes into the record: the next `select` past `trigger` finds the note by its
        key.

        Args:
            conversation: As `select` reads it after the answer, the record being the one that was written.
            selection: What memories chose after the answer.

        Returns:
            A flow, or None where nothing is folded in the background.
        """
        return self._prepare(conversation, selection) if self._in_background(conversation) else None

    def _in_background(self, conversation: Conversation) -> bool:
        """What is prepared needs a place where it is kept until it is due."""
        return self.fold == "background" and conversation.archived

    def _prepare(self, conversation: Conversation, selection: Selection) -> Flow:
        demand = int(conversation.slot(self.name).get("demand", 0))
        work = _Work(Running.read(conversation, self.name), selection, demand)
        work = yield from self._fold_due(conversation, work, mark=_PREPARED_FROM, plan=_PREPARED_FROM)
        return self._told(conversation, work)

    def _fold_due(
        self, conversation: Conversation, work: _Work, *, mark: float = 1.0, plan: float = 1.0, asks: bool = True
    ) -> Generator[Need, Any, _Work]:
        """Fold piece by piece until nothing is due any more, or a piece could not be folded."""
        while conversation.turns:
            end = self._due(conversation, work, mark, plan)
            if end <= work.running.start or (asks and not work.running.ready(conversation.turns[-1].position)):
                break
            done = yield from self._fold(conversation, work, end, asks=asks)
            if done.running.start == work.running.start:
                return done
            work = done
        return work

    def _fold_to_fit(self, conversation: Conversation, work: _Work) -> Generator[Need, Any, _Work]:
        """Fold while the user waits, only as long as history and question are more than the model takes in."""
        limits = conversation.limits
        while _history(conversation, work.running) > max(limits.history, work.running.least - 1):
            running, turns = work.running, conversation.kept(work.running.start)
            rule = self._rule(conversation, running)
            # What `keep` leaves is meant to stand beside the question, however long that is.
            most = min(rule.keep_tokens + turns[-1].tokens, limits.history)
            end = rule.piece(turns, rule.kept_from(turns, limits, most), running.tokens)
            if end <= running.start or not running.ready(turns[-1].position):
                break
            done = yield from self._fold(conversation, work, end, asks=True)
            if done.running.start == running.start:
                return done
            work = done
        return work

    def _due(self, conversation: Conversation, work: _Work, mark: float, plan: float) -> int:
        """Where the fold that is due ends; the edge itself if none is."""
        running, turns = work.running, conversation.kept(work.running.start)
        if len(turns) <= 1:
            return running.start
        rule = self._rule(conversation, running)
        end, demand = running.start, min(work.demand, turns[-1].position)
        # What is prepared in the background has to be found again: a demand does not change what was planned.
        if rule.past(turns, running.tokens, mark if demand <= end else min(mark, plan)):
            end = rule.end(turns, summary=running.tokens, limits=conversation.limits, mark=plan, least=running.least)
        if demand > end and (end == running.start or plan == 1.0) and _history(conversation, running) >= running.least:
            end = rule.piece(turns, demand, running.tokens)
        return end

    def _fold(self, conversation: Conversation, work: _Work, end: int, *, asks: bool) -> Generator[Need, Any, _Work]:
        """Fold the turns from the edge to `end`: look for the note, else ask and keep it."""
        job = self._job(conversation, work.running, end)
        newest = conversation.turns[-1].position
        try:
            note = yield FindNote(key=job.key)
            if is_note(note):
                return self._adopted(work, job, note)
            if not asks:
                return work
            answer: Answer = yield job.ask()
            note = job.note(answer)
        except Exception as error:  # noqa: BLE001 - whatever it is, the user is answered and the turns stay
            failed = type(error).__name__
            return work.failed(self.name, failed, newest) if asks else work.erred(self.name, failed)
        if note is None:
            return work.failed(self.name, "EmptySummary", newest)
        try:
            stands = yield PutNote(key=job.key, note=note)
        except Exception as error:  # noqa: BLE001 - the record holds the summary all the same
            stands, work = note, work.erred(self.name, type(error).__name__)
        return self._adopted(work, job, stands if is_note(stands) else note)

    def _adopted(self, work: _Work, job: Job, note: Mapping[str, Any]) -> _Work:
        """The note in its place: the edge moves past its turns, unless it would not shorten the view."""
        usage = note.get("usage", {})
        spent = {f"summary_{name}": usage[name] for name in _USAGE if usage.get(name)}
        selection = work.selection.counting(**spent)
        if note.get("refused"):
            refused = work.running.refused(_history(job.conversation, work.running))
            return replace(work, running=refused, selection=selection)
        running = work.running.grown(note, job.turns, key=job.key, count=job.conversation.count)
        return replace(work, running=running, selection=selection.counting(folded=len(job.turns)))

    def _told(self, conversation: Conversation, work: _Work) -> Selection:
        """The selection with summary and edge, and what the record keeps."""
        running, selection = work.running, work.selection
        summary = "\n\n".join(text for text in (selection.summary, running.view) if text)
        selection = replace(selection, start=running.start, summary=summary)
        if conversation.phase == "after" and running.kept + running.lost:
            selection = selection.counting(facts=running.kept + running.lost, facts_kept=running.kept)
        demand = {"demand": work.demand} if work.demand > running.start else {}
        return selection.keeping(self.name, **running.slot(), **demand)

    def _job(self, conversation: Conversation, running: Running, end: int) -> Job:
        turns = tuple(turn for turn in conversation.kept(running.start) if turn.position < end)
        most, ledger = self.sizes.written(conversation.limits)
        order = instruction(in_chinese(running.text, turns), most, self.summary_prompt, turns)
        return Job(
            conversation=conversation,
            running=running,
            turns=turns,
            order=order,
            most=most,
            ledger=ledger,
            model=self.model,
            new_summary=running.view != Running.read(conversation, self.name).view,
        )

    def _rule(self, conversation: Conversation, running: Running) -> Rule:
        most, _ = self.sizes.written(conversation.limits)
        asking = _cost(conversation.count, instruction(True, most, self.summary_prompt))  # noqa: FBT003
        return self.sizes.rule(conversation, summary=running.tokens, asking=asking)


@lru_cache(maxsize=64)
def _cost(count: Counter, order: str) -> int:
    return count(HumanMessage(order))


def _history(conversation: Conversation, running: Running) -> int:
    """Tokens of summary and live turns from the edge on."""
    return running.tokens + sum(turn.tokens for turn in conversation.kept(running.start))
