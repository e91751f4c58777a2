"""A worker is lost at every line of a Swift order in turn: bought once, removed once, never too early, always ended."""

import contextlib
from collections.abc import Callable, Iterator
from datetime import timedelta
from itertools import count
from typing import Any

import psycopg
import pytest
from psycopg.rows import dict_row

from fulfilment.runtime import Room
from orders.lifecycle import Manner
from orders.model import OrderId
from sandbox.control import SandboxControl
from tests.integration.fulfilment.breaking import Power, PowerCut, frail_courier, frail_ledger
from tests.integration.fulfilment.practice import live, run
from tests.integration.fulfilment.swift_practice import (
    CHECKOUT,
    SwiftPractice,
    a_purchase,
    a_removal,
    bought,
    brought_along,
    take,
)

IMPATIENT = Manner(doubt_asks=1, doubt_patience=timedelta())
STEP = timedelta(minutes=32)
"""Longer than anything waits, so that no line is an idle one."""
STRIDE = 4
"""Every line is some test's, and no test is a long one."""

Life = Callable[[SwiftPractice, Room, int], Any]


@pytest.fixture
def practice(ledger_url: str, carrier: SandboxControl) -> Iterator[SwiftPractice]:
    with psycopg.connect(ledger_url, autocommit=True, row_factory=dict_row) as db:
        yield SwiftPractice(ledger_url, db, carrier, manner=IMPATIENT)


async def purchase(practice: SwiftPractice, room: Room, line: int) -> OrderId:
    return await take(room, a_purchase(f"buy-{line}", quantity=2))


async def purchase_and_answer_lost(practice: SwiftPractice, room: Room, line: int) -> OrderId:
    practice.carrier.fault("drop_after", times=1, **CHECKOUT)
    return await purchase(practice, room, line)


async def purchase_and_request_lost(practice: SwiftPractice, room: Room, line: int) -> OrderId:
    practice.carrier.fault("drop_before", times=1, **CHECKOUT)
    return await purchase(practice, room, line)


async def numbers_brought_along(practice: SwiftPractice, room: Room, line: int) -> OrderId:
    return await take(room, brought_along(f"+1202555{line:04}", key=f"bring-{line}"))


async def removal(practice: SwiftPractice, room: Room, line: int) -> OrderId:
    practice.carrier.behave(swift_usable_s=0)  # how numbers come is not what is tried here
    return await take(room, a_removal(await bought(practice, room, 1, key=f"buy-{line}"), f"remove-{line}"))


async def split_removal(practice: SwiftPractice, room: Room, line: int) -> OrderId:
    practice.carrier.behave(swift_usable_s=0)
    clean = sorted(practice.held())
    if not clean:
        clean = await bought(practice, room, 40, key="clean")
        practice.pass_time(minutes=31)
    young = await bought(practice, room, 1, key=f"young-{line}")
    return await take(room, a_removal([clean[0], *young], f"remove-{line}", when_tainted="split"))


LIVES: dict[str, Life] = {
    "purchase": purchase,
    "purchase, and the answer lost": purchase_and_answer_lost,
    "purchase, and the request lost": purchase_and_request_lost,
    "numbers brought along": numbers_brought_along,
    "removal": removal,
    "split removal": split_removal,
}


def untrue(practice: SwiftPractice, order_id: OrderId) -> list[str]:
    """Compare ledger and carrier: done once and only once, in time, and told as it is."""
    sold = practice.sold(order_id)
    theirs = sorted(number for each in sold for what in ("bought", "added", "removed") for number in each[what])
    order, ours = practice.order(order_id), sorted(practice.states(order_id))
    wrong = [f"too early: {violation}" for violation in practice.violations()]
    if order["state"] != "COMPLETED" or theirs != ours or len(set(theirs)) != len(theirs):
        wrong.append(f"{order['state']} with {ours}, but truly {theirs}: {practice.story(order_id)} {order['reason']}")
    return wrong


@pytest.mark.parametrize("first", range(1, STRIDE + 1))
@pytest.mark.parametrize("life", LIVES)
def test_a_worker_is_lost_at_every_line(practice: SwiftPractice, life: str, first: int) -> None:
    """Before and after every statement and every request, until a whole life passes without a loss."""

    async def at_line(line: int, room: Room) -> bool:
        order_id: OrderId = await LIVES[life](practice, room, line)
        power = Power(line)
        with contextlib.suppress(PowerCut):
            async with practice.opened(frail_ledger(power, room.ledger), frail_courier(power)) as doomed:
                await live(practice, doomed, step=STEP)
        practice.carrier.clear_faults()
        await live(practice, room, step=STEP)
        assert untrue(practice, order_id) == [], line
        return power.is_out

    async def every_line() -> None:
        async with practice.opened() as room:
            for line in count(first, STRIDE):
                if not await at_line(line, room):
                    assert line > 20
                    return

    run(every_line())
