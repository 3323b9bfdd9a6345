"""One conversation over both of the service's protocols: the same answers, thread and report, and one may go on."""

import asyncio
from typing import Any

import pytest
from langchain_core.messages import AIMessage, HumanMessage
from langgraph.checkpoint.memory import InMemorySaver

from langchain_qwen_memory import (
    ChatDashScope,
    ChatQwen,
    InMemoryArchive,
    RecallMemory,
    SummaryBufferMemory,
    WindowMemory,
    create_chat_graph,
    read_reports,
    transcript,
)
from langchain_qwen_memory.testing import LocalDashScope, Reply
from tests.media import picture
from tests.qwen.ways import BOTH, flat

CONFIG: Any = {"configurable": {"thread_id": "t1"}}
ALICE: Any = {"user_id": "alice"}
TIMES = {"at"}
"""What a report says of the clock, not of the conversation."""
CACHE = {"cached_tokens", "saved", "cost", "cost_otherwise"}
"""What hangs on the service's cache, which the local one keeps by the bytes of a picture's part."""

MEMORIES = {
    "window": lambda: WindowMemory(trigger=("turns", 4), keep=("turns", 2)),
    "summary": lambda: SummaryBufferMemory(trigger=("turns", 4), keep=("turns", 2)),
    "recall": lambda: [WindowMemory(trigger=("turns", 4), keep=("turns", 2)), RecallMemory(k=2)],
}
"""Each memory, small enough that it has something to do in ten turns."""


def weather(city: str) -> str:
    """The weather in a city."""
    return f"{city}：晴，24 度"


QUESTIONS = [
    [HumanMessage("我叫小明，对花生过敏。")],
    [HumanMessage([{"type": "text", "text": "图里是什么？"}, picture()])],
    [HumanMessage("杭州天气怎么样？")],
    [HumanMessage("上海和北京呢？")],
    [HumanMessage("9.11 和 9.9 哪个大？")],
    [HumanMessage("我住在杭州西湖区。")],
    [HumanMessage("周末做什么？")],
    [HumanMessage("再想想。")],
    [HumanMessage("刚才那张图里有什么？")],
    [HumanMessage("我对什么过敏？")],
]


def script(server):
    """What the model says; the summariser's answers come from the server's stand-in."""

    def call(city, n):
        return {"name": "weather", "args": {"city": city}, "id": f"call_{n}"}

    def is_chat(body):
        return bool(body.get("tools"))

    replies = [
        Reply(content="记住了。", reasoning="他告诉我一件事。"),
        Reply(content="一只灰色的猫。", reasoning="看看图。"),
        Reply(content="我查一下。", reasoning="要查天气。", tool_calls=[call("杭州", 1)]),
        Reply(content="杭州晴。", reasoning="有了。"),
        Reply(reasoning="两个城市。", tool_calls=[call("上海", 2), call("北京", 3)]),
        Reply(content="都是晴天。", reasoning="有了。"),
        *(Reply(content=f"回答 {n} 🙂。", reasoning=f"想 {n}。") for n in range(6)),
    ]
    server.script(*replies, when=is_chat)


def model_over(protocol, server, **options):
    """The same model by either protocol."""
    options = {"model": "qwen3.7-plus", "api_key": "sk-local", **options}
    if protocol == "native":
        return ChatDashScope(base_url=server.native_url, **options)
    return ChatQwen(base_url=server.base_url, **options)


class Talk:
    """A conversation with a server of its own."""

    def __init__(self, server, memory):
        self.server, self.memory = server, memory
        self.saver, self.archive = InMemorySaver(), InMemoryArchive()
        script(server)

    def graph(self, protocol):
        """The graph over a protocol; all of them share thread and archive."""
        return create_chat_graph(
            model_over(protocol, self.server),
            memory=MEMORIES[self.memory](),
            tools=[weather],
            system_prompt="你是一个助手。",
            archive=self.archive,
            checkpointer=self.saver,
        )

    def hold(self, *protocols, way="invoke"):
        """Asks all questions, each over the next of the protocols."""
        graphs = {protocol: self.graph(protocol) for protocol in set(protocols)}
        for n, question in enumerate(QUESTIONS):
            ask(graphs[protocols[n % len(protocols)]], question, way)
        return graphs[protocols[0]]

    def kept(self, graph, *, cache=True):
        """All that is left of it: whole thread, live state, reports; with or without what the service's cache did."""
        left_out = TIMES if cache else TIMES | CACHE
        turns = transcript(graph, CONFIG, context=ALICE)
        whole = [shown(message, cache=cache) for turn in turns for message in turn.messages]
        live = [shown(message, cache=cache) for message in graph.get_state(CONFIG).values["messages"]]
        reports = [dict(one) for one in read_reports(graph, CONFIG)]
        return {
            "whole": whole,
            "live": live,
            "reports": [{k: v for k, v in one.items() if k not in left_out} for one in reports],
        }

    def prompts(self):
        """What the chat's model saw in each call, in the compatible protocol's form."""
        bodies = [flat(one.body) for one in self.server.requests if flat(one.body).get("tools")]
        return [[said(message) for message in body["messages"]] for body in bodies]


def ask(graph, question, way):
    """One turn, in one of four ways."""
    given = {"messages": [message.model_copy(deep=True) for message in question]}
    if way == "invoke":
        graph.invoke(given, CONFIG, context=ALICE)
    elif way == "stream":
        list(graph.stream(given, CONFIG, context=ALICE, stream_mode="messages"))
    elif way == "ainvoke":
        asyncio.run(graph.ainvoke(given, CONFIG, context=ALICE))
    else:

        async def go():
            async for _ in graph.astream(given, CONFIG, context=ALICE, stream_mode="messages"):
                pass

        asyncio.run(go())


def shown(message, *, cache=True):
    """A message without the ids and times that every run makes anew."""
    about = {"type": message.type, "content": message.content}
    if isinstance(message, AIMessage):
        about |= {
            "thinking": message.additional_kwargs.get("reasoning_content"),
            "calls": [(call["id"], call["name"], call["args"]) for call in message.tool_calls],
            "blocks": [(block["type"], block.get("text")) for block in message.content_blocks],
            "usage": {k: v for k, v in message.usage_metadata.items() if cache or k != "input_token_details"},
            "finish": message.response_metadata.get("finish_reason"),
        }
    return about


def said(message):
    """A message on the wire, parts by what they carry."""
    content = message["content"]
    if isinstance(content, list):
        parts = ["" if part.get("type") == "text" or "text" in part else "<picture>" for part in content]
        content = "".join(mark or part["text"] for mark, part in zip(parts, content, strict=True))
    calls = [call["function"]["arguments"] for call in message.get("tool_calls") or ()]
    return (message["role"], content, message.get("reasoning_content"), calls)


@pytest.fixture
def talks():
    """Makes conversations, each with a server of its own."""
    running = []

    def make(memory):
        running.append(LocalDashScope().start())
        return Talk(running[-1], memory)

    yield make
    for server in running:
        server.stop()


@pytest.mark.parametrize("way", ["invoke", "stream", "ainvoke", "astream"])
@pytest.mark.parametrize("memory", MEMORIES)
def test_a_conversation_is_the_same_over_both(talks, memory, way):
    """Text, thinking, tools and a picture: what the model saw, what is stored and what is reported are equal."""
    one, other = talks(memory), talks(memory)
    kept = one.kept(one.hold("compatible", way=way))
    also = other.kept(other.hold("native", way=way))
    assert one.prompts() == other.prompts()
    assert kept == also
    assert len(kept["whole"]) > 2 * len(QUESTIONS)
    assert any(report.get("folded") or report.get("kept", 99) <= 4 for report in kept["reports"])


@pytest.mark.parametrize("order", [BOTH, BOTH[::-1]])
@pytest.mark.parametrize("memory", MEMORIES)
def test_a_thread_goes_on_over_the_other_protocol(talks, memory, order):
    """Turn by turn from one to the other and back it is the thread that it would have been over one alone."""
    alone, mixed = talks(memory), talks(memory)
    kept = alone.kept(alone.hold("compatible"), cache=False)
    also = mixed.kept(mixed.hold(*order), cache=False)
    assert mixed.prompts() == alone.prompts()
    assert also == kept
    paths = {request.path.rpartition("/v1")[0] for request in mixed.server.requests}
    assert len(paths) == 2


@pytest.mark.parametrize(("first", "second"), [BOTH, BOTH[::-1]])
def test_a_tool_loop_begun_over_one_is_finished_over_the_other(first, second):
    """The call's thinking goes back with its result, as within one protocol."""
    question = HumanMessage("杭州天气怎么样？")
    with LocalDashScope() as server:
        server.script(Reply(reasoning="要查。", tool_calls=[{"name": "weather", "args": {"city": "杭州"}}]))
        called = model_over(first, server).bind_tools([weather]).invoke([question])
        result = {"role": "tool", "tool_call_id": called.tool_calls[0]["id"], "content": "晴"}
        answer = model_over(second, server).bind_tools([weather]).invoke([question, called, result])
        sent = flat(server.requests[-1].body)["messages"]
    assert answer.text
    assert sent[1]["reasoning_content"] == called.additional_kwargs["reasoning_content"]
    assert sent[1]["tool_calls"][0]["id"] == sent[2]["tool_call_id"]
