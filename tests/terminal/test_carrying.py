"""`qwen-memory export`, `import`, `reindex` and `forget`: what moves, mends and erases."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from langchain_qwen_memory.archive import SqliteArchive
from langchain_qwen_memory.testing import LocalDashScope
from tests.archive.contract import asked, fill
from tests.terminal.conftest import lines


@pytest.fixture
def filled(home):
    """a.db: two users, one of whom has two threads."""
    with SqliteArchive(home / "a.db") as archive:
        fill(archive, "", "trip", ["I live in Hangzhou.", "I like tea."])
        fill(archive, "", "work", ["The order is KM-3000."])
        fill(archive, "anna", "trip", ["My parking place is 77."])
    return home / "a.db"


def turns_of(path, user, thread):
    with SqliteArchive(path) as archive:
        return asked(archive.page(user, thread, limit=1000))


def test_a_thread_goes_out_and_comes_in(run, filled, home):
    """Through a file, or through a pipe; under its own name or another."""
    assert "2 turns, 2 of them new" in run("export", "trip", "--archive", filled, "-o", "t.jsonl").out
    assert "2 turns, 2 of them new" in run("import", "t.jsonl", "--archive", "b.db").out
    assert turns_of("b.db", "", "trip") == ["I live in Hangzhou.", "I like tea."]
    piped = run("export", "trip", "--archive", filled)
    named = ("--to-user", "ben", "--to-thread", "journey", "--json")
    done = run("import", "--archive", "b.db", *named, text=piped.out)
    assert json.loads(done.out) == {"turns": 2, "new": 2, "notes": 0, "left_notes": 0, "problem": ""}
    assert turns_of("b.db", "ben", "journey") == ["I live in Hangzhou.", "I like tea."]
    again = run("import", "t.jsonl", "--archive", "b.db", "--lang", "zh")
    assert "其中新的 0 轮" in again.out


def test_a_user_or_everyone_goes_out(run, filled):
    """Without a thread all of the user's; those without a user are one too."""

    def threads_in(done):
        return {(line["user"], line["thread"]) for line in lines(done) if line.get("kind") == "turn"}

    assert threads_in(run("export", "--archive", filled)) == {("", "trip"), ("", "work")}
    assert threads_in(run("export", "--archive", filled, "--user", "anna")) == {("anna", "trip")}
    assert len(threads_in(run("export", "--archive", filled, "--all-users"))) == 3
    assert run("export", "--archive", filled, "--all-users", "--user", "anna").code == 1
    nobody = run("export", "--archive", filled, "--user", "carl")
    assert (nobody.code, "anna" in nobody.err) == (1, True)


def test_a_file_that_is_there_is_gone_on_with_only_if_asked(run, filled):
    """--resume adds what is new; a line that was broken off is written again."""
    run("export", "--archive", filled, "-o", "t.jsonl")
    whole = Path("t.jsonl").read_bytes()
    refused = run("export", "--archive", filled, "-o", "t.jsonl")
    assert (refused.code, "--resume" in refused.err) == (1, True)
    Path("t.jsonl").write_bytes(whole[:-200])
    assert run("export", "--archive", filled, "-o", "t.jsonl", "--resume").code == 0
    assert Path("t.jsonl").read_bytes() == whole
    done = run("export", "--archive", filled, "-o", "t.jsonl", "--resume", "--json")
    assert json.loads(done.out) == {"file": "t.jsonl", "turns": 3, "new": 0}


def test_a_broken_file_is_one_line_with_its_number(run, filled):
    """In JSON too; what came before it is there."""
    run("export", "trip", "--archive", filled, "-o", "t.jsonl")
    good = Path("t.jsonl").read_text().splitlines()
    Path("t.jsonl").write_text("\n".join([*good[:2], good[2][:50]]))
    done = run("import", "t.jsonl", "--archive", "b.db")
    assert (done.code, done.out, len(done.err.splitlines())) == (1, "", 1)
    assert "line 3 is broken" in done.err
    assert turns_of("b.db", "", "trip") == ["I live in Hangzhou."]
    told = json.loads(run("import", "t.jsonl", "--archive", "b.db", "--json").err)
    assert told["error"]["kind"] == "ArchiveError"
    assert run("import", "none.jsonl", "--archive", "b.db").err.strip() == "error: there is no file none.jsonl"


def test_a_thread_that_was_talked_in_moves_whole(run, talk):
    """Live and archived turns alike, since every finished turn is archived."""
    talk(*(f"Fact {number}: the box KM-300{number} holds a long blue rope." for number in range(12)))
    exported = run("export", "trip", "--archive", "t.db")
    assert len(lines(exported)) >= 14
    run("import", "--archive", "b.db", text=exported.out)
    assert len(turns_of("b.db", "", "trip")) == 12


def test_an_imported_thread_goes_on_where_it_ended(run, talk, server, home):
    """Its newest turns are in the next view, the older ones in the archive, and none is archived twice."""
    talk(*(f"Fact {number}: the box KM-300{number} holds a long blue rope." for number in range(30)))
    exported = run("export", "trip", "--archive", "t.db")
    (home / "t.db").unlink()
    run("import", "--archive", "t.db", text=exported.out)
    events = talk("Good morning.")
    sent = [message["content"] for message in server.requests[-1].messages if message["role"] == "user"]
    assert sent[-1].endswith("Good morning.")
    assert any("KM-30029" in text for text in sent)
    assert events[-1]["turn"] == 31
    assert [one["turn"] for one in lines(run("show", "trip", "--archive", "t.db", "--all", "--json"))] == list(
        range(1, 32)
    )
    assert _count("t.db") == 31
    assert events[-1]["transcript"] > 30 * 20
    assert not events[-1]["errors"]


def test_vectors_are_made_anew_with_other_embeddings(run, filled, monkeypatch):
    """The mismatch names the command that mends it, and the command mends it."""
    with LocalDashScope() as server:
        environment = {"DASHSCOPE_API_BASE": server.base_url, "DASHSCOPE_API_KEY": server.api_key}
        done = run("reindex", "--archive", filled, "--embeddings", "qwen", "--json", **environment)
        assert json.loads(done.out) == {"turns": 4, "missing": 0, "embeddings": "qwen"}
        use = run("reindex", "--archive", filled, "--embeddings", "use")
        assert (use.code, "4 turns" in use.out) == (0, True), use.err
        run("export", "work", "--archive", filled, "-o", "w.jsonl")
        wrong = run("import", "w.jsonl", "--archive", filled, "--to-user", "x", "--embeddings", "qwen", **environment)
    assert wrong.code == 1
    assert len(wrong.err.splitlines()) == 1
    assert "qwen-memory reindex" in wrong.err


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["reindex"], "reindex needs --embeddings: qwen, use, e5"),
        (["reindex", "--embeddings", "bert"], "--embeddings bert: it takes qwen, use, e5, none"),
        (["reindex", "--embeddings", "qwen"], "needs DASHSCOPE_API_KEY"),
    ],
)
def test_reindex_says_what_it_needs(run, filled, words, told):
    """One line each."""
    done = run(*words, "--archive", filled)
    assert (done.code, told in done.err) == (1, True)


def test_forgetting_asks_unless_told_not_to(run, filled):
    """In a pipe nobody can be asked, so nothing is forgotten."""
    done = run("forget", "trip", "--archive", filled)
    assert (done.code, "give --yes" in done.err) == (1, True)
    done = run("forget", "trip", "--archive", filled, "--yes", "--json")
    assert json.loads(done.out) == {"user": "", "thread": "trip", "turns": 2}
    assert turns_of(filled, "", "trip") == []
    assert turns_of(filled, "anna", "trip") == ["My parking place is 77."]
    assert "1" in run("forget", "--all", "--user", "anna", "--archive", filled, "--yes", "--lang", "zh").out
    for words in ([], ["work", "--all"]):
        assert "--all" in run("forget", *words, "--archive", filled, "--yes").err


def test_forgetting_reaches_the_checkpoints(run, talk, home):
    """Nothing of the words is in the file any more that a reader of it would find."""
    talk("My secret is violet.", "Good morning.")
    assert run("forget", "trip", "--archive", "t.db", "--yes").code == 0
    assert run("show", "trip", "--archive", "t.db").code == 1
    import sqlite3

    db = sqlite3.connect(home / "t.db")
    try:
        for table in ("checkpoints", "writes", "qwen_memory_turns"):
            assert db.execute(f"SELECT count(*) FROM {table}").fetchone() == (0,)
    finally:
        db.close()


def test_forgetting_in_a_terminal_asks(filled, home):
    """Anything but yes leaves all as it is."""
    pexpect = pytest.importorskip("pexpect", reason="a pseudo-terminal needs pexpect (and a POSIX system)")
    words = ["-m", "langchain_qwen_memory", "forget", "trip", "--archive", str(filled)]
    for answer, left in (("n", 2), ("y", 0)):
        child = pexpect.spawn(sys.executable, words, env={**os.environ}, encoding="utf-8", timeout=60)
        child.expect(r"It cannot be undone. \[y/N\]")
        child.sendline(answer)
        child.expect(pexpect.EOF)
        child.close()
        assert child.exitstatus == 0
        assert len(turns_of(filled, "", "trip")) == left


def test_long_work_shows_a_bar_in_a_terminal_only(home):
    """On standard error, so that an export on standard output stays clean."""
    pexpect = pytest.importorskip("pexpect", reason="a pseudo-terminal needs pexpect (and a POSIX system)")
    with SqliteArchive(home / "a.db") as archive:
        fill(archive, "", "long", [f"fact {number}" for number in range(3000)])
    words = ["-m", "langchain_qwen_memory", "export", "--archive", "a.db", "-o", "t.jsonl"]
    child = pexpect.spawn(sys.executable, words, env={**os.environ, "TERM": "xterm"}, encoding="utf-8", timeout=60)
    child.expect(r"exporting.*/3000")
    child.expect("Exported to t.jsonl: 3000 turns")
    child.expect(pexpect.EOF)
    child.close()
    assert child.exitstatus == 0


def test_a_reader_who_leaves_is_no_error(home):
    """As with `qwen-memory export | head`."""
    with SqliteArchive(home / "a.db") as archive:
        fill(archive, "", "long", [f"fact {number} {'x' * 500}" for number in range(500)])
    command = f"{sys.executable} -m langchain_qwen_memory export --archive a.db | head -n 1"
    done = subprocess.run(command, shell=True, capture_output=True, encoding="utf-8", timeout=60, check=False)
    assert (done.stderr, len(done.stdout.splitlines())) == ("", 1)


def test_ctrl_c_stops_an_import_which_is_done_again_later(run, home):
    """What was in is whole, nothing is there twice, and there is no traceback."""
    with SqliteArchive(home / "a.db") as archive:
        fill(archive, "", "long", [f"fact {number}" for number in range(2000)])
    exported = run("export", "--archive", "a.db").out.splitlines(keepends=True)
    command = [sys.executable, "-m", "langchain_qwen_memory", "import", "--archive", "b.db"]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE, encoding="utf-8")
    process.stdin.writelines(exported[:1500])
    process.stdin.flush()
    deadline = time.monotonic() + 30
    while not _count("b.db") and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=30)
    assert (process.returncode, errors) == (130, "")
    assert 0 < _count("b.db") < 2000
    assert run("import", "--archive", "b.db", text="".join(exported)).code == 0
    assert turns_of("b.db", "", "long") == turns_of("a.db", "", "long")


def _count(path):
    if not Path(path).exists() or not Path(path).stat().st_size:
        return 0
    try:
        with SqliteArchive(path) as archive:
            return archive.count("")
    except Exception:
        return 0
