"""Let one order at a time work at a carrier, among those that could be taken for each other."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from psycopg.types.json import Jsonb

from number_orders.ledger.connection import Database
from number_orders.ledger.schedule import Claims
from number_orders.orders.model import CarrierName, OrderId, State


@dataclass(frozen=True, slots=True)
class HeldSerialLock:
    """A turn that a parked order has, or another for long, and the line behind it."""

    serial_key: str
    order_id: OrderId
    state: State
    since: datetime
    waiting: int
    waiting_since: datetime | None
    """When the first of those who wait was accepted."""


class SerialLocks:
    """Let one order at a time work at a carrier, among those that could be taken for each other."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def take(
        self, claims: Claims, wanted: Mapping[OrderId, str], *, carrier: CarrierName, at_most: timedelta
    ) -> frozenset[OrderId]:
        """Take the turn for each order that needs something to itself, and return those that have it.

        The others give their claims back and stand in line: woken when their turn comes, or after `at_most`.
        """
        if not wanted:
            return frozenset()
        params = {"carrier": carrier, "wanted": Jsonb(_keyed(wanted))}
        theirs = frozenset(OrderId(row["order_id"]) for row in await self._database.run("take_serial_locks", params))
        if waiting := {order_id: key for order_id, key in wanted.items() if order_id not in theirs}:
            line = {"carrier": carrier, "waiting": Jsonb(_keyed(waiting)), "at_most": at_most, "token": claims.token}
            await self._database.run("wait_for_serial_locks", line)
        return theirs

    async def is_held_by(self, order_id: OrderId) -> bool:
        """Tell whether an order has something at its carrier to itself."""
        (row,) = await self._database.run("has_serial_lock", {"order_id": order_id})
        return bool(row["has_serial_lock"])

    async def held_for_long(self, carrier: CarrierName, patience: timedelta) -> list[HeldSerialLock]:
        """Return the turns that a parked order has, or another for longer than `patience`."""
        found = await self._database.run("held_serial_locks", {"carrier": carrier, "patience": patience})
        return [
            HeldSerialLock(
                row["serial_key"],
                row["order_id"],
                State(row["state"]),
                row["since"],
                row["waiting"],
                row["waiting_since"],
            )
            for row in found
        ]


def _keyed(wanted: Mapping[OrderId, str]) -> list[dict[str, str]]:
    return [{"order_id": str(order_id), "serial_key": key} for order_id, key in wanted.items()]
