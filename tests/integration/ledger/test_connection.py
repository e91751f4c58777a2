"""A PostgreSQL that is frozen, or busy with somebody else: whoever waits for it is told so, and comes back."""

import asyncio
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager

import psutil
import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from number_orders.embedded.engines import Engines
from number_orders.ledger.connection import address
from number_orders.ledger.ledger import Ledger, PostgresLedger
from number_orders.orders.errors import LedgerUnavailable

BUSY = "LOCK TABLE lanes IN ACCESS EXCLUSIVE MODE"


@contextmanager
def frozen(engines: Engines) -> Iterator[None]:
    """Stop the server and all its children; its connections stand, and say nothing."""
    server = psutil.Process(engines.postgres.pid)
    stopped = [server.pid]
    os.kill(server.pid, signal.SIGSTOP)
    try:
        for child in server.children():
            os.kill(child.pid, signal.SIGSTOP)
            stopped.append(child.pid)
        yield
    finally:
        for pid in stopped:
            os.kill(pid, signal.SIGCONT)


def test_a_frozen_server_is_out_of_reach_and_comes_back(engines: Engines, ledger_url: str) -> None:
    """Nobody waits for it for ever, and when it thaws the same ledger works again."""

    async def work() -> None:
        async with PostgresLedger.at(ledger_url, connections_max=1, wait_s=60, statement_s=0.2, margin_s=0.2) as ledger:
            await ledger.now()
            with frozen(engines), pytest.raises(LedgerUnavailable, match="did not answer within"):
                await ledger.now()
            await thawed(ledger)

    asyncio.run(work())


async def thawed(ledger: Ledger) -> None:
    """Ask until there is an answer, as all who ask the ledger do."""
    for _ in range(100):
        try:
            await ledger.now()
        except LedgerUnavailable:
            continue
        return
    raise AssertionError("it never came back")


def test_a_statement_that_waits_for_a_lock_is_given_up_by_the_server(ledger_url: str) -> None:
    """Somebody sits on a table: the statement ends, not the connection, and nothing is left waiting in the server."""
    waiting = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"

    async def work() -> None:
        async with PostgresLedger.at(ledger_url, connections_max=1, statement_s=0.3, margin_s=60) as ledger:
            with psycopg.connect(ledger_url) as other:
                other.execute(BUSY)
                with pytest.raises(LedgerUnavailable, match="cancelled the statement"):
                    await ledger.schedule.due_lanes()
                assert other.execute(waiting).fetchone() == (0,)
            await thawed(ledger)

    asyncio.run(work())


def test_attempts_to_connect_do_not_lie_ever_further_apart() -> None:
    """The pool doubles its pauses until it gives up: no later than whoever waits, who then lets it begin anew."""

    async def patience_s() -> tuple[float, float]:
        pool = PostgresLedger.at("postgresql://nobody@127.0.0.1:1/none", wait_s=3).database.pool
        return pool.reconnect_timeout, pool.timeout

    assert asyncio.run(patience_s()) == (3, 3)


def test_what_an_address_says_of_its_line_is_heeded() -> None:
    """Ours are defaults: an operator may know better."""
    usual = conninfo_to_dict(address("postgresql://app:secret@db.example/orders"))
    assert (usual["keepalives_idle"], usual["tcp_user_timeout"], usual["dbname"]) == ("15", "20000", "orders")
    told = conninfo_to_dict(address("postgresql://app:secret@db.example/orders?keepalives_idle=60"))
    assert (told["keepalives_idle"], told["tcp_user_timeout"], told["password"]) == ("60", "20000", "secret")
