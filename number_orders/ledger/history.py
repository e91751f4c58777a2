"""The history of orders: their events, and the receipts of what passed between us and the carrier.

Events are written by `OrderStore.record` and never changed. Receipts are deleted after some days (`forget_receipts`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final, cast

from psycopg.types.json import Jsonb

from number_orders.ledger import rows
from number_orders.ledger.connection import Database
from number_orders.ledger.numbers import NumberStore
from number_orders.ledger.orders import OrderStore
from number_orders.ledger.schedule import Schedule, WorkItem
from number_orders.orders.errors import UnknownOrder
from number_orders.orders.events import HeldBackByRule, NoProgress, Reminder, names_of
from number_orders.orders.model import NumberResult, Order, OrderId

_FORGOTTEN_AT_ONCE: Final = 5000
"""How many receipts one statement deletes: few enough to stay far below the statement timeout."""


@dataclass(frozen=True, slots=True)
class Receipt:
    """One request and its answer, as they are stored: secrets removed, bodies cut to a maximum length."""

    order_id: OrderId
    request: str
    elapsed_ms: int
    status: int | None = None
    trouble: str | None = None
    sent: str | None = None
    answer: str | None = None


@dataclass(frozen=True, slots=True)
class Story:
    """Everything the ledger knows of one order, for a person."""

    now: datetime
    producer: str
    order: Order
    numbers: tuple[NumberResult, ...]
    work_items: tuple[WorkItem, ...]
    events: tuple[Mapping[str, Any], ...]
    receipts: tuple[Mapping[str, Any], ...] = field(default=())
    messages: tuple[Mapping[str, Any], ...] = field(default=())
    """The documents for its producer, and what became of each."""
    archived_at: datetime | None = None
    """When it left the table of orders for the archive."""
    purged_at: datetime | None = None
    """When the archive forgot its story and what people wrote."""


class History:
    """Reads what has happened to orders, and stores receipts."""

    def __init__(self, database: Database, orders: OrderStore, numbers: NumberStore, schedule: Schedule) -> None:
        self._database = database
        self._orders = orders
        self._numbers = numbers
        self._schedule = schedule

    async def story(self, order_id: OrderId, *, receipts_max: int | None = None) -> Story:
        """Return everything about one order. Each part is read by its own statement, so the order may move in between.

        Of the receipts the newest `receipts_max`; None: all.

        Raises:
            UnknownOrder: There is no such order.
        """
        found = await self._database.run("read_orders", {"order_ids": [order_id]})
        if not found:
            raise UnknownOrder(order_id)
        return Story(
            now=found[0]["now"],
            producer=found[0]["producer"],
            order=rows.order_from_row(found[0]),
            numbers=tuple((await self._numbers.of_orders([order_id]))[order_id]),
            work_items=tuple((await self._schedule.work_items([order_id]))[order_id]),
            events=tuple(await self._database.run("story_of", {"order_id": order_id})),
            receipts=tuple(await self._database.run("receipts_of", {"order_id": order_id, "limit": receipts_max})),
            messages=tuple(await self._database.run("messages_of", {"order_id": order_id})),
            archived_at=found[0].get("archived_at"),
            purged_at=found[0].get("purged_at"),
        )

    async def trying_since(self, order_id: OrderId) -> datetime | None:
        """Return when the present series of failed attempts to send an order began; None if there is none.

        Anything else that happens to the order ends the series, also waiting on purpose.
        """
        (row,) = await self._database.run("trying_since", {"order_id": order_id, "no_progress": names_of(NoProgress)})
        return cast("datetime | None", row["since"])

    async def due_since(self, order_id: OrderId) -> datetime:
        """Return when an order was first to be worked on: waiting on purpose, at the beginning, does not count."""
        (row,) = await self._database.run("due_since", {"order_id": order_id, "held_back": names_of(HeldBackByRule)})
        return cast("datetime", row["since"])

    async def last_moves(self, order_ids: Sequence[OrderId]) -> dict[OrderId, str]:
        """Return the name of the last event that moved each of these orders; unknown orders are left out."""
        params = {"order_ids": list(order_ids), "reminders": names_of(Reminder)}
        found = await self._database.run("last_moves", params)
        return {row["order_id"]: row["event"] for row in found}

    async def keep_receipts(self, receipts: Sequence[Receipt]) -> None:
        """Store receipts."""
        if receipts:
            entries = [
                {name: getattr(receipt, name) for name in Receipt.__slots__} | {"order_id": str(receipt.order_id)}
                for receipt in receipts
            ]
            await self._database.run("keep_receipts", {"receipts": Jsonb(entries)})

    async def forget_receipts(self, older_than: timedelta, *, at_once: int = _FORGOTTEN_AT_ONCE) -> None:
        """Delete the receipts that are older than `older_than`, at most `at_once` with one statement."""
        while True:
            (row,) = await self._database.run("forget_receipts", {"older_than": older_than, "at_once": at_once})
            if row["forgotten"] < at_once:
                return
