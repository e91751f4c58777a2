"""The power goes out at every line in turn; the line to the ledger breaks at every statement in turn.

Whatever breaks, and wherever: a later worker finds the order, it is bought once, and its end is the carrier's.
"""

import contextlib
import random
from collections.abc import AsyncIterator, Callable, Coroutine
from datetime import datetime, timedelta
from itertools import count
from typing import Any

import pytest

from number_orders.fulfilment.runtime import Services
from number_orders.orders.errors import LedgerUnavailable
from number_orders.orders.model import OrderId
from number_orders.orders.policy import CarrierPolicy
from number_orders.sandbox.control import SandboxControl
from tests.integration.fulfilment.breaking import FrailHerald, Line, Power, PowerCut, frail_courier, frail_ledger
from tests.integration.fulfilment.practice import GET, LIST, POST, Practice, accept, an_order, live, run, work
from workers.clock import utc_now

TOLD = {"notify": {"task": "crm.moved", "queue": "crm", "on": ["ACCEPTED", "OPEN", "COMPLETED", "PARTIAL", "FAILED"]}}

IMPATIENT = CarrierPolicy(doubt_asks=1, doubt_patience=timedelta())
"""One look is enough, at a carrier that lists its orders at once: every line is passed, and none a dozen times."""

Lives = dict[str, tuple[dict[str, Any], Callable[[SandboxControl], object]]]

LIVES: Lives = {
    "straight to its end": (TOLD, lambda _: None),
    "partly filled": ({"criteria": {"npa": "808"}, "quantity": 2}, lambda _: None),
    "named numbers that fail": ({"numbers": ["+19195559902"], "criteria": None, "quantity": None}, lambda _: None),
    "processed, and the answer lost": (TOLD, lambda c: c.fault("drop_after", times=1, **POST)),
    "lost on its way": ({}, lambda c: c.fault("drop_before", times=1, **POST)),
    "too many requests": ({}, lambda c: [c.fault("too_many_requests", times=1, **on) for on in (POST, GET)]),
    "lost, and the list is lost too": (
        {},
        lambda c: [c.fault("error_after", times=1, **POST), c.fault("html", times=1, **LIST)],
    ),
}


async def await_end(practice: Practice, services: Services, *order_ids: OrderId, since: datetime) -> None:
    """Let a later worker bring them to their ends, with nothing broken any more, and compare with the carrier."""
    practice.carrier.clear_faults()
    practice.pass_time(hours=1)
    await live(practice, services)
    assert practice.untrue(*order_ids, since=since) == []


def untold(practice: Practice, order_id: OrderId) -> list[str]:
    """Compare what the producer heard with what happened: every state it asked for, in order, repetitions aside."""
    heard = [d["version"] for d in practice.notifier.kept if d["order_id"] == str(order_id)]
    first_heard = list(dict.fromkeys(heard))
    if practice.order(order_id)["request"].get("notify") is None:
        return []
    moves = practice.rows(
        """SELECT version, state FROM (
               SELECT version, state, lag(state) OVER (ORDER BY version) AS former
               FROM order_events WHERE order_id = %(id)s) AS told
           WHERE state IS DISTINCT FROM former AND state = ANY(%(asked)s) ORDER BY version""",
        id=order_id,
        asked=TOLD["notify"]["on"],
    )
    happened = [move["version"] for move in moves]
    return [] if first_heard == happened else [f"heard {heard} of {moves}"]


@pytest.mark.parametrize("life", LIVES)
def test_the_power_goes_out_at_every_line(practice: Practice, life: str) -> None:
    """Before and after every statement and every request, until a whole life passes without a cut."""
    changes, prepare = LIVES[life]
    practice.policy = IMPATIENT

    async def at_line(line: int, services: Services) -> bool:
        since = utc_now()
        (order_id,) = await accept(services, an_order(f"crm-{line}", **changes))
        prepare(practice.carrier)
        power = Power(line)
        notifier = FrailHerald(power, practice.notifier.kept)
        with contextlib.suppress(PowerCut):
            async with practice.opened(frail_ledger(power, services.ledger), frail_courier(power), notifier) as doomed:
                await live(practice, doomed)
        await await_end(practice, services, order_id, since=since)
        assert untold(practice, order_id) == []
        return power.is_out

    async def every_line() -> None:
        async with practice.opened() as services:
            lines = [line async for line in until_nothing_breaks(at_line, services)]
        assert len(lines) > 20

    run(every_line())


@pytest.mark.parametrize("seed", range(8))
def test_the_power_goes_out_again_and_again(practice: Practice, seed: int) -> None:
    """Several orders, a carrier that loses answers, and workers that live for a handful of lines each."""
    dice = random.Random(seed)

    practice.policy = CarrierPolicy(losses_max=100)
    since = utc_now()

    async def whole() -> None:
        async with practice.opened() as services:
            areas = ("919", "808", "406", "919", "307")
            orders = [an_order(f"crm-{i}", criteria={"npa": npa}, quantity=2) for i, npa in enumerate(areas)]
            order_ids = await accept(services, *orders)
            for fault, chance in {"drop_after": 0.2, "drop_before": 0.1, "error_after": 0.1}.items():
                practice.carrier.fault(fault, probability=chance, seed=seed, **POST)
            for _ in range(25):
                power = Power(dice.randint(3, 40))
                with contextlib.suppress(PowerCut):
                    async with practice.opened(frail_ledger(power, services.ledger), frail_courier(power)) as doomed:
                        await work(doomed)
                practice.pass_time(seconds=dice.choice((1, 10, 50, 120)))
            await await_end(practice, services, *order_ids, since=since)

    run(whole())


@pytest.mark.parametrize(
    ("tries", "after_commit"), [(1, True), (1, False), (2, True), (2, False)],
    ids=["commit unheard of", "one try lost", "away after the commit", "away"],
)  # fmt: skip
def test_the_ledger_breaks_at_every_statement(practice: Practice, tries: int, after_commit: bool) -> None:
    """Once, which is tried again; or twice, which is an outage. Before the statement, or between commit and answer."""
    changes, prepare = LIVES["processed, and the answer lost"]
    practice.policy = IMPATIENT

    async def at_statement(number: int, services: Services) -> bool:
        since = utc_now()
        (order_id,) = await accept(services, an_order(f"crm-{number}", **changes))
        prepare(practice.carrier)
        line = Line(number, tries=tries, after_commit=after_commit)
        try:
            async with practice.opened(line.ledger(services.ledger)) as shaken:
                await live(practice, shaken)
        except LedgerUnavailable:
            assert tries == 2
        await await_end(practice, services, order_id, since=since)
        assert untold(practice, order_id) == []
        return line.broke

    async def every_statement() -> None:
        async with practice.opened() as services:
            statements = [number async for number in until_nothing_breaks(at_statement, services)]
        assert len(statements) > 10

    run(every_statement())


async def until_nothing_breaks(
    life: Callable[[int, Services], Coroutine[Any, Any, bool]], services: Services
) -> AsyncIterator[int]:
    """Live whole lives, each broken one line further on, until one is not."""
    for number in count(1):
        if not await life(number, services):
            return
        yield number
