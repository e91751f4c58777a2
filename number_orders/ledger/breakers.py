"""Circuit breakers: one a carrier, shared by all workers.

A breaker opens after enough faults in a row. While it is open, nothing is claimed for the carrier. When its time is
over, one claim takes one order, the probe: the carrier's answer to it closes the breaker, a fault opens it for longer.
While it is open, only reports with the token of the probe's claim count: other conversations began before.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from number_orders.ledger.connection import Database
from number_orders.ledger.schedule import Claims
from number_orders.orders.model import CarrierName


@dataclass(frozen=True, slots=True)
class BreakerPolicy:
    """How many faults in a row open a breaker, and for how long: twice as long each time, up to `hold_max`."""

    faults_max: int = 10
    hold_first: timedelta = timedelta(seconds=5)
    hold_max: timedelta = timedelta(minutes=5)


class Breakers:
    """Stores the state of each carrier's circuit breaker."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def count_faults(
        self, carrier: CarrierName, tokens: Sequence[UUID], *, faults: int, why: str, breaker_policy: BreakerPolicy
    ) -> datetime | None:
        """Add faults in a row, and open the breaker if they are too many.

        Args:
            carrier: The carrier that could not be reached.
            tokens: The claims that met the faults. While the breaker is open, only the probe's claim counts.
            faults: How many.
            why: The last of them.
            breaker_policy: When the breaker opens, and for how long.

        Returns:
            Until when the breaker is open now; None if it is closed, or the faults do not count.
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
        """Let the next claim take the probe at once: these claims had it, and sent nothing."""
        await self._database.run("return_probe", {"carrier": carrier, "token": claims.token})

    async def reset(self, carrier: CarrierName, tokens: Sequence[UUID]) -> None:
        """Close the breaker, since the carrier has answered. If it is open, only an answer to the probe closes it."""
        await self._database.run("reset_breaker", {"carrier": carrier, "tokens": list(tokens)})
