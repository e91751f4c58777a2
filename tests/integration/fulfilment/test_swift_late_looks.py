"""A late look at Swift, where only time tells which order brought a number."""

from collections.abc import Iterator
from datetime import timedelta

import psycopg
import pytest
from psycopg.rows import dict_row

from number_orders.orders.model import Lane
from number_orders.orders.policy import CarrierPolicy
from number_orders.sandbox.control import SandboxControl
from tests.integration.fulfilment.practice import run, work_until_idle
from tests.integration.fulfilment.swift_practice import CHECKOUT, SwiftPractice, a_purchase, accept_one, work_once


@pytest.fixture
def practice(ledger_url: str, carrier: SandboxControl) -> Iterator[SwiftPractice]:
    with psycopg.connect(ledger_url, autocommit=True, row_factory=dict_row) as db:
        yield SwiftPractice(ledger_url, db, carrier, policy=CarrierPolicy())


def test_late_look_leaves_the_numbers_of_an_order_under_way_alone(practice: SwiftPractice) -> None:
    """It was sent twice and brought nothing. A day later another order buys, and its number is not recorded yet."""
    practice.carrier.fault("drop_before", times=1, **CHECKOUT)

    async def look() -> None:
        async with practice.opened() as services:
            first = await accept_one(services, a_purchase("first", criteria={"state": "MT", "country": "USA"}))
            await work_until_idle(practice, services, step=timedelta(minutes=2))
            order = practice.order(first)
            assert (order["state"], order["sends"]) == ("FAILED", 2), order
            practice.pass_time(seconds=practice.waits_s(first) - 1)
            second = await accept_one(services, a_purchase("second"))
            await work_once(practice, services, Lane.SUBMIT)
            await work_once(practice, services, Lane.ASK, seconds=1.1)  # only the late look is due
            assert practice.states(first) == {}
            await work_until_idle(practice, services, step=timedelta(minutes=2))
            (sold,) = practice.sold(second)
            assert list(practice.states(second)) == sold["bought"]
            assert (practice.order(first)["state"], practice.order(second)["state"]) == ("FAILED", "COMPLETED")
            assert practice.alarms() == []

    run(look())
