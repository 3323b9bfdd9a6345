"""A key goes to the service and nowhere else: runs that fail and runs that succeed are searched for it, everywhere."""

import json
import logging
import pickle
import sqlite3
import traceback
from contextlib import closing

import pytest
from langchain_core.callbacks import BaseCallbackHandler
from langchain_core.load import dumps
from langchain_core.tracers.base import BaseTracer
from langgraph.checkpoint.sqlite import SqliteSaver

from langchain_qwen_memory import (
    ChatQwen,
    QwenEmbeddings,
    RecallMemory,
    SqliteArchive,
    SummaryBufferMemory,
    create_chat_graph,
    read_reports,
    run_turn,
    stream_turn,
    transcript,
)
from langchain_qwen_memory.testing import Fault, LocalDashScope

KEY = "sk-canary0123456789abcdef"
CONFIG = {"configurable": {"thread_id": "t1"}}
SAID = f"Incorrect API key provided: {KEY}. See {KEY!r} in header 'Bearer {KEY}'."
FAULTS = {
    "401": Fault.unauthorized(),
    "repeated in a 400": Fault.bad_request(SAID),
    "500": Fault.internal(),
    "html": Fault.html(),
    "html that repeats it": Fault(body=f"<html>{SAID}</html>", status=502),
    "repeated under 200": Fault(body=json.dumps({"error": {"message": SAID}}), content_type="application/json"),
    "no answer": Fault.hang(),
    "cut": Fault.cut(after=1),
    "no choices": Fault.no_choices(),
    "overflow": Fault.overflow(1_000),
}


class Tracer(BaseTracer):
    """Keeps all that a tracing service would be sent."""

    def __init__(self):
        super().__init__()
        self.sent = []

    def _persist_run(self, run):
        self.sent.append(
            repr(run) + run.model_dump_json(fallback=repr) if hasattr(run, "model_dump_json") else repr(run)
        )


class Calls(BaseCallbackHandler):
    """Keeps all that a callback is given."""

    def __init__(self):
        self.given = []

    def on_chat_model_start(self, *what, **how):
        self.given.append(repr((what, how)))

    def on_llm_error(self, error, **how):
        self.given.append(repr((error, error.args, how)) + str(error))

    def on_llm_end(self, *what, **how):
        self.given.append(repr((what, how)))

    def on_chain_error(self, error, **how):
        self.given.append(repr((error, how)))


def words_of(error):
    """All that can be read of an error by whoever logs it."""
    found, seen = "", set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        found += "".join(traceback.format_exception(error)) + repr(error) + repr(error.args)
        found += repr(getattr(error, "body", "")) + repr(getattr(error, "message", ""))
        error = error.__cause__ or error.__context__
    return found


def everything_in(path):
    """The bytes of all files beside a database, and each value in it."""
    for file in path.parent.glob(f"{path.name}*"):
        yield file.read_bytes().decode("latin-1")
    with closing(sqlite3.connect(path)) as db:
        for (table,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
            yield repr(db.execute(f'SELECT * FROM "{table}"').fetchall())


@pytest.mark.parametrize("case", FAULTS)
@pytest.mark.parametrize("way", [run_turn, stream_turn])
def test_the_key_is_nowhere(tmp_path, caplog, capfd, case, way):
    """Log, errors with their causes, callbacks, traces, checkpoints, archive, reports, reprs and what is printed."""
    caplog.set_level(logging.DEBUG)
    tracer, calls, errors = Tracer(), Calls(), []
    config = {**CONFIG, "callbacks": [tracer, calls]}
    path = tmp_path / "chat.db"
    with LocalDashScope() as server, SqliteSaver.from_conn_string(str(path)) as saver:
        options = {"base_url": server.base_url, "api_key": KEY, "max_retries": 0, "timeout": 0.5}
        model, embeddings = ChatQwen(model="qwen-plus", **options), QwenEmbeddings(**options)
        memory = [SummaryBufferMemory(trigger=("turns", 2), keep=("turns", 1)), RecallMemory(k=1)]
        with SqliteArchive(path, embeddings=embeddings) as archive:
            graph = create_chat_graph(model, memory=memory, archive=archive, checkpointer=saver)
            for number in range(6):
                if number % 2:
                    server.misbehave(FAULTS[case], times=2)
                try:
                    list(way(graph, f"my order is KM-300{number}", config) or ())
                except Exception as error:
                    errors.append(words_of(error))
            reports = list(read_reports(graph, CONFIG))
            turns = transcript(graph, CONFIG)
            assert any(KEY in request.headers["authorization"] for request in server.requests)  # it was sent
            things = [model, embeddings, archive, graph, saver, memory]
            texts = [*map(repr, things), *map(str, things), dumps(model), model.model_dump_json(), repr(model.__dict__)]
        texts += [*errors, *tracer.sent, *calls.given, repr(reports), repr(turns), *everything_in(path)]
    printed = capfd.readouterr()
    texts += [caplog.text, *(repr(vars(record)) for record in caplog.records), printed.out, printed.err]
    assert tracer.sent and calls.given and errors  # noqa: PT018 - else nothing was searched
    shown = [text[max(0, text.index(KEY) - 200) :][:400] for text in texts if KEY in text]
    assert not shown, shown[0]


def test_a_copied_model_hides_its_key_too():
    """A copy with other options, a bound model and one with tools."""
    model = ChatQwen(model="qwen-plus", api_key=KEY)
    bound = model.bind(stop=["x"]), model.bind_tools([]), model.with_config(tags=["a"])
    for made in (model.model_copy(), model.with_retry(), *bound):
        assert KEY not in repr(made) + str(made)


def test_what_is_pickled_by_an_archive_holds_no_key(tmp_path):
    """An archive with embeddings keeps their name, not their key."""
    embeddings = QwenEmbeddings(api_key=KEY)
    with SqliteArchive(tmp_path / "chat.db", embeddings=embeddings) as archive:
        assert KEY not in repr(archive)
        with pytest.raises((TypeError, pickle.PicklingError)):
            pickle.dumps(archive)
    assert not any(KEY in text for text in everything_in(tmp_path / "chat.db"))
