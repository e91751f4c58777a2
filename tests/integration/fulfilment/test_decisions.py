"""A person's way out of PARKED: adopted, sent again or written off, once for every decision, and never by surprise."""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest
from uuid_utils.compat import uuid7

from number_orders.fulfilment.recorder import Heard, Recorder
from number_orders.fulfilment.runtime import Services
from number_orders.ledger.history import History, Story
from number_orders.ledger.ledger import Ledger, PostgresLedger
from number_orders.orders.errors import NotResolvable, UnknownOrder
from number_orders.orders.events import Adopted, Event, Parked, Resolution, SentAgain, StillOpen, WrittenOff
from number_orders.orders.model import CarrierOrderId, Lane, Order, OrderId, State
from number_orders.orders.policy import CarrierPolicy
from tests.integration.fulfilment.practice import BANDWIDTH, POST, Practice, accept, an_order, live, run, work

AGAIN = SentAgain("ana", "not in the dashboard")
OFF = WrittenOff("ana", "the customer went away")


async def hear(ledger: Ledger, order_id: OrderId, event: Event) -> None:
    """Let something be heard of an order."""
    order = (await ledger.orders.read([order_id]))[order_id]
    await Recorder(ledger, {BANDWIDTH: CarrierPolicy()}).hear([Heard(order, event)], now=await ledger.now())


async def parked(services: Services, key: str = "crm-1", **changes: Any) -> OrderId:
    """Take an order in, and park it."""
    (order_id,) = await accept(services, an_order(key, **changes))
    await hear(services.ledger, order_id, Parked("nobody knows"))
    return order_id


def test_an_order_sent_again_is_bought_once(practice: Practice) -> None:
    """It never arrived, a person made sure of that, and from then on the machine goes on by itself."""
    practice.policy = CarrierPolicy(resend_when_absent=False)

    async def whole() -> None:
        async with practice.opened() as services:
            practice.carrier.fault("drop_before", times=1, **POST)
            (order_id,) = await accept(services)
            await live(practice, services)
            assert practice.order(order_id)["state"] == "PARKED"
            order = await services.orders.resolve(order_id, AGAIN)
            assert order.state is State.ACCEPTED
            assert (BANDWIDTH, Lane.SUBMIT) in practice.bell.rung
            await live(practice, services)
            assert practice.order(order_id)["state"] == "COMPLETED"
            assert practice.untrue(order_id) == []

    run(whole())


def test_an_adopted_order_is_followed_to_its_end(practice: Practice) -> None:
    """It arrived after all, and its answer was lost."""

    async def whole() -> None:
        async with practice.opened() as services:
            practice.carrier.fault("drop_after", times=1, **POST)
            (order_id,) = await accept(services)
            await work(services, Lane.SUBMIT)
            await hear(services.ledger, order_id, Parked("nobody knows"))
            (theirs,) = practice.sold(order_id)
            found = Adopted(CarrierOrderId(theirs["order_id"]), "ana", "seen in the dashboard")
            assert (await services.orders.resolve(order_id, found)).state is State.OPEN
            await live(practice, services)
            assert practice.untrue(order_id) == []

    run(whole())


def test_an_order_written_off_has_failed_and_its_producer_is_told(practice: Practice) -> None:
    """With the person's words as the reason."""

    async def whole() -> None:
        async with practice.opened() as services:
            order_id = await parked(services, notify={"task": "crm.ended", "queue": "crm"})
            assert (await services.orders.resolve(order_id, OFF)).state is State.FAILED
            await work(services, Lane.TELL)
        (document,) = practice.notifier.kept
        assert (document["state"], document["reason"]) == ("FAILED", "ana: the customer went away")
        assert practice.sold() == []

    run(whole())


def test_an_order_of_the_carriers_belongs_to_one_order_of_ours(practice: Practice) -> None:
    """Adopting it twice is refused with the owner's name, and the order stays parked for the reason it was."""

    async def whole() -> None:
        async with practice.opened() as services:
            (owner,) = await accept(services, an_order("crm-1"))
            await live(practice, services)
            order_id = await parked(services, "crm-2")
            before = practice.order(order_id)
            theirs = CarrierOrderId(practice.order(owner)["carrier_order_id"])
            with pytest.raises(
                NotResolvable, match=f"cannot adopt bandwidth's order {theirs}.* belongs to order {owner}"
            ):
                await services.orders.resolve(order_id, Adopted(theirs, "ana", "seen"))
            assert practice.order(order_id) == before
            assert practice.alarms() == []
            assert (await services.orders.resolve(order_id, OFF)).state is State.FAILED

    run(whole())


def test_a_decision_told_twice_is_carried_out_once(practice: Practice) -> None:
    """A message may come twice; by then the order may be at its end, or parked again for another reason."""

    async def whole() -> None:
        async with practice.opened() as services:
            order_id = await parked(services)
            await services.orders.resolve(order_id, AGAIN)
            assert (await services.orders.resolve(order_id, AGAIN)).state is State.ACCEPTED
            await hear(services.ledger, order_id, Parked("and again"))
            with pytest.raises(NotResolvable, match="PARKED again since this was decided"):
                await services.orders.resolve(order_id, AGAIN)
            await services.orders.resolve(order_id, SentAgain("ana", "looked again: still not there"))
            await live(practice, services)
            assert (await services.orders.resolve(order_id, AGAIN)).state is State.COMPLETED
            assert practice.story(order_id).count("SentAgain") == 2
            assert practice.untrue(order_id) == []

    run(whole())


def test_of_two_people_who_decide_at_once_one_is_heard(practice: Practice) -> None:
    """The other is told how the order stands; whoever said the same is told the same."""

    async def whole() -> None:
        async with practice.opened() as services:
            order_id = await parked(services)
            decisions: Sequence[Resolution] = [AGAIN, OFF, AGAIN, OFF]
            told = await asyncio.gather(
                *(services.orders.resolve(order_id, d) for d in decisions), return_exceptions=True
            )
            heard = [isinstance(answer, Order) for answer in told]
            assert heard in ([True, False] * 2, [False, True] * 2), told
            assert all(isinstance(answer, Order | NotResolvable) for answer in told)
            assert len(practice.story(order_id)) == 3

    run(whole())


def test_news_that_come_while_a_person_decides_make_the_decision_void(practice: Practice) -> None:
    """The carrier speaks of the order between the look and the word: nothing is sent."""

    class Busy(History):
        async def story(self, order_id: OrderId) -> Story:
            told = await super().story(order_id)
            if len(told.events) == 2:
                await hear(Ledger(self._database), order_id, StillOpen("PROCESSING"))
            return told

    async def whole() -> None:
        async with PostgresLedger.at(practice.url) as quiet, practice.opened(quiet) as services:
            await quiet.schedule.open_lanes([BANDWIDTH])
            order_id = await parked(services)
        async with PostgresLedger.at(practice.url) as busy:
            busy.history = Busy(busy.database, busy.orders, busy.numbers, busy.schedule)
            async with practice.opened(busy) as services:
                with pytest.raises(NotResolvable, match="something was heard of it just now"):
                    await services.orders.resolve(order_id, AGAIN)
                assert practice.story(order_id) == ["OrderAccepted", "Parked", "StillOpen"]
                assert (await services.orders.resolve(order_id, AGAIN)).state is State.ACCEPTED

    run(whole())


@pytest.mark.parametrize("decision", [AGAIN, OFF, Adopted(CarrierOrderId("0aac"), "ana", "seen")])
def test_only_parked_orders_wait_for_a_person(practice: Practice, decision: Resolution) -> None:
    """Under way, at its end, or not there at all: refused, and nothing moves."""

    async def whole() -> None:
        async with practice.opened() as services:
            (order_id,) = await accept(services)
            with pytest.raises(NotResolvable, match="is ACCEPTED: only a parked order"):
                await services.orders.resolve(order_id, decision)
            await live(practice, services)
            with pytest.raises(NotResolvable, match="is COMPLETED: it is over"):
                await services.orders.resolve(order_id, decision)
            with pytest.raises(UnknownOrder):
                await services.orders.resolve(OrderId(uuid7()), decision)
            assert practice.untrue(order_id) == []

    run(whole())
