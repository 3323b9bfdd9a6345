"""How a Postgres archive names its database and its failures: never with the password, always with the fix."""

from typing import TYPE_CHECKING, Any

from langchain_qwen_memory.errors import ArchiveError

if TYPE_CHECKING:
    from langchain_qwen_memory.archive.postgres.pools import LinkOptions

__all__ = ["failure", "place_of"]

_FIXES = {
    "28": "check the user and the password in the URL",
    "3D": "make the database first: createdb",
    "42501": "GRANT the user what it lacks, or let one who may run PostgresArchive(...).setup() once",
    "53100": "the server's disk is full: free some space there and try again",
    "53300": "the server has no connection left: lower max_connections of PostgresArchive, or raise the server's",
    "57P": "the server is going down or coming up: try again",
    "40": "others changed the same rows: try again",
    "25006": "this server only reads, as a replica does: give the URL of the one that writes",
}
_VECTOR = (
    "vectors need pgvector: install it on the server and type CREATE EXTENSION vector as a user who may, or open the "
    "archive without embeddings"
)
_CONNECT = "see that the server runs and lets this machine in (pg_isready -d ...)"


def place_of(url: str) -> str:
    """The database that a URL names, without user and password.

    Raises:
        ArchiveError: the URL is none, or holds a password whose @ is not written as %40.
        ImportError: psycopg is not installed.
    """
    try:
        import psycopg_pool  # noqa: F401
        from psycopg import ProgrammingError
        from psycopg.conninfo import conninfo_to_dict
    except ImportError as error:
        raise ImportError('PostgresArchive needs psycopg: pip install "langchain-qwen-memory[postgres]"') from error
    try:
        parts: dict[str, Any] = conninfo_to_dict(url)
    except ProgrammingError:  # its text repeats the URL
        raise ArchiveError(
            "the archive's URL is none that Postgres knows; write postgresql://user:password@host:5432/database, with "
            "signs such as @ : / in the password as %40 %3A %2F"
        ) from None
    host = str(parts.get("host") or parts.get("hostaddr") or "")
    if "@" in host:
        raise ArchiveError("the archive's URL has an @ in its password; write it as %40")
    port = f":{parts['port']}" if parts.get("port") else ""
    return f"postgresql://{host.replace('/', '%2F')}{port}/{parts.get('dbname') or ''}"


def failure(place: str, error: Exception, options: "LinkOptions") -> ArchiveError:
    """What is raised for an error of psycopg's."""
    from psycopg_pool import PoolTimeout

    said = " ".join(str(error).split())
    if isinstance(error, PoolTimeout):
        fix = (
            f"all {options.max_connections} connections were in use for {options.timeout:g} seconds: raise "
            "max_connections or timeout of PostgresArchive"
        )
        return ArchiveError(f"the archive {place} gave no connection; {fix}")
    return ArchiveError(f"the archive {place} failed: {said}; {_fix(getattr(error, 'sqlstate', None), error)}")


def _fix(state: str | None, error: Exception) -> str:
    from psycopg import errors

    if 'extension "vector"' in str(error):
        return _VECTOR
    for begin, fix in _FIXES.items():
        if state and state.startswith(begin):
            return fix
    if "too many clients" in str(error) or "connection slots" in str(error):
        return _FIXES["53300"]
    if state is None and "password authentication failed" in str(error):
        return _FIXES["28"]
    if state is None and isinstance(error, errors.OperationalError):
        return _CONNECT
    return "see the error that caused this one"
