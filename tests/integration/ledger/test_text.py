"""Every statement stores text that PostgreSQL itself would refuse."""

import asyncio

import pytest

from number_orders.ledger.history import Receipt
from number_orders.ledger.ledger import PostgresLedger
from number_orders.orders.alarms import Alarm
from number_orders.orders.events import Acknowledged, Filled, Parked, StillOpen, SubmissionBegun
from number_orders.orders.model import NumberResult, NumberState
from tests.integration.ledger.examples import CARRIER_ORDER_ID, RALEIGH, accept_order, record_events


@pytest.mark.parametrize(("text", "stored"), [("a\0b", "a\ufffdb"), ("a\ud83d", "a?")])
def test_nul_and_half_a_surrogate_pair_are_replaced(ledger_url: str, text: str, stored: str) -> None:
    """In alarms, events, numbers and receipts: as parameters and inside JSON."""

    async def work() -> None:
        async with PostgresLedger.at(ledger_url) as ledger:
            order = await accept_order(ledger)
            number = NumberResult(RALEIGH, NumberState.ACQUIRED, text, text)
            open_ = (SubmissionBegun(), Acknowledged(CARRIER_ORDER_ID), StillOpen(text, (number,), text))
            order = await record_events(ledger, order, *open_, Filled(text, (number,)))
            await ledger.alarms.raise_alarm(Alarm.STATUS_NEVER_HEARD_OF, f"bandwidth:{text}", detail=text)
            await ledger.history.keep_receipts([Receipt(order.order_id, text, 1, 200, text, text, text)])
            story = await ledger.history.story(order.order_id)
            assert story.order.carrier_status == stored
            assert [(result.code, result.text) for result in story.numbers] == [(stored, stored)]
            (alarm,) = await ledger.alarms.active()
            assert (alarm["subject"], alarm["detail"]) == (f"bandwidth:{stored}", stored)

    asyncio.run(work())


def test_parked_reason_with_a_nul_is_stored(ledger_url: str) -> None:
    """The other orders of the group are stored with it."""

    async def work() -> None:
        async with PostgresLedger.at(ledger_url) as ledger:
            order = await record_events(ledger, await accept_order(ledger), SubmissionBegun(), Parked("what\0?"))
            assert (await ledger.orders.read([order.order_id]))[order.order_id].reason == "what\ufffd?"

    asyncio.run(work())
