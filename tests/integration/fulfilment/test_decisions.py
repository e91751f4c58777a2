"""What people decide about parked orders is carried out once, and only when it still fits the order."""

import asyncio
from collections.abc import Sequence
from contextlib import closing
from datetime import timedelta
from typing import Any

import pytest
from uuid_utils.compat import uuid7

from number_orders.fulfilment.recorder import Heard, Recorder
from number_orders.fulfilment.runtime import Services
from number_orders.ledger.history import History, Story
from number_orders.ledger.ledger import Ledger, PostgresLedger
from number_orders.ledger.pauses import HeldBy
from number_orders.orders.errors import NotParkable, NotResolvable, UnknownOrder
from number_orders.orders.events import (
    Acknowledged,
    Adopted,
    Event,
    Parked,
    Resolution,
    SentAgain,
    StillOpen,
    SubmissionBegun,
    WrittenOff,
)
from number_orders.orders.model import CarrierOrderId, Lane, Order, OrderId, State
from number_orders.orders.policy import CarrierPolicy
from tests.integration.fulfilment.portal import BandwidthPortal
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
from tests.pace import arrivals, most_in_a_second

AGAIN = SentAgain("ana", "not in the dashboard")
OFF = WrittenOff("ana", "the customer went away")


async def record_event(ledger: Ledger, order_id: OrderId, event: Event) -> None:
    """Record an event of an order."""
    order = (await ledger.orders.read([order_id]))[order_id]
    await Recorder(ledger, {BANDWIDTH: CarrierPolicy()}).hear([Heard(order, event)], now=await ledger.now())


async def accept_and_park(services: Services, key: str = "crm-1", **changes: Any) -> OrderId:
    """Take an order in, and park it."""
    (order_id,) = await accept(services, an_order(key, **changes))
    await record_event(services.ledger, order_id, Parked("not known"))
    return order_id


def test_order_sent_again_is_bought_once(practice: Practice) -> None:
    """It never arrived, and a person made sure of that. From then on the service continues by itself."""
    practice.policy = CarrierPolicy(resend_when_absent=False)

    async def whole() -> None:
        async with practice.opened() as services:
            practice.carrier.fault("drop_before", times=1, **POST)
            (order_id,) = await accept(services)
            await work_until_idle(practice, services)
            assert practice.order(order_id)["state"] == "PARKED"
            order = await services.orders.resolve(order_id, AGAIN)
            assert order.state is State.ACCEPTED
            assert (BANDWIDTH, Lane.SUBMIT) in practice.bell.rung
            await work_until_idle(practice, services)
            assert practice.order(order_id)["state"] == "COMPLETED"
            assert practice.differences(order_id) == []

    run(whole())


def test_looks_before_orders_are_sent_again_keep_to_the_limits(practice: Practice) -> None:
    """Three people decide at once. The carrier allows two such questions a second, and each leaves a receipt."""
    practice.policy, practice.rates = CarrierPolicy(resend_when_absent=False), {"HISTORY": 2.0}
    practice.carrier.fault("drop_before", times=3, **POST)

    async def at_once() -> None:
        async with practice.opened() as services:
            order_ids = await accept(services, *(an_order(f"crm-{i}") for i in range(3)))
            await work_until_idle(practice, services)
            assert {practice.order(order_id)["state"] for order_id in order_ids} == {"PARKED"}
            decided_at = await services.ledger.now()
            await asyncio.gather(*(services.orders.resolve(order_id, AGAIN) for order_id in order_ids))
            assert most_in_a_second(arrivals(practice.carrier.report(decided_at), "GET")) <= 2
            receipts = "SELECT DISTINCT order_id FROM receipts WHERE at >= %(at)s AND request LIKE 'GET%%'"
            assert len(practice.rows(receipts, at=decided_at)) == 3

    run(at_once(), within_s=120)


def test_look_that_is_told_of_too_many_requests_pauses_the_limit(practice: Practice) -> None:
    """The order stays parked, and the lanes ask nothing more until the carrier wants to be asked again."""
    practice.policy = CarrierPolicy(resend_when_absent=False)
    practice.carrier.fault("drop_before", times=1, **POST)

    async def limited() -> None:
        async with practice.opened() as services:
            (order_id,) = await accept(services)
            await work_until_idle(practice, services)
            practice.carrier.fault("empty", status=429, processed=False, times=1, method="GET")
            with pytest.raises(NotResolvable, match=r"was asked about it first, without an answer: .*429"):
                await services.orders.resolve(order_id, AGAIN)
            assert practice.order(order_id)["state"] == "PARKED"
            _, (hold,) = await services.ledger.pauses.holds()
            assert (hold.held_by, hold.limit_group) == (HeldBy.LIMIT, "HISTORY")

    run(limited())


def test_adopted_order_is_followed_to_its_end(practice: Practice) -> None:
    """It had arrived after all, and its answer was lost."""

    async def whole() -> None:
        async with practice.opened() as services:
            practice.carrier.fault("drop_after", times=1, **POST)
            (order_id,) = await accept(services)
            await work(services, Lane.SUBMIT)
            await record_event(services.ledger, order_id, Parked("not known"))
            (carrier_order,) = practice.sold(order_id)
            found = Adopted(CarrierOrderId(carrier_order["order_id"]), "ana", "seen in the dashboard")
            assert (await services.orders.resolve(order_id, found)).state is State.OPEN
            await work_until_idle(practice, services)
            assert practice.differences(order_id) == []

    run(whole())


def test_order_that_is_written_off_fails_and_its_producer_is_notified(practice: Practice) -> None:
    """The person's words are the reason."""

    async def whole() -> None:
        async with practice.opened() as services:
            order_id = await accept_and_park(services, notify={"task": "crm.ended", "queue": "crm"})
            assert (await services.orders.resolve(order_id, OFF)).state is State.FAILED
            await work(services, Lane.TELL)
        (document,) = practice.notifier.delivered
        assert (document["state"], document["reason"]) == ("FAILED", "ana: the customer went away")
        assert practice.sold() == []

    run(whole())


def test_carrier_order_can_be_adopted_once(practice: Practice) -> None:
    """The second adoption is refused with the owner's id, and the order stays parked for the same reason."""

    async def whole() -> None:
        async with practice.opened() as services:
            (owner,) = await accept(services, an_order("crm-1"))
            await work_until_idle(practice, services)
            order_id = await accept_and_park(services, "crm-2")
            before = practice.order(order_id)
            carrier_order_id = CarrierOrderId(practice.order(owner)["carrier_order_id"])
            with pytest.raises(
                NotResolvable, match=f"cannot adopt bandwidth's order {carrier_order_id}.* belongs to order {owner}"
            ):
                await services.orders.resolve(order_id, Adopted(carrier_order_id, "ana", "seen"))
            assert practice.order(order_id) == before
            assert practice.alarms() == []
            assert (await services.orders.resolve(order_id, OFF)).state is State.FAILED

    run(whole())


def test_carrier_order_of_an_archived_order_cannot_be_adopted(practice: Practice) -> None:
    """Neither by a person, who is told the owner, nor because the carrier names it again."""

    async def whole() -> None:
        async with practice.opened() as services:
            (owner,) = await accept(services, an_order("crm-1"))
            await work_until_idle(practice, services)
            carrier_order_id = CarrierOrderId(practice.order(owner)["carrier_order_id"])
            practice.pass_time(days=60)
            await services.orders.forget()
            assert await services.ledger.archive.copy(timedelta(days=31)) == 1
            practice.pass_time(minutes=11)
            assert await services.ledger.archive.remove() == (1, 1)

            order_id = await accept_and_park(services, "crm-2")
            with pytest.raises(NotResolvable, match=f"which belongs to order {owner} of ours"):
                await services.orders.resolve(order_id, Adopted(carrier_order_id, "ana", "seen"))
            assert practice.order(order_id)["state"] == "PARKED"
            assert (await services.orders.resolve(order_id, AGAIN)).state is State.ACCEPTED
            await record_event(services.ledger, order_id, SubmissionBegun())
            await record_event(services.ledger, order_id, Acknowledged(carrier_order_id, "RECEIVED"))
            assert practice.order(order_id)["state"] == "PARKED"
            assert practice.alarms() == [("carrier_order_taken", 1)]
            assert await services.ledger.archive.restore([owner]) == [owner]

    run(whole())


def test_decision_sent_twice_is_carried_out_once(practice: Practice) -> None:
    """A message may come twice; by then the order may have ended, or be parked again for another reason."""

    async def whole() -> None:
        async with practice.opened() as services:
            order_id = await accept_and_park(services)
            await services.orders.resolve(order_id, AGAIN)
            assert (await services.orders.resolve(order_id, AGAIN)).state is State.ACCEPTED
            await record_event(services.ledger, order_id, Parked("and again"))
            with pytest.raises(NotResolvable, match="PARKED again since this was decided"):
                await services.orders.resolve(order_id, AGAIN)
            await services.orders.resolve(order_id, SentAgain("ana", "looked again: still not there"))
            await work_until_idle(practice, services)
            assert (await services.orders.resolve(order_id, AGAIN)).state is State.COMPLETED
            assert practice.story(order_id).count("SentAgain") == 2
            assert practice.differences(order_id) == []

    run(whole())


def test_one_of_two_decisions_made_at_once_is_carried_out(practice: Practice) -> None:
    """The other person learns the state of the order. The same decision gets the same answer."""

    async def whole() -> None:
        async with practice.opened() as services:
            order_id = await accept_and_park(services)
            decisions: Sequence[Resolution] = [AGAIN, OFF, AGAIN, OFF]
            answers = await asyncio.gather(
                *(services.orders.resolve(order_id, d) for d in decisions), return_exceptions=True
            )
            accepted = [isinstance(answer, Order) for answer in answers]
            assert accepted in ([True, False] * 2, [False, True] * 2), answers
            assert all(isinstance(answer, Order | NotResolvable) for answer in answers)
            assert len(practice.story(order_id)) == 3

    run(whole())


def test_decision_is_void_if_the_order_moves_meanwhile(practice: Practice) -> None:
    """The carrier reports the order while the decision is carried out: nothing is sent."""

    class Busy(History):
        async def story(self, order_id: OrderId, *, receipts_max: int | None = None) -> Story:
            found = await super().story(order_id, receipts_max=receipts_max)
            if len(found.events) == 2:
                await record_event(Ledger(self._database), order_id, StillOpen("PROCESSING"))
            return found

    async def whole() -> None:
        async with PostgresLedger.at(practice.url) as quiet, practice.opened(quiet) as services:
            await quiet.schedule.open_lanes([BANDWIDTH])
            order_id = await accept_and_park(services)
        async with PostgresLedger.at(practice.url) as busy:
            busy.history = Busy(busy.database, busy.orders, busy.numbers, busy.schedule)
            async with practice.opened(busy) as services:
                with pytest.raises(NotResolvable, match="something was heard of it just now"):
                    await services.orders.resolve(order_id, AGAIN)
                assert practice.story(order_id) == ["OrderAccepted", "Parked", "StillOpen"]
                assert (await services.orders.resolve(order_id, AGAIN)).state is State.ACCEPTED

    run(whole())


@pytest.mark.parametrize("decision", [AGAIN, OFF, Adopted(CarrierOrderId("0aac"), "ana", "seen")])
def test_decision_about_an_order_that_is_not_parked_is_refused(practice: Practice, decision: Resolution) -> None:
    """Accepted, ended, or unknown: refused, and nothing moves."""

    async def whole() -> None:
        async with practice.opened() as services:
            (order_id,) = await accept(services)
            with pytest.raises(NotResolvable, match="is ACCEPTED: only a parked order"):
                await services.orders.resolve(order_id, decision)
            await work_until_idle(practice, services)
            with pytest.raises(NotResolvable, match="is COMPLETED: it is over"):
                await services.orders.resolve(order_id, decision)
            with pytest.raises(UnknownOrder):
                await services.orders.resolve(OrderId(uuid7()), decision)
            assert practice.differences(order_id) == []

    run(whole())


def test_an_order_that_the_carrier_has_is_not_sent_again(practice: Practice) -> None:
    """The carrier is asked first: both orders would be bought."""

    async def whole() -> None:
        async with practice.opened() as services:
            (order_id,) = await accept(services)
            await work(services, Lane.SUBMIT)
            await services.orders.park(order_id, by="ana", why="it takes too long")
            with pytest.raises(NotResolvable, match=r"cannot be sent again: bandwidth has .*, and both would be"):
                await services.orders.resolve(order_id, AGAIN)
            assert practice.order(order_id)["state"] == "PARKED"
            assert len(practice.sold(order_id)) == 1

    run(whole())


def test_an_order_that_was_refused_is_sent_again_once_the_refusal_has_stood(practice: Practice) -> None:
    """A carrier may say that an order failed, and list its numbers a little later."""
    practice.policy = CarrierPolicy(settle_after=timedelta(minutes=2))

    async def whole() -> None:
        async with practice.opened() as services:
            (order_id,) = await accept(services, an_order(numbers=["+19195559902"], criteria=None, quantity=None))
            await work(services, Lane.SUBMIT)
            await services.orders.park(order_id, by="ana", why="it takes too long")
            practice.carrier.advance(60)
            for minutes in (0, 1):
                practice.pass_time(minutes=minutes)
                with pytest.raises(NotResolvable, match=r"\(it says FAILED\), whose numbers .* decide again after 20"):
                    await services.orders.resolve(order_id, AGAIN)
            practice.pass_time(minutes=1.1)
            assert (await services.orders.resolve(order_id, AGAIN)).state is State.ACCEPTED

    run(whole())


@pytest.mark.parametrize("asked", [False, True], ids=["parked at once", "asked about before"])
def test_an_order_whose_answer_was_lost_is_sent_again_once_it_would_be_listed(practice: Practice, asked: bool) -> None:
    """The carrier lists it late."""
    practice.policy = CarrierPolicy(doubt_patience=timedelta(minutes=5))
    practice.carrier.behave(listing_delay_s=86_400)

    async def whole() -> None:
        async with practice.opened() as services:
            practice.carrier.fault("drop_before", times=1, **POST)
            (order_id,) = await accept(services)
            await work(services, Lane.SUBMIT, *([Lane.ASK] if asked else []))
            await services.orders.park(order_id, by="ana", why="I know better")
            practice.pass_time(minutes=4)
            with pytest.raises(NotResolvable, match="bandwidth does not list it, and may list it late; decide again"):
                await services.orders.resolve(order_id, AGAIN)
            practice.pass_time(minutes=1.1)
            assert (await services.orders.resolve(order_id, AGAIN)).state is State.ACCEPTED

    run(whole())


def test_an_order_does_not_drop_what_the_carrier_has_of_it_for_another(practice: Practice) -> None:
    """The order made by hand has no reference, so nothing says that it is not ours. Ours is bought all the same."""
    with closing(BandwidthPortal(practice.carrier)) as portal:
        by_hand = Adopted(CarrierOrderId(portal.buy("9195551234")), "ana", "it looks like ours")

    async def whole() -> None:
        async with practice.opened() as services:
            (order_id,) = await accept(services)
            await work(services, Lane.SUBMIT)
            await services.orders.park(order_id, by="ana", why="it takes too long")
            ours = CarrierOrderId(practice.order(order_id)["carrier_order_id"])
            with pytest.raises(NotResolvable, match=f"cannot adopt another carrier order: bandwidth has {ours}"):
                await services.orders.resolve(order_id, by_hand)
            practice.carrier.fault("error_before", method="GET", times=5)
            with pytest.raises(NotResolvable, match="was asked about it first, without an answer"):
                await services.orders.resolve(order_id, by_hand)
            practice.carrier.clear_faults()
            await services.orders.resolve(order_id, Adopted(ours, "ana", "this one"))
            await work_until_idle(practice, services)
            assert practice.differences(order_id) == []

    run(whole())


def test_a_carrier_order_that_came_to_nothing_is_dropped_for_another(practice: Practice) -> None:
    """As is one that was adopted although it is not ours: a mistake can be put right."""
    with closing(BandwidthPortal(practice.carrier)) as portal:
        wrong, right = (CarrierOrderId(portal.buy(number)) for number in ("9195551234", "9195551235"))

    async def whole() -> None:
        async with practice.opened() as services:
            (order_id,) = await accept(services, an_order(numbers=["+19195559902"], criteria=None, quantity=None))
            await work(services, Lane.SUBMIT)
            for carrier_order_id in (wrong, right):
                await services.orders.park(order_id, by="ana", why=f"follow {carrier_order_id}")
                await services.orders.resolve(order_id, Adopted(carrier_order_id, "ana", f"of {carrier_order_id}"))
            assert practice.order(order_id)["carrier_order_id"] == right

    run(whole())


def test_without_an_answer_from_the_carrier_nothing_is_sent_again(practice: Practice) -> None:
    async def whole() -> None:
        async with practice.opened() as services:
            (order_id,) = await accept(services)
            await work(services, Lane.SUBMIT)
            await services.orders.park(order_id, by="ana", why="it takes too long")
            practice.carrier.fault("error_before", method="GET", times=5)
            with pytest.raises(NotResolvable, match="was asked about it first, without an answer"):
                await services.orders.resolve(order_id, AGAIN)
            assert practice.order(order_id)["state"] == "PARKED"

    run(whole())


def test_a_message_to_park_that_comes_twice_does_not_park_again(practice: Practice) -> None:
    """A person has decided in between; whoever wants to park it once more says why."""

    async def whole() -> None:
        async with practice.opened() as services:
            (order_id,) = await accept(services, an_order(criteria={"npa": "907"}))
            await work(services, Lane.SUBMIT)
            await services.orders.park(order_id, by="ana", why="stuck")
            carrier_order_id = CarrierOrderId(practice.order(order_id)["carrier_order_id"])
            await services.orders.resolve(order_id, Adopted(carrier_order_id, "ana", "it is there"))
            with pytest.raises(NotParkable, match="was parked with these words and has gone on since"):
                await services.orders.park(order_id, by="ana", why="stuck")
            assert practice.order(order_id)["state"] == "OPEN"
            assert (await services.orders.park(order_id, by="ana", why="stuck once more")).state is State.PARKED

    run(whole())


def test_decision_about_an_order_that_has_moved_is_refused(practice: Practice) -> None:
    """A person has seen one version, and decides about that."""

    async def whole() -> None:
        async with practice.opened() as services:
            order_id = await accept_and_park(services)
            version = practice.order(order_id)["version"]
            with pytest.raises(NotResolvable, match="look at it again"):
                await services.orders.resolve(order_id, OFF, expected_version=version - 1)
            assert practice.order(order_id)["state"] == "PARKED"
            order = await services.orders.resolve(order_id, OFF, expected_version=version)
            assert order.state is State.FAILED

    run(whole())
