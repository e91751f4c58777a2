"""Both engines under one directory, and a file by which other commands find them while they run."""

import json
import os
import socket
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Final, Self
from urllib.parse import urlsplit

from number_orders.embedded.errors import EmbeddedError
from number_orders.embedded.files import write_private
from number_orders.embedded.lock import is_alive
from number_orders.embedded.postgres import EmbeddedPostgres
from number_orders.embedded.valkey import EmbeddedValkey

ENGINES_FILE: Final = "engines.json"
ANSWER_TIMEOUT_S: Final = 0.5


@dataclass(frozen=True, slots=True)
class EngineUrls:
    """The URLs of running engines, and the processes that run them."""

    database_url: str = field(repr=False)  # both contain a password
    broker_url: str = field(repr=False)
    starter_pid: int
    postgres_pid: int
    valkey_pid: int


class Engines:
    """PostgreSQL in `var_dir/postgres` and Valkey in `var_dir/valkey`, started together."""

    def __init__(self, var_dir: Path, *, durable: bool = True) -> None:
        self._engines_file = var_dir.absolute() / ENGINES_FILE
        self._file_written = False
        self.postgres = EmbeddedPostgres(var_dir / "postgres", durable=durable)
        self.valkey = EmbeddedValkey(var_dir / "valkey")

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def database_url(self) -> str:
        """The URL of PostgreSQL."""
        return self.postgres.url

    @property
    def broker_url(self) -> str:
        """The URL of Valkey."""
        return self.valkey.url

    def start(self) -> EngineUrls:
        """Start both at once and write the file; on return both run, or neither.

        Raises:
            AlreadyRunning: see `running_engines`.
            CouldNotStart: with the reason.
        """
        try:
            with ThreadPoolExecutor(max_workers=2) as pool:
                for starting in [pool.submit(self.postgres.start), pool.submit(self.valkey.start)]:
                    starting.result()
        except BaseException:
            self._stop_both()
            raise
        urls = EngineUrls(self.database_url, self.broker_url, os.getpid(), self.postgres.pid, self.valkey.pid)
        write_private(self._engines_file, json.dumps(asdict(urls), indent=2) + "\n")
        self._file_written = True
        return urls

    def stop(self) -> None:
        """Stop both in order; do nothing if they do not run."""
        if self._file_written:  # else it is another starter's
            self._engines_file.unlink(missing_ok=True)
            self._file_written = False
        self._stop_both()

    def _stop_both(self) -> None:
        with ExitStack() as stopping:  # the second is stopped even if stopping the first fails
            stopping.callback(self.postgres.stop)
            stopping.callback(self.valkey.stop)


def running_engines(var_dir: Path) -> EngineUrls | None:
    """Return the URLs of the engines of `var_dir`, or None if they do not run.

    Raises:
        EmbeddedError: they belong to another user.
    """
    path = var_dir / ENGINES_FILE
    try:
        urls = EngineUrls(**json.loads(path.read_text(encoding="utf-8")))
    except (FileNotFoundError, ValueError, TypeError):  # no file, or one of another version
        return None
    except PermissionError as fault:
        raise EmbeddedError(f"{path} belongs to another user. Run as that user.") from fault
    engines = ((urls.postgres_pid, urls.database_url), (urls.valkey_pid, urls.broker_url))
    return urls if all(is_alive(pid) and _listens(url) for pid, url in engines) else None


def _listens(url: str) -> bool:
    parts = urlsplit(url)
    try:
        with socket.create_connection((parts.hostname, parts.port), timeout=ANSWER_TIMEOUT_S):
            return True
    except OSError:
        return False
