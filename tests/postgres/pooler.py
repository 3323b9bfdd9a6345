"""Stands between a client and a server as a pooler does: the process that it names is none of the server's."""

import socket
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from psycopg.conninfo import conninfo_to_dict, make_conninfo

NAME = ".s.PGSQL.5432"
NOBODY = (1 << 30).to_bytes(4, "big")
"""The number that is told to the client: no process has one as great."""


@contextmanager
def pooled(url: str) -> Iterator[str]:
    """The URL of the same database, through the pooler."""
    server = str(conninfo_to_dict(url)["host"])
    with tempfile.TemporaryDirectory(prefix="pool") as folder, socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(Path(folder, NAME)))
        listening.listen()
        threading.Thread(target=_serve, args=(listening, str(Path(server, NAME))), daemon=True).start()
        yield make_conninfo(url, host=folder)
        listening.shutdown(socket.SHUT_RDWR)


def _serve(listening: socket.socket, server: str) -> None:
    with suppress(OSError):
        while True:
            client, _ = listening.accept()
            threading.Thread(target=_stand_between, args=(client, server), daemon=True).start()


def _stand_between(client: socket.socket, server: str) -> None:
    with client, socket.socket(socket.AF_UNIX) as behind:
        behind.connect(server)
        asking = threading.Thread(target=_pass, args=(client, behind))
        asking.start()
        with suppress(OSError):
            _answer(behind, client)
            client.shutdown(socket.SHUT_RDWR)
        asking.join()


def _pass(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while data := source.recv(65_536):
            target.sendall(data)
        target.shutdown(socket.SHUT_WR)


def _answer(server: socket.socket, client: socket.socket) -> None:
    """Pass answers on, message by message; the one that tells the server's process tells another."""
    with server.makefile("rb") as answers:
        while head := answers.read(5):
            body = answers.read(int.from_bytes(head[1:], "big") - 4)
            client.sendall(head + (NOBODY + body[4:] if head[:1] == b"K" else body))
