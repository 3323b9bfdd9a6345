"""Parts a model's thinking from its answer where a server sends both as one text, in whole texts and in streams."""

import re
from typing import NamedTuple

__all__ = ["Parted", "ThinkingFilter", "part_thinking"]

_CLOSERS = {"<think>": "</think>", "<thinking>": "</thinking>"}
_TOOL_CALL = "<tool_call>"
_CALL_BEGINS = ("{", "<function=")
_TAG_ON_ITS_LINE = re.compile(r"(?:^|\n)[ \t]*</think(?:ing)?>[ \t]*(?:\r?\n|$)")


class Parted(NamedTuple):
    """What one piece of text brought."""

    reasoning: str
    """Thinking, without its tags."""
    answer: str
    """Text for the reader."""


class ThinkingFilter:
    """Parts one streamed answer; holds back only what may yet turn out to be a tag.

    Tags are looked for where the answer begins, so that an answer may quote them later; a second block right after the
    first is thinking too, as of models that write one though their template has an empty one. A `<tool_call>` within
    thinking ends it only if no closing tag follows; what begins like a call is therefore held until that is known.

    Args:
        opens: The chat template itself opens the thinking (Qwen3-Thinking-2507, QwQ, Qwen3.5 and later), so that the
            answer begins inside it and only the closing tag is ever seen.
        looks: Look for tags at all; False: all text is answer.
    """

    def __init__(self, *, opens: bool = False, looks: bool = True) -> None:
        self._opens = opens
        self._step = self._start if looks else self._answer
        self._held = ""
        self._gap, self._thought = "", False
        self._closers = tuple(_CLOSERS.values())
        self.assumed = opens and looks
        """Thinking rests on `opens` alone: neither tag has been seen."""

    def feed(self, text: str) -> Parted:
        """Takes the next piece of text and returns what it settles."""
        if self._step == self._answer:
            return Parted("", text)
        self._held += text
        return self._settle()

    def close(self) -> Parted:
        """Ends the text and returns what was held back."""
        parted, held, self._held = self._settle(), self._held, ""
        if self._step == self._inside:
            thought, call, rest = held.partition(_TOOL_CALL)
            return Parted(parted.reasoning + self._thinks(thought.rstrip()), parted.answer + call + rest)
        if self._step == self._closed:
            return Parted(parted.reasoning, parted.answer + held.lstrip("\r\n"))
        if self._step == self._start:
            return Parted(parted.reasoning + held.strip(), parted.answer) if self._opens else Parted("", held)
        return parted

    def _settle(self) -> Parted:
        reasoning, answer = "", ""
        step = None
        while self._held and step != (self._step, self._held):
            step = (self._step, self._held)
            more = self._step()
            reasoning, answer = reasoning + more.reasoning, answer + more.answer
        return Parted(reasoning, answer)

    def _start(self) -> Parted:
        text = self._held.lstrip()
        for opener, closer in _CLOSERS.items():
            if text.startswith(opener):
                self._held, self._closers = text[len(opener) :], (closer,)
                self._step, self.assumed = self._opened, False
                return Parted("", "")
            if text.startswith(closer):
                self._held = text[len(closer) :]
                self._step, self.assumed = self._closed, False
                return Parted("", "")
        if not any(tag.startswith(text) for pair in _CLOSERS.items() for tag in pair):
            self._step = self._opened if self._opens else self._answer
        return Parted("", "")

    def _opened(self) -> Parted:
        self._held = self._held.lstrip()
        if self._held:
            self._step = self._inside
        return Parted("", "")

    def _inside(self) -> Parted:
        end, closer = self._closing_tag()
        call = self._held.find(_TOOL_CALL)
        if end >= 0 and (call < 0 or end < call or self._may_be_call(call)):
            thought, self._held = self._held[:end].rstrip(), self._held[end + len(closer) :]
            self._step, self.assumed = self._closed, False
            return Parted(self._thinks(thought), "")
        if call >= 0 and self._may_be_call(call):
            return self._think(len(self._held[:call].rstrip()))
        if call >= 0:
            return self._think(call + len(_TOOL_CALL))
        return self._think(self._sure())

    def _closed(self) -> Parted:
        text = self._held.lstrip()
        for opener, closer in _CLOSERS.items():
            if text.startswith(opener):
                self._held, self._closers = text[len(opener) :], (closer,)
                self._step, self._gap = self._opened, "\n\n" if self._thought else ""
                return Parted("", "")
        if text and not any(opener.startswith(text) for opener in _CLOSERS):
            self._held, self._step = self._held.lstrip("\r\n"), self._answer
        return Parted("", "")

    def _answer(self) -> Parted:
        text, self._held = self._held, ""
        return Parted("", text)

    def _closing_tag(self) -> tuple[int, str]:
        found = [(self._held.find(closer), closer) for closer in self._closers]
        return min((one for one in found if one[0] >= 0), default=(-1, ""))

    def _may_be_call(self, at: int) -> bool:
        follows = self._held[at + len(_TOOL_CALL) :].lstrip()
        return any(follows.startswith(begin) or begin.startswith(follows) for begin in _CALL_BEGINS)

    def _sure(self) -> int:
        """How much of the held text can be no part of a tag, nor blanks before one."""
        end = self._held.rfind("<")
        tail = self._held[end:] if end >= 0 else ""
        if not tail or not any(tag.startswith(tail) for tag in (*self._closers, _TOOL_CALL)):
            end = len(self._held)
        return len(self._held[:end].rstrip())

    def _think(self, upto: int) -> Parted:
        thought, self._held = self._held[:upto], self._held[upto:]
        return Parted(self._thinks(thought), "")

    def _thinks(self, thought: str) -> str:
        """The next piece of thinking, apart from that of the block before."""
        if not thought:
            return ""
        thought, self._gap, self._thought = self._gap + thought, "", True
        return thought


def part_thinking(text: str, *, opens: bool = False) -> Parted:
    """Parts a whole text, as `ThinkingFilter` parts a stream of it.

    A whole text tells one thing more: a closing tag alone on its line, with no opening tag before it, means that the
    template opened the thinking, whatever `opens` says.
    """
    parting = ThinkingFilter(opens=opens or begins_inside(text))
    begun, ended = parting.feed(text), parting.close()
    return Parted(begun.reasoning + ended.reasoning, begun.answer + ended.answer)


def begins_inside(text: str) -> bool:
    """Says whether a whole text closes a thinking that it never opened."""
    lone = _TAG_ON_ITS_LINE.search(text)
    return lone is not None and not any(opener in text[: lone.start()] for opener in _CLOSERS)
