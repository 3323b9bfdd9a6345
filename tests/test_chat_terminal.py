"""`qwen-memory chat` as a person has it: the real program in a pseudo-terminal."""

import os
import re
import signal
import sys
import time

import pytest

from langchain_qwen_memory.testing import Fault, LocalDashScope, Reply

pexpect = pytest.importorskip("pexpect", reason="a pseudo-terminal needs pexpect (and a POSIX system)")

PROMPT = re.escape("\x1b[?2004h") + "[^\n]*?> "
"""readline turns bracketed paste on just before it shows the prompt."""
STYLES = re.compile(r"\x1b\[[0-9;]*m")
LONG = "The harbour lies in the north. " * 40


def environment(home, **changes):
    """A person without a key, in a new home folder, without colours; only the terminal says how wide it is."""
    unwanted = ("DASHSCOPE", "QWEN", "LC_", "COLUMNS", "LINES")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(unwanted)}
    return {**kept, "HOME": str(home), "LANG": "C.UTF-8", "TERM": "xterm-256color", "NO_COLOR": "1", **changes}


@pytest.fixture
def start(tmp_path):
    """Starts the program; whatever still runs is ended after the test."""
    running = []

    def run(*words, **changes):
        command = ["-m", "langchain_qwen_memory", "chat", *map(str, words)]
        child = pexpect.spawn(
            sys.executable,
            command,
            env=environment(tmp_path, **changes),
            cwd=str(tmp_path),
            encoding="utf-8",
            dimensions=(50, 120),
            timeout=60,
        )
        running.append(child)
        return child

    yield run
    for child in running:
        child.close(force=True)


@pytest.fixture
def server():
    """A server of the person's own, whose answers come slowly enough to be stopped."""
    with LocalDashScope(speed=0.02) as server:
        yield server


@pytest.fixture
def at_server(start, server):
    """Starts the program at that server and waits for the prompt."""

    def run(*words, **changes):
        child = start("--base-url", server.base_url, "--model", "qwen-plus", "--db", "t.db", *words, **changes)
        child.expect(PROMPT)
        return child

    return run


def ask(child, question):
    """Type a question and read until the next prompt; gives what was on the screen meanwhile, without styles."""
    return STYLES.sub("", ask_raw(child, question))


def ask_raw(child, question):
    """`ask`, styles and all."""
    child.sendline(question)
    child.expect(PROMPT)
    return child.before


def leave(child):
    child.expect(pexpect.EOF)
    child.close()
    return child.exitstatus


def asked(server):
    """The newest request's messages as (role, text)."""
    return [(message["role"], message["content"]) for message in server.requests[-1].messages]


def test_three_turns_quit_start_again_and_the_thread_goes_on(start):
    """A thread survives the program: the second start says how it stands, and knows what was said in the first."""
    child = start("--thread", "trip", "--db", "t.db")
    child.expect("A new thread")
    child.expect(PROMPT)
    assert "Anna" in ask(child, "My name is Anna.")
    assert "hazelnuts" in ask(child, "I am allergic to hazelnuts.")
    assert "hazelnuts" in ask(child, "What am I allergic to?")
    child.sendline("/quit")
    child.expect("Thread trip is saved")
    assert leave(child) == 0

    child = start("--thread", "trip", "--db", "t.db")
    child.expect("The thread goes on: 3 turns so far")
    child.expect("You: What am I allergic to")
    child.expect(PROMPT)
    assert "Anna" in ask(child, "What is my name?")
    child.sendeof()
    assert leave(child) == 0


def test_without_a_key_the_first_line_says_that_it_is_not_qwen(start):
    """Nobody takes the stand-in for Qwen."""
    child = start()
    child.expect("\n")
    assert child.before.strip() == "no DASHSCOPE_API_KEY: talking to the local stand-in, not to Qwen."


def test_in_a_chinese_locale_it_speaks_chinese(start):
    """The locale chooses the language."""
    child = start(LANG="zh_CN.UTF-8")
    child.expect("没有 DASHSCOPE_API_KEY：现在对话的是本机替身，不是千问。")
    child.expect("新会话")


def test_ctrl_c_in_an_answer_keeps_the_part_that_was_read(at_server, server):
    """A stopped answer stays as far as it was read, the turn is archived, and the next turn works."""
    child = at_server()
    server.script(Reply(content=LONG), Reply(content="It has two piers."))
    child.sendline("Where is the harbour?")
    child.expect("in the north")
    child.sendintr()
    child.expect("this part of the answer stay in the thread")
    child.expect(PROMPT)
    assert "two piers" in ask(child, "And what does it have?")
    (_, first), (role, part), (_, second) = asked(server)
    assert (first, role, second) == ("Where is the harbour?", "assistant", "And what does it have?")
    assert LONG.startswith(part)
    assert 0 < len(part) < len(LONG)
    assert re.search(r"archived +2\b", ask(child, "/memory"))


def test_ctrl_c_before_the_answer_takes_the_question_back(at_server, server):
    """Nothing was read, so nothing stays; what was asked is not in the next prompt."""
    child = at_server()
    server.misbehave(Fault.slow(30))
    child.sendline("A question by mistake")
    child.expect("waiting for the answer")
    deadline = time.monotonic() + 20
    while not server.requests and time.monotonic() < deadline:
        time.sleep(0.05)
    child.sendintr()
    child.expect("the question is not kept")
    child.expect(PROMPT)
    ask(child, "The right question is this one.")
    assert asked(server) == [("user", "The right question is this one.")]


def test_ctrl_c_at_the_prompt_does_not_leave(at_server):
    """Only /quit and Ctrl-D leave."""
    child = at_server()
    child.send("half a quest")
    child.expect("half a quest")  # readline reads by now: a Ctrl-C just before that wakes nobody
    child.sendintr()
    child.expect("Ctrl-D leaves")
    child.expect(PROMPT)
    child.sendeof()
    assert leave(child) == 0


def test_a_program_killed_in_an_answer_answers_the_question_at_the_next_start(at_server, start, server):
    """A question that was asked and never answered is not forgotten."""
    child = at_server()
    server.script(Reply(content=LONG), Reply(content="In the south."))
    child.sendline("Where is the harbour?")
    child.expect("in the north")
    child.kill(signal.SIGKILL)
    child.expect(pexpect.EOF)
    child = start("--base-url", server.base_url, "--model", "qwen-plus", "--db", "t.db")
    child.expect("still unanswered")
    child.expect("> Where is the harbour")
    child.expect("In the south")
    child.expect(PROMPT)
    assert asked(server) == [("user", "Where is the harbour?")]
    ask(child, "Thank you.")
    assert [text for _, text in asked(server)] == ["Where is the harbour?", "In the south.", "Thank you."]


def test_an_error_is_shown_once_and_the_chat_goes_on(at_server, server):
    """A 401 is one panel that says what to do; the question is taken back, the next one is answered."""
    child = at_server()
    server.misbehave(Fault.unauthorized())
    screen = ask(child, "Hello there, who are you?")
    assert screen.count("QwenAuthenticationError") == 1
    assert "DASHSCOPE_API_KEY" in screen
    assert "The question is not kept" in screen
    assert "Traceback" not in screen
    ask(child, "And now a statement.")
    assert asked(server) == [("user", "And now a statement.")]


def test_a_stream_that_breaks_keeps_what_was_read(at_server, server):
    """Half an answer is better than none, and it is said that it is half."""
    child = at_server()
    server.script(Reply(content=LONG))
    server.misbehave(Fault.cut(after=20))
    screen = ask(child, "Where is the harbour?")
    assert "in the north" in screen
    assert "this part of the answer stay in the thread" in screen


def test_thinking_is_dimmed_and_apart_from_the_answer(at_server, server):
    """Thinking is grey and stands above; it is not sent back with the next question."""
    child = at_server("--thinking", NO_COLOR="")
    server.script(Reply(reasoning="They ask for a harbour.", content="In the north."))
    screen = ask_raw(child, "Where is the harbour?")
    dimmed = "".join(re.findall(r"\x1b\[2;3m(.*?)\x1b\[0m", screen))
    assert dimmed == "They ask for a harbour."
    plain = STYLES.sub("", screen)
    assert re.search(r"\[thinking\]\s+They ask for a harbour\.\s+In the north\.", plain)
    ask(child, "Thank you.")
    assert ("assistant", "In the north.") in asked(server)
    assert "They ask" not in str(asked(server))


def test_pasted_lines_are_one_question(at_server, server):
    """A paste of several lines is sent as it is, when Enter is pressed."""
    child = at_server()
    child.send("\x1b[200~first line\nsecond line\n\nlast line\x1b[201~")
    child.send("\r")
    child.expect(PROMPT)
    assert asked(server) == [("user", "first line\nsecond line\n\nlast line")]


def test_an_empty_line_asks_nothing(at_server, server):
    """Enter alone brings the prompt again."""
    child = at_server()
    child.sendline("")
    child.expect(PROMPT)
    assert server.requests == []


def test_context_shows_what_the_last_view_held(at_server, server):
    """The parts of the view with their tokens, which add up to it."""
    child = at_server("--system", "You are a guide.", "--trigger", "2000", "--memory", "window")
    assert "There is no view yet" in ask(child, "/context")
    ask(child, "My name is Anna.")
    ask(child, "I like the sea.")
    screen = ask(child, "/context")
    assert "the view of turn 2" in screen
    parts = {name: int(n) for name, n in re.findall(r"(system|kept|question) +(\d+) +[\d.]+ %", screen)}
    view = int(re.search(r"turn 2 +(\d+) /", screen)[1])
    assert set(parts) == {"system", "kept", "question"}
    assert sum(parts.values()) == view == server.requests[-1].usage["prompt_tokens"]
    assert re.search(r"kept 2 · left 0 · recalled 0", screen)


def test_memory_shows_summary_window_and_reports(at_server):
    """After a fold the summary is there, the window begins later, and no archived turn is missing."""
    child = at_server("--trigger", "400", "--memory", "summary")
    for number in range(1, 9):
        ask(child, f"Fact {number}: the box KM-300{number} holds {number} green lamps and a long blue rope.")
    screen = ask(child, "/memory")
    assert int(re.search(r"begins at turn (\d+)", screen)[1]) > 1
    assert re.search(r"archived +8\b", screen)
    assert "KM-300" in screen.split("summary")[1]
    rows = re.findall(r"^ *(\d) +\d+ +\d", screen, re.MULTILINE)
    assert rows == ["1", "2", "3", "4", "5", "6", "7", "8"]


def test_commands_that_do_not_exist_are_told(at_server, server):
    """A slash command is never sent to the model."""
    child = at_server()
    screen = ask(child, "/forgt")
    assert "There is no command /forgt" in screen
    assert "/context /memory /recall /branch /model /forget /help /quit" in " ".join(screen.split())
    assert "/context" in ask(child, "/help")
    assert server.requests == []


def test_what_a_model_writes_cannot_steer_the_terminal(at_server, server):
    """Escape sequences in an answer are not obeyed."""
    child = at_server()
    server.script(Reply(content="a\x1b]0;title\x07b\x1b[2Jc"))
    screen = ask(child, "Say something.")
    assert "a]0;titleb[2Jc" in screen


def test_old_turns_are_found_and_gone_back_to(at_server, server):
    """/recall looks in the archive; after /branch a later turn is in no view any more, and the thread goes on."""
    child = at_server()
    for question in ("I live in Hangzhou.", "My order is KM-3000.", "I like tea."):
        ask(child, question)
    assert re.search(r"#2 .*My order is KM-3000\.", ask(child, "/recall KM-3000"))
    assert "Nothing was found" in ask(child, "/recall zebra")
    assert "say what to look for" in ask(child, "/recall")
    offered = ask(child, "/branch")
    assert re.search(r"#3  I like tea\.", offered)
    assert "name the turn" in offered
    assert "name the turn" in ask(child, "/branch 3")
    assert "1 later turns are out of it" in ask(child, "/branch 2")
    ask(child, "I like coffee.")
    sent = [text for role, text in asked(server) if role == "user"]
    assert sent == ["I live in Hangzhou.", "My order is KM-3000.", "I like coffee."]
    assert "at its beginning" in ask(child, "/branch 0")
    ask(child, "Good morning.")
    assert asked(server) == [("user", "Good morning.")]


def test_another_model_goes_on_with_the_thread(at_server, server):
    """/model takes effect with the next question; what was said stays."""
    child = at_server()
    ask(child, "My name is Anna.")
    assert "qwen-plus answers" in ask(child, "/model")
    assert "qwen-max answers from now on" in ask(child, "/model qwen-max")
    ask(child, "What is my name?")
    assert server.requests[-1].body["model"] == "qwen-max"
    assert ("user", "My name is Anna.") in asked(server)
    assert "does not know qwen-nosuch" in ask(child, "/model qwen-nosuch")


def test_a_thread_is_forgotten_only_if_the_person_means_it(at_server, server):
    """/forget asks; afterwards the thread begins anew, and nothing of it is found."""
    child = at_server()
    ask(child, "My name is Anna.")
    child.sendline("/forget")
    child.expect("It cannot be undone")
    assert "Nothing was forgotten" in ask(child, "n")
    child.sendline("/forget")
    child.expect("It cannot be undone")
    assert "is forgotten" in ask(child, "y")
    assert "Nothing was found" in ask(child, "/recall Anna")
    ask(child, "Who am I?")
    assert asked(server) == [("user", "Who am I?")]
    child.sendline("/exit")
    assert leave(child) == 0


def test_a_wrong_option_is_one_clear_line(start):
    """What the model refuses is told in its own words, without those of the library that checks it."""
    child = start("--region", "mars", DASHSCOPE_API_KEY="sk-nobodys")
    child.expect("error: region='mars' is not known: give one of beijing")
    child.expect(pexpect.EOF)
    assert "validation error" not in child.before
    assert leave(child) == 1
