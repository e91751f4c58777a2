"""Orders that a carrier could confuse are sent one after the other, and cancelled where the carrier has them.

With Bandwidth's practice carrier, and adapters that need nothing but these two things.
"""

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from number_orders.carriers.bandwidth.adapter import Bandwidth
from number_orders.carriers.bandwidth.facts import DISCONNECTS_READ_MAX
from number_orders.carriers.contract import Capabilities, Conversation, SaveProgress
from number_orders.orders.errors import NotCancellable
from number_orders.orders.events import CalledBack, StillOpen
from number_orders.orders.model import Kind, Lane, Order, OrderRequest, State
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


class BandwidthWithLocks(Bandwidth):
    """Needs a serial lock for every order; the order's name is the key."""

    def serial_keys(self, request: OrderRequest) -> tuple[str, ...]:
        return (request.name or "own",)


class BandwidthThatCancels(Bandwidth):
    """Cancels every order that it is asked to cancel."""

    @property
    def capabilities(self) -> Capabilities:
        return replace(super().capabilities, cancellable=frozenset({Kind.NEW_NUMBERS}))

    def ask(self, order: Order) -> Conversation:
        if order.cancel_asked_at is None:
            return (yield from super().ask(order))
        yield SaveProgress({**order.progress, "dropped": True})
        return CalledBack("dropped as it was asked to", "CANCELLED")


def with_locks() -> BandwidthWithLocks:
    return BandwidthWithLocks("9900000", "743")


def test_orders_that_need_one_lock_are_sent_one_after_the_other(practice: Practice) -> None:
    """However many workers there are: each is begun when the one before it has ended, the oldest first."""

    async def whole() -> None:
        async with practice.opened(adapter=with_locks()) as one, practice.opened(adapter=with_locks()) as two:
            ids = await accept(one, *(an_order(f"crm-{i}") for i in range(4)))
            for done in range(4):
                await asyncio.gather(work(one, Lane.SUBMIT), work(two, Lane.SUBMIT))
                assert len(practice.sold()) == done + 1
                practice.pass_time(seconds=30)
                await work(one, Lane.ASK)
            await work_until_idle(practice, one)
            assert [practice.order(order_id)["state"] for order_id in ids] == ["COMPLETED"] * 4
            assert practice.differences(*ids) == []
            assert practice.rows("SELECT * FROM turns") == []

    run(whole())


def test_orders_with_different_locks_are_sent_side_by_side(practice: Practice) -> None:
    """Orders that can be told apart go side by side."""

    async def whole() -> None:
        async with practice.opened(adapter=with_locks()) as services:
            await accept(services, an_order("a"), an_order("b", name="another"))
            await work(services, Lane.SUBMIT)
            assert len(practice.sold()) == 2

    run(whole())


class BandwidthThatReleasesLate(BandwidthWithLocks):
    """Needs the lock until the second question, and reports nothing new."""

    asks = 0

    def ask(self, order: Order) -> Conversation:
        yield SaveProgress(order.progress)
        self.asks += 1
        return StillOpen("RECEIVED", alone=self.asks == 1)


def test_lock_is_released_although_there_is_no_other_news(practice: Practice) -> None:
    """The order stays open as before, which is no news. That it needs no lock any more is recorded."""

    async def whole() -> None:
        async with practice.opened(adapter=BandwidthThatReleasesLate("9900000", "743")) as services:
            await accept(services, an_order("a"), an_order("b"))
            await work(services, Lane.SUBMIT)
            for sold in (1, 2):
                practice.pass_time(seconds=30)
                await work(services, Lane.ASK, Lane.SUBMIT)
                assert len(practice.sold()) == sold

    run(whole())


def test_order_in_doubt_keeps_its_lock(practice: Practice) -> None:
    """What it may have bought could be taken for the next order's."""

    async def whole() -> None:
        async with practice.opened(adapter=with_locks()) as services:
            practice.carrier.fault("drop_after", times=1, **POST)
            first, second = await accept(services, an_order("a"), an_order("b"))
            for _ in range(3):
                await work(services, Lane.SUBMIT)
            assert practice.order(first)["state"] == "IN_DOUBT"
            assert practice.order(second)["sends"] == 0
            await work_until_idle(practice, services)
            assert practice.differences(first, second) == []

    run(whole())


def test_order_that_the_carrier_has_is_cancelled_there(practice: Practice) -> None:
    """It is asked for at once, and cancelled when the carrier says so. Cancelled twice is cancelled once."""

    async def whole() -> None:
        async with practice.opened(adapter=BandwidthThatCancels("9900000", "743")) as services:
            (order_id,) = await accept(services)
            await work(services, Lane.SUBMIT)
            asked = await services.orders.cancel(order_id, by="crm", why="typo")
            assert (asked.state, asked.reason) == (State.OPEN, "crm: typo")
            assert (BANDWIDTH, Lane.ASK) in practice.bell.rung
            assert (await services.orders.cancel(order_id, by="crm", why="typo")).version == asked.version
            await work(services, Lane.ASK)
            order = practice.order(order_id)
            assert (order["state"], order["reason"]) == ("CANCELLED", "dropped as it was asked to")
            assert order["progress"] == {"dropped": True}
            assert practice.story(order_id)[-2:] == ["CancelAsked", "CalledBack"]
            assert (await services.orders.cancel(order_id, by="crm")).state is State.CANCELLED

    run(whole())


def test_order_in_doubt_cannot_be_cancelled(practice: Practice) -> None:
    """It is not known yet whether the carrier has it."""

    async def whole() -> None:
        async with practice.opened(adapter=BandwidthThatCancels("9900000", "743")) as services:
            practice.carrier.fault("drop_after", times=1, **POST)
            (order_id,) = await accept(services)
            await work(services, Lane.SUBMIT)
            with pytest.raises(NotCancellable, match="may have it; try again once that is known"):
                await services.orders.cancel(order_id, by="crm")

    run(whole())


def test_two_orders_about_one_number_are_sent_one_after_the_other(practice: Practice) -> None:
    """A disconnect and a purchase of one number could both complete, and the account be empty."""

    async def whole() -> None:
        async with practice.opened() as services:
            (bought,) = await accept(services, an_order("first"))
            await work_until_idle(practice, services)
            (number,) = [
                row["e164"] for row in practice.rows("SELECT e164 FROM order_numbers WHERE state = 'acquired'")
            ]
            named = {"criteria": None, "quantity": None, "numbers": [number]}
            (removal,) = await accept(services, an_order("remove", kind="remove_numbers", **named))
            await work(services, Lane.SUBMIT)
            (again,) = await accept(services, an_order("again", **named))
            await work(services, Lane.SUBMIT)
            assert practice.order(again)["state"] == "ACCEPTED"
            (waits,) = practice.rows("SELECT reason FROM owed WHERE order_id = %(it)s AND lane = 'submit'", it=again)
            assert waits["reason"] == f"waits for order {removal}, which is about the same number {number}"
            await work_until_idle(practice, services)
            assert practice.order(bought)["state"] == practice.order(removal)["state"] == "COMPLETED"
            assert practice.order(again)["state"] in {"COMPLETED", "FAILED"}
            begun = [
                row["order_id"]
                for row in practice.rows(
                    "SELECT order_id FROM order_events WHERE event = 'SubmissionBegun' ORDER BY at"
                )
            ]
            assert begun == [bought, removal, again]

    run(whole())


def test_a_purchase_does_not_come_between_a_removal_and_its_resending(practice: Practice) -> None:
    """The removal had arrived, and was not among those that were read. It is sent again when its limit allows it."""
    practice.silence_s = 1.5

    async def whole() -> None:
        portal = BandwidthPortal(practice.carrier)
        async with practice.opened() as services:
            (first,) = await accept(services, an_order("first", quantity=DISCONNECTS_READ_MAX + 6))
            await work_until_idle(practice, services)
            number, *others = practice.numbers(first)
            for other in others:
                portal.remove(other)
            portal.close()
            named = {"criteria": None, "quantity": None, "numbers": [number]}
            practice.carrier.fault("hang_after", times=1, method="POST", path="/disconnects", delay_s=3)
            (removal,) = await accept(services, an_order("remove", kind="remove_numbers", **named))
            await work(services, Lane.SUBMIT)
            (again,) = await accept(services, an_order("again", **named))
            while "ProvenAbsent" not in practice.story(removal):
                practice.pass_time(seconds=60)
                practice.carrier.advance(60)
                until = await services.ledger.now() + timedelta(minutes=2)
                await services.ledger.limits.pause(BANDWIDTH, "DISCONNECT", until=until, why="HTTP 429")
                await work(services, Lane.ASK, Lane.SUBMIT)
            assert practice.order(removal)["state"] == practice.order(again)["state"] == "ACCEPTED"
            await work_until_idle(practice, services, step=timedelta(seconds=60))
            begun = practice.rows("SELECT order_id FROM order_events WHERE event = 'SubmissionBegun' ORDER BY at")
            assert [row["order_id"] for row in begun] == [first, removal, removal, again]
            held = practice.rows("SELECT FROM held_numbers WHERE released_at IS NULL AND e164 = %(it)s", it=number)
            assert len(held) == (number in practice.carrier.report()["holdings"]["bandwidth"])

    run(whole())
