"""The servers that every contender shares: one PostgreSQL, one Valkey, emptied between runs.

Knows how they are started and made fresh. PostgreSQL notes when each transaction was committed, which is how an
end in the ledger is dated; it runs on its defaults otherwise, durable.
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
class Fresh:
    """An empty database, and an empty broker."""

    database_url: str = field(repr=False)
    broker_url: str = field(repr=False)


class Servers:
    """PostgreSQL and Valkey in a directory of their own, which is gone afterwards."""

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
            self._date_commits()
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

    def fresh(self) -> Fresh:
        """Empty the broker and make an empty database; what earlier runs left to be written is written first."""
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
        return Fresh(urlunsplit(address._replace(path=f"/{name}")), self._engines.broker_url)

    def _date_commits(self) -> None:
        with psycopg.connect(self._engines.database_url, autocommit=True) as db:
            db.execute("ALTER SYSTEM SET track_commit_timestamp = on")
        self._engines.stop()
        self._engines.start()
