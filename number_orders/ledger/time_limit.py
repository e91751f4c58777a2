"""A limit for statements on connections outside the pool, which holds even if the server does not answer."""

import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import psycopg


@contextmanager
def time_limit(connection: psycopg.Connection[Any], within_s: float) -> Iterator[None]:
    """Cancel what runs on a connection after this time; if that does not end it either, close the connection.

    PostgreSQL's own `statement_timeout` does not end a commit that waits for a standby. A cancelled one is committed.
    """
    over = threading.Event()

    def watch() -> None:
        if over.wait(within_s):
            return
        with suppress(psycopg.Error):
            connection.cancel_safe(timeout=within_s)
        if not over.wait(within_s):
            _shut_down(connection)

    threading.Thread(target=watch, daemon=True).start()
    try:
        yield
    finally:
        over.set()


def _shut_down(connection: psycopg.Connection[Any]) -> None:
    """End a connection under whoever waits on it; closing it from another thread would leave that one waiting."""
    with suppress(OSError, psycopg.Error), socket.socket(fileno=os.dup(connection.fileno())) as wire:
        wire.shutdown(socket.SHUT_RDWR)
