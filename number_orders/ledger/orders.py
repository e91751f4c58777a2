"""Record steps, and read orders."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from psycopg.types.json import Jsonb

from number_orders.ledger import rows
from number_orders.ledger.connection import Database
from number_orders.orders.lifecycle import Step, resets_progress
from number_orders.orders.model import CarrierName, CarrierOrderId, NumberResult, Order, OrderId, State
from number_orders.orders.serialization import moment_to_json


@dataclass(frozen=True, slots=True)
class Recorded:
    """One step to be written: the order as it was read, what was heard, what follows."""

    before: Order
    step: Step
    numbers: tuple[NumberResult, ...] = ()
    notification: Mapping[str, Any] | None = None
    channels: tuple[str, ...] = ()


class OrderStore:
    """Record steps, and read orders."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def record(self, steps: Sequence[Recorded]) -> frozenset[OrderId]:
        """Write steps, all in one transaction; return the orders that had not moved on meanwhile.

        Raises:
            psycopg.DatabaseError: PostgreSQL will not have one of them (`UniqueViolation`: a carrier's order
                already belongs to another order of ours); nothing of the group was written.
        """
        if not steps:
            return frozenset()
        found = await self._database.run("record_steps", {"steps": Jsonb([_step(step) for step in steps])})
        return frozenset(OrderId(row["order_id"]) for row in found)

    async def keep_progress(self, order: Order, progress: Mapping[str, object]) -> bool:
        """Write down steps done at the carrier, and return whether order and steps stand where `order` has them."""
        params = {
            "order_id": order.order_id,
            "version": order.version,
            "known": Jsonb(order.progress),
            "progress": Jsonb(progress),
        }
        return bool(await self._database.run("keep_progress", params))

    async def read(self, order_ids: Sequence[OrderId]) -> dict[OrderId, Order]:
        """Return orders by id; unknown ids are left out."""
        found = await self._database.run("read_orders", {"order_ids": list(order_ids)})
        return {row["order_id"]: rows.order_from_row(row) for row in found}

    async def with_key(self, key: str) -> list[OrderId]:
        """Return the orders that any producer gave this key, newest first."""
        return [row["order_id"] for row in await self._database.run("find_by_key", {"key": key})]

    async def owner_of(self, carrier: CarrierName, carrier_order_id: CarrierOrderId) -> OrderId | None:
        """Return the order of ours that a carrier's order belongs to, if any."""
        params = {"carrier": carrier, "carrier_order_id": carrier_order_id}
        return next((row["order_id"] for row in await self._database.run("find_by_carrier_order", params)), None)

    async def list_orders(
        self,
        *,
        states: Sequence[State] | None = None,
        carrier: str | None = None,
        kind: str | None = None,
        older_than: timedelta | None = None,
        younger_than: timedelta | None = None,
        limit: int = 50,
    ) -> list[Mapping[str, Any]]:
        """Return orders, newest first, as rows for a table."""
        params = {
            "states": [str(state) for state in states] if states else None,
            "carrier": carrier,
            "kind": kind,
            "older_than": older_than,
            "younger_than": younger_than,
            "limit": limit,
        }
        return list(await self._database.run("list_orders", params))

    async def count_by_state(self) -> dict[State, int]:
        """Return how many orders stand in each state."""
        return {State(row["state"]): row["orders"] for row in await self._database.run("count_by_state", {})}


def _step(recorded: Recorded) -> dict[str, Any]:
    after = recorded.step.order
    return {
        "order_id": str(after.order_id),
        "from_version": recorded.before.version,
        "state": after.state,
        "ends": after.state.is_final,
        "carrier_order_id": after.carrier_order_id,
        "carrier_status": after.carrier_status,
        "reason": after.reason,
        "progress": after.progress if _resets_progress(recorded) else None,
        "cancel_asked_at": moment_to_json(after.cancel_asked_at),
        "sends": after.sends,
        "losses": after.losses,
        "doubt_since": moment_to_json(after.doubt_since),
        "doubt_asks": after.doubt_asks,
        "event": type(recorded.step.event).__name__,
        "late": recorded.step.late,
        "releases_serial_lock": recorded.step.releases_serial_lock,
        "detail": rows.event_detail(recorded.step.event),
        "numbers": [rows.result_to_json(result) for result in recorded.numbers],
        "effects": [rows.effect_to_json(effect) for effect in recorded.step.effects],
        "notification": recorded.notification,
        "channels": list(recorded.channels),
    }


def _resets_progress(recorded: Recorded) -> bool:
    """Tell whether a step forgets the attempt under way, with whatever was kept of it since the order was read."""
    return not recorded.step.late and resets_progress(recorded.before, recorded.step.event)
