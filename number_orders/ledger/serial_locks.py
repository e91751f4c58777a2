"""Serial locks (table `turns`): of the orders that a carrier could confuse, one at a time works there.

A lock belongs to an order, not to a worker (`one_at_a_time`). `OrderStore.record` releases it with the step that no
longer needs it, and wakes the next order. An order that is not woken tries again after a while.
"""

from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from psycopg.types.json import Jsonb

from number_orders.ledger.connection import Database
from number_orders.ledger.schedule import Claims
from number_orders.orders.model import CarrierName, OrderId, State


@dataclass(frozen=True, slots=True)
class HeldSerialLock:
    """A serial lock that does not move on, and how many orders wait for it."""

    serial_key: str
    order_id: OrderId
    state: State
    since: datetime
    waiting: int
    waiting_since: datetime | None
    """When the first of the waiting orders was accepted."""


class SerialLocks:
    """Gives serial locks to orders, and finds those that do not move on."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def take(
        self, claims: Claims, wanted: Mapping[OrderId, Collection[str]], *, carrier: CarrierName, at_most: timedelta
    ) -> frozenset[OrderId]:
        """Take serial locks for claimed orders, all of an order's or none; return the orders that have theirs.

        The claims of the others are given back. They are woken when a lock they need is free, or try again after
        `at_most`.

        Args:
            claims: What was claimed; its token guards giving back.
            wanted: The keys of the locks that each order needs.
            carrier: The carrier of all of them.
            at_most: How long an order waits before it tries again.
        """
        if not wanted:
            return frozenset()
        params = {"carrier": carrier, "wanted": Jsonb(_keyed(wanted))}
        found = await self._database.run("take_serial_locks", params)
        taken = Counter(OrderId(row["order_id"]) for row in found)
        locked = frozenset(order_id for order_id, keys in wanted.items() if taken[order_id] == len(set(keys)))
        if waiting := {order_id: keys for order_id, keys in wanted.items() if order_id not in locked}:
            params = {"carrier": carrier, "waiting": Jsonb(_keyed(waiting)), "at_most": at_most, "token": claims.token}
            await self._database.run("wait_for_serial_locks", params)
        return locked

    async def is_held_by(self, order_id: OrderId) -> bool:
        """Tell whether an order has a serial lock, beside those of the numbers it names."""
        (row,) = await self._database.run("has_serial_lock", {"order_id": order_id})
        return bool(row["has_serial_lock"])

    async def held_for_long(self, carrier: CarrierName, patience: timedelta) -> list[HeldSerialLock]:
        """Return the locks that a parked order has, or any unfinished order for longer than `patience`."""
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


def _keyed(wanted: Mapping[OrderId, Collection[str]]) -> list[dict[str, str]]:
    return [
        {"order_id": str(order_id), "serial_key": key} for order_id, keys in wanted.items() for key in sorted(set(keys))
    ]
