"""Faults on purpose: the process is killed before or after any statement or request; the ledger's connection breaks."""

from collections.abc import Awaitable, Callable, Sequence
from itertools import count
from typing import Any

import psycopg
from psycopg.rows import DictRow

from number_orders.carriers.contract import CarrierAnswer
from number_orders.carriers.http.courier import Courier
from number_orders.fulfilment.ports import Delivery
from number_orders.fulfilment.runtime import Services
from number_orders.ledger.connection import Connections, PostgresDatabase
from number_orders.ledger.ledger import Ledger
from number_orders.ledger.orders import OrderStore
from number_orders.orders.model import Order, OrderId
from tests.integration.fulfilment.practice import Practice, RecordingNotifier


class ProcessKilled(BaseException):
    """The process is dead. Nothing catches this, and nothing happens after it."""


class CrashPoint:
    """Counts the points before and after every statement and request, and kills the process at the `at`-th."""

    def __init__(self, at: int) -> None:
        self.passed = 0
        self.reached = False
        self._at = at

    def pass_point(self) -> None:
        """Pass one point, or die at it. A dead process passes none."""
        self.passed += 1
        self.reached = self.reached or self.passed >= self._at
        if self.reached:
            raise ProcessKilled(self.passed)


async def kill_at_every_point(practice: Practice, killed_at: Callable[[int, Services], Awaitable[bool]]) -> int:
    """Kill a process at its first point, then at its second, until it has no more; return how many that were.

    Args:
        practice: Where it happens.
        killed_at: Lets a process live that is killed at this point, checks what comes of it, and returns whether the
            process came so far.
    """
    async with practice.opened() as services:
        for point in count(1):
            if not await killed_at(point, services):
                return point
    raise AssertionError("unreachable")


def crashing_ledger(crash_point: CrashPoint, whole: Ledger) -> Ledger:
    """Return a ledger whose process is killed before a statement, or after its commit. It uses the pool of `whole`."""

    class CrashingDatabase(PostgresDatabase):
        async def _execute(self, statement: str, params: Any) -> list[DictRow]:
            crash_point.pass_point()
            rows = await super()._execute(statement, params)
            crash_point.pass_point()
            return rows

    return Ledger(CrashingDatabase(pool_of(whole)))


def crashing_courier(crash_point: CrashPoint) -> type[Courier]:
    """Return a courier whose process is killed before a request leaves, or after its answer has come."""

    class CrashingCourier(Courier):
        async def _send(self, *given: Any, **named: Any) -> CarrierAnswer:
            crash_point.pass_point()
            answer = await super()._send(*given, **named)
            crash_point.pass_point()
            return answer

    return CrashingCourier


class CrashingNotifier(RecordingNotifier):
    """A notifier whose process is killed before it delivers, or after."""

    def __init__(self, crash_point: CrashPoint, delivered: list[dict[str, Any]]) -> None:
        super().__init__()
        self.delivered = delivered
        self._crash_point = crash_point

    def deliver(self, deliveries: Sequence[Delivery]) -> list[str | None]:
        self._crash_point.pass_point()
        errors = super().deliver(deliveries)
        self._crash_point.pass_point()
        return errors


class FailingConnection:
    """A connection to the ledger that breaks at one statement, and at as many tries of it as `tries` says."""

    def __init__(self, breaks_at: int, *, tries: int, after_commit: bool) -> None:
        self.statements = 0
        self.broke = False
        self._breaks = range(breaks_at, breaks_at + tries)
        self._after_commit = after_commit

    def ledger(self, whole: Ledger) -> Ledger:
        """Return a ledger that uses this connection. It uses the pool of `whole`."""
        connection = self

        class FailingDatabase(PostgresDatabase):
            async def _execute(self, statement: str, params: Any) -> list[DictRow]:
                connection.statements += 1
                if connection.statements not in connection._breaks:
                    return await super()._execute(statement, params)
                connection.broke = True
                if connection._after_commit:
                    await super()._execute(statement, params)
                raise psycopg.OperationalError("server closed the connection unexpectedly")

        return Ledger(FailingDatabase(pool_of(whole)))


class StaleOnce(OrderStore):
    """An order store whose first read returns an order as it was before another worker moved it."""

    def __init__(self, whole: Ledger, seen: Order) -> None:
        super().__init__(whole.database)
        self._seen: list[Order] = [seen]

    async def read(self, order_ids: Sequence[OrderId]) -> dict[OrderId, Order]:
        if self._seen:
            return {order.order_id: order for order in [self._seen.pop()]}
        return await super().read(order_ids)


def stale_once(whole: Ledger, seen: Order) -> Ledger:
    """Return a ledger whose first read of an order is stale."""
    ledger = Ledger(whole.database)
    ledger.orders = StaleOnce(whole, seen)
    return ledger


def pool_of(ledger: Ledger) -> Connections:
    """Return the connection pool of a ledger on PostgreSQL."""
    assert isinstance(ledger.database, PostgresDatabase)
    return ledger.database.pool
