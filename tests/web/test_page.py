"""The page as a person has it: a real browser, a real server, a model over HTTP."""

import json
import re
import struct
import zlib
from base64 import b64decode

import pytest

from langchain_qwen_memory.testing import Fault, Reply
from tests.web.conftest import SMALL, about, until

LONG = "The harbour lies in the north. " * 60


def png(path):
    """A red picture of 64 by 64 pixels."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = b"".join(b"\0" + b"\xff\0\0" * 64 for _ in range(64))
    body = chunk(b"IHDR", struct.pack(">IIBBBBB", 64, 64, 8, 2, 0, 0, 0)) + chunk(b"IDAT", zlib.compress(rows))
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + body + chunk(b"IEND", b""))
    return path


def newest(model):
    """The newest request that asked for an answer, as (role, text)."""
    return [(message["role"], message["content"]) for message in model.requests[-1].messages]


def test_three_turns_and_a_reload(tab):
    """A thread is named by its first question, remembers, and is the same after a reload; thinking is folded away."""
    one = tab().open()
    one.ask("My name is Anna and I keep bees.", "I am allergic to hazelnuts.", "What am I allergic to?")
    until(lambda: "stand-in, not Qwen" not in " ".join(one.said("bot")))  # the last thought is folded, too
    asked, told = one.said(), one.said("bot")
    assert asked == ["My name is Anna and I keep bees.", "I am allergic to hazelnuts.", "What am I allergic to?"]
    assert "hazelnuts" in told[-1]
    assert one.page.locator("#qm-chat .thought-group").count() == 3
    assert "thread=My%20name%20is%20Anna" in one.page.url
    one.page.locator("#qm-chat .thought-group .title").last.click()
    one.wait_for("#qm-chat .thought-group", "The newest question: What am I allergic to?")
    one.page.reload()
    one.page.wait_for_selector("#qm-chat .bot")
    assert (one.said(), one.said("bot")) == (asked, told)
    assert "My name is Anna and I keep" in one.text("#qm-head h1")


def test_the_view_is_drawn_to_scale_with_its_numbers(tab):
    """The blocks have the widths that the table's tokens ask for, and the table adds up."""
    one = tab().open().ask("The code of the gate is 4711.", "The code of the shed is 2203.", "What is the code?")
    rows = one.page.locator("#qm-view .qm-parts tbody tr").all()
    sizes = [int(re.sub(r"\D", "", row.locator("td").first.inner_text())) for row in rows]
    names = [row.locator("th").inner_text().split()[0] for row in rows]
    assert names[-2:] == ["Question", "Free"]
    total = int(re.sub(r"\D", "", one.page.locator("#qm-view tfoot td").first.inner_text()))
    assert sum(sizes[:-1]) == total > 0
    plan = one.page.locator("#qm-view .qm-bar").first
    widths = [block.bounding_box()["width"] for block in plan.locator("i").all()]
    for size, width in zip(sizes, widths, strict=True):
        assert width / sum(widths) == pytest.approx(size / sum(sizes), abs=0.01)
    label = one.page.locator("#qm-view [role=img]").first.get_attribute("aria-label")
    assert f"Question {sizes[-2]}" in label
    assert one.page.locator("#qm-view .qm-strip i").count() == 3


def test_old_turns_are_folded_and_recalled_and_the_page_shows_it(tab, model):
    """The summary appears with what was added, recalled turns with date and score, and both charts have lines."""
    one = tab().open()
    facts = [f"Locker {number} holds the {thing}." for number, thing in enumerate(("atlas", "sextant", "compass"))]
    talk = [f"{fact} {'It stands by the wall, painted green, behind the old door. ' * 3}" for fact in facts]
    one.ask(*talk, "Which locker holds the atlas?")
    assert "Locker 0" in one.said("bot")[-1]
    one.wait_for("#qm-recalled .qm-card", "Locker 0 holds the atlas")
    card = one.page.locator("#qm-recalled .qm-card").first.inner_text()
    assert re.search(r"Turn 1\s+\d{4}-\d\d-\d\d \d\d:\d\d\s+score \d", card)
    assert "Locker 0" in one.text("#qm-summary .qm-summary ins >> nth=0")
    assert "Recalled" in one.text("#qm-view .qm-parts")
    assert "<records" in json.dumps(newest(model))
    one.page.locator("#qm-charts").scroll_into_view_if_needed()
    for chart in ("#qm-tokens", "#qm-money"):
        one.page.wait_for_selector(f"{chart} canvas, {chart} svg.marks")
    first = one.page.locator("#qm-chat .user .message-content").first

    def shown() -> bool:
        first.click()  # again, if the page was not ready to listen
        one.page.wait_for_timeout(1_000)
        return one.page.locator("#qm-view .qm-strip i").count() == 1

    until(shown)


def test_a_picture_goes_to_the_model_and_is_there_after_a_reload(tab, model, tmp_path):
    """What was put into the box reaches the model whole, stands in the chat, and comes back from the thread."""
    one = tab().open()
    file = png(tmp_path / "red.png")
    with one.page.expect_response(lambda response: "/upload" in response.url):
        one.page.locator("#qm-box input[type=file]").set_input_files(str(file))
    one.page.wait_for_selector("#qm-box .thumbnail-item, #qm-box .thumbnails")
    one.ask("What is in this picture?")
    picture, text = newest(model)[-1][1]
    assert b64decode(picture["image_url"]["url"].partition(",")[2]) == file.read_bytes()
    assert text["text"].endswith("What is in this picture?")
    one.page.reload()
    shown = one.page.locator("#qm-chat .user img")
    shown.wait_for()
    until(lambda: shown.evaluate("image => image.naturalWidth") == 64)
    assert one.said() == ["What is in this picture?"]


def test_what_is_no_picture_is_refused_and_nothing_is_asked(tab, model, tmp_path):
    """A page of HTML called .png is looked into, not believed."""
    one = tab().open()
    false = tmp_path / "false.png"
    false.write_text("<html><script>1</script></html>")
    before = len(model.requests)
    with one.page.expect_response(lambda response: "/upload" in response.url):
        one.page.locator("#qm-box input[type=file]").set_input_files(str(false))
    one.page.wait_for_selector("#qm-box .thumbnail-item, #qm-box .thumbnails")
    one.page.fill("#qm-box textarea", "Look")
    one.page.keyboard.press("Enter")
    one.wait_for("body", "false.png is no picture")
    assert len(model.requests) == before


def test_a_branch_from_an_earlier_turn_and_the_way_back(tab, model):
    """One goes on from an earlier turn; what came after it is not in the prompt, and can be gone back to."""
    one = tab().open().ask("We meet in Lisbon.", "We meet on Monday.", "We meet at noon.")
    first = one.page.locator("#qm-chat .user .message-content").first

    def shown() -> bool:
        first.click()  # again, if the page was not ready to listen
        one.page.wait_for_timeout(1_000)
        return one.page.locator("#qm-view .qm-strip i").count() == 1

    until(shown)
    one.page.click("#qm-back")
    one.page.wait_for_selector("#qm-branches label")
    until(lambda: one.said() == ["We meet in Lisbon."])
    one.ask("We meet on Friday instead.")
    assert [text for role, text in newest(model) if role == "user"][-2:] == [
        "We meet in Lisbon.",
        "We meet on Friday instead.",
    ]
    assert "Monday" not in json.dumps(newest(model))
    assert "3 turns · We meet at noon." in one.text("#qm-branches label")
    one.page.locator("#qm-branches label").click()
    until(lambda: one.said() == ["We meet in Lisbon.", "We meet on Monday.", "We meet at noon."])
    assert "2 turns · We meet on Friday" in one.text("#qm-branches label")
    one.page.reload()
    one.page.wait_for_selector("#qm-chat .bot")
    assert one.said()[-1] == "We meet at noon."


def test_a_question_is_edited_asked_again_and_taken_back(tab, model):
    """The chat's own buttons go back to before a question: in other words, once more, or not at all."""
    one = tab().open().ask("I like tea.", "I live in <Porto> & work `a<b`.")
    one.page.locator("#qm-chat button[aria-label=Edit]").last.click()
    area = one.page.locator("#qm-chat textarea")
    before = len(model.requests)
    area.fill(area.input_value().replace("Porto", "Braga"))
    one.page.locator("#qm-chat button[aria-label=Submit]").click()
    until(lambda: len(model.requests) > before)
    one.rest()
    until(lambda: one.said() == ["I like tea.", "I live in <Braga> & work a<b."])
    assert newest(model)[-1] == ("user", "I live in <Braga> & work `a<b`.")
    before = len(model.requests)
    retry = one.page.locator("#qm-chat button[aria-label=Retry]")

    def asked_again() -> bool:
        if retry.is_visible():
            retry.click()  # again, if the page was not ready to listen
        one.page.wait_for_timeout(2_000)
        return len(model.requests) > before

    until(asked_again)
    one.rest()
    until(lambda: one.said() == ["I like tea.", "I live in <Braga> & work a<b."])
    one.page.locator("#qm-chat button[aria-label=Undo]").click()
    until(lambda: one.said() == ["I like tea."])
    assert one.page.input_value("#qm-box textarea") == "I live in <Braga> & work `a<b`."


def test_a_thread_is_forgotten_after_one_has_said_yes(tab):
    """First a question, with No; then it is gone from the list, from the file and from the model's sight."""
    one = tab().open("?thread=secret").ask("The password is swordfish.")
    one.page.click("#qm-forget")
    one.wait_for("#qm-confirm", "Forget thread secret for good? Its 1 turn")
    one.page.click("#qm-no")
    one.page.wait_for_selector("#qm-confirm", state="hidden")
    assert any(line.startswith("secret") for line in one.threads())
    one.page.click("#qm-forget")
    one.page.click("#qm-yes")
    until(lambda: not any(line.startswith("secret") for line in one.threads()))
    until(lambda: one.said() == [])
    one.open("?thread=secret").ask("What is the password?")
    assert "swordfish" not in " ".join(one.said("bot"))


def test_threads_that_begin_alike_are_told_apart(tab):
    """Two threads of one long question have names that differ where the list shows it."""
    one = tab()
    for _ in range(2):
        one.open().ask("把从杭州到苏州的三天行程写下来，每天只走一个地方，晚上都住在平江路附近。")
    alike = [line for line in one.threads() if line.startswith("把从杭州到苏州")]
    assert len({line.partition(" · ")[0] for line in alike}) == len(alike) == 2


def test_notices_speak_the_page_s_language(tab):
    """Gradio heads its notices in English; on the Chinese page they are headed in Chinese."""
    one = tab(locale="zh-CN").open("?thread=chinese").ask("你好")
    one.page.click("#qm-back")
    one.wait_for(".toast-body", "这是最新的一轮")
    title = one.page.locator(".toast-title")
    assert title.evaluate("title => getComputedStyle(title, '::before').content") == '"提示"'
    assert title.evaluate("title => getComputedStyle(title).fontSize") == "0px"


def test_threads_are_switched_and_begun(tab):
    """A click goes to a thread, a name opens or begins one, and New begins one that its first question names."""
    one = tab().open("?thread=alpha").ask("Alpha is the first.")
    one.page.fill("#qm-name textarea, #qm-name input", "beta")
    one.page.keyboard.press("Enter")
    one.wait_for("#qm-head h1", "beta")
    one.rest().ask("Beta is the second.")
    one.page.locator("#qm-list label", has_text="alpha").click()
    until(lambda: one.said() == ["Alpha is the first."])
    assert one.page.url.endswith("?thread=alpha")
    one.page.click("#qm-new")
    until(lambda: one.said() == [])
    assert one.text("#qm-head h1") == "New thread"


def test_stop_keeps_the_part_that_was_read(tab, model):
    """The answer ends where it was stopped, stays in the thread, and the next turn works."""
    one = tab().open()
    model.script(Reply(content=LONG), when=about("Where is the harbour"))
    one.send("Where is the harbour?")
    one.wait_for("#qm-chat .bot .message-content", "in the north")
    one.page.click("#qm-box .stop-button")
    one.rest()
    one.wait_for("#qm-status", "this part of the answer stay in the thread")
    part = one.said("bot")[-1]
    assert 0 < len(part) < len(LONG.strip())
    one.ask("And what does it have?")
    assert (newest(model)[-2][0], newest(model)[-2][1].strip()) == ("assistant", part)


def test_a_stop_before_the_answer_gives_the_question_back(tab, model):
    """Nothing was read, so nothing stays, and the words are in the box again."""
    one = tab().open()
    model.misbehave(Fault.slow(20), when=about("A question by mistake"))
    before = len(model.requests)
    one.send("A question by mistake")
    until(lambda: len(model.requests) > before)
    one.page.click("#qm-box .stop-button")
    one.rest()
    one.wait_for("#qm-status", "the question is not kept")
    assert one.page.input_value("#qm-box textarea") == "A question by mistake"
    assert one.said() == []


def test_an_answer_goes_on_though_the_page_is_reloaded(tab, model):
    """Who reloads in the middle of an answer sees it coming on, to its end."""
    one = tab().open()
    model.script(Reply(content=LONG), when=about("Where is the harbour"))
    one.send("Where is the harbour, please?")
    one.wait_for("#qm-chat .bot .message-content", "in the north")
    one.page.reload()
    one.page.wait_for_selector("#qm-box .stop-button")
    one.rest()
    assert one.said() == ["Where is the harbour, please?"]
    assert one.said("bot") == [LONG.strip()]


def test_two_tabs_on_one_thread_wait_for_one_another(tab, model):
    """The second question is asked when the first is answered, and has it in its prompt."""
    first = tab().open("?thread=both")
    second = tab(context=first.page.context).open("?thread=both")
    model.script(Reply(content=LONG), when=about("Where is the harbour"))
    first.send("Where is the harbour of both?")
    first.wait_for("#qm-chat .bot .message-content", "in the north")
    second.send("And the lighthouse?")
    second.wait_for("#qm-status", "answering elsewhere")
    first.rest()
    second.rest()
    assert second.said() == ["Where is the harbour of both?", "And the lighthouse?"]
    assert ("assistant", LONG) in newest(model)


def test_a_failure_is_told_and_the_thread_goes_on(tab, model):
    """The page says what the service said; the question is given back."""
    one = tab().open()
    model.misbehave(Fault.bad_request("The moon is full."), when=about("Will this fail?"))
    one.send("Will this fail?")
    one.rest()
    one.wait_for("#qm-status", "The moon is full")
    one.ask("Does this work?")
    assert one.said() == ["Does this work?"]


@pytest.mark.parametrize("size", [SMALL, {"width": 1440, "height": 900}], ids=["390", "1440"])
def test_it_fits_on_small_and_on_wide_screens(tab, size):
    """Nothing sticks out sideways; chat and box are in sight; threads make room on small screens."""
    one = tab(viewport=size, is_mobile=size is SMALL, has_touch=size is SMALL).open()
    one.ask("A word-without-any-end-" * 20)
    inside = one.page.evaluate("[document.documentElement.scrollWidth, window.innerWidth]")
    assert inside[0] <= inside[1]
    box = one.page.locator("#qm-box").bounding_box()
    assert box["x"] >= 0
    assert box["x"] + box["width"] <= size["width"]
    assert box["y"] + box["height"] <= size["height"]
    side = one.page.locator("#qm-threads .sidebar, .sidebar#qm-threads, #qm-threads").first
    assert (side.get_attribute("class") or "").split().count("open") == (0 if size is SMALL else 1)
    panel = one.page.locator("#qm-panel").bounding_box()
    assert (panel["y"] > box["y"]) == (size is SMALL)


def test_it_speaks_the_browsers_language_and_can_be_switched(tab):
    """A Chinese browser gets Chinese, the link leads to English and stays in the thread."""
    one = tab(locale="zh-CN").open("?thread=yuyan")
    one.ask("我对花生过敏。")
    assert "发送" in one.page.content() or "新会话" in one.text("#qm-new")
    assert "问题" in one.text("#qm-view .qm-parts")
    assert one.page.evaluate("document.documentElement.lang") == "zh-CN"
    one.page.click(".qm-language")
    one.wait_for("#qm-new", "New thread")
    one.page.wait_for_selector("#qm-chat .bot")
    assert one.said() == ["我对花生过敏。"]
    assert "/en/?thread=yuyan" in one.page.url


def test_nothing_is_loaded_from_elsewhere(tab):
    """No font, script, picture or count of visits leaves this machine, in a whole turn with charts."""
    one = tab().open().ask("Is anybody listening?")
    one.page.wait_for_selector("#qm-tokens canvas, #qm-tokens svg.marks")
    assert one.requests
    foreign = [url for url in one.requests if not url.startswith((one.address, "data:", "blob:"))]
    assert foreign == []
