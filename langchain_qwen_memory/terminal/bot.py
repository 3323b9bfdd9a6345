"""Opens what the terminal talks to: the model, the memories, one place for checkpoints and archive."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from langchain_qwen_memory.terminal.options import DEFAULT_MODEL, ChatOptions, MisuseError
from langchain_qwen_memory.terminal.say import Say

if TYPE_CHECKING:
    from langchain_core.messages import BaseMessage
    from langchain_core.runnables import RunnableConfig

    from langchain_qwen_memory.memory.base import Memory
    from langchain_qwen_memory.steps.thread import Thread
    from langchain_qwen_memory.steps.wiring import Wiring

_STAND_IN_SPEED = 0.02
"""Seconds between two chunks of the stand-in: as fast as a model writes, so that one sees it stream."""
_NO_KEY = "EMPTY"
"""What servers of one's own are sent where nobody gave a key; they do not look at it."""


@dataclass(frozen=True, kw_only=True)
class Bot:
    """One thread, open."""

    graph: Any
    """From `create_chat_graph`, with a saver."""
    wiring: Wiring
    """The graph's parts."""
    config: RunnableConfig
    """With the thread's id."""
    context: Any
    """With the user's id."""
    stack: AsyncExitStack = field(repr=False)
    """What is closed in the end."""
    options: ChatOptions = field(default_factory=ChatOptions)
    """What was asked for."""
    server: tuple[str, str] | None = field(default=None, repr=False)
    """URL and key of the stand-in, where that answers."""

    async def thread(self) -> Thread:
        """The thread as it stands.

        Raises:
            ThreadError: Another user began it.
        """
        from langchain_qwen_memory.steps.thread import owner_of

        state = await self.graph.aget_state(self.config)
        return self.wiring.read(state.values, owner_of(self.config, self.context))

    async def questions(self, recalled: Sequence[Mapping[str, Any]], head: str) -> dict[int, str]:
        """Number -> question of this thread's archived turns that a report names; other threads' are left out."""
        from langchain_core.messages import HumanMessage

        from langchain_qwen_memory.steps.thread import owner_of

        archive, owner = self.wiring.archive, owner_of(self.config, self.context)
        assert archive is not None
        asked: dict[int, str] = {}
        for position in (quote["position"] for quote in recalled if "thread" not in quote):
            for turn in await archive.apage(owner.user, owner.thread, head=head, before=position + 1, limit=1):
                if isinstance(turn.messages[0], HumanMessage):
                    asked[turn.position + 1] = words(turn.messages[0])
        return asked

    async def close(self) -> None:
        """Let go of the file, and of the stand-in if there is one."""
        await self.stack.aclose()


async def open_bot(options: ChatOptions, say: Say) -> Bot:
    """Open the thread that the options name.

    Args:
        options: Checked ones.
        say: The language of errors.

    Raises:
        MisuseError: The file is none of SQLite's, the thread is another user's, or an option of the model is refused.
    """
    async with AsyncExitStack() as stack:
        server = _stand_in(stack) if options.stands_in else None
        model = _model(options, server)
        saver, archive = await _opened(options, say, stack, server)
        bot = replace(_wire(options, model, saver, archive, stack), options=options, server=server)
        await _check_owner(bot, options, say)
        return Bot(**{**vars(bot), "stack": stack.pop_all()})
    raise AssertionError("an exit stack does not swallow errors here")


def _wire(options: ChatOptions, model: Any, saver: Any, archive: Any, stack: AsyncExitStack) -> Bot:
    from langchain_qwen_memory.graph import ChatContext, create_chat_graph
    from langchain_qwen_memory.nodes import wiring_of

    graph = create_chat_graph(
        model,
        memory=[_memory(name, options) for name in options.memories],
        system_prompt=options.system,
        archive=archive,
        checkpointer=saver,
        max_input_tokens=options.limit,
    )
    return Bot(
        graph=graph,
        wiring=wiring_of(graph),
        config={"configurable": {"thread_id": options.thread}},
        context=ChatContext(user_id=options.user),
        stack=stack,
    )


def with_model(bot: Bot, name: str) -> Bot:
    """The same thread with another model.

    Raises:
        MisuseError: An option does not go with it.
    """
    options = replace(bot.options, model=name)
    model = _model(options, bot.server)
    wired = _wire(options, model, bot.graph.checkpointer, bot.wiring.archive, bot.stack)
    return replace(wired, options=options, server=bot.server)


def _stand_in(stack: AsyncExitStack) -> tuple[str, str]:
    from langchain_qwen_memory.testing import LocalDashScope

    server = stack.enter_context(LocalDashScope(speed=_STAND_IN_SPEED))
    return server.base_url, server.api_key


def _model(options: ChatOptions, server: tuple[str, str] | None) -> Any:
    from langchain_qwen_memory.chat_models import ChatQwen

    given: dict[str, Any] = {"model": options.model or DEFAULT_MODEL, "enable_thinking": options.thinking}
    if server is not None:
        given |= dict(zip(("base_url", "api_key"), server, strict=True))
    else:
        key = _NO_KEY if options.is_own else options.api_key  # the service's key is meant for the service alone
        given |= {"base_url": options.base_url, "server": options.server, "api_key": key or _NO_KEY}
        given |= {"region": options.region, "workspace": options.workspace}
    try:
        return ChatQwen(**{name: value for name, value in given.items() if value is not None})
    except ValueError as error:
        raise MisuseError(first_words(error)) from error


def _memory(name: str, options: ChatOptions) -> Memory:
    from langchain_qwen_memory.memory.recall import RecallMemory
    from langchain_qwen_memory.memory.window import WindowMemory

    if name == "recall":
        return RecallMemory(scope="user" if options.user else "thread")
    trigger: Any = {} if options.trigger is None else {"trigger": ("tokens", options.trigger)}
    if name == "window":
        return WindowMemory(**trigger)
    from langchain_qwen_memory.memory.summary import SummaryBufferMemory

    return SummaryBufferMemory(**trigger)


async def _opened(
    options: ChatOptions, say: Say, stack: AsyncExitStack, server: tuple[str, str] | None
) -> tuple[Any, Any]:
    """The saver and the archive, in one place."""
    from langchain_qwen_memory.terminal.embedding import embeddings_of
    from langchain_qwen_memory.terminal.stores import open_archive, opening

    place = options.place
    embeddings = embeddings_of(options, say, server=server)
    archive = stack.enter_context(open_archive(place, say, embeddings=embeddings, create=True))
    with opening(place, say):
        saver: Any
        if place.is_postgres:
            from langgraph.checkpoint.postgres.aio import AsyncPostgresSaver

            saver = await stack.enter_async_context(AsyncPostgresSaver.from_conn_string(str(place.given)))
        else:
            from langgraph.checkpoint.sqlite.aio import AsyncSqliteSaver

            saver = await stack.enter_async_context(AsyncSqliteSaver.from_conn_string(str(place.path)))
        await saver.setup()
    return saver, archive


async def _check_owner(bot: Bot, options: ChatOptions, say: Say) -> None:
    """Refuse another user's thread before anything of it is shown."""
    from langchain_qwen_memory.errors import ThreadError

    try:
        await bot.thread()
    except ThreadError as error:
        raise MisuseError(say("not_yours", thread=options.thread)) from error


def words(message: BaseMessage | None) -> str:
    """What a message says, without thinking; empty for None."""
    from langchain_qwen_memory.memory.text import said

    return "" if message is None else said(message).strip()


def first_words(error: BaseException) -> str:
    """An error's text on one line; pydantic's without what it says around the text."""
    from pydantic import ValidationError

    text = str(error)
    if isinstance(error, ValidationError):
        text = "; ".join(": ".join([*map(str, one["loc"]), one["msg"]]) for one in error.errors())
    return " ".join(text.replace("Value error, ", "").split()) or type(error).__name__
