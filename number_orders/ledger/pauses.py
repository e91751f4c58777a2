"""Pause and resume lanes, and read everything that holds work back."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from number_orders.ledger.connection import Database, ledger_time
from number_orders.orders.model import CarrierName, Lane


class HeldBy(StrEnum):
    """Who or what holds work back, beside its own schedule."""

    PERSON = "person"
    """Somebody has paused the lane, until somebody resumes it."""
    BREAKER = "breaker"
    """The carrier was out of reach again and again; from `until` on one order at a time tries."""
    LIMIT = "limit"
    """The carrier said that it wants no more of these requests before `until`."""


@dataclass(frozen=True, slots=True)
class Hold:
    """What holds work back: a lane, one of a carrier's limits, or all that goes to a carrier."""

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
    """A lane that somebody has paused, and who resumed it if somebody has."""

    carrier: CarrierName
    lane: Lane
    paused_at: datetime
    paused_by: str
    why: str
    resumed_at: datetime | None = None
    resumed_by: str | None = None
    resumed_why: str | None = None


class Pauses:
    """Pause and resume lanes, and read everything that holds work back."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def pause(self, carrier: CarrierName, lanes: Sequence[Lane], *, by: str, why: str) -> list[Pause]:
        """Let nothing be claimed on these lanes until somebody resumes them; return those that were not paused yet."""
        params = {"carrier": carrier, "lanes": list(lanes), "by": by, "why": why}
        return [_pause(row) for row in await self._database.run("pause_lanes", params)]

    async def resume(self, carrier: CarrierName, lanes: Sequence[Lane], *, by: str, why: str | None) -> list[Pause]:
        """Let these lanes go on; return those that were paused."""
        params = {"carrier": carrier, "lanes": list(lanes), "by": by, "why": why}
        return [_pause(row) for row in await self._database.run("resume_lanes", params)]

    async def holds(self) -> tuple[datetime, list[Hold]]:
        """Return the ledger's time, and all that holds work back beside its own schedule."""
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
