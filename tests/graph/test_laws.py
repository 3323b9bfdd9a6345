"""The laws of the house, for every memory and every combination, sync and async, whatever happens to a thread.

Hypothesis writes the story of a thread: questions, tool calls, failing models, an archive or a summariser that is down,
messages delivered twice, time travel. After each step the laws are checked on what the model saw and on what is kept.
"""

import asyncio
import re
import tempfile
from contextlib import ExitStack
from itertools import count as numbers

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage, ToolMessage
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.checkpoint.serde._msgpack import STRICT_MSGPACK_ENABLED
from langgraph.checkpoint.sqlite import SqliteSaver

from langchain_qwen_memory import (
    InMemoryArchive,
    RecallMemory,
    SqliteArchive,
    SummaryBufferMemory,
    WindowMemory,
    create_chat_graph,
    transcript,
)
from langchain_qwen_memory.tokens import count_tokens
from tests.scripted import ScriptedChatModel

LIMIT = 2_000
SECRET = "thinking that is nobody's business"
CONFIG = {"configurable": {"thread_id": "t1"}}
ALICE = {"user_id": "alice"}
MARK = re.compile(r"\bT\d+\b")

COMBINATIONS = {
    "window": lambda _: [WindowMemory(trigger=("turns", 4))],
    "tokens": lambda _: [WindowMemory(trigger=("tokens", 300))],
    "summary": lambda model: [SummaryBufferMemory(model=model, trigger=("tokens", 300), max_summary_tokens=200)],
    "recall": lambda _: [RecallMemory(k=3)],
    "window+recall": lambda _: [WindowMemory(trigger=("turns", 3)), RecallMemory(k=3, max_tokens=200)],
    "summary+recall": lambda model: [SummaryBufferMemory(model=model, trigger=("turns", 4)), RecallMemory(k=2)],
    "all": lambda model: [
        WindowMemory(trigger=("turns", 5)),
        SummaryBufferMemory(model=model, trigger=("tokens", 400), keep=("turns", 2)),
        RecallMemory(k=2),
    ],
}

WORDS = st.sampled_from(
    [
        "我对花生过敏",
        "花生酱能吃吗",
        "订单号 KM-3000 到哪了",
        "What about my order KM-3000?",
        "I live in Hangzhou",
        "好的",
        "",
    ]
)
STEPS = st.one_of(
    st.tuples(st.just("say"), WORDS),
    st.tuples(st.just("say"), WORDS),
    st.tuples(st.just("tools"), WORDS),
    st.tuples(st.just("fail"), WORDS),
    st.tuples(st.just("again"), st.just("")),
    st.tuples(st.just("rewind"), st.integers(1, 4)),
    st.tuples(st.just("archive"), st.booleans()),
    st.tuples(st.just("summariser"), st.booleans()),
)


class Moody:
    down = False

    def append(self, user, thread, turns):
        if self.down:
            raise OSError("disk full")
        return super().append(user, thread, turns)


class MoodyArchive(Moody, InMemoryArchive):
    pass


class MoodySqliteArchive(Moody, SqliteArchive):
    pass


def look_up(key: str) -> str:
    """Look a key up."""
    return f"found {key}"


def shown_in(messages):
    """Numbers of the turns that a prompt shows, word for word or as `T3-T9` in a summary."""
    text = " ".join(message.text for message in messages)
    spans = [range(int(first), int(last) + 1) for first, last in re.findall(r"\bT(\d+)-T(\d+)\b", text)]
    return {int(mark[1:]) for mark in MARK.findall(text)}.union(*spans)


class Story:
    """A thread, what has been said in it, and the laws."""

    def __init__(self, combination, colour, kept="archive"):
        self.colour = colour
        self.loop = asyncio.new_event_loop() if colour == "async" else None
        self.summariser_down = False
        self.folded = []
        self.model = ScriptedChatModel(fallback=self.answer)
        self.held = ExitStack()
        self.archive, saver = self.keepers(kept)
        memory = COMBINATIONS[combination](ScriptedChatModel(fallback=self.summarise))
        self.graph = create_chat_graph(
            self.model,
            memory=memory,
            tools=[look_up],
            system_prompt="Be kind.",
            archive=self.archive,
            checkpointer=saver,
            max_input_tokens=LIMIT,
        )
        self.said = []
        self.checkpoints = []
        self.numbers = numbers()
        self.at = CONFIG

    def keepers(self, kept):
        """Archive and checkpointer: in memory, in one file, or the checkpointer alone."""
        if kept != "file":
            return MoodyArchive() if kept == "archive" else None, InMemorySaver()
        folder = self.held.enter_context(tempfile.TemporaryDirectory(ignore_cleanup_errors=True))
        path = f"{folder}/chat.db"
        saver = self.held.enter_context(SqliteSaver.from_conn_string(path))
        return self.held.enter_context(MoodySqliteArchive(path)), saver

    def close(self):
        self.held.close()
        if self.loop:
            self.loop.close()

    def answer(self, messages):
        mark = MARK.findall(messages[-1].text if isinstance(messages[-1], HumanMessage) else self.said[-1])[-1:]
        return AIMessage(f"answer {' '.join(mark)}", additional_kwargs={"reasoning_content": SECRET})

    def summarise(self, messages):
        if self.summariser_down or not shown_in(messages):
            raise ConnectionError("no summariser")
        seen = shown_in(messages)
        return f"T{min(seen)}-T{max(seen)}" if seen == set(range(min(seen), max(seen) + 1)) else f"holes: {seen}"

    def run(self, messages):
        options = {"context": ALICE}
        if self.loop:
            state = self.loop.run_until_complete(self.graph.ainvoke({"messages": messages}, self.at, **options))
        else:
            state = self.graph.invoke({"messages": messages}, self.at, **options)
        self.at = CONFIG
        self.checkpoints.append((len(self.said), self.graph.get_state(CONFIG).config))
        return state

    def question(self, words):
        number = next(self.numbers)
        text = f"{words} T{number}" if words else ""
        self.said.append(text)
        return HumanMessage(text, id=f"m{number}")

    # -- what may happen

    def say(self, words):
        self.last = self.question(words)
        self.run([self.last])

    def tools(self, words):
        call = AIMessage("", tool_calls=[{"name": "look_up", "args": {"key": "k"}, "id": f"c{len(self.said)}"}])
        self.model.script.append(call)
        self.say(words)

    def fail(self, words):
        self.model.script.append(ValueError("no model"))
        with pytest.raises(ValueError, match="no model"):
            self.say(words)
        self.at = CONFIG

    def again(self, _):
        if self.checkpoints and len(self.said) == self.checkpoints[-1][0]:
            self.run([self.last])

    def rewind(self, steps):
        if len(self.checkpoints) > steps and self.at is CONFIG:
            del self.checkpoints[-steps:]
            number, self.at = self.checkpoints[-1]
            del self.said[number:]
            self.say("T")

    def archive_is(self, *, down):
        if self.archive is not None:
            self.archive.down = down

    def summariser_is(self, *, down):
        self.summariser_down = down

    def step(self, what, value):
        before = len(self.model.prompts)
        match what:
            case "archive":
                self.archive_is(down=value)
            case "summariser":
                self.summariser_is(down=value)
            case _:
                getattr(self, what)(value)
        for prompt in self.model.prompts[before:]:
            self.check_prompt(prompt)
        self.check_transcript()

    # -- the laws

    def check_prompt(self, prompt):
        kinds = [message.type for message in prompt]
        assert kinds.count("system") == 1
        assert isinstance(prompt[0], SystemMessage)
        question = next(message for message in reversed(prompt) if isinstance(message, HumanMessage))
        assert question.text.endswith(self.said[-1])
        assert count_tokens(prompt, model="qwen-plus", tools=[look_up]) <= LIMIT
        assert SECRET not in str([(m.content, m.additional_kwargs) for m in prompt[: prompt.index(question)]])
        self.check_pairs(prompt)
        shown = set(MARK.findall(" ".join(message.text for message in prompt)))
        mine = set(MARK.findall(" ".join(self.said)))
        assert shown <= mine, "a turn of a branch that was left is shown"

    def check_pairs(self, prompt):
        waiting = set()
        for message in prompt:
            if isinstance(message, ToolMessage):
                assert message.tool_call_id in waiting
                waiting.discard(message.tool_call_id)
                continue
            assert not waiting
            waiting = {call["id"] for call in getattr(message, "tool_calls", ())}
        assert not waiting

    def check_transcript(self):
        """Nothing is lost, nothing is twice, in order."""
        turns = transcript(self.graph, self.at, context=ALICE, limit=1000)
        assert [turn.messages[0].text for turn in turns] == self.said
        assert [turn.position for turn in turns] == list(range(len(self.said)))


@pytest.mark.parametrize("colour", ["sync", "async"])
@pytest.mark.parametrize("combination", COMBINATIONS)
@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
@given(steps=st.lists(STEPS, min_size=4, max_size=25))
def test_the_laws_hold_whatever_happens(combination, colour, steps):
    """One system message first, whole turns, the question word for word, within the limit, no thinking, clean forks."""
    tell(Story(combination, colour), steps)


@pytest.mark.parametrize(
    ("combination", "colour", "kept"),
    [
        ("window", "sync", "nothing"),
        ("window", "async", "nothing"),
        ("summary", "sync", "nothing"),
        ("summary", "async", "nothing"),
        ("all", "sync", "file"),
    ],
)
@settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck))
@given(steps=st.lists(STEPS, min_size=4, max_size=20))
def test_the_laws_hold_without_an_archive_and_in_one_file(combination, colour, kept, steps):
    """The same where turns stay in the state, and where checkpoints and archive share a SQLite file."""
    tell(Story(combination, colour, kept), steps)


def tell(story, steps):
    assert STRICT_MSGPACK_ENABLED, "set LANGGRAPH_STRICT_MSGPACK=true, as tests/conftest.py does"
    try:
        for what, value in steps:
            story.step(what, value)
    finally:
        story.close()


@pytest.mark.parametrize("colour", ["sync", "async"])
def test_every_folded_turn_is_in_the_summary(colour):
    """With a summariser that keeps what it reads, each turn is in the summary or in the window, always."""
    story = Story("summary", colour)
    try:
        for _ in range(30):
            story.say("订单号 KM-3000 到哪了")
            assert shown_in(story.model.prompts[-1]) == set(range(len(story.said)))
    finally:
        story.close()
