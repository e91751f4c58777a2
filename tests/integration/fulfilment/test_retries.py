"""What people do beside deciding: they park what does not move, and are impatient. It is bought once all the same."""

from datetime import timedelta
from typing import Any

import pytest

from number_orders.fulfilment.retries import RetryOutcome
from number_orders.fulfilment.runtime import Services
from number_orders.orders.errors import NotParkable, NotResolvable
from number_orders.orders.events import Adopted, SentAgain, WrittenOff
from number_orders.orders.model import CarrierOrderId, Lane, OrderId, State
from number_orders.orders.policy import CarrierPolicy
from tests.integration.fulfilment.practice import BANDWIDTH, POST, Practice, accept, an_order, live, run, work

TOLD: dict[str, Any] = {"notify": {"task": "crm.ended", "queue": "crm"}}
NEVER_ENDS: dict[str, Any] = {"criteria": {"npa": "907"}}
HALF: dict[str, Any] = {"criteria": {"npa": "701"}, "quantity": 4, "allow_backorder": True}


async def tried(services: Services, order_id: OrderId, lane: Lane | None = None) -> RetryOutcome:
    """Have an order tried now."""
    (outcome,) = await services.orders.retry([order_id], by="ana", why="the customer calls", lane=lane)
    return outcome


async def under_way(practice: Practice, services: Services, **changes: Any) -> OrderId:
    """Take an order in, send it, and ask about it for the first time."""
    (order_id,) = await accept(services, an_order(**changes))
    await work(services, Lane.SUBMIT)
    practice.pass_time(minutes=1)
    await work(services, Lane.ASK)
    return order_id


def test_an_order_that_never_moves_is_parked_with_what_it_waited_for_and_followed_again(practice: Practice) -> None:
    """Parked twice is parked once. While it is parked nothing is asked; adopted, it goes on where it was."""

    async def whole() -> None:
        async with practice.opened() as services:
            order_id = await under_way(practice, services, **NEVER_ENDS)
            parked = await services.orders.park(order_id, by="ana", why="it never moves")
            assert (parked.state, parked.reason) == (State.PARKED, "ana: it never moves")
            assert await services.orders.park(order_id, by="kim", why="likewise") == parked
            assert practice.at_rest()
            (said,) = practice.rows("SELECT detail ->> 'waited' AS waited FROM order_events WHERE event = 'SetAside'")
            assert said["waited"] == "asked 1 times without news; the carrier says RECEIVED"
            theirs = CarrierOrderId(practice.order(order_id)["carrier_order_id"])
            await services.orders.resolve(order_id, Adopted(theirs, "ana", "they are at it"))
            await work(services, Lane.ASK)
            assert practice.order(order_id)["state"] == "OPEN"
            assert len(practice.sold(order_id)) == 1

    run(whole())


def test_an_order_parked_and_adopted_ends_as_the_carrier_ended_it(practice: Practice) -> None:
    """Its end was not heard while it was parked; it is asked for."""

    async def whole() -> None:
        async with practice.opened() as services:
            (order_id,) = await accept(services)
            await work(services, Lane.SUBMIT)
            await services.orders.park(order_id, by="ana", why="let me look")
            practice.pass_time(hours=1)
            await work(services)
            theirs = CarrierOrderId(practice.order(order_id)["carrier_order_id"])
            await services.orders.resolve(order_id, Adopted(theirs, "ana", "all is well"))
            await live(practice, services)
            assert practice.untrue(order_id) == []

    run(whole())


def test_what_is_being_sent_or_is_over_is_not_parked(practice: Practice) -> None:
    async def whole() -> None:
        async with practice.opened() as services:
            (order_id,) = await accept(services)
            practice.db.execute("UPDATE orders SET state = 'SUBMITTING', sends = 1")
            with pytest.raises(NotParkable, match="is SUBMITTING: a worker is sending it"):
                await services.orders.park(order_id, by="ana", why="now")
            practice.db.execute("UPDATE orders SET state = 'ACCEPTED', sends = 0")
            await live(practice, services)
            with pytest.raises(NotParkable, match="is COMPLETED: it is over"):
                await services.orders.park(order_id, by="ana", why="now")

    run(whole())


def test_a_half_bought_order_that_is_closed_keeps_what_was_bought_and_is_not_sent_again(practice: Practice) -> None:
    """The same decision told twice is carried out once; the producer hears PARTIAL, and of its numbers."""

    async def whole() -> None:
        async with practice.opened() as services:
            order_id = await under_way(practice, services, **HALF, **TOLD)
            await services.orders.park(order_id, by="ana", why="the customer left")
            with pytest.raises(NotResolvable, match="2 numbers of it are there already, and would be bought twice"):
                await services.orders.resolve(order_id, SentAgain("ana", "try again"))
            off = WrittenOff("ana", "the customer left")
            for _ in range(2):
                closed = await services.orders.resolve(order_id, off)
                assert (closed.state, closed.reason) == (State.PARTIAL, "ana: the customer left")
            await work(services, Lane.TELL)
            (document,) = practice.notifier.kept
            assert (document["state"], len(document["numbers"])) == ("PARTIAL", 2)
            assert {number["state"] for number in document["numbers"]} == {"acquired"}
            assert practice.story(order_id).count("CutShort") == 1

    run(whole())


def test_named_numbers_that_are_not_waited_for_any_more_have_failed(practice: Practice) -> None:
    """With who closed the order, and why."""

    async def whole() -> None:
        async with practice.opened() as services:
            (order_id,) = await accept(
                services, an_order(criteria=None, quantity=None, numbers=["+19195550199"], **TOLD)
            )
            await services.orders.park(order_id, by="ana", why="wait")
            await services.orders.resolve(order_id, WrittenOff("ana", "typo"))
            await work(services, Lane.TELL)
        (document,) = practice.notifier.kept
        (number,) = document["numbers"]
        assert (document["state"], number["state"], number["text"]) == ("FAILED", "failed", "closed by ana: typo")

    run(whole())


def test_whatever_waits_for_its_time_is_tried_now(practice: Practice) -> None:
    """To be sent after a refused connection, by its producer's wish, to be asked about; each once, with who and why."""

    async def whole() -> None:
        async with practice.opened() as services:
            later = (await services.ledger.now() + timedelta(days=9)).isoformat()
            (scheduled,) = await accept(services, an_order("later", not_before=later))
            assert (await tried(services, scheduled)).lanes == (Lane.SUBMIT,)
            await work(services, Lane.SUBMIT)
            assert practice.order(scheduled)["state"] == "OPEN"
            assert practice.rows("SELECT 1 FROM owed WHERE lane = 'ask' AND not_before <= now()") == []
            assert (await tried(services, scheduled)).lanes == (Lane.ASK,)
            await work(services, Lane.ASK)
            assert practice.order(scheduled)["state"] == "COMPLETED"
            assert practice.story(scheduled).count("Hurried") == 2
            (who,) = practice.rows("SELECT DISTINCT detail FROM order_events WHERE event = 'Hurried'")
            assert who["detail"] == {"by": "ana", "why": "the customer calls"}
            assert practice.untrue(scheduled) == []

    run(whole())


def test_an_order_in_doubt_is_asked_about_sooner_and_sent_again_no_sooner(practice: Practice) -> None:
    """However impatient: the time that proves its absence has not passed."""

    async def whole() -> None:
        async with practice.opened() as services:
            practice.carrier.fault("drop_before", times=1, **POST)
            (order_id,) = await accept(services)
            await work(services, Lane.SUBMIT)
            for looks in range(1, 6):
                assert (await tried(services, order_id)).lanes == (Lane.ASK,)
                await work(services, Lane.ASK, Lane.SUBMIT)
                order = practice.order(order_id)
                assert (order["state"], order["doubt_asks"], order["sends"]) == ("IN_DOUBT", looks, 1)
            await live(practice, services)
            assert practice.untrue(order_id) == []

    run(whole())


def test_a_limit_that_the_carrier_has_met_holds_for_the_impatient_too(practice: Practice) -> None:
    """It is due, and nobody takes it before the carrier wants it."""

    async def whole() -> None:
        async with practice.opened() as services:
            practice.carrier.fault("too_many_requests", times=1, delay_s=600, **POST)
            (order_id,) = await accept(services)
            await work(services, Lane.SUBMIT)
            assert (await tried(services, order_id)).lanes == (Lane.SUBMIT,)
            await work(services, Lane.SUBMIT)
            assert practice.order(order_id)["sends"] == 1
            await live(practice, services)
            assert practice.untrue(order_id) == []

    run(whole())


def test_who_cannot_be_tried_says_why(practice: Practice) -> None:
    """Parked, over, told already: nothing is written."""

    async def whole() -> None:
        async with practice.opened() as services:
            done, parked, quiet = await accept(services, an_order("a", **TOLD), an_order("b"), an_order("c"))
            await services.orders.park(parked, by="ana", why="wait")
            await live(practice, services)
            before = {order_id: practice.story(order_id) for order_id in (done, parked, quiet)}
            for order_id, lane, why in (
                (done, None, "it is over, and its producer has every document"),
                (parked, None, "a person decides what becomes of it"),
                (quiet, Lane.TELL, "its producer asked for no notifications"),
                (done, Lane.ASK, "it is over"),
            ):
                outcome = await tried(services, order_id, lane)
                assert outcome.lanes == ()
                assert why in str(outcome.refusal)
            assert {order_id: practice.story(order_id) for order_id in before} == before

    run(whole())


def test_a_telling_that_failed_is_tried_now_and_one_that_was_lost_is_told_again(practice: Practice) -> None:
    """The first as it stood, the second anew, with a version of its own; the end stays what it was."""
    closed = {"crm"}

    async def whole() -> None:
        practice.notifier._trouble = lambda delivery: "shut" if delivery.queue in closed else None
        async with practice.opened() as services:
            (order_id,) = await accept(services, an_order(**TOLD))
            await work(services, Lane.SUBMIT)
            practice.pass_time(minutes=1)
            await work(services, Lane.ASK, Lane.TELL)
            closed.clear()
            await work(services, Lane.TELL)
            assert practice.notifier.kept == []  # its time has not come
            assert (await tried(services, order_id)).lanes == (Lane.TELL,)
            await work(services, Lane.TELL)
            assert (await tried(services, order_id, Lane.TELL)).lanes == (Lane.TELL,)
            await work(services, Lane.TELL)
            first, again = practice.notifier.kept
            assert (first["state"], first["numbers"]) == (again["state"], again["numbers"])
            assert again["version"] > first["version"]
            assert practice.at_rest()
            assert practice.untrue(order_id) == []

    run(whole())


def test_all_that_wait_at_a_carrier_are_tried_but_for_those_that_are_meant_to_wait(practice: Practice) -> None:
    async def whole() -> None:
        async with practice.opened() as services:
            later = (await services.ledger.now() + timedelta(days=9)).isoformat()
            scheduled, *others = await accept(
                services, an_order("s", not_before=later), *(an_order(f"o{n}") for n in range(3))
            )
            await work(services, Lane.SUBMIT)
            pages = [page async for page in services.orders.retry_all(BANDWIDTH, "ana", None, Lane.ASK)]
            assert [[each.order.order_id for each in page] for page in pages] == [sorted(others)]
            await work(services, Lane.ASK)
            assert {practice.order(order_id)["state"] for order_id in others} == {"COMPLETED"}
            pages = [page async for page in services.orders.retry_all(BANDWIDTH, "ana", None)]
            assert [list(page) for page in pages] == [[]]
            assert practice.story(scheduled) == ["OrderAccepted"]

    run(whole())


def test_an_order_that_its_producer_wanted_to_wait_is_not_overdue_for_that(practice: Practice) -> None:
    """It is counted from when it was to be sent."""
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
