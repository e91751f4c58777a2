"""Keep each carrier's rate limits, and give out rate slots."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from psycopg.types.json import Jsonb

from number_orders.ledger.connection import Database
from number_orders.orders.model import CarrierName, Kind, Lane


@dataclass(frozen=True, slots=True)
class Limit:
    """How many requests a carrier takes of one kind. Without figures: as many as there are, until it says otherwise."""

    group: str
    per_second: float | None = None
    spacing: timedelta | None = None
    """What lies between the places of two requests."""


@dataclass(frozen=True, slots=True)
class RateSlot:
    """One more place in a limit."""

    at: datetime
    clock: datetime
    """The ledger's time when it was given."""
    paused_until: datetime | None
    """The carrier wants nothing before that."""


class Limits:
    """Keep each carrier's rate limits, and give out rate slots."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def set_limits(
        self, carrier: CarrierName, limits: Sequence[Limit], groups: Mapping[tuple[Lane, Kind], str]
    ) -> None:
        """Say what a carrier limits, and on which limit the work on a lane draws, by the kind of order."""
        params = {
            "carrier": carrier,
            "limits": Jsonb([_limit(limit) for limit in limits]),
            "draws": Jsonb(
                [{"lane": lane, "kind": kind, "limit_group": group} for (lane, kind), group in groups.items()]
            ),
        }
        await self._database.run("set_limits", params)

    async def take_rate_slot(self, carrier: CarrierName, group: str) -> RateSlot | None:
        """Take one more place in a limit, behind all that are taken; None, when it has no rate."""
        found = await self._database.run("take_rate_slot", {"carrier": carrier, "limit_group": group})
        return next((RateSlot(row["rate_slot_at"], row["clock"], row["paused_until"]) for row in found), None)

    async def pause(self, carrier: CarrierName, group: str, *, until: datetime, why: str) -> None:
        """Let nothing be claimed that draws on this limit before `until`. A longer pause is not cut short."""
        await self._database.run("pause_limit", {"carrier": carrier, "limit_group": group, "until": until, "why": why})


def _limit(limit: Limit) -> dict[str, Any]:
    spacing_s = limit.spacing.total_seconds() if limit.spacing else None
    return {"limit_group": limit.group, "per_second": limit.per_second, "spacing_s": spacing_s}
