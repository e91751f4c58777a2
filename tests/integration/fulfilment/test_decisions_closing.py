"""Backorders are followed for days, and closed at the carrier when they are cancelled."""

import contextlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import httpx
import pytest

from number_orders.carriers.bandwidth.adapter import Bandwidth
from number_orders.carriers.contract import CarrierRequest, Conversation
from number_orders.fulfilment.runtime import Services
from number_orders.orders.errors import NotResolvable
from number_orders.orders.events import Adopted
from number_orders.orders.model import CarrierOrderId, Lane, Order, OrderId
from number_orders.orders.policy import CarrierPolicy
from number_orders.sandbox.control import SandboxControl
from tests.integration.fulfilment.breaking import (
    CrashPoint,
    ProcessKilled,
    crashing_courier,
    crashing_ledger,
    kill_at_every_point,
)
from tests.integration.fulfilment.practice import GET, Practice, accept, an_order, run, work, work_until_idle

PUT = {"method": "PUT", "path": "/orders/{orderId}"}
NEVER_FILLED, FILLED_LATER = {"npa": "701"}, {"npa": "307"}
"""Area codes whose orders are backordered with half of their numbers: for ever, or for a while."""
NOTIFIED = {"notify": {"task": "crm.ended", "queue": "crm"}}


async def submit_backorder(services: Services, key: str = "crm-1", *, quantity: int = 1, **changes: Any) -> OrderId:
    """Take an order in that waits for stock, and send it."""
    order = an_order(
        key, **{"criteria": NEVER_FILLED, "quantity": quantity, "allow_backorder": True, **NOTIFIED, **changes}
    )
    (order_id,) = await accept(services, order)
    await work(services, Lane.SUBMIT)
    return order_id


async def ask_when_due(practice: Practice, services: Services, order_id: OrderId) -> None:
    """Let time pass until the order is due to be asked about, and ask."""
    pass_until_due(practice, order_id)
    await work(services, Lane.ASK)


def pass_until_due(practice: Practice, order_id: OrderId) -> timedelta:
    """Let time pass, here and at the carrier, until the order is due to be asked about; return how long that took."""
    query = "SELECT greatest(not_before - now(), '0') AS wait FROM owed WHERE order_id = %(id)s AND lane = 'ask'"
    ((row),) = practice.rows(query, id=order_id)
    wait: timedelta = row["wait"] + timedelta(milliseconds=1)
    practice.pass_time(seconds=wait.total_seconds())
    practice.carrier.advance(wait.total_seconds())
    return wait


def count_requests(practice: Practice, method: str) -> int:
    """Return how many requests with this method about single orders the carrier got."""
    counted: dict[str, dict[str, int]] = practice.carrier.report()["requests"]["by_route"]
    return counted.get(f"{method} /orders/{{orderId}}", {"total": 0})["total"]


def carrier_order(practice: Practice, order_id: OrderId) -> dict[str, Any]:
    (order,) = practice.sold(order_id)
    return order


def reason_of(practice: Practice, order_id: OrderId) -> str:
    return str(practice.order(order_id)["reason"])


# Followed


def test_backorder_is_asked_about_for_days_until_it_is_filled(practice: Practice) -> None:
    """At most half an hour lies between two questions, so the end is found within half an hour."""
    days = timedelta(days=2)
    practice.carrier.behave(backorder_s=days.total_seconds())

    async def whole() -> None:
        async with practice.opened() as services:
            order_id = await submit_backorder(services, criteria=FILLED_LATER)
            passed = timedelta()
            pauses: list[timedelta] = []
            while not practice.is_idle() and len(pauses) < 500:
                if practice.order(order_id)["state"] == "OPEN":
                    pauses.append(pass_until_due(practice, order_id))
                    passed += pauses[-1]
                await work(services, Lane.ASK, Lane.TELL)
            slowest = practice.policy.slow_ask_max
            assert practice.differences(order_id) == []
            assert practice.order(order_id)["state"] == "COMPLETED"
            assert days <= passed <= days + slowest
            assert max(pauses) <= slowest
            assert all(pause >= 0.8 * slowest for pause in pauses[20:])
            assert practice.story(order_id) == [
                "OrderAccepted", "SubmissionBegun", "Acknowledged", "StillOpen", "Filled",
            ]  # fmt: skip
            ((what, times),) = practice.alarms()
            assert what == "overdue"
            assert times > 24
            assert [document["state"] for document in practice.notifier.delivered] == ["COMPLETED"]

    run(whole())


# Cancelled


def test_cancelled_backorder_is_closed_at_once_and_ends_cancelled(practice: Practice) -> None:
    """It has waited for days and bought nothing. Its producer learns who cancelled it, and why."""

    async def whole() -> None:
        async with practice.opened() as services:
            order_id = await submit_backorder(services)
            for _ in range(30):
                await ask_when_due(practice, services, order_id)
            assert practice.order(order_id)["carrier_status"] == "BACKORDERED"
            order = await services.orders.cancel(order_id, by="ana", why="the customer went away")
            assert (order.state.value, order.cancel_asked_at is not None) == ("OPEN", True)
            await work(services, Lane.ASK, Lane.TELL)  # due at once, however slowly it was asked about
            assert carrier_order(practice, order_id)["outcome"] == "FAILED"
            assert practice.order(order_id)["state"] == "CANCELLED"
            assert practice.story(order_id)[-2:] == ["CancelAsked", "CalledBack"]
            assert practice.is_idle()
            (document,) = practice.notifier.delivered
            assert (document["state"], document["numbers"]) == ("CANCELLED", [])
            assert "closed before anything was bought" in document["reason"]
            assert count_requests(practice, "PUT") == 1
            again = await services.orders.cancel(order_id, by="ana")
            assert again.state.value == "CANCELLED"

    run(whole())


def test_numbers_bought_before_the_cancellation_are_kept(practice: Practice) -> None:
    async def whole() -> None:
        async with practice.opened() as services:
            order_id = await submit_backorder(services, quantity=4)
            await ask_when_due(practice, services, order_id)
            await services.orders.cancel(order_id, by="ana")
            await work_until_idle(practice, services)
            assert practice.differences(order_id) == []
            assert practice.order(order_id)["state"] == "PARTIAL"
            assert len(practice.numbers(order_id)) == 2
            assert "the backorder was closed: 2 of 4 numbers" in reason_of(practice, order_id)

    run(whole())


def test_order_cancelled_before_it_is_a_backorder_is_closed_when_it_is_one(practice: Practice) -> None:
    """The carrier works on it at first, and it cannot be closed. Nobody has to cancel it a second time."""
    practice.carrier.behave(processing_s=3600)

    async def whole() -> None:
        async with practice.opened() as services:
            order_id = await submit_backorder(services)
            await services.orders.cancel(order_id, by="ana")
            await work(services, Lane.ASK)
            assert count_requests(practice, "PUT") == 0
            assert "only while it is backordered" in reason_of(practice, order_id)
            asks = 0
            while practice.order(order_id)["state"] == "OPEN" and asks < 60:
                await ask_when_due(practice, services, order_id)
                asks += 1
            assert practice.order(order_id)["state"] == "CANCELLED"
            assert practice.story(order_id).count("StillOpen") == 1

    run(whole())


def test_cancellation_of_an_order_that_is_no_backorder_changes_nothing(practice: Practice) -> None:
    """The carrier was working on it: it is bought, and reported as bought."""
    practice.carrier.behave(processing_s=60)

    async def whole() -> None:
        async with practice.opened() as services:
            order_id = await submit_backorder(services, criteria={"npa": "919"})
            await services.orders.cancel(order_id, by="ana")
            await work(services, Lane.ASK)
            practice.carrier.advance(60)
            await work_until_idle(practice, services)
            assert practice.differences(order_id) == []
            assert practice.order(order_id)["state"] == "COMPLETED"

    run(whole())


class BandwidthWithIncident(Bandwidth):
    """Lets something happen at the carrier just before the request that closes an order leaves."""

    def __init__(self, incident: Callable[[], object]) -> None:
        super().__init__("9900000", "743")
        self._incident = incident

    def ask(self, order: Order) -> Conversation:
        inner, answer = super().ask(order), None
        while True:
            try:
                step = inner.send(answer)
            except StopIteration as end:
                return end.value  # type: ignore[no-any-return]  # how the adapter's own conversation ended
            if isinstance(step, CarrierRequest) and step.method == "PUT":
                self._incident()
            answer = yield step


def test_order_that_is_filled_while_it_is_being_closed_is_filled(practice: Practice) -> None:
    """The stock comes just before the closing: the carrier refuses to close the order, and has sold everything."""
    practice.carrier.behave(backorder_s=600)  # shorter than the life of a token
    with_incident = BandwidthWithIncident(lambda: practice.carrier.advance(600))

    async def whole() -> None:
        async with practice.opened(adapter=with_incident) as services:
            order_id = await submit_backorder(services, criteria=FILLED_LATER, quantity=2)
            await services.orders.cancel(order_id, by="ana")
            await work(services, Lane.ASK)
            assert count_requests(practice, "PUT") == 1
            assert practice.differences(order_id) == []
            assert practice.order(order_id)["state"] == "COMPLETED"

    run(whole())


LOST: list[dict[str, Any]] = [
    {"fault": "drop_before"},
    {"fault": "drop_after"},
    {"fault": "error_before"},
    {"fault": "error_after"},
    {"fault": "html"},
    {"fault": "too_many_requests"},
]


def test_lost_answer_to_the_closing_does_not_lose_the_cancellation(practice: Practice) -> None:
    """Lost before or after the carrier read it: closing is asked for until the carrier has agreed."""

    async def lost(services: Services, fault: dict[str, Any], key: str) -> None:
        order_id = await submit_backorder(services, key)
        await services.orders.cancel(order_id, by="ana")
        practice.carrier.fault(**fault, times=1, **PUT)
        await work(services, Lane.ASK)
        await work_until_idle(practice, services)
        assert carrier_order(practice, order_id)["outcome"] == "FAILED", fault
        assert practice.order(order_id)["state"] == "CANCELLED", (fault, practice.story(order_id))

    async def all_of_them() -> None:
        async with practice.opened() as services:
            for number, fault in enumerate(LOST):
                await lost(services, fault, f"crm-{number}")

    run(all_of_them())


def test_unreadable_order_after_the_closing_changes_nothing(practice: Practice) -> None:
    """The carrier agrees to close the order, and the answer to the next question is lost."""

    async def whole() -> None:
        async with practice.opened(
            adapter=BandwidthWithIncident(lambda: practice.carrier.fault("html", times=2, **GET))
        ) as services:
            order_id = await submit_backorder(services)
            await services.orders.cancel(order_id, by="ana")
            await work(services, Lane.ASK)
            assert practice.order(order_id)["progress"]["closing"]["taken"] == "agreed"
            await work_until_idle(practice, services)
            assert practice.order(order_id)["state"] == "CANCELLED"
            assert count_requests(practice, "PUT") == 1

    run(whole())


@pytest.mark.parametrize(("quantity", "end"), [(1, ("CANCELLED", "FAILED", 0)), (4, ("PARTIAL", "PARTIAL", 2))])
def test_worker_killed_at_any_point_of_a_closing_changes_no_end(
    practice: Practice, quantity: int, end: tuple[str, str, int]
) -> None:
    """Before and after every statement and request: the cancellation is never lost, and the end is always the same."""

    @asynccontextmanager
    async def services_that_die(crash_point: CrashPoint, services: Services) -> AsyncIterator[Services]:
        with contextlib.suppress(ProcessKilled):
            async with practice.opened(
                crashing_ledger(crash_point, services.ledger), crashing_courier(crash_point)
            ) as dying:
                yield dying

    async def killed_at(point: int, services: Services) -> bool:
        order_id = await submit_backorder(services, f"crm-{point}", quantity=quantity)
        await services.orders.cancel(order_id, by="ana")
        crash_point = CrashPoint(point)
        async with services_that_die(crash_point, services) as dying:
            await work_until_idle(practice, dying)
        practice.pass_time(hours=1)
        await work_until_idle(practice, services)
        bought = len(practice.numbers(order_id))
        found = (practice.order(order_id)["state"], carrier_order(practice, order_id)["outcome"], bought)
        assert found == end, (point, practice.story(order_id))
        return crash_point.reached

    async def every_point() -> None:
        assert await kill_at_every_point(practice, killed_at) > 15

    run(every_point())


# Adopted under a wrong id


@pytest.mark.parametrize("answers", [True, False])
def test_order_is_not_ended_by_an_adoption_under_a_wrong_id(practice: Practice, *, answers: bool) -> None:
    """It is refused; without an answer of the carrier it is parked again. Under the right id it comes to its end."""
    practice.policy = CarrierPolicy(resend_when_absent=False)

    async def whole() -> None:
        async with practice.opened() as services:
            (other,) = await accept(services, an_order("other"))
            await work_until_idle(practice, services)
            order_id = await park_in_doubt(practice, services)
            wrong = order_made_elsewhere(practice.carrier)
            adopted = Adopted(CarrierOrderId(wrong), "ana", "seen in the dashboard")
            if answers:
                with pytest.raises(NotResolvable, match="bears the reference 'not-ours'"):
                    await services.orders.resolve(order_id, adopted)
            else:
                practice.carrier.fault("drop_before", method="GET", path="/orders/{orderId}")
                await services.orders.resolve(order_id, adopted)
                practice.carrier.clear_faults()
                await work(services, Lane.ASK)
                assert "'not-ours'" in reason_of(practice, order_id)
            assert practice.order(order_id)["state"] == "PARKED"
            assert practice.numbers(order_id) == []
            right = carrier_order(practice, order_id)["order_id"]
            await services.orders.resolve(order_id, Adopted(CarrierOrderId(right), "ana", "this one, then"))
            await work_until_idle(practice, services)
            assert practice.differences(order_id, other) == []

    run(whole())


async def park_in_doubt(practice: Practice, services: Services) -> OrderId:
    """Park an order that has arrived, and that the carrier does not list for a day."""
    practice.carrier.behave(listing_delay_s=86_400)
    practice.carrier.fault("drop_after", times=1, method="POST", path="/orders")
    (order_id,) = await accept(services, an_order("mine"))
    await work_until_idle(practice, services)
    assert practice.order(order_id)["state"] == "PARKED"
    return order_id


def order_made_elsewhere(carrier: SandboxControl) -> str:
    """Make an order at the carrier that is not ours; return its id."""
    body = (
        "<Order><CustomerOrderId>not-ours</CustomerOrderId><SiteId>743</SiteId><AreaCodeSearchAndOrderType>"
        "<AreaCode>919</AreaCode><Quantity>1</Quantity></AreaCodeSearchAndOrderType></Order>"
    )
    headers = {"Authorization": "Bearer sandbox-token", "Content-Type": "application/xml"}
    url = f"{carrier.url}/api/v2/accounts/9900000/orders"
    answer = httpx.post(url, content=body, headers=headers, trust_env=False)
    assert answer.status_code == 201
    made: str = answer.headers["location"]
    return made.rpartition("/")[2]
