"""The producers who remove numbers, and who order them again.

The numbers are those that the service holds at that moment. Some are removed inside their taint window.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from random import Random
from typing import Any, Final

from number_orders.orders.model import Kind
from number_orders.simulation.broker import Broker
from number_orders.simulation.carriers import BANDWIDTH, CM_COM, SWIFT
from number_orders.simulation.people import PlannedOrder, Producer, new_uuid, notification
from number_orders.simulation.tables import Row, Tables
from number_orders.simulation.trace import Trace

_REBUYS_EVERY_S: Final = (600.0, 7200.0)
_REBUYS_MAX: Final = 4
_YOUNG: Final = timedelta(minutes=25)
_OLD: Final = timedelta(minutes=35)


@dataclass(slots=True)
class Remover:
    """Orders the removal of numbers, some of them inside their taint window."""

    tables: Tables
    broker: Broker
    trace: Trace
    dice: Random
    count: int
    until_s: float
    producers: list[Producer]
    """All producers; those of removals are added."""
    orders_max: int = 1000
    """After so many orders there are no more."""
    _chosen: set[str] = field(default_factory=set)

    async def run(self) -> None:
        """Order the removal of some of the numbers held, from time to time."""
        for number in range(self.count):
            if not self.orders_max:
                return
            await asyncio.sleep(self.dice.uniform(0, 2 * self.until_s / self.count))
            if asyncio.get_running_loop().time() > self.until_s:
                return
            if numbers := self._choice():
                self.orders_max -= 1
                raw = self._removal(f"gone-{number:05}", numbers)
                cancelled_after_s = self.dice.uniform(0, 3600) if self.dice.random() < 0.1 else None  # noqa: PLR2004
                planned = PlannedOrder(0, new_uuid(self.dice), raw, cancelled_after_s)
                producer = Producer(planned, self.broker, self.trace, self.dice)
                self.producers.append(producer)
                await producer.run()

    def _choice(self) -> list[Row]:
        """Choose numbers of one carrier whose order has ended and that no removal names."""
        held = [row for row in self.tables.held if row["released_at"] is None and row["e164"] not in self._chosen]
        held = [row for row in held if self.tables.orders[row["acquired_by"]]["ended_at"]]
        carrier = self.dice.choice((BANDWIDTH, SWIFT, SWIFT))
        ours = [row for row in held if row["carrier"] == carrier][-6:]
        chosen = self.dice.sample(ours, min(len(ours), self.dice.randint(1, 4)))
        chosen = [row for row in chosen if self._account(row) == self._account(chosen[0])]
        self._chosen.update(row["e164"] for row in chosen)
        return chosen

    def _removal(self, key: str, rows: Sequence[Row]) -> dict[str, Any]:
        carrier = rows[0]["carrier"]
        order = {"key": key, "carrier": str(carrier), "kind": Kind.REMOVE_NUMBERS.value}
        order |= {"numbers": [row["e164"] for row in rows]} | notification(self.dice)
        order |= {"account": account} if (account := self._account(rows[0])) else {}
        return order | ({"when_tainted": self.dice.choice(("wait", "split", "fail"))} if carrier == SWIFT else {})

    def _account(self, row: Row) -> str | None:
        """Return the account that a number was bought for, unless it is the own one."""
        account: str | None = self.tables.orders[row["acquired_by"]]["request"].get("account")
        return account


@dataclass(slots=True)
class Rebuyer:
    """Orders numbers by name that were held once and removed, or are being removed."""

    tables: Tables
    broker: Broker
    trace: Trace
    dice: Random
    until_s: float
    producers: list[Producer]
    """All producers; those of these orders are added."""
    _chosen: set[str] = field(default_factory=set)

    async def run(self) -> None:
        """Order one number from time to time, each once."""
        while True:
            await asyncio.sleep(self.dice.uniform(*_REBUYS_EVERY_S))
            if asyncio.get_running_loop().time() > self.until_s or len(self._chosen) == _REBUYS_MAX:
                return
            going = {e164 for order in self.tables.orders.values() for e164 in self._numbers_going(order)}
            gone = [
                row
                for row in self.tables.held
                if (row["released_at"] or row["e164"] in going)
                and row["e164"] not in self._chosen
                and row["carrier"] != CM_COM  # which sells none by name
            ]
            if gone:
                row = self.dice.choice(gone)
                self._chosen.add(row["e164"])
                planned = PlannedOrder(0, new_uuid(self.dice), self._order(row))
                self.producers.append(Producer(planned, self.broker, self.trace, self.dice))
                await self.producers[-1].run()

    def _numbers_going(self, order: Row) -> list[str]:
        """Return the numbers that an order under way removes."""
        removes = order["kind"] == Kind.REMOVE_NUMBERS and not order["ended_at"]
        return list(order["request"]["numbers"]) if removes else []

    def _order(self, row: Row) -> dict[str, Any]:
        kind = Kind.ADD_MESSAGING_NUMBERS if row["carrier"] == SWIFT else Kind.NEW_NUMBERS
        order = {"key": f"again-{len(self._chosen):05}", "carrier": str(row["carrier"]), "kind": kind.value}
        return order | {"numbers": [row["e164"]]} | notification(self.dice)


@dataclass(slots=True)
class Splitter(Remover):
    """Orders removals from Swift in two parts: of numbers that are old enough, and of one that is not."""

    def _choice(self) -> list[Row]:
        """Choose the youngest number of an account, if it is tainted, and some that are not."""
        held = [row for row in self.tables.held if row["released_at"] is None and row["carrier"] == SWIFT]
        held = [row for row in held if self.tables.orders[row["acquired_by"]]["ended_at"]]
        now = self.tables.clock()
        young = [row for row in held if now - row["acquired_at"] < _YOUNG]
        old = [row for row in held if now - row["acquired_at"] > _OLD and row["e164"] not in self._chosen]
        if not young:
            return []
        youngest = young[-1]
        old = [row for row in old if self._account(row) == self._account(youngest)][-2:]
        self._chosen.update(row["e164"] for row in (*old, youngest))
        return [*old, youngest] if old else []

    def _removal(self, key: str, rows: Sequence[Row]) -> dict[str, Any]:
        return super(Splitter, self)._removal(f"split-{key}", rows) | {"when_tainted": "split"}
