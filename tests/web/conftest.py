"""The page as its own process, a model behind it, and a real browser before it."""

import os
import re
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from langchain_qwen_memory.testing import LocalDashScope

CHROMIUM = Path(os.environ.get("CHROMIUM", "/usr/bin/chromium"))
WIDE = {"width": 1440, "height": 900}
SMALL = {"width": 390, "height": 844}


def start(folder, *words, **changes):
    """Start the page; gives the process and the address that it tells. What it says is in `page.log`."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("DASHSCOPE", "QWEN", "LC_"))}
    command = [sys.executable, "-m", "langchain_qwen_memory.web", "--port", "0", "--db", str(folder / "t.db"), *words]
    log = folder / "page.log"
    with log.open("w") as file:
        process = subprocess.Popen(
            command,
            env={**kept, "LANG": "C.UTF-8", "PYTHONUNBUFFERED": "1", **changes},
            stdout=file,
            stderr=subprocess.STDOUT,
            cwd=str(folder),
        )
    until(lambda: "Ctrl-C" in log.read_text() or process.poll() is not None, seconds=60)
    found = re.search(r"http://\S+", log.read_text())
    assert found, log.read_text()
    return process, found.group()


def end(process):
    """End it as Ctrl-C does, and see that it goes."""
    process.terminate()
    process.wait(timeout=20)


@pytest.fixture(scope="module")
def browser():
    """Chromium, one for a file's tests: while it is open an event loop runs, beside which async tests cannot."""
    api = pytest.importorskip("playwright.sync_api", reason="the page is tested in a browser: pip install playwright")
    if not CHROMIUM.exists():
        pytest.skip(f"the page is tested in a browser, and there is none at {CHROMIUM} (set CHROMIUM)")
    with api.sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=str(CHROMIUM), args=["--no-sandbox"])
        yield chromium
        chromium.close()


@pytest.fixture(scope="session")
def model():
    """The service, whose answers come slowly enough to be seen coming."""
    with LocalDashScope(speed=0.004) as server:
        yield server


@pytest.fixture(scope="session")
def address(model, tmp_path_factory):
    """The page of a model that takes pictures and thinks, with a window that is soon full."""
    pytest.importorskip("gradio", reason='the page needs gradio: pip install "langchain-qwen-memory[web]"')
    words = ["--base-url", model.base_url, "--model", "qwen3-vl-plus", "--thinking", "--trigger", "200"]
    folder = tmp_path_factory.mktemp("web")
    process, url = start(folder, *words, DASHSCOPE_API_KEY=model.api_key)
    yield url.rstrip("/")
    end(process)
    assert "Traceback" not in (folder / "page.log").read_text()


_ANSWERED = """before => {
  const rows = [...document.querySelectorAll("#qm-chat .user, #qm-chat .bot")];
  const asked = document.querySelectorAll("#qm-chat .user .message-content").length;
  return asked > before && rows.at(-1).matches(".bot, .bot *") && document.querySelector("#qm-box .submit-button");
}"""
"""A short answer is there before one has seen it coming: so not the stop button is waited for, but the answer."""


def about(question):
    """Says of a request whether it asks this, for `when=`: summaries are written meanwhile."""
    return lambda body: question in str(body["messages"][-1]["content"])


@dataclass
class Tab:
    """A tab of the browser at the page, and what one does with it."""

    page: object
    address: str
    requests: list = field(default_factory=list)
    errors: list = field(default_factory=list)

    def open(self, where="?new"):
        """Go there and wait until one can type."""
        self.page.goto(f"{self.address}/{where}")
        self.page.wait_for_selector("#qm-box textarea:enabled")
        return self

    def send(self, text):
        """Ask, and do not wait."""
        self.page.fill("#qm-box textarea", text)
        self.page.keyboard.press("Enter")
        self.page.wait_for_selector("#qm-box .stop-button")

    def rest(self):
        """Wait until nothing is under way."""
        self.page.wait_for_selector("#qm-box .submit-button")
        return self

    def ask(self, *texts):
        """Ask one after the other, each to its end."""
        for text in texts:
            before = len(self.said())
            self.page.fill("#qm-box textarea", text)
            self.page.keyboard.press("Enter")
            self.page.wait_for_function(_ANSWERED, arg=before)
        return self

    def said(self, who="user"):
        """What stands in the chat: the texts of `user` or of `bot`, thoughts aside."""
        rows = self.page.locator(f"#qm-chat .{who} .message-content")
        return [text.strip() for text in rows.all_inner_texts()]

    def text(self, where):
        """The text of a part of the page."""
        return self.page.locator(where).inner_text()

    def wait_for(self, where, text):
        """Wait until a part of the page says something."""
        self.page.locator(where, has_text=text).first.wait_for()

    def threads(self):
        """The lines in the list of threads."""
        return self.page.locator("#qm-list label").all_inner_texts()


@pytest.fixture
def tab(browser, address):
    """Opens tabs: `tab()`, or `tab(viewport=SMALL, locale="zh-CN")`; ends with a look at what went wrong in them."""
    opened, contexts = [], []

    def make(address=address, context=None, **options):
        if context is None:
            context = browser.new_context(**{"viewport": WIDE, "locale": "en-US", **options})
            context.set_default_timeout(15_000)
            contexts.append(context)
        made = Tab(context.new_page(), address)
        made.page.on("request", lambda request: made.requests.append(request.url))
        made.page.on("pageerror", lambda error: made.errors.append(str(error)))
        opened.append(made)
        return made

    yield make
    for context in contexts:
        context.close()
    assert [error for made in opened for error in made.errors] == []


def until(true, seconds=40):
    """Wait for something that the browser does not show."""
    last = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < last
        time.sleep(0.05)
