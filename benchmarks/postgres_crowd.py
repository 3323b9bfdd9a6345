"""Fills a Postgres archive with very many other users, by copying a few of them inside the database.

To append 200,000 turns would take ten minutes. A copied user has numbers, threads, words and vectors of its own, in the
same tables and indexes; only what its turns say is another's. The index of the words is made anew in the end.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import TYPE_CHECKING

from benchmarks.archive import turns

if TYPE_CHECKING:
    from langchain_qwen_memory.archive.postgres.archive import PostgresArchive

KINDS = 20
"""Users whose turns are copied."""
STEPS = (
    "SET synchronous_commit = off",
    "SET maintenance_work_mem = '512MB'",
    "DROP INDEX qwen_memory_words_words",
    """
    CREATE TEMP TABLE kinds AS SELECT u.id AS owner, h.head_branch AS branch, row_number() OVER (ORDER BY u.id) - 1 AS n
    FROM qwen_memory_users u JOIN qwen_memory_threads h ON h.owner = u.id
    WHERE convert_from(u.name, 'UTF8') LIKE 'kind-%'
    """,
    "ANALYZE",
    """
    INSERT INTO qwen_memory_users (digest, name)
    SELECT substr(sha256(name), 1, 16), name
    FROM (SELECT convert_to('user-' || n, 'UTF8') AS name FROM generate_series(1, {users}) n) made
    """,
    """
    INSERT INTO qwen_memory_threads (owner, root, name, turns, first_at, last_at, head)
    SELECT u.id, sha256(u.digest), 't', h.turns, h.first_at, h.last_at, h.head
    FROM qwen_memory_users u JOIN kinds k ON k.n = u.id % {kinds} JOIN qwen_memory_threads h ON h.owner = k.owner
    WHERE convert_from(u.name, 'UTF8') LIKE 'user-%'
    """,
    """
    INSERT INTO qwen_memory_branches (thread, fork_position)
    SELECT h.id, -1 FROM qwen_memory_threads h WHERE h.head_branch IS NULL
    """,
    """
    CREATE TEMP TABLE copies AS SELECT h.owner, h.id AS thread, b.id AS branch, k.owner AS old, k.branch AS old_branch
    FROM qwen_memory_threads h JOIN qwen_memory_branches b ON b.thread = h.id JOIN kinds k ON k.n = h.owner % {kinds}
    WHERE h.head_branch IS NULL
    """,
    "ANALYZE",
    """
    INSERT INTO qwen_memory_turns (owner, thread, branch, position, key, parent, at, tokens, length, body)
    SELECT c.owner, c.thread, c.branch, t.position, t.key, t.parent, t.at, t.tokens, t.length, t.body
    FROM copies c JOIN qwen_memory_turns t ON t.branch = c.old_branch
    """,
    "ANALYZE",
    """
    CREATE TEMP TABLE pairs AS SELECT t.id AS turn, o.id AS old_turn, c.owner, c.old, c.thread, c.branch, t.position
    FROM copies c JOIN qwen_memory_turns t ON t.branch = c.branch
    JOIN qwen_memory_turns o ON o.branch = c.old_branch AND o.position = t.position
    """,
    "ANALYZE",
    """
    INSERT INTO qwen_memory_words (turn, owner, words)
    SELECT p.turn, p.owner, replace(w.words::text, '''' || p.old || ':', '''' || p.owner || ':')::tsvector
    FROM pairs p JOIN qwen_memory_words w ON w.turn = p.old_turn
    """,
    """
    INSERT INTO qwen_memory_vectors_1 (turn, owner, embedding)
    SELECT p.turn, p.owner, v.embedding FROM pairs p JOIN qwen_memory_vectors_1 v ON v.turn = p.old_turn
    """,
    """
    UPDATE qwen_memory_threads h SET head_turn = p.turn, head_branch = p.branch, head_position = p.position
    FROM pairs p WHERE p.thread = h.id AND p.position = h.turns - 1
    """,
    "CREATE INDEX qwen_memory_words_words ON qwen_memory_words USING gin (words) WITH (fastupdate = off)",
)


def crowd(archive: PostgresArchive, url: str, users: int, each: int, names: tuple[list[str], list[str]]) -> None:
    """Add so many users, who have so many turns each."""
    import psycopg

    for number in range(KINDS):
        name = f"kind-{number}"
        archive.append(name, "t", list(turns(name, "t", each, names, random.Random(number))))
    with psycopg.connect(url, autocommit=True) as db:
        for step in _written(max(users - KINDS, 0)):
            db.execute(step)


def _written(users: int) -> Iterator[bytes]:
    for step in STEPS:
        yield step.replace("{users}", str(users)).replace("{kinds}", str(KINDS)).encode()
