"""Workers are killed at point after point, and the ledger's connection breaks at statement after statement.

Wherever it happens, a later worker finds the order, it is bought once, and it ends as at the carrier.
"""

import contextlib
import os
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
from tests.integration.fulfilment.breaking import (
    CrashingNotifier,
    CrashPoint,
    FailingConnection,
    ProcessKilled,
    crashing_courier,
    crashing_ledger,
)
from tests.integration.fulfilment.practice import (
    GET,
    LIST,
    POST,
    Practice,
    accept,
    an_order,
    run,
    work,
    work_until_idle,
)
from workers.clock import utc_now

NOTIFIED = {
    "notify": {"task": "crm.moved", "queue": "crm", "on": ["ACCEPTED", "OPEN", "COMPLETED", "PARTIAL", "FAILED"]}
}

IMPATIENT = CarrierPolicy(doubt_asks=1, doubt_patience=timedelta())
"""One search is enough at a carrier that lists its orders at once, so every point is passed only a few times."""

Cases = dict[str, tuple[dict[str, Any], Callable[[SandboxControl], object]]]

CASES: Cases = {
    "straight to its end": (NOTIFIED, lambda _: None),
    "partly filled": ({"criteria": {"npa": "808"}, "quantity": 2}, lambda _: None),
    "named numbers that fail": ({"numbers": ["+19195559902"], "criteria": None, "quantity": None}, lambda _: None),
    "processed, and the answer lost": (NOTIFIED, lambda c: c.fault("drop_after", times=1, **POST)),
    "lost on its way": ({}, lambda c: c.fault("drop_before", times=1, **POST)),
    "too many requests": ({}, lambda c: [c.fault("too_many_requests", times=1, **on) for on in (POST, GET)]),
    "lost, and the list is lost too": (
        {},
        lambda c: [c.fault("error_after", times=1, **POST), c.fault("html", times=1, **LIST)],
    ),
}


async def work_to_the_end(practice: Practice, services: Services, *order_ids: OrderId, since: datetime) -> None:
    """Let a later worker bring the orders to their ends without any fault, and compare with the carrier."""
    practice.carrier.clear_faults()
    practice.pass_time(hours=1)
    await work_until_idle(practice, services)
    assert practice.differences(*order_ids, since=since) == []


def undelivered(practice: Practice, order_id: OrderId) -> list[str]:
    """Compare the delivered documents with the events: every state that was asked for, in order, repetitions aside."""
    heard = [d["version"] for d in practice.notifier.delivered if d["order_id"] == str(order_id)]
    first_heard = list(dict.fromkeys(heard))
    if practice.order(order_id)["request"].get("notify") is None:
        return []
    moves = practice.rows(
        """SELECT version, state FROM (
               SELECT version, state, lag(state) OVER (ORDER BY version) AS former
               FROM order_events WHERE order_id = %(id)s) AS moves
           WHERE state IS DISTINCT FROM former AND state = ANY(%(asked)s) ORDER BY version""",
        id=order_id,
        asked=NOTIFIED["notify"]["on"],
    )
    happened = [move["version"] for move in moves]
    return [] if first_heard == happened else [f"heard {heard} of {moves}"]


@pytest.mark.parametrize("case", CASES)
def test_worker_is_killed_at_every_point_in_turn(practice: Practice, case: str) -> None:
    """Before and after statements and requests, until an order passes them all."""
    changes, prepare = CASES[case]
    practice.policy = IMPATIENT

    async def killed_at(point: int, services: Services) -> bool:
        since = utc_now()
        (order_id,) = await accept(services, an_order(f"crm-{point}", **changes))
        prepare(practice.carrier)
        crash_point = CrashPoint(point)
        notifier = CrashingNotifier(crash_point, practice.notifier.delivered)
        with contextlib.suppress(ProcessKilled):
            async with practice.opened(
                crashing_ledger(crash_point, services.ledger), crashing_courier(crash_point), notifier
            ) as dying:
                await work_until_idle(practice, dying)
        await work_to_the_end(practice, services, order_id, since=since)
        assert undelivered(practice, order_id) == []
        return crash_point.reached

    async def every_point() -> None:
        async with practice.opened() as services:
            first = list(CASES).index(case)
            points = [point async for point in until_nothing_breaks(killed_at, services, first=first)]
        assert points[-1] > 20

    run(every_point())


@pytest.mark.parametrize("seed", range(8))
def test_workers_are_killed_again_and_again(practice: Practice, seed: int) -> None:
    """Several orders, a carrier that loses answers, and workers that are killed after a few steps each."""
    random_numbers = random.Random(seed)

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
                crash_point = CrashPoint(random_numbers.randint(3, 40))
                with contextlib.suppress(ProcessKilled):
                    async with practice.opened(
                        crashing_ledger(crash_point, services.ledger), crashing_courier(crash_point)
                    ) as dying:
                        await work(dying)
                practice.pass_time(seconds=random_numbers.choice((1, 10, 50, 120)))
            await work_to_the_end(practice, services, *order_ids, since=since)

    run(whole())


@pytest.mark.parametrize(
    ("tries", "after_commit"), [(1, True), (1, False), (2, True), (2, False)],
    ids=["commit unheard of", "one try lost", "away after the commit", "away"],
)  # fmt: skip
def test_ledger_breaks_at_every_statement_in_turn(practice: Practice, tries: int, after_commit: bool) -> None:
    """Once, and it is tried again; or twice, which is an outage. Before the statement, or after its commit."""
    changes, prepare = CASES["processed, and the answer lost"]
    practice.policy = IMPATIENT

    async def at_statement(number: int, services: Services) -> bool:
        since = utc_now()
        (order_id,) = await accept(services, an_order(f"crm-{number}", **changes))
        prepare(practice.carrier)
        connection = FailingConnection(number, tries=tries, after_commit=after_commit)
        try:
            async with practice.opened(connection.ledger(services.ledger)) as failing:
                await work_until_idle(practice, failing)
        except LedgerUnavailable:
            assert tries == 2
        await work_to_the_end(practice, services, order_id, since=since)
        assert undelivered(practice, order_id) == []
        return connection.broke

    async def every_statement() -> None:
        async with practice.opened() as services:
            first = tries + 2 * after_commit
            statements = [number async for number in until_nothing_breaks(at_statement, services, first=first)]
        assert statements[-1] > 10

    run(every_statement())


STEP = int(os.environ.get("EVERY_NTH_POINT", "3"))
"""Each case is broken at every third point, from a first one of its own: the cases share most of their points."""


async def until_nothing_breaks(
    broken_at: Callable[[int, Services], Coroutine[Any, Any, bool]], services: Services, *, first: int
) -> AsyncIterator[int]:
    """Run whole orders, each broken some points later, until one passes unbroken."""
    for number in count(1 + first % STEP, STEP):
        if not await broken_at(number, services):
            return
        yield number
