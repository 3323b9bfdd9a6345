"""Who may come in: names, origins, the token, and that no text becomes markup or reaches a file."""

import json
import re
import socket
import subprocess
import sys
import urllib.error
import urllib.request

import pytest

from langchain_qwen_memory.testing import Reply
from tests.web.conftest import about, end, start, until

TOKEN = "correct-horse-battery-staple"
NASTY = (
    "<img src=x onerror=\"window.pwned='img'\"><script>window.pwned='script'</script>"
    "<svg onload=\"window.pwned='svg'\"></svg> [go](javascript:window.pwned='link') "
    "![see](http://203.0.113.9/seen.png) <iframe src=http://203.0.113.9/></iframe> "
    "${window.pwned='template'} {{constructor.constructor('window.pwned=1')()}} `<b>code</b>`"
)


def fetch(url, *, data=None, **headers):
    """Status, headers and body of an answer; redirects are not followed."""

    class Stay(urllib.request.HTTPRedirectHandler):
        def redirect_request(self, *_):
            return None

    asked = urllib.request.Request(url, data=data, headers={name.replace("_", "-"): v for name, v in headers.items()})
    try:
        answer = urllib.request.build_opener(Stay).open(asked, timeout=10)
    except urllib.error.HTTPError as error:
        answer = error
    with answer:
        return answer.status, answer.headers, answer.read().decode("utf-8", "replace")


@pytest.fixture(scope="module")
def locked(model, tmp_path_factory):
    """A page that other machines reach: port and token, as told in the terminal."""
    pytest.importorskip("gradio", reason='the page needs gradio: pip install "langchain-qwen-memory[web]"')
    words = ["--host", "0.0.0.0", "--token", TOKEN, "--allow-host", "chat.example.org"]
    words += ["--base-url", model.base_url, "--model", "qwen-plus"]
    process, url = start(tmp_path_factory.mktemp("locked"), *words, DASHSCOPE_API_KEY=model.api_key)
    yield url
    end(process)


def test_only_its_own_names_reach_the_page(address):
    """A name that somebody points at this machine does not: that is how DNS rebinding is kept out."""
    assert fetch(f"{address}/en/")[0] == 200
    assert fetch(f"{address}/en/", Host=f"localhost:{address.rpartition(':')[2]}")[0] == 200
    for foreign in ("evil.example", "127.0.0.1.evil.example", "192.0.2.7", "", "[::1"):
        status, _, text = fetch(f"{address}/en/", Host=foreign)
        assert (status, "--allow-host" in text) == (421, True)


def test_only_its_own_page_may_call_it(address):
    """A request that another page makes is refused, whatever it asks for; a link to it may be followed."""
    call = f"{address}/en/gradio_api/queue/join"
    body = json.dumps({"data": [], "fn_index": 0, "session_hash": "x"}).encode()
    for origin in ("http://evil.example", "null", "https://127.0.0.1", "http://127.0.0.1:1"):
        assert fetch(call, data=body, Origin=origin, Content_Type="application/json")[0] == 403
    assert fetch(f"{address}/en/", Sec_Fetch_Site="cross-site", Sec_Fetch_Mode="no-cors")[0] == 403
    assert fetch(f"{address}/en/", Sec_Fetch_Site="cross-site", Sec_Fetch_Mode="navigate")[0] == 200
    assert fetch(f"{address}/en/", Origin=address)[0] == 200


def test_answers_tell_browsers_to_load_nothing_from_elsewhere(address):
    """The policy names this page only, and nobody may frame it."""
    policy = fetch(f"{address}/en/")[1]["content-security-policy"]
    assert "default-src 'self'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "http" not in policy


def test_files_of_the_machine_are_out_of_reach(address, tmp_path):
    """Neither the thread's file nor any other is served, by whatever path."""
    secret = tmp_path / "secret.txt"
    secret.write_text("swordfish")
    for path in (str(secret), "/etc/passwd", "../t.db", "%2e%2e/t.db", "t.db"):
        status, _, text = fetch(f"{address}/en/gradio_api/file={path}")
        assert status in (403, 404)
        assert "swordfish" not in text


def test_without_the_token_nothing_is_told(locked):
    """Each address asks for the token; a wrong one is told to be wrong; the right one leaves a cookie and goes."""
    base = locked.partition("/?")[0]
    for path in ("/", "/en/", "/en/config", "/en/gradio_api/info", "/manifest.json"):
        status, _, text = fetch(base + path)
        assert (status, "A token is needed" in text) == (401, True)
    assert "not the token" in fetch(f"{base}/?token=wrong-wrong-wrong-wrong")[2]
    assert fetch(f"{base}/en/", Cookie=f"qwen-memory-{base.rpartition(':')[2]}=wrong")[0] == 401
    status, headers, _ = fetch(f"{base}/en/?token={TOKEN}&thread=trip")
    assert (status, headers["location"]) == (303, "/en/?thread=trip")
    cookie = headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=lax" in cookie
    assert fetch(f"{base}/en/", Cookie=cookie.partition(";")[0])[0] == 200
    assert fetch(f"{base}/sign-in", data=f"token={TOKEN}".encode())[0] == 303
    assert fetch(f"{base}/sign-in", data=b"token=" + b"x" * 100_000)[0] == 401


def test_the_names_one_allows_reach_a_page_that_others_see(locked):
    """Addresses do, and what --allow-host names; other names do not."""
    base = locked.partition("/?")[0]
    assert fetch(base, Host="192.0.2.7")[0] == 401
    assert fetch(base, Host="chat.example.org")[0] == 401
    assert fetch(base, Host="evil.example")[0] == 421


def test_a_person_comes_in_by_the_form_and_by_the_printed_address(browser, locked):
    """The form takes the token; the address in the terminal has it, and the page's own address has not."""
    context = browser.new_context()
    page = context.new_page()
    page.goto(locked.partition("?")[0])
    page.fill("input[name=token]", TOKEN)
    page.click("button")
    page.wait_for_selector("#qm-box textarea:enabled")
    context.close()
    other = browser.new_context()
    page = other.new_page()
    page.goto(locked)
    page.wait_for_selector("#qm-box textarea:enabled")
    assert TOKEN not in page.url
    other.close()


def test_no_text_becomes_markup(tab, model):
    """Questions, answers, thoughts, names of threads, summaries and recalled turns are shown as they were written."""
    one = tab().open()
    model.script(Reply(content=NASTY, reasoning=NASTY), when=about(NASTY))
    one.ask(f"{NASTY} atlas")
    shown = one.said()[-1]
    assert "<img src=x onerror=" in shown
    assert "<script>" in shown
    assert "<script>" in one.said("bot")[-1]
    assert "<img" in one.text("#qm-head h1")
    one.ask("The sextant lies on the shelf. " * 12, "The compass hangs at the door. " * 12, "Where is the atlas?")
    one.page.wait_for_selector("#qm-recalled .qm-card")
    assert "<script>" in one.text("#qm-recalled")
    one.page.locator("#qm-chat .thought-group .title").first.click()
    for link in one.page.locator("#qm-chat a").all():
        assert not (link.get_attribute("href") or "").startswith("javascript:")
    one.page.wait_for_timeout(300)
    assert one.page.evaluate("window.pwned") is None
    inside = "#qm-main :is(script, iframe, img[onerror], svg[onload]), #qm-threads :is(script, iframe, img)"
    assert one.page.locator(inside).count() == 0
    until(lambda: one.page.locator("#qm-list label", has_text="<img").count() > 0)
    one.page.click("#qm-forget")
    one.wait_for("#qm-confirm", "<img src=x")
    assert one.page.evaluate("window.pwned") is None


def test_without_a_token_of_ones_own_a_new_one_is_told(tmp_path):
    """Whoever opens the page to others gets an address with a token that nobody can guess, and a word of warning."""
    process, url = start(tmp_path, "--host", "0.0.0.0")
    token = re.fullmatch(r"http://127\.0\.0\.1:\d+/\?token=([\w-]{32,})", url)
    assert token
    until(lambda: "Other machines can reach this" in (tmp_path / "page.log").read_text())
    end(process)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["--token", "short"], "--token takes 16 characters or more"),
        (["--lang", "fr"], "--lang fr: it takes zh or en"),
        (["--memory", "diary"], "--memory diary: it takes window, summary or recall"),
    ],
)
def test_misuse_ends_with_one_line_that_says_what_is_taken(tmp_path, words, told):
    """Nothing is opened, and the fix is in the line."""
    command = [sys.executable, "-m", "langchain_qwen_memory.web", "--db", str(tmp_path / "t.db"), *words]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert ended.returncode == 1
    assert told in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_taken_port_is_told(tmp_path):
    """With another one to type."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        command = [sys.executable, "-m", "langchain_qwen_memory.web", "--port", str(port), "--db", str(tmp_path / "t")]
        ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert (ended.returncode, f"--port {port + 1}" in ended.stderr) == (1, True)
