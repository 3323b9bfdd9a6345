"""The terminal program beside its chat: pipes, misuse, exit codes, `qwen-memory local`, languages, drawings."""

import io
import json
import os
import re
import signal
import string
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest
from rich.console import Console

from langchain_qwen_memory.terminal import say as texts
from langchain_qwen_memory.terminal.figures import Figures
from langchain_qwen_memory.terminal.loop import LoopThread
from langchain_qwen_memory.terminal.options import ChatOptions, short_path
from langchain_qwen_memory.terminal.say import Say, asked_language, grouped, locale_language
from langchain_qwen_memory.terminal.show import context, meter, short
from langchain_qwen_memory.terminal.wrap import Wrap
from langchain_qwen_memory.testing import Fault, LocalDashScope

QUICKSTART = Path(__file__).parents[1] / "examples" / "quickstart.py"


@pytest.fixture
def clean_environment(tmp_path):
    """The environment of a person without a key, in a new home folder."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("DASHSCOPE", "QWEN", "LC_"))}
    return {**kept, "HOME": str(tmp_path), "LANG": "C.UTF-8", "PYTHONIOENCODING": "utf-8"}


@pytest.fixture
def program(tmp_path, clean_environment):
    """Runs `qwen-memory` to its end, as in a pipe."""

    def run(*words, text="", **changes):
        return subprocess.run(
            [sys.executable, "-m", "langchain_qwen_memory", *map(str, words)],
            input=text,
            env={**clean_environment, **changes},
            cwd=tmp_path,
            capture_output=True,
            encoding="utf-8",
            timeout=60,
            check=False,
        )

    return run


def test_questions_through_a_pipe_are_answered_in_plain_text(program):
    """Each line is a question; nothing is drawn or coloured; the exit code is 0."""
    done = program("chat", "--db", "p.db", text="I am allergic to hazelnuts.\n\nWhat am I allergic to?\n")
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert lines[0] == "no DASHSCOPE_API_KEY: talking to the local stand-in, not to Qwen."
    assert "hazelnuts" in lines[lines.index("> What am I allergic to?") + 1]
    assert "\x1b" not in done.stdout
    assert done.stdout.count("> ") == 2


def test_a_question_through_a_pipe_that_fails_is_exit_code_1(program):
    """One line on standard error says why; the questions after it are still answered."""
    with LocalDashScope() as server:
        server.misbehave(Fault.unauthorized())
        server_options = ("--base-url", server.base_url, "--model", "qwen-plus", "--db", "p.db")
        done = program("chat", *server_options, text="A first statement.\nA second statement.\n")
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    assert done.stderr.startswith("error: QwenAuthenticationError: ")
    assert "A second statement." in done.stdout.splitlines()[-1]


def test_with_a_key_it_talks_to_the_service_with_that_key(program):
    """DASHSCOPE_API_KEY is sent to the server, and nothing says that it is a stand-in."""
    with LocalDashScope(api_key="sk-mine") as server:
        keys = {"DASHSCOPE_API_KEY": "sk-mine", "DASHSCOPE_API_BASE": server.base_url}
        done = program("chat", "--model", "qwen-max", "--db", "p.db", text="Hello.\n", **keys)
        (request,) = server.requests
    assert done.returncode == 0, done.stderr
    assert "stand-in, not to Qwen" not in done.stdout
    assert (request.status, request.body["model"]) == (200, "qwen-max")


def test_a_server_of_ones_own_needs_no_key(program):
    """A self-hosted server gets a placeholder, and thinking in its own manner."""
    with LocalDashScope() as server:
        options = ("--base-url", server.plain_url, "--model", "qwen3:8b", "--no-thinking", "--db", "p.db")
        done = program("chat", *options, text="Hello.\n")
        (request,) = server.requests
    assert done.returncode == 0, done.stderr
    assert request.headers["authorization"] == "Bearer EMPTY"
    assert request.body["chat_template_kwargs"] == {"enable_thinking": False}


def test_recall_with_a_user_finds_turns_of_that_users_other_threads(program):
    """`--user` makes recall look in all threads of that user, and never in another's."""
    common = ("chat", "--db", "p.db", "--memory", "recall", "--thread")
    program(*common, "one", "--user", "anna", text="My parking place is 77.\n")
    found = program(*common, "two", "--user", "anna", text="Which parking place is mine?\n")
    other = program(*common, "three", "--user", "ben", text="Which parking place is mine?\n")
    assert "77" in found.stdout
    assert other.returncode == 0
    assert "77" not in other.stdout


def test_a_thread_of_another_user_is_not_opened(program):
    """Nothing of it is shown, not even its last exchange."""
    program("chat", "--db", "p.db", "--user", "anna", text="My parking place is 77.\n")
    done = program("chat", "--db", "p.db", "--user", "ben", text="Hello.\n")
    assert done.returncode == 1
    assert "begun by another user" in done.stderr
    assert "77" not in done.stdout + done.stderr


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["nope"], "No such command: nope"),
        (["shw"], "No such command: shw (perhaps show)"),
        (["show"], "THREAD is missing"),
        (["chat", "--nope"], "No such option: --nope"),
        (["chat", "--memory", "all"], "--memory all: it takes window, summary or recall"),
        (["chat", "--base-url", "http://127.0.0.1:9/v1"], "--base-url needs --model"),
        (["chat", "--db", "no/folder.db"], "there is no folder"),
        (["chat", "--thread", " "], "--thread must not be empty"),
        (["chat", "--trigger", "5"], "it takes 100 tokens or more"),
        (["chat", "--trigger", "500", "--memory", "recall"], "needs --memory window or --memory summary"),
        (["chat", "--lang", "fr"], "--lang fr: it takes zh or en"),
    ],
)
def test_misuse_is_one_line_and_exit_code_1(program, words, told):
    """What was given, what is taken; no traceback."""
    done = program(*words)
    assert done.returncode == 1
    assert len(done.stderr.splitlines()) == 1
    assert told in done.stderr


def test_a_file_that_is_no_database_is_told(program, tmp_path):
    """It is left as it is."""
    letter = tmp_path / "letter.txt"
    letter.write_text("Dear Anna, " * 100)
    done = program("chat", "--db", letter)
    assert done.returncode == 1
    assert "not an SQLite file" in done.stderr
    assert letter.read_text() == "Dear Anna, " * 100


def test_a_first_try_does_not_get_into_qwens_threads(tmp_path, monkeypatch):
    """The stand-in has a file of its own, so that its answers never stand in a thread with Qwen."""
    monkeypatch.setenv("HOME", str(tmp_path))
    assert ChatOptions().file != ChatOptions(api_key="sk-mine").file
    assert ChatOptions(db=Path("a.db")).file == ChatOptions(db=Path("a.db"), api_key="sk-mine").file


def test_the_version_is_told(program):
    """`qwen-memory --version`."""
    assert re.fullmatch(r"langchain-qwen-memory \d+\.\d+\.\d+\S*\n", program("--version").stdout)


def test_help_names_every_command(program):
    """Without a command and with --help; in Chinese where the locale is."""
    assert program().stdout == program("--help").stdout
    assert {"chat", "local"} <= set(program("--help").stdout.split())
    assert "会话的名字" in program("chat", "--help", LANG="zh_CN.UTF-8").stdout
    assert "Name of the thread" in program("chat", "--help", "--lang", "en", LANG="zh_CN.UTF-8").stdout


def test_local_serves_until_ctrl_c_and_says_what_to_paste(clean_environment):
    """The two lines it prints make a program talk to it; --log shows each request; Ctrl-C is no error."""
    process = subprocess.Popen(
        [sys.executable, "-m", "langchain_qwen_memory", "local", "--port", "0", "--log"],
        env=clean_environment,
        stdout=subprocess.PIPE,
        encoding="utf-8",
    )
    with process:
        lines = [process.stdout.readline() for _ in range(4)]
        base, key = (re.search(r"export \w+=(\S+)", line)[1] for line in lines[2:])
        request = urllib.request.Request(f"{base}/models", headers={"authorization": f"Bearer {key}"})
        with urllib.request.urlopen(request, timeout=10) as answer:
            assert answer.status == 200
        assert "200  GET  /compatible-mode/v1/models" in process.stdout.readline()
        process.send_signal(signal.SIGINT)
        assert "Stopped." in process.stdout.read()
    assert process.returncode == 0
    assert "not Qwen" in lines[0]


def test_local_tells_programs_where_it_is(clean_environment):
    """--json: the address and the key first, then a line for each request."""
    process = subprocess.Popen(
        [sys.executable, "-m", "langchain_qwen_memory", "local", "--port", "0", "--log", "--json"],
        env=clean_environment,
        stdout=subprocess.PIPE,
        encoding="utf-8",
    )
    with process:
        there = json.loads(process.stdout.readline())
        headers = {"authorization": f"Bearer {there['api_key']}"}
        request = urllib.request.Request(f"{there['base_url']}/models", headers=headers)
        with urllib.request.urlopen(request, timeout=10) as answer:
            assert answer.status == 200
        told = json.loads(process.stdout.readline())
        process.send_signal(signal.SIGINT)
        assert process.stdout.read() == ""
    assert process.returncode == 0
    assert (told["status"], told["method"], told["path"]) == (200, "GET", "/compatible-mode/v1/models")


def test_a_port_that_is_taken_is_told(program):
    """With another one to try."""
    with LocalDashScope() as server:
        port = int(server.url.rsplit(":", 1)[1])
        done = program("local", "--port", port)
    assert done.returncode == 1
    assert f"port {port} cannot be opened" in done.stderr


def test_the_quickstart_prints_the_answers_in_its_comments(tmp_path, clean_environment):
    """Three turns in ten lines, as the file stands, without a key; and a second time, where the thread goes on."""
    comments = re.findall(r"^# (.+[。.])$", QUICKSTART.read_text(encoding="utf-8"), re.MULTILINE)[:3]
    for _ in range(2):
        done = subprocess.run(
            [sys.executable, "-W", "error", str(QUICKSTART)],
            env=clean_environment,
            cwd=tmp_path,
            capture_output=True,
            encoding="utf-8",
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert done.stdout.splitlines() == comments
        assert "not to Qwen" in done.stderr


# -- the two languages


def test_both_languages_say_the_same_with_the_same_places():
    """Every text is there twice, and takes the same values."""
    chinese, english = texts.TEXTS["zh"], texts.TEXTS["en"]
    assert list(chinese) == list(english)
    for key in english:
        both = (chinese[key], english[key])
        places = [{name for _, name, _, _ in string.Formatter().parse(text) if name} for text in both]
        assert places[0] == places[1], key
        assert all(both)


def test_every_text_is_used():
    """A text that no code asks for is taken out."""
    package = Path(texts.__file__).parents[1]
    sources = [path for path in package.rglob("*.py") if path.name not in {"chinese.py", "english.py"}]
    code = "\n".join(path.read_text(encoding="utf-8") for path in sources).replace("'", '"')
    made = {f"{how}_{fate}" for how in ("stopped", "failed") for fate in ("kept", "withdrawn", "finished", "open")}
    made |= {f"part_{name}" for name in ("system", "summary", "kept", "recalled", "question", "free")}
    made |= {f"col_{name}" for name in ("turn", "view", "kept", "folded", "recalled", "cached", "prefix", "saved")}
    made |= {f"check_{name}" for name in ("key", "endpoint", "reachable", "model", "tokenizer", "archive")}
    made |= {"check_checkpoints", "check_embeddings"}
    made |= {f"opt_{name}" for name in ("export", "import", "reindex", "forget")}
    assert [key for key in texts.TEXTS["en"] if f'"{key}"' not in code and key not in made] == []


@pytest.mark.parametrize(
    ("environment", "language"),
    [
        ({"LANG": "zh_CN.UTF-8"}, "zh"),
        ({"LANG": "zh_CN.UTF-8", "LC_ALL": "en_US.UTF-8"}, "en"),
        ({"LANG": "en_US.UTF-8", "LC_ALL": "zh_TW"}, "zh"),
        ({"LC_ALL": "", "LANG": "zh_CN"}, "zh"),
        ({}, "en"),
    ],
)
def test_the_locale_chooses_the_language(environment, language):
    """LC_ALL before LANG, as everywhere; an empty one counts as unset."""
    assert locale_language(environment) == language


def test_an_option_is_stronger_than_the_locale(monkeypatch):
    """For help texts too, which are made before options are read."""
    monkeypatch.setenv("LC_ALL", "en_US.UTF-8")
    assert asked_language(["chat", "--lang", "zh", "--help"]) == "zh"
    assert asked_language(["chat", "--lang=zh"]) == "zh"
    assert asked_language(["chat"]) == "en"


# -- the drawings


def figures(**changes):
    """The figures of the twelfth turn of some thread."""
    given = {
        "turn": 12,
        "parts": {"system": 100, "summary": 400, "kept": 1300, "recalled": 500, "question": 131},
        "view": 2431,
        "scale": 4000,
        "planned": True,
        "limit": 129_024,
        "kept": 5,
        "gone": 7,
        "folds": True,
        "folded_now": 0,
        "recalled": [6, 3],
        "sent": 2431,
        "cached": 1920,
        "prefix": 0.79,
        "whole": 6233,
        "saved": 0.0021,
        "currency": "CNY",
        "errors": [],
    }
    return Figures(**{**given, **changes})


def drawn(thing, width=100):
    """As a console without colours prints it."""
    out = io.StringIO()
    Console(file=out, width=width, no_color=True).print(thing)
    return out.getvalue().replace("\xa0", " ")


def test_the_meter_is_one_line_that_says_what_memory_did():
    """The line under each answer, in both languages."""
    chinese = drawn(meter(figures(), Say("zh"))).strip()
    english = drawn(meter(figures(), Say("en"))).strip()
    assert chinese == "第 12 轮  ▕█████████░░░░░░▏ 2 431 / 4 000   保留 5 · 折叠 7 · 召回 2 · 缓存 1 920 · 节省 61 %"
    assert english.startswith("turn 12  ▕█████████░░░░░░▏ 2 431 / 4 000   kept 5 · folded 7 · recalled 2")


def test_the_meter_says_what_went_wrong():
    """Failures that were got around are not hidden."""
    assert "summary: TimeoutError" in drawn(meter(figures(errors=["summary: TimeoutError"]), Say("en")))


def test_the_bar_is_to_scale():
    """60 cells for 4,000 tokens: each part has its share, and what is free stays free."""
    bar = drawn(context(figures(), Say("en"), colour=False, width=100)).splitlines()[1]
    cells = [bar.count(glyph) for glyph in "█▓▒◆●"]
    assert len(bar) == 62
    for given, tokens in zip(cells, figures().parts.values(), strict=True):
        assert abs(given - 60 * tokens / 4000) <= 1
    assert abs(bar.count("░") - 60 * (4000 - 2431) / 4000) <= 1


def test_a_view_that_is_small_is_still_seen_in_the_bar():
    """A few tokens of a million are an eighth of a cell."""
    small = figures(parts={"system": 3, "question": 20}, view=23, scale=997_952, planned=False)
    assert drawn(context(small, Say("en"), colour=False, width=100)).splitlines()[1].startswith("▕▏░")


def test_a_view_above_the_scale_fills_the_bar():
    """It does not run out of the frame."""
    large = figures(scale=1000)
    lines = drawn(context(large, Say("en"), colour=False, width=100)).splitlines()
    assert len(lines[1]) == 62
    assert "░" not in lines[1]
    assert drawn(meter(large, Say("en"))).count("█") == 15


def test_context_says_counts_cache_and_money():
    """Recalled turns by their number and question, where it is known; money with its currency."""
    text = drawn(context(figures(), Say("en"), quotes={3: "I am allergic\nto nuts."}, colour=False, width=100))
    assert "kept 5 · folded 7 · recalled 2" in text
    assert "#3 I am allergic to nuts." in text
    assert "#6" in text
    assert "1 920 of 2 431 input tokens · prefix kept 79 %" in text
    assert "¥0.0021 against sending the whole transcript (6 233 tokens)" in text
    assert re.search(
        r"dearer +¥0\.001 against", drawn(context(figures(saved=-0.001), Say("en"), colour=False, width=100))
    )


def test_lines_break_between_words_and_between_chinese_characters():
    """While the text streams in, piece by piece; marks do not begin a line."""
    text = "The quick brown fox, jumped over 你好世界，今天天气很好。我们去哪里？\nA new line"
    for size in (1, 3, 100):
        wrap = Wrap(22)
        pieces = [wrap.feed(text[at : at + size]) for at in range(0, len(text), size)]
        assert ("".join(pieces) + wrap.flush()).split("\n") == [
            "The quick brown ",
            "fox, jumped over ",
            "你好世界，今天天气",
            "很好。我们去哪里？",
            "A new line",
        ]


def test_small_texts():
    """Thousands are parted, long texts are cut, the home folder is a tilde."""
    assert grouped(1_234_567).split("\xa0") == ["1", "234", "567"]
    assert short("a\nb " + "c" * 100, most=10) == "a b ccccc…"
    assert short_path(Path("/home/anna/x.db"), {"HOME": "/home/anna"}) == "~/x.db"
    assert short_path(Path("/home/annabel/x.db"), {"HOME": "/home/anna"}) == "/home/annabel/x.db"


# -- the loop


def test_what_a_stream_raises_is_raised_where_it_is_read():
    """Items come first, then the error."""

    async def events():
        yield 1
        raise ValueError("it broke")

    got = []
    with LoopThread() as loop, pytest.raises(ValueError, match="it broke"):
        for event in loop.stream(events()):
            got.append(event)  # noqa: PERF402 - extend() would drop what came before the error
    assert got == [1]


def test_a_reader_who_leaves_stops_the_stream_before_going_on():
    """After leaving, nothing of the stream runs any more."""
    import asyncio

    ended = []

    async def events():
        try:
            while True:
                yield 1
                await asyncio.sleep(0.01)
        finally:
            ended.append(True)

    with LoopThread() as loop:
        stream = loop.stream(events())
        assert next(stream) == 1
        stream.close()
    assert ended == [True]


def test_a_url_of_the_service_in_the_environment_needs_no_model(program):
    """DASHSCOPE_API_BASE may name a region or a proxy of the service, where qwen-plus is known."""
    with LocalDashScope() as server:
        keys = {"DASHSCOPE_API_KEY": "sk-mine", "DASHSCOPE_API_BASE": server.base_url}
        done = program("chat", "--db", "p.db", text="Hello.\n", **keys)
        (request,) = server.requests
    assert done.returncode == 0, done.stderr
    assert (request.body["model"], request.headers["authorization"]) == ("qwen-plus", "Bearer sk-mine")


def test_the_kind_of_server_can_be_named(program):
    """Ollama is told of thinking in its own words, and is not sent the service's key."""
    with LocalDashScope() as server:
        options = ("--server", "ollama", "--base-url", server.plain_url, "--model", "qwen3:8b", "--no-thinking")
        done = program("chat", *options, "--db", "p.db", text="Hello.\n", DASHSCOPE_API_KEY="sk-mine")
        (request,) = server.requests
    assert done.returncode == 0, done.stderr
    assert request.headers["authorization"] == "Bearer EMPTY"
    assert request.body["reasoning_effort"] == "none"
    wrong = program("chat", "--server", "nobodys")
    assert (wrong.returncode, "--server nobodys: it takes auto, dashscope" in wrong.stderr) == (1, True)
