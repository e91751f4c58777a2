"""Orders that a person parks or wants to be tried now are bought once all the same."""

from datetime import timedelta
from typing import Any

import pytest

from number_orders.fulfilment.retries import RetryOutcome
from number_orders.fulfilment.runtime import Services
from number_orders.orders.errors import NotParkable, NotResolvable
from number_orders.orders.events import Adopted, SentAgain, WrittenOff
from number_orders.orders.model import CarrierOrderId, Lane, OrderId, State
from number_orders.orders.policy import CarrierPolicy
from tests.integration.fulfilment.practice import (
    BANDWIDTH,
    POST,
    Practice,
    accept,
    an_order,
    run,
    work,
    work_until_idle,
)

NOTIFIED: dict[str, Any] = {"notify": {"task": "crm.ended", "queue": "crm"}}
NEVER_ENDS: dict[str, Any] = {"criteria": {"npa": "907"}}
HALF_FILLED: dict[str, Any] = {"criteria": {"npa": "701"}, "quantity": 4, "allow_backorder": True}


async def retry(services: Services, order_id: OrderId, lane: Lane | None = None) -> RetryOutcome:
    """Ask for an order to be tried now."""
    (outcome,) = await services.orders.retry([order_id], by="ana", why="the customer calls", lane=lane)
    return outcome


async def accept_send_and_ask(practice: Practice, services: Services, **changes: Any) -> OrderId:
    """Take an order in, send it, and ask about it once."""
    (order_id,) = await accept(services, an_order(**changes))
    await work(services, Lane.SUBMIT)
    practice.pass_time(minutes=1)
    await work(services, Lane.ASK)
    return order_id


def test_order_that_never_moves_can_be_parked_and_adopted_again(practice: Practice) -> None:
    """Parking stores what it waited for; parked twice is parked once. While it is parked nothing is asked."""

    async def whole() -> None:
        async with practice.opened() as services:
            order_id = await accept_send_and_ask(practice, services, **NEVER_ENDS)
            parked = await services.orders.park(order_id, by="ana", why="it never moves")
            assert (parked.state, parked.reason) == (State.PARKED, "ana: it never moves")
            assert await services.orders.park(order_id, by="kim", why="likewise") == parked
            assert practice.is_idle()
            (said,) = practice.rows("SELECT detail ->> 'waited' AS waited FROM order_events WHERE event = 'SetAside'")
            assert said["waited"] == "asked 1 times without news; the carrier says RECEIVED"
            carrier_order_id = CarrierOrderId(practice.order(order_id)["carrier_order_id"])
            await services.orders.resolve(order_id, Adopted(carrier_order_id, "ana", "the carrier is working on it"))
            await work(services, Lane.ASK)
            assert practice.order(order_id)["state"] == "OPEN"
            assert len(practice.sold(order_id)) == 1

    run(whole())


def test_order_that_ended_while_it_was_parked_is_found_ended_when_adopted(practice: Practice) -> None:
    """Its end was not heard while it was parked, so it is asked for."""

    async def whole() -> None:
        async with practice.opened() as services:
            (order_id,) = await accept(services)
            await work(services, Lane.SUBMIT)
            await services.orders.park(order_id, by="ana", why="let me look")
            practice.pass_time(hours=1)
            await work(services)
            carrier_order_id = CarrierOrderId(practice.order(order_id)["carrier_order_id"])
            await services.orders.resolve(order_id, Adopted(carrier_order_id, "ana", "all is well"))
            await work_until_idle(practice, services)
            assert practice.differences(order_id) == []

    run(whole())


def test_order_that_is_being_sent_or_has_ended_is_not_parked(practice: Practice) -> None:
    async def whole() -> None:
        async with practice.opened() as services:
            (order_id,) = await accept(services)
            practice.db.execute("UPDATE orders SET state = 'SUBMITTING', sends = 1")
            with pytest.raises(NotParkable, match="is SUBMITTING: a worker is sending it"):
                await services.orders.park(order_id, by="ana", why="now")
            practice.db.execute("UPDATE orders SET state = 'ACCEPTED', sends = 0")
            await work_until_idle(practice, services)
            with pytest.raises(NotParkable, match="is COMPLETED: it is over"):
                await services.orders.park(order_id, by="ana", why="now")

    run(whole())


def test_half_bought_order_that_is_closed_keeps_its_numbers_and_is_not_sent_again(practice: Practice) -> None:
    """The same decision sent twice is carried out once; the producer gets PARTIAL with the numbers."""

    async def whole() -> None:
        async with practice.opened() as services:
            order_id = await accept_send_and_ask(practice, services, **HALF_FILLED, **NOTIFIED)
            await services.orders.park(order_id, by="ana", why="the customer left")
            with pytest.raises(NotResolvable, match="2 numbers of it are there already, and would be bought twice"):
                await services.orders.resolve(order_id, SentAgain("ana", "try again"))
            off = WrittenOff("ana", "the customer left")
            for _ in range(2):
                closed = await services.orders.resolve(order_id, off)
                assert (closed.state, closed.reason) == (State.PARTIAL, "ana: the customer left")
            await work(services, Lane.TELL)
            (document,) = practice.notifier.delivered
            assert (document["state"], len(document["numbers"])) == ("PARTIAL", 2)
            assert {number["state"] for number in document["numbers"]} == {"acquired"}
            assert practice.story(order_id).count("CutShort") == 1

    run(whole())


def test_named_numbers_of_a_closed_order_have_failed(practice: Practice) -> None:
    """Each says who closed the order, and why."""

    async def whole() -> None:
        async with practice.opened() as services:
            (order_id,) = await accept(
                services, an_order(criteria=None, quantity=None, numbers=["+19195550199"], **NOTIFIED)
            )
            await services.orders.park(order_id, by="ana", why="wait")
            await services.orders.resolve(order_id, WrittenOff("ana", "typo"))
            await work(services, Lane.TELL)
        (document,) = practice.notifier.delivered
        (number,) = document["numbers"]
        assert (document["state"], number["state"], number["text"]) == ("FAILED", "failed", "closed by ana: typo")

    run(whole())


def test_waiting_order_is_due_at_once_when_a_person_asks(practice: Practice) -> None:
    """On the lane where it waits, submit or ask. The event has who asked, and why."""

    async def whole() -> None:
        async with practice.opened() as services:
            later = (await services.ledger.now() + timedelta(days=9)).isoformat()
            (scheduled,) = await accept(services, an_order("later", not_before=later))
            assert (await retry(services, scheduled)).lanes == (Lane.SUBMIT,)
            await work(services, Lane.SUBMIT)
            assert practice.order(scheduled)["state"] == "OPEN"
            assert practice.rows("SELECT 1 FROM owed WHERE lane = 'ask' AND not_before <= now()") == []
            assert (await retry(services, scheduled)).lanes == (Lane.ASK,)
            await work(services, Lane.ASK)
            assert practice.order(scheduled)["state"] == "COMPLETED"
            assert practice.story(scheduled).count("Hurried") == 2
            (who,) = practice.rows("SELECT DISTINCT detail FROM order_events WHERE event = 'Hurried'")
            assert who["detail"] == {"by": "ana", "why": "the customer calls"}
            assert practice.differences(scheduled) == []

    run(whole())


def test_order_in_doubt_is_asked_about_sooner_and_sent_again_no_sooner(practice: Practice) -> None:
    """However often a person asks: the time that proves its absence has not passed."""

    async def whole() -> None:
        async with practice.opened() as services:
            practice.carrier.fault("drop_before", times=1, **POST)
            (order_id,) = await accept(services)
            await work(services, Lane.SUBMIT)
            for asks in range(1, 6):
                assert (await retry(services, order_id)).lanes == (Lane.ASK,)
                await work(services, Lane.ASK, Lane.SUBMIT)
                order = practice.order(order_id)
                assert (order["state"], order["doubt_asks"], order["sends"]) == ("IN_DOUBT", asks, 1)
            await work_until_idle(practice, services)
            assert practice.differences(order_id) == []

    run(whole())


def test_paused_limit_holds_back_a_retry_too(practice: Practice) -> None:
    """The order is due, and is not claimed before the pause ends."""

    async def whole() -> None:
        async with practice.opened() as services:
            practice.carrier.fault("too_many_requests", times=1, delay_s=600, **POST)
            (order_id,) = await accept(services)
            await work(services, Lane.SUBMIT)
            assert (await retry(services, order_id)).lanes == (Lane.SUBMIT,)
            await work(services, Lane.SUBMIT)
            assert practice.order(order_id)["sends"] == 1
            await work_until_idle(practice, services)
            assert practice.differences(order_id) == []

    run(whole())


def test_retry_that_does_nothing_says_why(practice: Practice) -> None:
    """Parked, ended, or without notifications: nothing is written."""

    async def whole() -> None:
        async with practice.opened() as services:
            done, parked, quiet = await accept(services, an_order("a", **NOTIFIED), an_order("b"), an_order("c"))
            await services.orders.park(parked, by="ana", why="wait")
            await work_until_idle(practice, services)
            before = {order_id: practice.story(order_id) for order_id in (done, parked, quiet)}
            for order_id, lane, why in (
                (done, None, "it is over, and its producer has every document"),
                (parked, None, "a person decides what becomes of it"),
                (quiet, Lane.TELL, "its producer asked for no notifications"),
                (done, Lane.ASK, "it is over"),
            ):
                outcome = await retry(services, order_id, lane)
                assert outcome.lanes == ()
                assert why in str(outcome.refusal)
            assert {order_id: practice.story(order_id) for order_id in before} == before

    run(whole())


def test_failed_notification_is_tried_now_and_a_delivered_one_is_sent_again(practice: Practice) -> None:
    """The first is the stored document, the second a new one with a version of its own. The end stays the same."""
    closed = {"crm"}

    async def whole() -> None:
        practice.notifier.error_of = lambda delivery: "shut" if delivery.queue in closed else None
        async with practice.opened() as services:
            (order_id,) = await accept(services, an_order(**NOTIFIED))
            await work(services, Lane.SUBMIT)
            practice.pass_time(minutes=1)
            await work(services, Lane.ASK, Lane.TELL)
            closed.clear()
            await work(services, Lane.TELL)
            assert practice.notifier.delivered == []  # its time has not come
            assert (await retry(services, order_id)).lanes == (Lane.TELL,)
            await work(services, Lane.TELL)
            assert (await retry(services, order_id, Lane.TELL)).lanes == (Lane.TELL,)
            await work(services, Lane.TELL)
            first, again = practice.notifier.delivered
            assert (first["state"], first["numbers"]) == (again["state"], again["numbers"])
            assert again["version"] > first["version"]
            assert practice.is_idle()
            assert practice.differences(order_id) == []

    run(whole())


def test_retry_of_a_whole_carrier_leaves_scheduled_orders_out(practice: Practice) -> None:
    async def whole() -> None:
        async with practice.opened() as services:
            later = (await services.ledger.now() + timedelta(days=9)).isoformat()
            scheduled, *others = await accept(
                services, an_order("s", not_before=later), *(an_order(f"o{n}") for n in range(3))
            )
            await work(services, Lane.SUBMIT)
            pages = [page async for page in services.orders.retry_all(BANDWIDTH, "ana", None, Lane.ASK)]
            assert [{each.order.order_id for each in page} for page in pages] == [set(others)]
            await work(services, Lane.ASK)
            assert {practice.order(order_id)["state"] for order_id in others} == {"COMPLETED"}
            pages = [page async for page in services.orders.retry_all(BANDWIDTH, "ana", None)]
            assert [list(page) for page in pages] == [[]]
            assert practice.story(scheduled) == ["OrderAccepted"]

    run(whole())


def test_time_before_a_scheduled_moment_does_not_make_an_order_overdue(practice: Practice) -> None:
    """It counts from the moment at which it was to be sent."""
    practice.policy = CarrierPolicy(overdue_after=timedelta(hours=2))

    async def whole() -> None:
        async with practice.opened() as services:
            later = (await services.ledger.now() + timedelta(hours=9)).isoformat()
            await accept(services, an_order(not_before=later, **NEVER_ENDS))
            practice.pass_time(hours=9)
            await work(services, Lane.SUBMIT)
            practice.pass_time(hours=1)
            await work(services, Lane.ASK)
            assert practice.alarms() == []
            practice.pass_time(hours=2)
            await work(services, Lane.ASK)
            assert practice.alarms() == [("overdue", 1)]

    run(whole())
