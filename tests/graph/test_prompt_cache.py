"""The explicit prompt cache: where marks stand, what they cost, and which models know them."""

import json
from typing import Any

import pytest
from langchain.agents import create_agent
from langchain_core.messages import AIMessage, HumanMessage
from langchain_core.runnables import RunnableLambda
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import StateGraph

from langchain_qwen_memory import (
    ChatQwen,
    InMemoryArchive,
    MemoryMiddleware,
    MemoryOptionError,
    MemoryState,
    RecallMemory,
    SummaryBufferMemory,
    WindowMemory,
    count_tokens,
    create_chat_graph,
    model_node,
    read_reports,
    recall_node,
    remember_node,
)
from langchain_qwen_memory.catalogue import price
from langchain_qwen_memory.dashscope import ChatDashScope
from langchain_qwen_memory.testing import LocalDashScope, Reply
from tests.media import picture

CONFIG: Any = {"configurable": {"thread_id": "t1"}}
RULES = "Answer politely, briefly, and in the language of the question, whatever happens. " * 120
"""A system text of about 1,800 tokens."""
LONG = "I went to the market and bought apples, pears, bread, cheese and a bunch of flowers. " * 40
TURNS = ["My cat is called Tom.", "What is my cat called?", "Thanks!", "I live in Hangzhou.", "Where do I live?"]


@pytest.fixture
def server():
    with LocalDashScope() as running:
        yield running


@pytest.fixture
def qwen(server):
    """Makes a model on the service."""

    def make(model="qwen-plus", **options):
        return ChatQwen(model=model, base_url=server.base_url, api_key=server.api_key, **options)

    return make


def chat(model, **options):
    options = {"memory": WindowMemory(), "system_prompt": RULES, "prompt_cache": "explicit", **options}
    return create_chat_graph(model, checkpointer=InMemorySaver(), **options)


def say(graph, *texts):
    return [graph.invoke({"messages": [HumanMessage(text)]}, CONFIG)["record"]["report"] for text in texts]


def marks(request):
    """Where marks stand: (message, block), in their order."""
    return [
        (at, number)
        for at, message in enumerate(request.messages)
        if isinstance(message["content"], list)
        for number, part in enumerate(message["content"])
        if "cache_control" in part
    ]


def texts(request):
    """The words of each message."""
    return [
        message["content"]
        if isinstance(message["content"], str)
        else "".join(part["text"] for part in message["content"])
        for message in request.messages
    ]


def test_it_is_off_by_default(qwen, server):
    """Nothing is marked unless it is asked for, and nothing is said of what was written."""
    reports = say(create_chat_graph(qwen(), system_prompt=RULES, checkpointer=InMemorySaver()), *TURNS)
    assert "cache_control" not in json.dumps([request.body for request in server.requests])
    assert not any("created_tokens" in report for report in reports)
    assert all(report["cost_otherwise"] > 0 for report in reports)


def test_marks_stand_where_the_next_view_agrees(qwen, server):
    """After the system text, after the turn before, after the newest question: three of the four."""
    say(chat(qwen()), *TURNS)
    assert marks(server.requests[0]) == [(0, 0), (1, 0)]
    assert marks(server.requests[2]) == [(0, 0), (4, 0), (5, 0)]
    assert all(
        part["cache_control"] == {"type": "ephemeral"}
        for message in server.requests[2].messages
        for part in message["content"]
        if isinstance(part, dict) and "cache_control" in part
    )


def test_marks_change_no_word(qwen, server):
    """What the model reads is the same with and without."""
    say(chat(qwen()), *TURNS)
    explicit = [texts(request) for request in server.requests]
    server.reset()
    say(chat(qwen(), prompt_cache="implicit"), *TURNS)
    assert explicit == [texts(request) for request in server.requests]


def test_the_report_says_what_was_written_and_read(qwen, server):
    """The first call writes the prompt; each later one reads all of the one before and writes what is new."""
    first, *later = say(chat(qwen()), *TURNS)
    usages = [request.usage["prompt_tokens_details"] for request in server.requests]
    assert (first["cached_tokens"], first["created_tokens"]) == (0, usages[0]["cache_creation_input_tokens"])
    assert first["created_tokens"] > first["input_tokens"] - 20
    before = first["created_tokens"]
    for report, usage in zip(later, usages[1:], strict=True):
        assert report["cached_tokens"] == usage["cached_tokens"] == before
        assert report["created_tokens"] == usage["cache_creation_input_tokens"] > 0
        before += report["created_tokens"]


def test_the_money_is_what_the_catalogue_says(qwen):
    """Prompt, hits and writes each at their list price; and beside it what the implicit cache would have cost."""
    tier = price("qwen-plus")
    for report in say(chat(qwen()), *TURNS):
        hits, made = report["cached_tokens"], report["created_tokens"]
        plain, answer = report["input_tokens"] - hits - made, report["output_tokens"] * tier.output
        cost = plain * tier.input + hits * tier.cache_hit_explicit + made * tier.cache_create + answer
        other = (plain + made) * tier.input + hits * tier.cache_hit + answer
        assert report["cost"] == pytest.approx(cost / 1e6)
        assert report["cost_otherwise"] == pytest.approx(other / 1e6)
        assert report["currency"] == "CNY"


def test_it_is_cheaper_than_the_implicit_cache_in_a_long_thread(qwen, server):
    """The same twelve turns: writes at 125 % are paid once, and each read costs half of an implicit hit."""
    questions = [f"{text} ({n})" for n in range(4) for text in TURNS[:3]]
    explicit = say(chat(qwen()), *questions)
    server.reset()
    implicit = say(chat(qwen(), prompt_cache="implicit"), *questions)
    paid, other = (sum(report["cost"] for report in reports) for reports in (explicit, implicit))
    assert sum(report["input_tokens"] for report in explicit) == sum(report["input_tokens"] for report in implicit)
    assert paid < 0.9 * other
    assert paid < sum(report["cost_otherwise"] for report in explicit)


def test_a_short_prompt_is_not_marked(qwen, server):
    """Less than 1,024 tokens are not kept by the service, so a mark would be wasted."""
    reports = say(chat(qwen(), system_prompt="Be kind."), *TURNS)
    assert "cache_control" not in json.dumps([request.body for request in server.requests])
    assert all(report["created_tokens"] == 0 for report in reports)
    assert all(report["cost"] < report["cost_otherwise"] for report in reports)


def test_each_mark_ends_a_prefix_that_is_long_enough(qwen, server):
    """Where the thread itself grows past 1,024 tokens, marks begin there."""
    say(chat(qwen(), system_prompt="Be kind."), LONG, "ok?", LONG, "ok?")
    for request in server.requests:
        for at, _ in marks(request):
            held = [
                AIMessage(text) if n % 2 == 0 else HumanMessage(text) for n, text in enumerate(texts(request)[: at + 1])
            ]
            assert count_tokens(held, model="qwen-plus") >= 1_000
    assert marks(server.requests[-1])


def test_a_new_summary_gets_a_mark(qwen, server):
    """Before each fold and after it the summary ends a marked block, system text another; never more than four."""
    server.script(
        *(Reply(content=f"Summary {n}: the user bought apples.") for n in range(9)),
        when=lambda body: "Merge the conversation above" in str(body["messages"][-1]["content"]),
    )
    memory = SummaryBufferMemory(trigger=("turns", 3), keep=("turns", 1))
    reports = say(chat(qwen(), memory=memory), *[f"{LONG} {n}" for n in range(8)])
    views = [one for one in server.requests if "Merge the conversation" not in str(one.messages[-1]["content"])]
    assert sum(report["folded"] for report in reports) > 3
    heads = [view.messages[0]["content"] for view in views]
    summed = [head for head in heads if len(head) == 2]
    assert len({head[1]["text"] for head in summed}) > 1
    assert all("cache_control" in part for head in summed for part in head)
    assert all("Summary" in head[1]["text"] and head[0]["text"] == RULES for head in summed)
    assert max(len(marks(view)) for view in views) == 4
    assert all(report["cached_tokens"] > 1_500 for report in reports[1:])


FOLDS = SummaryBufferMemory(trigger=("turns", 4), keep=("turns", 2))


def is_order(body):
    return "Merge the conversation" in str(body["messages"][-1]["content"])


def folded(server, graph, number=9):
    """Talks until there were folds; returns the reports and the summariser's requests."""
    server.script(*(Reply(content=f"Summary {n}: the user bought apples. " * 9) for n in range(9)), when=is_order)
    reports = say(graph, *[f"{LONG} {n}" for n in range(number)])
    orders = [one for one in server.requests if "Merge the conversation" in str(one.messages[-1]["content"])]
    assert len(orders) > 1
    return reports, orders


@pytest.mark.parametrize("protocol", ["compatible", "native"])
def test_the_summariser_reads_what_the_chat_wrote(qwen, server, protocol):
    """Its prompt is the chat's own up to the order, in the same blocks, marked: all a hit, nothing written."""
    model = qwen()
    if protocol == "native":
        model = ChatDashScope(model="qwen-plus", base_url=server.native_url, api_key=server.api_key)
    reports, orders = folded(server, chat(model, memory=FOLDS))
    for order in orders:
        assert marks(order)[-1][0] == len(order.messages) - 2
        used = order.usage["prompt_tokens_details"]
        prompt = order.usage.get("prompt_tokens") or order.usage["input_tokens"]
        assert used["cache_creation_input_tokens"] == 0
        assert used["cached_tokens"] > prompt - 300
    told = [report for report in reports if report["folded"]]
    assert [report["summary_cached_tokens"] for report in told] == [
        order.usage["prompt_tokens_details"]["cached_tokens"] for order in orders
    ]
    assert all(report["summary_created_tokens"] == 0 for report in told)


def test_what_a_fold_costs_is_counted_at_the_prices_of_that_cache(qwen, server):
    """Hits at a tenth; `saved` takes off what was paid, not the plain price."""
    reports, _ = folded(server, chat(qwen(), memory=FOLDS))
    tier = price("qwen-plus")
    for report in reports:
        if not report["folded"]:
            assert "summary_cost" not in report
            continue
        hits, made = report["summary_cached_tokens"], report["summary_created_tokens"]
        plain = report["summary_input_tokens"] - hits - made
        cost = plain * tier.input + hits * tier.cache_hit_explicit + made * tier.cache_create
        cost += report["summary_output_tokens"] * tier.output
        assert report["summary_cost"] == pytest.approx(cost / 1e6)
        assert report["summary_cost"] < 0.5 * report["summary_input_tokens"] * tier.input / 1e6


async def test_a_summariser_in_an_event_loop_and_in_an_agent_reads_it_too(qwen, server):
    """The same from `ainvoke`, and from `MemoryMiddleware`."""
    server.script(*(Reply(content="Summary: apples. " * 9) for _ in range(9)), when=is_order)
    memory = MemoryMiddleware(FOLDS, prompt_cache="explicit", archive=InMemoryArchive())
    agent = create_agent(qwen(), [weather], system_prompt=RULES, middleware=[memory], checkpointer=InMemorySaver())
    for graph in (agent, chat(qwen(), memory=FOLDS, tools=[weather])):
        server.clear()
        for n in range(7):
            await graph.ainvoke({"messages": [HumanMessage(f"{LONG} {n}")]}, CONFIG)
        orders = [one for one in server.requests if "Merge the conversation" in str(one.messages[-1]["content"])]
        assert orders
        for order in orders:
            used = order.usage["prompt_tokens_details"]
            assert used["cached_tokens"] > order.usage["prompt_tokens"] - 300
            assert used["cache_creation_input_tokens"] == 0


def test_a_summariser_of_its_own_is_not_marked(qwen, server):
    """Another model shares no cache with the chat's, and is priced by its own list."""
    memory = SummaryBufferMemory(model=qwen("qwen-flash"), trigger=("turns", 4), keep=("turns", 2))
    reports, orders = folded(server, chat(qwen(), memory=memory))
    assert not any(marks(order) for order in orders)
    tier, told = price("qwen-flash"), next(report for report in reports if report["folded"])
    hits = told["summary_cached_tokens"]
    cost = (told["summary_input_tokens"] - hits) * tier.input + hits * tier.cache_hit
    assert told["summary_cost"] == pytest.approx((cost + told["summary_output_tokens"] * tier.output) / 1e6)


def test_a_question_with_recalled_turns_is_not_marked(qwen, server):
    """The next view shows it without them, so what a mark there would write is never read."""
    memory = [WindowMemory(trigger=("turns", 2)), RecallMemory()]
    graph = chat(qwen(), memory=memory, archive=InMemoryArchive())
    say(graph, "My cat is called Tom.", "Good day", "Nice", "Fine", "What is my cat called?")
    last = server.requests[-1]
    assert "My cat is called Tom." in texts(last)[-1]
    assert (len(last.messages) - 1, 0) not in marks(last)
    assert marks(last)


def weather(city: str) -> str:
    """Weather of a city."""
    return f"{city}: sunny"


def test_a_tool_loop_reads_what_it_wrote(qwen, server):
    """The second call of a turn finds the first one's whole prompt, tools included."""
    call = {"name": "weather", "args": {"city": "Hangzhou"}}
    again = {**call, "args": {"city": "Beijing"}}
    server.script(Reply(tool_calls=[call]), Reply(tool_calls=[again]), Reply(content="ok"))
    say(chat(qwen(), tools=[weather]), "What is the weather?")
    used = [request.usage["prompt_tokens_details"] for request in server.requests]
    assert used[0]["cached_tokens"] == 0
    assert used[1]["cached_tokens"] == used[0]["cache_creation_input_tokens"]
    assert used[2]["cached_tokens"] > used[1]["cached_tokens"]


def test_marks_of_ones_own_count_among_the_four(qwen, server):
    """A mark that stands in a message stays, and the view has no more than four with it."""
    own = [{"type": "text", "text": LONG, "cache_control": {"type": "ephemeral"}}]
    graph = chat(qwen())
    for content in (own, own, own, "and now?"):
        graph.invoke({"messages": [HumanMessage(content)]}, CONFIG)
    assert len(marks(server.requests[-1])) == 4
    assert {(1, 0), (3, 0), (5, 0)} < set(marks(server.requests[-1]))


def test_a_picture_in_the_prefix_is_read_from_the_cache(qwen, server):
    """A mark after a picture covers it; the price of pictures is that of text here."""
    graph = chat(qwen("qwen3.7-plus"))
    graph.invoke({"messages": [HumanMessage([picture(), {"type": "text", "text": "?"}])]}, CONFIG)
    (report,) = say(graph, "and now?")
    assert report["cached_tokens"] > 300
    assert report["cost"] < report["cost_otherwise"]


def test_the_stored_thread_has_no_marks(qwen):
    """Marks belong to a call: what is kept is what was said."""
    graph = chat(qwen())
    say(graph, *TURNS)
    assert "cache_control" not in str(graph.get_state(CONFIG).values)


def test_the_same_over_dashscopes_own_protocol(qwen, server):
    """Marks, counts and money are the same over either protocol."""
    reports = say(chat(qwen()), *TURNS)
    placed = [marks(request) for request in server.requests]
    server.reset()
    own = ChatDashScope(model="qwen-plus", base_url=server.native_url, api_key=server.api_key)
    again = say(chat(own), *TURNS)
    assert placed == [marks(request) for request in server.requests]
    for name in ("input_tokens", "cached_tokens", "created_tokens", "cost", "cost_otherwise"):
        assert [report[name] for report in reports] == [report[name] for report in again]


def test_middleware_marks_too(qwen, server):
    """`MemoryMiddleware(prompt_cache="explicit")` does the same in an agent."""
    agent = create_agent(
        qwen(),
        system_prompt=RULES,
        middleware=[MemoryMiddleware(prompt_cache="explicit")],
        checkpointer=InMemorySaver(),
    )
    for text in TURNS:
        agent.invoke({"messages": [HumanMessage(text)]}, CONFIG)
    assert marks(server.requests[2]) == [(0, 0), (4, 0), (5, 0)]
    newest = read_reports(agent, CONFIG)[-1]
    assert newest["cached_tokens"] > newest["created_tokens"] > 0
    assert newest["cost"] < newest["cost_otherwise"]


def test_nodes_of_ones_own_mark_too(qwen, server):
    """All three nodes take the option."""
    parts: dict[str, Any] = {"memory": WindowMemory(), "system_prompt": RULES, "prompt_cache": "explicit"}
    graph = StateGraph(MemoryState)
    for name, node in (("recall", recall_node), ("model", model_node), ("remember", remember_node)):
        graph.add_node(name, node(qwen(), **parts))
    graph.set_entry_point("recall")
    graph.add_edge("recall", "model")
    graph.add_edge("model", "remember")
    reports = say(graph.compile(checkpointer=InMemorySaver()), *TURNS)
    assert marks(server.requests[2]) == [(0, 0), (4, 0), (5, 0)]
    assert reports[-1]["created_tokens"] > 0


@pytest.mark.parametrize(
    ("model", "words"),
    [
        ("qwen-turbo", r"'qwen-turbo' has no explicit cache .* region 'beijing'.*qwen3.7-plus, qwen-plus"),
        ("qwen3-omni-flash", "'qwen3-omni-flash' has no explicit cache"),
        ("qwen-unheard-of", r"\(a name that the catalogue does not know\) has no explicit cache"),
    ],
)
def test_a_model_without_that_cache_is_refused(qwen, server, model, words):
    """By the catalogue, when the graph is made; in an agent at the first call, before anything is sent."""
    with pytest.raises(MemoryOptionError, match=words):
        chat(qwen(model))
    agent = create_agent(qwen(model), middleware=[MemoryMiddleware(prompt_cache="explicit")])
    with pytest.raises(MemoryOptionError, match=words):
        agent.invoke({"messages": "hi"}, CONFIG)
    assert server.requests == []


def test_what_cannot_be_known_to_have_it_is_refused(server):
    """A server of one's own, a function, another word than the two."""
    own = ChatQwen(model="qwen-plus", base_url=server.plain_url, server="vllm")
    with pytest.raises(MemoryOptionError, match="has no explicit cache"):
        chat(own)
    with pytest.raises(MemoryOptionError, match="no chat model was found in RunnableLambda"):
        chat(RunnableLambda(lambda _: "hi"))
    with pytest.raises(MemoryOptionError, match='prompt_cache=\'always\' is neither "implicit" nor "explicit"'):
        chat(own, prompt_cache="always")
