"""The write check leaves nothing behind, and names what keeps a write from being committed."""

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import psycopg
import pytest

from number_orders.embedded.postgres import EmbeddedPostgres
from number_orders.ledger.migrate import migrate
from number_orders.ledger.time_limit import time_limit
from number_orders.ledger.write_check import find_write_fault


@pytest.fixture
def postgres(tmp_path: Path) -> Iterator[EmbeddedPostgres]:
    """A server of the test's own, since its settings are changed."""
    with EmbeddedPostgres(tmp_path / "postgres", durable=False) as running:
        migrate(running.url)
        yield running


def configure(url: str, *settings: str) -> None:
    with psycopg.connect(url, autocommit=True) as db:
        db.execute("SET synchronous_commit = local")
        for setting in settings:
            db.execute(f"ALTER SYSTEM SET {setting}".encode())
        db.execute("SELECT pg_reload_conf()")


def fault_of_one_that_waits(url: str) -> str:
    """Return the fault. A slow machine gets more time to look for the reason while the write still waits."""
    fault = None
    for within_s in (1, 10):
        fault = find_write_fault(url, within_s=within_s)
        if fault and "wait" in fault:
            break
    assert fault is not None
    return fault


def test_a_write_that_works_leaves_nothing(ledger_url: str) -> None:
    assert find_write_fault(ledger_url, within_s=60) is None
    with psycopg.connect(ledger_url) as db:
        assert db.execute("SELECT FROM dead_letters").fetchall() == []


def test_a_read_only_ledger_is_named(postgres: EmbeddedPostgres) -> None:
    configure(postgres.url, "default_transaction_read_only = on")
    fault = find_write_fault(postgres.url, within_s=60)
    assert fault == "the ledger is read-only: PostgreSQL takes no writes (default_transaction_read_only)"


def test_a_missing_synchronous_standby_is_named(postgres: EmbeddedPostgres) -> None:
    """Every commit waits for ever; PostgreSQL's statement timeout does not end it."""
    configure(postgres.url, "synchronous_standby_names = 'elsewhere'")
    fault = fault_of_one_that_waits(postgres.url)
    assert "commits wait for a synchronous standby (elsewhere) that does not confirm them" in fault
    with psycopg.connect(postgres.url) as db:
        assert db.execute("SELECT FROM dead_letters").fetchall() == []
        waiting = db.execute("SELECT FROM pg_stat_activity WHERE wait_event = 'SyncRep'").fetchall()
    assert waiting == []


def test_a_lock_that_somebody_holds_is_named(ledger_url: str) -> None:
    with psycopg.connect(ledger_url) as other:
        other.execute("LOCK TABLE dead_letters IN ACCESS EXCLUSIVE MODE")
        fault = fault_of_one_that_waits(ledger_url)
    assert "PostgreSQL waits for Lock relation" in fault


def test_what_postgresql_refuses_is_named(ledger_url: str) -> None:
    with psycopg.connect(ledger_url, autocommit=True) as db:
        db.execute("ALTER TABLE dead_letters RENAME TO gone")
        try:
            fault = find_write_fault(ledger_url, within_s=60)
        finally:
            db.execute("ALTER TABLE gone RENAME TO dead_letters")
    assert fault == 'relation "dead_letters" does not exist (SQLSTATE 42P01)'


def test_a_server_that_cannot_be_reached_is_named() -> None:
    fault = find_write_fault("postgresql://nobody@127.0.0.1:1/none", within_s=60)
    assert fault is not None
    assert "refused" in fault


def test_a_frozen_server_costs_a_few_seconds(postgres: EmbeddedPostgres) -> None:
    """Neither a cancellation nor an answer comes through, so the connection is ended from here."""
    with psycopg.connect(postgres.url, autocommit=True) as db:
        server = psutil.Process(postgres.pid)
        stopped = [server.pid, *(child.pid for child in server.children())]
        for pid in stopped:
            os.kill(pid, signal.SIGSTOP)
        began = time.monotonic()
        try:
            with pytest.raises(psycopg.OperationalError), time_limit(db, 0.2):
                db.execute("SELECT 1")
        finally:
            for pid in stopped:
                os.kill(pid, signal.SIGCONT)
    assert time.monotonic() - began < 60, "it waited for the server"
