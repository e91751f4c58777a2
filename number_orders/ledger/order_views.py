"""Orders as their producers and operators read them: with the producer, by pages, and what is new of many at once."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from number_orders.ledger import rows
from number_orders.ledger.connection import Database
from number_orders.orders.model import Order, OrderId, State

Row = Mapping[str, Any]

INFINITY: Final = "infinity"
"""PostgreSQL's moment after all others; Python has none."""
_FIRST_ID: Final = UUID(int=0)
_LAST_ID: Final = UUID(int=2**128 - 1)


@dataclass(frozen=True, slots=True)
class OrderView:
    """An order and who sent it."""

    order: Order
    producer: str


@dataclass(frozen=True, slots=True)
class PageCursor:
    """The last order of a page. The next page begins with the order before it in time."""

    accepted_at: datetime
    order_id: UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderFilter:
    """Which orders to list. Each field that is given narrows the selection."""

    producer: str | None = None
    key: str | None = None
    number: str | None = None
    """E.164: the orders that name it, brought it, or removed it."""
    states: Sequence[State] | None = None
    carrier: str | None = None
    kind: str | None = None
    accepted_after: datetime | None = None
    """This moment counts."""
    accepted_before: datetime | None = None
    """This moment does not count."""


class OrderViews:
    """Reads orders with their producers."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def read(self, order_ids: Sequence[OrderId]) -> dict[OrderId, OrderView]:
        """Return orders by id; unknown ids are left out."""
        found = await self._database.run("read_orders", {"order_ids": list(order_ids)})
        return {row["order_id"]: _view(row) for row in found}

    async def page(self, wanted: OrderFilter, *, limit: int, after: PageCursor | None = None) -> list[OrderView]:
        """Return a page of orders, newest first."""
        return [_view(row) for row in await self.rows(wanted, limit=limit, after=after)]

    async def rows(self, wanted: OrderFilter, *, limit: int, after: PageCursor | None = None) -> list[Row]:
        """Return a page of orders as rows of `orders` with the ledger's time, newest first."""
        params = list_bounds(wanted, after) | {"limit": limit}
        if wanted.key is not None or wanted.number is not None:
            params |= {"order_ids": await self.find(wanted), "producer": wanted.producer}
            return list(await self._database.run("list_orders_among", params))
        if wanted.producer is not None:
            return list(await self._database.run("list_orders_of_producer", params | {"producer": wanted.producer}))
        return list(await self._database.run("list_orders", params))

    async def news(self, seen: Mapping[OrderId, int]) -> list[Row]:
        """Return the events of many orders, of each those after the version that was seen; oldest first."""
        params = {"order_ids": list(seen), "versions": list(seen.values())}
        return list(await self._database.run("news_of", params)) if seen else []

    async def find(self, wanted: OrderFilter) -> list[OrderId]:
        """Return the orders with this key, about this number, or both, whatever else is wanted of them."""
        found: list[set[OrderId]] = []
        if wanted.key is not None:
            statement = "find_by_key" if wanted.producer is None else "find_by_producer_and_key"
            params = {"key": wanted.key, "producer": wanted.producer}
            found.append({row["order_id"] for row in await self._database.run(statement, params)})
        if wanted.number is not None:
            rows_about = await self._database.run("find_by_number", {"number": wanted.number})
            found.append({row["order_id"] for row in rows_about})
        return sorted(set.intersection(*found))


def list_bounds(wanted: OrderFilter, after: PageCursor | None) -> dict[str, Any]:
    """Return the parameters that every list has: bounds of time as far apart as can be, unless they are given."""
    before: tuple[datetime | str, UUID] = (INFINITY, _LAST_ID)
    if after is not None:
        before = (after.accepted_at, after.order_id)
    if wanted.accepted_before is not None and (after is None or wanted.accepted_before <= after.accepted_at):
        before = (wanted.accepted_before, _FIRST_ID)
    return {
        "before": before[0],
        "before_id": before[1],
        "since": wanted.accepted_after or f"-{INFINITY}",
        "states": [str(state) for state in wanted.states or State],
        "carrier": wanted.carrier,
        "kind": wanted.kind,
    }


def _view(row: Row) -> OrderView:
    return OrderView(rows.order_from_row(row), row["producer"])
