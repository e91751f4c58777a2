"""The whole service in numbers, as the ledger counts them."""

import asyncio
from datetime import timedelta

import psycopg

from number_orders.ledger.history import Receipt
from number_orders.ledger.ledger import Ledger, PostgresLedger
from number_orders.ledger.overview import Snapshot
from number_orders.orders.events import Acknowledged, CancelAsked, Refused, SubmissionBegun
from number_orders.orders.model import Lane, State
from tests.integration.ledger.examples import CARRIER_ORDER_ID, a_request, accept_order, claim_due, record_events
from tests.integration.ledger.harness import BANDWIDTH


def test_counts_states_ends_lanes_and_answers(ledger_url: str) -> None:
    async def work(ledger: Ledger) -> Snapshot:
        await accept_order(ledger, a_request("waits"))
        await claim_due(ledger, limit=1)
        await accept_order(ledger, a_request("due"))
        opened = await accept_order(ledger, a_request("open"))
        await record_events(ledger, opened, SubmissionBegun(), Acknowledged(CARRIER_ORDER_ID, "RECEIVED"))
        for key in ("long-ago", "yesterday"):
            refused = await accept_order(ledger, a_request(key))
            await record_events(ledger, refused, SubmissionBegun(), Refused("no"))
        cancelled = await accept_order(ledger, a_request("cancelled"))
        await record_events(ledger, cancelled, CancelAsked("ana"))
        receipts = [
            Receipt(opened.order_id, "POST /orders", 9, status=201),
            Receipt(opened.order_id, "GET /orders/1", 7),
        ]
        await ledger.history.keep_receipts(receipts)
        async with await psycopg.AsyncConnection.connect(ledger_url, autocommit=True) as db:
            for key, hours in (("long-ago", 30), ("yesterday", 5)):
                past = "UPDATE orders SET accepted_at = now() - %s, ended_at = accepted_at WHERE key = %s"
                await db.execute(past, [timedelta(hours=hours), key])
                await db.execute("UPDATE orders SET ended_at = accepted_at + '90 s' WHERE key = %s", [key])
        return await ledger.overview.read()

    async def run() -> Snapshot:
        async with PostgresLedger.at(ledger_url, wait_s=20) as ledger:
            await ledger.schedule.open_lanes([BANDWIDTH])
            return await work(ledger)

    found = asyncio.run(run())

    assert {(one.carrier, one.state, one.orders) for one in found.unfinished} == {
        (BANDWIDTH, State.ACCEPTED, 2),
        (BANDWIDTH, State.OPEN, 1),
    }
    assert {(one.state, one.orders, one.last_hour) for one in found.ended} == {
        (State.FAILED, 1, 0),
        (State.CANCELLED, 1, 1),
    }
    assert next(one.median for one in found.ended if one.state is State.FAILED) == timedelta(seconds=90)
    assert (found.accepted, found.accepted_last_hour) == (5, 4)
    lanes = {one.lane: (one.due, one.in_hand, one.waiting) for one in found.lanes}
    assert lanes == {Lane.SUBMIT: (1, 1, 0), Lane.ASK: (0, 0, 1)}
    assert [(one.carrier, one.request, one.status) for one in found.answers] == [(BANDWIDTH, "GET /orders/1", None)]


def test_an_empty_ledger_has_nothing_to_show(ledger_url: str) -> None:
    async def run() -> Snapshot:
        async with PostgresLedger.at(ledger_url, wait_s=20) as ledger:
            return await ledger.overview.read()

    found = asyncio.run(run())

    assert (found.accepted, found.unfinished, found.ended, found.lanes, found.answers) == (0, (), (), (), ())
