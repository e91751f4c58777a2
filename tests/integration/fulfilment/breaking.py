"""What may break under a desk: the power, at any line; the ledger's connection, at any statement."""

from collections.abc import Sequence
from typing import Any

import psycopg
from psycopg.rows import DictRow

from number_orders.carriers.contract import CarrierAnswer
from number_orders.carriers.http.courier import Courier
from number_orders.fulfilment.ports import Delivery
from number_orders.ledger.connection import Connections, PostgresDatabase
from number_orders.ledger.ledger import Ledger
from number_orders.ledger.orders import OrderStore
from number_orders.orders.model import Order, OrderId
from tests.integration.fulfilment.practice import Keeper


class PowerCut(BaseException):
    """The process is gone. Nothing catches it, and nothing that comes after it happens."""


class Power:
    """Counts every line at which the world could notice us, and goes out at one of them for good."""

    def __init__(self, out_at: int) -> None:
        self.used = 0
        self.is_out = False
        self._out_at = out_at

    def use(self) -> None:
        """Pass one line; or do not."""
        self.used += 1
        self.is_out = self.is_out or self.used >= self._out_at
        if self.is_out:
            raise PowerCut(self.used)


def frail_ledger(power: Power, whole: Ledger) -> Ledger:
    """A ledger on the connections of another, whose client dies before a statement, or after it was committed."""

    class Frail(PostgresDatabase):
        async def _execute(self, statement: str, params: Any) -> list[DictRow]:
            power.use()
            rows = await super()._execute(statement, params)
            power.use()
            return rows

    return Ledger(Frail(pool_of(whole)))


def frail_courier(power: Power) -> type[Courier]:
    """A courier that dies before a request leaves, or after its answer came."""

    class Frail(Courier):
        async def _send(self, *given: Any, **named: Any) -> CarrierAnswer:
            power.use()
            answer = await super()._send(*given, **named)
            power.use()
            return answer

    return Frail


class FrailHerald(Keeper):
    """A notifier that dies before it hands over, or after."""

    def __init__(self, power: Power, kept: list[dict[str, Any]]) -> None:
        super().__init__()
        self.kept = kept
        self._power = power

    def deliver(self, deliveries: Sequence[Delivery]) -> list[str | None]:
        self._power.use()
        troubles = super().deliver(deliveries)
        self._power.use()
        return troubles


class Line:
    """The line to the ledger, which breaks at one statement, for as many tries as told."""

    def __init__(self, breaks_at: int, *, tries: int, after_commit: bool) -> None:
        self.used = 0
        self.broke = False
        self._breaks = range(breaks_at, breaks_at + tries)
        self._after_commit = after_commit

    def ledger(self, whole: Ledger) -> Ledger:
        """A ledger on this line, and on the connections of another."""
        line = self

        class Cut(PostgresDatabase):
            async def _execute(self, statement: str, params: Any) -> list[DictRow]:
                line.used += 1
                if line.used not in line._breaks:
                    return await super()._execute(statement, params)
                line.broke = True
                if line._after_commit:
                    await super()._execute(statement, params)
                raise psycopg.OperationalError("server closed the connection unexpectedly")

        return Ledger(Cut(pool_of(whole)))


class StaleOnce(OrderStore):
    """Orders of which the first reading is older than it should be: somebody wrote just after it."""

    def __init__(self, whole: Ledger, seen: Order) -> None:
        super().__init__(whole.database)
        self._seen: list[Order] = [seen]

    async def read(self, order_ids: Sequence[OrderId]) -> dict[OrderId, Order]:
        if self._seen:
            return {order.order_id: order for order in [self._seen.pop()]}
        return await super().read(order_ids)


def stale_once(whole: Ledger, seen: Order) -> Ledger:
    """Return a ledger whose first reading of an order is stale."""
    ledger = Ledger(whole.database)
    ledger.orders = StaleOnce(whole, seen)
    return ledger


def pool_of(ledger: Ledger) -> Connections:
    """Return the connections of a ledger on PostgreSQL."""
    assert isinstance(ledger.database, PostgresDatabase)
    return ledger.database.pool
