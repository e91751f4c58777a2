"""Intake: new orders, each stored with its first event and its first work item.

Ids are unique, and so are keys for each producer (`one_order_per_key`). Of many workers that store the same order, one
succeeds; the others learn which order has the key or the id.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from psycopg.types.json import Jsonb

from number_orders.ledger.connection import Database
from number_orders.orders.model import OrderId, OrderRequest, State
from number_orders.orders.serialization import moment_to_json, request_to_json


@dataclass(frozen=True, slots=True)
class NewOrder:
    """An order that has passed every check and is about to be stored."""

    order_id: OrderId
    producer: str
    request: OrderRequest
    fingerprint: str
    reference: str
    """See `orders.reference`. The ledger stores it unless workers of 0.1.0 may still send the order."""
    reason: str | None = None
    notification: Mapping[str, Any] | None = None
    channels: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Taken:
    """An order that already has a certain key or id."""

    order_id: OrderId
    producer: str
    key: str
    fingerprint: str
    state: State


class IntakeStore:
    """Stores new orders, and finds the orders that already have their keys or ids."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def accept(self, orders: Sequence[NewOrder]) -> frozenset[OrderId]:
        """Store new orders in one transaction; return the ids of those whose key and id were free."""
        found = await self._database.run("accept_orders", {"orders": Jsonb([_new_order(order) for order in orders])})
        return frozenset(OrderId(row["order_id"]) for row in found)

    async def find_taken(self, orders: Sequence[NewOrder]) -> list[Taken]:
        """Return the stored orders that have an id or a key of `orders`."""
        params = {
            "order_ids": [order.order_id for order in orders],
            "producers": [order.producer for order in orders],
            "keys": [order.request.key for order in orders],
        }
        return [
            Taken(row["order_id"], row["producer"], row["key"], row["fingerprint"].hex(), State(row["state"]))
            for row in await self._database.run("find_taken", params)
        ]

    async def find_key(self, producer: str, key: str) -> OrderId | None:
        """Return the order with this key of this producer."""
        params = {"order_ids": [], "producers": [producer], "keys": [key]}
        return next((OrderId(row["order_id"]) for row in await self._database.run("find_taken", params)), None)


def _new_order(order: NewOrder) -> dict[str, Any]:
    return {
        "order_id": str(order.order_id),
        "producer": order.producer,
        "key": order.request.key,
        "fingerprint": order.fingerprint,
        "reference": order.reference,
        "carrier": order.request.carrier,
        "kind": order.request.kind,
        "account": order.request.account,
        "request": request_to_json(order.request),
        "reason": order.reason,
        "not_before": moment_to_json(order.request.not_before),
        "notification": order.notification,
        "channels": list(order.channels),
    }
