"""A model object's life: threads, event loops, connections, copies, what it knows of itself."""

import asyncio
import gc
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest
from langchain_core.caches import InMemoryCache
from langchain_core.load import dumpd, load
from langchain_core.messages import AIMessage, HumanMessage, ToolMessage
from langchain_core.runnables import ConfigurableField
from langchain_core.tracers.base import BaseTracer

from langchain_qwen_memory.catalogue import model_info
from langchain_qwen_memory.chat_models import ChatQwen
from langchain_qwen_memory.testing import Fault, Reply
from langchain_qwen_memory.tokens import count_text, count_tokens
from tests.qwen.ways import all_ways, answer_by, over_both


@over_both
@pytest.mark.parametrize("rounds", [3])
def test_one_object_serves_one_event_loop_after_another(qwen, rounds):
    """As scripts and web servers do; open connections of a closed loop are not used again."""
    model = qwen()
    for _ in range(rounds):
        assert asyncio.run(model.ainvoke("go")).text


@over_both
def test_one_object_serves_event_loops_of_several_threads(qwen):
    """At the same time."""
    model = qwen()
    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(lambda i: asyncio.run(model.ainvoke(str(i))).text, range(8)))
    assert all(answers)


@over_both
def test_two_objects_share_no_client(qwen):
    """Closing one, or another loop's end, does not touch the other."""
    one, other = qwen(), qwen()
    assert one.invoke("go")
    one._clients.sync.close()
    assert other.invoke("go")


@over_both
def test_connections_are_used_again(qwen, server):
    """Five calls of one kind come over one connection each, streams included."""
    opened = []
    listener = server._listener
    process = listener.process_request

    def counted(request, address):
        opened.append(address)
        return process(request, address)

    listener.process_request = counted
    model = qwen()
    for _ in range(3):
        answer_by("invoke", model)
        answer_by("stream", model)

    async def several():
        for _ in range(3):
            await model.ainvoke("go")
            async for _ in model.astream("go"):
                pass

    asyncio.run(several())
    assert len(opened) == 2


@over_both
def test_a_loops_end_closes_its_connections(qwen, recwarn):
    """Nothing is left open for the garbage collector to complain about."""
    asyncio.run(qwen().ainvoke("go"))
    gc.collect()
    assert not [warning for warning in recwarn if issubclass(warning.category, ResourceWarning)]


@over_both
@pytest.mark.parametrize("way", ["stream", "astream"])
def test_a_stream_may_be_left(server, qwen, way):
    """The connection is dropped at once, and the next call works."""
    model = qwen()
    server.script(Reply(content="word " * 200))
    if way == "stream":
        stream = model.stream("go")
        next(stream)
        stream.close()
    else:

        async def leave():
            stream = model.astream("go")
            await anext(stream)
            await stream.aclose()

        asyncio.run(leave())
    assert model.invoke("go").text


class Watched(ThreadPoolExecutor):
    """An event loop's threads, and what was given to them."""

    def __init__(self):
        super().__init__()
        self.given = set()

    def submit(self, fn, /, *args, **kwargs):
        self.given.add(getattr(fn, "__name__", str(fn)))
        return super().submit(fn, *args, **kwargs)


@over_both
def test_async_calls_do_not_wait_in_threads(qwen):
    """Beside the event loop nothing is done but what the HTTP client asks of the machine: its platform, an address."""
    threads = Watched()
    model = qwen("qwen3-32b")

    async def many():
        asyncio.get_running_loop().set_default_executor(threads)
        await asyncio.gather(*(model.ainvoke("go") for _ in range(5)))
        async for _ in model.astream("go"):
            pass

    asyncio.run(many())
    assert not [task for task in threads.given if "getaddrinfo" not in task and "get_platform" not in task]


@over_both
def test_connections_are_closed_when_asked_and_opened_again(qwen):
    """By `close` those of synchronous calls, by `aclose` those of the running loop."""
    model = qwen()
    assert model.invoke("go").text
    before = model._clients.sync
    model.close()
    assert model._clients._is_shut(before)
    assert model.invoke("go").text
    model.close()

    async def go():
        assert (await model.ainvoke("go")).text
        client = await model._clients.of_this_loop()
        await model.aclose()
        assert model._clients._is_shut(client)
        assert (await model.ainvoke("go")).text

    asyncio.run(go())


@over_both
def test_a_cancelled_call_ends(qwen, server):
    """Waiting for an answer that never comes can be given up."""
    server.misbehave(Fault.hang())

    async def give_up():
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(qwen().ainvoke("go"), 0.2)

    asyncio.run(give_up())


@over_both
@all_ways
def test_options_can_be_configured_later(qwen, sent, way):
    """With LangChain's configurable fields; a copy calls where it says."""
    model = qwen().configurable_fields(
        model_name=ConfigurableField(id="model"), enable_thinking=ConfigurableField(id="thinking")
    )
    answer_by(way, model.with_config(configurable={"model": "qwen-flash", "thinking": True}))
    assert (sent()["model"], sent()["enable_thinking"]) == ("qwen-flash", True)


def test_a_key_can_be_configured_later(qwen, server):
    """A copy with another key does not call with the old one."""
    model = qwen().configurable_fields(openai_api_key=ConfigurableField(id="key"))
    model.with_config(configurable={"key": "sk-new"}).invoke("go")
    assert server.requests[-1].headers["authorization"] == "Bearer sk-new"


@pytest.mark.filterwarnings("ignore:.*is in beta:langchain_core._api.beta_decorator.LangChainBetaWarning")
def test_it_is_written_down_without_its_key_and_loaded_again(monkeypatch, qwen):
    """The key comes from the variable then."""
    monkeypatch.setenv("DASHSCOPE_API_KEY", "sk-of-the-variable")
    model = qwen(enable_thinking=True, api_key="sk-secret")
    again = load(
        dumpd(model), allowed_objects=[ChatQwen], valid_namespaces=["langchain_qwen_memory"], secrets_from_env=True
    )
    assert again.enable_thinking is True
    assert again.openai_api_key.get_secret_value() == "sk-of-the-variable"


@over_both
def test_a_cache_tells_calls_apart_by_qwens_options(qwen, server):
    """An answer without thinking is not given for one with."""
    cache = InMemoryCache()
    for options in ({}, {"enable_thinking": True}, {"enable_thinking": True}, {"top_k": 1}):
        qwen(cache=cache, **options).invoke("go")
    assert len(server.requests) == 3


class Trace(BaseTracer):
    """Keeps what LangChain traces."""

    def __init__(self):
        super().__init__()
        self.kept = []

    def _persist_run(self, run):
        self.kept.append(run)


@over_both
@all_ways
def test_traces_name_the_provider_and_hold_no_key(qwen, way):
    """Of the object or of the call."""
    trace = Trace()
    model = qwen(api_key="sk-secret-1").with_config(callbacks=[trace])
    answer_by(way, model, api_key="sk-secret-2", enable_thinking=True)
    run = trace.kept[0]
    assert run.extra["metadata"]["ls_provider"] == "qwen"
    assert run.extra["metadata"]["ls_model_name"] == "qwen-plus"
    assert run.extra["invocation_params"]["enable_thinking"] is True
    assert "sk-secret" not in repr(run.extra) + repr(run.serialized) + repr(run.outputs)


# --- what it knows ---


@pytest.mark.parametrize("model", ["qwen-plus", "qwen3.7-plus", "qwq-plus", "qwen3.8-omni-flash"])
def test_the_profile_is_the_catalogues(model):
    """LangChain's fractions of a window go by it."""
    profile, info = ChatQwen(model=model, api_key="k").profile, model_info(model)
    assert profile["max_input_tokens"] == info.max_input
    assert profile["max_output_tokens"] == info.max_output
    assert profile["image_inputs"] is ("image" in info.inputs)
    assert profile["audio_inputs"] is ("audio" in info.inputs)
    assert profile["reasoning_output"] is (info.thinking != "never")
    assert profile["structured_output"] is info.json_schema


def test_an_unknown_model_has_no_profile():
    """Nothing is made up."""
    assert ChatQwen(model="my-finetune", api_key="k").profile is None


def test_tokens_are_counted_with_the_models_own_vocabulary():
    """Offline, template and tools included."""
    model = ChatQwen(model="qwen3.7-plus", api_key="k")
    assert model.get_num_tokens("今天天气怎么样？") == count_text("今天天气怎么样？", model="qwen3.7-plus")
    assert len(model.get_token_ids("今天天气怎么样？")) == model.get_num_tokens("今天天气怎么样？")
    messages = [HumanMessage("你好")]
    assert model.get_num_tokens_from_messages(messages) == count_tokens(messages, model="qwen3.7-plus")


@over_both
def test_counted_tokens_are_the_ones_that_are_billed(qwen):
    """What is counted beforehand is what usage says, within a tool loop with thinking too."""
    model = qwen(enable_thinking=True)
    call = {"name": "f", "args": {"a": 1}, "id": "c", "type": "tool_call"}
    thought = AIMessage("", tool_calls=[call], additional_kwargs={"reasoning_content": "I must look."})
    messages = [HumanMessage("你好"), thought, ToolMessage("done", tool_call_id="c")]
    assert model.get_num_tokens_from_messages(messages) == model.invoke(messages).usage_metadata["input_tokens"]


@all_ways
def test_usage_has_its_details(server, qwen, way):
    """Read from the cache, written to it, and thought."""
    usage = {
        "prompt_tokens": 100,
        "completion_tokens": 20,
        "total_tokens": 120,
        "prompt_tokens_details": {"cached_tokens": 60, "cache_creation_input_tokens": 30, "audio_tokens": 5},
        "completion_tokens_details": {"reasoning_tokens": 12},
    }
    server.script(Reply(content="a", usage=usage))
    assert answer_by(way, qwen()).usage_metadata == {
        "input_tokens": 100,
        "output_tokens": 20,
        "total_tokens": 120,
        "input_token_details": {"cache_read": 60, "cache_creation": 30, "audio": 5},
        "output_token_details": {"reasoning": 12},
    }


def test_usage_that_is_told_with_every_piece_is_not_added_up(server, own_qwen):
    """Some servers repeat it, growing, with each chunk."""

    def piece(n, finish=None):
        usage = {"prompt_tokens": 5, "completion_tokens": n, "total_tokens": 5 + n}
        return {"choices": [{"index": 0, "delta": {"content": "a"}, "finish_reason": finish}], "usage": usage}

    server.script(Reply(chunks=[piece(1), piece(2), piece(3, "stop")]))
    assert answer_by("stream", own_qwen()).usage_metadata["output_tokens"] == 3


@all_ways
def test_the_answers_origin_is_told_once(qwen, way):
    """Model, reason to stop and id, not doubled by summing up."""
    told = answer_by(way, qwen()).response_metadata
    assert told["model_name"] == "qwen-plus"
    assert told["finish_reason"] == "stop"
    assert told["model_provider"] == "qwen"
    assert told["id"].count("chatcmpl") == 1


def test_importing_the_package_does_not_import_the_model():
    """Only its use does."""
    heavy = ("openai", "langchain_openai", "tiktoken", "httpx", "dashscope")
    code = f"import sys, langchain_qwen_memory; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
