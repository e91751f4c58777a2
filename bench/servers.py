"""The servers that all contenders share: one PostgreSQL and one Valkey, emptied between runs.

PostgreSQL records when each transaction was committed, from which the end of an order is dated. Otherwise it runs with
its defaults, so it is durable.
"""

import shutil
import tempfile
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self
from urllib.parse import urlsplit, urlunsplit

import psycopg
import redis
from psycopg import sql

from number_orders.embedded.engines import Engines


@dataclass(frozen=True, slots=True)
class EmptyServers:
    """An empty database, and an empty broker."""

    database_url: str = field(repr=False)
    broker_url: str = field(repr=False)


class Servers:
    """PostgreSQL and Valkey in a temporary directory."""

    def __init__(self) -> None:
        self._stack = ExitStack()
        self._made = 0
        self.directory = Path(tempfile.mkdtemp(prefix="number-orders-bench-"))
        self._engines = Engines(self.directory)

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            stack.callback(shutil.rmtree, self.directory, ignore_errors=True)
            stack.callback(self._engines.stop)
            self._engines.start()
            self._track_commit_timestamps()
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    @property
    def pids(self) -> list[int]:
        """The servers' main processes."""
        return [self.postgres_pid, self.valkey_pid]

    @property
    def postgres_pid(self) -> int:
        """PostgreSQL's main process."""
        return self._engines.postgres.pid

    @property
    def valkey_pid(self) -> int:
        """Valkey's process."""
        return self._engines.valkey.pid

    def emptied(self) -> EmptyServers:
        """Empty the broker and create an empty database, after a checkpoint has written what earlier runs left."""
        self._made += 1
        name = f"bench_{self._made}"
        with psycopg.connect(self._engines.database_url, autocommit=True) as db:
            if self._made > 1:
                old = sql.Identifier(f"bench_{self._made - 1}")
                db.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(old))
            db.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
            db.execute("CHECKPOINT")
        with redis.Redis.from_url(self._engines.broker_url) as broker:
            broker.flushall()
        address = urlsplit(self._engines.database_url)
        return EmptyServers(urlunsplit(address._replace(path=f"/{name}")), self._engines.broker_url)

    def _track_commit_timestamps(self) -> None:
        with psycopg.connect(self._engines.database_url, autocommit=True) as db:
            db.execute("ALTER SYSTEM SET track_commit_timestamp = on")
        self._engines.stop()
        self._engines.start()
