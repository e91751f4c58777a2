"""Pauses of lanes by people, and all holds: what keeps due work from being claimed.

A pause lasts until a person resumes the lane. A lane is paused at most once at a time (`one_pause_at_a_time`). Who
paused and who resumed is kept.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from number_orders.ledger.connection import Database, ledger_time
from number_orders.orders.model import CarrierName, Lane


class HeldBy(StrEnum):
    """Who or what keeps due work from being claimed."""

    PERSON = "person"
    """A person has paused the lane, until a person resumes it."""
    BREAKER = "breaker"
    """The carrier's circuit breaker is open; from `until` on one order at a time is tried."""
    LIMIT = "limit"
    """The carrier wants no more requests of this limit group before `until` (HTTP 429)."""


@dataclass(frozen=True, slots=True)
class Hold:
    """One reason why due work is not claimed: of a lane, of a limit group, or of a whole carrier."""

    held_by: HeldBy
    why: str | None
    since: datetime | None = None
    until: datetime | None = None
    who: str | None = None
    lane: Lane | None = None
    limit_group: str | None = None
    carrier: CarrierName | None = None


@dataclass(frozen=True, slots=True)
class Pause:
    """One pause of a lane, and who ended it if it is over."""

    pause_id: int
    carrier: CarrierName
    lane: Lane
    paused_at: datetime
    paused_by: str
    why: str
    resumed_at: datetime | None = None
    resumed_by: str | None = None
    resumed_why: str | None = None


class Pauses:
    """Pauses and resumes lanes, and reads all holds."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def pause(
        self, carrier: CarrierName, lanes: Sequence[Lane], *, by: str, why: str, after: int | None = None
    ) -> list[Pause]:
        """Let nothing be claimed on these lanes until they are resumed; return the new pauses.

        A lane that is paused already keeps its first pause; a lane that was never opened cannot be paused.

        `after`: the `pause_id` of the last pause that the person knows of, 0 for none. A lane that was paused again
        since is left as it is.
        """
        params = {"carrier": carrier, "lanes": list(lanes), "by": by, "why": why, "after": after}
        return [_pause(row) for row in await self._database.run("pause_lanes", params)]

    async def resume(
        self, carrier: CarrierName, lanes: Sequence[Lane], *, by: str, why: str | None, pause_id: int | None = None
    ) -> list[Pause]:
        """End the pauses of these lanes, or only the one with this id; return those that there were."""
        params = {"carrier": carrier, "lanes": list(lanes), "by": by, "why": why, "pause_id": pause_id}
        return [_pause(row) for row in await self._database.run("resume_lanes", params)]

    async def latest(self, carrier: CarrierName, lane: Lane) -> Pause | None:
        """Return the last pause of a lane, over or not; None if it was never paused."""
        found = await self._database.run("latest_pause", {"carrier": carrier, "lane": lane})
        return _pause(found[0]) if found else None

    async def holds(self) -> tuple[datetime, list[Hold]]:
        """Return the ledger's time, and every hold that is in force: pauses, open breakers, paused limits."""
        found = await self._database.run("holds", {})
        return (found[0]["now"] if found else await ledger_time(self._database)), [_hold(row) for row in found]


def _hold(row: Mapping[str, Any]) -> Hold:
    return Hold(
        HeldBy(row["held_by"]),
        row["why"],
        since=row["since"],
        until=row["until"],
        who=row["who"],
        lane=Lane(row["lane"]) if row["lane"] else None,
        limit_group=row["limit_group"],
        carrier=CarrierName(row["carrier"]),
    )


def _pause(row: Mapping[str, Any]) -> Pause:
    return Pause(**{name: row[name] for name in Pause.__slots__})
