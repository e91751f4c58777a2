"""Coverage snapshots: how many numbers carriers had for sale, over time."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

from psycopg.types.json import Jsonb

from number_orders.ledger.connection import Database
from number_orders.orders.model import CarrierName

_FORGOTTEN_AT_ONCE: Final = 5000


@dataclass(frozen=True, slots=True)
class CoverageSnapshot:
    """How many numbers one group had at one moment. An empty `entry` is all groups together."""

    carrier: CarrierName
    taken_at: datetime
    query: str
    entry: str
    quantity: int


class CoverageStore:
    """Keeps and reads snapshots."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def keep(self, carrier: CarrierName, query: str, entries: Mapping[str, int]) -> None:
        """Store one snapshot: the quantity of each group."""
        rows = [{"entry": entry, "quantity": quantity} for entry, quantity in entries.items()]
        await self._database.run("keep_coverage", {"carrier": carrier, "query": query, "entries": Jsonb(rows)})

    async def history(self, within: timedelta, *, carrier: str | None = None) -> list[CoverageSnapshot]:
        """Return the snapshots of this time, the newest first."""
        found = await self._database.run("coverage_history", {"within": within, "carrier": carrier})
        return [CoverageSnapshot(**row) for row in found]

    async def totals(self, within: timedelta) -> list[Mapping[str, Any]]:
        """Return how many numbers each carrier had in all (`carrier`, `taken_at`, `quantity`), the oldest first."""
        return [*await self._database.run("coverage_totals", {"within": within})]

    async def forget(self, older_than: timedelta, *, at_once: int = _FORGOTTEN_AT_ONCE) -> None:
        """Delete snapshots that are older."""
        while True:
            (row,) = await self._database.run("forget_coverage", {"older_than": older_than, "at_once": at_once})
            if row["forgotten"] < at_once:
                return
