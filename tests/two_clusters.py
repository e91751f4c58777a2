"""Two PostgreSQL clusters with one history behind one address, as a primary and the standby that replaces it."""

import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg

from number_orders.embedded.postgres import EmbeddedPostgres
from number_orders.ledger.migrate import migrate
from tests.forwarder import Forwarder
from tests.processes import eventually

_SIGNALLED_S = 0.5
"""The postmaster has told all its sessions of the new settings by then; they do not say when they have read them."""


@dataclass
class TwoClusters:
    """Both run; the address leads to the first until it moves."""

    first: EmbeddedPostgres
    second: EmbeddedPostgres
    address: Forwarder

    @property
    def url(self) -> str:
        """The address that clients know."""
        return self.address.url(self.first.url)

    def demote_first(self) -> None:
        """Let the first server take no writes any more. It keeps its connections, and serves reads."""
        with psycopg.connect(self.first.url, autocommit=True) as db:
            db.execute("ALTER SYSTEM SET default_transaction_read_only = on")
            db.execute("SELECT pg_reload_conf()")
        for _ in eventually():
            with psycopg.connect(self.first.url) as db:
                if db.execute("SHOW default_transaction_read_only").fetchone() == ("on",):
                    break
        time.sleep(_SIGNALLED_S)

    def move(self) -> None:
        """Let the address lead to the second server; open connections stay with the first."""
        self.address.target = self.second.url


@contextmanager
def two_clusters(folder: Path) -> Iterator[TwoClusters]:
    """Make an empty ledger, copy its whole cluster, and run both."""
    with EmbeddedPostgres(folder / "first", durable=False) as template:
        migrate(template.url)
    subprocess.run(["cp", "-a", str(folder / "first"), str(folder / "second")], check=True)
    (folder / "second" / "port").unlink()
    with (
        EmbeddedPostgres(folder / "first", durable=False) as first,
        EmbeddedPostgres(folder / "second", durable=False) as second,
        Forwarder(first.url) as address,
    ):
        yield TwoClusters(first, second, address)
    shutil.rmtree(folder / "second", ignore_errors=True)
