"""A PostgreSQL that is frozen, busy or missing is unavailable, and is used again when it is back."""

import asyncio
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import psutil
import psycopg
import pytest
from psycopg.conninfo import conninfo_to_dict

from number_orders.embedded.engines import Engines
from number_orders.ledger.connection import address
from number_orders.ledger.ledger import Ledger, PostgresLedger
from number_orders.orders.errors import LedgerUnavailable, PreparedStatementsLost
from tests.integration.ledger.examples import accept_order, claim_due
from tests.integration.ledger.harness import PostgresHarness

OTHERS = """
    DO $$ BEGIN FOR n IN 0..9 LOOP
        BEGIN EXECUTE format('PREPARE _pg3_%s AS SELECT 1', n);
        EXCEPTION WHEN duplicate_prepared_statement THEN NULL; END;
    END LOOP; END $$"""
LOCK_LANES = "LOCK TABLE lanes IN ACCESS EXCLUSIVE MODE"


@contextmanager
def frozen(engines: Engines) -> Iterator[None]:
    """Stop the server and all its children: its connections stay open, and nothing answers on them."""
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


def test_frozen_server_is_unavailable_until_it_continues(engines: Engines, ledger_url: str) -> None:
    """No caller waits for ever, and afterwards the same ledger works again."""

    async def work() -> None:
        async with PostgresLedger.at(ledger_url, connections_max=1, wait_s=60, statement_s=0.2, margin_s=0.2) as ledger:
            await ledger.now()
            with frozen(engines), pytest.raises(LedgerUnavailable, match="did not answer within"):
                await ledger.now()
            await await_answer(ledger)

    asyncio.run(work())


async def await_answer(ledger: Ledger) -> None:
    """Ask until there is an answer, as all callers do."""
    for _ in range(100):
        try:
            await ledger.now()
        except LedgerUnavailable:
            continue
        return
    raise AssertionError("it never answered again")


def test_statement_that_waits_for_a_lock_is_cancelled_by_the_server(ledger_url: str) -> None:
    """A table is locked: the statement ends, not the connection, and nothing keeps waiting in the server."""
    waiting = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"

    async def work() -> None:
        async with PostgresLedger.at(ledger_url, connections_max=1, statement_s=0.3, margin_s=60) as ledger:
            with psycopg.connect(ledger_url) as other:
                other.execute(LOCK_LANES)
                with pytest.raises(LedgerUnavailable, match="cancelled the statement"):
                    await ledger.schedule.due_lanes()
                assert other.execute(waiting).fetchone() == (0,)
            await await_answer(ledger)

    asyncio.run(work())


def test_behind_a_pooler_settings_last_as_long_as_the_statement(ledger_url: str) -> None:
    """The statement timeout holds, and the session that the next client gets knows nothing of it."""

    async def work() -> None:
        options: dict[str, Any] = {"connections_max": 1, "statement_s": 0.3, "margin_s": 60, "transaction_pooler": True}
        async with PostgresLedger.at(ledger_url, **options) as ledger:
            with psycopg.connect(ledger_url) as other:
                other.execute(LOCK_LANES)
                with pytest.raises(LedgerUnavailable, match="cancelled the statement"):
                    await ledger.schedule.due_lanes()
            await await_answer(ledger)
            async with ledger.database.pool.connection() as connection:
                for name, default in (("statement_timeout", "0"), ("plan_cache_mode", "auto")):
                    row = await (await connection.execute(f"SHOW {name}".encode())).fetchone()
                    assert row == {name: default}

    asyncio.run(work())


def test_without_prepared_statements_none_is_prepared(ledger_url: str) -> None:
    async def count_prepared(**options: Any) -> int:
        async with PostgresLedger.at(ledger_url, connections_max=1, **options) as ledger:
            for _ in range(10):
                await ledger.now()
            async with ledger.database.pool.connection() as connection:
                rows = await connection.execute(
                    "SELECT FROM pg_prepared_statements WHERE statement LIKE 'SELECT now()%'"
                )
                return rows.rowcount

    assert asyncio.run(count_prepared()) == 1
    assert asyncio.run(count_prepared(prepared_statements=False)) == 0
    assert asyncio.run(count_prepared(prepared_statements=False, transaction_pooler=True)) == 0


@pytest.mark.parametrize(
    ("is_warm", "pooled_session", "says"),
    [
        (True, "DEALLOCATE ALL", "does not exist"),
        (False, OTHERS, "already exists"),
    ],
)
def test_lost_prepared_statement_is_named(ledger_url: str, is_warm: bool, pooled_session: str, says: str) -> None:
    """As behind PgBouncer without `max_prepared_statements`: the session is another client's, or a new one."""

    async def work() -> None:
        async with PostgresLedger.at(ledger_url, connections_max=1) as ledger:
            if is_warm:
                await ledger.now()
            async with ledger.database.pool.connection() as connection:
                connection.pgconn.exec_(pooled_session.encode())
            with pytest.raises(PreparedStatementsLost, match=rf"keeps no prepared statements: .*{says}"):
                await ledger.now()

    asyncio.run(work())


def test_pool_starts_its_attempts_over_when_a_caller_has_waited_enough() -> None:
    """It doubles its pauses between attempts to connect, but gives up as early as the caller, and then starts over."""

    async def timeouts_s() -> tuple[float, float]:
        pool = PostgresLedger.at("postgresql://nobody@127.0.0.1:1/none", wait_s=3).database.pool
        return pool.reconnect_timeout, pool.timeout

    assert asyncio.run(timeouts_s()) == (3, 3)


def test_database_url_overrides_our_tcp_settings() -> None:
    """Ours are defaults; an operator may know better."""
    usual = conninfo_to_dict(address("postgresql://app:secret@db.example/orders"))
    assert (usual["keepalives_idle"], usual["tcp_user_timeout"], usual["dbname"]) == ("15", "20000", "orders")
    changed = conninfo_to_dict(address("postgresql://app:secret@db.example/orders?keepalives_idle=60"))
    assert (changed["keepalives_idle"], changed["tcp_user_timeout"], changed["password"]) == ("60", "20000", "secret")


def test_connection_that_died_while_idle_is_replaced(ledger_url: str) -> None:
    """PostgreSQL has ended our sessions; the next statement works all the same."""

    async def work(ledger: Ledger) -> None:
        await accept_order(ledger)
        with psycopg.connect(ledger_url, autocommit=True) as db:
            db.execute("""SELECT pg_terminate_backend(pid) FROM pg_stat_activity
                          WHERE datname = current_database() AND application_name = 'number-orders'""")
        assert len((await claim_due(ledger)).claims) == 1

    PostgresHarness(ledger_url).run(work)


def test_statements_prepared_before_a_migration_are_prepared_again(ledger_url: str) -> None:
    """PostgreSQL refuses them for as long as the session lives, once a column was added to what they return."""

    async def work() -> None:
        async with PostgresLedger.at(ledger_url, connections_max=3) as ledger:
            order = await accept_order(ledger)
            await asyncio.gather(*(ledger.orders.read([order.order_id]) for _ in range(3)))
            with psycopg.connect(ledger_url) as db:
                db.execute("ALTER TABLE orders ADD COLUMN of_a_later_release text")
            for _ in range(4):
                assert await asyncio.gather(*(ledger.orders.read([order.order_id]) for _ in range(3)))

    asyncio.run(work())


def test_missing_server_is_reported_as_unavailable() -> None:
    """Callers know how to wait for this error."""

    async def work() -> None:
        async with PostgresLedger.at("postgresql://nobody@127.0.0.1:1/none", wait_s=0.3) as ledger:
            with pytest.raises(LedgerUnavailable):
                await ledger.now()

    asyncio.run(work())
