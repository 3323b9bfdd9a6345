"""What a memory is: a small frozen policy that reads the conversation and says what the view holds.

A memory never calls a model or an archive itself. Its one method may be a generator that *yields needs* (`Ask`,
`Search`, `Rerank` ...) and is sent what they bring; two short drivers, one with `await`, meet them. So a
memory is written once and works in sync and async graphs alike.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from inspect import isgenerator
from typing import Any, ClassVar, Literal, TypeAlias, TypeVar, cast

from langchain_core.messages import BaseMessage, HumanMessage

from langchain_qwen_memory.archive.base import Hit, Turn
from langchain_qwen_memory.memory.turns import Counter, LiveTurn

_T = TypeVar("_T")

Phase: TypeAlias = Literal["before", "after"]
"""Before the model is called, while the user waits; or after the answer, while nobody does."""

Scope: TypeAlias = Literal["thread", "user"]
"""Where recall looks: in this thread, or in all threads of the same user."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Limits:
    """How much room a view has, in tokens."""

    input: int
    """What the model takes in at most, the room for its answer set aside."""
    overhead: int
    """System text, tool schemas and the header of the answer: in every view, whatever memory does."""

    @property
    def history(self) -> int:
        """What is left for summary, turns and recalled turns."""
        return max(0, self.input - self.overhead)


@dataclass(frozen=True, kw_only=True, slots=True)
class Ask:
    """Need: a model's answer to `messages`, hidden from the user's stream. Brings an `Answer`."""

    messages: Sequence[BaseMessage]
    """The conversation so far, as the chat sends it, then the instruction: so the provider's cache is hit."""
    max_tokens: int
    """The longest answer wanted."""
    model: Any = None
    """Who is asked; None: the chat's own model, with thinking off."""
    summary: str = ""
    """The summary that stands at the end of the system message."""
    new_summary: bool = False
    """That summary was made since the chat's last call, whose prompt the messages repeat up to there only."""
    timeout: float = 60.0
    """Seconds that each try of a model may be silent, where the model takes a time limit; its own, if that is less."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """What an `Ask` brings."""

    text: str
    """The answer without thinking."""
    usage: Mapping[str, int] = field(default_factory=dict)
    """`input_tokens`, `output_tokens`, `cached_tokens` and, of an explicit cache, `created_tokens`, as the provider
    counted them; empty where it did not."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Search:
    """Need: archived turns related to `query`. Brings `Found`: a list of `Hit`, best first."""

    query: str
    """The words to look for."""
    scope: Scope = "thread"
    """Where to look."""
    limit: int = 10
    """How many at most."""
    exclude: Sequence[str] = ()
    """Keys of turns not wanted: those that stand in the view already."""
    periods: Sequence[tuple[float, float]] = ()
    """(start, end) in unix seconds: turns of these times come first."""
    neighbours: bool = False
    """Whether each hit is to bring the turns before and after it."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Rerank:
    """Need: texts in the order in which they answer a question. Brings (number of the text, score), best first."""

    query: str
    """The question."""
    texts: Sequence[str]
    """What to put in order; a reranker may leave some out."""
    reranker: Any
    """A LangChain document compressor, such as `QwenReranker`."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Recalled:
    """A turn that recall places in the view, as it is shown there."""

    turn: Turn
    """The turn, whole."""
    score: float
    """How well it fits the question; comparable within one question only."""
    text: str
    """What the view shows: a line with its day, then who said what, a long reply cut."""


@dataclass(frozen=True, kw_only=True, slots=True)
class FindNote:
    """Need: the note kept under `key` in this thread. Brings it, or None."""

    key: str
    """A content-addressed key, so that the same work is found whatever was retried."""


@dataclass(frozen=True, kw_only=True, slots=True)
class PutNote:
    """Need: keep `note` under `key` unless one stands there. Brings the note that stands."""

    key: str
    """As in `FindNote`."""
    note: Mapping[str, Any]
    """Plain JSON."""


Need: TypeAlias = Ask | Search | Rerank | FindNote | PutNote
Flow: TypeAlias = Generator[Need, Any, "Selection"]
"""A memory at work: yields needs, is sent what they bring, returns the selection."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Selection:
    """What memories chose for the view; each memory of a graph hands it on to the next."""

    start: int = 0
    """Position of the first turn that the view keeps word for word."""
    summary: str = ""
    """Running text of the turns before `start`; empty: none."""
    recalled: tuple[Hit | Recalled, ...] = ()
    """Archived turns to place beside the question, most wanted first."""
    slots: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """What each memory keeps in the record until its next call, by its name: plain JSON."""
    numbers: Mapping[str, float] = field(default_factory=dict)
    """What memories want to say in the report."""
    errors: tuple[str, ...] = ()
    """Failures that were got around, as `memory: ErrorClass`."""

    def keeping(self, name: str, **slot: Any) -> Selection:
        """The same selection, with `slot` kept in the record under a memory's name."""
        return replace(self, slots={**self.slots, name: slot})

    def counting(self, **numbers: float) -> Selection:
        """The same selection, with numbers for the report; those given before are added up."""
        total = dict(self.numbers)
        for name, number in numbers.items():
            total[name] = total.get(name, 0) + number
        return replace(self, numbers=total)


@dataclass(frozen=True, kw_only=True, slots=True)
class Conversation:
    """What a memory may read."""

    turns: tuple[LiveTurn, ...]
    """The live turns, oldest first. Before the answer the last one is open."""
    record: Mapping[str, Mapping[str, Any]]
    """What memories kept, by name; survives restarts, follows forks."""
    phase: Phase
    """Whether the user is waiting."""
    limits: Limits
    """The room of a view."""
    count: Counter
    """Tokens of one message, by the model's own tokenizer."""
    system: Sequence[BaseMessage] = ()
    """The system message of the view, if there is one."""
    archived: bool = True
    """Whether there is an archive, so that turns out of the view are not out of reach."""
    prices: Any = None
    """`catalogue.Price` of the chat's model where it is known."""
    readable: frozenset[str] = frozenset({"image", "video", "audio", "file"})
    """What the chat's model takes in beside text: "image", "video", "audio"; all, where that is not known."""

    @property
    def question(self) -> HumanMessage | None:
        """The newest user message."""
        return self.turns[-1].question if self.turns else None

    @property
    def first(self) -> int:
        """Position of the oldest live turn."""
        return self.turns[0].position if self.turns else 0

    def kept(self, start: int) -> tuple[LiveTurn, ...]:
        """The live turns from position `start` on; at least the newest, if others were taken out of the state."""
        return self.turns[max(0, min(start - self.first, len(self.turns) - 1)) :]

    def slot(self, name: str) -> Mapping[str, Any]:
        """What the memory `name` kept last time; empty at first."""
        return self.record.get(name, {})


@dataclass(frozen=True, kw_only=True)
class Memory(ABC):
    """A policy: says, for each call of the model, what the view holds. Frozen: it keeps nothing between calls.

    What has to be kept goes into the record, through `Selection.keeping`. Subclasses are dataclasses or plain
    classes; a `name` of their own keeps their slots in the record apart.
    """

    name: ClassVar[str] = "memory"
    """Its slot in the record and its name in the report."""
    needs_archive: ClassVar[bool] = False
    """Whether it makes no sense without an archive."""
    moves_edge: ClassVar[bool] = False
    """Whether it lets turns leave the view."""
    folds: ClassVar[bool] = False
    """Whether it takes in what leaves the view; then no other memory may let turns leave after it."""

    @abstractmethod
    def select(self, conversation: Conversation, selection: Selection) -> Flow | Selection:
        """Choose what the view holds.

        Called before the model (`phase="before"`) and after the answer (`phase="after"`); what is chosen after the
        answer is where the next call starts from.

        Args:
            conversation: What there is.
            selection: What the memories before this one chose.

        Returns:
            A changed selection, or a generator that yields needs and returns one.
        """

    def prepare(self, conversation: Conversation, selection: Selection) -> Flow | None:  # noqa: ARG002 - see below
        """Work ahead while nobody waits: outside of runs, after the answer. What it returns is not recorded.

        What it brings about it keeps as a note, which a later `select` finds. None, the default: nothing to do.
        """
        return None


def select_all(
    memories: Sequence[Memory], conversation: Conversation, *, passes: tuple[type[Exception], ...] = ()
) -> Flow:
    """Let each memory in turn choose; one that fails is passed over and named in `errors`.

    Args:
        memories: In the order in which they choose.
        conversation: What they read.
        passes: Errors that are no failures but the runner's way to stop, such as LangGraph's interrupts.
    """
    selection = Selection(start=conversation.first, slots=dict(conversation.record))
    for memory in memories:
        try:
            chosen = memory.select(conversation, selection)
            selection = _checked((yield from chosen) if isgenerator(chosen) else chosen)
        except passes:
            raise
        except Exception as error:  # noqa: BLE001 - a memory that fails must not cost the user the answer
            _log_failure(memory.name, error)
            selection = replace(selection, errors=(*selection.errors, f"{memory.name}: {type(error).__name__}"))
    return selection


def _checked(chosen: Any) -> Selection:
    """What a memory chose, if it chose something: a missing `return` is a failure like another."""
    if not isinstance(chosen, Selection):
        raise TypeError(f"select gave back {chosen!r}, no Selection; end it with `return selection`")
    return chosen


def _log_failure(name: str, error: Exception) -> None:
    import logging

    logging.getLogger("langchain_qwen_memory").warning("memory %r failed and was passed over: %s", name, error)


def drive(flow: Generator[Any, Any, _T], meet: Callable[[Any], Any], *, passes: tuple[type[Exception], ...] = ()) -> _T:
    """Run a memory's flow to its end; `meet` brings what each need asks for. `passes` as for `select_all`."""
    step: Callable[[Any], Any] = flow.send
    value: Any = None
    while True:
        try:
            need = step(value)
        except StopIteration as done:
            return cast("_T", done.value)
        try:
            step, value = flow.send, meet(need)
        except passes:
            raise
        except Exception as error:  # noqa: BLE001 - the memory decides what a failure means
            step, value = flow.throw, error


async def adrive(
    flow: Generator[Any, Any, _T], meet: Callable[[Any], Awaitable[Any]], *, passes: tuple[type[Exception], ...] = ()
) -> _T:
    """`drive`, with `await`."""
    step: Callable[[Any], Any] = flow.send
    value: Any = None
    while True:
        try:
            need = step(value)
        except StopIteration as done:
            return cast("_T", done.value)
        try:
            step, value = flow.send, await meet(need)
        except passes:
            raise
        except Exception as error:  # noqa: BLE001 - as above
            step, value = flow.throw, error


def names_of(memories: Iterable[Memory]) -> list[str]:
    """The memories' names, for error texts and reports."""
    return [memory.name for memory in memories]
