"""Backorders: followed for days without haste, and closed at the carrier when somebody calls them back."""

import contextlib
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import timedelta
from itertools import count
from typing import Any

import httpx
import pytest

from number_orders.carriers.bandwidth.adapter import Bandwidth
from number_orders.carriers.contract import CarrierRequest, Conversation
from number_orders.fulfilment.runtime import Services
from number_orders.orders.events import Adopted
from number_orders.orders.model import CarrierOrderId, Lane, Order, OrderId
from number_orders.orders.policy import CarrierPolicy
from number_orders.sandbox.control import SandboxControl
from tests.integration.fulfilment.breaking import Power, PowerCut, frail_courier, frail_ledger
from tests.integration.fulfilment.practice import GET, Practice, accept, an_order, live, run, work

PUT = {"method": "PUT", "path": "/orders/{orderId}"}
WAITS, FILLS = {"npa": "701"}, {"npa": "307"}
"""Area codes whose orders are backordered with half of their numbers: for ever, or for a while."""
TOLD = {"notify": {"task": "crm.ended", "queue": "crm"}}


async def backordered(services: Services, key: str = "crm-1", *, quantity: int = 1, **changes: Any) -> OrderId:
    """Take an order in that waits for stock, and follow it until it does."""
    order = an_order(key, **{"criteria": WAITS, "quantity": quantity, "allow_backorder": True, **TOLD, **changes})
    (order_id,) = await accept(services, order)
    await work(services, Lane.SUBMIT)
    return order_id


async def followed(practice: Practice, services: Services, order_id: OrderId) -> None:
    """Look at it once it is due to be looked at."""
    pass_until_due(practice, order_id)
    await work(services, Lane.ASK)


def pass_until_due(practice: Practice, order_id: OrderId) -> timedelta:
    """Let everybody's time pass until the order is due to be asked about, and return how long that took."""
    query = "SELECT greatest(not_before - now(), '0') AS wait FROM owed WHERE order_id = %(id)s AND lane = 'ask'"
    ((row),) = practice.rows(query, id=order_id)
    wait: timedelta = row["wait"] + timedelta(milliseconds=1)
    practice.pass_time(seconds=wait.total_seconds())
    practice.carrier.advance(wait.total_seconds())
    return wait


def requests(practice: Practice, method: str) -> int:
    """Count what the carrier was asked about single orders."""
    counted: dict[str, dict[str, int]] = practice.carrier.report()["requests"]["by_route"]
    return counted.get(f"{method} /orders/{{orderId}}", {"total": 0})["total"]


def theirs(practice: Practice, order_id: OrderId) -> dict[str, Any]:
    (order,) = practice.sold(order_id)
    return order


def waiting_reason(practice: Practice, order_id: OrderId) -> str:
    return str(practice.order(order_id)["reason"])


# --- following ------------------------------------------------------------------------------------


def test_a_backorder_is_followed_for_days_at_a_slow_pace_until_it_is_filled(practice: Practice) -> None:
    """Looks come half an hour apart at most, never give up, and the end is found within one of them."""
    days = timedelta(days=2)
    practice.carrier.behave(backorder_s=days.total_seconds())

    async def whole() -> None:
        async with practice.opened() as services:
            order_id = await backordered(services, criteria=FILLS)
            passed = timedelta()
            pauses: list[timedelta] = []
            while not practice.at_rest() and len(pauses) < 500:
                if practice.order(order_id)["state"] == "OPEN":
                    pauses.append(pass_until_due(practice, order_id))
                    passed += pauses[-1]
                await work(services, Lane.ASK, Lane.TELL)
            slowest = practice.policy.slow_ask_max
            assert practice.untrue(order_id) == []
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
            assert [document["state"] for document in practice.notifier.kept] == ["COMPLETED"]

    run(whole())


# --- calling back ---------------------------------------------------------------------------------


def test_a_backorder_that_is_called_back_is_closed_at_once_and_ends_as_cancelled(practice: Practice) -> None:
    """It has waited for days; nothing was bought, and its producer hears who wanted it so and why."""

    async def whole() -> None:
        async with practice.opened() as services:
            order_id = await backordered(services)
            for _ in range(30):
                await followed(practice, services, order_id)
            assert practice.order(order_id)["carrier_status"] == "BACKORDERED"
            order = await services.orders.cancel(order_id, by="ana", why="the customer went away")
            assert (order.state.value, order.cancel_asked_at is not None) == ("OPEN", True)
            await work(services, Lane.ASK, Lane.TELL)  # due at once, whatever the pace was
            assert theirs(practice, order_id)["outcome"] == "FAILED"
            assert practice.order(order_id)["state"] == "CANCELLED"
            assert practice.story(order_id)[-2:] == ["CancelAsked", "CalledBack"]
            assert practice.at_rest()
            (document,) = practice.notifier.kept
            assert (document["state"], document["numbers"]) == ("CANCELLED", [])
            assert "closed before anything was bought" in document["reason"]
            assert requests(practice, "PUT") == 1
            again = await services.orders.cancel(order_id, by="ana")
            assert again.state.value == "CANCELLED"

    run(whole())


def test_what_was_bought_before_it_was_called_back_is_ours(practice: Practice) -> None:
    async def whole() -> None:
        async with practice.opened() as services:
            order_id = await backordered(services, quantity=4)
            await followed(practice, services, order_id)
            await services.orders.cancel(order_id, by="ana")
            await live(practice, services)
            assert practice.untrue(order_id) == []
            assert practice.order(order_id)["state"] == "PARTIAL"
            assert len(practice.numbers(order_id)) == 2
            assert "the backorder was closed: 2 of 4 numbers" in waiting_reason(practice, order_id)

    run(whole())


def test_an_order_called_back_before_it_is_a_backorder_is_closed_once_it_is(practice: Practice) -> None:
    """It is being worked on at first, and cannot be closed. Nobody has to ask a second time."""
    practice.carrier.behave(processing_s=3600)

    async def whole() -> None:
        async with practice.opened() as services:
            order_id = await backordered(services)
            await services.orders.cancel(order_id, by="ana")
            await work(services, Lane.ASK)
            assert requests(practice, "PUT") == 0
            assert "only while it is backordered" in waiting_reason(practice, order_id)
            looks = 0
            while practice.order(order_id)["state"] == "OPEN" and looks < 60:
                await followed(practice, services, order_id)
                looks += 1
            assert practice.order(order_id)["state"] == "CANCELLED"
            assert practice.story(order_id).count("StillOpen") == 1

    run(whole())


def test_an_order_that_is_no_backorder_ends_as_it_would_have(practice: Practice) -> None:
    """Called back while it was being worked on: it is bought, and told as bought."""
    practice.carrier.behave(processing_s=60)

    async def whole() -> None:
        async with practice.opened() as services:
            order_id = await backordered(services, criteria={"npa": "919"})
            await services.orders.cancel(order_id, by="ana")
            await work(services, Lane.ASK)
            practice.carrier.advance(60)
            await live(practice, services)
            assert practice.untrue(order_id) == []
            assert practice.order(order_id)["state"] == "COMPLETED"

    run(whole())


class Meddled(Bandwidth):
    """Something happens at the carrier in the moment in which the wish is about to leave."""

    def __init__(self, meddle: Callable[[], object]) -> None:
        super().__init__("9900000", "743")
        self._meddle = meddle

    def ask(self, order: Order) -> Conversation:
        inner, answer = super().ask(order), None
        while True:
            try:
                turn = inner.send(answer)
            except StopIteration as end:
                return end.value  # type: ignore[no-any-return]  # what the adapter's own conversation came to
            if isinstance(turn, CarrierRequest) and turn.method == "PUT":
                self._meddle()
            answer = yield turn


def test_an_order_that_is_filled_while_it_is_being_closed_is_filled(practice: Practice) -> None:
    """The stock comes between the look and the wish: the carrier refuses to close it, and has sold everything."""
    practice.carrier.behave(backorder_s=600)  # shorter than the life of a token
    late = Meddled(lambda: practice.carrier.advance(600))

    async def whole() -> None:
        async with practice.opened(adapter=late) as services:
            order_id = await backordered(services, criteria=FILLS, quantity=2)
            await services.orders.cancel(order_id, by="ana")
            await work(services, Lane.ASK)
            assert requests(practice, "PUT") == 1
            assert practice.untrue(order_id) == []
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


def test_whatever_becomes_of_the_answer_the_order_is_closed_and_told_as_called_back(practice: Practice) -> None:
    """Lost before or after it was heard: the wish is uttered until it is known to be granted."""

    async def lost(services: Services, fault: dict[str, Any], key: str) -> None:
        order_id = await backordered(services, key)
        await services.orders.cancel(order_id, by="ana")
        practice.carrier.fault(**fault, times=1, **PUT)
        await work(services, Lane.ASK)
        await live(practice, services)
        assert theirs(practice, order_id)["outcome"] == "FAILED", fault
        assert practice.order(order_id)["state"] == "CANCELLED", (fault, practice.story(order_id))

    async def all_of_them() -> None:
        async with practice.opened() as services:
            for number, fault in enumerate(LOST):
                await lost(services, fault, f"crm-{number}")

    run(all_of_them())


def test_trouble_with_reading_it_afterwards_changes_nothing(practice: Practice) -> None:
    """The look before passes, the wish is granted, and the look after it is lost."""

    async def whole() -> None:
        async with practice.opened(adapter=Meddled(lambda: practice.carrier.fault("html", times=2, **GET))) as services:
            order_id = await backordered(services)
            await services.orders.cancel(order_id, by="ana")
            await work(services, Lane.ASK)
            assert practice.order(order_id)["progress"]["closing"]["taken"] == "agreed"
            await live(practice, services)
            assert practice.order(order_id)["state"] == "CANCELLED"
            assert requests(practice, "PUT") == 1

    run(whole())


@pytest.mark.parametrize(("quantity", "end"), [(1, ("CANCELLED", "FAILED", 0)), (4, ("PARTIAL", "PARTIAL", 2))])
def test_the_power_goes_out_at_every_line_of_a_closing(
    practice: Practice, quantity: int, end: tuple[str, str, int]
) -> None:
    """Before and after every statement and every request: the wish is never lost, and the end is always the same."""

    @asynccontextmanager
    async def doomed(power: Power, services: Services) -> AsyncIterator[Services]:
        with contextlib.suppress(PowerCut):
            async with practice.opened(frail_ledger(power, services.ledger), frail_courier(power)) as frail:
                yield frail

    async def at_line(line: int, services: Services) -> bool:
        order_id = await backordered(services, f"crm-{line}", quantity=quantity)
        await services.orders.cancel(order_id, by="ana")
        power = Power(line)
        async with doomed(power, services) as frail:
            await live(practice, frail)
        practice.pass_time(hours=1)
        await live(practice, services)
        bought = len(practice.numbers(order_id))
        found = (practice.order(order_id)["state"], theirs(practice, order_id)["outcome"], bought)
        assert found == end, (line, practice.story(order_id))
        return power.is_out

    async def every_line() -> None:
        async with practice.opened() as services:
            for line in count(1):
                if not await at_line(line, services):
                    break
            assert line > 15

    run(every_line())


# --- somebody else's ------------------------------------------------------------------------------


def test_an_order_adopted_under_a_wrong_id_never_ends_on_anothers_purchase(practice: Practice) -> None:
    """It is parked again with what was seen, and adopted rightly it comes to its own end."""
    practice.policy = CarrierPolicy(resend_when_absent=False)

    async def whole() -> None:
        async with practice.opened() as services:
            (other,) = await accept(services, an_order("other"))
            await live(practice, services)
            mine = await parked_in_doubt(practice, services)
            wrong = hand_made(practice.carrier)
            await services.orders.resolve(mine, Adopted(CarrierOrderId(wrong), "ana", "seen in the dashboard"))
            await work(services, Lane.ASK)
            assert practice.order(mine)["state"] == "PARKED"
            assert "'not-ours'" in waiting_reason(practice, mine)
            assert practice.numbers(mine) == []
            right = theirs(practice, mine)["order_id"]
            await services.orders.resolve(mine, Adopted(CarrierOrderId(right), "ana", "this one, then"))
            await live(practice, services)
            assert practice.untrue(mine, other) == []

    run(whole())


async def parked_in_doubt(practice: Practice, services: Services) -> OrderId:
    """Leave an order to a person: it arrived, and the carrier does not list it for a day."""
    practice.carrier.behave(listing_delay_s=86_400)
    practice.carrier.fault("drop_after", times=1, method="POST", path="/orders")
    (order_id,) = await accept(services, an_order("mine"))
    await live(practice, services)
    assert practice.order(order_id)["state"] == "PARKED"
    return order_id


def hand_made(carrier: SandboxControl) -> str:
    """Make an order at the carrier that is none of ours, and return its id."""
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
