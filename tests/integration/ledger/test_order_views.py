"""Orders by pages, what is new of them, and what is known of a number: for their producers alone."""

import re
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

import psycopg
import pytest

from number_orders.ledger.ledger import Ledger
from number_orders.ledger.order_views import OrderFilter, OrderView, PageCursor
from number_orders.ledger.statements import SQL
from number_orders.orders.events import Acknowledged, Filled, Refused, SubmissionBegun
from number_orders.orders.model import CarrierOrderId, NumberResult, NumberState, OrderId, State
from number_orders.orders.numbers import E164
from tests.integration.ledger.examples import (
    DURHAM,
    RALEIGH,
    a_named_request,
    a_new_order,
    a_request,
    accept_order,
    record_events,
)
from tests.integration.ledger.harness import LedgerHarness


async def take_in(ledger: Ledger, producer: str, *keys: str, number: E164 | None = None) -> list[OrderId]:
    """Accept orders of a producer together; return their ids."""
    requests = [a_named_request(key, number) if number else a_request(key) for key in keys]
    new = [replace(a_new_order(request), producer=producer) for request in requests]
    await ledger.intake.accept(new)
    return [order.order_id for order in new]


def keys_of(page: Sequence[OrderView]) -> set[str]:
    return {view.order.request.key for view in page}


def test_pages_have_every_order_once(harness: LedgerHarness) -> None:
    """Orders of one moment, which no clock tells apart, are told apart by their ids."""

    async def work(ledger: Ledger) -> None:
        expected = set(await take_in(ledger, "crm", *(f"crm-{n}" for n in range(7))))
        expected |= set(await take_in(ledger, "crm", "later"))
        seen: list[OrderId] = []
        cursor = None
        while page := await ledger.order_views.page(OrderFilter(producer="crm"), limit=3, after=cursor):
            seen += [view.order.order_id for view in page]
            cursor = PageCursor(page[-1].order.accepted_at, page[-1].order.order_id)
        assert len(seen) == len(set(seen)) == 8
        assert set(seen) == expected

    harness.run(work)


def test_producer_lists_its_own_orders(harness: LedgerHarness) -> None:
    async def work(ledger: Ledger) -> None:
        await take_in(ledger, "crm", "a", "b")
        (others,) = await take_in(ledger, "shop", "a")
        views = ledger.order_views
        assert keys_of(await views.page(OrderFilter(producer="crm"), limit=9)) == {"a", "b"}
        (own,) = await views.page(OrderFilter(producer="crm", key="a"), limit=9)
        assert own.order.order_id != others
        assert len(await views.page(OrderFilter(key="a"), limit=9)) == 2
        assert (await views.read([others]))[others].producer == "shop"

    harness.run(work)


def test_filters(harness: LedgerHarness) -> None:
    async def work(ledger: Ledger) -> None:
        first = await accept_order(ledger, a_request("first"))
        await record_events(ledger, first, SubmissionBegun(), Refused("no stock"))
        await harness.advance(timedelta(hours=2))
        await accept_order(ledger, a_request("second"))
        middle = await ledger.now() - timedelta(hours=1)

        async def keys(wanted: OrderFilter) -> set[str]:
            return keys_of(await ledger.order_views.page(wanted, limit=9))

        assert await keys(OrderFilter(states=[State.FAILED])) == {"first"}
        assert await keys(OrderFilter(states=[State.ACCEPTED, State.FAILED])) == {"first", "second"}
        assert await keys(OrderFilter(accepted_before=middle)) == {"first"}
        assert await keys(OrderFilter(accepted_after=middle)) == {"second"}
        assert await keys(OrderFilter(accepted_after=middle, accepted_before=middle)) == set()
        assert await keys(OrderFilter(carrier="swift")) == set()
        assert await keys(OrderFilter(kind="remove_numbers")) == set()

    harness.run(work)


def test_orders_about_a_number(harness: LedgerHarness) -> None:
    """Those that name it and have not ended, and those in which something became of it."""

    async def work(ledger: Ledger) -> None:
        bought = await accept_order(ledger, a_request("bought"))
        filled = Filled("COMPLETE", (NumberResult(RALEIGH, NumberState.ACQUIRED),))
        await record_events(ledger, bought, SubmissionBegun(), Acknowledged(CarrierOrderId("c-1")), filled)
        await take_in(ledger, "default", "named", number=RALEIGH)
        await take_in(ledger, "default", "other", number=DURHAM)
        await take_in(ledger, "shop", "shop", number=RALEIGH)

        async def keys(producer: str | None, number: str = RALEIGH) -> set[str]:
            return keys_of(await ledger.order_views.page(OrderFilter(producer=producer, number=number), limit=9))

        assert await keys("default") == {"bought", "named"}
        assert await keys(None) == {"bought", "named", "shop"}
        assert await keys("default", "+19195559999") == set()

    harness.run(work)


def test_news_are_the_events_after_a_version(harness: LedgerHarness) -> None:
    async def work(ledger: Ledger) -> None:
        first = await accept_order(ledger, a_request("first"))
        second = await accept_order(ledger, a_request("second"))
        await record_events(ledger, first, SubmissionBegun(), Refused("no stock"))
        found = await ledger.order_views.news({first.order_id: 0, second.order_id: 0})
        assert [(row["order_id"], row["version"], row["event"]) for row in found] == [
            (first.order_id, 1, "SubmissionBegun"),
            (first.order_id, 2, "Refused"),
        ]
        assert [row["version"] for row in await ledger.order_views.news({second.order_id: -1})] == [0]
        assert await ledger.order_views.news({}) == []

    harness.run(work)


def test_holdings_of_a_number(harness: LedgerHarness) -> None:
    """The order that brought it and the one that released it; of another producer nothing."""

    async def work(ledger: Ledger) -> None:
        bought = await accept_order(ledger, a_request("bought"))
        filled = Filled("COMPLETE", (NumberResult(RALEIGH, NumberState.ACQUIRED),))
        await record_events(ledger, bought, SubmissionBegun(), Acknowledged(CarrierOrderId("c-1")), filled)
        (held,) = await ledger.numbers.holdings_of(RALEIGH, producer="default")
        assert (held["acquired_by"], held["key"], held["released_at"]) == (bought.order_id, "bought", None)
        assert held["now"] >= held["acquired_at"]
        assert await ledger.numbers.holdings_of(RALEIGH, producer="shop") == []
        (about,) = await ledger.numbers.orders_about(RALEIGH)
        assert (about["order_id"], about["number_state"], about["state"]) == (bought.order_id, "acquired", "COMPLETED")
        assert await ledger.numbers.orders_about(RALEIGH, producer="shop") == []

    harness.run(work)


def test_page_before_a_moment_goes_on_after_its_cursor(harness: LedgerHarness) -> None:
    """Of two bounds the earlier one counts."""

    async def work(ledger: Ledger) -> None:
        for key in ("first", "second", "third"):
            await accept_order(ledger, a_request(key))
            await harness.advance(timedelta(hours=1))
        now = await ledger.now()
        (newest,) = await ledger.order_views.page(OrderFilter(), limit=1)
        cursor = PageCursor(newest.order.accepted_at, newest.order.order_id)

        async def keys(before: timedelta) -> set[str]:
            wanted = OrderFilter(accepted_before=now - before)
            return keys_of(await ledger.order_views.page(wanted, limit=9, after=cursor))

        assert await keys(timedelta(minutes=30)) == {"first", "second"}
        assert await keys(timedelta(minutes=150)) == {"first"}

    harness.run(work)


@pytest.mark.parametrize(
    ("statement", "index"),
    [
        ("list_orders", "orders_by_age"),
        ("list_orders_of_producer", "orders_of_producer"),
        ("list_orders_among", "orders_pkey"),
        ("find_by_producer_and_key", "one_order_per_key"),
    ],
)
def test_list_reads_an_index_in_its_order(ledger_url: str, statement: str, index: str) -> None:
    """Of a million orders a page reads its own, with the one plan that serves all calls."""
    names: list[str] = []

    def place(found: re.Match[str]) -> str:
        names.extend(name for name in (found[1],) if name not in names)
        return f"${names.index(found[1]) + 1}"

    text = re.sub(r"%\((\w+)\)s", place, SQL[statement])
    with psycopg.connect(ledger_url, autocommit=True) as db:
        db.execute("SET plan_cache_mode = force_generic_plan")
        db.execute("SET enable_bitmapscan = off")  # of few orders it costs no more to read all and sort them
        db.execute("""
            INSERT INTO orders (order_id, producer, key, fingerprint, carrier, kind, request, state, accepted_at)
            SELECT gen_random_uuid(), 'p' || n % 3, n::text, '', 'bandwidth', 'new_numbers', '{}', 'ACCEPTED',
                   now() - n * interval '1 second'
            FROM generate_series(1, 20000) AS n""")
        db.execute("ANALYZE orders")
        db.execute(f"PREPARE asked AS {text}".encode())
        arguments = ", ".join("NULL" for _ in names)
        plan = db.execute(f"EXPLAIN (COSTS OFF) EXECUTE asked ({arguments})".encode()).fetchall()
        db.execute("DELETE FROM orders")
    steps = [line.strip() for (line,) in plan]
    assert any(index in line and "Index" in line for line in steps), steps
    if statement in {"list_orders", "list_orders_of_producer"}:
        assert not any(line.startswith(("->  Sort", "Sort (")) or "Bitmap" in line for line in steps), steps
