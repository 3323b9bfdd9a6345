"""Makes one long conversation, the same on each run: half Chinese, a quarter English, some code, tools, planted facts.

Of 100 turns 50 are Chinese talk, 25 English talk, 7 code and 18 tool rounds, of which half call two tools at once; a
turn is about 114 Qwen tokens. Each question has its number, so that a checker knows which turns reach the model.
Each tenth turn states a fact, each tenth asks for one that was stated before, each fifth answer brings its thinking.
"""

from __future__ import annotations

import json
import random
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from langchain_core.messages import AIMessage, BaseMessage, HumanMessage, ToolMessage
from langchain_core.tools import tool

SYSTEM = (
    "你是一位细心的助手，用用户的语言回答，简短、准确；不知道的就说不知道。"
    "You may look up orders and the weather with the tools you are given."
)
_NUMBER = re.compile(r"第(\d+)问|Question (\d+)\b")
CODE_OF_A_THING = re.compile(r"[BDKMTVX][aeiou][lmnrst]-\d{4,5}")
"""A planted fact's value."""
_SPREAD = 300
"""A fact is asked for so many turns later at most."""


def _words(text: str) -> list[str]:
    return text.split()


_ZH = _words("""
我们 计划 周末 去 杭州 看 西湖 的 荷花 高铁 时间 有点 紧 酒店 靠近 地铁 比较 方便 孩子 想 坐 船
天气 预报 说 会 下雨 带 雨伞 附近 的 素菜 馆 评价 不错 需要 提前 订位 项目 进度 比 预期 慢 主要
因为 接口 文档 没有 更新 测试 环境 又 欠 稳定 建议 先 把 关键 路径 列 出来 再 分配 人手 客户 希望
看到 数据 对比 报告 结构 可以 分成 背景 方法 结果 三 部分 图表 尽量 简洁 预算 还要 和 财务 确认
合同 条款 请 法务 审阅 下午 开会 讨论 模型 训练 显存 吃紧 可以 减小 批次 或者 打开 梯度 检查点
学习率 预热 之后 收敛 更 平滑 缓存 命中 率 提高 成本 明显 下降 日志 里 报错 指向 数据库 连接 池
耗尽 应当 限制 并发 慢 查询 加 索引 效果 最 直接 装修 选 浅色 木地板 厨房 台面 用 石英石 灯光 分层
书桌 靠窗 绿植 耐阴 换季 衣物 收纳
""")
_EN = _words("""
the plan for this quarter is to move our service to a smaller cluster and measure latency before
we change anything else since every dashboard shows that most requests wait on storage rather than
compute please keep the summary short and mention open questions first because the team reads it
on the way to work a good test fails for one reason and names that reason in plain words while
flaky tests teach people to ignore red builds we could cache tokens per message count them once
and add them up later which makes each turn cheap the library returns early when nothing moved so
the prefix stays stable and the provider bills it at a lower price travel by train takes longer
but lets you read and the view along the coast is worth it pack light bring layers and check the
forecast before you leave
""")
_CITIES = _words("""
杭州 上海 成都 Berlin Lisbon 广州 Kyoto 西安 Oslo 昆明
""")
_THINGS_ZH = _words("""
猫 自行车 书房 花园 相机 茶壶 钢琴 帐篷 鱼缸 望远镜
""")
_THINGS_EN = _words("""
boat garden bicycle camera piano tent kettle studio printer telescope
""")


@dataclass(frozen=True, slots=True)
class Planned:
    """A turn as it is going to be said."""

    number: int
    """Its place, from 0."""
    question: str
    """What the user writes."""
    answers: tuple[AIMessage, ...]
    """What the model says, call by call; all but the last one call tools."""
    asks: str | None = None
    """A value, stated long before, that the question is about."""

    @property
    def messages(self) -> list[BaseMessage]:
        """The turn as it is stored, tool results included."""
        made: list[BaseMessage] = [HumanMessage(self.question, id=f"h{self.number}")]
        for answer in self.answers:
            made.append(answer)
            made += map(_result, answer.tool_calls)
        return made


def _result(call: Any) -> ToolMessage:
    said = TOOLS_BY_NAME[call["name"]].invoke(call["args"])
    return ToolMessage(said, tool_call_id=call["id"], name=call["name"], id=f"r-{call['id']}")


@tool
def get_weather(city: str, day: int) -> str:
    """Weather of a city on a day of the year."""
    draw = random.Random(f"{city}{day}")
    return json.dumps(
        {
            "city": city,
            "day": day,
            "high": draw.randint(8, 35),
            "low": draw.randint(-3, 7),
            "rain": draw.random() < 0.4,
        },
        ensure_ascii=False,
    )


@tool
def find_order(order: str) -> str:
    """State of an order by its number."""
    draw = random.Random(order)
    state = draw.choice(["paid", "packed", "sent", "delivered"])
    return json.dumps(
        {"order": order, "state": state, "items": draw.randint(1, 9), "carrier": draw.choice(["SF", "YTO", "DHL"])}
    )


TOOLS = [get_weather, find_order]
TOOLS_BY_NAME: dict[str, Any] = {each.name: each for each in TOOLS}


def numbers_in(text: str) -> set[int]:
    """Which turns' questions stand in a text."""
    return {int(zh or en) for zh, en in _NUMBER.findall(text)}


def conversation(turns: int, seed: int = 7) -> Iterator[Planned]:
    """The first so many turns; a longer conversation begins with the shorter one."""
    draw = random.Random(seed)
    stated: list[tuple[int, str, str]] = []
    for number in range(turns):
        kind = number * 37 % 100
        fact = asks = None
        if number % 10 == 3:
            fact = _fact(draw, chinese=kind < 50)
            stated.append((number, *fact))
            question = fact[0]
        elif number % 10 == 8:
            known = [one for one in stated if number - one[0] <= _SPREAD]
            _, said, asks = draw.choice(known)
            question = _asking(said)
        yield Planned(
            number=number,
            question=_numbered(number, kind, question if fact or asks else _question(draw, kind)),
            answers=tuple(_answers(draw, number, kind)),
            asks=asks,
        )


def _numbered(number: int, kind: int, question: str) -> str:
    return f"第{number}问：{question}" if kind < 50 or kind >= 91 else f"Question {number}: {question}"


def _fact(draw: random.Random, *, chinese: bool) -> tuple[str, str]:
    value = f"{draw.choice('BDKMTVX')}{draw.choice('aeiou')}{draw.choice('lmnrst')}-{draw.randint(1000, 99999)}"
    if chinese:
        return f"记一下，我的{draw.choice(_ZH[8:60])}{draw.choice(_THINGS_ZH)}的编号是{value}。", value
    return f"Please note that the code of my {draw.choice(_EN)} {draw.choice(_THINGS_EN)} is {value}.", value


def _asking(said: str) -> str:
    if said.startswith("记一下"):
        return said.removeprefix("记一下，").split("是")[0] + "是多少？"
    return "What was" + said.removeprefix("Please note that").split(" is ")[0] + "?"


def _question(draw: random.Random, kind: int) -> str:
    if kind < 50:
        return _chinese(draw, draw.randint(14, 34)) + "？"
    if kind < 82:
        return _english(draw, draw.randint(16, 36)) + "?"
    return _chinese(draw, 8) + "？" if kind >= 91 else _english(draw, 10) + "?"


def _answers(draw: random.Random, number: int, kind: int) -> Iterator[AIMessage]:
    if kind >= 82:
        calls = [_call(draw, number, at) for at in range(2 if kind >= 91 else 1)]
        yield _message(number, 0, "", calls)
        yield _message(number, 1, _chinese(draw, 14) + "。" if kind >= 91 else _english(draw, 16) + ".")
    elif kind >= 75:
        yield _message(number, 0, _english(draw, 8) + ":\n\n" + _code(draw))
    elif kind >= 50:
        yield _message(number, 0, _english(draw, draw.randint(32, 79)) + ".")
    else:
        yield _message(number, 0, _chinese(draw, draw.randint(28, 68)) + "。")


def _message(number: int, at: int, text: str, calls: list[dict[str, Any]] | None = None) -> AIMessage:
    """An answer with the usage and metadata that the service sends."""
    spent = 400 + number % 5_000
    thought = {"reasoning_content": f"思考第 {at} 步：先看问题，再答。"} if number % 5 == 0 else {}
    return AIMessage(
        text,
        id=f"a{number}-{at}",
        additional_kwargs=thought,
        tool_calls=calls or [],
        usage_metadata={
            "input_tokens": spent,
            "output_tokens": 60,
            "total_tokens": spent + 60,
            "input_token_details": {"cache_read": spent // 256 * 256},
        },
        response_metadata={
            "finish_reason": "tool_calls" if calls else "stop",
            "model_name": "qwen-plus",
            "model_provider": "qwen",
        },
    )


def _call(draw: random.Random, number: int, at: int) -> dict[str, Any]:
    name, args = (
        ("get_weather", {"city": draw.choice(_CITIES), "day": draw.randint(1, 365)})
        if draw.random() < 0.5
        else ("find_order", {"order": f"SO-{draw.randint(10_000, 99_999)}"})
    )
    return {"name": name, "args": args, "id": f"call_{number:06d}_{at}", "type": "tool_call"}


def _chinese(draw: random.Random, words: int) -> str:
    made = draw.choices(_ZH, k=words)
    return "".join(word + ("，" if at % 7 == 6 and at < words - 1 else "") for at, word in enumerate(made))


def _english(draw: random.Random, words: int) -> str:
    return " ".join(draw.choices(_EN, k=words)).capitalize()


def _code(draw: random.Random) -> str:
    name, other = (f"{draw.choice(_EN)}_{draw.choice(_EN)}" for _ in range(2))
    return (
        f"```python\ndef {name}(rows: list[dict], {other}: int = {draw.randint(2, 64)}) -> dict[str, float]:\n"
        f"    totals = {{}}\n    for row in rows:\n        key = row['{draw.choice(_EN)}']\n"
        f"        totals[key] = totals.get(key, 0.0) + row['{draw.choice(_EN)}'] / {other}\n    return totals\n```"
    )
