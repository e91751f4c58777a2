"""Telephone numbers: what became of each number of an order, and which numbers we hold.

Only reads. `OrderStore.record` writes numbers together with the event that brings them. A number is held at most once
(`held_at_most_once`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from number_orders.ledger import rows
from number_orders.ledger.connection import Database
from number_orders.orders.model import CarrierName, Criteria, NumberResult, Order, OrderId, Owner
from number_orders.orders.numbers import E164

_OF_NUMBER_MAX: Final = 50
"""How many holdings and orders of one number are read."""


@dataclass(frozen=True, slots=True)
class KnownNumber:
    """What the ledger knows of one number at one carrier."""

    e164: E164
    held_since: datetime | None
    held_by: OrderId | None
    named: bool
    """Whether another unfinished order names it and is to acquire it."""
    released_by: OrderId | None = None
    """The other order that released it last, however long ago."""
    released_at: datetime | None = None


class NumberStore:
    """Reads numbers, of one order or across orders."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def of_orders(self, order_ids: Sequence[OrderId]) -> dict[OrderId, list[NumberResult]]:
        """Return the known numbers of each order; an empty list for an order without any."""
        known: dict[OrderId, list[NumberResult]] = {order_id: [] for order_id in order_ids}
        for row in await self._database.run("numbers_of", {"order_ids": list(order_ids)}):
            known[row["order_id"]].append(rows.result_from_row(row))
        return known

    async def recall(self, order: Order, numbers: Sequence[E164]) -> tuple[datetime, list[KnownNumber]]:
        """Return the ledger's time, and what is known of `numbers` at the carrier of `order`.

        Other orders that are to acquire a number count, `order` itself does not.
        """
        params = {"order_id": order.order_id, "carrier": order.request.carrier, "numbers": list(numbers)}
        found = await self._database.run("recall", params)
        known = [
            KnownNumber(
                row["e164"], row["held_since"], row["held_by"], row["named"], row["released_by"], row["released_at"]
            )
            for row in found
            if row["e164"] is not None
        ]
        return found[0]["now"], known

    async def ended(self, carrier: CarrierName, references: Sequence[str]) -> frozenset[str]:
        """Return those of the references at a carrier whose order has ended."""
        found = await self._database.run("ended_references", {"carrier": carrier, "references": list(references)})
        return frozenset(row["reference"] for row in found)

    async def owners(self, carrier: CarrierName, carrier_orders: Sequence[str]) -> dict[str, Owner]:
        """Return what the orders are that follow these orders of a carrier."""
        found = await self._database.run("owners", {"carrier": carrier, "carrier_orders": list(carrier_orders)})
        return {
            row["carrier_order_id"]: Owner(row["is_complete"], Criteria(**row["criteria"]) if row["criteria"] else None)
            for row in found
        }

    async def parked_orders_bringing(self, carrier: CarrierName, numbers: Sequence[E164]) -> list[tuple[OrderId, E164]]:
        """Return the parked orders that are to acquire one of these numbers, each with the lowest of them.

        Numbers that are already held are left out.
        """
        found = await self._database.run("parked_orders_bringing", {"carrier": carrier, "numbers": list(numbers)})
        return [(OrderId(row["order_id"]), E164(row["e164"])) for row in found]

    async def holdings_of(self, e164: E164, *, producer: str | None = None) -> list[Mapping[str, Any]]:
        """Return when we held a number and through which orders; the present or last time first.

        With `producer`, only what its own orders brought.
        """
        return list(await self._database.run("holdings_of_number", _of_number(e164, producer)))

    async def orders_about(self, e164: E164, *, producer: str | None = None) -> list[Mapping[str, Any]]:
        """Return what became of a number in each order that named or brought it, newest first."""
        return list(await self._database.run("orders_of_number", _of_number(e164, producer)))


def _of_number(e164: E164, producer: str | None) -> Mapping[str, Any]:
    return {"e164": e164, "producer": producer, "limit": _OF_NUMBER_MAX}
