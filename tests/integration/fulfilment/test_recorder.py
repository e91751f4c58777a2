"""Events are recorded whole, whatever other workers write, and one order's error does not stop the others."""

import asyncio
import errno
from collections.abc import Sequence
from typing import Any

from number_orders.fulfilment.recorder import Heard, Recorder
from number_orders.fulfilment.runtime import Services
from number_orders.orders.errors import NotCancellable
from number_orders.orders.events import (
    Acknowledged,
    AnswerLost,
    Event,
    Filled,
    NotSent,
    Refused,
    StillOpen,
    SubmissionBegun,
)
from number_orders.orders.model import CarrierOrderId, Lane, NumberResult, NumberState, Order, OrderId, State
from number_orders.orders.numbers import E164
from tests.integration.fulfilment.breaking import FailingConnection, stale_once
from tests.integration.fulfilment.practice import BANDWIDTH, Practice, accept, an_order, run, work, work_until_idle

CARRIER_ORDER_ID = CarrierOrderId("11111111-2222-3333-4444-555555555555")
RALEIGH = NumberResult(E164("+19196362098"), NumberState.ACQUIRED)


def a_recorder(practice: Practice, services: Services) -> Recorder:
    return Recorder(services.ledger, {BANDWIDTH: practice.policy})


async def begin(practice: Practice, services: Services, order_ids: Sequence[OrderId]) -> list[Order]:
    """Begin to send orders, without sending them."""
    orders = await services.ledger.orders.read(order_ids)
    heard = [Heard(orders[order_id], SubmissionBegun()) for order_id in order_ids]
    moved = await a_recorder(practice, services).hear(heard, now=await services.ledger.now())
    return [moved[order_id] for order_id in order_ids]


def test_order_whose_carrier_order_belongs_to_another_is_parked(practice: Practice) -> None:
    """Two orders of ours, one at the carrier: the second is parked, and its producer is notified."""
    asked = {"notify": {"task": "crm.moved", "queue": "crm", "on": ["PARKED"]}}

    async def second_claims_it() -> None:
        async with practice.opened() as services:
            order_ids = await accept(services, an_order("one"), an_order("two", **asked), an_order("three"))
            one, two, three = await begin(practice, services, order_ids)
            moved = await a_recorder(practice, services).hear(
                [
                    Heard(one, Acknowledged(CARRIER_ORDER_ID), attempt_number=1),
                    Heard(two, Acknowledged(CARRIER_ORDER_ID), attempt_number=1),
                    Heard(three, Acknowledged(CarrierOrderId("another")), attempt_number=1),
                ],
                now=await services.ledger.now(),
            )
            stored = await services.ledger.orders.read(order_ids)
            assert [stored[order_id].state.value for order_id in order_ids] == ["OPEN", "PARKED", "OPEN"]
            assert {order_id: order.state for order_id, order in moved.items()} == {
                order_id: order.state for order_id, order in stored.items()
            }
            await work(services, Lane.TELL)
            (document,) = practice.notifier.delivered
            assert (document["key"], document["state"]) == ("two", "PARKED")
            assert str(CARRIER_ORDER_ID) in document["reason"]
            assert practice.alarms() == [("carrier_order_taken", 1)]
            assert practice.rows("SELECT lane FROM owed WHERE order_id = %(id)s", id=order_ids[1]) == []

    run(second_claims_it())


def test_event_that_cannot_be_stored_does_not_stop_the_others(practice: Practice) -> None:
    """PostgreSQL refuses one event: the others are written, an alarm is raised, and the order keeps its work."""

    async def refused() -> None:
        async with practice.opened() as services:
            order_ids = await accept(services, an_order("one"), an_order("two"), an_order("three"))
            orders = await begin(practice, services, order_ids)
            events: list[Event] = [
                Acknowledged(CarrierOrderId("first")),
                Filled("COMPLETE", (NumberResult(E164("no number"), NumberState.ACQUIRED),)),
                Acknowledged(CarrierOrderId("third")),
            ]
            heard = [Heard(order, event, attempt_number=1) for order, event in zip(orders, events, strict=True)]
            moved = await a_recorder(practice, services).hear(heard, now=await services.ledger.now())
            assert set(moved) == {order_ids[0], order_ids[2]}
            assert practice.order(order_ids[1])["state"] == "SUBMITTING"
            assert practice.alarms() == [("event_not_storable", 1)]

    run(refused())


def test_two_events_of_one_order_are_both_recorded(practice: Practice) -> None:
    """A question that outlived its lease was asked again, and both answers come together."""

    async def both() -> None:
        async with practice.opened() as services:
            order_ids = await accept(services, an_order("one"), an_order("two"))
            recorder, now = a_recorder(practice, services), await services.ledger.now()
            orders = await begin(practice, services, order_ids)
            named = [
                Heard(order, Acknowledged(CarrierOrderId(order.request.key)), attempt_number=1) for order in orders
            ]
            opened = await recorder.hear(named, now=now)
            one, two = opened[order_ids[0]], opened[order_ids[1]]
            await recorder.hear(
                [
                    Heard(one, StillOpen("PROCESSING")),
                    Heard(two, StillOpen("PROCESSING")),
                    Heard(one, Filled("COMPLETED", (RALEIGH,))),
                ],
                now=now,
            )
            assert practice.order(one.order_id)["state"] == "COMPLETED"
            assert practice.order(two.order_id)["carrier_status"] == "PROCESSING"

    run(both())


def test_answer_is_recorded_although_the_order_has_moved(practice: Practice) -> None:
    """Another worker gave the submission up just before its answer came."""

    async def late() -> None:
        async with practice.opened() as services:
            (order_id,) = await accept(services)
            (sent,) = await begin(practice, services, [order_id])
            recorder, now = a_recorder(practice, services), await services.ledger.now()
            await recorder.hear([Heard(sent, AnswerLost("no answer came"), attempt_number=1)], now=now)
            await recorder.hear([Heard(sent, Acknowledged(CARRIER_ORDER_ID), attempt_number=1)], now=now)
            assert practice.story(order_id)[-2:] == ["AnswerLost", "Acknowledged"]
            assert practice.order(order_id)["state"] == "OPEN"
            await recorder.hear([Heard(sent, NotSent("refused connection"), attempt_number=1)], now=now)
            assert practice.order(order_id)["state"] == "OPEN"

    run(late())


def test_order_that_was_open_before_it_ended_contradicts_no_end(practice: Practice) -> None:
    """A worker stood still with its answer, and another heard the end. Numbers do contradict it, and later answers."""

    async def late() -> None:
        async with practice.opened() as services:
            (order_id,) = await accept(services)
            (sent,) = await begin(practice, services, [order_id])
            recorder, now = a_recorder(practice, services), await services.ledger.now()
            named = Heard(sent, Acknowledged(CARRIER_ORDER_ID), attempt_number=1)
            opened = (await recorder.hear([named], now=now))[order_id]
            ended = (await recorder.hear([Heard(opened, Refused("FAILED", "none left"))], now=now))[order_id]
            await recorder.hear([Heard(opened, StillOpen("PROCESSING"))], now=now)
            assert practice.story(order_id)[-1] == "Refused"
            assert practice.alarms() == []
            await recorder.hear([Heard(ended, StillOpen("PROCESSING"))], now=now)
            assert practice.alarms() == [("end_contradicted", 1)]
            await recorder.hear([Heard(opened, StillOpen("PROCESSING", (RALEIGH,)))], now=now)
            assert practice.alarms() == [("end_contradicted", 2)]

    run(late())


def test_order_cancelled_while_it_is_being_sent_is_either_sent_or_cancelled(practice: Practice) -> None:
    """Ten orders, each cancelled at the moment of sending: what was cancelled was never bought.

    An order that has arrived by then is bought all the same: it is no backorder, and cannot be closed any more.
    """

    async def race() -> None:
        async with practice.opened() as services, practice.opened() as other:
            order_ids = await accept(services, *(an_order(f"crm-{i}") for i in range(10)))
            cancels = [other.orders.cancel(order_id, by="producer") for order_id in order_ids]
            outcomes, _ = await asyncio.gather(
                asyncio.gather(*cancels, return_exceptions=True), work(services, Lane.SUBMIT)
            )
            await work_until_idle(practice, services)
            for order_id, outcome in zip(order_ids, outcomes, strict=True):
                state, sold = practice.order(order_id)["state"], practice.sold(order_id)
                if isinstance(outcome, Order) and outcome.state is State.CANCELLED:
                    assert (state, sold) == ("CANCELLED", [])
                else:
                    assert isinstance(outcome, Order | NotCancellable)
                    assert (state, len(sold)) == ("COMPLETED", 1)

    run(race())


def test_five_cancellations_at_once_are_one_cancellation(practice: Practice) -> None:
    """Every caller learns that the order is cancelled."""

    async def five() -> None:
        async with practice.opened() as services, practice.opened() as other:
            for attempt in range(5):
                (order_id,) = await accept(services, an_order(f"crm-{attempt}"))
                services_in_order = [services.orders, other.orders, services.orders, other.orders, services.orders]
                found = await asyncio.gather(*(orders.cancel(order_id, by="producer") for orders in services_in_order))
                assert {order.state.value for order in found} == {"CANCELLED"}
                assert practice.story(order_id) == ["OrderAccepted", "CancelAsked"]

    run(five())


def test_order_is_cancelled_although_the_answer_of_the_ledger_was_lost(practice: Practice) -> None:
    """The connection broke after the commit: the caller learns that the order is cancelled."""

    async def unheard() -> None:
        async with practice.opened() as services:
            for statement in range(1, 8):
                (order_id,) = await accept(services, an_order(f"crm-{statement}"))
                connection = FailingConnection(statement, tries=1, after_commit=True)
                async with practice.opened(connection.ledger(services.ledger)) as failing:
                    assert (await failing.orders.cancel(order_id, by="producer")).state.value == "CANCELLED"

    run(unheard())


def test_order_that_moved_but_may_still_be_cancelled_is_cancelled(practice: Practice) -> None:
    """Between reading and writing, an attempt to send it failed."""

    async def moved() -> None:
        async with practice.opened() as services:
            (order_id,) = await accept(services)
            seen = (await services.ledger.orders.read([order_id]))[order_id]
            (sent,) = await begin(practice, services, [order_id])
            recorder, now = a_recorder(practice, services), await services.ledger.now()
            await recorder.hear([Heard(sent, NotSent("refused connection"), attempt_number=1)], now=now)
            stale = stale_once(services.ledger, seen)
            async with practice.opened(stale) as late:
                assert (await late.orders.cancel(order_id, by="producer")).state.value == "CANCELLED"

    run(moved())


def test_order_goes_on_although_those_who_watch_it_break(practice: Practice) -> None:
    """Metrics on a full disk, a tracer with a bug: the order is bought once, and its end is told."""

    class Broken:
        def __getattr__(self, name: str) -> Any:
            raise OSError(errno.ENOSPC, f"No space left on device: {name}")

    async def buy() -> None:
        async with practice.opened(watched_by=Broken()) as services:
            (order_id,) = await accept(services)
            await work_until_idle(practice, services)
            assert practice.order(order_id)["state"] == "COMPLETED"
            assert "AnswerLost" not in practice.story(order_id)

    run(buy())
