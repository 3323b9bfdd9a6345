"""What a thread keeps in its checkpoints: live messages, the record of its memories, and nothing that grows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from hashlib import blake2b
from itertools import chain, groupby
from typing import Annotated, Any, NotRequired, TypedDict

from langchain_core.messages import (
    AIMessage,
    AnyMessage,
    BaseMessage,
    RemoveMessage,
    ToolMessage,
    convert_to_messages,
)
from langgraph.channels import DeltaChannel, UntrackedValue
from langgraph.graph.message import REMOVE_ALL_MESSAGES, add_messages

RECORD_VERSION = 1
"""Grows when a record is written that an older version of this package cannot read."""


class Report(TypedDict, total=False):
    """What memory did in one turn: numbers and ids only."""

    turn: int
    """Position of the turn in the thread, from 0."""
    at: float
    """When the turn was finished, unix seconds."""
    kept: int
    """Turns that stood in the view word for word."""
    folded: int
    """Turns folded into the summary in this turn."""
    recalled: list[dict[str, Any]]
    """Recalled turns that stood in the view: `{"position", "score"}`, and `"thread"` where it is another one."""
    found_by: str
    """How recall finds turns, where there is one: "words and meaning", or "words" in an archive without embeddings."""
    view_tokens: int
    """Tokens of the last view, tool schemas included, as counted here."""
    limit: int
    """Tokens the model takes in, the room for its answer set aside."""
    system_tokens: int
    """Part of `view_tokens`: system text and tool schemas."""
    summary_tokens: int
    """Part of `view_tokens`: the summary."""
    recalled_tokens: int
    """Part of `view_tokens`: recalled turns."""
    transcript_tokens: int
    """Tokens of the whole thread, live and archived."""
    input_tokens: int
    """Prompt tokens of this turn's calls, as the provider counted them."""
    cached_tokens: int
    """Of these, read from the provider's cache."""
    created_tokens: int
    """Of these, written to the provider's explicit cache, at its price; missing without `prompt_cache="explicit"`."""
    output_tokens: int
    """Answer tokens of this turn's calls, thinking included."""
    summary_input_tokens: int
    """Prompt tokens of the summariser."""
    summary_cached_tokens: int
    """Of the summariser's prompt tokens, those read from the provider's cache."""
    summary_created_tokens: int
    """Of these, written to the provider's explicit cache; missing without `prompt_cache="explicit"`."""
    summary_output_tokens: int
    """Answer tokens of the summariser."""
    summary_cost: float
    """Money for the summariser's calls, at its own model's list prices; missing where there were none, or its price
    is unknown or in another currency than that of the chat's model."""
    saved: float
    """Money saved against sending the whole transcript, by the catalogue's prices; missing where they are unknown."""
    cost: float
    """Money for this turn's calls of the chat's model, prompts and answers, as its cache was used; by list prices."""
    cost_otherwise: float
    """The same, had the model's other cache been used: implicit instead of explicit, with the same tokens found; or
    explicit instead of implicit, the rest of the prompts written. Missing where the model has one cache only."""
    currency: str
    """Of `saved` and the costs."""
    facts_kept: float
    """Share of the hard facts of folded turns that summary and ledger hold, 0 to 1."""
    prefix_kept: float
    """Share of the last view with which this view begins, 0 to 1."""
    errors: list[str]
    """Failures that were got around, as `where: ErrorClass`."""


class Record(TypedDict, total=False):
    """What memory keeps in the checkpoint: plain JSON, versioned. Times, keys, numbers, the summary."""

    v: int
    """`RECORD_VERSION` of the writer."""
    root: str
    """The thread's root key: who may go on with it."""
    user: str
    """Digest of the user id: tells a copied thread from somebody else's."""
    newest: str
    """Key of the newest remembered turn, where it could not be archived; else `head` is it."""
    asked: str
    """Id of its question: the same id in other words is an edit."""
    refused: list[str]
    """Ids of questions that the provider refused: live turns without an answer, which no view shows again."""
    parent: str
    """Key of the turn before the first live turn."""
    position: int
    """Place of the first live turn in the thread."""
    head: str
    """Key of the newest archived turn."""
    archived: int
    """How many turns of this lineage are archived."""
    archived_tokens: int
    """Tokens of the turns that are no longer live."""
    slots: dict[str, dict[str, Any]]
    """What each memory keeps, by its name."""
    stable: list[Any]
    """What the last view began with: how `prefix_kept` is known."""
    report: Report
    """Of the last turn."""


def newest_turn(record: Record) -> str | None:
    """Key of the newest remembered turn."""
    return record.get("newest") or record.get("head")


def live_messages(state: Sequence[Any], writes: Sequence[Any]) -> list[AnyMessage]:
    """Add written messages to the live ones, as `add_messages` does, but with ids that a replay makes again.

    A `DeltaChannel` stores what was written and replays it on each read: a message that was written without an id (a
    plain string, a tuple) must get the same one each time, so it is made from the message and from the one before.

    To remove a message that is not live, since its turn is archived by now, changes nothing. Results of tools stand in
    the order of their calls, whichever came first: not all savers give the writes of one step back in their order.
    """
    left = _messages(list(state))
    named: list[BaseMessage] = []
    written = list(chain.from_iterable(map(_messages, writes)))
    for message in written:
        if isinstance(message, RemoveMessage) and message.id == REMOVE_ALL_MESSAGES:
            left, named = [], []
            continue
        if message.id is not None:
            named.append(message)
            continue
        left, named = _added(left, named), []
        left.append(message.model_copy(update={"id": _stable_id(left[-1].id if left else "", message)}))
    messages = _added(left, named)
    return _in_order_of_calls(messages) if any(isinstance(one, ToolMessage) for one in written) else messages


def _in_order_of_calls(messages: Sequence[AnyMessage]) -> list[AnyMessage]:
    ordered: list[AnyMessage] = []
    for are_results, group in groupby(messages, lambda message: isinstance(message, ToolMessage)):
        run = list(group)
        if are_results:
            asking = ordered[-1] if ordered else None
            calls = [call["id"] for call in asking.tool_calls] if isinstance(asking, AIMessage) else []
            run.sort(key=lambda result: calls.index(known) if (known := _answers(result)) in calls else len(calls))
        ordered += run
    return ordered


def _answers(result: AnyMessage) -> str | None:
    return result.tool_call_id if isinstance(result, ToolMessage) else None


def _messages(write: Any) -> list[BaseMessage]:
    many = write if isinstance(write, list) else [write]
    are_messages = all(isinstance(one, BaseMessage) for one in many)  # nearly always, and told faster than converted
    return list(many) if are_messages else convert_to_messages(many)


def _added(left: list[Any], messages: list[BaseMessage]) -> list[Any]:
    if any(isinstance(message, RemoveMessage) for message in messages):
        messages = list(_without_idle_removals(left, messages))
    return add_messages(left, messages) if messages else left  # type: ignore[arg-type,return-value]


def _without_idle_removals(left: list[Any], messages: list[BaseMessage]) -> Iterator[BaseMessage]:
    known = {message.id for message in left}
    for message in messages:
        if not isinstance(message, RemoveMessage):
            known.add(message.id)
        if message.id in known:
            yield message


def _stable_id(previous: str | None, message: BaseMessage) -> str:
    hashed = blake2b((previous or "").encode(), digest_size=16)
    hashed.update(f"{message.type}\0{message.content}".encode("utf-8", "replace"))
    return hashed.hexdigest()


def newest(_state: Any, writes: Sequence[Any]) -> Any:
    """The last of the writes: a record replaces the one before it."""
    return writes[-1] if writes else _state


class MemoryState(TypedDict):
    """The state of a graph with memory; mix it into a state of your own.

    `messages` and `record` are `DeltaChannel`s: a turn writes what is new, not all live turns anew, so that what is
    stored for a turn stays the same however long the thread is. Threads that plain `MessagesState` wrote are read.
    """

    messages: Annotated[list[AnyMessage], DeltaChannel(live_messages)]
    """The live turns, oldest first."""
    record: NotRequired[Annotated[dict[str, Any], DeltaChannel(newest, dict, snapshot_frequency=20)]]
    """A `Record`."""
    selection: NotRequired[Annotated[dict[str, Any], UntrackedValue]]
    """What memories chose for the view of this turn: never stored."""
