"""Limits, breakers and claims for the tests of everything that holds work back."""

from datetime import datetime, timedelta
from typing import Final

from number_orders.ledger.breakers import BreakerPolicy
from number_orders.ledger.ledger import Ledger
from number_orders.ledger.limits import Limit
from number_orders.ledger.schedule import Claims
from number_orders.orders.model import Criteria, Kind, Lane, OrderRequest
from tests.integration.ledger.examples import MINUTE, a_new_order
from tests.integration.ledger.harness import BANDWIDTH

LIMIT_GROUPS: Final = {
    (Lane.SUBMIT, Kind.NEW_NUMBERS): "ORDER",
    (Lane.SUBMIT, Kind.REMOVE_NUMBERS): "DISCONNECT",
    (Lane.ASK, Kind.NEW_NUMBERS): "HISTORY",
    (Lane.ASK, Kind.REMOVE_NUMBERS): "HISTORY",
}
_GROUPS: Final = ("ORDER", "DISCONNECT", "HISTORY")
OPENS_AFTER_THREE: Final = BreakerPolicy(faults_max=3, hold_first=timedelta(minutes=2), hold_max=timedelta(minutes=6))
HOLD_OVER: Final = timedelta(minutes=7)
"""After this time the breaker lets a probe through, however often it was opened."""
TINY: Final = timedelta(milliseconds=1)


async def set_rates(ledger: Ledger, **rates: float) -> None:
    """Set exactly these rates, requests a second, without a margin for travel times."""
    limits = [
        Limit(group, rates[group], timedelta(seconds=1 / rates[group])) if group in rates else Limit(group)
        for group in _GROUPS
    ]
    await ledger.limits.set_limits(BANDWIDTH, limits, LIMIT_GROUPS)


async def accept_some(ledger: Ledger, count: int, kind: Kind = Kind.NEW_NUMBERS) -> None:
    """Store orders of one kind."""
    await ledger.intake.accept(
        [
            a_new_order(OrderRequest(f"{kind}-{i}", BANDWIDTH, kind, criteria=Criteria(npa="919"), quantity=1))
            for i in range(count)
        ]
    )


async def claim(ledger: Ledger, count: int = 100, lane: Lane = Lane.SUBMIT) -> Claims | None:
    """Claim what may be claimed."""
    return await ledger.schedule.claim(BANDWIDTH, lane, limit=count, lease=10 * MINUTE)


async def count_claimed(ledger: Ledger, count: int = 100, lane: Lane = Lane.SUBMIT) -> int:
    """Claim what may be claimed; return how much it was."""
    claims = await claim(ledger, count, lane)
    return len(claims.claims) if claims else 0


def slots(*rounds: Claims | None) -> list[datetime]:
    """Return the rate slots of all claims in order."""
    return sorted(one.rate_slot_at for claims in rounds if claims for one in claims.claims if one.rate_slot_at)


async def open_breaker(ledger: Ledger) -> None:
    """Count as many faults as open the carrier's breaker."""
    for _ in range(OPENS_AFTER_THREE.faults_max):
        await ledger.breakers.count_faults(BANDWIDTH, [], faults=1, why="refused", breaker_policy=OPENS_AFTER_THREE)
