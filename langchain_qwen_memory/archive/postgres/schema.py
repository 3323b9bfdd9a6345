"""The tables of a Postgres archive: made and brought up to date under a lock, whoever of many machines is first."""

from langchain_qwen_memory.archive.postgres.ops import Op, Query, lock_key
from langchain_qwen_memory.errors import ArchiveError

__all__ = ["LATEST", "open_schema"]

MIGRATIONS = (
    """
    CREATE TABLE {s}qwen_memory_users (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, digest bytea NOT NULL UNIQUE, name bytea NOT NULL);
    CREATE TABLE {s}qwen_memory_threads (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        owner bigint NOT NULL REFERENCES {s}qwen_memory_users ON DELETE CASCADE,
        root bytea NOT NULL UNIQUE, name bytea NOT NULL, turns integer NOT NULL DEFAULT 0,
        first_at float8, last_at float8, head bytea, head_turn bigint, head_branch bigint, head_position integer);
    CREATE INDEX qwen_memory_threads_owner ON {s}qwen_memory_threads (owner);
    CREATE TABLE {s}qwen_memory_branches (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        thread bigint NOT NULL REFERENCES {s}qwen_memory_threads ON DELETE CASCADE,
        parent bigint, fork_position integer NOT NULL);
    CREATE INDEX qwen_memory_branches_thread ON {s}qwen_memory_branches (thread);
    CREATE TABLE {s}qwen_memory_turns (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, owner bigint NOT NULL,
        thread bigint NOT NULL REFERENCES {s}qwen_memory_threads ON DELETE CASCADE,
        branch bigint NOT NULL, position integer NOT NULL, key bytea NOT NULL, parent bytea NOT NULL,
        at float8 NOT NULL, tokens bigint NOT NULL, length integer NOT NULL, body bytea NOT NULL,
        UNIQUE (thread, key), UNIQUE (branch, position));
    ALTER TABLE {s}qwen_memory_turns ALTER body SET STORAGE EXTERNAL;
    CREATE INDEX qwen_memory_turns_owner ON {s}qwen_memory_turns (owner, id)
        INCLUDE (thread, branch, position, length, at);
    CREATE TABLE {s}qwen_memory_words (
        turn bigint NOT NULL REFERENCES {s}qwen_memory_turns ON DELETE CASCADE, owner bigint NOT NULL,
        words tsvector NOT NULL);
    ALTER TABLE {s}qwen_memory_words ALTER words SET STORAGE EXTERNAL, SET (toast_tuple_target = 8160);
    CREATE INDEX qwen_memory_words_turn ON {s}qwen_memory_words (turn);
    CREATE INDEX qwen_memory_words_words ON {s}qwen_memory_words USING gin (words) WITH (fastupdate = off);
    CREATE TABLE {s}qwen_memory_messages (
        thread bigint NOT NULL REFERENCES {s}qwen_memory_threads ON DELETE CASCADE,
        digest bytea NOT NULL, turn bigint NOT NULL, PRIMARY KEY (thread, digest, turn));
    CREATE TABLE {s}qwen_memory_notes (
        thread bigint NOT NULL REFERENCES {s}qwen_memory_threads ON DELETE CASCADE,
        digest bytea NOT NULL, key bytea NOT NULL, note bytea NOT NULL, PRIMARY KEY (thread, digest));
    CREATE TABLE {s}qwen_memory_spaces (
        id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text NOT NULL, dimension integer,
        state text NOT NULL CHECK (state IN ('current', 'building')));
    CREATE TABLE {s}qwen_memory_missing (
        space integer NOT NULL REFERENCES {s}qwen_memory_spaces ON DELETE CASCADE,
        turn bigint NOT NULL REFERENCES {s}qwen_memory_turns ON DELETE CASCADE,
        owner bigint NOT NULL, tries integer NOT NULL DEFAULT 0, PRIMARY KEY (turn, space));
    CREATE INDEX qwen_memory_missing_owner ON {s}qwen_memory_missing (space, owner, tries, turn);
    """,
)
"""Each leads from one version of the schema to the next; never changed once released, only added to.

Texts compressed by us are stored without Postgres compressing them again; `fastupdate` is off because the list of
late entries is all users' and each search would read it.
"""
LATEST = len(MIGRATIONS)


def open_schema(place: str, schema: str, *, vectors: bool) -> Op[str]:
    """Make the schema or bring it up to date if it has to be, and tell where pgvector lives.

    Args:
        place: the database, for errors.
        schema: where the tables are.
        vectors: make the extension if it is not there.

    Returns:
        The quoted schema of the extension and a dot; "" where the database does not have it.

    Raises:
        ArchiveError: the schema is newer than this package, or the database cannot hold text of any language.
    """
    if (yield from _version(place, schema)) < LATEST:
        yield Query("BEGIN")
        yield from _migrate(place, schema)
        yield Query("COMMIT")
    found = yield from _vector_schema()
    if vectors and not found:
        yield Query("BEGIN")
        yield Query("SELECT pg_advisory_xact_lock(%s)", (lock_key("extension"),))
        yield Query("CREATE EXTENSION IF NOT EXISTS vector")
        yield Query("COMMIT")
        found = yield from _vector_schema()
    return found


def _vector_schema() -> Op[str]:
    rows = yield Query(
        "SELECT quote_ident(n.nspname) || '.' FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace "
        "WHERE e.extname = 'vector'"
    )
    return str(rows[0][0]) if rows else ""


def _version(place: str, schema: str) -> Op[int]:
    """The schema's version, 0 where there is none yet."""
    made = "SELECT 1 FROM pg_catalog.pg_tables WHERE schemaname = %s AND tablename = 'qwen_memory_migrations'"
    if not (yield Query(made, (schema,))):
        return 0
    rows = yield Query("SELECT coalesce(max(v), 0) FROM {s}qwen_memory_migrations")
    found = int(rows[0][0])
    if found > LATEST:
        raise ArchiveError(
            f"the archive {place} has schema {found}, which a newer version wrote; this one reads up "
            f"to schema {LATEST}: pip install -U langchain-qwen-memory"
        )
    return found


def _migrate(place: str, schema: str) -> Op[None]:
    """Make what is not there, inside the caller's transaction; others wait for its end."""
    yield Query("SELECT pg_advisory_xact_lock(%s)", (lock_key(schema, "schema"),))
    rows = yield Query("SELECT getdatabaseencoding(), to_regnamespace(quote_ident(%s)) IS NULL", (schema,))
    encoding, missing = rows[0]
    if encoding != "UTF8":
        raise ArchiveError(
            f"the archive {place} is a database in {encoding}; text of any language needs UTF8: "
            "CREATE DATABASE chat ENCODING 'UTF8' TEMPLATE template0"
        )
    if missing:
        yield Query("CREATE SCHEMA {name}")
    yield Query(
        "CREATE TABLE IF NOT EXISTS {s}qwen_memory_migrations "
        "(v integer PRIMARY KEY, at timestamptz NOT NULL DEFAULT now())"
    )
    found = yield from _version(place, schema)
    for number, text in enumerate(MIGRATIONS[found:], found + 1):
        for statement in filter(str.strip, text.split(";")):
            yield Query(statement)
        yield Query("INSERT INTO {s}qwen_memory_migrations (v) VALUES (%s)", (number,))
