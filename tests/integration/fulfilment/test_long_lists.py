"""A list of many pages is read once for all orders that wait, and goes on wherever its last worker left it."""

from collections.abc import Iterator
from datetime import timedelta

import psycopg
import pytest
from psycopg.rows import dict_row

from number_orders.fulfilment.runtime import Services
from number_orders.ledger.breakers import BreakerPolicy
from number_orders.ledger.schedule import ListWait
from number_orders.orders.model import Lane, OrderId
from number_orders.sandbox.control import SandboxControl
from tests.integration.fulfilment.breaking import CrashPoint, ProcessKilled, crashing_courier
from tests.integration.fulfilment.practice import accept, run, work_until_idle
from tests.integration.fulfilment.swift_practice import (
    CARTS,
    DIDS,
    GET,
    SWIFT,
    SwiftPractice,
    a_purchase,
    a_removal,
    accept_one,
    an_addition,
    buy,
    work_once,
)

STEP = timedelta(seconds=4)
PAGE = 50
"""The page that Swift prints has a limit of 50."""


@pytest.fixture
def practice(ledger_url: str, carrier: SandboxControl) -> Iterator[SwiftPractice]:
    with psycopg.connect(ledger_url, autocommit=True, row_factory=dict_row) as db:
        yield SwiftPractice(ledger_url, db, carrier, concurrency=40)


def has_had(practice: SwiftPractice, numbers: int) -> None:
    """Let the account have had numbers for years, on short pages."""
    practice.carrier.behave(swift_old_numbers=numbers, list_page_max=PAGE)


def requests_to(practice: SwiftPractice, route: str) -> int:
    """Return how many requests the carrier has had on a route."""
    counted = practice.carrier.report()["requests"]["by_carrier"].get("swift", {}).get(route, {})
    return int(counted.get("total", 0))


async def additions(services: Services, count: int) -> list[OrderId]:
    """Take in orders that add one number each, which nothing keeps from being sent together."""
    return await accept(services, *(an_addition(f"+1919636{2000 + i}", key=f"add-{i}") for i in range(count)))


def test_forty_orders_share_one_reading(practice: SwiftPractice) -> None:
    """Each page is asked for once, however many orders wait; every order looks at the first page once."""
    pages = 200

    async def forty() -> None:
        has_had(practice, pages * PAGE - 10)
        async with practice.opened() as services:
            orders = await additions(services, 40)
            await work_until_idle(practice, services, step=timedelta(minutes=1))
            assert [practice.order(order_id)["state"] for order_id in orders] == ["COMPLETED"] * 40
            readings = requests_to(practice, "GET /dids") - 40
            assert readings % (pages + 1) == 0
            assert readings <= 2 * (pages + 1)
            assert practice.rows("SELECT * FROM list_questions") == []

    run(forty())


def test_an_account_of_one_page_asks_no_reading(practice: SwiftPractice) -> None:
    """It costs what it did: the order, and one page of numbers."""

    async def small() -> None:
        has_had(practice, PAGE - 2)
        async with practice.opened() as services:
            await buy(practice, services)
            assert practice.rows("SELECT * FROM readings") == []
            assert requests_to(practice, "GET /dids") == requests_to(practice, "GET /orders/{orderId}")

    run(small())


def test_every_kind_of_order_ends_on_a_long_list(practice: SwiftPractice) -> None:
    """A purchase by criteria, an addition, and a removal of what they brought; whichever way the list is sorted."""

    async def all_kinds() -> None:
        has_had(practice, 3 * PAGE)
        for newest_first in (False, True):
            practice.carrier.behave(list_oldest_first=not newest_first)
            async with practice.opened() as services:
                numbers = await buy(practice, services, quantity=3, key=f"buy-{newest_first}")
                practice.pass_time(minutes=32)
                removal = await accept_one(services, a_removal(numbers, key=f"remove-{newest_first}"))
                await work_until_idle(practice, services, step=STEP)
                assert practice.order(removal)["state"] == "COMPLETED"
                assert practice.states(removal) == dict.fromkeys(numbers, "released")
                assert practice.held() == set()
                assert practice.violations() == []

    run(all_kinds())


def test_a_removal_waits_without_having_been_sent(practice: SwiftPractice) -> None:
    """It is ACCEPTED meanwhile, says what it waits for, and goes on as soon as the list is read."""

    async def waits() -> None:
        async with practice.opened() as services:
            numbers = await buy(practice, services)
            has_had(practice, 3 * PAGE)
            practice.pass_time(minutes=32)
            removal = await accept_one(services, a_removal(numbers))
            await work_once(practice, services, Lane.SUBMIT)
            assert practice.order(removal)["state"] == "ACCEPTED"
            assert practice.waits_s(removal) > 60
            (item,) = (await services.ledger.schedule.work_items([removal]))[removal]
            assert item.reason == "waits until /api/v1/dids is read whole, once for all orders that wait"
            assert item.waits_for_list == ListWait("/api/v1/dids", 0, None)
            assert practice.sold(removal) == []
            practice.pass_time(seconds=2)
            assert await services.ledger.schedule.due_lanes() == [(SWIFT, Lane.ASK)]
            await work_once(practice, services, Lane.ASK)
            assert practice.waits_s(removal) <= 0
            await work_once(practice, services, Lane.SUBMIT)
            assert len(practice.sold(removal)) == 1

    run(waits())


def test_a_reading_goes_on_where_its_dead_worker_left_it(practice: SwiftPractice) -> None:
    """Killed at any point of a reading: no page that was stored is read again."""
    pages = 6

    async def killed() -> None:
        has_had(practice, pages * PAGE)
        async with practice.opened() as services:
            (order,) = await additions(services, 1)
            await work_once(practice, services)
            await work_once(practice, services, Lane.ASK, seconds=3)
            assert practice.order(order)["carrier_status"] is not None
            before = requests_to(practice, "GET /dids")
            deaths = 0
            for at in range(2, 60, 2):
                practice.pass_time(minutes=2)
                point = CrashPoint(at)
                async with practice.opened(courier=crashing_courier(point)) as dying:
                    try:
                        await dying.orders.work(SWIFT, Lane.ASK)
                    except ProcessKilled:
                        deaths += 1
                if practice.rows("SELECT 1 FROM readings WHERE whole_at IS NOT NULL"):
                    break
            assert deaths > 0
            assert requests_to(practice, "GET /dids") - before <= pages + 1 + deaths
            await work_until_idle(practice, services, step=STEP)
            assert practice.order(order)["state"] == "COMPLETED"

    run(killed())


def test_a_number_that_comes_while_the_list_is_read_is_found_by_the_next_reading(practice: SwiftPractice) -> None:
    """The reading is not told as the end: its order was not finished when it began."""

    async def late() -> None:
        has_had(practice, 3 * PAGE)
        async with practice.opened() as services:
            (first,) = await additions(services, 1)
            await work_once(practice, services)
            await work_once(practice, services, Lane.ASK, seconds=3)
            practice.pass_time(seconds=2)
            reading = await services.ledger.readings.lease(SWIFT, lease=timedelta(minutes=1))
            assert reading is not None
            second = await accept_one(services, a_purchase(quantity=2))
            await work_once(practice, services)
            await work_once(practice, services, Lane.ASK, seconds=3)
            await services.ledger.readings.add_page(reading, (), None, lease=timedelta(minutes=1))
            await work_until_idle(practice, services, step=STEP)
            assert {practice.order(order)["state"] for order in (first, second)} == {
                "COMPLETED",
                "COMPLETED_WITH_ERRORS",
            }
            assert practice.order(second)["state"] == "COMPLETED"

    run(late())


@pytest.mark.parametrize("fault", ["error_before", "garbage", "timeout_400", "too_many_requests"])
def test_a_page_that_is_not_answered_is_asked_for_again(practice: SwiftPractice, fault: str) -> None:
    """Later, and from where the reading was; after several errors from the first page. No order fails by it."""

    async def troubled() -> None:
        has_had(practice, 4 * PAGE)
        async with practice.opened() as services:
            orders = await additions(services, 3)
            await work_once(practice, services)
            await work_once(practice, services, Lane.ASK, seconds=3)
            practice.carrier.fault(fault, **DIDS, times=5)
            await work_until_idle(practice, services, step=timedelta(minutes=2), rounds=80)
            assert [practice.order(order_id)["state"] for order_id in orders] == ["COMPLETED"] * 3

    run(troubled())


def test_an_end_that_falls_short_settles_by_readings(practice: SwiftPractice) -> None:
    """Each look needs a reading that began after the look before, and what waits is no look."""

    async def short() -> None:
        practice.policy = type(practice.policy)(settle_after=timedelta(minutes=10), settle_looks=3)
        has_had(practice, 3 * PAGE)
        async with practice.opened() as services:
            order = await accept_one(services, a_purchase(criteria={"npa": "808"}, quantity=4))
            await work_until_idle(practice, services, step=timedelta(minutes=1), rounds=80)
            assert practice.order(order)["state"] == "PARTIAL"
            began = requests_to(practice, "GET /dids") - 1
            assert began % 4 == 0
            assert began // 4 >= 3  # readings of four pages

    run(short())


def test_other_orders_are_asked_about_while_one_waits_for_a_list(practice: SwiftPractice) -> None:
    """A reading takes nothing from the conversations beside it."""

    async def beside() -> None:
        has_had(practice, 3 * PAGE)
        async with practice.opened() as services:
            (waiting,) = await additions(services, 1)
            await work_once(practice, services)
            await work_once(practice, services, Lane.ASK, seconds=3)
            asked = requests_to(practice, f"{GET['method']} {GET['path']}")
            practice.pass_time(seconds=0.5)
            open_order = await accept_one(services, a_purchase(criteria={"npa": "907"}))
            await work_once(practice, services, Lane.SUBMIT)
            assert practice.order(waiting)["state"] == "OPEN"
            await work_once(practice, services, Lane.ASK, seconds=3)
            assert requests_to(practice, f"{GET['method']} {GET['path']}") > asked
            assert practice.order(open_order)["state"] == "OPEN"
            assert practice.order(waiting)["state"] == "COMPLETED"  # the list is read in the same turn

    run(beside())


def test_removals_go_on_after_the_breaker_has_opened(practice: SwiftPractice) -> None:
    """Each needs a reading before it sends anything, so that none of them can be the probe."""
    practice.breaker_policy = BreakerPolicy(faults_max=3)
    has_had(practice, 80)

    async def work() -> None:
        async with practice.opened() as services:
            numbers = await buy(practice, services, 3)
            practice.pass_time(minutes=40)
            practice.carrier.fault("error_before", status=503, times=3, **CARTS)
            gone = [await accept_one(services, a_removal([number], f"gone-{number}")) for number in numbers]
            for _ in range(10):
                await work_once(practice, services, seconds=10)
            assert practice.rows("SELECT FROM breakers WHERE opened_at IS NOT NULL OR closed_at IS NOT NULL")
            await work_until_idle(practice, services, step=timedelta(minutes=5))
            assert [practice.order(order_id)["state"] for order_id in gone] == ["COMPLETED"] * 3

    run(work())
