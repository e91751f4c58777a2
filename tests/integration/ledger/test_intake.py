"""New orders are stored once, whoever else stores them."""

import asyncio
from datetime import datetime

from number_orders.ledger.ledger import Ledger
from number_orders.orders.model import Kind, Notify, OrderRequest, State, WhenTainted
from tests.integration.ledger.examples import RALEIGH, a_new_order, a_request, accept_order, claim_due
from tests.integration.ledger.harness import BANDWIDTH, LedgerHarness


def test_request_is_read_back_as_it_was_sent(harness: LedgerHarness) -> None:
    """Every field of a request survives the ledger."""
    request = OrderRequest(
        "k",
        BANDWIDTH,
        Kind.NEW_NUMBERS,
        numbers=(RALEIGH,),
        allow_partial=False,
        allow_backorder=True,
        when_tainted=WhenTainted.SPLIT,
        not_before=datetime.fromisoformat("2026-11-22T10:00:00+00:00"),
        account="sub-1",
        name="Spring <&> campaign ☎",
        notes="zwölf",
        options={"site_id": "743", "auto_activate": True, "reservation_ids": ["a", "b"]},
        notify=Notify(task="crm.told", queue="crm", on=frozenset({State.OPEN, State.COMPLETED})),
    )

    async def work(ledger: Ledger) -> None:
        assert (await accept_order(ledger, request)).request == request

    harness.run(work)


def test_one_key_is_one_order_when_many_workers_store_it_at_once(harness: LedgerHarness) -> None:
    """Twenty workers accept the same message: one order, one work item."""

    async def work(ledger: Ledger) -> None:
        orders = [a_new_order() for _ in range(20)]
        accepted_by = await asyncio.gather(*(ledger.intake.accept([order]) for order in orders))
        assert sum(len(stored.states) for stored in accepted_by) == 1
        (taken, *_) = await ledger.intake.find_taken([orders[0]])
        assert taken.key == "crm-1"
        assert len((await claim_due(ledger)).claims) == 1

    harness.run(work)


def test_order_whose_id_is_taken_is_not_stored(harness: LedgerHarness) -> None:
    """The producer chose an id that another of its orders already has."""

    async def work(ledger: Ledger) -> None:
        first = a_new_order(a_request("one"))
        await ledger.intake.accept([first])
        assert (await ledger.intake.accept([a_new_order(a_request("two"), first.order_id)])).states == {}
        assert (await ledger.orders.read([first.order_id]))[first.order_id].request.key == "one"

    harness.run(work)
