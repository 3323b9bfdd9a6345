"""Adds turns and notes to a Postgres archive, inside transactions that the caller opened."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

from langchain_qwen_memory.archive.base import Turn, orphan, root_key
from langchain_qwen_memory.archive.finding.fulltext import count_words
from langchain_qwen_memory.archive.postgres.ops import Op, Query, digest, raw, text
from langchain_qwen_memory.archive.postgres.rows import get_note
from langchain_qwen_memory.archive.stored import pack

__all__ = ["MOST", "Place", "Ready", "append", "lexeme", "put_note"]

LITERAL_CHARS = 100_000
"""Characters of words in one row: a tsvector holds a megabyte at most, and a pasted book has more words."""
MOST = 255
"""Times that a word's mentions are counted in a turn: as many places as a tsvector notes, and BM25 tells no more."""

_LOCK = """
SELECT u.id, t.id FROM {s}qwen_memory_users u JOIN {s}qwen_memory_threads t ON t.owner = u.id
WHERE t.root = %s FOR KEY SHARE OF u FOR UPDATE OF t
"""
_MAKE_USER = "INSERT INTO {s}qwen_memory_users (digest, name) VALUES (%s, %s) ON CONFLICT DO NOTHING"
_MAKE_THREAD = """
INSERT INTO {s}qwen_memory_threads (owner, root, name)
SELECT id, %s, %s FROM {s}qwen_memory_users WHERE digest = %s FOR KEY SHARE ON CONFLICT DO NOTHING
"""
_KNOWN = """
SELECT t.key, t.branch, t.position,
    EXISTS (SELECT FROM {s}qwen_memory_turns n WHERE n.branch = t.branch AND n.position = t.position + 1)
FROM {s}qwen_memory_turns t WHERE t.thread = %s AND t.key = ANY(%s)
"""
_FORK = "INSERT INTO {s}qwen_memory_branches (thread, parent, fork_position) VALUES (%s, %s, %s) RETURNING id"
_ADD = """
WITH turn AS (
    INSERT INTO {s}qwen_memory_turns (owner, thread, branch, position, key, parent, at, tokens, length, body)
    VALUES (%s, %s, %s, %s, %s, %s, %s::float8, %s::bigint, %s, %s) RETURNING id, owner, thread, at
), words AS (
    INSERT INTO {s}qwen_memory_words (turn, owner, words)
    SELECT turn.id, turn.owner, part::tsvector FROM turn, unnest(%s::text[]) part
), named AS (
    INSERT INTO {s}qwen_memory_messages (thread, digest, turn)
    SELECT turn.thread, named, turn.id FROM turn, unnest(%s::bytea[]) named ON CONFLICT DO NOTHING
), missing AS (
    INSERT INTO {s}qwen_memory_missing (space, turn, owner)
    SELECT space.id, turn.id, turn.owner FROM turn, {s}qwen_memory_spaces space WHERE %s
)
UPDATE {s}qwen_memory_threads h SET
    turns = h.turns + 1, head = %s, head_turn = turn.id, head_branch = %s, head_position = %s,
    first_at = least(h.first_at, turn.at), last_at = greatest(h.last_at, turn.at)
FROM turn WHERE h.id = turn.thread RETURNING turn.id
"""


class Place(NamedTuple):
    """A user's and a thread's numbers in this database."""

    owner: int
    thread: int


class Ready(NamedTuple):
    """A turn, prepared before any lock is taken."""

    turn: Turn
    body: bytes
    words: "Counter[str]"

    @classmethod
    def of(cls, turn: Turn) -> "Ready":
        """Pack a turn and cut its text into words."""
        return cls(turn, pack(turn.messages, turn.text), count_words(turn.text))


def lock_place(user: str, thread: str) -> Op[Place]:
    """A thread's numbers, made if it is not there, held against other writers to the transaction's end."""
    root = raw(root_key(user, thread))
    while True:
        rows = yield Query(_LOCK, (root,))
        if rows:
            return Place(*rows[0])
        # Somebody may forget the user between two of these statements; then they are made once more.
        yield Query(_MAKE_USER, (digest(user), raw(user)))
        yield Query(_MAKE_THREAD, (root, raw(thread), digest(user)))


def append(user: str, thread: str, ready: Sequence[Ready]) -> Op[list[tuple[int, str]]]:
    """Add turns that are not there, inside the caller's transaction; number and key of each that was new.

    Raises:
        ArchiveError: a turn's parent is not there.
    """
    place = yield from lock_place(user, thread)
    keys = {key for one in ready for key in (one.turn.key, one.turn.parent)}
    rows = yield Query(_KNOWN, (place.thread, [raw(key) for key in keys]))
    known = {text(key): (branch, position) for key, branch, position, _ in rows}
    taken = {(branch, position + 1) for _, branch, position, followed in rows if followed}
    added = []
    for one in ready:
        if one.turn.key in known:
            continue
        spot = yield from _grow(place, one.turn, root_key(user, thread), known, taken)
        known[one.turn.key] = spot
        taken.add(spot)
        added.append(((yield from _add(place, one, *spot)), one.turn.key))
    return added


def _grow(
    place: Place, turn: Turn, root: str, known: Mapping[str, tuple[int, int]], taken: Collection[tuple[int, int]]
) -> Op[tuple[int, int]]:
    """A new turn's branch and position: behind its parent, on a new branch if another turn stands there."""
    branch, position = None, -1
    if turn.parent != root:
        if turn.parent not in known:
            raise orphan(turn)
        branch, position = known[turn.parent]
        if (branch, position + 1) not in taken:
            return branch, position + 1
    rows = yield Query(_FORK, (place.thread, branch, position))
    return int(rows[0][0]), position + 1


def _add(place: Place, one: Ready, branch: int, position: int) -> Op[int]:
    turn = one.turn
    named = sorted({digest(message.id) for message in turn.messages if message.id})
    row = (place.owner, place.thread, branch, position, raw(turn.key), raw(turn.parent), turn.at, turn.tokens)
    rest = (one.words.total(), one.body, _literals(place.owner, one.words), named, bool(turn.text.strip()))
    rows = yield Query(_ADD, (*row, *rest, raw(turn.key), branch, position))
    return int(rows[0][0])


def lexeme(owner: int, word: str) -> str:
    """A user's word, quoted: each has the user's number before it, so that one index keeps all users apart."""
    escaped = word.replace("\\", "\\\\").replace("'", "''")
    return f"'{owner}:{escaped}'"


def _literals(owner: int, words: "Counter[str]") -> list[str]:
    """The words as texts of tsvectors: a word that stands three times has the places 1, 2 and 3."""
    parts, size = [], LITERAL_CHARS
    for word, times in words.items():
        entry = f"{lexeme(owner, word)}:{','.join(map(str, range(1, min(times, MOST) + 1)))}"
        if size + len(entry) > LITERAL_CHARS:
            parts.append([entry])
            size = 0
        else:
            parts[-1].append(entry)
        size += len(entry)
    return [" ".join(part) for part in parts]


def put_note(user: str, thread: str, key: str, note: bytes) -> Op[dict[str, Any]]:
    """Keep a note unless there is one, inside the caller's transaction; the one that stands."""
    place = yield from lock_place(user, thread)
    yield Query(
        "INSERT INTO {s}qwen_memory_notes VALUES (%s, %s, %s, %s) ON CONFLICT DO NOTHING",
        (place.thread, digest(key), raw(key), note),
    )
    return (yield from get_note(user, thread, key)) or {}
