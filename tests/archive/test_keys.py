"""A turn's key names its content and its past, and nothing that changes when a turn is sent twice."""

import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st
from langchain_core.messages import AIMessage, AIMessageChunk, HumanMessage, ToolMessage

from langchain_qwen_memory.archive import root_key, searchable_text, turn_key

ROOT = root_key("u", "t")
CALL = {"name": "look", "args": {"part": "KM-3000", "n": 1}, "id": "c1", "type": "tool_call"}


def test_keys_are_32_hex_digits():
    """Keys of threads and turns look alike: 32 hex digits."""
    for key in (ROOT, turn_key(ROOT, [HumanMessage("hi")])):
        assert len(key) == 32
        assert int(key, 16) >= 0


def test_keys_do_not_change_between_versions():
    """Archives outlive releases: these keys were written by the first one."""
    assert root_key("alice", "t1") == "d1b5772c5a7e0feb0ffa5f9aeb8fd24a"
    messages = [
        HumanMessage([{"type": "text", "text": "这是什么？"}, {"type": "image_url", "image_url": {"url": "x"}}]),
        AIMessage("", tool_calls=[CALL]),
        ToolMessage("泵", tool_call_id="c1"),
        AIMessage("a pump"),
    ]
    assert turn_key(root_key("alice", "t1"), messages) == "a2988fb67990ab66e3eca01ec486c09e"


def test_a_key_is_the_same_in_every_process():
    """Another process, with another hash seed, gives the same key."""
    code = (
        "from langchain_core.messages import AIMessage\n"
        "from langchain_qwen_memory.archive import root_key, turn_key\n"
        "call = {'name': 'f', 'args': {'b': {3, 1, 2}, 'a': object()}, 'id': 'c'}\n"
        "print(turn_key(root_key('u', 't'), [AIMessage('', tool_calls=[call])]))"
    )
    runs = [
        subprocess.run([sys.executable, "-c", code], env={"PYTHONHASHSEED": seed}, capture_output=True, check=True)
        for seed in ("1", "2")
    ]
    assert runs[0].stdout == runs[1].stdout != b""


@given(st.lists(st.tuples(st.text(), st.text()), min_size=2, max_size=2, unique=True))
def test_no_two_threads_share_a_root(pairs):
    """Whatever the ids, user and thread are not confused: ("a", "bc") is not ("ab", "c")."""
    assert root_key(*pairs[0]) != root_key(*pairs[1])


BASE = [HumanMessage("q"), AIMessage("a", tool_calls=[CALL]), ToolMessage("r", tool_call_id="c1"), AIMessage("end")]


@pytest.mark.parametrize(
    "same",
    [
        [HumanMessage("q", id="1"), *BASE[1:]],
        [BASE[0], AIMessage("a", tool_calls=[CALL], id="2"), *BASE[2:]],
        [*BASE[:3], AIMessage("end", response_metadata={"model_name": "qwen-max", "finish_reason": "stop"})],
        [*BASE[:3], AIMessage("end", usage_metadata={"input_tokens": 1, "output_tokens": 1, "total_tokens": 2})],
        [*BASE[:3], AIMessage("end", additional_kwargs={"reasoning_content": "hm"})],
        [*BASE[:3], AIMessage([{"type": "reasoning", "reasoning": "hm"}, {"type": "text", "text": "end", "index": 1}])],
        [*BASE[:3], AIMessage(["end"])],
        [*BASE[:3], AIMessageChunk("e") + AIMessageChunk("nd", chunk_position="last")],
        [BASE[0], AIMessage("a", tool_calls=[CALL | {"args": {"n": 1, "part": "KM-3000"}}]), *BASE[2:]],
        [*BASE[:2], ToolMessage("r", tool_call_id="c1", artifact=object()), BASE[3]],
    ],
)
def test_what_a_retry_changes_does_not_change_the_key(same):
    """Message ids, usage, metadata, reasoning, artifacts and the form of the text do not count."""
    assert turn_key(ROOT, same) == turn_key(ROOT, BASE)


@pytest.mark.parametrize(
    "other",
    [
        [HumanMessage("q "), *BASE[1:]],
        [HumanMessage("q", name="bob"), *BASE[1:]],
        [AIMessage("q"), *BASE[1:]],
        [BASE[0], AIMessage("a"), *BASE[2:]],
        [BASE[0], AIMessage("a", tool_calls=[CALL | {"id": "c2"}]), *BASE[2:]],
        [BASE[0], AIMessage("a", tool_calls=[CALL | {"args": {}}]), *BASE[2:]],
        [*BASE[:2], ToolMessage("r", tool_call_id="c2"), BASE[3]],
        [*BASE[:2], ToolMessage("r", tool_call_id="c1", status="error"), BASE[3]],
        BASE[:3],
        [*BASE, BASE[3]],
        [HumanMessage([{"type": "text", "text": "q"}, {"type": "image_url", "image_url": {"url": "u"}}]), *BASE[1:]],
    ],
)
def test_what_was_said_and_done_changes_the_key(other):
    """Words, roles, names, tool calls, their results and status, media: a change of any is another turn."""
    assert turn_key(ROOT, other) != turn_key(ROOT, BASE)


def test_the_same_words_after_another_past_are_another_turn():
    """A key holds its whole past through its parent's key."""
    first = turn_key(ROOT, [HumanMessage("yes")])
    assert turn_key(first, [HumanMessage("yes")]) != first


def test_searchable_text_is_a_line_per_message():
    """Messages with nothing said leave no line; names of speakers are kept."""
    messages = [HumanMessage("  hi ", name="Melanie"), AIMessage("", tool_calls=[CALL]), AIMessage("hello")]
    assert searchable_text(messages) == "Melanie: hi\nhello"


def test_a_user_may_talk_about_thinking_tags():
    """Only a model's own leading <think> block is thinking; an unfinished one is all thinking."""
    assert searchable_text([HumanMessage("<think>x</think> what is it?")]) == "<think>x</think> what is it?"
    assert searchable_text([AIMessage("the tag <think>x</think>")]) == "the tag <think>x</think>"
    assert searchable_text([AIMessage("<think>cut off")]) == ""
