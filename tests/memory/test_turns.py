"""A conversation is cut into turns, and each turn has a key made from its past and its words."""

from langchain_core.messages import AIMessage, HumanMessage, SystemMessage, ToolMessage

from langchain_qwen_memory.archive.base import turn_key
from langchain_qwen_memory.memory.turns import live_turns, part_system
from tests.memory.helpers import count, dialogue


def turns_of(messages, parent="root", position=0):
    return live_turns(messages, parent=parent, position=position, count=count)


def test_each_user_message_begins_a_turn():
    """A user message begins a turn; answers and tool results belong to it."""
    call = AIMessage("", tool_calls=[{"name": "weather", "args": {"city": "杭州"}, "id": "c1"}])
    result = ToolMessage("晴", tool_call_id="c1")
    turns = turns_of([HumanMessage("天气？"), call, result, AIMessage("晴天"), HumanMessage("谢谢")])
    assert [len(turn.messages) for turn in turns] == [4, 1]
    assert [turn.finished for turn in turns] == [True, False]
    assert turns[1].question is not None
    assert turns[1].question.text == "谢谢"


def test_a_greeting_is_a_turn_of_its_own():
    """What the assistant says before any question is a turn without a question."""
    turns = turns_of([AIMessage("欢迎！"), HumanMessage("你好"), AIMessage("你好！")])
    assert [turn.question is None for turn in turns] == [True, False]


def test_positions_go_on_where_the_archive_ends():
    """Positions count archived turns, so that they never change."""
    assert [turn.position for turn in turns_of(dialogue(("a", "b"), "c"), position=7)] == [7, 8]


def test_keys_are_those_of_the_archive():
    """A live turn has the key under which the archive will keep it."""
    messages = dialogue(("a", "b"), ("c", "d"))
    first, second = turns_of(messages)
    assert first.key == turn_key("root", messages[:2])
    assert second.key == turn_key(first.key, messages[2:])


def test_the_same_words_after_another_past_are_another_turn():
    """Keys chain: what was said before is part of the key."""
    assert (
        turns_of(dialogue(("ok", "ok"), ("ok", "ok")))[0].key != turns_of(dialogue(("ok", "ok"), ("ok", "ok")))[1].key
    )


def test_an_edit_changes_the_key_and_all_that_follow():
    """Changing one word makes other turns of this turn and of those after it."""
    before = turns_of(dialogue(("a", "b"), ("c", "d"), ("e", "f")))
    after = turns_of(dialogue(("a", "b"), ("c", "D"), ("e", "f")))
    assert [x.key == y.key for x, y in zip(before, after, strict=True)] == [True, False, False]


def test_message_ids_and_usage_are_not_part_of_the_key():
    """The same words with other ids or usage are the same turn, so that a retry is recognised."""
    usage = {"input_tokens": 1, "output_tokens": 1, "total_tokens": 2}
    plain = turns_of([HumanMessage("a"), AIMessage("b")])
    dressed = turns_of([HumanMessage("a", id="1"), AIMessage("b", id="2", usage_metadata=usage)])
    assert plain[0].key == dressed[0].key


def test_a_cached_key_is_the_computed_key():
    """Asking again for the key of an equal turn gives what hashing it gives."""
    messages = dialogue(("值" * 50, "得"))
    assert turns_of(messages)[0].key == turns_of(dialogue(("值" * 50, "得")))[0].key == turn_key("root", messages)


def test_system_messages_are_no_part_of_turns():
    """System messages are parted from the conversation, wherever they stand."""
    system, rest = part_system([SystemMessage("a"), HumanMessage("b"), SystemMessage("c")])
    assert [m.text for m in system] == ["a", "c"]
    assert [m.text for m in rest] == ["b"]
