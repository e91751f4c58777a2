"""An account with 200,000 numbers at five requests a second: every order ends, and each page is read once for all."""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import timedelta
from math import ceil
from random import Random
from typing import Any
from uuid import UUID

import pytest

from number_orders.sandbox.behaviour import read_behaviour
from number_orders.simulation.carriers import BANDWIDTH, CM_COM, SWIFT
from number_orders.simulation.clock import VirtualLoop
from number_orders.simulation.network import CarrierHost
from number_orders.simulation.people import PlannedOrder, Producer
from number_orders.simulation.rates import RateMonitor
from number_orders.simulation.trace import Trace
from number_orders.simulation.world import Parts, Plan, World

PAGE = 50
"""As Swift's page prints it, where 100 are asked for."""
PER_SECOND = 5.0
ORDERS = 40


class LargeAccount(World):
    """A calm world with one account at Swift, and orders that are all due at once."""

    def __init__(self, numbers: int, orders: Sequence[Mapping[str, Any]]) -> None:
        super().__init__(Plan(7, days=0, carriers=("swift",)), Parts(), Trace(None))
        self._raw = orders
        self._rates = {BANDWIDTH: {}, CM_COM: {}, SWIFT: {"ALL": PER_SECOND}}
        monitor = RateMonitor(self._rates, self._monitor.fail)
        host = self._carriers[SWIFT].app
        self._hosts[SWIFT] = CarrierHost(
            SWIFT,
            host,
            self._incidents,
            self._trace,
            self._monitor.on_carrier_action,
            monitor,
            Random(7),
            self._monitor.paths.on_request,
        )
        self._sandbox.behaviour = read_behaviour(
            {
                "swift_old_numbers": numbers,
                "list_page_max": PAGE,
                "processing_s": 2.0,
                "swift_usable_s": 0.0,
                "list_oldest_first": False,
            },
            over=self._sandbox.behaviour,
        )

    def requests(self, route: str) -> int:
        """Return how many requests Swift has had on a route."""
        counted = self._sandbox.request_log.requests_as_json()["by_carrier"]["swift"].get(route, {"total": 0})
        return int(counted["total"])

    @property
    def readings(self) -> int:
        """How many readings were begun."""
        return self._trace.counts["whole_reading"]

    def ended(self) -> dict[str, int]:
        """Return how many orders are in each state."""
        states = [row["state"] for row in self._tables.orders.values()]
        return {state: states.count(state) for state in set(states)}

    def slowest(self) -> timedelta:
        """Return how long the slowest order took."""
        times: list[timedelta] = [row["ended_at"] - row["accepted_at"] for row in self._tables.orders.values()]
        return max(times)

    def on_statement(self, process: str, statement: str, params: Mapping[str, Any], rows: list[dict[str, Any]]) -> None:
        """Count the readings that become whole."""
        super().on_statement(process, statement, params, rows)
        if statement == "add_page" and rows and rows[0]["whole"]:
            self._trace.note("test", "whole_reading")

    def _start_people(self) -> list[Producer]:
        dice = Random(7)
        planned = [PlannedOrder(0.0, UUID(int=dice.getrandbits(128), version=4), raw) for raw in self._raw]
        producers = [Producer(one, self._broker, self._trace, self._dice) for one in planned]
        for producer in producers:
            self._start(producer.run())
        return producers


def run(world: LargeAccount) -> None:
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        report = runner.run(world.run())
    assert not report.broken, "\n".join((*report.broken, *report.last_lines[-20:]))


def an_addition(number: int) -> dict[str, Any]:
    return {
        "key": f"crm-{number}",
        "carrier": "swift",
        "kind": "add_messaging_numbers",
        "numbers": [f"+1512555{2000 + number}"],
    }


@pytest.mark.parametrize(("numbers", "within"), [(8_000, timedelta(minutes=5)), (200_000, timedelta(hours=1))])
def test_each_page_is_read_once_for_forty_orders(numbers: int, within: timedelta) -> None:
    """A reading costs its pages, and an order a few requests of its own; none waits for more than two readings.

    While nothing is known of how long a reading takes, an order looks for itself every five minutes. Here a page takes
    some 0.3 s, more than a rate slot: one in fifty takes seconds.
    """
    world = LargeAccount(numbers, [an_addition(number) for number in range(ORDERS)])
    run(world)
    pages = ceil((numbers + ORDERS) / PAGE)
    assert world.ended() == {"COMPLETED": ORDERS}
    assert world.slowest() <= within
    assert 1 <= world.readings <= 2
    assert world.requests("GET /dids") <= world.readings * pages + ORDERS
    asked = world.requests("GET /dids") + world.requests("GET /orders/{orderId}")
    assert asked <= world.readings * pages + max(4 * ORDERS, 0.1 * world.readings * pages)
