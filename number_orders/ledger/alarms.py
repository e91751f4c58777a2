"""Keep what a person must know, one row a matter."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from number_orders.ledger.connection import Database
from number_orders.orders.model import CarrierName, OrderId, State


class Alarms:
    """Keep what a person must know, one row a matter."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def raise_alarm(
        self, what: str, subject: str, *, carrier: str | None = None, order_id: OrderId | None = None, detail: str = ""
    ) -> int:
        """Tell a person something, once per matter; return how often it has happened."""
        params = {"what": what, "subject": subject, "carrier": carrier, "order_id": order_id, "detail": detail}
        (row,) = await self._database.run("raise_alarm", params)
        return int(row["times"])

    async def note_alarm(
        self,
        what: str,
        subject: str,
        *,
        carrier: CarrierName,
        order_id: OrderId,
        detail: str,
        again_after: timedelta,
    ) -> int:
        """Tell a person of something that goes on; it counts as happening again once in `again_after`."""
        params = {"what": what, "subject": subject, "carrier": carrier, "order_id": order_id, "detail": detail}
        (row,) = await self._database.run("note_alarm", params | {"again_after": again_after})
        return int(row["times"])

    async def drop_alarms(self, what: str, *, carrier: CarrierName, standing: Sequence[str]) -> None:
        """Forget a carrier's alarms of one sort, but for those whose subjects still stand."""
        await self._database.run("drop_alarms", {"what": what, "carrier": carrier, "standing": list(standing)})

    async def drop_alarms_unless(self, what: str, state: State) -> None:
        """Forget alarms of one sort that are about orders which are in this state no more."""
        await self._database.run("drop_alarms_unless", {"what": what, "state": state})

    async def active(self, limit: int = 100) -> list[Mapping[str, Any]]:
        """Return what a person should know, latest first."""
        return list(await self._database.run("active_alarms", {"limit": limit}))

    async def clear(self, alarm_ids: Sequence[int] | None = None) -> list[Mapping[str, Any]]:
        """Put alarms away until they happen again, all of them without ids; return those that stood."""
        params = {"alarm_ids": None if alarm_ids is None else list(alarm_ids)}
        return list(await self._database.run("clear_alarms", params))
