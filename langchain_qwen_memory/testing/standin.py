"""The stand-in for a model: answers from what is in the messages of the request, and from nothing else.

It is no language model. Asked a question, it looks through all messages (system text, summary, recalled turns, earlier
turns) for the sentence with most of the question's words and answers with it, or says that there is none: so its answer
shows what memory brought into the prompt. It calls tools, fills schemas and writes extracts as summaries by small rules.
"""

import json
import re
from collections import Counter
from collections.abc import Callable

from langchain_qwen_memory.testing import calling, summarising
from langchain_qwen_memory.testing.finding import best, question
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
        "media": "我收到了{}，但替身看不懂它的内容。",
        "thought": "我是本地替身，不是千问。收到 {} 条消息（{}）。问题是：{}。{}",
    },
    "en": {
        "nothing": "Nothing in the messages I was given says anything about that.",
        "said": "You said: {}",
        "written": "My messages say: {}",
        "noted": "Noted: {}",
        "hello": "Hello! I am the local stand-in, not Qwen; I answer you from the messages I am given.",
        "tool": "{} returned: {}",
        "media": "I was given {}, but a stand-in cannot see what is in it.",
        "thought": "I am the local stand-in, not Qwen. I was given {} messages ({}). The question is: {} {}",
    },
}
"""What the stand-in says, in both languages; it answers in the language of the question."""

OWN = frozenset(
    text for texts in TEXTS.values() for name, text in texts.items() if name in ("nothing", "hello")
)
"""Sentences of its own that state nothing, and are no answer to anything."""

_GREETING = re.compile(
    r"^\W*(?:hello|hi|hey|good (?:morning|evening)|你好|您好|嗨|早上好)\W*$", re.IGNORECASE
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
        text = summarising.summary(request.said, limit=limit, count=count)
        return Reply(content=text, reasoning=_thought(request, _see(request, "summary")))
    if request.format != "text":
        return Reply(content=_json(request), reasoning=_thought(request, _see(request, "json")))
    reply = _calling(request)
    return reply if reply.tool_calls else _talking(request)


def _see(request: ChatRequest, what: str) -> str:
    zh = {"summary": "要写一份摘要。", "json": "要按格式写 JSON。", "none": "没有找到有关的句子。"}
    en = {
        "summary": "I am to write a summary.",
        "json": "I am to write JSON.",
        "none": "No sentence is about it.",
    }
    return (zh if _tongue(request) == "zh" else en)[what]


def _tongue(request: ChatRequest) -> str:
    return language(question(request.said))


def _thought(request: ChatRequest, seen: str) -> str:
    roles = Counter(one.role for one in request.said)
    listed = ", ".join(f"{count} {role}" for role, count in roles.items())
    return TEXTS[_tongue(request)]["thought"].format(
        len(request.said), listed, question(request.said)[:200], seen
    )


def _calling(request: ChatRequest) -> Reply:
    made = calling.calls(request)
    names = ", ".join(call["name"] for call in made)
    seen = f"要调用工具：{names}。" if _tongue(request) == "zh" else f"I call {names}."
    return Reply(tool_calls=made, reasoning=_thought(request, seen))


def _talking(request: ChatRequest) -> Reply:
    """Answers in words: from a tool's result, from the messages, or by saying what was received."""
    asked, last = question(request.said), request.said[-1]
    texts, seen = TEXTS[_tongue(request)], _see(request, "none")
    if last.role == "tool":
        return Reply(content=_results(request), reasoning=_thought(request, seen))
    if _GREETING.match(last.text):
        return Reply(content=texts["hello"], reasoning=_thought(request, seen))
    if last.media:
        things = ", ".join(f"{count} {kind}" for kind, count in Counter(last.media).items())
        return Reply(content=texts["media"].format(things), reasoning=_thought(request, seen))
    if not asks(asked):
        noted = texts["noted"].format(" ".join(sentences(last.text)[:3])[:500])
        return Reply(content=noted, reasoning=_thought(request, seen))
    found = best(request.said, asked, skip=OWN)
    if found is None:
        return Reply(content=texts["nothing"], reasoning=_thought(request, seen))
    where = (
        f"第 {found.number} 条（{found.role}）写着："
        if _tongue(request) == "zh"
        else f"Message {found.number} ({found.role}): "
    )
    said = texts["said" if found.role == "user" else "written"].format(found.sentence)
    return Reply(content=said, reasoning=_thought(request, where + found.sentence))


def _results(request: ChatRequest) -> str:
    """Says what the newest tool calls returned."""
    said, results = list(request.said), []
    while said and said[-1].role == "tool":
        results.insert(0, said.pop().text)
    names = said[-1].calls if said else ()
    texts = TEXTS[_tongue(request)]
    pairs = zip([*names, *["tool"] * len(results)], results, strict=False)
    return "\n".join(texts["tool"].format(name, result) for name, result in pairs)


def _json(request: ChatRequest) -> str:
    """JSON by the schema of the request, or with the keys that the question quotes."""
    asked = request.said[-1].text
    wrapped = (request.body.get("response_format") or {}).get("json_schema") or {}
    if schema := wrapped.get("schema"):
        return json.dumps(value(schema, Evidence(asked, str(schema.get("title", "")))), ensure_ascii=False)
    keys = list(dict.fromkeys(_KEYS.findall(asked))) or ["answer"]
    talk = _talking(request).content
    return json.dumps(
        {key: talk if key == "answer" else f"{key}: {Evidence(asked).phrase()}" for key in keys},
        ensure_ascii=False,
    )
