"""Rate limits: how many requests a carrier takes, and the rate slots in which they may leave.

Rate slots are given out under a row lock, so no two requests of any worker get the same. `Schedule.claim` gives the
first slot of a conversation, `take_rate_slot` every further one.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from psycopg.types.json import Jsonb

from number_orders.ledger.connection import Database
from number_orders.orders.model import CarrierName, Kind, Lane


@dataclass(frozen=True, slots=True)
class Limit:
    """One limit group of a carrier. Without a rate it is limited only while the carrier has paused it."""

    group: str
    per_second: float | None = None
    spacing: timedelta | None = None
    """The time between two rate slots."""


@dataclass(frozen=True, slots=True)
class RateSlot:
    """The moment `at` which one request may leave."""

    at: datetime
    clock: datetime
    """The ledger's time when the slot was given out."""
    paused_until: datetime | None
    """The carrier wants no request of this group before that moment."""


class Limits:
    """Stores each carrier's limits, and gives out rate slots."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def set_limits(
        self, carrier: CarrierName, limits: Sequence[Limit], groups: Mapping[tuple[Lane, Kind], str]
    ) -> None:
        """Set a carrier's limits, and the limit group of its requests by lane and kind. Pauses stay in force."""
        params = {
            "carrier": carrier,
            "limits": Jsonb([_limit(limit) for limit in limits]),
            "groups": Jsonb(
                [{"lane": lane, "kind": kind, "limit_group": group} for (lane, kind), group in groups.items()]
            ),
        }
        await self._database.run("set_limits", params)

    async def take_rate_slot(self, carrier: CarrierName, group: str) -> RateSlot | None:
        """Take the next rate slot behind all that are taken; return None if the group has no rate."""
        found = await self._database.run("take_rate_slot", {"carrier": carrier, "limit_group": group})
        return next((RateSlot(row["rate_slot_at"], row["clock"], row["paused_until"]) for row in found), None)

    async def pause(self, carrier: CarrierName, group: str, *, until: datetime, why: str) -> None:
        """Let nothing of this limit group be claimed before `until`. A pause that lasts longer stays as it is."""
        await self._database.run("pause_limit", {"carrier": carrier, "limit_group": group, "until": until, "why": why})


def _limit(limit: Limit) -> dict[str, Any]:
    spacing_s = limit.spacing.total_seconds() if limit.spacing else None
    return {"limit_group": limit.group, "per_second": limit.per_second, "spacing_s": spacing_s}
