"""Reads and erases the turns, threads and notes of a Postgres archive."""

from collections.abc import Collection, Sequence
from typing import Any

from langchain_qwen_memory.archive.base import ArchivedThread, Turn, root_key
from langchain_qwen_memory.archive.postgres.ops import Op, Query, Row, digest, raw, text
from langchain_qwen_memory.archive.stored import loads, unpack, unpack_later

__all__ = [
    "TURNS",
    "appended",
    "count",
    "forget",
    "found_turn",
    "get",
    "get_note",
    "head",
    "known_messages",
    "notes",
    "page",
    "threads",
    "to_turn",
    "users",
]

TURNS = """
SELECT t.id, t.key, t.parent, t.position, t.branch, t.at, t.tokens, t.body, h.name
FROM {s}qwen_memory_turns t JOIN {s}qwen_memory_threads h ON h.id = t.thread
"""
_LINE = """
WITH RECURSIVE line(branch, last, depth) AS (
    {start} UNION ALL
    SELECT b.parent, b.fork_position, depth + 1
    FROM line JOIN {s}qwen_memory_branches b ON b.id = line.branch WHERE b.parent IS NOT NULL)
"""
_OF_THREAD = _LINE.replace(
    "{start}",
    "SELECT head_branch, head_position, 0 FROM {s}qwen_memory_threads WHERE root = %s AND turns > 0",
)
_OF_TURN = _LINE.replace(
    "{start}",
    "SELECT t.branch, t.position, 0 FROM {s}qwen_memory_turns t JOIN {s}qwen_memory_threads h ON h.id = t.thread "
    "WHERE h.root = %s AND t.key = %s",
)
_PAGE = (
    TURNS
    + """
JOIN line ON t.branch = line.branch AND t.position <= line.last
WHERE %s::bigint IS NULL OR t.position < %s::bigint ORDER BY t.position DESC LIMIT %s
"""
)
_NAMED = """
SELECT DISTINCT m.digest FROM line
JOIN {s}qwen_memory_turns t ON t.branch = line.branch AND t.position <= line.last
JOIN {s}qwen_memory_messages m ON m.turn = t.id AND m.thread = t.thread
WHERE m.digest = ANY(%s)
"""


def get(user: str, thread: str, keys: Sequence[str]) -> Op[list[Turn]]:
    """Turns by key, in the order asked."""
    query = f"{TURNS} WHERE h.root = %s AND t.key = ANY(%s)"
    rows = yield Query(query, (raw(root_key(user, thread)), [raw(key) for key in keys]))
    known = {text(row[1]): to_turn(user, row) for row in rows}
    return [known[key] for key in keys if key in known]


def _line(user: str, thread: str, head: str | None) -> tuple[str, tuple[Any, ...]]:
    """The beginning of a query along a lineage, and its values."""
    root = raw(root_key(user, thread))
    return (_OF_THREAD, (root,)) if head is None else (_OF_TURN, (root, raw(head)))


def page(user: str, thread: str, head: str | None, before: int | None, limit: int) -> Op[list[Turn]]:
    """The newest turns of a lineage below a position, oldest first."""
    line, values = _line(user, thread, head)
    rows = yield Query(line + _PAGE, (*values, before, before, limit))
    return [to_turn(user, row) for row in reversed(rows)]


def appended(user: str, thread: str, after: str | None, limit: int) -> Op[list[Turn]]:
    """Turns of a thread after one of them, of whatever branch, in the order in which they came."""
    root = raw(root_key(user, thread))
    behind = yield Query(f"{TURNS} WHERE h.root = %s AND t.key = %s", (root, raw(after or "")))
    query = f"{TURNS} WHERE h.root = %s AND t.id > %s ORDER BY t.id LIMIT %s"
    rows = yield Query(query, (root, behind[0][0] if behind else 0, limit))
    return [to_turn(user, row) for row in rows]


def known_messages(user: str, thread: str, ids: Collection[str], head: str) -> Op[set[str]]:
    """Which message ids stand in turns of a lineage."""
    named = {digest(known): known for known in ids}
    line, values = _line(user, thread, head)
    rows = yield Query(line + _NAMED, (*values, list(named)))
    return {named[row[0]] for row in rows}


def head(user: str, thread: str) -> Op[str | None]:
    """Key of the newest turn."""
    rows = yield Query(
        "SELECT head FROM {s}qwen_memory_threads WHERE root = %s AND turns > 0", (raw(root_key(user, thread)),)
    )
    return text(rows[0][0]) if rows else None


def count(user: str, thread: str | None) -> Op[int]:
    """Turns of a thread or a user."""
    if thread is None:
        where, value = "owner = (SELECT id FROM {s}qwen_memory_users WHERE digest = %s)", digest(user)
    else:
        where, value = "root = %s", raw(root_key(user, thread))
    rows = yield Query(f"SELECT coalesce(sum(turns), 0)::bigint FROM {{s}}qwen_memory_threads WHERE {where}", (value,))  # noqa: S608
    return int(rows[0][0])


def threads(user: str) -> Op[list[ArchivedThread]]:
    """A user's threads, newest first."""
    query = """
    SELECT t.name, t.turns, t.first_at, t.last_at
    FROM {s}qwen_memory_threads t JOIN {s}qwen_memory_users u ON u.id = t.owner
    WHERE u.digest = %s AND t.turns > 0 ORDER BY t.head_turn DESC
    """
    rows = yield Query(query, (digest(user),))
    return [ArchivedThread(thread=text(row[0]), turns=row[1], first=row[2], last=row[3]) for row in rows]


def users() -> Op[list[str]]:
    """Everyone who has turns."""
    query = """
    SELECT u.name FROM {s}qwen_memory_users u
    WHERE EXISTS (SELECT FROM {s}qwen_memory_threads t WHERE t.owner = u.id AND t.turns > 0)
    """
    rows = yield Query(query)
    return sorted(text(row[0]) for row in rows)


def forget(user: str, thread: str | None) -> Op[int]:
    """Erase a thread or a user, inside the caller's transaction; all that belongs to it goes with it."""
    if thread is None:
        rows = yield Query("SELECT id FROM {s}qwen_memory_users WHERE digest = %s FOR UPDATE", (digest(user),))
        turns = yield from count(user, None)
        yield Query("DELETE FROM {s}qwen_memory_users WHERE id = ANY(%s)", ([row[0] for row in rows],))
        return turns
    rows = yield Query(
        "DELETE FROM {s}qwen_memory_threads WHERE root = %s RETURNING turns", (raw(root_key(user, thread)),)
    )
    return int(rows[0][0]) if rows else 0


def get_note(user: str, thread: str, key: str) -> Op[dict[str, Any] | None]:
    """The note under a key."""
    query = """
    SELECT n.note FROM {s}qwen_memory_notes n JOIN {s}qwen_memory_threads t ON t.id = n.thread
    WHERE t.root = %s AND n.digest = %s
    """
    rows = yield Query(query, (raw(root_key(user, thread)), digest(key)))
    return dict(loads(rows[0][0])) if rows else None


def notes(user: str, thread: str) -> Op[list[tuple[str, dict[str, Any]]]]:
    """All notes of a thread."""
    query = """
    SELECT n.key, n.note FROM {s}qwen_memory_notes n JOIN {s}qwen_memory_threads t ON t.id = n.thread
    WHERE t.root = %s
    """
    rows = yield Query(query, (raw(root_key(user, thread)),))
    return sorted((text(row[0]), dict(loads(row[1]))) for row in rows)


def to_turn(user: str, row: Row) -> Turn:
    """A turn from its row."""
    return _turn(user, row, *unpack(row[7]))


def found_turn(user: str, row: Row) -> Turn:
    """A turn that a search has found; its body is unpacked when it is looked into."""
    return _turn(user, row, *unpack_later(row[7]))


def _turn(user: str, row: Row, messages: Any, said: Any) -> Turn:
    _, key, parent, position, branch, at, tokens, _, thread = row
    return Turn(
        key=text(key),
        parent=text(parent),
        messages=messages,
        text=said,
        at=at,
        tokens=tokens,
        position=position,
        branch=str(branch),
        user=user,
        thread=text(thread),
    )
