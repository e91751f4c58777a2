"""Held numbers against a carrier's list of them: what only one side has, and orders for adopted numbers.

The list goes into one statement, which returns the differences only.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from psycopg.types.json import Jsonb

from number_orders.ledger import rows
from number_orders.ledger.connection import Database
from number_orders.orders.events import NumbersAdopted
from number_orders.orders.model import CarrierName, CarrierOrderId, Order, OrderId, OrderRequest
from number_orders.orders.numbers import E164
from number_orders.orders.serialization import fingerprint, request_to_json

ADOPTER: Final = "reconcile"
"""The producer of orders that are born ended: their numbers are nobody's."""


@dataclass(frozen=True, slots=True)
class ReportedNumber:
    """A number that the carrier lists as ours."""

    e164: E164
    account: str | None = None
    since: datetime | None = None
    """Since when, by the carrier's clock."""


@dataclass(frozen=True, slots=True)
class Difference:
    """A number that only one side has: the carrier (`is_listed`) or the ledger."""

    e164: E164
    is_listed: bool
    account: str | None = None
    since: datetime | None = None
    held_by: OrderId | None = None
    """The order that holds it in the ledger."""
    held_at: CarrierName | None = None
    """The carrier at which it is held. One that is listed may be held at another carrier."""
    acquired_at: datetime | None = None
    released_at: datetime | None = None
    """When the ledger last learnt that it was released here."""
    brought_by: OrderId | None = None
    """An unfinished order that names it and is to acquire it."""
    removed_by: OrderId | None = None
    """An unfinished order that is to remove it."""
    holder_unfinished: bool = False


@dataclass(frozen=True, slots=True)
class AdoptedOrder:
    """An order that is born ended, for numbers that no order of ours has brought."""

    order_id: OrderId
    producer: str
    request: OrderRequest
    reason: str
    event: NumbersAdopted


@dataclass(frozen=True, slots=True)
class ReconciliationResult:
    """What the last comparison of a carrier's numbers with the ledger has found."""

    carrier: CarrierName
    at: datetime | None
    """When it was. None: none was possible yet."""
    theirs: int
    ours: int
    orphans: int
    ghosts: int
    failed_at: datetime | None
    """When a later one was not possible. None: there was none."""
    trouble: str | None


class HoldingsStore:
    """Compares held numbers with a carrier's list, and stores orders for adopted numbers."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def compare(
        self, carrier: CarrierName, listed: Collection[ReportedNumber], *, moved_since: datetime
    ) -> tuple[int, list[Difference]]:
        """Return how many numbers the ledger holds at the carrier, and the numbers that only one side has.

        Numbers that were acquired or released since `moved_since` are left out.
        """
        params = {
            "carrier": carrier,
            "numbers": [number.e164 for number in listed],
            "accounts": [number.account for number in listed],
            "dates": [number.since for number in listed],
            "moved_since": moved_since,
        }
        found = await self._database.run("compare_holdings", params)
        differences = [_difference(row) for row in found if row["e164"] is not None]
        ours = next(row["ours"] for row in found if row["e164"] is None)
        return ours, sorted(differences, key=lambda one: one.e164)

    async def purchases_by_criteria(self, carrier: CarrierName) -> list[Order]:
        """Return the unfinished purchases by criteria that may have been sent."""
        found = await self._database.run("purchases_by_criteria", {"carrier": carrier})
        return [rows.order_from_row(row) for row in found]

    async def purchases_with(
        self, carrier: CarrierName, carrier_order_ids: Collection[CarrierOrderId], references: Collection[str]
    ) -> list[Order]:
        """Return the purchases that have one of these ids, or one of these references, at the carrier."""
        params = {"carrier": carrier, "carrier_order_ids": list(carrier_order_ids), "references": list(references)}
        return [rows.order_from_row(row) for row in await self._database.run("purchases_with", params)]

    async def keep_result(
        self,
        carrier: CarrierName,
        *,
        theirs: int = 0,
        ours: int = 0,
        orphans: int = 0,
        ghosts: int = 0,
        trouble: str | None = None,
    ) -> None:
        """Store what a comparison has found, or the trouble that made it impossible."""
        params = {"theirs": theirs, "ours": ours, "orphans": orphans, "ghosts": ghosts, "trouble": trouble}
        await self._database.run("keep_reconciliation", params | {"carrier": carrier})

    async def results(self) -> list[ReconciliationResult]:
        """Return the last result of each carrier."""
        return [ReconciliationResult(**row) for row in await self._database.run("reconciliations", {})]

    async def store_adopted(self, orders: Sequence[AdoptedOrder]) -> None:
        """Store orders that are born ended, with their numbers, all of them or none.

        Raises:
            AlreadyTaken: One of the numbers is held by now.
        """
        await self._database.run("store_adopted", {"orders": Jsonb([_adopted_order(order) for order in orders])})


def _difference(row: Mapping[str, Any]) -> Difference:
    return Difference(**{name: row[name] for name in Difference.__slots__})


def _adopted_order(order: AdoptedOrder) -> dict[str, Any]:
    return {
        "order_id": str(order.order_id),
        "producer": order.producer,
        "key": order.request.key,
        "fingerprint": fingerprint(order.request),
        "carrier": order.request.carrier,
        "kind": order.request.kind,
        "account": order.request.account,
        "request": request_to_json(order.request),
        "reason": order.reason,
        "event": type(order.event).__name__,
        "detail": rows.event_detail(order.event),
        "numbers": [rows.result_to_json(result) for result in order.event.numbers],
    }
