"""Memory in an agent that `create_agent` makes: what its model sees, what its state keeps, what reaches a stream."""

import asyncio
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, NotRequired

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from langchain.agents import AgentState, create_agent
from langchain.agents.middleware import (
    AgentMiddleware,
    HumanInTheLoopMiddleware,
    ModelFallbackMiddleware,
    ModelRetryMiddleware,
    dynamic_prompt,
    wrap_model_call,
)
from langchain.agents.structured_output import ToolStrategy
from langchain_core.exceptions import ContextOverflowError
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage, ToolMessage
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.checkpoint.sqlite import SqliteSaver
from langgraph.types import Command, Overwrite
from pydantic import BaseModel

from langchain_qwen_memory import (
    ChatContext,
    ChatQwen,
    InMemoryArchive,
    MemoryMiddleware,
    MemoryOptionError,
    RecallMemory,
    SqliteArchive,
    SummaryBufferMemory,
    ThreadError,
    ViewTooLargeError,
    WindowMemory,
    aread_reports,
    arun_turn,
    atranscript,
    forget,
    read_reports,
    run_turn,
    transcript,
)
from langchain_qwen_memory.testing import Fault, LocalDashScope, Reply
from langchain_qwen_memory.tokens import count_tokens
from tests.graph import test_laws as laws
from tests.scripted import ScriptedChatModel

CONFIG: Any = {"configurable": {"thread_id": "t1"}}
ALICE: Any = {"user_id": "alice"}
WINDOW = WindowMemory(trigger=("turns", 4))


def look_up(key: str) -> str:
    """Look a key up."""
    return f"found {key}"


def agent(memory=WINDOW, *, model=None, tools=(), around=(), archive=None, archive_folded=False, limit=None, **options):
    """An agent with memory, its middleware `around` before memory's; and the model it talks to."""
    model = model or ScriptedChatModel()
    middleware = MemoryMiddleware(memory, archive=archive, archive_folded=archive_folded, max_input_tokens=limit)
    options.setdefault("checkpointer", InMemorySaver())
    options.setdefault("context_schema", ChatContext)
    return model, create_agent(model, list(tools), middleware=[*around, middleware], **options)


def say(graph, *texts, config=CONFIG, context=ALICE):
    for text in texts:
        state = graph.invoke({"messages": text}, config, context=context)
    return state


def words(messages):
    return [message.text for message in messages]


def stored(graph, config=CONFIG):
    return words(graph.get_state(config).values["messages"])


def call(*keys):
    return AIMessage("", tool_calls=[{"name": "look_up", "args": {"key": key}, "id": f"c-{key}"} for key in keys])


def summariser(**options):
    """A model for summaries that says how many messages it was shown."""
    return ScriptedChatModel(fallback=lambda messages: f"summary of {len(messages) - 1} messages", **options)


def summary_memory(model=None, **options):
    options.setdefault("trigger", ("turns", 4))
    return SummaryBufferMemory(model=model or summariser(), **options)


# -- the view


def test_the_stored_history_stays_whole_and_the_view_is_windowed():
    """After many turns all messages are in the state, and the model saw the newest ones only."""
    model, graph = agent()
    state = say(graph, *[f"q{n}" for n in range(12)])
    assert words(state["messages"]) == [text for n in range(12) for text in (f"q{n}", f"answer to q{n}")]
    assert words(model.prompts[-1]) == ["q9", "answer to q9", "q10", "answer to q10", "q11"]


def test_the_window_leaps_so_that_a_prompt_begins_like_the_one_before_it():
    """Between leaps each prompt begins with the whole prompt before it."""
    model, graph = agent()
    say(graph, *[f"q{n}" for n in range(12)])
    shared = [new[: len(old)] == old for old, new in zip(model.prompts, model.prompts[1:], strict=False)]
    assert shared == [True, True, True, False, True, True, False, True, True, False, True]


def test_without_a_memory_that_lets_turns_leave_there_is_a_window():
    """A thread has no end, a prompt has: the newest 20 to 40 turns are seen."""
    model, graph = agent(None)
    say(graph, *[f"q{n}" for n in range(45)])
    assert len(model.prompts[39]) == 79
    assert words(model.prompts[40])[0] == "q21"


def test_there_is_one_system_message_with_the_summary_in_it():
    """The agent's own system prompt comes first, the summary of the folded turns after it, in one message."""
    model, graph = agent(summary_memory(), system_prompt="Be kind.")
    say(graph, *[f"q{n}" for n in range(7)])
    kinds = [message.type for message in model.prompts[-1]]
    assert kinds.count("system") == 1
    assert model.prompts[-1][0].text.startswith("Be kind.\n\n")
    assert "summary of" in model.prompts[-1][0].text


def test_a_system_message_before_each_question_is_sent_once():
    """An app that begins each input with its system text pays for it once a call."""
    model, graph = agent(system_prompt="You are a cook.")
    for number in range(9):
        graph.invoke(
            {"messages": [SystemMessage("You are a cook."), HumanMessage(f"q{number}")]}, CONFIG, context=ALICE
        )
    assert model.prompts[-1][0].content == "You are a cook."


def test_a_system_message_in_the_state_joins_the_one_in_front():
    """However far it stands back, and though the turns around it have left the view."""
    model, graph = agent(system_prompt="Be kind.")
    graph.invoke({"messages": [SystemMessage("Speak French."), HumanMessage("q")]}, CONFIG, context=ALICE)
    say(graph, *[f"q{n}" for n in range(9)])
    assert all(prompt[0].text == "Be kind.\n\nSpeak French." for prompt in model.prompts)
    assert [message.type for message in model.prompts[-1]].count("system") == 1


def test_recalled_turns_stand_in_the_newest_question_and_are_not_stored():
    """What was said long ago is quoted beside the question; the state keeps what the user wrote."""
    model, graph = agent([WINDOW, RecallMemory(k=1)], archive=InMemoryArchive())
    say(graph, "我对花生过敏", *[f"q{n}" for n in range(6)], "花生酱能吃吗")
    assert "我对花生过敏" in model.prompts[-1][-1].text
    assert model.prompts[-1][-1].text.endswith("花生酱能吃吗")
    assert stored(graph)[-2] == "花生酱能吃吗"


def test_recall_never_reaches_another_user():
    """Bob's question finds nothing of Alice's, whatever the thread."""
    model, graph = agent([WINDOW, RecallMemory(scope="user")], archive=InMemoryArchive())
    say(graph, "我对花生过敏")
    say(graph, "花生酱能吃吗", config={"configurable": {"thread_id": "t2"}}, context={"user_id": "bob"})
    assert words(model.prompts[-1]) == ["花生酱能吃吗"]
    say(graph, "花生酱能吃吗", config={"configurable": {"thread_id": "t3"}})
    assert "我对花生过敏" in model.prompts[-1][-1].text


def test_another_user_cannot_go_on_with_a_thread():
    """A thread belongs to the user who began it."""
    _, graph = agent(archive=InMemoryArchive())
    say(graph, "hi")
    with pytest.raises(ThreadError, match="another user id"):
        say(graph, "hi", context={"user_id": "bob"})


def test_the_user_id_may_be_a_key_or_an_attribute_of_the_context():
    """With or without a context schema."""
    archive = InMemoryArchive()
    _, graph = agent(archive=archive, context_schema=None)
    say(graph, "hi")
    say(graph, "hi", config={"configurable": {"thread_id": "t2"}}, context=ChatContext(user_id="alice"))
    assert archive.count("alice") == 2


def test_thinking_of_earlier_turns_is_not_sent():
    """Reasoning is stored with its answer and never sent again."""
    model = ScriptedChatModel(
        script=[AIMessage("4", additional_kwargs={"reasoning_content": "2 and 2"}), AIMessage("<think>hm</think>6")]
    )
    _, graph = agent(model=model)
    say(graph, "2+2", "3+3", "4+4")
    assert "2 and 2" not in str(model.prompts[-1])
    assert "hm" not in str(model.prompts[-1])


def test_tools_and_system_text_are_counted():
    """The prompt with the schemas of all tools is within the limit, and says so in the report."""

    def lengthy(key: str) -> str:
        return key

    lengthy.__doc__ = "Look a key up. " + "This tool has a very long description. " * 40
    model, graph = agent(tools=[lengthy], system_prompt="Be kind. " * 50, limit=900)
    for n in range(12):
        say(graph, f"question {n} " + "word " * 30)
        assert count_tokens(model.prompts[-1], model="qwen-plus", tools=[lengthy]) <= 900
    report = read_reports(graph, CONFIG)[-1]
    assert 400 < report["system_tokens"] < report["view_tokens"] <= 900
    assert report["kept"] < 4


def test_the_schema_of_a_structured_answer_is_counted():
    """It is in the prompt like a tool's."""

    class Verdict(BaseModel):
        """Whether a dish is safe."""

        safe: bool
        reason: str

    verdict = {"name": "Verdict", "args": {"safe": False, "reason": "peanuts"}, "id": "v"}
    model = ScriptedChatModel(fallback=lambda _: AIMessage("", tool_calls=[verdict]))
    _, graph = agent(model=model, response_format=ToolStrategy(Verdict))
    state = say(graph, "花生酱能吃吗", "那沙爹呢")
    assert state["structured_response"] == Verdict(safe=False, reason="peanuts")
    assert [message.type for message in model.prompts[-1]] == ["human", "ai", "tool", "human"]
    assert [report["system_tokens"] > 50 for report in read_reports(graph, CONFIG)] == [True, True]


def test_a_question_larger_than_the_model_is_one_clear_error():
    """Nothing is sent."""
    model, graph = agent(limit=200)
    with pytest.raises(ViewTooLargeError, match="Nothing was sent"):
        say(graph, "word " * 400)
    assert model.prompts == []


# -- tools


def test_a_tool_loop_chooses_once():
    """The archive is searched once a turn, and each prompt of the loop begins with the one before."""

    class Counted(InMemoryArchive):
        searches = 0

        def search(self, query, **options):
            self.searches += 1
            return super().search(query, **options)

    archive = Counted()
    model, graph = agent([WINDOW, RecallMemory()], tools=[look_up], archive=archive)
    say(graph, *[f"peanut {n}" for n in range(6)])
    searched, prompted = archive.searches, len(model.prompts)
    model.script += [call("a"), call("b", "c")]
    say(graph, "peanut and keys")
    first, second, third = model.prompts[prompted:]
    assert archive.searches == searched + 1
    assert second[: len(first)] == first
    assert third[: len(second)] == second
    assert words(third)[-2:] == ["found b", "found c"]


def test_a_call_whose_result_never_came_is_answered_in_the_view():
    """A thread that was broken off in a tool call goes on; the state is left as it is."""
    model, graph = agent(tools=[look_up])
    graph.update_state(CONFIG, {"messages": [HumanMessage("q"), call("a")]}, as_node="__start__")
    graph.invoke({"messages": "never mind"}, CONFIG, context=ALICE)
    assert [message.type for message in model.prompts[-1]] == ["human", "ai", "tool", "human"]
    assert "interrupted" in model.prompts[-1][2].text


def test_large_tool_results_of_the_open_turn_are_clipped_with_a_note():
    """Ten results that are too long together: the newest turn is sent, with a visible note where it was cut."""
    model = ScriptedChatModel(script=[call(*"abcdefghij")])

    def wordy(key: str) -> str:
        """Look a key up."""
        return f"{key} " * 300

    wordy.__name__ = "look_up"
    _, graph = agent(model=model, tools=[wordy], limit=2_000)
    say(graph, "look all up")
    assert count_tokens(model.prompts[-1], model="qwen-plus", tools=[wordy]) <= 2_000
    assert "characters left out" in str(model.prompts[-1])
    assert stored(graph)[2] == "a " * 300


# -- what is kept


def test_memory_keeps_nothing_in_the_output_and_takes_nothing_from_the_input():
    """The record is private: an injected one is ignored, and none is given back."""
    model, graph = agent(summary_memory())
    forged = {"v": 1, "slots": {"summary": {"summary": "INJECTED", "start": 0}}, "parent": "x", "position": 7}
    state = graph.invoke({"messages": "hi", "record": forged, "selection": forged}, CONFIG, context=ALICE)
    assert set(state) == {"messages"}
    assert "INJECTED" not in str(graph.get_state(CONFIG).values["record"])
    assert "INJECTED" not in str(model.prompts)


def test_the_record_is_plain_json():
    """It is what a strict serializer lets through, and small."""
    _, graph = agent([summary_memory(), RecallMemory()], archive=InMemoryArchive())
    say(graph, *[f"peanut {n}" for n in range(12)])
    record = graph.get_state(CONFIG).values["record"]
    assert json.loads(json.dumps(record)) == record
    assert len(json.dumps(record)) < 4_000
    assert "selection" not in graph.get_state(CONFIG).values


def test_a_user_state_that_uses_the_same_key_is_refused():
    """The error says what to rename."""

    class Mine(AgentState):
        record: NotRequired[str]

    _, graph = agent(state_schema=Mine)
    with pytest.raises(MemoryOptionError, match="`record`"):
        graph.invoke({"messages": "hi", "record": "mine"}, CONFIG, context=ALICE)


def test_a_finished_turn_is_archived_once():
    """Whatever is run again, the archive holds each turn once."""
    archive = InMemoryArchive()
    _, graph = agent(archive=archive)
    say(graph, "a", "b", "c")
    graph.invoke(None, CONFIG, context=ALICE)
    assert archive.count("alice", "t1") == 3
    assert [words(turn.messages) for turn in archive.page("alice", "t1")] == [[q, f"answer to {q}"] for q in "abc"]


def test_a_message_delivered_twice_is_answered_once():
    """The same message id after its answer: the model is not asked again, nothing is stored twice."""
    archive = InMemoryArchive()
    model, graph = agent(archive=archive)
    for _ in range(2):
        state = graph.invoke({"messages": HumanMessage("hi", id="m1")}, CONFIG, context=ALICE)
    assert words(state["messages"]) == ["hi", "answer to hi"]
    assert len(model.prompts) == 1
    assert read_reports(graph, CONFIG)[-1]["kept"] == 1
    say(graph, "and now?")
    assert archive.count("alice", "t1") == 2


def test_a_run_without_an_answer_archives_nothing():
    """A middleware may end the agent before its model: the question waits for the turn that is answered."""

    class Closed(AgentMiddleware):
        from langchain.agents.middleware import hook_config

        @hook_config(can_jump_to=["end"])
        def before_agent(self, state, runtime):
            return {"jump_to": "end"} if state["messages"][-1].text == "closed" else None

    archive = InMemoryArchive()
    _, graph = agent(archive=archive, around=[Closed()])
    say(graph, "closed")
    assert archive.count("alice", "t1") == 0
    say(graph, "open")
    assert [words(turn.messages) for turn in archive.page("alice", "t1")] == [["closed"], ["open", "answer to open"]]


def test_the_archive_may_be_down():
    """The user is answered, the report says so, and the next turn archives both."""

    class Moody(InMemoryArchive):
        down = True

        def append(self, user, thread, turns):
            if self.down:
                raise OSError("disk full")
            return super().append(user, thread, turns)

    archive = Moody()
    _, graph = agent(archive=archive, archive_folded=True)
    say(graph, *[f"q{n}" for n in range(6)])
    assert read_reports(graph, CONFIG)[-1]["errors"] == ["archive: OSError"]
    assert len(stored(graph)) == 12
    archive.down = False
    say(graph, "q6")
    assert archive.count("alice", "t1") == 7
    assert len(stored(graph)) < 10


def test_an_archive_that_comes_later_gets_the_whole_thread():
    """An agent that ran without one, or without memory at all, is given an archive: all its turns go in."""
    saver, archive = InMemorySaver(), InMemoryArchive()
    model, plain = agent(checkpointer=saver)
    say(plain, *[f"q{n}" for n in range(12)])
    _, graph = agent(model=model, checkpointer=saver, archive=archive)
    say(graph, "q12")
    assert archive.count("alice", "t1") == 13
    assert words(model.prompts[-1])[0] == "q9"


def test_a_thread_of_a_plain_agent_is_taken_over():
    """Thousands of messages that were there before memory: one turn archives them, and the view is a window."""
    model, archive = ScriptedChatModel(), InMemoryArchive()
    saver = InMemorySaver()
    plain = create_agent(model, [], checkpointer=saver)
    old = [message for n in range(2_500) for message in (HumanMessage(f"q{n}"), AIMessage(f"a{n}"))]
    plain.update_state(CONFIG, {"messages": old}, as_node="__start__")
    _, graph = agent(model=model, checkpointer=saver, archive=archive)
    say(graph, "new", "newer")
    assert archive.count("alice", "t1") == 2_502
    assert words(model.prompts[-1]) == ["q2499", "a2499", "new", "answer to new", "newer"]
    assert len(stored(graph)) == 5_004


def test_folded_turns_may_leave_the_state():
    """With archive_folded the state stays small, and the transcript is whole all the same."""
    archive = InMemoryArchive()
    model, graph = agent(archive=archive, archive_folded=True)
    say(graph, *[f"q{n}" for n in range(30)])
    assert len(stored(graph)) <= 8
    turns = transcript(graph, CONFIG, context=ALICE)
    assert [words(turn.messages) for turn in turns] == [[f"q{n}", f"answer to q{n}"] for n in range(30)]
    assert [turn.live for turn in turns] == [False] * 27 + [True] * 3
    assert words(model.prompts[-1])[-1] == "q29"


def test_moving_turns_out_may_begin_and_end_in_the_middle_of_a_thread():
    """The option may be changed while threads go on; nothing is lost or twice."""
    saver, archive, model = InMemorySaver(), InMemoryArchive(), ScriptedChatModel()
    for round_, folded in enumerate([False, True, False, True]):
        _, graph = agent(model=model, checkpointer=saver, archive=archive, archive_folded=folded)
        say(graph, *[f"q{round_}{n}" for n in range(7)])
        said = [f"q{old}{n}" for old in range(round_ + 1) for n in range(7)]
        turns = transcript(graph, CONFIG, context=ALICE)
        assert [turn.messages[0].text for turn in turns] == said
        assert [turn.position for turn in turns] == list(range(len(said)))
    assert archive.count("alice", "t1") == 28


def test_moving_turns_out_needs_somewhere_to_move_them():
    """Without an archive nothing is dropped."""
    with pytest.raises(MemoryOptionError, match="archive_folded=True"):
        MemoryMiddleware(archive_folded=True)


def test_a_whole_agent_is_one_file(tmp_path):
    """Checkpoints and archive share a SQLite file, and a new agent finds the thread in it."""
    for n in range(2):
        with SqliteSaver.from_conn_string(str(tmp_path / "chat.db")) as saver:
            _, graph = agent(archive=tmp_path / "chat.db", archive_folded=True, checkpointer=saver)
            say(graph, *[f"q{n}{m}" for m in range(6)])
            said = [turn.messages[0].text for turn in transcript(graph, CONFIG, context=ALICE)]
    assert said == [f"q{n}{m}" for n in range(2) for m in range(6)]


def test_it_works_under_a_strict_serializer(tmp_path):
    """With LANGGRAPH_STRICT_MSGPACK=true a thread is written, read by another process, and goes on."""
    program = (
        "import sys\n"
        "from langgraph.checkpoint.sqlite import SqliteSaver\n"
        "from tests.graph.test_middleware import *\n"
        "with SqliteSaver.from_conn_string(sys.argv[1]) as saver:\n"
        "    model, graph = agent([summary_memory(), RecallMemory()], archive=sys.argv[1], checkpointer=saver)\n"
        "    say(graph, *[f'peanut {n}' for n in range(6)])\n"
        "    print(len(stored(graph)), 'summary of' in model.prompts[-1][0].text)\n"
    )
    said = []
    for _ in range(2):
        done = subprocess.run(
            [sys.executable, "-W", "error", "-c", program, str(tmp_path / "chat.db")],
            env={**os.environ, "LANGGRAPH_STRICT_MSGPACK": "true"},
            cwd=Path(__file__).parents[2],
            capture_output=True,
            text=True,
            check=True,
        )
        said.append(done.stdout.strip())
        assert "blocked" not in done.stderr.lower()
    assert said == ["12 True", "24 True"]


# -- summary


def test_a_summary_is_made_by_the_agents_own_model_on_its_own_prefix():
    """The summariser's prompt begins like the chat's, so that the provider's cache is hit; no tool is called."""
    model = ScriptedChatModel(enable_thinking=True)
    _, graph = agent(SummaryBufferMemory(trigger=("turns", 4)), model=model, tools=[look_up], system_prompt="Be kind.")
    say(graph, *[f"question number {n}" for n in range(5)])
    chat, summary = model.prompts[-2:]
    assert len(summary) > 4
    assert summary[:-1] == chat[: len(summary) - 1]
    assert model.asked[-1]["enable_thinking"] is False
    assert model.asked[-1]["tool_choice"] == "none"
    assert [tool.name for tool in model.asked[-1]["tools"]] == ["look_up"]


def test_a_summariser_that_is_down_costs_no_answer():
    """The turns stay in view, the report says so."""
    broken = ScriptedChatModel(fallback=lambda _: ConnectionError("down"))
    model, graph = agent(summary_memory(broken))
    say(graph, *[f"q{n}" for n in range(6)])
    assert words(model.prompts[-1])[0] == "q0"
    assert "summary: ConnectionError" in [error for report in read_reports(graph, CONFIG) for error in report["errors"]]


def test_a_summary_made_before_a_failing_call_is_not_made_again():
    """The view did not fit, was folded, and the model failed: the resumed run finds the summary in the checkpoint."""
    folding, saver, waited = summariser(), InMemorySaver(), 0
    options = {"memory": SummaryBufferMemory(model=folding, trigger=("fraction", 0.7)), "limit": 600}
    for n in range(9):
        _, graph = agent(model=ScriptedChatModel(script=[ValueError("no model")]), checkpointer=saver, **options)
        before = len(folding.prompts)
        with pytest.raises(ValueError, match="no model"):
            say(graph, f"question {n} " + "word " * (240 if n % 3 == 2 else 40))
        waited += len(folding.prompts) - before
        model, graph = agent(model=ScriptedChatModel(fallback=lambda _: "fine"), checkpointer=saver, **options)
        graph.invoke(None, CONFIG, context=ALICE)
    asked = [str(words(prompt)) for prompt in folding.prompts]
    assert waited > 0
    assert len(set(asked)) == len(asked)
    assert "summary of" in model.prompts[-1][0].text


def test_a_retry_neither_searches_nor_folds_again():
    """ModelRetryMiddleware before memory: the second try gets the same view."""

    class Counted(InMemoryArchive):
        searches = 0

        def search(self, query, **options):
            self.searches += 1
            return super().search(query, **options)

    archive = Counted()
    retry = ModelRetryMiddleware(max_retries=2, initial_delay=0.0, jitter=False)
    model, graph = agent([WINDOW, RecallMemory()], archive=archive, around=[retry])
    model.script = [ConnectionError("reset"), ConnectionError("reset")]
    say(graph, "my order?")
    assert archive.searches == 1
    assert model.prompts[0] == model.prompts[1] == model.prompts[2]
    assert stored(graph) == ["my order?", "answer to my order?"]


def test_a_summary_may_be_prepared_in_the_background():
    """With fold="background" the summary is made while nobody waits, and found at the next turns."""
    import time

    archive, folding = InMemoryArchive(), summariser()
    model, graph = agent(summary_memory(folding, fold="background"), archive=archive)
    for n in range(8):
        say(graph, f"question number {n}")
        time.sleep(0.05)
    assert folding.prompts
    assert "summary of" in model.prompts[-1][0].text


# -- overflow


def overflowing(errors):
    """An agent with a long thread, whose model is about to find so many views too long."""
    model, graph = agent(limit=1_000)
    say(graph, *[f"question {n} " + "word " * 60 for n in range(3)])
    model.prompts.clear()
    model.script = [ContextOverflowError("too long")] * errors
    return model, graph


def test_an_overflow_in_spite_of_the_count_is_tried_once_more_with_less():
    """The provider is right: a tighter view follows, and the report names the error."""
    model, graph = overflowing(1)
    say(graph, "and now?")
    first, second = model.prompts
    assert len(second) < len(first)
    assert second[-1] == first[-1]
    assert "model: ContextOverflowError" in read_reports(graph, CONFIG)[-1]["errors"]


def test_a_second_overflow_is_the_users_to_see():
    """One retry, never a loop."""
    model, graph = overflowing(2)
    with pytest.raises(ContextOverflowError):
        say(graph, "and now?")
    assert len(model.prompts) == 2


def test_where_nothing_can_be_left_out_an_overflow_is_not_tried_again():
    """A lone question that the provider finds too long."""
    model, graph = agent()
    model.script = [ContextOverflowError("too long")]
    with pytest.raises(ContextOverflowError):
        say(graph, "hi")
    assert len(model.prompts) == 1


# -- forks


def test_time_travel_takes_the_record_along():
    """From an old checkpoint the thread goes on with what memory knew then; the other branch is not recalled."""
    archive = InMemoryArchive()
    model, graph = agent([WINDOW, RecallMemory()], archive=archive)
    say(graph, "apple pie")
    then = graph.get_state(CONFIG).config
    say(graph, "my password is peanut", *[f"q{n}" for n in range(6)])
    say(graph, "what is my password, peanut?", config=then)
    assert words(model.prompts[-1]) == ["apple pie", "answer to apple pie", "what is my password, peanut?"]
    said = [turn.messages[0].text for turn in transcript(graph, CONFIG, context=ALICE)]
    assert said == ["apple pie", "what is my password, peanut?"]
    assert words(archive.page("alice", "t1")[-1].messages)[0] == "what is my password, peanut?"


def test_an_edit_in_the_window_is_a_fork():
    """A changed message gives its turn another key: the archive has both, the thread goes on with the new one."""
    archive = InMemoryArchive()
    model, graph = agent(archive=archive)
    say(graph, "a", "b", "c")
    messages = graph.get_state(CONFIG).values["messages"]
    graph.update_state(CONFIG, {"messages": [HumanMessage("B", id=messages[2].id)]})
    say(graph, "d")
    assert words(model.prompts[-1]) == ["a", "answer to a", "B", "answer to b", "c", "answer to c", "d"]
    assert [turn.messages[0].text for turn in archive.page("alice", "t1")] == ["a", "B", "c", "d"]


def test_history_that_something_removed_is_read_anew(caplog):
    """Memory goes on from what is left, and says so in the log."""
    model, graph = agent(archive=InMemoryArchive())
    say(graph, *[f"q{n}" for n in range(9)])
    left = graph.get_state(CONFIG).values["messages"][-1:]
    graph.update_state(CONFIG, {"messages": Overwrite(left)})
    say(graph, "new")
    assert words(model.prompts[-1]) == ["answer to q8", "new"]
    assert "read anew" in caplog.text


# -- crashes


def test_an_answer_whose_run_died_is_archived_by_the_next_turn():
    """Killed between the answer and its end: the next turn archives both, once."""
    archive = InMemoryArchive()
    _, graph = agent(archive=archive)
    say(graph, "a")
    _, stopped = agent(archive=archive, checkpointer=graph.checkpointer, interrupt_after=["model"])
    say(stopped, "b")
    assert archive.count("alice", "t1") == 1
    say(graph, "c")
    assert [turn.messages[0].text for turn in archive.page("alice", "t1")] == ["a", "b", "c"]


def test_an_interrupted_end_is_finished_by_another_process():
    """What the model was is not known there: the turn is archived, and folded by the next one."""
    archive, folding = InMemoryArchive(), summariser()
    model, stopped = agent(summary_memory(folding), archive=archive, interrupt_after=["model"])
    say(stopped, "q0")
    _, graph = agent(summary_memory(folding), archive=archive, model=model, checkpointer=stopped.checkpointer)
    for n in range(1, 6):
        run_turn(stopped, f"q{n}", CONFIG, context=ALICE)
    run_turn(graph, "q6", CONFIG, context=ALICE)
    assert [turn.messages[0].text for turn in archive.page("alice", "t1")] == [f"q{n}" for n in range(7)]
    assert stored(graph) == [text for n in range(7) for text in (f"q{n}", f"answer to q{n}")]
    say(graph, "q7")
    assert "summary of" in model.prompts[-1][0].text


# -- streams


def test_only_the_answer_reaches_the_message_streams():
    """Neither the summariser's tokens nor recalled turns nor bookkeeping are streamed as messages."""
    folding = ScriptedChatModel(fallback=lambda _: "SECRET SUMMARY")
    memory = [SummaryBufferMemory(model=folding, trigger=("turns", 2)), RecallMemory()]
    _, graph = agent(memory, archive=InMemoryArchive())
    for n in range(6):
        chunks = list(graph.stream({"messages": f"peanut {n}"}, CONFIG, context=ALICE, stream_mode="messages"))
        assert {meta["langgraph_node"] for _, meta in chunks} == {"model"}
        text = "".join(chunk.text for chunk, _ in chunks)
        assert text.endswith(f"peanut {n}")
        assert "SECRET" not in text
    assert folding.prompts


@pytest.mark.filterwarnings("ignore:The v3 streaming protocol")
def test_only_the_answer_reaches_the_newer_streams():
    """The same with version="v2" and with v3's run.messages."""
    folding = ScriptedChatModel(fallback=lambda _: "SECRET SUMMARY")
    memory = [SummaryBufferMemory(model=folding, trigger=("turns", 2)), RecallMemory()]
    model, graph = agent(memory, archive=InMemoryArchive(), model=ScriptedChatModel(fallback=lambda _: "fine"))
    for n in range(6):
        parts = graph.stream({"messages": f"peanut {n}"}, CONFIG, context=ALICE, stream_mode="messages", version="v2")
        assert "".join(part["data"][0].text for part in parts) == "fine"
    for n in range(6):
        run = graph.stream_events({"messages": f"walnut {n}"}, CONFIG, context=ALICE, version="v3")
        assert [str(message.text) for message in run.messages] == ["fine"]
    assert len(folding.prompts) > 4
    assert "SECRET" in model.prompts[-1][0].text


def test_moving_turns_out_streams_nothing():
    """No RemoveMessage and no old turn reaches the stream when the state shrinks."""
    _, graph = agent(archive=InMemoryArchive(), archive_folded=True)
    seen = []
    for n in range(9):
        stream = graph.stream({"messages": f"q{n}"}, CONFIG, context=ALICE, stream_mode="messages")
        seen.append("".join(chunk.text for chunk, _ in stream))
    assert seen == [f"answer to q{n}" for n in range(9)]
    assert len(stored(graph)) <= 8


def test_the_report_is_a_custom_stream_event():
    """As in a chat graph: numbers and ids."""
    _, graph = agent()
    events = list(graph.stream({"messages": "hi"}, CONFIG, context=ALICE, stream_mode="custom"))
    assert [event["memory_report"]["turn"] for event in events] == [0]


# -- threads


def test_reports_transcript_and_forgetting_work_with_an_agent():
    """`read_reports`, `transcript` and `forget` take the agent as they take a chat graph."""
    archive = InMemoryArchive()
    _, graph = agent([WINDOW, RecallMemory()], archive=archive)
    say(graph, *[f"peanut {n}" for n in range(9)])
    assert [report["turn"] for report in read_reports(graph, CONFIG, limit=3)] == [6, 7, 8]
    assert read_reports(graph, CONFIG)[-1]["recalled"]
    page = transcript(graph, CONFIG, context=ALICE, before=7, limit=3)
    assert [turn.messages[0].text for turn in page] == ["peanut 4", "peanut 5", "peanut 6"]
    assert forget(graph, user="alice", thread="t1") == 9
    assert graph.get_state(CONFIG).values == {}
    assert archive.count("alice") == 0


async def test_async_is_the_same():
    """The same conversation, sync and async: the same prompts, record and transcript."""
    seen = []
    for colour in ("sync", "async"):
        memory = [summary_memory(), RecallMemory(k=2)]
        model, graph = agent(memory, archive=InMemoryArchive(), archive_folded=True, tools=[look_up])
        for n in range(9):
            if n == 6:
                model.script = [call("a"), ContextOverflowError("too long")]
            if colour == "sync":
                await asyncio.to_thread(say, graph, f"peanut {n}")
            else:
                await arun_turn(graph, f"peanut {n}", CONFIG, context=ALICE)
        turns = await atranscript(graph, CONFIG, context=ALICE)
        reports = [{**report, "at": 0} for report in await aread_reports(graph, CONFIG)]
        said = [words(turn.messages) for turn in turns]
        seen.append(([words(prompt)[:1] + words(prompt)[-1:] for prompt in model.prompts], said, len(reports)))
    assert seen[0][1:] == seen[1][1:]
    assert len(seen[0][0]) == len(seen[1][0]) == 11


# -- together with others


def test_a_person_in_the_loop_may_pause_a_turn():
    """The turn that a person approves later is one turn: archived once, searched for again after the pause."""
    archive = InMemoryArchive()
    pause = HumanInTheLoopMiddleware(interrupt_on={"look_up": True})
    model, graph = agent([WINDOW, RecallMemory()], archive=archive, tools=[look_up], around=[pause])
    say(graph, "hi")
    model.script = [call("a")]
    assert "__interrupt__" in say(graph, "look a up")
    assert archive.count("alice", "t1") == 1
    state = graph.invoke(Command(resume={"decisions": [{"type": "approve"}]}), CONFIG, context=ALICE)
    assert words(state["messages"])[-2:] == ["found a", "answer to found a"]
    assert archive.count("alice", "t1") == 2
    assert [report["turn"] for report in read_reports(graph, CONFIG)] == [0, 1]


def test_a_model_chosen_for_each_call_is_known():
    """The limits of the model that answers hold, whichever it is."""
    small = ScriptedChatModel(model_name="qwen-small-unknown", profile={"max_input_tokens": 3_000})

    @wrap_model_call
    def choose(request, handler):
        return handler(request.override(model=small) if "small" in request.messages[-1].text else request)

    _, graph = agent(around=[choose])
    say(graph, "hi", "the small one")
    large, little = read_reports(graph, CONFIG)
    assert little["limit"] < 3_000 < large["limit"]
    assert words(small.prompts[-1]) == ["hi", "answer to hi", "the small one"]


def test_a_fallback_model_gets_a_view_of_its_own():
    """ModelFallbackMiddleware before memory: the second model's limits hold for the second try."""
    second = ScriptedChatModel(model_name="other", profile={"max_input_tokens": 3_000})
    model, graph = agent(around=[ModelFallbackMiddleware(second)])
    model.script = [ConnectionError("down")]
    say(graph, "hi")
    assert words(second.prompts[-1]) == ["hi"]
    assert read_reports(graph, CONFIG)[-1]["limit"] < 3_000


def test_what_the_middleware_before_adds_is_kept():
    """A dynamic prompt and a message that another middleware put in are in the view, with the summary."""

    @dynamic_prompt
    def prompt(request):
        return f"Turn {len(request.messages)}."

    @wrap_model_call
    def remind(request, handler):
        return handler(request.override(messages=[*request.messages, HumanMessage("(be brief)")]))

    model, graph = agent(summary_memory(), around=[prompt, remind])
    say(graph, *[f"q{n}" for n in range(7)])
    assert model.prompts[-1][0].text.startswith("Turn 13.\n\n")
    assert "summary of" in model.prompts[-1][0].text
    assert words(model.prompts[-1])[-2:] == ["q6", "(be brief)"]
    assert "(be brief)" not in stored(graph)


def test_what_the_middleware_before_cleared_stays_cleared():
    """Tool results that another middleware blanked are not brought back; the state and the archive have them."""

    @wrap_model_call
    def blank(request, handler):
        cleared = [
            message.model_copy(update={"content": "[cleared]"}) if isinstance(message, ToolMessage) else message
            for message in request.messages
        ]
        return handler(request.override(messages=cleared))

    archive = InMemoryArchive()
    model, graph = agent(archive=archive, tools=[look_up], around=[blank])
    model.script = [call("a")]
    say(graph, "look a up", "and now?")
    assert "[cleared]" in words(model.prompts[-1])
    assert "found a" not in words(model.prompts[-1])
    assert "found a" in words(archive.page("alice", "t1")[0].messages)


def test_one_middleware_may_serve_two_agents():
    """It keeps nothing of a thread: two agents with other models and prompts share it and their archive."""
    archive = InMemoryArchive()
    shared = MemoryMiddleware([WINDOW, RecallMemory(scope="user")], archive=archive)
    models = [ScriptedChatModel(), ScriptedChatModel()]
    for number, model in enumerate(models):
        graph = create_agent(model, system_prompt=f"Agent {number}.", middleware=[shared], checkpointer=InMemorySaver())
        say(graph, "peanut", "peanut butter", config={"configurable": {"thread_id": f"t{number}"}})
    assert [prompt[0].text for model in models for prompt in model.prompts] == ["Agent 0."] * 2 + ["Agent 1."] * 2
    assert "peanut" in models[1].prompts[0][-1].text
    assert archive.count("alice") == 4


def test_without_a_checkpointer_a_run_is_a_thread():
    """Messages given at once are windowed; nothing has to be kept."""
    model, graph = agent(checkpointer=None)
    graph.invoke({"messages": [*map(HumanMessage, "abcdefgh")]})
    assert words(model.prompts[-1]) == ["g", "h"]


def test_without_langchain_the_error_says_what_to_install():
    """create_agent is not in langgraph; the extra brings it."""
    program = "import sys; sys.modules['langchain'] = None; from langchain_qwen_memory import MemoryMiddleware"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert 'pip install "langchain-qwen-memory[agent]"' in done.stderr


# -- what a long thread costs


def test_turns_before_the_window_are_not_read_again(monkeypatch):
    """Turn 300 hashes and counts what turn 30 does."""
    from langchain_qwen_memory.memory import turns

    read = []
    original = turns.part_turns
    monkeypatch.setattr(turns, "part_turns", lambda messages: read.append(original(messages)) or read[-1])
    _, graph = agent()
    say(graph, *[f"q{n}" for n in range(60)])
    assert max(len(groups) for groups in read) <= 6
    assert len(stored(graph)) == 120


# -- the laws


class AgentStory(laws.Story):
    """The story of a thread, told to an agent."""

    def __init__(self, combination, colour, *, archive_folded):
        super().__init__(combination, colour)
        memory = laws.COMBINATIONS[combination](ScriptedChatModel(fallback=self.summarise))
        _, self.graph = agent(
            memory,
            model=self.model,
            tools=[laws.look_up],
            archive=self.archive,
            archive_folded=archive_folded,
            limit=laws.LIMIT,
            system_prompt="Be kind.",
        )


@pytest.mark.parametrize("archive_folded", [False, True])
@pytest.mark.parametrize("colour", ["sync", "async"])
@pytest.mark.parametrize("combination", ["window", "summary", "all"])
@settings(max_examples=6, deadline=None, suppress_health_check=list(HealthCheck))
@given(steps=st.lists(laws.STEPS, min_size=4, max_size=20))
def test_the_laws_hold_in_an_agent(combination, colour, archive_folded, steps):
    """Nothing lost, nothing twice, whole turns, within the limit, clean forks: the contract of the chat graph."""
    story = AgentStory(combination, colour, archive_folded=archive_folded)
    try:
        for what, value in steps:
            story.step(what, value)
    finally:
        story.close()


@pytest.mark.parametrize("archive_folded", [False, True])
def test_every_folded_turn_is_in_the_summary(archive_folded):
    """With a summariser that keeps what it reads, each turn is in the summary or in the window, always."""
    story = AgentStory("summary", "sync", archive_folded=archive_folded)
    for _ in range(25):
        story.say("订单号 KM-3000 到哪了")
        assert laws.shown_in(story.model.prompts[-1]) == set(range(len(story.said)))


# -- over the wire


def test_an_agent_with_chat_qwen_sends_the_view():
    """What reaches the server: one system message, the window, tools; the overflow of the service is met."""
    with LocalDashScope() as server, SqliteArchive(":memory:") as archive:
        model = ChatQwen(model="qwen-plus", base_url=server.base_url, api_key=server.api_key)
        _, graph = agent(
            [WINDOW, RecallMemory(k=2)], model=model, archive=archive, tools=[look_up], system_prompt="Hi."
        )
        say(graph, "我对花生过敏", *[f"问题 {n}" for n in range(6)])
        server.script(Reply(tool_calls=[{"name": "look_up", "args": {"key": "花生"}}]))
        server.misbehave(Fault.overflow(), when=lambda body: body["messages"][-1]["role"] == "tool")
        server.clear()
        state = say(graph, "查一下花生")
        assert [request.status for request in server.requests] == [200, 400, 200]
        first, _, last = [request.body["messages"] for request in server.requests]
        assert [message["role"] for message in first].count("system") == 1
        assert "我对花生过敏" in first[-1]["content"]
        assert first[-1]["content"].endswith("查一下花生")
        assert last[-1] == {**last[-1], "role": "tool", "content": "found 花生"}
        assert len(state["messages"]) == 18
        report = read_reports(graph, CONFIG)[-1]
        assert report["errors"] == ["model: ContextOverflowError"]
        assert report["input_tokens"] > 0


async def test_an_agent_with_chat_qwen_summarises_without_a_trace_in_the_stream():
    """The summary's request goes over the wire with thinking off; the stream has the answers only."""
    with LocalDashScope() as server:
        model = ChatQwen(model="qwen-plus", base_url=server.base_url, api_key=server.api_key)
        memory = SummaryBufferMemory(trigger=("turns", 2))
        _, graph = agent(memory, model=model, tools=[look_up], archive=InMemoryArchive(), system_prompt="Hi.")
        for n in range(5):
            server.clear()
            text = f"My order number is KM-{n}000, please note it."
            stream = graph.astream({"messages": text}, CONFIG, context=ALICE, stream_mode="messages")
            streamed = "".join([chunk.text async for chunk, _ in stream])
            assert streamed == (await graph.aget_state(CONFIG)).values["messages"][-1].text
        record = (await graph.aget_state(CONFIG)).values["record"]
        assert record["slots"]["summary"]["start"] > 0
        folds = [request for request in server.requests if request.body.get("tool_choice") == "none"]
        assert all(request.body.get("enable_thinking") is False for request in folds)


@pytest.mark.parametrize("run", [run_turn, lambda *given, **options: asyncio.run(arun_turn(*given, **options))])
def test_messages_sent_again_after_they_left_an_agents_state_are_dropped(run):
    """A client that sends its whole history each time has each turn remembered once."""
    archive = InMemoryArchive()
    memory = MemoryMiddleware(
        WindowMemory(trigger=("turns", 2), keep=("turns", 1)), archive=archive, archive_folded=True
    )
    agent = create_agent(ScriptedChatModel(), [], middleware=[memory], checkpointer=InMemorySaver())
    sent: list[Any] = []
    for number in range(6):
        sent.append(HumanMessage(f"q{number}", id=f"h{number}"))
        state = run(agent, {"messages": list(sent)}, CONFIG, context=ALICE)
        sent.append(state["messages"][-1])
    assert [turn.messages[0].text for turn in transcript(agent, CONFIG, context=ALICE)] == [f"q{n}" for n in range(6)]
    assert archive.count("alice", "t1") == 6
    assert len(state["messages"]) <= 6


def test_an_old_question_sent_alone_gets_no_second_answer_of_an_agent():
    """A late second delivery of a turn that has left the state changes nothing."""
    archive, model = InMemoryArchive(), ScriptedChatModel()
    memory = MemoryMiddleware(
        WindowMemory(trigger=("turns", 2), keep=("turns", 1)), archive=archive, archive_folded=True
    )
    agent = create_agent(model, [], middleware=[memory], checkpointer=InMemorySaver())
    for number in range(5):
        run_turn(agent, HumanMessage(f"q{number}", id=f"h{number}"), CONFIG, context=ALICE)
    before, asked = agent.get_state(CONFIG).values["messages"], len(model.prompts)
    state = run_turn(agent, HumanMessage("q0", id="h0"), CONFIG, context=ALICE)
    assert state["messages"] == before
    assert len(model.prompts) == asked
    assert archive.count("alice", "t1") == 5
