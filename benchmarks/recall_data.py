"""Reads the conversation sets that recall is measured on: long talks with questions whose evidence is known."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, TypeAlias

from langchain_core.messages import AIMessage, BaseMessage, HumanMessage

from langchain_qwen_memory.archive import Turn, root_key, searchable_text, turn_key

DATA = Path(__file__).resolve().parent.parent.parent / "shared" / "data"
USER, THREAD = "user", "thread"


Evidence: TypeAlias = Sequence[Sequence[tuple[int, int | None]]]
"""Groups of places, one of each group is needed: (turn, message), the message None for the whole turn."""


@dataclass(frozen=True, kw_only=True)
class Question:
    text: str
    evidence: Evidence
    kind: str
    """What sort of question it is: for tables, never for finding."""
    answer: str = ""


@dataclass(kw_only=True)
class Talk:
    name: str
    messages: list[list[BaseMessage]] = field(default_factory=list)
    """The messages of each turn."""
    at: list[float] = field(default_factory=list)
    questions: list[Question] = field(default_factory=list)
    summaries: list[str] = field(default_factory=list)
    """What the set's authors' model wrote down of each session."""

    @property
    def now(self) -> float:
        """When the questions are asked: a day after the last turn."""
        return self.at[-1] + 86_400

    def turns(self, *, dated: bool = True) -> list[Turn]:
        """The turns as the package archives them."""
        turns: list[Turn] = []
        for messages, at in zip(self.messages, self.at, strict=True):
            parent = turns[-1].key if turns else root_key(USER, THREAD)
            text = searchable_text(messages, at=at, zone=UTC) if dated else searchable_text(messages)
            key = turn_key(parent, messages)
            turns.append(Turn(key=key, parent=parent, messages=tuple(messages), text=text, at=at, tokens=0))
        return turns


def locomo() -> list[Talk]:
    """LoCoMo: ten talks of two people over months; the first speaker is the user."""
    return [_locomo_talk(told) for told in _json("locomo/locomo10.json")]


def _locomo_talk(told: Mapping[str, Any]) -> Talk:
    said, talk, places = told["conversation"], Talk(name=told["sample_id"]), {}
    sessions = sorted((name for name in said if re.fullmatch(r"session_\d+", name)), key=lambda name: int(name[8:]))
    for session in sessions:
        begun = datetime.strptime(said[f"{session}_date_time"], "%I:%M %p on %d %B, %Y").replace(tzinfo=UTC)
        talk.summaries.append(told["session_summary"].get(f"{session}_summary", ""))
        for number, one in enumerate(said[session]):
            mine = one["speaker"] == said["speaker_a"]
            if mine or not number:
                talk.messages.append([])
                talk.at.append((begun + timedelta(minutes=number)).timestamp())
            caption = f" [photo: {one['blip_caption']}]" if one.get("blip_caption") else ""
            kind = HumanMessage if mine else AIMessage
            places[one["dia_id"]] = len(talk.messages) - 1, len(talk.messages[-1])
            talk.messages[-1].append(kind(one["text"].strip() + caption, name=one["speaker"]))
    for asked in told["qa"]:
        marks = [f"D{day}:{int(line)}" for mark in asked["evidence"] for day, line in re.findall(r"D(\d+):(\d+)", mark)]
        found = dict.fromkeys(places[mark] for mark in marks if mark in places)
        if found:
            evidence = [[place] for place in found]
            kind, answer = str(asked["category"]), str(asked.get("answer", ""))
            talk.questions.append(Question(text=asked["question"], evidence=evidence, kind=kind, answer=answer))
    return talk


def memorybank(language: str) -> list[Talk]:
    """MemoryBank: fifteen users' ten days with an assistant, in "zh" or "en"."""
    ending = {"zh": "cn", "en": "en"}[language]
    bank = _json(f"memorybank/memory_bank_{ending}.json")
    labels = _json("memorybank/evidence_labels.json")[language]
    lines = (DATA / f"memorybank/probing_questions_{ending}.jsonl").read_text(encoding="utf-8").splitlines()
    asked = {name: texts for line in lines if line.strip() for name, texts in json.loads(line).items()}
    talks = [
        _bank_talk(str(number), name, told, asked.get(name, []), labels)
        for number, (name, told) in enumerate(bank.items())
    ]
    return [talk for talk in talks if talk.questions]


def _bank_talk(user: str, name: str, told: Mapping[str, Any], asked: Sequence[str], labels: Mapping[str, Any]) -> Talk:
    talk, places = Talk(name=name), {}
    for day, (date, rounds) in enumerate(told["history"].items()):
        noon = datetime.strptime(date, "%Y-%m-%d").replace(tzinfo=UTC, hour=12)
        for number, one in enumerate(rounds):
            places[f"{day}.{number}"] = len(talk.messages)
            talk.messages.append([HumanMessage(one["query"].strip()), AIMessage(one["response"].strip())])
            talk.at.append((noon + timedelta(minutes=number)).timestamp())
    for number, text in enumerate(asked):
        label = labels.get(f"{user}.{number}", {"groups": []})
        evidence = [[(places[place], None) for place in group] for group in label["groups"]]
        if evidence:
            talk.questions.append(Question(text=text, evidence=evidence, kind=label["cat"]))
    return talk


def _json(path: str) -> Any:
    if not (DATA / path).exists():
        sys.exit(f"{DATA / path} is not there: this benchmark reads LoCoMo and MemoryBank from {DATA}.")
    return json.loads((DATA / path).read_text(encoding="utf-8"))
