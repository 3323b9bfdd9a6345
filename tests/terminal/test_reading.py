"""`qwen-memory threads`, `show` and `report`: what is there, what was said, what memory did."""

import re

import pytest
from rich.cells import cell_len

from langchain_qwen_memory.archive import SqliteArchive
from langchain_qwen_memory.testing import Reply
from tests.archive.contract import fill
from tests.terminal.conftest import lines

FACTS = [
    f"Fact {number}: the box KM-300{number} holds {number} green lamps and a long blue rope." for number in range(1, 9)
]


@pytest.fixture
def folded(talk):
    """Eight turns, the older of which are folded and archived, and a ninth that recalls one."""
    return talk(*FACTS, "What does the box KM-3001 hold?", options=("--trigger", "400"))


def test_threads_are_listed_newest_first(run, talk):
    """With how many turns they have, and since when; in both languages."""
    talk("I live in Hangzhou.", "I like tea.")
    talk("The order is KM-3000.", thread="work")
    done = run("threads", "--archive", "t.db")
    assert re.findall(r"^(work|trip) +(\d)", done.out, re.MULTILINE) == [("work", "1"), ("trip", "2")]
    assert run("threads", "--archive", "t.db", "--lang", "zh").out.split()[:2] == ["会话", "轮次"]


def test_threads_as_json(run, talk):
    """A line each, with user, thread, turns, first and last."""
    talk("I live in Hangzhou.", "I like tea.")
    (one,) = lines(run("threads", "--archive", "t.db", "--json"))
    assert {name: one[name] for name in ("user", "thread", "turns")} == {"user": "", "thread": "trip", "turns": 2}
    assert one["first"] <= one["last"]


def test_whoever_has_no_threads_is_told_who_has_some(run, talk):
    """Most likely --user was forgotten."""
    talk("Hello.", options=("--user", "anna"))
    assert "These users have threads: anna" in run("threads", "--archive", "t.db").out
    assert "anna" in run("threads", "--archive", "t.db", "--all-users").out.splitlines()[1]
    missing = run("show", "journey", "--archive", "t.db")
    assert (missing.code, "These users have threads: anna" in missing.err) == (1, True)


def test_a_transcript_is_live_and_archived_turns_as_one(run, folded):
    """Turns that left the window stand before those that are live, each once, oldest first."""
    done = run("show", "trip", "--archive", "t.db", "--all")
    assert re.findall(r"^You: (Fact \d)", done.out, re.MULTILINE) == [f"Fact {number}" for number in range(1, 9)]
    turns = lines(run("show", "trip", "--archive", "t.db", "--all", "--json"))
    assert [one["turn"] for one in turns] == list(range(1, 10))
    assert [one["live"] for one in turns] == sorted(one["live"] for one in turns)
    assert not turns[0]["live"]
    assert turns[-1]["live"]
    assert turns[0]["messages"][0] == {"role": "user", "text": FACTS[0]}
    assert turns[0]["at"] is not None


def test_a_transcript_comes_in_pages(run, folded):
    """Each page says how to get the one before it, and together they are all of it."""
    page = run("show", "trip", "--archive", "t.db", "--limit", "4")
    assert re.findall(r"^#(\d)", page.out, re.MULTILINE) == ["6", "7", "8", "9"]
    command = re.search(r"older: qwen-memory (.*)", page.out)[1]
    before = run(*command.split(), "--limit", "4")
    assert re.findall(r"^#(\d)", before.out, re.MULTILINE) == ["2", "3", "4", "5"]
    assert "older" not in run("show", "trip", "--archive", "t.db", "--before", "2").out


def test_a_thread_of_an_archive_alone_is_shown(run, home):
    """Where checkpoints are elsewhere, or the thread was imported."""
    with SqliteArchive(home / "a.db") as archive:
        fill(archive, "", "t", [f"question {number}" for number in range(120)])
    assert len(lines(run("show", "t", "--archive", "a.db", "--all", "--json"))) == 120
    assert "no checkpoints of this thread" in run("report", "t", "--archive", "a.db").out
    assert run("report", "t", "--archive", "a.db", "--json").out == ""


def test_tools_and_thinking_are_told(run, server, home):
    """In JSON as data; a tool's call and result as a line each for people."""
    from langchain_core.messages import AIMessage, HumanMessage, ToolMessage

    from langchain_qwen_memory.archive import root_key
    from tests.archive.contract import turn

    call = {"name": "look", "args": {"part": "KM-3000"}, "id": "c1", "type": "tool_call"}
    messages = (
        HumanMessage("Where is it?"),
        AIMessage("", tool_calls=[call], additional_kwargs={"reasoning_content": "I look."}),
        ToolMessage("shelf 7", tool_call_id="c1"),
        AIMessage("On shelf 7."),
    )
    with SqliteArchive(home / "a.db") as archive:
        archive.append("", "t", [turn(root_key("", "t"), *messages)])
    people = run("show", "t", "--archive", "a.db").out
    assert "→ look(part='KM-3000')" in people
    assert "← shelf 7" in people
    (told,) = lines(run("show", "t", "--archive", "a.db", "--json"))
    assert told["messages"][1]["tool_calls"] == [{"name": "look", "args": {"part": "KM-3000"}, "id": "c1"}]
    assert told["messages"][1]["thinking"] == "I look."
    assert told["messages"][2]["tool_call_id"] == "c1"


def test_a_report_has_a_line_per_turn_and_its_parts_add_up(run, folded, server):
    """The parts of each view are together what was sent, as the provider counted it."""
    told = lines(run("report", "trip", "--archive", "t.db", "--json"))
    assert [one["turn"] for one in told] == list(range(1, 10))
    assert all(sum(one["parts"].values()) == one["view"] for one in told)
    assert any(one["parts"]["summary"] for one in told)
    assert any(one["folded"] for one in told)
    assert told[-1]["sent"] == server.requests[-1].usage["prompt_tokens"]
    assert all(quote["turn"] < 9 for quote in told[-1]["recalled"])
    shown = run("report", "trip", "--archive", "t.db").out
    assert re.findall(r"^ +(\d) ", shown, re.MULTILINE) == [str(number) for number in range(1, 10)]
    assert re.search(r"full bar is .* tokens", shown)


@pytest.mark.parametrize("language", ["zh", "en"])
@pytest.mark.parametrize("width", [40, 80])
def test_a_report_fits_the_terminal(run, folded, width, language):
    """No line is wider than the terminal, however narrow; bars are to scale."""
    from langchain_qwen_memory.terminal.reports import drawn
    from langchain_qwen_memory.terminal.say import Say
    from tests.test_cli import drawn as printed

    told = lines(run("report", "trip", "--archive", "t.db", "--json"))
    shown = printed(drawn(told, Say(language), colour=False, width=width), width=width)
    assert max(cell_len(line) for line in shown.splitlines()) <= width
    bars = [len(re.findall(r"[█▓▒◆●]", line)) for line in shown.splitlines() if re.match(r" +\d ", line)]
    assert len(bars) == 9
    largest = max(one["view"] for one in told)
    for bar, one in zip(bars, told, strict=True):
        assert abs(bar - max(bars) * one["view"] / largest) <= 3


def test_a_thread_of_another_user_is_not_shown(run, talk):
    """Neither its words nor its numbers."""
    talk("My parking place is 77.", options=("--user", "anna"))
    for command in ("show", "report"):
        done = run(command, "trip", "--archive", "t.db", "--user", "ben")
        assert done.code == 1
        assert "begun by another user" in done.err
        assert "77" not in done.out + done.err


def test_what_an_archive_holds_cannot_steer_the_terminal(run, talk, server):
    """Escape sequences, and marks that turn lines around, are taken out; in JSON they are escaped."""
    server.script(Reply(content="a\x1b]0;title\x07b\x1b[2Jc\u202ed\x9b1m"))
    talk("Say\x1b[31m something.", thread="odd\x1b[31m")
    for words in (["threads"], ["show", "odd\x1b[31m"], ["report", "odd\x1b[31m"], ["show", "nope\x1b[31m"]):
        done = run(*words, "--archive", "t.db")
        assert not set("\x1b\x07\x9b\u202e") & set(done.out + done.err)
    done = run("show", "odd\x1b[31m", "--archive", "t.db", "--json")
    assert not set("\x1b\x07\x9b\u202e") & set(done.out)
    assert lines(done)[0]["messages"][1]["text"] == "a\x1b]0;title\x07b\x1b[2Jc\u202ed\x9b1m"


def test_reading_makes_nothing(run, home):
    """A file that is not there stays away; an archive without checkpoints gets none."""
    done = run("threads", "--archive", "none.db")
    assert (done.code, "there is no file none.db" in done.err) == (1, True)
    assert list(home.iterdir()) == []


def test_chat_for_programs_tells_events(talk):
    """Question, pieces of the answer, its end, and what memory did."""
    events = talk("I live in Hangzhou.")
    names = [event["event"] for event in events]
    assert names[0] == "question"
    assert names[-2:] == ["end", "report"]
    assert set(names[1:-2]) == {"answer"}
    assert "Hangzhou" in "".join(event["text"] for event in events if event["event"] == "answer")
    assert events[-1]["turn"] == 1


def test_chat_for_programs_tells_errors_and_goes_on(run, server):
    """The exit code is 1, the next question is answered."""
    from langchain_qwen_memory.testing import Fault

    server.misbehave(Fault.unauthorized())
    at = ("--base-url", server.base_url, "--model", "qwen-plus", "--archive", "t.db")
    done = run("chat", "--json", *at, text="First.\nSecond.\n")
    (error,) = [event for event in lines(done) if event["event"] == "error"]
    assert (done.code, error["kind"], error["fate"]) == (1, "QwenAuthenticationError", "withdrawn")
    assert lines(done)[-1]["event"] == "report"


def test_a_chat_finds_turns_by_meaning_where_it_is_asked_to(talk, server):
    """With --embeddings a question that shares no word with a turn finds it; vectors are stored with the turns."""
    options = ("--embeddings", "use", "--memory", "recall", "--memory", "window", "--user", "anna")
    talk("I adopted a kitten last week.", "The weather is grey.", "My car is blue.", thread="one", options=options)
    events = talk("Which pet lives with me?", thread="two", options=options)
    assert events[-1]["recalled"][0]["thread"] == "one"
    assert {quote["turn"] for quote in events[-1]["recalled"]} >= {1}
    with SqliteArchive("t.db") as archive:
        assert archive.missing_vectors() == 0
