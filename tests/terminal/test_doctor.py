"""`qwen-memory doctor`: each thing that may be wrong is found, told with its fix, and never with the key."""

import json
import socket

import pytest

from langchain_qwen_memory.testing import Fault, LocalDashScope
from tests.terminal.conftest import lines

KEY = "sk-0123456789abcdef"
NAMES = ["key", "endpoint", "reachable", "model", "tokenizer", "archive", "checkpoints"]


@pytest.fixture
def server():
    with LocalDashScope(api_key=KEY) as server:
        yield server


@pytest.fixture
def examine(run, server):
    """Runs the doctor at that server; gives what it found by name."""

    def examine(*words, key=KEY, url=server.base_url, code=1):
        environment = {"DASHSCOPE_API_KEY": key, "DASHSCOPE_API_BASE": url}
        done = run("doctor", "--json", *words, **environment)
        assert done.code == code, done.out + done.err
        assert key not in done.out + done.err
        (told,) = lines(done)
        assert told["ok"] is (code == 0)
        return {check["name"]: check for check in told["checks"]}

    return examine


def wrong(found):
    """Names of what was found wrong."""
    return [name for name, check in found.items() if check["ok"] is False]


def test_all_is_well(examine, server):
    """Every place is looked at, and the model is asked for one token."""
    found = examine(code=0)
    assert list(found) == NAMES
    assert all(check["ok"] and not check["fix"] for check in found.values())
    assert server.requests[-1].body["max_tokens"] == 1
    assert server.requests[0].headers.get("authorization") is None


@pytest.mark.parametrize(
    ("language", "well", "sick"), [("en", "All is well.", "1 found wrong."), ("zh", "一切正常。", "有 1 处问题。")]
)
def test_people_are_told_in_their_language(run, server, language, well, sick):
    """A line per place; under what is wrong, what to do."""
    environment = {"DASHSCOPE_API_KEY": KEY, "DASHSCOPE_API_BASE": server.base_url}
    done = run("doctor", "--lang", language, **environment)
    assert (done.code, done.out.splitlines()[-1]) == (0, well)
    assert done.out.count("✓") == len(NAMES)
    server.misbehave(Fault.not_found())
    done = run("doctor", "--lang", language, **environment)
    assert (done.code, done.out.splitlines()[-1]) == (1, sick)
    assert "✗" in done.out
    assert "→" in done.out
    assert KEY not in done.out + done.err


def test_a_missing_key(run):
    """What needs it is not looked at, all the rest is."""
    done = run("doctor", "--json")
    (told,) = lines(done)
    found = {check["name"]: check for check in told["checks"]}
    assert done.code == 1
    assert "export DASHSCOPE_API_KEY" in found["key"]["fix"]
    assert found["model"]["ok"] is None
    assert found["tokenizer"]["ok"]


@pytest.mark.parametrize("key", [f"{KEY} ", f'"{KEY}" x', f"钥{KEY}"])
def test_a_key_that_was_copied_wrongly(examine, key):
    """Before it is sent anywhere."""
    found = examine(key=key)
    assert wrong(found) == ["key"]
    assert found["model"]["ok"] is None


def test_a_key_that_is_refused(examine):
    """401: wrong, or of another region."""
    found = examine(key="sk-ffffffffffffffff")
    assert wrong(found) == ["model"]
    assert "--region" in found["model"]["fix"]


def test_a_key_of_another_region_is_recognised(examine, server, monkeypatch):
    """The service's other regions are asked, and the one that takes the key is named."""
    from langchain_qwen_memory.qwen import endpoints

    with LocalDashScope(api_key="sk-aaaaaaaaaaaaaaaa") as here:
        monkeypatch.setattr(endpoints, "region_of", lambda url: "beijing")
        monkeypatch.setattr(endpoints, "other_regions", lambda url: {"us": here.base_url, "singapore": server.base_url})
        found = examine(url=here.base_url)
    assert wrong(found) == ["model"]
    assert "--region singapore" in found["model"]["fix"]


def test_a_model_that_is_not_there(examine):
    """404: misspelt, or of another region."""
    found = examine("--model", "qwen-nosuch")
    assert wrong(found) == ["model"]
    assert "QwenModelNotFoundError" in found["model"]["text"]
    assert "spelling" in found["model"]["fix"]


@pytest.mark.parametrize(
    ("fault", "kind", "fix"),
    [
        (Fault.forbidden(), "QwenPermissionDeniedError", "activate"),
        (Fault.arrears(), "QwenArrearsError", "settle"),
        (Fault.rate_limit(), "QwenRateLimitError", "in a minute"),
        (Fault.internal(), "QwenServerError", "try again"),
        (Fault.html(), "Qwen", "try again"),
    ],
)
def test_a_service_that_refuses(examine, server, fault, kind, fix):
    """Each refusal has its own advice."""
    server.misbehave(fault)
    found = examine()
    assert wrong(found) == ["model"]
    assert kind in found["model"]["text"]
    assert fix in found["model"]["fix"]


def test_a_host_that_is_not_reached(examine):
    """Nobody listens there; the model is not asked then."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    found = examine(url=f"http://127.0.0.1:{port}/compatible-mode/v1")
    assert wrong(found) == ["reachable"]
    assert f"127.0.0.1:{port}" in found["reachable"]["fix"]
    assert found["model"]["ok"] is None


def test_a_region_that_does_not_exist(examine):
    """With those that do."""
    found = examine("--region", "mars", url="")
    assert wrong(found) == ["endpoint"]
    assert "singapore" in found["endpoint"]["text"]


def test_a_server_of_ones_own_needs_no_key(run, server):
    """It is asked for its model by the name it has there."""
    words = ("--base-url", server.plain_url, "--server", "ollama", "--model", "qwen3:8b")
    done = run("doctor", "--json", *words, DASHSCOPE_API_KEY=KEY)
    (told,) = lines(done)
    assert (done.code, told["ok"]) == (0, True)
    assert all(request.headers.get("authorization") in {None, "Bearer EMPTY"} for request in server.requests)


def test_an_archive_that_cannot_be_opened(examine, home):
    """A letter is no database; nor does a server answer that is not there. No password is told."""
    (home / "letter.txt").write_text("Dear Anna, " * 100)
    found = examine("--archive", "letter.txt")
    assert wrong(found) == ["archive"]
    assert found["checkpoints"]["ok"] is None
    found = examine("--archive", "postgresql://anna:secret@127.0.0.1:1/chats")
    assert wrong(found) == ["archive"]
    assert "secret" not in json.dumps(found)
    assert (home / "letter.txt").read_text() == "Dear Anna, " * 100


def test_an_archive_that_is_there_is_counted(examine, talk, server):
    """Turns and users of it."""
    from langchain_qwen_memory.archive import SqliteArchive
    from tests.archive.contract import fill

    with SqliteArchive("a.db") as archive:
        fill(archive, "anna", "trip", ["Hello.", "Good morning."])
    found = examine("--archive", "a.db", code=0)
    assert "turns 2, users 1" in found["archive"]["text"]
    assert "none here yet" in found["checkpoints"]["text"]


def test_turns_without_vectors_are_told(examine, home):
    """With the command that makes them."""
    from langchain_qwen_memory.archive import SqliteArchive
    from langchain_qwen_memory.local_embeddings import UniversalSentenceEmbeddings
    from tests.archive.contract import fill

    with SqliteArchive("a.db", embeddings=UniversalSentenceEmbeddings()) as archive:
        fill(archive, "", "one", ["Hello."])
    with SqliteArchive("a.db") as archive:
        fill(archive, "", "two", ["Good morning."])
    found = examine("--archive", "a.db", code=0)
    assert "qwen-memory reindex" in found["archive"]["fix"]


@pytest.mark.parametrize("name", ["qwen", "use"])
def test_embeddings_are_tried(examine, name):
    """One text is embedded; how long vectors are is told."""
    found = examine("--embeddings", name, code=0)
    assert "dimensions" in found["embeddings"]["text"]


def test_a_tokenizer_that_counts_otherwise(examine, monkeypatch):
    """A package that was replaced by another of its name."""
    from langchain_qwen_memory import tokens

    monkeypatch.setattr(tokens, "count_text", lambda text, model="": 3)
    found = examine()
    assert wrong(found) == ["tokenizer"]
    assert "pip install" in found["tokenizer"]["fix"]
