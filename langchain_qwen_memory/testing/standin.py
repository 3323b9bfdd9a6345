"""The stand-in for a model: answers from what is in the messages of the request, and from nothing else.

It is no language model. Asked a question, it looks through all messages (system text, summary, recalled turns,
earlier turns) for the sentence with most of the question's words and answers with it, or says that there is none:
so its answer shows what memory brought into the prompt. It calls tools, fills schemas and writes extracts as
summaries by small rules.
"""

import json
import re
from collections import Counter
from collections.abc import Callable

from langchain_qwen_memory.testing import calling, summarising
from langchain_qwen_memory.testing.finding import best, newest, question
from langchain_qwen_memory.testing.replies import Reply
from langchain_qwen_memory.testing.request import ChatRequest
from langchain_qwen_memory.testing.schema import Evidence, value
from langchain_qwen_memory.testing.words import asks, language, sentences

TEXTS = {
    "zh": {
        "nothing": "在我收到的消息里，没有与此有关的内容。",
        "said": "你说过：{}",
        "written": "我收到的消息里写着：{}",
        "noted": "好的，我收到了：{}",
        "hello": "你好！我是本地替身，不是千问；我只根据收到的消息回答。",
        "tool": "{} 返回：{}",
        "media": "我收到了 {}，但替身看不懂里面的内容。",
        "image": "{} 张图片",
        "video": "{} 段视频",
        "audio": "{} 段音频",
        "thought": "我是本地替身，不是千问。收到 {} 条消息（{}）。最新的问题：{}\n{}",
        "found": "第 {} 条（{}）里有：{}",
        "not found": "没有一条消息与它有关。",
        "summary": "要写一份摘要：取前面消息里的要点。",
        "json": "要按要求的格式写 JSON。",
        "calls": "要调用工具：{}。",
        "result": "工具已有结果，照结果回答。",
        "plain": "这不是提问，照原话回应。",
    },
    "en": {
        "nothing": "Nothing in the messages I was given says anything about that.",
        "said": "You said: {}",
        "written": "My messages say: {}",
        "noted": "Noted: {}",
        "hello": "Hello! I am the local stand-in, not Qwen; I answer you from the messages I am given.",
        "tool": "{} returned: {}",
        "media": "I was given {}, but a stand-in cannot see or hear what is in it.",
        "image": "{} image(s)",
        "video": "{} video(s)",
        "audio": "{} recording(s)",
        "thought": "I am the local stand-in, not Qwen. I was given {} messages ({}). The newest question: {}\n{}",
        "found": "Message {} ({}) holds: {}",
        "not found": "No message is about it.",
        "summary": "I am to write a summary: the main points of the messages before.",
        "json": "I am to write JSON in the form that is asked for.",
        "calls": "I call {}.",
        "result": "The tools have answered; I say what they returned.",
        "plain": "That asks nothing; I say what I was told.",
    },
}
"""What the stand-in says, in both languages; it answers in the language of the question."""

OWN = frozenset(
    sentence
    for texts in TEXTS.values()
    for name in ("nothing", "hello", "media")
    for sentence in sentences(texts[name])
)
"""Sentences of its own that state nothing, and are no answer to anything."""

_GREETING = re.compile(
    r"^\W*(?:hello|hi|hey|good (?:morning|evening)|how are you|你好|您好|嗨|早上好)\W*$", re.IGNORECASE
)
_KEYS = re.compile(r"['\"`“]([A-Za-z_]\w*)['\"`”]")


def answer(request: ChatRequest, count: Callable[[str], int]) -> Reply:
    """What the stand-in answers.

    Args:
        request: The request.
        count: Counts the tokens of a text, for summaries that have a limit.
    """
    if calling.forced(request):
        return _calling(request)
    if summarising.wanted(request.said):
        limit = request.body.get("max_tokens") or request.body.get("max_completion_tokens")
        return _reply(request, summarising.summary(request.said, limit=limit, count=count), "summary")
    if request.format != "text":
        return _reply(request, _json(request), "json")
    reply = _calling(request)
    return reply if reply.tool_calls else _talking(request)


def _texts(request: ChatRequest) -> dict[str, str]:
    return TEXTS[language(question(request.said))]


def _reply(request: ChatRequest, content: str, why: str, *details: object) -> Reply:
    return Reply(content=content, reasoning=_thought(request, _texts(request)[why].format(*details)))


def _thought(request: ChatRequest, why: str) -> str:
    """Says plainly how many messages there are, what is asked, and what was found."""
    roles = Counter(one.role for one in request.said)
    listed = ", ".join(f"{count} {role}" for role, count in roles.items())
    return _texts(request)["thought"].format(len(request.said), listed, question(request.said)[:200], why)


def _calling(request: ChatRequest) -> Reply:
    made = calling.calls(request)
    names = ", ".join(call["name"] for call in made)
    return Reply(tool_calls=made, reasoning=_thought(request, _texts(request)["calls"].format(names)))


def _talking(request: ChatRequest) -> Reply:
    """Answers in words: from a tool's result, from the messages, or by saying what was received."""
    asked, last, texts = question(request.said), request.said[-1], _texts(request)
    if last.role == "tool":
        return _reply(request, _results(request), "result")
    if last.media:
        things = ", ".join(texts[kind].format(count) for kind, count in Counter(last.media).items())
        return _reply(request, texts["media"].format(things), "not found")
    if _GREETING.match(newest(request.said)) or not asked:
        return _reply(request, texts["hello"], "plain")
    if not asks(asked):
        told = " ".join(sentences(newest(request.said))[:3])[:500]
        return _reply(request, texts["noted"].format(told), "plain")
    found = best(request.said, asked, skip=OWN)
    if found is None:
        return _reply(request, texts["nothing"], "not found")
    said = texts["said" if found.role == "user" else "written"].format(found.sentence)
    return _reply(request, said, "found", found.number, found.role, found.sentence)


def _results(request: ChatRequest) -> str:
    """Says what the newest tool calls returned, in the order of the results."""
    results: list[str] = []
    said = list(request.said)
    while said and said[-1].role == "tool":
        results.insert(0, said.pop().text)
    names = [*(said[-1].calls if said else ()), *["tool"] * len(results)]
    return "\n".join(_texts(request)["tool"].format(*pair) for pair in zip(names, results, strict=False))


def _json(request: ChatRequest) -> str:
    """JSON by the schema of the request, or with the keys that the newest message quotes."""
    asked = request.said[-1].text
    wrapped = (request.body.get("response_format") or {}).get("json_schema") or {}
    if schema := wrapped.get("schema"):
        made = value(schema, Evidence(asked, str(schema.get("title", ""))))
    elif keys := dict.fromkeys(_KEYS.findall(asked)):
        evidence = Evidence(_KEYS.sub(" ", asked), "JSON key result")
        made = {key: evidence.phrase(key) for key in keys}
    else:
        made = {"answer": _talking(request).content}
    return json.dumps(made, ensure_ascii=False)
