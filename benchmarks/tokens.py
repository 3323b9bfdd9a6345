"""How fast tokens are counted: against plain tiktoken in the same run, and again when all was counted before.

    python benchmarks/tokens.py [TEXT_FILE ...]

Without files, text is made of words of English and Chinese. At least 0.8 million tokens a second are wanted.
"""

import json
import random
import sys
import time
from pathlib import Path

from langchain_core.messages import AIMessage, BaseMessage, HumanMessage
from langchain_core.messages.base import messages_to_dict
from langchain_core.messages.utils import messages_from_dict

from langchain_qwen_memory.counting.vocabulary import encoding
from langchain_qwen_memory.tokens import count_message, count_text, count_tokens

WANTED = 800_000
ENGLISH = "the quick brown fox jumps over a lazy dog while seven wizards discuss windows and archives"
CHINESE = "我们 今天 讨论 如何 保存 很长 的 对话 记录 用户 问 模型 答 摘要 召回 档案 花生 过敏 上海 天气"


def texts(files: list[str], number: int = 4_000) -> list[str]:
    """Messages of 20 to 200 words, reproducible; or the paragraphs of the files."""
    if files:
        return [part for name in files for part in Path(name).read_text("utf-8").split("\n\n") if part.strip()]
    dice = random.Random(7)
    made = []
    for index in range(number):
        words, gap = (ENGLISH, " ") if index % 2 else (CHINESE, "")
        made.append(gap.join(dice.choice(words.split()) for _ in range(dice.randint(20, 200))) + str(index))
    return made


def seconds(work, repeat: int = 3) -> float:
    """The best of a few runs: the machine has other work too."""
    best = float("inf")
    for _ in range(repeat):
        start = time.perf_counter()
        work()
        best = min(best, time.perf_counter() - start)
    return best


def speed(model: str, parts: list[str]) -> float:
    """Prints and returns tokens per second of count_text, beside tiktoken's own encode."""
    encoder = encoding("qwen-248k" if model.startswith("qwen3.") else "qwen-151k")
    total = sum(count_text(part, model=model) for part in parts)
    ours = seconds(lambda: [count_text(part, model=model) for part in parts])
    plain = seconds(lambda: [len(encoder.encode(part, disallowed_special=())) for part in parts])
    print(
        f"{model:14} {total:>9,} tokens  ours {total / ours / 1e6:5.2f} M/s"
        f"  tiktoken {total / plain / 1e6:5.2f} M/s  ratio {plain / ours:4.2f}"
    )
    return total / ours


def recount(model: str, parts: list[str]) -> None:
    """Prints what a whole prompt costs the first time, again, loaded anew, and with one message more."""
    messages: list[BaseMessage] = [(AIMessage if i % 2 else HumanMessage)(part) for i, part in enumerate(parts)]
    loaded = messages_from_dict(json.loads(json.dumps(messages_to_dict(messages))))
    start = time.perf_counter()
    whole = count_tokens(messages, model=model)
    cold = time.perf_counter() - start
    warm = seconds(lambda: count_tokens(messages, model=model))
    anew = seconds(lambda: count_tokens(loaded, model=model))
    one = seconds(lambda: [count_message(message, model=model) for message in loaded]) / len(loaded)
    print(f"{model:14} {len(messages):,} messages of {whole:,} tokens: first {cold * 1e3:.0f} ms,")
    print(f"{'':14} again {warm * 1e3:.1f} ms, loaded anew {anew * 1e3:.1f} ms ({cold / anew:.0f} x less),")
    print(f"{'':14} one message again {one * 1e6:.1f} us")


if __name__ == "__main__":
    for name in ("qwen-plus", "qwen3.7-plus"):
        count_text("warm", model=name)
        parts = texts(sys.argv[1:])
        if speed(name, parts) < WANTED:
            print(f"  below the {WANTED:,} wanted")
        recount(name, parts)
