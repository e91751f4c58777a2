"""CM.com's number requests on a real ledger: cancelled under review, ranges of allowed sizes, reviews of ten days."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from functools import partial
from itertools import count
from typing import Any, Final

import pytest
from fastapi import APIRouter

from config.settings import CMSettings
from number_orders.carriers.cm.adapter import CM
from number_orders.carriers.cm.facts import TOKEN_HEADER
from number_orders.carriers.cm.notices import CMNotices
from number_orders.carriers.http.courier import Courier
from number_orders.carriers.http.credentials import ApiKeyHeader
from number_orders.carriers.notices import NoticeAddresses
from number_orders.fulfilment.runtime import Services
from number_orders.ledger.ledger import Ledger, PostgresLedger
from number_orders.orders.model import CarrierName, Lane, OrderId
from number_orders.receiver.notices.intake import NoticeIntake
from number_orders.receiver.notices.routes import NoticeSource, notice_router
from number_orders.sandbox.cm.access import CmAccount
from tests.integration.fulfilment.breaking import CrashPoint, ProcessKilled, crashing_courier, crashing_ledger
from tests.integration.fulfilment.practice import Practice, accept, an_order, run, work, work_until_idle
from tests.notice_server import serving
from workers.bootstrap import policy

NAME: Final = CarrierName("cm")
ACCOUNT: Final = CmAccount()
DUTCH: Final = {"NLD:local": "0c0ffee0-0000-4000-8000-000000000031"}
CANCEL: Final = {"method": "POST", "path": "/numberRequests/{guid}/cancel"}
RESTRICTIONS: Final = {"method": "GET", "path": "/restrictions"}
HOUR: Final = timedelta(hours=1)


@pytest.fixture
def cm(practice: Practice) -> Practice:
    """CM.com with its own policy and no settle time; a review takes a thousand seconds of the sandbox's clock."""
    practice.name, practice.policy = NAME, policy(CMSettings(settle_s=0, settle_looks=1))
    practice.carrier.behave(cm_review_s=1000)
    return practice


@asynccontextmanager
async def opened(
    cm: Practice,
    ledger: Ledger | None = None,
    courier: type[Courier] = Courier,
    *,
    callback_url: str | None = None,
    addresses: NoticeAddresses | None = None,
) -> AsyncIterator[Services]:
    adapter = CM(ACCOUNT.account_guid, DUTCH, callback_url=callback_url, addresses=addresses)
    auth = ApiKeyHeader(TOKEN_HEADER, ACCOUNT.product_token)
    async with cm.opened(ledger, courier, adapter=adapter, auth=auth) as services:
        yield services


working = partial(work, carrier=NAME)


def a_dutch_order(npa: str = "010", key: str = "crm-1", **changes: Any) -> dict[str, Any]:
    where = {"country": "NLD", "number_type": "local", "npa": npa}
    return an_order(key, carrier="cm", criteria=where, **{"quantity": 2, **changes})


async def accept_and_send(cm: Practice, services: Services, order: dict[str, Any] | None = None) -> OrderId:
    """Take an order in, and send it."""
    (order_id,) = await accept(services, order or a_dutch_order())
    await working(services, Lane.SUBMIT)
    assert cm.order(order_id)["state"] == "OPEN"
    return order_id


async def send_and_cancel(cm: Practice, services: Services) -> OrderId:
    """Send an order, and cancel it."""
    order_id = await accept_and_send(cm, services)
    assert (await services.orders.cancel(order_id, by="crm", why="not wanted")).cancel_asked_at
    return order_id


def count_cancellations(cm: Practice) -> int:
    """Return how often CM.com was asked to cancel something."""
    route = cm.carrier.report()["requests"]["by_route"].get("{method} {path}".format(**CANCEL), {"total": 0})
    return int(route["total"])


def state_and_reason(cm: Practice, order_id: OrderId) -> tuple[str, str]:
    order = cm.order(order_id)
    return order["state"], order["reason"]


# Cancelled


def test_cancelled_order_is_cancelled_at_the_carrier_first(cm: Practice) -> None:
    async def cancelled() -> None:
        async with opened(cm) as services:
            order_id = await send_and_cancel(cm, services)
            await working(services, Lane.ASK)  # at once, however slowly it was asked about

            assert state_and_reason(cm, order_id) == (
                "CANCELLED",
                "cancelled at the carrier: Cancelled by the customer.",
            )
            assert cm.story(order_id)[-2:] == ["CancelAsked", "CalledBack"]
            assert cm.differences(order_id) == []
            assert cm.is_idle()

    run(cancelled())


def test_assignment_before_the_cancellation_takes_effect_wins(cm: Practice) -> None:
    """Assigned while the cancellation was under way: the numbers are ours, and CM.com is asked once."""
    cm.carrier.behave(cm_cancel_s=2000)

    async def assigned_first() -> None:
        async with opened(cm) as services:
            order_id = await send_and_cancel(cm, services)
            await working(services, Lane.ASK)
            assert state_and_reason(cm, order_id) == ("OPEN", "CM.com was asked to cancel it, and has not done so yet")
            cm.pass_time(hours=2)
            await working(services, Lane.ASK)
            cm.carrier.advance(1001)
            await work_until_idle(cm, services, step=HOUR)

            assert cm.order(order_id)["state"] == "COMPLETED"
            assert cm.differences(order_id) == []
            assert count_cancellations(cm) == 1

    run(assigned_first())


def test_numbers_assigned_before_the_cancellation_are_kept(cm: Practice) -> None:
    async def too_late() -> None:
        async with opened(cm) as services:
            order_id = await accept_and_send(cm, services)
            cm.carrier.advance(1001)
            await services.orders.cancel(order_id, by="crm")
            await work_until_idle(cm, services, step=HOUR)

            assert cm.order(order_id)["state"] == "COMPLETED"
            assert cm.differences(order_id) == []
            assert count_cancellations(cm) == 0

    run(too_late())


@pytest.mark.parametrize("fault", ["drop_after", "error_after", "garbage", "drop_before", "error_before", "html"])
def test_cancellation_without_an_answer_is_checked_before_it_is_repeated(cm: Practice, fault: str) -> None:
    async def lost() -> None:
        async with opened(cm) as services:
            order_id = await send_and_cancel(cm, services)
            cm.carrier.fault(fault, times=1, carrier="cm", **CANCEL)
            await work_until_idle(cm, services, step=HOUR)

            assert cm.order(order_id)["state"] == "CANCELLED"
            assert cm.differences(order_id) == []
            assert count_cancellations(cm) == (2 if fault.endswith("before") else 1)

    run(lost())


@pytest.mark.parametrize(("cancel_s", "state"), [(0, "CANCELLED"), (500, "CANCELLED"), (2000, "COMPLETED")])
def test_worker_killed_at_any_point_of_a_cancellation_changes_no_end(cm: Practice, cancel_s: float, state: str) -> None:
    cm.carrier.behave(cm_cancel_s=cancel_s)

    async def every_point() -> None:
        async with opened(cm) as services:
            for point in count(1):
                (order_id,) = await accept(services, a_dutch_order(key=f"crm-{point}"))
                await working(services, Lane.SUBMIT)
                await services.orders.cancel(order_id, by="crm")
                crash_point = CrashPoint(point)
                with contextlib.suppress(ProcessKilled):
                    async with opened(
                        cm, crashing_ledger(crash_point, services.ledger), crashing_courier(crash_point)
                    ) as dying:
                        await working(dying, Lane.ASK)
                for _ in range(2):  # the lease runs out; CM.com is asked, if it was not; then time passes there
                    cm.pass_time(hours=2)
                    await working(services, Lane.ASK)
                    cm.carrier.advance(1001)
                await work_until_idle(cm, services, step=HOUR)
                assert (cm.order(order_id)["state"], cm.differences(order_id)) == (state, []), point
                if not crash_point.reached:
                    assert point > 10
                    return

    run(every_point())


# Ranges


def test_ranges_are_reported_number_by_number(cm: Practice) -> None:
    cm.carrier.behave(cm_range_shape="merged")

    async def ranged() -> None:
        async with opened(cm) as services:
            order_id = await accept_and_send(cm, services, a_dutch_order("020", quantity=300, range_size=100))
            await work_until_idle(cm, services, step=HOUR)

            assert cm.order(order_id)["state"] == "COMPLETED"
            assert len(cm.numbers(order_id)) == 300
            assert cm.differences(order_id) == []

    run(ranged())


def test_order_with_a_forbidden_range_size_fails_and_is_not_sent(cm: Practice) -> None:
    async def refused() -> None:
        async with opened(cm) as services:
            (order_id,) = await accept(services, a_dutch_order(quantity=40, range_size=20))
            await working(services, Lane.SUBMIT)

            rule = "range_size: must be one of 10, 100: CM.com has no other ranges of local numbers of NLD"
            assert state_and_reason(cm, order_id) == ("FAILED", rule)
            assert cm.sold() == []

    run(refused())


@pytest.mark.parametrize(
    ("fault", "alarms"),
    [("drop_before", []), ("error_before", []), ("html", []), ("garbage", ["unreadable_answer"])],
)
def test_order_waits_unsent_while_the_restrictions_cannot_be_read(cm: Practice, fault: str, alarms: list[str]) -> None:
    cm.carrier.fault(fault, carrier="cm", **RESTRICTIONS)

    async def waiting() -> None:
        async with opened(cm) as services:
            (order_id,) = await accept(services, a_dutch_order("020", quantity=10, range_size=10))
            for _ in range(3):
                await working(services, Lane.SUBMIT)
                cm.pass_time(hours=1)
            assert cm.order(order_id)["state"] == "ACCEPTED"
            assert cm.sold() == []
            assert [what for what, _ in cm.alarms()] == alarms
            cm.carrier.clear_faults()
            await work_until_idle(cm, services, step=HOUR)

            assert cm.order(order_id)["state"] == "COMPLETED"
            assert cm.differences(order_id) == []

    run(waiting())


def test_429_on_the_restrictions_makes_the_order_wait(cm: Practice) -> None:
    cm.carrier.fault("too_many_requests", times=1, delay_s=90, carrier="cm", **RESTRICTIONS)

    async def limited() -> None:
        async with opened(cm) as services:
            (order_id,) = await accept(services, a_dutch_order("020", quantity=10, range_size=10))
            await working(services, Lane.SUBMIT)
            assert cm.order(order_id)["state"] == "ACCEPTED"
            (limit,) = cm.rows("SELECT limit_group FROM budgets WHERE paused_until > now() + '1 minute'::interval")
            assert limit["limit_group"] == "ALL"
            await work_until_idle(cm, services, step=HOUR)
            assert cm.differences(order_id) == []

    run(limited())


# Reviews of many days


def test_review_of_ten_days_is_overdue_after_three_and_never_given_up(cm: Practice) -> None:
    """It is asked about every hour. A change of its status on the way does not start the three days again."""
    cm.carrier.behave(cm_review_s=10 * 24 * 3600)
    step = timedelta(hours=6)

    async def days() -> None:
        async with opened(cm) as services:
            order_id = await accept_and_send(cm, services)
            for day in range(1, 10):
                for _ in range(4):
                    cm.pass_time(seconds=step.total_seconds())
                    cm.carrier.advance(step.total_seconds())
                    await working(services, Lane.ASK)
                raised = [times for what, times in cm.alarms() if what == "overdue"]
                assert bool(raised) is (day >= 3), day
                assert cm.order(order_id)["carrier_status"] == ("NEW" if day < 4 else "IN_PROGRESS")
                (work_item,) = cm.rows(
                    "SELECT not_before <= now() + '1 hour' AS soon, not_before > now() AS later FROM owed"
                )
                assert work_item == {"soon": True, "later": True}
            cm.carrier.advance(2 * 24 * 3600)
            await work_until_idle(cm, services, step=HOUR)
            assert cm.differences(order_id) == []
            assert cm.order(order_id)["state"] == "COMPLETED"

    run(days())


def test_order_ends_although_no_callback_is_received(cm: Practice) -> None:
    """CM.com calls the address that is set, where no server listens; the end is found by asking."""
    url = "http://127.0.0.1:9/cm"

    async def with_callback() -> None:
        async with opened(cm, callback_url=url) as services:
            order_id = await accept_and_send(cm, services)
            cm.carrier.advance(1001)
            await work_until_idle(cm, services, step=HOUR)
            assert cm.differences(order_id) == []
        (sold,) = cm.sold()
        (kept,) = cm.rows("SELECT sent::jsonb ->> 'callbackUrl' AS url FROM receipts WHERE request LIKE 'POST%%'")
        assert (sold["outcome"], kept["url"]) == ("COMPLETED", url)

    run(with_callback())


def test_callback_at_the_address_of_its_order_brings_the_end_at_once(cm: Practice) -> None:
    """The adapter fills the address in, and no row says whose it is. Doubled and forged callbacks change nothing."""
    cm.carrier.behave(notice_double=1, notice_forge=1)

    async def with_callbacks() -> None:
        async with receiving_callbacks(cm) as services:
            order_id = await accept_and_send(cm, services)
            for stage in (401, 601):
                cm.pass_time(seconds=10)
                cm.rows("UPDATE owed SET not_before = now() + '1 hour' RETURNING lane")
                cm.carrier.advance(stage)
                await applied(cm, 2 if stage == 401 else 4)
                await working(services, Lane.ASK)
            assert cm.differences(order_id) == []
            assert cm.order(order_id)["state"] == "COMPLETED"

    run(with_callbacks())


def test_callback_after_the_end_belongs_to_its_order(cm: Practice) -> None:
    """A question has seen the end before the callback was sent."""
    cm.carrier.behave(notice_delay_s=3600)

    async def with_late_callbacks() -> None:
        async with receiving_callbacks(cm) as services:
            order_id = await accept_and_send(cm, services)
            cm.carrier.advance(1001)
            await work_until_idle(cm, services, step=HOUR)
            assert cm.order(order_id)["state"] == "COMPLETED"
            cm.carrier.advance(3600)
            await applied(cm, 2)
            assert cm.rows("SELECT DISTINCT order_id FROM notices") == [{"order_id": order_id}]

    run(with_late_callbacks())


@asynccontextmanager
async def receiving_callbacks(cm: Practice) -> AsyncIterator[Services]:
    """Open the services, whose orders have addresses of a receiver."""
    addresses: list[NoticeAddresses] = []
    async with PostgresLedger.at(cm.url, connections_max=2) as ledger:

        def router(url: str) -> APIRouter:
            addresses.append(NoticeAddresses(url, b"s" * 32))
            source = NoticeSource(NAME, CMNotices(), addresses=addresses[0])
            intake = NoticeIntake(ledger.notices, cm.bell, asks_every=timedelta(seconds=5))
            return notice_router([source], lambda _: intake)

        async with serving(router), opened(cm, addresses=addresses[0]) as services:
            yield services


async def applied(cm: Practice, count: int) -> None:
    """Wait until so many notices are applied."""
    async with asyncio.timeout(90):
        while len(cm.rows("SELECT 1 FROM notices WHERE handled_at IS NOT NULL")) < count:  # noqa: ASYNC110  others write
            await asyncio.sleep(0.01)
