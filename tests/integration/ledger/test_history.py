"""The story of an order, its receipts, and since when it is worked on."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

import psycopg
import pytest
from uuid_utils.compat import uuid7

from number_orders.ledger.history import Receipt
from number_orders.ledger.ledger import Ledger
from number_orders.orders.errors import UnknownOrder
from number_orders.orders.events import Deferred, Hurried, NotSent, SubmissionBegun, ToldAgain
from number_orders.orders.model import OrderId
from tests.integration.ledger.examples import HOUR, a_request, accept_order, record_events
from tests.integration.ledger.harness import LedgerHarness, PostgresHarness


def test_receipts_are_kept_until_they_are_old(harness: LedgerHarness) -> None:
    """Then they are deleted, a limited number with each statement."""

    async def work(ledger: Ledger) -> None:
        order = await accept_order(ledger)
        receipt = Receipt(order.order_id, "POST /orders", 34, 201, None, "<Order/>", "<Ok/>")
        await ledger.history.keep_receipts([receipt] * 3)
        assert [row["request"] for row in (await ledger.history.story(order.order_id)).receipts] == ["POST /orders"] * 3
        await ledger.history.forget_receipts(timedelta(days=1))
        assert len((await ledger.history.story(order.order_id)).receipts) == 3
        await ledger.history.forget_receipts(timedelta(seconds=-1), at_once=1)
        assert (await ledger.history.story(order.order_id)).receipts == ()

    harness.run(work)


@pytest.mark.parametrize("without", [(), ("nestloop",), ("nestloop", "hashjoin"), ("nestloop", "mergejoin")])
def test_receipts_keep_their_order_however_the_statement_is_planned(ledger_url: str, without: Sequence[str]) -> None:
    """Who reads them looks for what was sent first, and what came of it."""
    with psycopg.connect(ledger_url, autocommit=True) as db:
        for method in without:
            db.execute(f"ALTER DATABASE {db.info.dbname} SET enable_{method} = off".encode())

    async def work(ledger: Ledger) -> None:
        orders = [await accept_order(ledger, a_request(key)) for key in ("crm-1", "crm-2", "crm-3")]
        requests = [f"GET /orders?page={page}" for page in range(40)]
        await ledger.history.keep_receipts(
            [Receipt(order.order_id, request, 1, 200) for request in requests for order in orders]
        )
        for order in orders:
            assert [row["request"] for row in (await ledger.history.story(order.order_id)).receipts] == requests

    PostgresHarness(ledger_url).run(work)


def test_story_of_an_unknown_order_is_an_error(harness: LedgerHarness) -> None:
    """There is no row for it."""

    async def work(ledger: Ledger) -> None:
        with pytest.raises(UnknownOrder, match="no order"):
            await ledger.history.story(OrderId(uuid7()))

    harness.run(work)


def test_order_is_due_since_the_end_of_its_first_wait_on_purpose(harness: LedgerHarness) -> None:
    """The wish of its producer counts, and the first time that a rule made it wait; no later time does."""

    async def work(ledger: Ledger) -> None:
        now = await ledger.now()
        plain = await accept_order(ledger)
        assert await ledger.history.due_since(plain.order_id) == plain.accepted_at
        wished = await accept_order(ledger, replace(a_request("wished"), not_before=now + HOUR))
        assert await ledger.history.due_since(wished.order_id) == now + HOUR
        first, again = now + 2 * HOUR, now + 9 * HOUR
        await record_events(
            ledger, wished, SubmissionBegun(), Deferred("tainted", first), SubmissionBegun(), Deferred("x", again)
        )
        assert await ledger.history.due_since(wished.order_id) == first

    harness.run(work)


def test_reminders_do_not_end_a_series_of_failed_attempts(harness: LedgerHarness) -> None:
    """Nor do they count as the last event that moved the order."""

    async def work(ledger: Ledger) -> None:
        order = await record_events(ledger, await accept_order(ledger), SubmissionBegun(), NotSent("refused"))
        since = await ledger.history.trying_since(order.order_id)
        await record_events(ledger, order, Hurried("ana"), ToldAgain("ana"))
        assert since is not None
        assert await ledger.history.trying_since(order.order_id) == since
        assert await ledger.history.last_moves([order.order_id]) == {order.order_id: "NotSent"}

    harness.run(work)
