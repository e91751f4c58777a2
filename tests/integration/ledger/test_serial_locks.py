"""Orders that a carrier could confuse get one lock, one after the other."""

import asyncio
from datetime import timedelta

import psycopg
import pytest
from uuid_utils.compat import uuid7

from number_orders.ledger.ledger import Ledger
from number_orders.ledger.schedule import Claims
from number_orders.orders.events import (
    Acknowledged,
    AnswerLost,
    CancelAsked,
    Event,
    Filled,
    NotSent,
    Parked,
    ProvenAbsent,
    StillOpen,
    SubmissionBegun,
    WrittenOff,
)
from number_orders.orders.model import Lane, Order, OrderId, State
from tests.integration.ledger.examples import (
    CARRIER_ORDER_ID,
    HOUR,
    MINUTE,
    a_new_order,
    a_request,
    a_step,
    accept_order,
    claim_due,
    record_events,
)
from tests.integration.ledger.harness import BANDWIDTH, LedgerHarness, PostgresHarness


async def take_locks(ledger: Ledger, claims: Claims, key: str = "own", *, at_most: timedelta = HOUR) -> set[OrderId]:
    """Let every claimed order try to take the same lock; return those that have it."""
    wanted = {claim.order.order_id: (key,) for claim in claims.claims}
    return set(await ledger.serial_locks.take(claims, wanted, carrier=BANDWIDTH, at_most=at_most))


async def lock_with_waiting(ledger: Ledger, count: int) -> tuple[Order, list[Order]]:
    """Accept orders that need one lock; return the order that has it, and those that wait for it."""
    orders = [await accept_order(ledger, a_request(f"k{i}")) for i in range(count)]
    (first,) = await take_locks(ledger, await claim_due(ledger))
    assert first == orders[0].order_id
    return orders[0], orders[1:]


ENDS_OF_NEED = [
    pytest.param([Filled("COMPLETED", ())], id="ended"),
    pytest.param([NotSent("connection refused")], id="not sent"),
    pytest.param([Acknowledged(CARRIER_ORDER_ID), StillOpen("COMPLETED", alone=False)], id="told apart"),
]


def test_lock_of_a_parked_order_is_reported_at_once_and_any_other_after_a_while(harness: LedgerHarness) -> None:
    """With how many orders wait, and since when. The lock of an order that has ended is not reported."""

    async def work(ledger: Ledger) -> None:
        first, others = await lock_with_waiting(ledger, 3)
        begun = await record_events(ledger, first, SubmissionBegun(), Acknowledged(CARRIER_ORDER_ID))
        assert await ledger.serial_locks.held_for_long(BANDWIDTH, HOUR) == []
        (held,) = await ledger.serial_locks.held_for_long(BANDWIDTH, timedelta(microseconds=-1))
        assert (held.serial_key, held.order_id, held.state, held.waiting) == ("own", first.order_id, State.OPEN, 2)
        assert held.waiting_since == min(order.accepted_at for order in others)
        parked = await record_events(ledger, begun, Parked("nobody knows"))
        (held,) = await ledger.serial_locks.held_for_long(BANDWIDTH, HOUR)
        assert (held.order_id, held.state) == (first.order_id, State.PARKED)
        await record_events(ledger, parked, WrittenOff("ana", "over"))
        assert await ledger.serial_locks.held_for_long(BANDWIDTH, timedelta(microseconds=-1)) == []

    harness.run(work)


def test_of_the_orders_that_need_one_lock_the_oldest_gets_it(harness: LedgerHarness) -> None:
    """The others wait, and say for which order."""

    async def work(ledger: Ledger) -> None:
        first, others = await lock_with_waiting(ledger, 4)
        assert await ledger.schedule.claim(BANDWIDTH, Lane.SUBMIT, limit=10, lease=MINUTE) is None
        for other in others:
            (work_item,) = (await ledger.history.story(other.order_id)).work_items
            assert work_item.reason == f"waits for order {first.order_id}: they could not be told apart at the carrier"
            assert not work_item.in_hand

    harness.run(work)


def test_ten_workers_at_once_get_one_lock_for_one_order(harness: LedgerHarness) -> None:
    """Each has an order of its own; one of these may begin."""

    async def work(ledger: Ledger) -> None:
        for i in range(10):
            await accept_order(ledger, a_request(f"k{i}"))
        claims = [await claim_due(ledger, limit=1) for _ in range(10)]
        won = await asyncio.gather(*(take_locks(ledger, claim) for claim in claims))
        assert sum(map(len, won)) == 1

    harness.run(work)


def test_order_that_has_the_lock_may_take_it_again(harness: LedgerHarness) -> None:
    """Its worker died between the lock and the begin."""

    async def work(ledger: Ledger) -> None:
        order = await accept_order(ledger)
        claims = await claim_due(ledger)
        assert await take_locks(ledger, claims) == {order.order_id}
        assert await take_locks(ledger, claims) == {order.order_id}

    harness.run(work)


def test_order_keeps_its_lock_although_an_older_order_wants_it(harness: LedgerHarness) -> None:
    """Its worker died before the begin, and both are claimed at once: one is sent, and none waits for ever."""

    async def work(ledger: Ledger) -> None:
        ids = sorted(OrderId(uuid7()) for _ in range(2))
        orders = [a_new_order(a_request(f"k{i}"), order_id) for i, order_id in enumerate(ids)]
        await ledger.intake.accept([orders[1]])
        assert await take_locks(ledger, await claim_due(ledger)) == {ids[1]}
        await ledger.intake.accept([orders[0]])
        await harness.make_all_due()
        assert await take_locks(ledger, await claim_due(ledger)) == {ids[1]}

    harness.run(work)


def test_locks_with_other_keys_are_independent(harness: LedgerHarness) -> None:
    """Two accounts, two orders: both get their locks."""

    async def work(ledger: Ledger) -> None:
        one, two = await accept_order(ledger, a_request("one")), await accept_order(ledger, a_request("two"))
        claims = await claim_due(ledger)
        wanted = {one.order_id: ("a",), two.order_id: ("b",)}
        assert await ledger.serial_locks.take(claims, wanted, carrier=BANDWIDTH, at_most=HOUR) == wanted.keys()

    harness.run(work)


@pytest.mark.parametrize("events", ENDS_OF_NEED)
def test_next_order_is_woken_when_the_lock_is_released(harness: LedgerHarness, events: list[Event]) -> None:
    """At once, one order, the oldest."""

    async def work(ledger: Ledger) -> None:
        first, (second, third) = await lock_with_waiting(ledger, 3)
        begun = await record_events(ledger, first, SubmissionBegun())
        assert await ledger.schedule.claim(BANDWIDTH, Lane.SUBMIT, limit=10, lease=MINUTE) is None
        await record_events(ledger, begun, *events)
        woken = await claim_due(ledger)
        assert [claim.order.order_id for claim in woken.claims] == [second.order_id]
        assert await take_locks(ledger, woken) == {second.order_id}
        assert third.order_id not in {claim.order.order_id for claim in woken.claims}

    harness.run(work)


@pytest.mark.parametrize(
    "events", [[], [Acknowledged(CARRIER_ORDER_ID)], [Acknowledged(CARRIER_ORDER_ID), StillOpen("COMPLETED")]]
)
def test_no_order_is_woken_while_the_lock_is_needed(harness: LedgerHarness, events: list[Event]) -> None:
    """That is as long as the carrier's next numbers may be those of the first order."""

    async def work(ledger: Ledger) -> None:
        first, _ = await lock_with_waiting(ledger, 2)
        await record_events(ledger, first, SubmissionBegun(), *events)
        assert await ledger.schedule.claim(BANDWIDTH, Lane.SUBMIT, limit=10, lease=MINUTE) is None

    harness.run(work)


def test_order_cancelled_in_the_group_that_releases_the_lock_is_not_woken(harness: LedgerHarness) -> None:
    """The next one is woken instead."""

    async def work(ledger: Ledger) -> None:
        first, (second, third) = await lock_with_waiting(ledger, 3)
        begun = await record_events(ledger, first, SubmissionBegun())
        now = await ledger.now()
        group = [a_step(begun, Filled("COMPLETED", ()), now), a_step(second, CancelAsked("crm"), now)]
        assert set(await ledger.orders.record(group)) == {first.order_id, second.order_id}
        assert (await ledger.history.story(second.order_id)).work_items == ()
        assert [claim.order.order_id for claim in (await claim_due(ledger)).claims] == [third.order_id]

    harness.run(work)


def test_order_cancelled_with_the_lock_releases_it(harness: LedgerHarness) -> None:
    """It had taken the lock and was not begun."""

    async def work(ledger: Ledger) -> None:
        first, (second,) = await lock_with_waiting(ledger, 2)
        await record_events(ledger, first, CancelAsked("crm"))
        assert [claim.order.order_id for claim in (await claim_due(ledger)).claims] == [second.order_id]

    harness.run(work)


def test_lock_of_an_order_that_has_ended_is_free(harness: LedgerHarness) -> None:
    """Cancelled between claim and lock, or ended while the worker slept: no step would ever release it."""

    async def work(ledger: Ledger) -> None:
        first = await accept_order(ledger, a_request("first"))
        claims = await claim_due(ledger)
        await record_events(ledger, first, CancelAsked("crm"))
        assert await take_locks(ledger, claims) == {first.order_id}
        second = await accept_order(ledger, a_request("second"))
        assert await take_locks(ledger, await claim_due(ledger)) == {second.order_id}
        third = await accept_order(ledger, a_request("third"))
        assert third.order_id not in await take_locks(ledger, await claim_due(ledger))

    harness.run(work)


def test_order_that_starts_to_wait_for_a_free_lock_is_due_at_once(ledger_url: str) -> None:
    """The lock was released between the two statements, so no step will wake the order."""

    async def work(ledger: Ledger) -> None:
        await lock_with_waiting(ledger, 2)
        with psycopg.connect(ledger_url, autocommit=True) as db:
            db.execute("UPDATE owed SET not_before = now(), lease_token = NULL")
            claims = await claim_due(ledger)
            db.execute(
                "CREATE FUNCTION leave() RETURNS trigger LANGUAGE plpgsql AS"
                " $$ BEGIN DELETE FROM turns; RETURN NULL; END $$;"
                "CREATE TRIGGER leave AFTER INSERT ON turns EXECUTE FUNCTION leave()"
            )
            await take_locks(ledger, claims)
            db.execute("DROP TRIGGER leave ON turns")
        assert await ledger.schedule.claim(BANDWIDTH, Lane.SUBMIT, limit=10, lease=MINUTE) is not None

    PostgresHarness(ledger_url).run(work)


def test_waiting_order_tries_again_after_a_while(harness: LedgerHarness) -> None:
    """That is for the case that no step wakes it."""

    async def work(ledger: Ledger) -> None:
        first, others = await lock_with_waiting(ledger, 2)
        await harness.make_all_due()
        again = await claim_due(ledger)
        assert await take_locks(ledger, again) == {first.order_id}
        assert others[0].order_id in {claim.order.order_id for claim in again.claims}

    harness.run(work)


def test_an_order_takes_all_its_locks_or_none(harness: LedgerHarness) -> None:
    """Half of them would keep others waiting for an order that waits itself."""

    async def work(ledger: Ledger) -> None:
        one, two, three = [await accept_order(ledger, a_request(key)) for key in ("one", "two", "three")]
        claims = await claim_due(ledger)
        wanted = {one.order_id: ("number +1", "number +2"), two.order_id: ("number +2", "number +3")}
        take = ledger.serial_locks.take
        assert await take(claims, wanted, carrier=BANDWIDTH, at_most=HOUR) == {one.order_id}
        free = {three.order_id: ("number +3",)}
        assert await take(claims, free, carrier=BANDWIDTH, at_most=HOUR) == {three.order_id}
        (waits,) = (await ledger.schedule.work_items([two.order_id]))[two.order_id]
        assert (waits.waits_for_lock, waits.in_hand) == (True, False)
        assert waits.reason == f"waits for order {one.order_id}, which is about the same number +2"

    harness.run(work)


def test_numbers_stay_locked_until_the_order_has_ended(harness: LedgerHarness) -> None:
    """An order that needs its carrier's lock no longer still holds the numbers that it names."""

    async def work(ledger: Ledger) -> None:
        one, two = [await accept_order(ledger, a_request(key)) for key in ("one", "two")]
        claims = await claim_due(ledger)
        both, take = ("own", "number +1"), ledger.serial_locks.take
        assert await take(claims, {one.order_id: both}, carrier=BANDWIDTH, at_most=HOUR) == {one.order_id}
        told_apart = (SubmissionBegun(), Acknowledged(CARRIER_ORDER_ID), StillOpen("COMPLETED", alone=False))
        order = await record_events(ledger, one, *told_apart)
        assert not await ledger.serial_locks.is_held_by(one.order_id)
        assert await take(claims, {two.order_id: ("number +1",)}, carrier=BANDWIDTH, at_most=HOUR) == frozenset()
        await record_events(ledger, order, Filled("COMPLETED", ()))
        claims = await claim_due(ledger)
        assert await take(claims, {two.order_id: ("number +1",)}, carrier=BANDWIDTH, at_most=HOUR) == {two.order_id}

    harness.run(work)


def test_numbers_stay_locked_by_an_order_that_is_sent_again_after_a_doubt(harness: LedgerHarness) -> None:
    """An attempt may have arrived after all. The order waits for the carrier's lock, which it needs anew."""

    async def work(ledger: Ledger) -> None:
        one, two = [await accept_order(ledger, a_request(key)) for key in ("one", "two")]
        claims = await claim_due(ledger)
        both, take = ("own", "number +1"), ledger.serial_locks.take
        assert await take(claims, {one.order_id: both}, carrier=BANDWIDTH, at_most=HOUR) == {one.order_id}
        doubt = (SubmissionBegun(), AnswerLost("timed out"), ProvenAbsent("the list"))
        order = await record_events(ledger, one, *doubt)
        assert order.state is State.ACCEPTED
        assert await take(claims, {two.order_id: ("own",)}, carrier=BANDWIDTH, at_most=HOUR) == {two.order_id}
        claims = await claim_due(ledger)
        assert await take(claims, {one.order_id: both}, carrier=BANDWIDTH, at_most=HOUR) == frozenset()

        three = await accept_order(ledger, a_request("three"))
        claims = await claim_due(ledger)
        about_it = {three.order_id: ("number +1",)}
        assert await take(claims, about_it, carrier=BANDWIDTH, at_most=HOUR) == frozenset()
        (waits,) = (await ledger.schedule.work_items([three.order_id]))[three.order_id]
        assert waits.reason == f"waits for order {one.order_id}, which is about the same number +1"
        await record_events(ledger, order, CancelAsked("crm"))
        claims = await claim_due(ledger)
        assert await take(claims, about_it, carrier=BANDWIDTH, at_most=HOUR) == {three.order_id}

    harness.run(work)


def test_numbers_of_an_order_of_which_nothing_was_sent_are_free(harness: LedgerHarness) -> None:
    """It may wait for long, and the carrier can have nothing of it."""

    async def work(ledger: Ledger) -> None:
        one, two = [await accept_order(ledger, a_request(key)) for key in ("one", "two")]
        claims = await claim_due(ledger)
        take, number = ledger.serial_locks.take, ("number +1",)
        assert await take(claims, {one.order_id: number}, carrier=BANDWIDTH, at_most=HOUR) == {one.order_id}
        await record_events(ledger, one, SubmissionBegun(), NotSent("connection refused"))
        assert await take(claims, {two.order_id: number}, carrier=BANDWIDTH, at_most=HOUR) == {two.order_id}

    harness.run(work)
