"""What is heard is written down whole, whoever else is writing, and one order's trouble stays its own."""

import asyncio
from collections.abc import Sequence

from number_orders.fulfilment.recorder import Heard, Recorder
from number_orders.fulfilment.runtime import Services
from number_orders.orders.errors import NotCancellable
from number_orders.orders.events import Acknowledged, AnswerLost, Event, Filled, NotSent, StillOpen, SubmissionBegun
from number_orders.orders.model import CarrierOrderId, Lane, NumberResult, NumberState, Order, OrderId, State
from number_orders.orders.numbers import E164
from tests.integration.fulfilment.breaking import Line, stale_once
from tests.integration.fulfilment.practice import BANDWIDTH, Practice, accept, an_order, live, run, work

THEIRS = CarrierOrderId("11111111-2222-3333-4444-555555555555")
RALEIGH = NumberResult(E164("+19196362098"), NumberState.ACQUIRED)


def a_recorder(practice: Practice, services: Services) -> Recorder:
    return Recorder(services.ledger, {BANDWIDTH: practice.policy})


async def begun(practice: Practice, services: Services, order_ids: Sequence[OrderId]) -> list[Order]:
    """Begin to send orders, without sending them."""
    orders = await services.ledger.orders.read(order_ids)
    heard = [Heard(orders[order_id], SubmissionBegun()) for order_id in order_ids]
    moved = await a_recorder(practice, services).hear(heard, now=await services.ledger.now())
    return [moved[order_id] for order_id in order_ids]


def test_an_order_of_the_carriers_that_is_anothers_is_parked_and_told(practice: Practice) -> None:
    """Two orders of ours, one at the carrier: the second is for a person, and its producer hears of it."""
    asked = {"notify": {"task": "crm.moved", "queue": "crm", "on": ["PARKED"]}}

    async def impostor() -> None:
        async with practice.opened() as services:
            order_ids = await accept(services, an_order("one"), an_order("two", **asked), an_order("three"))
            one, two, three = await begun(practice, services, order_ids)
            moved = await a_recorder(practice, services).hear(
                [
                    Heard(one, Acknowledged(THEIRS), attempt_number=1),
                    Heard(two, Acknowledged(THEIRS), attempt_number=1),
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
            (told,) = practice.notifier.kept
            assert (told["key"], told["state"]) == ("two", "PARKED")
            assert str(THEIRS) in told["reason"]
            assert practice.alarms() == [("carrier_order_taken", 1)]
            assert practice.rows("SELECT lane FROM owed WHERE order_id = %(id)s", id=order_ids[1]) == []

    run(impostor())


def test_an_event_that_cannot_be_stored_takes_no_other_down_with_it(practice: Practice) -> None:
    """PostgreSQL refuses one order's news: the others' are written, a person is called, and the order stays owed."""

    async def refused() -> None:
        async with practice.opened() as services:
            order_ids = await accept(services, an_order("one"), an_order("two"), an_order("three"))
            orders = await begun(practice, services, order_ids)
            events: list[Event] = [
                Acknowledged(CarrierOrderId("first")),
                AnswerLost("half a character: \ud800"),
                Acknowledged(CarrierOrderId("third")),
            ]
            heard = [Heard(order, event, attempt_number=1) for order, event in zip(orders, events, strict=True)]
            moved = await a_recorder(practice, services).hear(heard, now=await services.ledger.now())
            assert set(moved) == {order_ids[0], order_ids[2]}
            assert practice.order(order_ids[1])["state"] == "SUBMITTING"
            assert practice.alarms() == [("event_not_storable", 1)]

    run(refused())


def test_of_two_pieces_of_news_about_one_order_neither_is_lost(practice: Practice) -> None:
    """A question that outlived its lease was asked again, and both answers land together."""

    async def both() -> None:
        async with practice.opened() as services:
            order_ids = await accept(services, an_order("one"), an_order("two"))
            recorder, now = a_recorder(practice, services), await services.ledger.now()
            orders = await begun(practice, services, order_ids)
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


def test_an_answer_is_heard_however_often_the_order_moves_meanwhile(practice: Practice) -> None:
    """The worker that asked gave the submission up just before its answer came."""

    async def late() -> None:
        async with practice.opened() as services:
            (order_id,) = await accept(services)
            (sent,) = await begun(practice, services, [order_id])
            recorder, now = a_recorder(practice, services), await services.ledger.now()
            await recorder.hear([Heard(sent, AnswerLost("nobody came back"), attempt_number=1)], now=now)
            await recorder.hear([Heard(sent, Acknowledged(THEIRS), attempt_number=1)], now=now)
            assert practice.story(order_id)[-2:] == ["AnswerLost", "Acknowledged"]
            assert practice.order(order_id)["state"] == "OPEN"
            await recorder.hear([Heard(sent, NotSent("refused connection"), attempt_number=1)], now=now)
            assert practice.order(order_id)["state"] == "OPEN"

    run(late())


def test_an_order_called_back_while_it_is_sent_is_either_sent_or_called_back(practice: Practice) -> None:
    """Ten orders, each cancelled the moment it may be leaving: what was cancelled was never bought.

    One that has arrived by then hears the wish, and is bought all the same: it waits for nothing.
    """

    async def race() -> None:
        async with practice.opened() as services, practice.opened() as other:
            order_ids = await accept(services, *(an_order(f"crm-{i}") for i in range(10)))
            cancels = [other.orders.cancel(order_id, by="producer") for order_id in order_ids]
            outcomes, _ = await asyncio.gather(
                asyncio.gather(*cancels, return_exceptions=True), work(services, Lane.SUBMIT)
            )
            await live(practice, services)
            for order_id, outcome in zip(order_ids, outcomes, strict=True):
                state, sold = practice.order(order_id)["state"], practice.sold(order_id)
                if isinstance(outcome, Order) and outcome.state is State.CANCELLED:
                    assert (state, sold) == ("CANCELLED", [])
                else:
                    assert isinstance(outcome, Order | NotCancellable)
                    assert (state, len(sold)) == ("COMPLETED", 1)

    run(race())


def test_calling_back_is_calling_back_however_many_do_it(practice: Practice) -> None:
    """Five at once: all of them hear that the order is cancelled."""

    async def five() -> None:
        async with practice.opened() as services, practice.opened() as other:
            for turn in range(5):
                (order_id,) = await accept(services, an_order(f"crm-{turn}"))
                services_in_order = [services.orders, other.orders, services.orders, other.orders, services.orders]
                found = await asyncio.gather(*(desk.cancel(order_id, by="producer") for desk in services_in_order))
                assert {order.state.value for order in found} == {"CANCELLED"}
                assert practice.story(order_id) == ["OrderAccepted", "CancelAsked"]

    run(five())


def test_a_cancellation_whose_commit_was_not_heard_of_is_a_cancellation(practice: Practice) -> None:
    """The connection broke after the commit: the order is cancelled, and the caller hears so."""

    async def unheard() -> None:
        async with practice.opened() as services:
            for statement in range(1, 8):
                (order_id,) = await accept(services, an_order(f"crm-{statement}"))
                line = Line(statement, tries=1, after_commit=True)
                async with practice.opened(line.ledger(services.ledger)) as shaken:
                    assert (await shaken.orders.cancel(order_id, by="producer")).state.value == "CANCELLED"

    run(unheard())


def test_an_order_that_moved_but_may_still_be_called_back_is_called_back(practice: Practice) -> None:
    """An attempt to send it came to nothing between the reading and the writing of the cancellation."""

    async def moved() -> None:
        async with practice.opened() as services:
            (order_id,) = await accept(services)
            seen = (await services.ledger.orders.read([order_id]))[order_id]
            (sent,) = await begun(practice, services, [order_id])
            recorder, now = a_recorder(practice, services), await services.ledger.now()
            await recorder.hear([Heard(sent, NotSent("refused connection"), attempt_number=1)], now=now)
            stale = stale_once(services.ledger, seen)
            async with practice.opened(stale) as late:
                assert (await late.orders.cancel(order_id, by="producer")).state.value == "CANCELLED"

    run(moved())
