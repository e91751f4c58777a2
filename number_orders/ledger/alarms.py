"""Alarms for people: one row for each matter, however often it happens.

`what` and `subject` name the matter and are unique together (`one_alarm_per_matter`), so a repetition is counted in the
same row. An alarm is active until a person clears it or its cause is gone. A cleared alarm that happens again is active
again.
"""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from number_orders.ledger.connection import Database
from number_orders.orders.model import CarrierName, OrderId, State


class Alarms:
    """Stores alarms, counts their repetitions, and lists the active ones."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def raise_alarm(
        self, what: str, subject: str, *, carrier: str | None = None, order_id: OrderId | None = None, detail: str = ""
    ) -> int:
        """Raise an alarm; return how often it has happened by now."""
        params = {"what": what, "subject": subject, "carrier": carrier, "order_id": order_id, "detail": detail}
        (row,) = await self._database.run("raise_alarm", params)
        return int(row["times"])

    async def note_alarm(
        self,
        what: str,
        subject: str,
        *,
        carrier: CarrierName,
        order_id: OrderId | None = None,
        detail: str,
        again_after: timedelta,
    ) -> int:
        """Raise an alarm about a condition that persists; return how often it has happened by now.

        Every call updates the detail. It counts, and makes a cleared alarm active again, at most once in `again_after`,
        and whenever the condition is about another order than before.
        """
        params = {"what": what, "subject": subject, "carrier": carrier, "order_id": order_id, "detail": detail}
        (row,) = await self._database.run("note_alarm", params | {"again_after": again_after})
        return int(row["times"])

    async def drop_alarms(self, what: str, *, carrier: CarrierName | None, keep: Sequence[str]) -> None:
        """Delete a carrier's alarms of one sort, except those about the subjects in `keep`; None: of no carrier."""
        await self._database.run("drop_alarms", {"what": what, "carrier": carrier, "keep": list(keep)})

    async def drop_alarms_unless(self, what: str, state: State) -> None:
        """Delete the alarms of one sort that are about orders which are no longer in `state`."""
        await self._database.run("drop_alarms_unless", {"what": what, "state": state})

    async def active(self, limit: int = 100) -> list[Mapping[str, Any]]:
        """Return the alarms that nobody has cleared, latest first."""
        return list(await self._database.run("active_alarms", {"limit": limit}))

    async def clear(
        self, alarm_ids: Sequence[int] | None = None, *, by: str, times: int | None = None
    ) -> list[Mapping[str, Any]]:
        """Clear alarms until they happen again, all of them if no ids are given; return those that were active.

        `times`: how often it had happened when the person looked; one that has happened again since stays active.
        """
        params = {"alarm_ids": None if alarm_ids is None else list(alarm_ids), "by": by, "times": times}
        return list(await self._database.run("clear_alarms", params))

    async def read(self, alarm_id: int) -> Mapping[str, Any] | None:
        """Return an alarm, active or not; None if it is not there."""
        return next(iter(await self._database.run("read_alarm", {"alarm_id": alarm_id})), None)

    async def cleared(self, since: timedelta, limit: int) -> list[Mapping[str, Any]]:
        """Return the alarms that somebody has cleared lately, the latest first."""
        return list(await self._database.run("cleared_alarms", {"since": since, "limit": limit}))
