"""What comes in is taken in once: messages delivered again, edited questions, copied and foreign threads."""

from typing import Any

import pytest
from langchain_core.messages import AIMessage, HumanMessage, RemoveMessage
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import START, MessagesState, StateGraph
from langgraph.graph.message import REMOVE_ALL_MESSAGES

from langchain_qwen_memory import (
    InMemoryArchive,
    MemoryState,
    RecallMemory,
    SqliteArchive,
    ThreadError,
    WindowMemory,
    create_chat_graph,
    model_node,
    recall_node,
    remember_node,
    transcript,
)
from langchain_qwen_memory.graph import END
from tests.scripted import ScriptedChatModel

CONFIG = {"configurable": {"thread_id": "t1"}}
ALICE: Any = {"user_id": "alice"}
BOB: Any = {"user_id": "bob"}


def chat(model=None, **options):
    model = model or ScriptedChatModel()
    options.setdefault("archive", InMemoryArchive())
    options.setdefault("memory", WindowMemory(trigger=("turns", 3)))
    return model, create_chat_graph(model, checkpointer=InMemorySaver(), **options)


def say(graph, *messages, config=CONFIG, context=ALICE):
    return graph.invoke({"messages": list(messages)}, config, context=context)


def asked(graph, context=ALICE):
    return [[message.text for message in turn.messages] for turn in transcript(graph, CONFIG, context=context)]


def dialogue(number):
    return [[f"q{n}", f"answer to q{n}"] for n in range(number)]


@pytest.mark.parametrize("colour", ["sync", "async"])
async def test_a_client_that_sends_its_whole_history_again(colour, tmp_path):
    """Each call brings all messages with their ids; every turn is kept once, archived or not."""
    model, graph = chat(archive=SqliteArchive(tmp_path / "chat.db"))
    history = []
    for number in range(9):
        history.append(HumanMessage(f"q{number}", id=f"m{number}"))
        if colour == "sync":
            state = say(graph, *history)
        else:
            state = await graph.ainvoke({"messages": history}, CONFIG, context=ALICE)
        history.append(state["messages"][-1])
    assert asked(graph) == dialogue(9)
    assert len(model.prompts) == 9
    assert len(state["messages"]) <= 6


def test_a_late_second_delivery_is_not_answered_again():
    """A message whose turn has left the state long ago comes once more: nothing happens."""
    model, graph = chat()
    for number in range(8):
        say(graph, HumanMessage(f"q{number}", id=f"m{number}"))
    say(graph, HumanMessage("q1", id="m1"))
    assert asked(graph) == dialogue(8)
    assert len(model.prompts) == 8


@pytest.mark.parametrize("number", [0, 59])
def test_an_archived_question_in_other_words_is_an_error_that_says_what_to_do(number):
    """It would pass for a second delivery, and the user would wait for an answer; the thread goes on as it was."""
    model, graph = chat()
    for asking in range(64):
        say(graph, HumanMessage(f"q{asking}", id=f"m{asking}"))
    with pytest.raises(ThreadError, match="under a new id"):
        say(graph, HumanMessage("other words", id=f"m{number}"))
    say(graph, HumanMessage([{"type": "text", "text": f"q{number}"}], id=f"m{number}"))
    assert len(model.prompts) == 64
    say(graph, "q64")
    assert len(model.prompts) == 65
    assert asked(graph)[-2:] == [["q63", "answer to q63"], ["q64", "answer to q64"]]


def test_a_second_delivery_keeps_the_report():
    """The report of the turn stays as it was."""
    _, graph = chat()
    first = say(graph, HumanMessage("q", id="m1"))["record"]["report"]
    assert say(graph, HumanMessage("q", id="m1"))["record"]["report"] == first


def test_as_a_node_of_a_parent_graph_that_keeps_all_messages():
    """The parent hands its whole history down at each turn; every turn is kept once."""
    model, archive = ScriptedChatModel(), InMemoryArchive()
    inner = create_chat_graph(model, memory=WindowMemory(trigger=("turns", 3)), archive=archive, checkpointer=True)
    parent = StateGraph(MessagesState)
    parent.add_node("chat", inner)
    parent.add_edge(START, "chat")
    graph = parent.compile(checkpointer=InMemorySaver())
    for number in range(10):
        graph.invoke({"messages": f"q{number}"}, CONFIG)
    assert archive.count("", "t1") == 10
    assert len(model.prompts) == 10


def test_an_edited_question_gets_a_new_answer():
    """The newest question comes again under its id in other words: its old answer goes, a new one is made."""
    model, graph = chat()
    say(graph, HumanMessage("hello", id="m0"))
    say(graph, HumanMessage("what is 1+1", id="m1"))
    say(graph, HumanMessage("capital of France", id="m1"))
    say(graph, HumanMessage("thanks", id="m2"))
    assert asked(graph) == [[q, f"answer to {q}"] for q in ["hello", "capital of France", "thanks"]]
    assert [message.text for message in model.prompts[2]] == ["hello", "answer to hello", "capital of France"]


@pytest.mark.parametrize("archive", [None, InMemoryArchive()], ids=["no archive", "archive"])
def test_turns_taken_out_of_the_state_do_not_blind_the_window(archive):
    """After an undo the window begins where the turns begin, not where it once was."""
    model, graph = chat(archive=archive)
    for number in range(3):
        say(graph, f"q{number}")
    if archive is None:
        for number in range(3, 9):
            say(graph, f"q{number}")
    messages = graph.get_state(CONFIG).values["messages"]
    graph.update_state(CONFIG, {"messages": [RemoveMessage(m.id) for m in messages[4:]]}, as_node="remember")
    say(graph, "next")
    assert [message.text for message in model.prompts[-1]] == ["q0", "answer to q0", "q1", "answer to q1", "next"]


def test_a_window_larger_than_the_model_leaps_all_the_same():
    """Where the model takes in less than the window would hold, the edge leaps; it does not slide each turn."""
    model, graph = chat(memory=[WindowMemory(trigger=("turns", 40)), RecallMemory(k=1)], max_input_tokens=400)
    for number in range(30):
        say(graph, f"question number {number} about something of its own")
    firsts = [prompt[0].text for prompt in model.prompts]
    assert len(set(firsts)) < 15
    assert all(report_errors == [] for report_errors in [graph.get_state(CONFIG).values["record"]["report"]["errors"]])


def test_a_thread_is_its_users_before_anything_can_fail():
    """The first call of the model fails: the thread is Alice's all the same, and Bob cannot go on with it."""
    _, graph = chat(ScriptedChatModel(script=[ConnectionError("down")]))
    with pytest.raises(ConnectionError):
        say(graph, "my secret")
    with pytest.raises(ThreadError, match="another user id"):
        say(graph, "hello", context=BOB)
    with pytest.raises(ThreadError, match="another user id"):
        transcript(graph, CONFIG, context=BOB)


def test_a_state_copied_to_another_thread():
    """Without an archive a copied state goes on; with one the error says what was copied, and what to do."""
    other = {"configurable": {"thread_id": "t2"}}
    for archive in (None, InMemoryArchive()):
        _, graph = chat(archive=archive)
        say(graph, "q0")
        values = graph.get_state(CONFIG).values
        graph.update_state(other, {"messages": values["messages"], "record": values["record"]}, as_node="remember")
        if archive is None:
            assert len(say(graph, "q1", config=other)["messages"]) == 4
        else:
            with pytest.raises(ThreadError, match="copied from another thread"):
                say(graph, "q1", config=other)


def test_an_answer_to_be_continued_is_open():
    """A last message of the assistant that is marked as partial is sent to be continued."""
    model, graph = chat()
    say(graph, HumanMessage("写诗"), AIMessage("床前", additional_kwargs={"partial": True}))
    assert [message.text for message in model.prompts[0]] == ["写诗", "床前"]


def test_no_messages_are_no_turn():
    """An empty input calls no model."""
    model, graph = chat()
    assert say(graph)["messages"] == []
    assert model.prompts == []


class Shop(MemoryState):
    orders: list[str]


def test_with_a_state_of_ones_own_nothing_can_be_injected_either():
    """Input and result show the app's keys, not what memory keeps for itself."""
    _, graph = chat(state_schema=Shop)
    state = graph.invoke(
        {"messages": "hi", "orders": ["KM-1"], "record": {"position": 500, "parent": "x"}}, CONFIG, context=ALICE
    )
    assert set(state) == {"messages", "orders", "record"}
    assert state["record"]["position"] == 0


def test_single_nodes_open_an_archive_by_its_path(tmp_path):
    """The nodes take what `create_chat_graph` takes."""
    model, path = ScriptedChatModel(), tmp_path / "chat.db"
    parts = {"memory": RecallMemory(), "archive": str(path), "max_input_tokens": 5_000}
    graph = StateGraph(MemoryState)
    graph.add_node("recall", recall_node(model, **parts))
    graph.add_node("model", model_node(model, **parts))
    graph.add_node("remember", remember_node(model, **parts))
    for edge in [(START, "recall"), ("recall", "model"), ("model", "remember"), ("remember", END)]:
        graph.add_edge(*edge)
    state = graph.compile(checkpointer=InMemorySaver()).invoke({"messages": "hi"}, CONFIG)
    assert state["record"]["report"]["errors"] == []
    with SqliteArchive(path) as archive:
        assert archive.count("", "t1") == 1


def test_a_message_that_is_not_live_any_more_may_be_removed():
    """A client deletes a message whose turn is archived: nothing is removed, nothing fails, the thread goes on."""
    _, graph = chat()
    for number in range(5):
        say(graph, HumanMessage(f"q{number}", id=f"m{number}"))
    say(graph, RemoveMessage(id="m0"), "q5")
    graph.update_state(CONFIG, {"messages": [RemoveMessage(id="m1")]})
    say(graph, "q6")
    assert asked(graph) == dialogue(7)


def test_all_live_messages_may_be_removed():
    """`REMOVE_ALL_MESSAGES` empties the window, removals beside it included; what came with it is the question."""
    model, graph = chat()
    say(graph, "q0")
    say(graph, RemoveMessage(id=REMOVE_ALL_MESSAGES), RemoveMessage(id="unknown"), "q1")
    assert [message.text for message in model.prompts[-1]] == ["q1"]
    assert asked(graph) == [["q1", "answer to q1"]]
