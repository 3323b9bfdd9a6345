"""How the state of a `create_agent` agent is read as a thread: from where memory left off, not from its start."""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from hashlib import blake2b
from itertools import count
from operator import is_
from threading import Lock
from typing import Annotated, Any, NotRequired, cast

from langchain.agents.middleware.types import AgentState, ModelRequest, PrivateStateAttr
from langchain.agents.structured_output import (
    AutoStrategy,
    OutputToolBinding,
    ProviderStrategy,
    ToolStrategy,
)
from langchain_core.messages import BaseMessage, HumanMessage
from langgraph.channels import UntrackedValue

from langchain_qwen_memory.errors import MemoryOptionError
from langchain_qwen_memory.memory.turns import LiveTurn, each_once, part_system
from langchain_qwen_memory.state import Record
from langchain_qwen_memory.steps.thread import Owner, Thread
from langchain_qwen_memory.steps.wiring import Wiring

logger = logging.getLogger("langchain_qwen_memory")

_WIRINGS = 64
"""Models with tools that are remembered, so that tool schemas are counted once."""
_SEEN = 1024
"""Wirings with system texts that are remembered, for runs that are under way."""
_LEFT_BEHIND = ("first", "system", "origin")
"""Of an `AgentRecord`: what is there while turns stay in the state that memory no longer reads."""


class AgentMemoryState(AgentState[Any]):
    """What `MemoryMiddleware` adds to an agent's state: private, so that no input can set it and no output shows it."""

    record: NotRequired[Annotated[dict[str, Any], PrivateStateAttr]]
    """An `AgentRecord`. A plain channel, since the agent's own messages decide what a checkpoint weighs."""
    selection: NotRequired[Annotated[dict[str, Any], UntrackedValue, PrivateStateAttr]]
    """What memories chose for the views of this turn: never stored."""


class AgentRecord(Record, total=False):
    """A record where messages stay in the state: `position` and `parent` say from where memory reads on."""

    last: str
    """Key of the newest turn that the record knows."""
    first: str
    """Id of the first message that memory reads; missing: of the state's first one."""
    system: bool
    """Whether system messages may stand before that one."""
    origin: dict[str, Any]
    """`position` and `parent` of the state's first turn, where that is not the first one that memory reads."""


class AgentWiring(Wiring):
    """A wiring that reads an agent's whole state, for `transcript` and `forget`."""

    def read(self, state: Mapping[str, Any], owner: Owner) -> Thread:
        """Read all turns of a state, those that memory no longer needs too."""
        return super().read({**state, "record": _from_origin(_record(state))}, owner)


def read_agent(wiring: Wiring, state: Mapping[str, Any], owner: Owner) -> Thread:
    """Read a state from where memory left off: what a turn costs does not grow with the thread.

    Turns before that place are out of the view for good (and archived, where there is an archive): they are neither
    hashed nor counted again, so an edit of one of them is not noticed.
    """
    record, messages = _record(state), state.get("messages") or []
    start = _start(messages, record)
    if start is None:
        logger.warning(
            "messages that memory goes on from are gone from the state; the thread is read anew. "
            "Did something remove them, such as a SummarizationMiddleware beside MemoryMiddleware?"
        )
        start, record = 0, {**_from_origin(record), "slots": {}}
    elif wiring.archive is not None and record.get("archived", 0) < record.get("position", 0):
        start, record = 0, _from_origin(record)  # the archive is new to this thread: it gets all of it
    before = part_system(messages[:start])[0] if record.get("system", True) else []
    return wiring.read({"messages": [*before, *messages[start:]], "record": record}, owner)


def _record(state: Mapping[str, Any]) -> AgentRecord:
    record = state.get("record") or {}
    if not isinstance(record, dict):
        raise MemoryOptionError(
            f"MemoryMiddleware keeps a dict under the state key `record`, and found {type(record).__name__}. "
            "Give the key of your own state_schema another name."
        )
    return cast("AgentRecord", record)


def _start(messages: Sequence[BaseMessage], record: AgentRecord) -> int | None:
    """Index of the first message that memory reads; looked for from the end, where it is near."""
    first = record.get("first")
    if first is None:
        return 0
    return next((place for place in range(len(messages) - 1, -1, -1) if messages[place].id == first), None)


def _from_origin(record: AgentRecord) -> AgentRecord:
    """The record as if no turn in the state had been left behind."""
    if "origin" not in record:
        return record
    dropped = (*_LEFT_BEHIND, "head", "archived_tokens")
    kept = {name: value for name, value in record.items() if name not in dropped}
    origin = record["origin"]
    return cast("AgentRecord", {**kept, **origin, "archived": origin["position"]})


def moved_on(thread: Thread, update: dict[str, Any], *, whole: bool) -> dict[str, Any]:
    """Write into the record from where the next turn reads on.

    Args:
        thread: As it was read.
        update: Of `remembered`: its record says at which turn the thread goes on.
        whole: Whether messages stay in the state.
    """
    record: AgentRecord = update["record"]
    record["last"] = thread.turns[-1].key
    if not whole:
        if "messages" in update:
            for name in _LEFT_BEHIND:
                record.pop(name, None)  # type: ignore[misc]
        return update
    was = thread.turns[0].position
    if record.get("position", 0) > was:
        record.setdefault("origin", {"position": was, "parent": thread.turns[0].parent})
        record["system"] = bool(thread.stored_system)
        record["first"] = str(thread.turns[record["position"] - was].messages[0].id)
    return update


def is_remembered(thread: Thread) -> bool:
    """Whether the newest turn stands in the record as it is."""
    return bool(thread.turns) and thread.record.get("last") == thread.turns[-1].key


def as_requested(
    thread: Thread, stored: Sequence[BaseMessage], request: ModelRequest[Any]
) -> tuple[tuple[BaseMessage, ...], list[LiveTurn]]:
    """System messages and turns as the middleware before this one wants them sent, turns under their own positions.

    What was cleared or left out stays so; a message that was put in stands in the turn that it follows.
    """
    messages = request.messages
    if len(messages) == len(stored) and all(map(is_, messages, stored)):
        return thread.stored_system, list(thread.turns)
    system, rest = part_system(messages)
    known = {turn.messages[0].id: turn for turn in thread.turns}
    gone = {message.id for message in stored} - {message.id for turn in thread.turns for message in turn.messages}
    newest = thread.turns[-1]
    groups: list[tuple[LiveTurn, list[BaseMessage]]] = [(newest, [])]  # what stands before all turns stays in view
    for message in rest:
        if message.id in known:
            groups.append((known[message.id], []))
        if message.id not in gone:
            groups[-1][1].append(message)
    return tuple(system), [_with(turn, group) for turn, group in groups if group]


def _with(turn: LiveTurn, messages: list[BaseMessage]) -> LiveTurn:
    first = messages[0]
    return replace(turn, messages=tuple(messages), question=first if isinstance(first, HumanMessage) else None)


@dataclass(frozen=True, slots=True)
class Seen:
    """What a model call of an agent told: middleware is given neither model nor tools when it is made."""

    name: str
    """What the selection calls it; empty where nothing was learnt."""
    wiring: Wiring
    """With the model, its tools bound."""
    system: tuple[BaseMessage, ...]
    """The system message, if there is one."""

    @property
    def serial(self) -> str:
        """Which model with which tools it is."""
        return self.name.partition(":")[0]

    def with_system(self, thread: Thread, stored: Sequence[BaseMessage]) -> Thread:
        """The thread under the agent's system message, then the `stored` ones."""
        return replace(thread, system=each_once((*self.system, *stored)))


class Learnt:
    """What was learnt of models, tools and system texts, by their identity; the oldest are forgotten."""

    def __init__(self, base: Wiring) -> None:
        """Start with what is known without any call."""
        self._base = base
        self._lock = Lock()
        self._serial = count()
        self._wirings: OrderedDict[tuple[int, ...], tuple[int, Wiring, Any]] = OrderedDict()
        self._seen: OrderedDict[str, Seen] = OrderedDict()

    def of(self, request: ModelRequest[Any]) -> Seen:
        """What this request tells; the same object for the same model, tools and system text."""
        system = request.system_message
        with self._lock:
            serial, wiring = self._wiring(request)
            text = "" if system is None else str(system.content)
            name = f"{serial}:{blake2b(text.encode('utf-8', 'replace'), digest_size=8).hexdigest()}"
            seen = self._seen.get(name) or Seen(name, wiring, () if system is None else (system,))
            _keep(self._seen, name, seen, _SEEN)
            return seen

    def named(self, name: str | None) -> Seen:
        """What was learnt under a name; for a run that another process began, only what is always known."""
        with self._lock:
            return self._seen.get(name or "") or Seen("", self._base, ())

    def _wiring(self, request: ModelRequest[Any]) -> tuple[int, Wiring]:
        held = (request.model, request.response_format, *request.tools)
        key = tuple(map(id, held))  # `held` is kept with the wiring, so that no id is used twice
        if key not in self._wirings:
            _keep(self._wirings, key, (next(self._serial), _wired(self._base, request), held), _WIRINGS)
        self._wirings.move_to_end(key)
        return self._wirings[key][:2]


def _keep(known: OrderedDict[Any, Any], key: Any, value: Any, most: int) -> None:
    known[key] = value
    known.move_to_end(key)
    if len(known) > most:
        known.popitem(last=False)


def _wired(base: Wiring, request: ModelRequest[Any]) -> Wiring:
    tools, answers = list(request.tools), _answer_tools(request.response_format)
    bound = [*tools, *answers] if isinstance(request.response_format, ToolStrategy) else tools
    model = request.model.bind_tools(bound) if bound else request.model
    return replace(base, model=model, tools=(*tools, *answers))


def _answer_tools(response_format: Any) -> list[Any]:
    """The schemas of a structured answer, which are in the prompt as well and so are counted."""
    if response_format is None:
        return []
    if isinstance(response_format, ProviderStrategy):
        specs = [response_format.schema_spec]
    elif isinstance(response_format, ToolStrategy):
        specs = response_format.schema_specs
    else:
        schema = response_format.schema if isinstance(response_format, AutoStrategy) else response_format
        specs = ToolStrategy(schema=schema).schema_specs
    return [OutputToolBinding.from_schema_spec(spec).tool for spec in specs]
