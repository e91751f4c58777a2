"""The archive: orders that ended long ago leave `orders`, and every question about them is still answered.

An order is copied first, and removed from `orders` at least `STAYS` later. In between its key is in both places, so no
intake can miss it: a statement that looked into the archive before the copy was there has ended by then
(`connection.STATEMENT_S`). Each batch is one transaction, and what a batch leaves the next one finds.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from number_orders.ledger.connection import Database
from number_orders.orders.model import OrderId

STAYS: Final = timedelta(minutes=10)
"""Twenty times as long as PostgreSQL lets a statement of ours run."""
RESTORED_STAYS: Final = timedelta(days=7)
"""An order that was brought back is left alone for so long: a person wants something of it."""
_FIRST: Final = datetime(1, 1, 2, tzinfo=UTC)
"""Before every end."""
_AT_ONCE: Final = 500
"""How many orders one statement moves: few enough to stay far below the statement timeout."""


@dataclass(frozen=True, slots=True)
class Archived:
    """What the archive holds."""

    copied: int
    """Still in `orders` too, and removed there soon."""
    removed: int
    purged: int
    """Those of the removed whose story is gone."""
    oldest: datetime | None
    newest: datetime | None
    bytes: int


@dataclass(frozen=True, slots=True)
class Copied:
    """What one statement has copied."""

    orders: int
    ended_to: datetime | None
    """When the last of them ended: what ended before was looked at. None: there was nothing to copy."""


class Archive:
    """Moves ended orders into the archive, and back."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def copy(self, older_than: timedelta, *, at_once: int = _AT_ONCE) -> int:
        """Copy orders that ended longer ago than `older_than` and are owed nothing; return how many."""
        return (await self.copy_next(older_than, at_once=at_once)).orders

    async def copy_next(
        self, older_than: timedelta, *, ended_from: datetime | None = None, at_once: int = _AT_ONCE
    ) -> Copied:
        """Copy the oldest of those that ended at `ended_from` or later. In a guard period nothing is copied."""
        params = {"older_than": older_than, "ended_from": ended_from or _FIRST, "at_once": at_once}
        (row,) = await self._database.run("archive_orders", params | {"restored_stay": RESTORED_STAYS})
        return Copied(row["copied"], row["ended_to"])

    async def remove(self, *, stays: timedelta = STAYS, at_once: int = _AT_ONCE) -> tuple[int, int]:
        """Remove from `orders` what was copied long enough ago; return how many copies were looked at, and removed."""
        (row,) = await self._database.run("remove_archived", {"stays": stays, "at_once": at_once})
        return row["looked_at"], row["removed"]

    async def restore(self, order_ids: Sequence[OrderId]) -> list[OrderId]:
        """Bring orders back; return those that there were. Purged ones stay, and those of which `blocked` is true."""
        found = await self._database.run("restore_archived", {"order_ids": list(order_ids)})
        return [OrderId(row["order_id"]) for row in found]

    async def blocked(self, order_ids: Sequence[OrderId]) -> dict[OrderId, OrderId]:
        """Return which orders cannot be brought back because another one has their key or carrier order, and which."""
        found = await self._database.run("find_in_the_way", {"order_ids": list(order_ids)})
        return {row["order_id"]: row["other_id"] for row in found}

    async def among(self, order_ids: Sequence[OrderId]) -> frozenset[OrderId]:
        """Return which of some orders are in the archive and no longer in `orders`."""
        found = await self._database.run("archived_among", {"order_ids": list(order_ids)})
        return frozenset(row["order_id"] for row in found)

    async def since(self, moment: datetime, *, but: Sequence[OrderId] = (), limit: int = _AT_ONCE) -> list[OrderId]:
        """Return a page of the orders that were archived since a moment and were not purged, without those in `but`."""
        found = await self._database.run("archived_since", {"since": moment, "but": list(but), "limit": limit})
        return [OrderId(row["order_id"]) for row in found]

    async def purge(self, older_than: timedelta, *, at_once: int = _AT_ONCE) -> int:
        """Delete story and free text of archived orders that ended longer ago than `older_than`; return how many."""
        (row,) = await self._database.run("purge_archived", {"older_than": older_than, "at_once": at_once})
        return int(row["purged"])

    async def summary(self) -> Archived:
        """Return what the archive holds. Reads all of it."""
        (row,) = await self._database.run("archive_summary", {})
        return Archived(**{name: row[name] for name in Archived.__slots__})
