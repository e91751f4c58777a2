"""Keep one circuit breaker a carrier, shared by all workers."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from number_orders.ledger.connection import Database
from number_orders.ledger.schedule import Claims
from number_orders.orders.model import CarrierName


@dataclass(frozen=True, slots=True)
class BreakerPolicy:
    """When a carrier counts as out of reach, and for how long it is left alone then: twice as long each time."""

    faults_max: int = 10
    hold_first: timedelta = timedelta(seconds=5)
    hold_max: timedelta = timedelta(minutes=5)


class Breakers:
    """Keep one circuit breaker a carrier, shared by all workers."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def count_faults(
        self, carrier: CarrierName, tokens: Sequence[UUID], *, faults: int, why: str, breaker_policy: BreakerPolicy
    ) -> datetime | None:
        """Count faults of a carrier's in a row, and return until when it is left alone now, if it is.

        While it is left alone only the probe counts: one of `tokens` must be that of its claim.
        """
        params = {
            "carrier": carrier,
            "tokens": list(tokens),
            "faults": faults,
            "why": why,
            "faults_max": breaker_policy.faults_max,
            "hold_first": breaker_policy.hold_first,
            "hold_max": breaker_policy.hold_max,
        }
        return next((row["held_until"] for row in await self._database.run("count_faults", params)), None)

    async def return_probe(self, claims: Claims, carrier: CarrierName) -> None:
        """Let another order be the probe: what was claimed here came to nothing before anything was sent."""
        await self._database.run("return_probe", {"carrier": carrier, "token": claims.token})

    async def reset(self, carrier: CarrierName, tokens: Sequence[UUID]) -> None:
        """Forget a carrier's faults, since it has answered; if it is left alone, only the probe's answer counts."""
        await self._database.run("reset_breaker", {"carrier": carrier, "tokens": list(tokens)})
