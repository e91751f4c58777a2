"""Orders that cannot be told apart go one at a time, and orders that the carrier has can be called back.

With Bandwidth's practice carrier, and adapters that ask for these things and nothing else.
"""

import asyncio
from dataclasses import replace

import pytest

from number_orders.carriers.bandwidth.adapter import Bandwidth
from number_orders.carriers.contract import Capabilities, Conversation, SaveProgress
from number_orders.orders.errors import NotCancellable
from number_orders.orders.events import CalledBack, StillOpen
from number_orders.orders.model import Kind, Lane, Order, OrderRequest, State
from tests.integration.fulfilment.practice import BANDWIDTH, POST, Practice, accept, an_order, live, run, work


class OneAtATime(Bandwidth):
    """Needs to itself, for every order, what the order is called after."""

    def serial_key(self, request: OrderRequest) -> str:  # type: ignore[override]  # Bandwidth itself never needs it
        return request.name or "own"


class LetsGo(Bandwidth):
    """Drops every order that it is asked to drop."""

    @property
    def capabilities(self) -> Capabilities:
        return replace(super().capabilities, cancellable=frozenset({Kind.NEW_NUMBERS}))

    def ask(self, order: Order) -> Conversation:
        if order.cancel_asked_at is None:
            return (yield from super().ask(order))
        yield SaveProgress({**order.progress, "dropped": True})
        return CalledBack("dropped as it was asked to", "CANCELLED")


def one_at_a_time() -> OneAtATime:
    return OneAtATime("9900000", "743")


def test_orders_that_cannot_be_told_apart_go_one_at_a_time(practice: Practice) -> None:
    """However many workers there are: each begins when the one before it has ended, in the order they came."""

    async def whole() -> None:
        async with practice.opened(adapter=one_at_a_time()) as one, practice.opened(adapter=one_at_a_time()) as two:
            ids = await accept(one, *(an_order(f"crm-{i}") for i in range(4)))
            for done in range(4):
                await asyncio.gather(work(one, Lane.SUBMIT), work(two, Lane.SUBMIT))
                assert len(practice.sold()) == done + 1
                practice.pass_time(seconds=30)
                await work(one, Lane.ASK)
            await live(practice, one)
            assert [practice.order(order_id)["state"] for order_id in ids] == ["COMPLETED"] * 4
            assert practice.untrue(*ids) == []
            assert practice.rows("SELECT * FROM turns") == []

    run(whole())


def test_turns_do_not_wait_for_each_other(practice: Practice) -> None:
    """Orders that can be told apart go side by side."""

    async def whole() -> None:
        async with practice.opened(adapter=one_at_a_time()) as services:
            await accept(services, an_order("a"), an_order("b", name="another"))
            await work(services, Lane.SUBMIT)
            assert len(practice.sold()) == 2

    run(whole())


class TellsApart(OneAtATime):
    """Knows at the second look which numbers came, and has nothing else to say."""

    looks = 0

    def ask(self, order: Order) -> Conversation:
        yield SaveProgress(order.progress)
        self.looks += 1
        return StillOpen("RECEIVED", alone=self.looks == 1)


def test_an_order_gives_its_turn_on_when_it_has_nothing_else_to_say(practice: Practice) -> None:
    """That it may stay open for days, as it did before, is no news; that others may go is."""

    async def whole() -> None:
        async with practice.opened(adapter=TellsApart("9900000", "743")) as services:
            await accept(services, an_order("a"), an_order("b"))
            await work(services, Lane.SUBMIT)
            for sold in (1, 2):
                practice.pass_time(seconds=30)
                await work(services, Lane.ASK, Lane.SUBMIT)
                assert len(practice.sold()) == sold

    run(whole())


def test_an_order_in_doubt_keeps_its_turn(practice: Practice) -> None:
    """What it may have bought could be taken for the next one's."""

    async def whole() -> None:
        async with practice.opened(adapter=one_at_a_time()) as services:
            practice.carrier.fault("drop_after", times=1, **POST)
            first, second = await accept(services, an_order("a"), an_order("b"))
            for _ in range(3):
                await work(services, Lane.SUBMIT)
            assert practice.order(first)["state"] == "IN_DOUBT"
            assert practice.order(second)["sends"] == 0
            await live(practice, services)
            assert practice.untrue(first, second) == []

    run(whole())


def test_an_order_that_the_carrier_has_is_called_back_there(practice: Practice) -> None:
    """Asked at once, and cancelled when the carrier says so; called back twice is called back once."""

    async def whole() -> None:
        async with practice.opened(adapter=LetsGo("9900000", "743")) as services:
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


def test_what_may_be_on_its_way_is_not_called_back(practice: Practice) -> None:
    """Nobody knows yet whether the carrier has it: that comes first."""

    async def whole() -> None:
        async with practice.opened(adapter=LetsGo("9900000", "743")) as services:
            practice.carrier.fault("drop_after", times=1, **POST)
            (order_id,) = await accept(services)
            await work(services, Lane.SUBMIT)
            with pytest.raises(NotCancellable, match="may have it; try again once that is known"):
                await services.orders.cancel(order_id, by="crm")

    run(whole())
