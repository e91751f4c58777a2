"""Carrier orders with an order's reference besides the one that it follows are remembered, asked about, and told."""

from datetime import timedelta

import pytest

from number_orders.fulfilment.recorder import Heard, Recorder
from number_orders.fulfilment.runtime import Services
from number_orders.orders.errors import NotCancellable, NotResolvable
from number_orders.orders.events import (
    Acknowledged,
    Adopted,
    AnswerLost,
    Event,
    Filled,
    FoundTwice,
    Refused,
    SentAgain,
    StillOpen,
    WrittenOff,
)
from number_orders.orders.model import Lane, OrderId
from number_orders.orders.policy import CarrierPolicy
from tests.integration.fulfilment.practice import BANDWIDTH, SETTLED, Practice, accept, an_order, run, work
from tests.integration.fulfilment.test_settling import E164S, A, B, Scripted, bought, held, look, send, send_twice

A_DAY_LATER = timedelta(hours=25)


@pytest.fixture
def lagging(practice: Practice) -> Practice:
    practice.policy = CarrierPolicy()
    return practice


async def adopt_by_hand(practice: Practice, services: Services) -> OrderId:
    """Adopt a carrier order for one that was never sent."""
    (order_id,) = await accept(services, an_order(quantity=3))
    await services.orders.park(order_id, by="ana", why="I have bought it by hand")
    await services.orders.resolve(order_id, Adopted(A, "ana", "this one"))
    await look(practice, services)
    await services.orders.park(order_id, by="ana", why="too slow")
    practice.pass_time(hours=1)
    return order_id


def test_an_adopted_order_is_not_sent_again_while_it_lives(lagging: Practice) -> None:
    """By the ledger it was never sent."""

    async def scenario() -> None:
        carrier = Scripted(answers=[Acknowledged(B, "RECEIVED")], stands={A: StillOpen("BACKORDERED", slow=True)})
        async with lagging.opened(adapter=carrier) as services:
            order_id = await adopt_by_hand(lagging, services)
            with pytest.raises(NotResolvable, match="both would be bought"):
                await services.orders.resolve(order_id, SentAgain("ana", "try again"))

    run(scenario())


def test_an_adopted_order_that_is_closed_by_hand_is_looked_at_later(lagging: Practice) -> None:
    """It was backordered then, and buys afterwards."""

    async def scenario() -> None:
        carrier = Scripted(stands={A: StillOpen("BACKORDERED", slow=True)})
        async with lagging.opened(adapter=carrier) as services:
            order_id = await adopt_by_hand(lagging, services)
            await services.orders.resolve(order_id, WrittenOff("ana", "not wanted"))
            carrier.stands[A] = Filled("COMPLETED", bought(0, 1, 2))
            await look(lagging, services, A_DAY_LATER, times=2)
            assert held(lagging) == E164S[:3]
            assert lagging.alarms() == [("bought_twice", 1)]

    run(scenario())


def test_a_late_look_that_fails_for_too_long_raises_an_alarm(lagging: Practice) -> None:
    """What else the order has bought would never be known."""

    async def scenario() -> None:
        carrier = Scripted(stands={A: StillOpen("BACKORDERED", slow=True)})
        async with lagging.opened(adapter=carrier) as services:
            order_id = await adopt_by_hand(lagging, services)
            await services.orders.resolve(order_id, WrittenOff("ana", "not wanted"))
            await look(lagging, services, A_DAY_LATER, times=20)
            carrier.stands.clear()
            await look(lagging, services, A_DAY_LATER)
            assert lagging.alarms() == [], "it has failed once"
            await look(lagging, services, timedelta(hours=1), times=20)
            (alarm,) = lagging.rows("SELECT what, detail FROM alarms")
            assert alarm["what"] == "overdue"
            assert "the carrier gives no answer" in alarm["detail"]

    run(scenario())


def test_a_hurried_late_look_leaves_that_of_the_day(lagging: Practice) -> None:
    """A minute after the end the list still lags."""

    async def scenario() -> None:
        carrier = Scripted(stands={A: Filled("COMPLETED", bought(0, 1, 2)), B: Filled("COMPLETED", bought(3, 4, 5))})
        async with lagging.opened(adapter=carrier) as services:
            order_id = await send_twice(lagging, services, carrier)
            await look(lagging, services)
            await services.orders.retry([order_id], by="ana", why="the bill", lane=Lane.ASK)
            await work(services, Lane.ASK)
            assert lagging.alarms() == []
            carrier.listed = FoundTwice((A, B))
            await look(lagging, services, A_DAY_LATER, times=2)
            assert lagging.alarms() == [("bought_twice", 1)]

    run(scenario())


def test_an_order_cancelled_after_a_doubt_is_looked_for_later(lagging: Practice) -> None:
    """It never arrived, as the list said, and was waiting to be sent again."""

    async def scenario() -> None:
        carrier = Scripted(answers=[AnswerLost("timed out")])
        async with lagging.opened(adapter=carrier) as services:
            order_id = await send(services)
            await look(lagging, services, times=4)
            assert lagging.order(order_id)["state"] == "ACCEPTED"
            await services.orders.cancel(order_id, by="crm", why="not wanted")
            carrier.listed, carrier.stands[A] = Acknowledged(A, "COMPLETE"), Filled("COMPLETE", bought(0, 1, 2))
            await look(lagging, services, A_DAY_LATER, times=2)
            assert lagging.order(order_id)["state"] == "CANCELLED"
            assert held(lagging) == E164S[:3]
            assert lagging.alarms() == [("bought_twice", 1)]

    run(scenario())


@pytest.mark.parametrize(
    ("first", "state", "numbers"),
    [
        (Refused("no stock", None, "FAILED"), "COMPLETED", E164S[:3]),
        (Filled("COMPLETE", bought(3, 4, 5)), "COMPLETED_WITH_ERRORS", E164S[:6]),
    ],
    ids=["one bought", "both bought"],
)
def test_of_two_orders_found_after_a_fall_both_are_followed(
    lagging: Practice, first: Event, state: str, numbers: list[str]
) -> None:
    """A person adopts the first of them, and nobody sends it again."""

    async def scenario() -> None:
        async with lagging.opened(adapter=Scripted()):
            lagging.remember()
        lagging.fall_back()
        carrier = Scripted(stands={A: first, B: Filled("COMPLETE", bought(0, 1, 2))}, listed=FoundTwice((A, B)))
        async with lagging.opened(adapter=carrier) as services:
            (order_id,) = await accept(services, an_order(quantity=3))
            await work(services, Lane.SUBMIT)
            await look(lagging, services, times=2)
            order = lagging.order(order_id)
            assert (order["state"], order["carrier_order_id"], order["other_carrier_orders"]) == ("PARKED", A, [B])
            await services.orders.resolve(order_id, Adopted(A, "ana", "the first one"))
            await look(lagging, services, times=8)
            assert (lagging.order(order_id)["state"], held(lagging)) == (state, numbers)
            assert ("bought_twice" in dict(lagging.alarms())) is (len(numbers) > 3)

    run(scenario())


@pytest.mark.parametrize("by_question", [False, True], ids=["late answer", "question out meanwhile"])
def test_an_order_that_is_heard_of_after_it_was_parked_is_not_sent_again(
    lagging: Practice, *, by_question: bool
) -> None:
    """The list lags still, but the story says that the carrier has it."""

    async def scenario() -> None:
        carrier = Scripted(answers=[AnswerLost("timed out")], stands={A: Filled("COMPLETE", bought(0, 1, 2))})
        async with lagging.opened(adapter=carrier) as services:
            order_id = await send(services)
            before = (await services.ledger.orders.read([order_id]))[order_id]
            await services.orders.park(order_id, by="ana", why="what is this")
            recorder, now = Recorder(services.ledger, {BANDWIDTH: lagging.policy}), await services.ledger.now()
            attempt = None if by_question else before.sends
            await recorder.hear([Heard(before, Acknowledged(A, "RECEIVED"), attempt_number=attempt)], now=now)
            lagging.pass_time(hours=1)
            with pytest.raises(NotResolvable, match=f"bandwidth has {A}"):
                await services.orders.resolve(order_id, SentAgain("ana", "nothing in the list"))

    run(scenario())


def test_a_cancellation_that_comes_twice_does_not_undo_a_decision(lagging: Practice) -> None:
    """Whoever wants it cancelled once more says why."""
    lagging.policy = SETTLED

    async def scenario() -> None:
        async with lagging.opened(adapter=Scripted(stands={A: Refused("no stock", None, "FAILED")})) as services:
            order_id = await send(services)
            await services.orders.cancel(order_id, by="crm", why="mistake")
            await services.orders.park(order_id, by="ana", why="they want it after all")
            lagging.pass_time(hours=1)
            await services.orders.resolve(order_id, SentAgain("ana", "they want it after all"))
            with pytest.raises(NotCancellable, match="cancelled with these words and has gone on since"):
                await services.orders.cancel(order_id, by="crm", why="mistake")
            assert lagging.order(order_id)["state"] == "ACCEPTED"
            await services.orders.cancel(order_id, by="crm", why="really not")
            assert lagging.order(order_id)["state"] == "CANCELLED"

    run(scenario())
