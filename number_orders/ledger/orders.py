"""Orders: every step that moves them, and reading them.

A step is written whole by one statement: the event, the order, its numbers, its work items, the document for the
producer, the alarms. The order's version guards it: an order that has moved since it was read is left alone.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from psycopg.types.json import Jsonb

from number_orders.ledger import rows
from number_orders.ledger.connection import Database
from number_orders.ledger.order_views import OrderFilter, OrderViews
from number_orders.orders.alarms import Alarm
from number_orders.orders.events import SentAgain
from number_orders.orders.lifecycle import Step, resets_progress
from number_orders.orders.model import CarrierName, CarrierOrderId, Kind, NumberResult, Order, OrderId, State
from number_orders.orders.numbers import E164
from number_orders.orders.serialization import moment_to_json


@dataclass(frozen=True, slots=True)
class PendingStep:
    """One step to be written: the order as it was read, the step, and what goes with it."""

    before: Order
    step: Step
    numbers: tuple[NumberResult, ...] = ()
    notification: Mapping[str, Any] | None = None
    channels: tuple[str, ...] = ()
    alarms: tuple[tuple[str, str], ...] = ()
    """What a person must be told of this step, and the details. Written with it, so that no crash comes between."""
    unbought: int | None = None
    """How many of its numbers an order that ends has not bought: its producer may order them again in the same hour."""
    done: tuple[E164, ...] = ()
    """The numbers with which an order that ends has done what was asked for."""

    @property
    def ends(self) -> bool:
        """Whether this step ends its order."""
        return self.step.order.state.is_final and not self.before.state.is_final


class OrderStore:
    """Writes steps of orders, and reads orders."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def record(self, steps: Sequence[PendingStep]) -> dict[OrderId, Sequence[E164]]:
        """Write steps in one transaction; return the orders that moved. Those that had moved since are left out.

        Each comes with the numbers that it acquired although another order holds them, of which an alarm is raised.

        Raises:
            NotStorable: PostgreSQL refuses one of the steps (`AlreadyTaken`: the carrier's order belongs to another
                order of ours); nothing was written.
        """
        if not steps:
            return {}
        params = {"steps": Jsonb([_step(step) for step in steps]), "held_twice": Alarm.NUMBER_HELD_TWICE}
        found = await self._database.run("record_steps", params)
        return {OrderId(row["order_id"]): row["held_elsewhere"] for row in found}

    async def keep_progress(self, order: Order, progress: Mapping[str, object]) -> bool:
        """Store the steps of a conversation that are done; return whether they are stored.

        They are not if the order has moved since `order` was read, or if another worker has stored other steps.
        """
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
        """Return the orders with this key, of any producer, newest first."""
        return [row["order_id"] for row in await self._database.run("find_by_key", {"key": key})]

    async def owner_of(self, carrier: CarrierName, carrier_order_id: CarrierOrderId) -> OrderId | None:
        """Return the order of ours that a carrier's order belongs to; None if there is none."""
        params = {"carrier": carrier, "carrier_order_id": carrier_order_id}
        return next((row["order_id"] for row in await self._database.run("find_by_carrier_order", params)), None)

    async def list_orders(
        self,
        *,
        states: Sequence[State] | None = None,
        carrier: str | None = None,
        kind: str | None = None,
        accepted_after: datetime | None = None,
        accepted_before: datetime | None = None,
        limit: int = 50,
    ) -> list[Mapping[str, Any]]:
        """Return orders as rows for a table, newest first. Each argument that is given narrows the selection."""
        wanted = OrderFilter(
            states=states, carrier=carrier, kind=kind, accepted_after=accepted_after, accepted_before=accepted_before
        )
        return await OrderViews(self._database).rows(wanted, limit=limit)

    async def count_by_state(self) -> dict[State, int]:
        """Return how many orders are in each state; states without orders are left out."""
        return {State(row["state"]): row["orders"] for row in await self._database.run("count_by_state", {})}


def _step(recorded: PendingStep) -> dict[str, Any]:
    after = recorded.step.order
    return {
        "order_id": str(after.order_id),
        "from_version": recorded.before.version,
        "from_state": recorded.before.state,
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
        "history_lost_at": moment_to_json(after.history_lost_at),
        "other_carrier_orders": list(after.other_ids),
        "event": type(recorded.step.event).__name__,
        "late": recorded.step.late,
        "keeps_work": recorded.step.keeps_work,
        "reminds": recorded.step.reminds,
        "releases_serial_lock": recorded.step.releases_serial_lock,
        "wanted": recorded.before.request.wanted,
        "approves": _approves(recorded),
        "unbought": recorded.unbought,
        "detail": rows.event_detail(recorded.step.event),
        "numbers": [rows.result_to_json(result) for result in recorded.numbers],
        "effects": [rows.effect_to_json(effect) for effect in recorded.step.effects],
        "notification": recorded.notification,
        "channels": list(recorded.channels),
        "alarms": [{"what": what, "detail": detail} for what, detail in recorded.alarms],
    }


def _approves(recorded: PendingStep) -> bool:
    """Tell whether a step sends an order that may not have taken its numbers from its producer's budget yet."""
    return isinstance(recorded.step.event, SentAgain) and recorded.before.request.kind is not Kind.REMOVE_NUMBERS


def _resets_progress(recorded: PendingStep) -> bool:
    """Tell whether a step ends the attempt under way, with all progress stored for it since the order was read."""
    return not recorded.step.late and resets_progress(recorded.before, recorded.step.event)
