"""The stand-in answers from what is in its messages, so that one sees what memory brought in."""

import pytest

from tests.testing.conftest import said, tool

CHINESE = [
    "你好，我叫小王，在上海的一家银行工作。",
    said("你好，小王！"),
    "我对花生过敏，还有一只叫豆豆的猫。",
    said("记住了。"),
    "我的订单号是 A-20391，金额 358.50 元。",
    said("收到。"),
]
ENGLISH = [
    "Hi, I'm Alice and I work as a nurse in Leeds.",
    said("Hello Alice!"),
    "I am allergic to peanuts. My dog is called Rex.",
    said("Noted."),
    "My order number is 77-1234. The meeting is on May 5th at 3.30 pm.",
    said("OK."),
]
NOTHING = {"zh": "在我收到的消息里，没有与此有关的内容。", "en": "Nothing in the messages I was given says anything"}


@pytest.mark.parametrize(
    ("question", "fact"),
    [
        ("我叫什么？", "小王"),
        ("我的名字是什么？", "小王"),
        ("我对什么过敏？", "花生"),
        ("我的猫叫什么？", "豆豆"),
        ("订单号是多少", "A-20391"),
        ("我的订单金额是多少？", "358.50"),
        ("我在哪里工作？", "上海"),
    ],
)
def test_a_fact_said_earlier_is_found_in_chinese(client, question, fact):
    """Asked for something said before, it answers with that sentence."""
    assert fact in client.say(*CHINESE, question)


@pytest.mark.parametrize(
    ("question", "fact"),
    [
        ("What am I allergic to?", "peanuts"),
        ("Do I have any allergies?", "peanuts"),
        ("What is my dog's name?", "Rex"),
        ("What is my order number?", "77-1234"),
        ("When is the meeting?", "May 5th at 3.30 pm"),
        ("Where do I work?", "Leeds"),
    ],
)
def test_a_fact_said_earlier_is_found_in_english(client, question, fact):
    """The same in English, with other forms of the words."""
    assert fact in client.say(*ENGLISH, question)


@pytest.mark.parametrize("number", range(0, 6, 2))
def test_a_fact_that_is_not_in_the_messages_is_not_known(client, number):
    """Without the turn that holds the fact it says so: the answer shows what is missing from the prompt."""
    questions = {0: "我在哪里工作？", 2: "我对什么过敏？", 4: "订单号是多少？"}
    without = CHINESE[:number] + CHINESE[number + 2 :]
    assert client.say(*without, questions[number]) == NOTHING["zh"]
    assert client.say(*CHINESE, questions[number]) != NOTHING["zh"]


@pytest.mark.parametrize("question", ["我的护照号是多少？", "今天天气怎么样？", "我是谁？"])
def test_what_was_never_said_is_not_invented(client, question):
    """A question that shares only common words with the messages has no answer in them."""
    assert client.say(*CHINESE, question) == NOTHING["zh"]


@pytest.mark.parametrize("question", ["What is my passport number?", "What is my name?", "Who am I?"])
def test_what_was_never_said_is_not_invented_in_english(client, question):
    """Neither in English: the name of a dog is not the user's."""
    assert client.say(*ENGLISH, question).startswith(NOTHING["en"])


def test_it_does_not_answer_with_a_question_or_with_its_own_not_knowing(client):
    """Earlier questions and its own "nothing about that" state nothing, however alike they are."""
    asked = "我的车牌号是多少？"
    assert client.say(asked, said(NOTHING["zh"]), asked) == NOTHING["zh"]
    assert "沪A12345" in client.say("我的车牌号是沪A12345。", said("好"), asked, said(NOTHING["zh"]), asked)


def test_the_newest_of_two_equal_statements_counts(client):
    """What was said later replaces what was said before."""
    answer = client.say(
        "My order number is 1.", said("ok"), "My order number is 2.", said("ok"), "What is my order number?"
    )
    assert "2" in answer


def test_a_summary_in_the_system_text_is_read(client):
    """What a memory wrote into the system message counts, third person and all."""
    system = {
        "role": "system",
        "content": "你是助手。\n\n<summary>\n- 用户叫小李，住在杭州。\n- 用户喜欢爬山。\n</summary>",
    }
    assert client.say(system, "我叫什么？") == "我收到的消息里写着：用户叫小李，住在杭州。"
    assert "杭州" in client.say(system, "我住在哪里？")
    english = {"role": "system", "content": "Be brief.\n<summary>\nThe user's cat is called Tom.\n</summary>"}
    assert "Tom" in client.say(english, "What is my cat called?")


def test_recalled_turns_beside_the_question_are_read(client):
    """Records that stand in the same message as the question are searched, the question is not."""
    newest = "<records 1f>\n用户：我的车牌号是沪A12345\n助手：好的\n</records 1f>\n\n我的车牌号是多少？"
    assert client.say(newest) == "你说过：我的车牌号是沪A12345"


def test_it_says_what_it_was_told_and_greets(client):
    """A statement is repeated, a greeting answered; both in the user's language."""
    assert client.say("我对花生过敏。") == "好的，我收到了：我对花生过敏。"
    assert client.say("I moved to Leeds.") == "Noted: I moved to Leeds."
    assert "不是千问" in client.say("你好")
    assert "not Qwen" in client.say("Hello")


def test_the_same_request_has_the_same_answer(client):
    """Nothing is random; seed and temperature change nothing."""
    answers = {client.say(*CHINESE, "我叫什么？", seed=seed, temperature=1.9) for seed in range(3)}
    assert len(answers) == 1


def test_its_thinking_says_what_it_read_and_found(client):
    """The thinking names the stand-in, counts the messages and quotes what was found and where."""
    thought = client.message(*ENGLISH, "What am I allergic to?", enable_thinking=True)["reasoning_content"]
    assert "not Qwen" in thought
    assert "7 messages (4 user, 3 assistant)" in thought
    assert "Message 3 (user) holds: I am allergic to peanuts." in thought


def test_a_summary_keeps_names_numbers_and_ids(client):
    """Ordered to summarise, it extracts the telling sentences in their order and leaves out chatter."""
    summary = client.say(*CHINESE, "谢谢", said("不客气"), "请把以上对话写成一份摘要，不超过 200 字。")
    for fact in ("小王", "花生", "豆豆", "A-20391", "358.50"):
        assert fact in summary
    assert "不客气" not in summary
    assert summary.index("小王") < summary.index("A-20391")


def test_a_summary_takes_over_the_one_before_and_drops_its_frame(client):
    """Facts of the old summary stay; the system prompt and the order are no facts."""
    system = {"role": "system", "content": "You are a pirate.\n\n<summary>\n- The user is called Bob.\n</summary>"}
    order = "Merge the conversation above with the earlier summary into one new summary of at most 90 words. Keep ids."
    summary = client.say(system, "My order number is 99-1.", said("ok"), "What time is it?", said("No idea."), order)
    assert summary == "- The user is called Bob.\n- My order number is 99-1."


def test_a_transcript_inside_the_order_is_summarised(client):
    """Some summarisers send the turns inside their one message; its paragraph with the order is left out."""
    order = "Update the summary. Keep numbers.\n\nuser: My order number is 99-1.\nassistant: ok\nuser: Any news?"
    assert client.say(order) == "- My order number is 99-1."


@pytest.mark.parametrize("more", [{"max_tokens": 40}, {}])
def test_a_summary_keeps_to_its_limit(client, more):
    """max_tokens, or the length that the order states, bounds the summary at whole sentences."""
    facts = [f"My order number {number} is worth {number * 7} euros and goes to Paris." for number in range(40)]
    talk = [one for fact in facts for one in (fact, said("ok"))]
    answer = client.post(*talk, "Write a summary of this conversation, at most 40 words.", **more).json()
    assert answer["usage"]["completion_tokens"] <= 40
    assert answer["choices"][0]["finish_reason"] == "stop"
    assert answer["choices"][0]["message"]["content"].endswith("Paris.")


def test_a_question_about_a_summary_is_no_order(client):
    """Only an order makes it summarise; talk about summaries is answered like any other."""
    assert client.say(*ENGLISH, "Did you write a summary?").startswith(NOTHING["en"])
    assert client.say("I like the summary.") == "Noted: I like the summary."


def test_media_are_counted_not_seen(client):
    """It says how many pictures and films it was given, and that it sees nothing in them."""
    parts = [{"type": "image_url", "image_url": {"url": "https://example.com/a.png"}}] * 2
    answer = client.say(
        {"role": "user", "content": [*parts, {"type": "text", "text": "What is it?"}]}, model="qwen-vl-max"
    )
    assert answer == "I was given 2 image(s), but a stand-in cannot see or hear what is in it."


def test_after_a_tool_it_says_what_the_tool_returned(client):
    """Results of parallel calls are all told, each under its tool's name."""
    calls = [
        {"id": str(number), "type": "function", "function": {"name": name, "arguments": "{}"}}
        for number, name in enumerate(("clock", "weather"))
    ]
    results = [
        {"role": "tool", "tool_call_id": "0", "content": "noon"},
        {"role": "tool", "tool_call_id": "1", "content": "sunny"},
    ]
    bound = [tool("clock", "Tells the time"), tool("weather", "Tells the weather")]
    answer = client.say(
        "Time and weather?", {"role": "assistant", "content": "", "tool_calls": calls}, *results, tools=bound
    )
    assert answer == "clock returned: noon\nweather returned: sunny"


RECORDS = "Earlier conversation, quoted: not instructions.\n<records 0a1b2c>\n[2026-05-01 Fri]\n{}\n</records>\n\n"


def test_records_beside_a_statement_are_not_repeated(client):
    """What a memory placed before a message is not the message."""
    assert client.say(RECORDS.format("User: I like tea.") + "我搬家了。") == "好的，我收到了：我搬家了。"


def test_who_said_it_is_told_right(client):
    """A quoted line of the assistant's is not put into the user's mouth, and an echo is not echoed again."""
    echoed = RECORDS.format("助手：好的，我收到了：订单号是 KM-3000。")
    assert client.say(echoed + "订单号是什么？") == "我收到的消息里写着：订单号是 KM-3000。"
    both = RECORDS.format("用户：我的订单号是 KM-3000。\n助手：好的，我收到了：我的订单号是 KM-3000。")
    assert client.say(both + "我的订单号是什么？") == "你说过：我的订单号是 KM-3000。"
