"""Thinking is shown apart from the answer, sent back where the model goes on with it, and nowhere else."""

import pytest
from langchain_core.messages import AIMessage, HumanMessage, SystemMessage, ToolMessage

from langchain_qwen_memory.testing import Fault, Reply
from tests.qwen.ways import all_ways, answer_by, chunks_by, events_by, over_both, spoken

THOUGHT = Reply(content="Four.", reasoning="Two and two.")
CALL = {"name": "f", "args": {"a": 1}}
streams = pytest.mark.parametrize("way", ["stream", "astream"])
beta = pytest.mark.filterwarnings("ignore:.*is in beta:langchain_core._api.beta_decorator.LangChainBetaWarning")


def delta(finish=None, **fields):
    """One chunk body of a stream."""
    return {"id": "c", "model": "m", "choices": [{"index": 0, "delta": fields, "finish_reason": finish}]}


def texts(*pieces, key="content", finish="stop"):
    """The chunk bodies of a stream of text."""
    return [*(delta(**{key: piece}) for piece in pieces), delta(finish)]


def own_reply(content=None, finish="stop", **fields):
    """A reply of a server of one's own: the same whole and as a stream, a piece of two letters at a time."""
    message = {"role": "assistant", "content": content, **fields}
    chunks = [delta(**{key: text[i : i + 2]}) for key, text in fields.items() for i in range(0, len(text), 2)]
    chunks += [delta(content=(content or "")[i : i + 2]) for i in range(0, len(content or ""), 2)]
    body = {"id": "c", "model": "m", "choices": [{"index": 0, "message": message, "finish_reason": finish}]}
    return Reply(body=body, chunks=[*chunks, delta(finish)])


def replying(server, reply, way):
    """Scripts a reply for a way of calling."""
    server.script(reply if "invoke" in way else Reply(chunks=reply.chunks))


# --- shown apart ---


@over_both
@all_ways
@pytest.mark.parametrize("calls", [(), (CALL,), (CALL, {"name": "g", "args": {}})])
def test_thinking_stands_apart_from_text_and_calls(server, qwen, way, calls):
    """In additional_kwargs and as a standard block, alone or beside tool calls; never in the text."""
    server.script(Reply(content="Four.", reasoning="Two and two.", tool_calls=calls))
    tools = [
        {"type": "function", "function": {"name": n, "description": n, "parameters": {"type": "object"}}} for n in "fg"
    ]
    answer = answer_by(way, qwen(enable_thinking=True), tools=tools)
    assert answer.text == "Four."
    assert answer.additional_kwargs["reasoning_content"] == "Two and two."
    blocks = [(b["type"], b.get("reasoning") or b.get("text") or b.get("name")) for b in answer.content_blocks]
    assert blocks == [("reasoning", "Two and two."), ("text", "Four."), *(("tool_call", c["name"]) for c in calls)]


@over_both
@all_ways
@pytest.mark.parametrize("calls", [(), (CALL,), (CALL, {"name": "g", "args": {}})])
def test_output_version_v1_holds_the_blocks_as_content(server, qwen, way, calls):
    """Each kind of block in its own place, streamed too; two calls do not run into one."""
    server.script(Reply(content="Four.", reasoning="Two and two.", tool_calls=calls))
    tools = [
        {"type": "function", "function": {"name": n, "description": n, "parameters": {"type": "object"}}} for n in "fg"
    ]
    answer = answer_by(way, qwen(enable_thinking=True, output_version="v1"), tools=tools)
    assert isinstance(answer.content, list)
    told = [(b["type"], b.get("reasoning") or b.get("text") or (b.get("name"), b.get("args"))) for b in answer.content]
    called = [("tool_call", (c["name"], c["args"])) for c in calls]
    assert told == [("reasoning", "Two and two."), ("text", "Four."), *called]
    assert answer.text == "Four."


@over_both
@beta
@streams
def test_the_stream_of_events_holds_thinking_text_and_calls(server, qwen, protocol, way):
    """LangChain's version 3 events come to the same message, ids included."""
    chunks = [
        *(delta(reasoning_content=t) for t in ("Two ", "and two.")),
        delta(content="Look: "),
        delta(tool_calls=[{"index": 0, "id": "call_1", "function": {"name": "f", "arguments": ""}}]),
        delta(tool_calls=[{"index": 0, "id": "", "function": {"arguments": '{"a":'}}]),
        delta(tool_calls=[{"index": 0, "id": "", "function": {"name": "", "arguments": " 1}"}}]),
        delta(tool_calls=[{"index": 1, "id": "call_2", "function": {"name": "g", "arguments": "{}"}}]),
        delta("tool_calls"),
    ]
    server.script(Reply(chunks=spoken(protocol, chunks)))
    message = events_by(way, qwen())
    assert [b["type"] for b in message.content_blocks] == ["reasoning", "text", "tool_call", "tool_call"]
    assert message.content_blocks[0]["reasoning"] == "Two and two."
    assert message.text == "Look: "
    assert [(c["id"], c["name"], c["args"]) for c in message.tool_calls] == [
        ("call_1", "f", {"a": 1}),
        ("call_2", "g", {}),
    ]


@over_both
@streams
def test_thinking_and_text_in_one_piece_are_both_kept(server, qwen, protocol, way):
    """Some gateways send the last thought and the first word together."""
    chunks = [delta(reasoning_content="Hm.", content="Four"), delta(content="."), delta("stop")]
    server.script(Reply(chunks=spoken(protocol, chunks)))
    answer = answer_by(way, qwen())
    assert (answer.text, answer.additional_kwargs["reasoning_content"]) == ("Four.", "Hm.")


@all_ways
@pytest.mark.parametrize("field", ["reasoning_content", "reasoning"])
def test_both_names_of_the_field_are_read(server, own_qwen, way, field):
    """vLLM and Ollama say `reasoning`, the others `reasoning_content`."""
    replying(server, own_reply("Four.", **{field: "Two and two."}), way)
    answer = answer_by(way, own_qwen())
    assert (answer.text, answer.additional_kwargs["reasoning_content"]) == ("Four.", "Two and two.")


@all_ways
@pytest.mark.parametrize(
    "text",
    [
        "<think>\nTwo and two.\n</think>\n\nFour.",
        "<thinking>Two and two.</thinking>Four.",
        "<think>\n\n</think>\n\n<think>\nTwo and two.\n</think>\n\nFour.",
    ],
)
def test_inline_thinking_is_parted(server, own_qwen, way, text):
    """From servers without a parser, tags cut by the stream or not."""
    replying(server, own_reply(text), way)
    answer = answer_by(way, own_qwen())
    assert (answer.text, answer.additional_kwargs["reasoning_content"]) == ("Four.", "Two and two.")


@all_ways
@pytest.mark.parametrize(
    "options",
    [
        {"model": "Qwen/Qwen3-30B-A3B-Thinking-2507"},
        {"model": "Qwen/Qwen3.5-27B"},
        {"model": "my-finetune", "enable_thinking": True},
        {"model": "my-finetune", "thinking_tags": "open"},
    ],
)
def test_thinking_that_the_template_opens_is_parted(server, own_qwen, way, options):
    """Only the closing tag comes then; what stands before it is streamed live as thinking."""
    replying(server, own_reply("Two and two.\n</think>\n\nFour."), way)
    chunks = chunks_by(way, own_qwen(**options), "go")
    assert "".join(c.text for c in chunks) == "Four."
    assert "".join(c.additional_kwargs.get("reasoning_content", "") for c in chunks) == "Two and two."
    assert "invoke" in way or len([c for c in chunks if c.additional_kwargs]) > 3


@all_ways
def test_an_answer_is_not_taken_for_thinking_because_its_template_opens(server, own_qwen, way):
    """A server that has a parser sends the thinking in its field; the text is then all answer."""
    replying(server, own_reply("Four.", reasoning="Two and two."), way)
    answer = answer_by(way, own_qwen("Qwen/Qwen3.5-27B"))
    assert (answer.text, answer.additional_kwargs["reasoning_content"]) == ("Four.", "Two and two.")


@all_ways
def test_a_whole_answer_without_any_tag_is_an_answer(server, own_qwen, way):
    """Where thinking was only assumed and the model stopped by itself, its text is not lost as thinking."""
    replying(server, own_reply("Four."), way)
    assert answer_by(way, own_qwen("Qwen/Qwen3.5-27B")).text == "Four."


@all_ways
def test_thinking_that_was_cut_off_stays_thinking(server, own_qwen, way):
    """The limit was reached before the answer began."""
    replying(server, own_reply("Two and tw", finish="length"), way)
    answer = answer_by(way, own_qwen("Qwen/Qwen3.5-27B"))
    assert (answer.text, answer.additional_kwargs["reasoning_content"]) == ("", "Two and tw")


@all_ways
def test_an_answer_in_the_wrong_field_is_found(server, own_qwen, way):
    """With thinking off, some servers' parsers put the whole answer where thinking goes."""
    replying(server, own_reply(None, reasoning_content="Four."), way)
    answer = answer_by(way, own_qwen(enable_thinking=False))
    assert answer.text == "Four."
    assert "reasoning_content" not in answer.additional_kwargs


@all_ways
def test_a_model_that_thinks_though_told_not_to_is_read_right(server, own_qwen, way):
    """Once text follows, what came before was thinking after all."""
    replying(server, own_reply("Four.", reasoning_content="Two and two."), way)
    answer = answer_by(way, own_qwen(enable_thinking=False))
    assert (answer.text, answer.additional_kwargs["reasoning_content"]) == ("Four.", "Two and two.")


@all_ways
def test_tags_can_be_left_in_the_text(server, own_qwen, way):
    """For those who want them."""
    replying(server, own_reply("<think>a</think>b"), way)
    assert answer_by(way, own_qwen(thinking_tags="off")).text == "<think>a</think>b"


# --- when a model thinks ---


@over_both
@all_ways
@pytest.mark.parametrize("model", ["qwen3-32b", "qwq-plus"])
def test_models_that_think_in_streams_only_answer_whole_calls(server, qwen, sent, way, model):
    """The service refuses them without a stream; one is read inside."""
    server.script(THOUGHT)
    answer = answer_by(way, qwen(model))
    assert (answer.text, answer.additional_kwargs["reasoning_content"]) == ("Four.", "Two and two.")
    assert answer.usage_metadata["output_token_details"]["reasoning"] > 0
    assert sent()["stream"] is True


@over_both
@all_ways
def test_a_new_model_of_that_kind_answers_too(server, qwen, sent, way):
    """What the catalogue does not know yet, the service says; the call is then made again as a stream."""
    words = "This model only support stream mode, please enable the stream parameter to access the model. "
    server.misbehave(Fault.bad_request(words), when=lambda body: not body.get("stream"))
    assert answer_by(way, qwen("qwen-plus")).text
    assert sent()["stream"] is True


@over_both
def test_batches_of_such_models_work_too(qwen):
    """Each of several questions at once."""
    answers = qwen("qwen3-32b").batch(["one", "two", "three"])
    assert all(answer.text for answer in answers)


@over_both
@all_ways
def test_with_thinking_off_they_need_no_stream(qwen, sent, way):
    """The rule is asked for each call."""
    answer_by(way, qwen("qwen3-32b"), enable_thinking=False)
    assert sent().get("stream", False) is ("stream" in way)


@over_both
@all_ways
def test_it_goes_by_the_model_of_the_call(qwen, sent, way):
    """A model named for one call brings its own rules."""
    answer_by(way, qwen("qwen-plus"), model="qwen3-32b")
    assert sent()["stream"] is True


@over_both
@all_ways
def test_a_model_that_always_thinks_is_not_told_to_stop(qwen, sent, way):
    """The service would refuse; the caller is warned instead."""
    with pytest.warns(UserWarning, match="always thinks"):
        answer_by(way, qwen("qwq-plus", enable_thinking=False))
    assert "enable_thinking" not in sent()


@over_both
def test_a_model_that_never_thinks_is_not_told_to_stop(qwen, sent):
    """One setting may serve many models."""
    qwen("qwen3-coder-plus", enable_thinking=False).invoke("go")
    assert "enable_thinking" not in sent()


@over_both
def test_effort_none_is_thinking_off(qwen, sent):
    """As the service itself maps it."""
    qwen("qwen3.8-max", reasoning_effort="none").invoke("go")
    assert sent()["enable_thinking"] is False
    assert "reasoning_effort" not in sent()


@over_both
def test_effort_and_budget_exclude_each_other(qwen, sent):
    """Both at once are an error that says so; one of a call replaces the other of the object."""
    with pytest.raises(ValueError, match="give one"):
        qwen("qwen3.8-max", reasoning_effort="low", thinking_budget=5).invoke("go")
    qwen("qwen3.8-max", reasoning_effort="low").invoke("go", thinking_budget=5)
    assert sent()["thinking_budget"] == 5
    assert "reasoning_effort" not in sent()


SERVERS = {
    "self-hosted": ({"server": "auto"}, {"chat_template_kwargs": {"enable_thinking": False}}),
    "vllm": ({"server": "vllm"}, {"chat_template_kwargs": {"enable_thinking": False}}),
    "sglang": ({"server": "sglang"}, {"chat_template_kwargs": {"enable_thinking": False}}),
    "llama.cpp": ({"server": "llama.cpp"}, {"chat_template_kwargs": {"enable_thinking": False}}),
    "ollama": ({"server": "ollama"}, {"reasoning_effort": "none"}),
    "openrouter": ({"server": "openrouter"}, {"reasoning": {"enabled": False}}),
    "dashscope": ({"server": "dashscope", "api_key": "sk-1"}, {"enable_thinking": False}),
}


@pytest.mark.parametrize("name", SERVERS)
def test_each_server_is_told_of_thinking_in_its_own_words(own_qwen, sent, name):
    """And in no other's."""
    options, told = SERVERS[name]
    own_qwen(**options, enable_thinking=False).invoke("go")
    keys = {"enable_thinking", "chat_template_kwargs", "reasoning_effort", "reasoning"}
    assert {key: value for key, value in sent().items() if key in keys} == told


def test_the_template_is_told_once(own_qwen, sent):
    """What stands in extra_body is merged with what the options say."""
    own_qwen(enable_thinking=True, extra_body={"chat_template_kwargs": {"tone": "dry"}}).invoke("go")
    assert sent()["chat_template_kwargs"] == {"enable_thinking": True, "tone": "dry"}


@pytest.mark.parametrize(
    ("server_kind", "sent_as"),
    [
        ("vllm", {"thinking_token_budget": 9, "top_k": 3, "repetition_penalty": 1.1}),
        ("llama.cpp", {"top_k": 3, "repeat_penalty": 1.1}),
    ],
)
def test_other_options_have_the_servers_names(own_qwen, sent, recwarn, server_kind, sent_as):
    """Where a server has the option at all."""
    own_qwen(server=server_kind, thinking_budget=9, top_k=3, repetition_penalty=1.1).invoke("go")
    names = {"thinking_token_budget", "thinking_budget", "top_k", "repetition_penalty", "repeat_penalty"}
    assert {k: v for k, v in sent().items() if k in names} == sent_as
    assert [str(w.message) for w in recwarn] == [] or "has no thinking_budget" in str(recwarn[0].message)


def test_an_option_that_a_server_does_not_have_is_said(own_qwen, sent):
    """Not sent, and not passed over in silence."""
    with pytest.warns(UserWarning, match="has no enable_search"):
        own_qwen(enable_search=True).invoke("go")
    assert "enable_search" not in sent()


# --- sent back ---


def thought(text, reasoning, **fields):
    """An answer with thinking."""
    return AIMessage(text, additional_kwargs={"reasoning_content": reasoning}, **fields)


def two_turns():
    """A finished turn, and one within its tool loop."""
    call = {**CALL, "id": "call_1", "type": "tool_call"}
    return [
        SystemMessage("s"),
        HumanMessage("one"),
        thought("1", "first thought"),
        HumanMessage("two"),
        thought("", "second thought", tool_calls=[call]),
        ToolMessage("r", tool_call_id="call_1"),
    ]


def reasonings(body, name="reasoning_content"):
    """The thinking of each assistant message that was sent."""
    return [m.get(name) for m in body["messages"] if m["role"] == "assistant"]


@over_both
@all_ways
def test_thinking_goes_back_within_a_tool_loop_only(qwen, sent, way):
    """The model goes on with it there; of earlier turns it is dropped."""
    answer_by(way, qwen(enable_thinking=True), two_turns())
    assert reasonings(sent()) == [None, "second thought"]


@over_both
@pytest.mark.parametrize(
    ("model", "option", "expected"),
    [
        ("qwen3.7-plus", None, [None, "second thought"]),
        ("qwen3.7-plus", True, ["first thought", "second thought"]),
        ("qwen3.8-max", None, ["first thought", "second thought"]),
        ("qwen3.8-max", False, [None, "second thought"]),
    ],
)
def test_preserved_thinking_goes_back_whole(qwen, sent, model, option, expected):
    """As asked, or else as the model does by itself; what is sent and the switch agree."""
    qwen(model, preserve_thinking=option).invoke(two_turns())
    assert reasonings(sent()) == expected
    assert sent().get("preserve_thinking") == option


def test_servers_of_ones_own_read_it_under_either_name(own_qwen, sent):
    """vLLM dropped the older name in silence."""
    own_qwen().invoke(two_turns())
    assert reasonings(sent(), "reasoning") == reasonings(sent()) == [None, "second thought"]


@over_both
@all_ways
def test_thinking_in_blocks_goes_back_too(server, qwen, sent, way):
    """Content of output version v1 is blocks; no thinking gets into the text that is sent."""
    server.script(Reply(content="", reasoning="a thought", tool_calls=[{**CALL, "id": "call_1"}]))
    tools = [{"type": "function", "function": {"name": "f", "description": "F", "parameters": {"type": "object"}}}]
    model = qwen(enable_thinking=True, output_version="v1")
    first = answer_by(way, model, tools=tools)
    first.additional_kwargs.clear()
    answer_by(way, model, [HumanMessage("go"), first, ToolMessage("r", tool_call_id="call_1")], tools=tools)
    written = sent()["messages"][1]
    assert (written["content"], written["reasoning_content"]) == ("", "a thought")
    assert [c["function"]["name"] for c in written["tool_calls"]] == ["f"]


@over_both
def test_thinking_is_never_sent_as_content(qwen, sent):
    """Neither from blocks of this provider nor of another."""
    blocks = [
        {"type": "thinking", "thinking": "t1"},
        {"type": "reasoning", "reasoning": "t2"},
        {"type": "text", "text": "four"},
    ]
    qwen().invoke([HumanMessage("?"), AIMessage(blocks), HumanMessage("go")])
    assert sent()["messages"][1] == {"role": "assistant", "content": "four"}
