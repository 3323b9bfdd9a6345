"""Makes a value for a JSON schema out of what a text says, always the same for the same text."""

import re
from collections import deque
from collections.abc import Mapping
from typing import Any

from langchain_qwen_memory.testing.words import leftover, terms

_QUOTED = re.compile(
    r"(?<!\w)'([^'\n]+)'(?!\w)|\"([^\"\n]+)\"|“([^”]+)”|「([^」]+)」|‘([^’]+)’|《([^》]+)》|`([^`\n]+)`"
)
_NUMBER = re.compile(r"(?<![\w.-])-?\d+(?:\.\d+)?(?![\w-])|(?<=\()-?\d+(?:\.\d+)?(?=\))")
_AFTER = re.compile(
    r"\b(?:in|for|at|of|about|named|called|titled|to|from|is)\s+(?:the\s+|a\s+|an\s+)?([^?.!;\n。？！]+)",
    re.IGNORECASE,
)
_PLACE_STOP = re.compile(r"\s+(?:use|using|with|please|today|tomorrow|now|and then)\b.*$", re.IGNORECASE)


class Evidence:
    """What a text offers: quoted phrases, numbers, phrases after a preposition, and the words that are left.

    Args:
        text: The question.
        about: The name and description of the tool or schema; their words are no values.
    """

    def __init__(self, text: str, about: str = "") -> None:
        self.text = text
        self.numbers = deque(match.group() for match in _NUMBER.finditer(text))
        self._quoted = deque(next(filter(None, groups)) for groups in _QUOTED.findall(text))
        self._phrases = deque(_PLACE_STOP.sub("", match).strip(" ,'\"") for match in _AFTER.findall(text))
        self._left = leftover(text, terms(about))

    def phrase(self) -> str:
        """The next phrase; the last source is the text itself, which is never used up."""
        for source in (self._quoted, self._phrases):
            while source:
                if found := source.popleft():
                    return found
        return self._left or self.text

    def mentions(self, name: str) -> bool:
        """Whether the text names a field and does not say "no" or "without" before it."""
        plain = re.escape(name.replace("_", " "))
        if re.search(rf"\b(?:no|not|without|omit|skip)\s+(?:\w+\s+)?{plain}", self.text, re.IGNORECASE):
            return False
        return bool(re.search(plain, self.text, re.IGNORECASE))


def value(schema: Mapping[str, Any], evidence: Evidence, root: Mapping[str, Any] | None = None) -> Any:
    """A value that the schema allows.

    Args:
        schema: A JSON schema; `$ref`, `allOf`, `anyOf`, `enum`, `const`, ranges and lengths are obeyed.
        evidence: What to fill it with.
        root: Where `$defs` stand; the schema itself if None.
    """
    root = schema if root is None else root
    schema = _resolved(schema, root)
    if "const" in schema:
        return schema["const"]
    if schema.get("enum"):
        return next(
            (one for one in schema["enum"] if str(one).lower() in evidence.text.lower()), schema["enum"][0]
        )
    kind = schema.get("type") or ("object" if "properties" in schema else "string")
    kind = next((one for one in kind if one != "null"), "null") if isinstance(kind, list) else kind
    makers = {"object": _object, "array": _array, "integer": _number, "number": _number, "string": _string}
    if kind in makers:
        return makers[kind](schema, evidence, root)
    return None if kind == "null" else bool(schema.get("default", True))


def _resolved(schema: Mapping[str, Any], root: Mapping[str, Any]) -> Mapping[str, Any]:
    """Follows references and picks the first alternative that is not null."""
    while True:
        if "$ref" in schema:
            target: Any = root
            for step in schema["$ref"].removeprefix("#/").split("/"):
                target = target[step]
            schema = target
        elif options := schema.get("anyOf") or schema.get("oneOf"):
            schema = next((one for one in options if one.get("type") != "null"), options[0])
        elif parts := schema.get("allOf"):
            rest = {key: kept for key, kept in schema.items() if key != "allOf"}
            schema = {**rest, **{key: kept for part in parts for key, kept in _resolved(part, root).items()}}
        else:
            return schema


def _object(schema: Mapping[str, Any], evidence: Evidence, root: Mapping[str, Any]) -> dict[str, Any]:
    fields: Mapping[str, Any] = schema.get("properties") or {}
    required = schema.get("required", [] if fields else ())
    chosen = [name for name in fields if name in required or evidence.mentions(name)]
    return {name: value(fields[name], evidence, root) for name in chosen}


def _array(schema: Mapping[str, Any], evidence: Evidence, root: Mapping[str, Any]) -> list[Any]:
    items = schema.get("items") or {"type": "string"}
    least, most = schema.get("minItems", 1), schema.get("maxItems")
    numeric = _resolved(items, root).get("type") in ("integer", "number")
    count = max(least, len(evidence.numbers) if numeric else 1)
    return [value(items, evidence, root) for _ in range(count if most is None else min(count, most))]


def _number(schema: Mapping[str, Any], evidence: Evidence, root: Mapping[str, Any]) -> float | int:
    whole = schema.get("type") == "integer" or "integer" in (schema.get("type") or ())
    text = evidence.numbers.popleft() if evidence.numbers else str(schema.get("default", 1))
    number: float | int = int(float(text)) if whole else float(text)
    low = schema.get("minimum", schema.get("exclusiveMinimum"))
    high = schema.get("maximum", schema.get("exclusiveMaximum"))
    if low is not None and number <= low:
        number = low if "minimum" in schema else low + 1
    if high is not None and number >= high:
        number = high if "maximum" in schema else high - 1
    return number


def _string(schema: Mapping[str, Any], evidence: Evidence, root: Mapping[str, Any]) -> str:
    text = evidence.phrase()
    least, most = schema.get("minLength", 0), schema.get("maxLength")
    return text.ljust(least, ".")[:most]
