"""Steps are written whole or not at all, and constraints refuse an impossible order."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import psycopg
import pytest
from psycopg import errors, sql

from number_orders.ledger.ledger import Ledger
from number_orders.ledger.schedule import Later
from number_orders.orders.errors import AlreadyTaken
from number_orders.orders.events import (
    Acknowledged,
    AnswerLost,
    Deferred,
    Filled,
    Hurried,
    NotSent,
    StillOpen,
    SubmissionBegun,
    ToldAgain,
)
from number_orders.orders.model import CarrierOrderId, Lane, NumberResult, NumberState, State
from tests.integration.ledger.examples import (
    CARRIER_ORDER_ID,
    HOUR,
    POLICY,
    RALEIGH,
    a_request,
    a_step,
    accept_order,
    claim_due,
    record_events,
)
from tests.integration.ledger.harness import LedgerHarness, PostgresHarness


def test_step_is_written_whole(harness: LedgerHarness) -> None:
    """One statement writes event, state, numbers and work items."""

    async def work(ledger: Ledger) -> None:
        order = await accept_order(ledger)
        order = await record_events(ledger, order, SubmissionBegun(), Acknowledged(CarrierOrderId("c-1"), "RECEIVED"))
        got = (NumberResult(RALEIGH, NumberState.ACQUIRED),)
        order = await record_events(ledger, order, Filled("COMPLETE", got))
        story = await ledger.history.story(order.order_id)
        assert story.order.state is State.COMPLETED
        assert story.order.ended_at is not None
        assert story.numbers == got
        assert story.work_items == ()
        assert [event["event"] for event in story.events] == [
            "OrderAccepted",
            "SubmissionBegun",
            "Acknowledged",
            "Filled",
        ]

    harness.run(work)


def test_order_that_is_being_sent_is_due_to_be_asked_about(harness: LedgerHarness) -> None:
    """The step to SUBMITTING adds the question: if the worker dies now, another one asks."""

    async def work(ledger: Ledger) -> None:
        order = await record_events(ledger, await accept_order(ledger), SubmissionBegun())
        (work_item,) = (await ledger.history.story(order.order_id)).work_items
        assert work_item.lane is Lane.ASK
        assert work_item.not_before > await ledger.now() + POLICY.answer_within - timedelta(seconds=30)

    harness.run(work)


def test_of_ten_steps_from_one_version_one_is_written(harness: LedgerHarness) -> None:
    """The version guards every step."""

    async def work(ledger: Ledger) -> None:
        order = await accept_order(ledger)
        now = await ledger.now()
        steps = [a_step(order, SubmissionBegun(), now) for _ in range(10)]
        done = await asyncio.gather(*(ledger.orders.record([step]) for step in steps))
        assert sum(len(ids) for ids in done) == 1
        assert (await ledger.orders.read([order.order_id]))[order.order_id].version == 1

    harness.run(work)


def test_step_of_a_version_that_was_given_out_twice_is_not_written(harness: LedgerHarness) -> None:
    """A ledger that fell back in time gives it to another step. The worker knows the first one."""

    async def work(ledger: Ledger) -> None:
        order = await accept_order(ledger)
        forgotten = replace(order, state=State.SUBMITTING, sends=1)
        assert await ledger.orders.record([a_step(forgotten, AnswerLost("timed out"), await ledger.now())]) == {}
        assert (await ledger.orders.read([order.order_id]))[order.order_id] == order

    harness.run(work)


def test_stale_step_does_not_stop_the_others_of_its_group(harness: LedgerHarness) -> None:
    """Orders that have not moved since they were read are written."""

    async def work(ledger: Ledger) -> None:
        first, second = await accept_order(ledger, a_request("a")), await accept_order(ledger, a_request("b"))
        await record_events(ledger, first, SubmissionBegun())
        now = await ledger.now()
        steps = [a_step(first, SubmissionBegun(), now), a_step(second, SubmissionBegun(), now)]
        assert await ledger.orders.record(steps) == {second.order_id: []}

    harness.run(work)


def test_carrier_order_belongs_to_one_order_of_ours(harness: LedgerHarness) -> None:
    """Two orders of ours report the same carrier order: nothing of the group is written."""

    async def work(ledger: Ledger) -> None:
        orders = [
            await record_events(ledger, await accept_order(ledger, a_request(k)), SubmissionBegun()) for k in ("a", "b")
        ]
        now = await ledger.now()
        steps = [a_step(order, Acknowledged(CarrierOrderId("c-1")), now) for order in orders]
        with pytest.raises(AlreadyTaken, match="one_order_per_carrier_order"):
            await ledger.orders.record(steps)
        states = {order.state for order in (await ledger.orders.read([order.order_id for order in orders])).values()}
        assert states == {State.SUBMITTING}

    harness.run(work)


def test_step_that_renews_a_work_item_ends_its_lease(harness: LedgerHarness) -> None:
    """An older claim cannot postpone the renewed work item."""

    async def work(ledger: Ledger) -> None:
        order = await record_events(
            ledger, await accept_order(ledger), SubmissionBegun(), Acknowledged(CarrierOrderId("c-1"))
        )
        await harness.make_all_due()
        old = await claim_due(ledger, Lane.ASK)
        await record_events(ledger, order, StillOpen("PROCESSING"))
        await ledger.schedule.postpone(old, [Later(order.order_id, old.now + timedelta(days=9), "never")])
        (work_item,) = (await ledger.history.story(order.order_id)).work_items
        assert work_item.not_before < await ledger.now() + timedelta(minutes=1)

    harness.run(work)


def test_a_reminder_leaves_since_when_an_order_stands_and_how_often_it_was_seen_so(harness: LedgerHarness) -> None:
    """Any other event counts both anew."""

    async def work(ledger: Ledger) -> None:
        order = await record_events(
            ledger, await accept_order(ledger), SubmissionBegun(), Acknowledged(CarrierOrderId("c-1"))
        )
        moved_at = (await ledger.orders.read([order.order_id]))[order.order_id].moved_at
        await harness.make_all_due()
        claims = await claim_due(ledger, Lane.ASK)
        await ledger.schedule.postpone(claims, [Later(order.order_id, claims.now, "the same", confirms=True)])
        order = await record_events(ledger, order, Hurried("ana"), ToldAgain("ana"), Hurried("ana"))
        (claim,) = (await claim_due(ledger, Lane.ASK)).claims
        assert (claim.order.moved_at, claim.confirmed) == (moved_at, 1)
        await record_events(ledger, order, StillOpen("PROCESSING"))
        await harness.make_all_due()
        (claim,) = (await claim_due(ledger, Lane.ASK)).claims
        assert claim.confirmed == 0

    harness.run(work)


def test_order_that_was_not_sent_is_due_to_be_sent_again(harness: LedgerHarness) -> None:
    """Back to ACCEPTED: the question is gone, and the submission is the only work item."""

    async def work(ledger: Ledger) -> None:
        order = await record_events(
            ledger, await accept_order(ledger), SubmissionBegun(), NotSent("connection refused")
        )
        (work_item,) = (await ledger.history.story(order.order_id)).work_items
        assert (work_item.lane, work_item.reason) == (Lane.SUBMIT, "connection refused")

    harness.run(work)


@pytest.mark.parametrize(
    ("change", "constraint"),
    [
        ("state = 'DONE'", "orders_state_check"),
        ("state = 'COMPLETED'", "ended_means_final"),
        ("ended_at = now()", "ended_means_final"),
        ("state = 'OPEN'", "open_means_known"),
        ("state = 'IN_DOUBT'", "doubt_has_a_beginning"),
        ("losses = 1", "sent_before_lost"),
    ],
)
def test_constraints_refuse_an_impossible_order(ledger_url: str, change: str, constraint: str) -> None:
    """They hold for every writer, also one that does not use this code."""

    async def work(ledger: Ledger) -> None:
        await accept_order(ledger)
        with psycopg.connect(ledger_url) as db, pytest.raises(errors.CheckViolation, match=constraint):
            db.execute(sql.SQL("UPDATE orders SET ") + sql.SQL(change))

    PostgresHarness(ledger_url).run(work)


def test_progress_is_stored_while_the_order_has_not_moved(harness: LedgerHarness) -> None:
    """The worker that continues after a crash finds it, and no later step loses it."""

    async def work(ledger: Ledger) -> None:
        begun = await record_events(ledger, await accept_order(ledger), SubmissionBegun())
        assert await ledger.orders.keep_progress(begun, {"cart_id": "01J"})
        kept = replace(begun, progress={"cart_id": "01J"})
        assert await ledger.orders.keep_progress(kept, {"cart_id": "01J", "requested": True})
        await record_events(ledger, begun, Acknowledged(CARRIER_ORDER_ID))
        kept = (await ledger.orders.read([begun.order_id]))[begun.order_id]
        assert (kept.state, kept.progress) == (State.OPEN, {"cart_id": "01J", "requested": True})

    harness.run(work)


def test_worker_that_lost_its_order_stores_no_progress(harness: LedgerHarness) -> None:
    """The order has moved: a cart of the old attempt must not appear in it."""

    async def work(ledger: Ledger) -> None:
        begun = await record_events(ledger, await accept_order(ledger), SubmissionBegun())
        await record_events(ledger, begun, NotSent("gave up"))
        assert not await ledger.orders.keep_progress(begun, {"cart_id": "01J"})
        assert (await ledger.orders.read([begun.order_id]))[begun.order_id].progress == {}

    harness.run(work)


def test_workers_that_ask_at_once_do_not_overwrite_each_others_progress(harness: LedgerHarness) -> None:
    """One slept past its lease: the order has not moved, but its progress has."""

    async def work(ledger: Ledger) -> None:
        order = await record_events(
            ledger, await accept_order(ledger), SubmissionBegun(), Acknowledged(CARRIER_ORDER_ID)
        )
        assert await ledger.orders.keep_progress(order, {"found": [RALEIGH]})
        assert await ledger.orders.keep_progress(order, {"found": [RALEIGH]})  # tried again: the connection broke
        assert not await ledger.orders.keep_progress(order, {"looks": 1})
        assert (await ledger.orders.read([order.order_id]))[order.order_id].progress == {"found": [RALEIGH]}

    harness.run(work)


def test_deferred_attempt_drops_its_progress(harness: LedgerHarness) -> None:
    """The next attempt makes its own; the waiting numbers say what they wait for."""

    async def work(ledger: Ledger) -> None:
        begun = await record_events(ledger, await accept_order(ledger), SubmissionBegun())
        await ledger.orders.keep_progress(begun, {"cart_id": "01J"})
        waits = NumberResult(RALEIGH, NumberState.REQUESTED, "TAINTED", "until 12:31")
        later = await ledger.now() + HOUR
        await record_events(ledger, begun, Deferred("tainted", later, (waits,)))  # read before anything was kept
        story = await ledger.history.story(begun.order_id)
        assert (story.order.state, story.order.progress, story.numbers) == (State.ACCEPTED, {}, (waits,))
        assert [(work_item.lane, work_item.not_before) for work_item in story.work_items] == [(Lane.SUBMIT, later)]

    harness.run(work)


def test_alarms_of_a_step_are_raised_with_it_and_counted(harness: LedgerHarness) -> None:
    """No crash comes between the two. A step that is stale raises none."""

    async def work(ledger: Ledger) -> None:
        order = await accept_order(ledger, a_request("a"))
        order = await record_events(ledger, order, SubmissionBegun(), Acknowledged(CarrierOrderId("1")))
        alarms = (("bought_twice", "two of them"),)
        step = replace(a_step(order, StillOpen("RECEIVED"), await ledger.now()), alarms=alarms)
        assert await ledger.orders.record([step]) == {order.order_id: []}
        assert await ledger.orders.record([step]) == {}
        (alarm,) = await ledger.alarms.active()
        assert [alarm[name] for name in ("what", "subject", "carrier", "order_id", "detail", "times")] == [
            "bought_twice",
            str(order.order_id),
            order.request.carrier,
            order.order_id,
            "two of them",
            1,
        ]
        await ledger.alarms.clear(by="ana")
        again = replace(a_step(step.step.order, StillOpen("RECEIVED"), await ledger.now()), alarms=alarms)
        await ledger.orders.record([again])
        assert [alarm["times"] for alarm in await ledger.alarms.active()] == [2]

    harness.run(work)
