"""A server that answers and takes no writes is left at once, for the one that the address leads to now."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from number_orders.ledger.connection import address
from number_orders.ledger.ledger import Ledger, PostgresLedger
from number_orders.orders.errors import LedgerUnavailable
from tests.integration.ledger.examples import accept_order
from tests.integration.ledger.harness import BANDWIDTH
from tests.processes import eventually
from tests.two_clusters import TwoClusters, two_clusters


@pytest.fixture
def clusters(tmp_path: Path) -> Iterator[TwoClusters]:
    with two_clusters(tmp_path) as running:
        yield running


def connections(url: str) -> int:
    with psycopg.connect(url) as db:
        (row,) = db.execute("SELECT count(*) FROM pg_stat_activity WHERE application_name = 'number-orders'").fetchall()
    return int(row[0])


async def fill_pool(ledger: Ledger) -> None:
    """Use three connections at once, so that the pool has as many."""
    await asyncio.gather(*(ledger.now() for _ in range(3)), *(ledger.orders.list_orders(limit=1) for _ in range(3)))


def test_first_write_after_the_address_moved_reaches_the_new_server(clusters: TwoClusters) -> None:
    """The pool keeps a connection for up to an hour; the former primary answers on all of them."""

    async def work() -> None:
        async with PostgresLedger.at(clusters.url, connections_max=3) as ledger:
            await ledger.schedule.open_lanes([BANDWIDTH])
            await fill_pool(ledger)
            clusters.demote_first()
            clusters.move()
            await ledger.schedule.open_lanes([BANDWIDTH])
            order = await accept_order(ledger)
            with psycopg.connect(clusters.second.url) as db:
                assert db.execute("SELECT order_id FROM orders").fetchall() == [(order.order_id,)]
            for _ in eventually():  # a session that was closed takes a moment to end, and the pool's tasks to close it
                await fill_pool(ledger)
                if connections(clusters.first.url) == 0:
                    break

    asyncio.run(work())


def test_reads_do_not_go_on_at_the_former_primary(clusters: TwoClusters) -> None:
    """It would answer that it has no such order, which is a lie by then."""

    async def work() -> None:
        async with (
            PostgresLedger.at(clusters.url, connections_max=3) as reader,
            PostgresLedger.at(clusters.second.url, connections_max=1) as writer,
        ):
            await writer.schedule.open_lanes([BANDWIDTH])
            await fill_pool(reader)
            order = await accept_order(writer)
            clusters.demote_first()
            clusters.move()
            assert (await reader.orders.read([order.order_id])).keys() == {order.order_id}

    asyncio.run(work())


def test_while_no_server_takes_writes_it_is_said_and_reads_go_on(clusters: TwoClusters) -> None:
    """A full disk makes a managed server read-only: nothing moves, and producers can still ask."""

    async def work() -> None:
        async with PostgresLedger.at(clusters.url, connections_max=2) as ledger:
            await ledger.schedule.open_lanes([BANDWIDTH])
            order = await accept_order(ledger)
            clusters.demote_first()
            for _ in range(5):
                with pytest.raises(LedgerUnavailable, match="the ledger is read-only"):
                    await accept_order(ledger)
                assert (await ledger.orders.read([order.order_id])).keys() == {order.order_id}

    asyncio.run(work())


def test_of_several_hosts_the_one_that_takes_writes_is_used(clusters: TwoClusters) -> None:
    """libpq takes the first that answers by default."""
    clusters.demote_first()
    user, _, first = clusters.first.url.partition("@")
    second = clusters.second.url.partition("@")[2]
    both = f"{user}@{first.partition('/')[0]},{second}"

    async def work() -> None:
        async with PostgresLedger.at(both, connections_max=1) as ledger:
            await ledger.schedule.open_lanes([BANDWIDTH])
            await accept_order(ledger)

    asyncio.run(work())
    assert "target_session_attrs" not in address(clusters.url)
