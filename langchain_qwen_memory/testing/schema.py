"""Makes a value for a JSON schema out of what a text says, always the same for the same text."""

import re
from collections import deque
from collections.abc import Iterator, Mapping
from typing import Any

from langchain_qwen_memory.testing.words import is_stop, leftover, stem, terms, words

_QUOTED = re.compile(
    r"(?<!\w)'([^'\n]+)'(?!\w)|\"([^\"\n]+)\"|“([^”]+)”|「([^」]+)」|‘([^’]+)’|《([^》]+)》|`([^`\n]+)`"
)
_NUMBER = re.compile(r"(?<![\w.-])-?\d+(?:\.\d+)?(?![\w-])")
_CODE = re.compile(r"(?<![\w-])(?=[\w-]*[A-Z])(?=[\w-]*\d)[A-Za-z0-9]+(?:-[A-Za-z0-9]+)*(?![\w-])", re.ASCII)
"""A number of an order, a ticket or a part, such as KM-3000."""
_PREPOSITION = re.compile(r"\b(?:in|for|at|of|about|named|called|titled|to|from)\s+", re.IGNORECASE)
_PHRASE_END = re.compile(r"[?!;\n。？！；]|\.(?=\s|$)|,(?!\s*[A-Z])")
_ARTICLE = re.compile(r"^(?:the|a|an)\s+", re.IGNORECASE)


class Evidence:
    """What a text offers for a value: quoted phrases, numbers, codes, what follows a preposition, and other words.

    Each is used once, in the order in which it stands; only the text itself is never used up.

    Args:
        text: The question.
        about: The name and description of the tool or schema; their words are no values.
    """

    def __init__(self, text: str, about: str = "") -> None:
        self.text, self._about = text, terms(about)
        plain = _QUOTED.sub(" ", text)
        self.numbers = deque(_NUMBER.findall(plain))
        self._quoted = deque(next(filter(None, groups)) for groups in _QUOTED.findall(text))
        self._codes = deque(_CODE.findall(plain))
        self._names = deque(
            word for word in words(plain) if word[0].isupper() and not is_stop(word) and stem(word) not in self._about
        )
        self._phrases = deque(self._after_prepositions(plain))

    def phrase(self, field: str = "") -> str:
        """The next phrase for a text field; a field that is a name prefers a capitalised word."""
        for source in (self._quoted, self._names if field.endswith("name") else self._codes, self._phrases):
            if source:
                return str(source.popleft())
        return leftover(self.text, self._about) or self.text

    def mentions(self, name: str, schema: Mapping[str, Any]) -> bool:
        """Whether the text names a field, or one of its values, and does not say "no" or "without" before it."""
        plain = re.escape(name.replace("_", " "))
        if re.search(rf"\b(?:no|not|without|omit|skip)\s+(?:\w+\s+)?{plain}", self.text, re.IGNORECASE):
            return False
        values = "|".join([plain, *(re.escape(str(one)) for one in schema.get("enum") or ())])
        return bool(re.search(rf"(?<![A-Za-z])(?:{values})(?![A-Za-z])", self.text, re.IGNORECASE))

    def _after_prepositions(self, text: str) -> Iterator[str]:
        for part in _PREPOSITION.split(text)[1:]:
            phrase = _ARTICLE.sub("", _PHRASE_END.split(part, maxsplit=1)[0]).split()
            while phrase and self._says_nothing(phrase[-1]):
                phrase.pop()
            while phrase and self._says_nothing(phrase[0]):
                del phrase[0]
            if phrase:
                yield " ".join(phrase).strip(" ,'\"")

    def _says_nothing(self, word: str) -> bool:
        bare = word.strip(" ,'\"")
        return is_stop(bare) or (bare.isascii() and stem(bare) in self._about)


def value(
    schema: Mapping[str, Any], evidence: Evidence, root: Mapping[str, Any] | None = None, *, field: str = ""
) -> Any:
    """A value that the schema allows.

    Args:
        schema: A JSON schema. `$ref`, `allOf`, `anyOf`, `oneOf`, `enum`, `const`, ranges, lengths and numbers of
            items are obeyed; `pattern` and `format` are not.
        evidence: What to fill it with.
        root: Where `$defs` stand; the schema itself if None.
        field: The name of the field that is filled.
    """
    root = schema if root is None else root
    schema = _resolved(schema, root)
    if "const" in schema:
        return schema["const"]
    if choices := schema.get("enum"):
        return next((one for one in choices if str(one).lower() in evidence.text.lower()), choices[0])
    kind = _kind(schema)
    if kind == "object":
        return _object(schema, evidence, root)
    if kind == "array":
        return _array(schema, evidence, root, field)
    return _plain(kind, schema, evidence, field)


def _plain(kind: str, schema: Mapping[str, Any], evidence: Evidence, field: str) -> Any:
    if kind in ("integer", "number"):
        return _number(schema, evidence, whole=kind == "integer")
    if kind == "boolean":
        return bool(schema.get("default", True))
    if kind == "null":
        return None
    return evidence.phrase(field).ljust(schema.get("minLength", 0), ".")[: schema.get("maxLength")]


def _kind(schema: Mapping[str, Any]) -> str:
    kind = schema.get("type") or ("object" if "properties" in schema else "string")
    return next((one for one in kind if one != "null"), "null") if isinstance(kind, list) else str(kind)


def _resolved(schema: Mapping[str, Any], root: Mapping[str, Any]) -> Mapping[str, Any]:
    """Follows references, joins `allOf` and picks the first alternative that is not null."""
    if "$ref" in schema:
        target: Any = root
        for step in schema["$ref"].removeprefix("#/").split("/"):
            target = target[step]
        return _resolved(target, root)
    if options := schema.get("anyOf") or schema.get("oneOf"):
        return _resolved(next((one for one in options if one.get("type") != "null"), options[0]), root)
    if parts := schema.get("allOf"):
        rest = {key: kept for key, kept in schema.items() if key != "allOf"}
        return {**rest, **{key: kept for part in parts for key, kept in _resolved(part, root).items()}}
    return schema


def _object(schema: Mapping[str, Any], evidence: Evidence, root: Mapping[str, Any]) -> dict[str, Any]:
    fields: Mapping[str, Any] = schema.get("properties") or {}
    required = schema.get("required") or ()
    chosen = [name for name, one in fields.items() if name in required or evidence.mentions(name, one)]
    return {name: value(fields[name], evidence, root, field=name) for name in chosen}


def _array(schema: Mapping[str, Any], evidence: Evidence, root: Mapping[str, Any], field: str) -> list[Any]:
    items = schema.get("items") or {"type": "string"}
    numeric = _kind(_resolved(items, root)) in ("integer", "number")
    count = max(schema.get("minItems", 1), len(evidence.numbers) if numeric else 1)
    count = min(count, schema.get("maxItems", count))
    return [value(items, evidence, root, field=field) for _ in range(count)]


def _number(schema: Mapping[str, Any], evidence: Evidence, *, whole: bool) -> float | int:
    text = evidence.numbers.popleft() if evidence.numbers else str(schema.get("default", 1))
    number: float | int = int(float(text)) if whole else float(text)
    step = 1 if whole else 0.5
    least = [schema[key] + more for key, more in (("minimum", 0), ("exclusiveMinimum", step)) if key in schema]
    most = [schema[key] - less for key, less in (("maximum", 0), ("exclusiveMaximum", step)) if key in schema]
    bounded: float | int = max([min([number, *most]), *least])
    return bounded
