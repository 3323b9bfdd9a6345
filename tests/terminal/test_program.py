"""The program around its commands: help in two languages, the page that shows it, and errors of one line."""

import importlib.util
import json
import sys
from pathlib import Path

import pytest
import typer
from rich.cells import cell_len

from langchain_qwen_memory import cli
from langchain_qwen_memory.terminal.say import TEXTS

ROOT = Path(__file__).parents[2]
COMMANDS = ["chat", "threads", "show", "report", "export", "import", "reindex", "forget", "local", "doctor"]


@pytest.mark.parametrize("name", COMMANDS)
@pytest.mark.parametrize("language", ["zh", "en"])
def test_every_command_has_help_in_both_languages(run, name, language):
    """All of it in one language, as wide as the terminal at most, and no key of a text is left unsaid."""
    for width in (40, 80):
        done = run(name, "--help", "--lang", language, COLUMNS=str(width))
        assert done.code == 0
        assert max(cell_len(line) for line in done.out.splitlines()) <= width
        assert not {"opt_", "help_", "arg_"} & {word[:4] for word in done.out.split()}
    assert TEXTS[language][f"opt_{name}"].split("，")[0].split()[0] in done.out
    other = {"zh": ("Usage:", "Options:", "leave."), "en": ("用法", "选项", "。")}[language]
    assert not any(word in done.out for word in other)


def test_help_lists_every_command(run):
    """With --help, with -h, and without any word at all."""
    done = run("--help")
    assert done.out == run("-h").out == run().out
    listed = [line.split()[0] for line in done.out.split("Commands:")[1].splitlines() if line[2:3].isalpha()]
    assert [name for name in listed if name != "web"] == COMMANDS


def test_the_program_names_every_command_that_there_is():
    """The list above is whole; `web` has tests of its own."""
    group = typer.main.get_command(cli.commands)
    assert [name for name in group.commands if name != "web"] == COMMANDS


@pytest.mark.skipif(sys.platform != "linux", reason="the application folder has another name there")
def test_the_page_shows_the_help_as_it_is():
    """docs/cli.md holds what the commands print: `python scripts/cli_docs.py` writes it anew."""
    made = importlib.util.spec_from_file_location("cli_docs", ROOT / "scripts" / "cli_docs.py")
    script = importlib.util.module_from_spec(made)
    made.loader.exec_module(script)
    page = script.PAGE.read_text(encoding="utf-8")
    shown = script.BLOCK.findall(page)
    group = typer.main.get_command(cli.commands)
    assert shown == ["qwen-memory --help", *(f"qwen-memory {name} --help" for name in group.commands)]
    assert script.filled(page) == page


@pytest.mark.parametrize("language", ["zh", "en"])
@pytest.mark.parametrize(
    "words",
    [
        ["nope"],
        ["threads", "--nope"],
        ["show"],
        ["show", "trip"],
        ["show", "trip", "--before", "1"],
        ["threads", "--archive", "mysql://a:secret@b/c"],
        ["threads", "--archive", "postgresql://a:secret@127.0.0.1:1/c"],
        ["forget"],
        ["reindex"],
        ["chat", "--archive", "no/folder.db"],
        ["chat", "--limit", "0"],
    ],
)
def test_misuse_is_one_line_and_exit_code_1(run, words, language):
    """In both languages, as text and as JSON; no traceback, no password."""
    done = run(*words, "--lang", language)
    assert (done.code, done.out, len(done.err.splitlines())) == (1, "", 1)
    assert done.err.startswith({"zh": "错误：", "en": "error: "}[language])
    assert "secret" not in done.err
    told = json.loads(run(*words, "--json", "--lang", language).err)
    assert set(told["error"]) == {"kind", "text"}


def test_a_language_that_is_not_known_is_told(run):
    """With those that are."""
    for words in (["--lang", "fr", "threads"], ["threads", "--lang", "fr"]):
        assert "--lang fr: it takes zh or en" in run(*words).err


def test_an_unforeseen_error_says_where_to_look(run, monkeypatch):
    """One line for people; the traceback for those who ask for it."""
    from langchain_qwen_memory.terminal import listing

    def broken(*what, **how):
        raise RuntimeError("it broke\x1b[31m")

    monkeypatch.setattr(listing, "threads", broken)
    done = run("threads")
    assert done.err == "error: RuntimeError: it broke[31m (QWEN_MEMORY_TRACEBACK=1 shows where)\n"
    from typer.testing import CliRunner

    raised = CliRunner().invoke(cli.commands, ["threads"], env={"QWEN_MEMORY_TRACEBACK": "1"})
    assert isinstance(raised.exception, RuntimeError)


def test_the_archive_is_named_once_for_all(run, home):
    """By --archive, --db, or the environment; the option is stronger."""
    from langchain_qwen_memory.archive import SqliteArchive
    from tests.archive.contract import fill

    for name in ("a", "b"):
        with SqliteArchive(home / f"{name}.db") as archive:
            fill(archive, "", f"thread-{name}", ["Hello."])
    assert "thread-a" in run("threads", QWEN_MEMORY_ARCHIVE="a.db").out
    assert "thread-a" in run("threads", QWEN_MEMORY_DB="a.db").out
    assert "thread-b" in run("threads", "--db", "b.db", QWEN_MEMORY_ARCHIVE="a.db").out
    assert "thread-b" in run("threads", "--archive", "b.db", QWEN_MEMORY_DB="a.db").out
