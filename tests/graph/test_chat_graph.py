"""A chatbot with memory, as its users meet it: what the model saw, what the thread keeps, what is reported."""

from typing import Any

import pytest
from langchain_core.exceptions import ContextOverflowError
from langchain_core.messages import AIMessage, HumanMessage, RemoveMessage, SystemMessage, ToolMessage
from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.runnables import RunnableLambda
from langgraph.checkpoint.memory import InMemorySaver

from langchain_qwen_memory import (
    InMemoryArchive,
    MemoryOptionError,
    RecallMemory,
    SummaryBufferMemory,
    ThreadError,
    ViewTooLargeError,
    WindowMemory,
    create_chat_graph,
    transcript,
)
from langchain_qwen_memory.state import MemoryState
from tests.scripted import ScriptedChatModel

CONFIG = {"configurable": {"thread_id": "t1"}}
ALICE: Any = {"user_id": "alice"}


def chat(model=None, **options):
    options.setdefault("memory", WindowMemory(trigger=("turns", 4)))
    options.setdefault("checkpointer", InMemorySaver())
    model = model or ScriptedChatModel()
    return model, create_chat_graph(model, **options)


def say(graph, *texts, config=CONFIG, context=ALICE):
    for text in texts:
        state = graph.invoke({"messages": text}, config, context=context)
    return state


def words(messages):
    return [message.text for message in messages]


def test_a_thread_goes_on():
    """The second call of the model sees the first turn."""
    model, graph = chat()
    say(graph, "我叫小明", "我叫什么？")
    assert words(model.prompts[1]) == ["我叫小明", "answer to 我叫小明", "我叫什么？"]


def test_the_answer_is_the_last_message():
    """A run gives back the live messages, the answer last, and the record with its report."""
    _, graph = chat()
    state = say(graph, "hi")
    assert state["messages"][-1].text == "answer to hi"
    assert state["record"]["report"]["turn"] == 0
    assert "selection" not in state


def test_the_window_leaps_and_the_prompt_begins_like_the_one_before():
    """Between leaps each prompt begins with the whole prompt before it."""
    model, graph = chat()
    say(graph, *[f"q{n}" for n in range(12)])
    shared = [new[: len(old)] == old for old, new in zip(model.prompts, model.prompts[1:], strict=False)]
    assert shared == [True, True, True, False, True, True, False, True, True, False, True]


def test_without_an_archive_nothing_is_dropped():
    """Turns outside the window stay in the state when there is nowhere else."""
    _, graph = chat()
    say(graph, *[f"q{n}" for n in range(10)])
    assert len(graph.get_state(CONFIG).values["messages"]) == 20


def test_with_an_archive_the_state_stays_small_and_the_transcript_whole():
    """Turns out of the window leave the state once they are archived; the transcript still has them all."""
    archive = InMemoryArchive()
    _, graph = chat(archive=archive)
    say(graph, *[f"q{n}" for n in range(30)])
    assert len(graph.get_state(CONFIG).values["messages"]) <= 8
    turns = transcript(graph, CONFIG, context=ALICE, limit=100)
    assert [turn.messages[0].text for turn in turns] == [f"q{n}" for n in range(30)]
    assert [turn.position for turn in turns] == list(range(30))
    assert archive.count("alice", "t1") == 30


def test_the_transcript_comes_in_pages():
    """A page ends where the next one begins, over the border of archive and state."""
    _, graph = chat(archive=InMemoryArchive())
    say(graph, *[f"q{n}" for n in range(11)])
    pages, before = [], None
    while page := transcript(graph, CONFIG, context=ALICE, before=before, limit=3):
        pages.append([turn.position for turn in page])
        before = page[0].position
    assert pages == [[8, 9, 10], [5, 6, 7], [2, 3, 4], [0, 1]]


def test_recall_brings_an_old_turn_back():
    """A fact that left the window is found again and placed beside the question."""
    model, graph = chat(archive=InMemoryArchive(), memory=[WindowMemory(trigger=("turns", 2)), RecallMemory(k=2)])
    say(graph, "我对花生过敏", *[f"第{n}天的天气如何" for n in range(5)], "花生酱能吃吗")
    asked = model.prompts[-1][-1].text
    assert "用户：我对花生过敏" in asked
    assert asked.endswith("花生酱能吃吗")


def test_what_stands_in_the_window_is_not_recalled():
    """A turn that is in the view word for word is not repeated."""
    model, graph = chat(archive=InMemoryArchive(), memory=[WindowMemory(trigger=("turns", 40)), RecallMemory()])
    say(graph, "我对花生过敏", "花生酱能吃吗")
    assert model.prompts[-1][-1].text == "花生酱能吃吗"


def test_recalled_turns_are_not_stored_again():
    """The stored question is what the user wrote, without records."""
    _, graph = chat(archive=InMemoryArchive(), memory=[WindowMemory(trigger=("turns", 1)), RecallMemory()])
    say(graph, "我对花生过敏", "天气？", "花生酱能吃吗")
    stored = transcript(graph, CONFIG, context=ALICE)
    assert [turn.messages[0].text for turn in stored] == ["我对花生过敏", "天气？", "花生酱能吃吗"]


def test_recall_reaches_the_users_other_threads():
    """`scope="user"` finds what the same user said in another thread."""
    model, graph = chat(archive=InMemoryArchive(), memory=[RecallMemory(scope="user")])
    say(graph, "我对花生过敏", config={"configurable": {"thread_id": "old"}})
    say(graph, "花生酱能吃吗")
    assert "我对花生过敏" in model.prompts[-1][-1].text


def test_users_never_see_each_other():
    """Another user's turns are not found, whatever the scope, and their thread is not continued."""
    model, graph = chat(archive=InMemoryArchive(), memory=[RecallMemory(scope="user")])
    say(graph, "我对花生过敏")
    say(graph, "花生酱能吃吗", config={"configurable": {"thread_id": "t2"}}, context={"user_id": "bob"})
    assert model.prompts[-1][-1].text == "花生酱能吃吗"
    with pytest.raises(ThreadError, match="another user id"):
        say(graph, "hi", context={"user_id": "bob"})


def test_recall_over_a_user_needs_the_user():
    """Without a user id nothing is searched; the user is answered, and the report says why."""
    _, graph = chat(archive=InMemoryArchive(), memory=[RecallMemory(scope="user")])
    state = say(graph, "花生酱能吃吗", context=None)
    assert state["record"]["report"]["errors"] == ["recall: ThreadError"]


def test_recall_without_an_archive_is_refused():
    """A memory that cannot work is refused when the graph is made, with the fix to type."""
    with pytest.raises(MemoryOptionError, match=r'archive="chat.db"'):
        chat(memory=RecallMemory())


def test_an_archive_needs_a_thread_id():
    """Without a thread id turns would have no home: an error, not a shared one."""
    graph = create_chat_graph(ScriptedChatModel(), archive=InMemoryArchive())
    with pytest.raises(ThreadError, match="thread_id"):
        graph.invoke({"messages": "hi"})


def test_without_checkpointer_and_archive_a_run_stands_alone():
    """The simplest graph needs no ids."""
    graph = create_chat_graph(ScriptedChatModel())
    assert graph.invoke({"messages": "hi"})["messages"][-1].text == "answer to hi"


def test_the_system_prompt_is_first_in_every_view_and_never_stored():
    """`system_prompt` stands first, once, in each prompt."""
    model, graph = chat(system_prompt="Be kind.")
    say(graph, "a", "b")
    assert [words(prompt)[0] for prompt in model.prompts] == ["Be kind.", "Be kind."]
    assert not any(isinstance(m, SystemMessage) for m in graph.get_state(CONFIG).values["messages"])


def test_a_system_message_before_each_question_is_sent_and_kept_once():
    """Many apps begin each input with their system text: it neither fills the prompt nor the state."""
    model, graph = chat(archive=InMemoryArchive(), system_prompt="You are a cook.")
    for number in range(12):
        both = [SystemMessage("You are a cook."), SystemMessage("Be brief."), HumanMessage(f"q{number}")]
        state = graph.invoke({"messages": both}, CONFIG)
    assert model.prompts[-1][0].content == "You are a cook.\n\nBe brief."
    assert sum(message.type == "system" for message in state["messages"]) <= 2 * (4 + 1)


def test_system_messages_in_the_state_never_leave():
    """A system message that the app put into the thread stays when turns leave."""
    model, graph = chat(archive=InMemoryArchive(), memory=WindowMemory(trigger=("turns", 2)))
    graph.invoke({"messages": [SystemMessage("rules"), HumanMessage("a")]}, CONFIG, context=ALICE)
    say(graph, *"bcdef")
    assert words(model.prompts[-1])[0] == "rules"


def weather(city: str) -> str:
    """Weather of a city."""
    return f"{city}: sunny"


def tool_call(number, city="杭州"):
    return AIMessage("", tool_calls=[{"name": "weather", "args": {"city": city}, "id": f"c{number}"}])


def test_tools_are_called_until_there_is_an_answer():
    """The model calls tools in a loop; the turn holds calls and results."""
    model = ScriptedChatModel(script=[tool_call(1), tool_call(2, "北京"), "both sunny"])
    _, graph = chat(model, tools=[weather])
    state = say(graph, "weather?")
    assert words(state["messages"]) == ["weather?", "", "杭州: sunny", "", "北京: sunny", "both sunny"]
    assert len(model.prompts) == 3
    assert model.asked[0]["tools"][0] is weather


def test_memory_chooses_once_a_turn_and_the_tool_loop_extends_the_prompt():
    """Inside a tool loop each prompt begins with the one before it, recalled turns included."""
    model = ScriptedChatModel(script=["noted", "ok", tool_call(1), "sunny"])
    _, graph = chat(
        model, tools=[weather], archive=InMemoryArchive(), memory=[WindowMemory(trigger=("turns", 1)), RecallMemory()]
    )
    say(graph, "我住在杭州西湖边", "hello", "西湖边天气如何")
    first, second = model.prompts[-2:]
    assert "我住在杭州西湖边" in first[-1].text
    assert second[: len(first)] == first


def test_a_tool_call_that_was_interrupted_does_not_break_the_thread():
    """A call without a result, left by a crash, gets one in the view."""
    model, graph = chat(tools=[weather])
    graph.update_state(CONFIG, {"messages": [HumanMessage("weather?"), tool_call(1)]}, as_node="model")
    say(graph, "never mind", context=None)
    kinds = [type(message) for message in model.prompts[-1]]
    assert kinds == [HumanMessage, AIMessage, ToolMessage, HumanMessage]


def test_any_chain_may_be_the_model():
    """An existing prompt-and-model chain, even one that ends in a parser, gets memory."""
    inner = ScriptedChatModel()
    prompt = ChatPromptTemplate.from_messages([("system", "You are a poet."), ("placeholder", "{messages}")])
    chain = RunnableLambda(lambda messages: {"messages": messages}) | prompt | inner | StrOutputParser()
    graph = create_chat_graph(chain, checkpointer=InMemorySaver())
    say(graph, "我叫小明")
    assert say(graph, "我叫什么？")["messages"][-1].text == "answer to 我叫什么？"
    assert words(inner.prompts[-1])[:2] == ["You are a poet.", "我叫小明"]


def test_what_is_no_model_is_refused():
    """The error shows what to write."""
    with pytest.raises(MemoryOptionError, match="ChatQwen"):
        create_chat_graph("qwen-plus")  # type: ignore[arg-type]


def test_two_memories_of_one_name_are_refused():
    """Their slots in the record would overwrite each other."""
    with pytest.raises(MemoryOptionError, match="one name"):
        chat(memory=[WindowMemory(), WindowMemory()])


def test_a_window_after_a_summary_is_refused():
    """What a window lets leave must be summed up, so it stands before the summary."""
    with pytest.raises(MemoryOptionError, match="Put it first"):
        chat(memory=[SummaryBufferMemory(), WindowMemory()])


def test_a_prompt_too_long_in_spite_of_the_count_is_shortened_and_sent_again():
    """The provider refuses the view as too long: a tighter one is sent once."""
    model = ScriptedChatModel()
    _, graph = chat(model, memory=WindowMemory(trigger=("turns", 40)))
    say(graph, *[f"question {n}" for n in range(8)])
    model.script = [ContextOverflowError("Range of input length should be [1, 100]")]
    state = say(graph, "and now?")
    assert state["messages"][-1].text == "answer to and now?"
    refused, sent = model.prompts[-2:]
    assert 1 < len(sent) < len(refused)
    assert state["record"]["report"]["errors"] == ["model: ContextOverflowError"]


def test_a_question_larger_than_the_model_takes_is_one_clear_error():
    """Nothing is sent, and the thread goes on."""
    model, graph = chat(max_input_tokens=200)
    with pytest.raises(ViewTooLargeError, match="Shorten the message"):
        say(graph, "字" * 1000)
    assert model.prompts == []


def test_a_model_error_reaches_the_caller_and_the_thread_goes_on():
    """When the model fails, the question stays and the next turn works."""
    model, graph = chat(ScriptedChatModel(script=[ValueError("down")]))
    with pytest.raises(ValueError, match="down"):
        say(graph, "hello?")
    assert say(graph, "still there?")["messages"][-1].text == "answer to still there?"
    assert words(model.prompts[-1]) == ["hello?", "still there?"]


def test_the_same_message_twice_is_one_turn():
    """A message delivered twice under one id is stored once and answered once."""
    model, graph = chat(archive=InMemoryArchive())
    for _ in range(2):
        state = graph.invoke({"messages": [HumanMessage("hi", id="m1")]}, CONFIG, context=ALICE)
    assert words(state["messages"]) == ["hi", "answer to hi"]
    assert [words(turn.messages) for turn in transcript(graph, CONFIG, context=ALICE)] == [["hi", "answer to hi"]]
    assert len(model.prompts) == 1


def test_an_empty_message_is_a_turn():
    """An empty question is answered like any other."""
    _, graph = chat(archive=InMemoryArchive(), memory=RecallMemory())
    assert say(graph, "", "next")["record"]["report"]["turn"] == 1


def test_a_thread_of_plain_messages_is_adopted():
    """A thread that another graph wrote goes on, all of it archived."""
    from langgraph.graph import START, MessagesState, StateGraph

    saver, archive = InMemorySaver(), InMemoryArchive()
    plain = StateGraph(MessagesState).add_node("model", lambda _: {"messages": AIMessage("ok")})
    old = plain.add_edge(START, "model").compile(checkpointer=saver)
    for n in range(6):
        old.invoke({"messages": f"old {n}"}, CONFIG)
    _, graph = chat(checkpointer=saver, archive=archive)
    say(graph, "new")
    turns = transcript(graph, CONFIG, context=ALICE)
    assert [turn.messages[0].text for turn in turns] == [*(f"old {n}" for n in range(6)), "new"]
    assert archive.count("alice", "t1") == 7


def test_a_large_imported_thread_is_adopted_in_one_turn():
    """Five thousand messages that come at once are all archived, and the state is small at once."""
    messages = [m for n in range(2500) for m in (HumanMessage(f"q{n}"), AIMessage(f"a{n}"))]
    archive = InMemoryArchive()
    _, graph = chat(archive=archive)
    graph.invoke({"messages": [*messages, HumanMessage("new")]}, CONFIG, context=ALICE)
    assert archive.count("alice", "t1") == 2501
    assert len(graph.get_state(CONFIG).values["messages"]) <= 8


def test_a_fork_does_not_know_the_other_branch():
    """After a time travel the turns of the branch that was left are neither shown nor recalled."""
    model, graph = chat(archive=InMemoryArchive(), memory=[WindowMemory(trigger=("turns", 1)), RecallMemory()])
    say(graph, "你好")
    earlier = graph.get_state(CONFIG).config
    say(graph, "我的密码是芝麻开门", "一", "二", "三")
    say(graph, "换个话题", config=earlier)
    say(graph, "四", "五")
    state = graph.get_state(CONFIG)
    assert "芝麻" not in str(state.values["messages"])
    say(graph, "我的密码是什么")
    assert "芝麻" not in str(model.prompts[-1])
    turns = transcript(graph, CONFIG, context=ALICE)
    assert [turn.messages[0].text for turn in turns] == ["你好", "换个话题", "四", "五", "我的密码是什么"]


def test_an_edited_turn_replaces_the_old_one():
    """A live message edited under its id is what is remembered from then on."""
    archive = InMemoryArchive()
    _, graph = chat(archive=archive)
    say(graph, "我住北京", "hi")
    first = graph.get_state(CONFIG).values["messages"][0]
    graph.update_state(CONFIG, {"messages": [HumanMessage("我住上海", id=first.id)]}, as_node="remember")
    say(graph, "好的")
    assert [t.messages[0].text for t in transcript(graph, CONFIG, context=ALICE)] == ["我住上海", "hi", "好的"]


class DownArchive(InMemoryArchive):
    """An archive whose disk may be full."""

    down = True

    def append(self, user, thread, turns):
        if self.down:
            raise OSError("disk full")
        return super().append(user, thread, turns)


def test_the_archive_is_down_and_nothing_is_lost():
    """Turns stay live while the archive fails, the report says so, and they are archived once it works."""
    archive = DownArchive()
    _, graph = chat(archive=archive, memory=WindowMemory(trigger=("turns", 2)))
    state = say(graph, *[f"q{n}" for n in range(6)])
    assert state["record"]["report"]["errors"] == ["archive: OSError"]
    assert len(state["messages"]) == 12
    archive.down = False
    state = say(graph, "q6")
    assert archive.count("alice", "t1") == 7
    assert len(state["messages"]) <= 4


def test_the_stream_holds_the_answer_and_nothing_else():
    """What memory does inside reaches no user: neither recalled turns nor bookkeeping."""
    model, graph = chat(archive=InMemoryArchive(), memory=[WindowMemory(trigger=("turns", 1)), RecallMemory()])
    say(graph, "我对花生过敏", "天气")
    model.script = ["不要吃。"]
    streamed = graph.stream({"messages": "花生？"}, CONFIG, context=ALICE, stream_mode="messages")
    assert "".join(chunk.text for chunk, _ in streamed) == "不要吃。"
    assert "我对花生过敏" in model.prompts[-1][-1].text


def test_the_report_is_a_custom_event():
    """`stream_mode="custom"` brings the turn's report."""
    _, graph = chat()
    events = list(graph.stream({"messages": "hi"}, CONFIG, context=ALICE, stream_mode="custom"))
    assert [event["memory_report"]["turn"] for event in events] == [0]


def test_what_memory_keeps_cannot_be_injected():
    """A run's input holds messages only; a record in it is ignored."""
    _, graph = chat()
    state = graph.invoke({"messages": "hi", "record": {"root": "x", "v": 99}}, CONFIG, context=ALICE)
    assert state["record"]["v"] == 1


def test_a_record_of_a_newer_version_is_refused():
    """A thread that a newer version wrote is not misread."""
    _, graph = chat()
    say(graph, "hi")
    record = {**graph.get_state(CONFIG).values["record"], "v": 99}
    graph.update_state(CONFIG, {"record": record}, as_node="remember")
    with pytest.raises(ThreadError, match="Upgrade"):
        say(graph, "again")


def test_no_user_id_is_in_the_checkpoint():
    """Ids of users travel in the context and are stored nowhere in the checkpoint."""
    saver = InMemorySaver()
    _, graph = chat(checkpointer=saver)
    say(graph, "hi", context={"user_id": "alice@example.com"})
    assert "alice@example.com" not in repr([list(saver.list(CONFIG)), saver.storage, saver.blobs, saver.writes])


class ShopState(MemoryState):
    """A state with a key of the app's own."""

    orders: list[str]


def test_an_apps_own_state_goes_with_the_thread():
    """A subclass of `MemoryState` keeps more."""
    _, graph = chat(state_schema=ShopState)
    state = graph.invoke({"messages": [HumanMessage("hi")], "orders": ["KM-3000"]}, CONFIG, context=ALICE)
    assert state["orders"] == ["KM-3000"]


async def test_async_runs_alike():
    """Async turns send the same prompts as sync ones."""
    prompts = []
    for colour in ("sync", "async"):
        model, graph = chat(archive=InMemoryArchive(), memory=[WindowMemory(trigger=("turns", 2)), RecallMemory()])
        for text in ["我对花生过敏", "天气如何", "你好", "再见", "花生酱能吃吗"]:
            if colour == "sync":
                graph.invoke({"messages": text}, CONFIG, context=ALICE)
            else:
                await graph.ainvoke({"messages": text}, CONFIG, context=ALICE)
        prompts.append([[(m.type, _undated(m.text)) for m in prompt] for prompt in model.prompts])
    assert prompts[0] == prompts[1]


def _undated(text):
    import re

    return re.sub(r"\[\d{4}-.*?\]|\b[0-9a-f]{12}\b", "", text)


def test_a_first_question_that_is_withdrawn_leaves_a_thread_to_begin_again():
    """Its question failed and was taken out: going on ends at once, and the next question is answered."""
    model = ScriptedChatModel(script=[ConnectionError("down")])
    graph = create_chat_graph(model, memory=WindowMemory(), archive=InMemoryArchive(), checkpointer=InMemorySaver())
    with pytest.raises(ConnectionError):
        say(graph, HumanMessage("q", id="m1"))
    graph.update_state(CONFIG, {"messages": [RemoveMessage(id="m1")]}, as_node="remember")
    assert graph.invoke(None, CONFIG) is None or not graph.get_state(CONFIG).values["messages"]
    assert say(graph, "again")["messages"][-1].text == "answer to again"
