"""Hold a request back until its rate slot: it leaves in its slot, or takes a later one, or not at all.

A rate slot is a moment of the ledger's time. The claim gives the first, `take_rate_slot` one for every further request
of the conversation, and no two workers get the same. `LedgerClock` relates this process's clock to the ledger's. The
limits themselves are rows of the ledger. Reasons and figures: docs/adr/0011-places-in-a-rate.md.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from number_orders.ledger.ledger import Ledger, Limit
from number_orders.orders.errors import NoAnswer
from number_orders.orders.model import CarrierName

LATE_MAX_S: Final = 0.04
"""How much later than its place a request may leave. After that it takes another place."""
ON_THE_WAY_S: Final = 0.02
"""How much longer one request may be on its way to the carrier than another."""
_DRIFT: Final = 0.0005
"""How much a clock may gain or lose in a second: as much as one that is slewed."""
_VAGUE_S: Final = 0.25
"""Who knows the ledger's time no better than this cannot tell whether a place has gone by, and takes another."""


def limit(group: str, per_second: float | None) -> Limit:
    """Return a limit such that the carrier, counting over any second, never counts more than `per_second`.

    Requests that leave between 0 and `LATE_MAX_S` after their places, and differ by `ON_THE_WAY_S` on their way, arrive
    in one second only if their places lie within all three together. So that many lie in there, and no more.
    """
    if per_second is None:
        return Limit(group)
    return Limit(group, per_second, timedelta(seconds=(1 + LATE_MAX_S + ON_THE_WAY_S) / per_second))


class LedgerClock:
    """How far the ledger's clock is ahead of this process's: at least and at most, from every time it was told."""

    def __init__(self) -> None:
        self._least = float("-inf")
        self._most = float("inf")
        self._learnt_at = float("-inf")

    def learn(self, told: datetime, *, asked_at: float, heard_at: float) -> None:
        """Take in that the ledger said `told` at some moment between these two of our clock."""
        least, most = told.timestamp() - heard_at, told.timestamp() - asked_at
        drift = (heard_at - self._learnt_at) * _DRIFT
        least_of_both, most_of_both = max(least, self._least - drift), min(most, self._most + drift)
        if least_of_both > most_of_both:  # a clock was set
            least_of_both, most_of_both = least, most
        self._least, self._most, self._learnt_at = least_of_both, most_of_both, heard_at

    def opens(self, place: datetime) -> float:
        """Return the moment of our clock before which the place has surely not come."""
        return place.timestamp() - self._least

    def closes(self, place: datetime) -> float:
        """Return the moment of our clock after which a request for this place may be too late.

        A ledger so far away that nobody can tell leaves half the time, or nothing would ever leave; but an answer that
        was waited for much longer, as by a worker that was stopped meanwhile, leaves none.
        """
        if self._most - self._least > _VAGUE_S:
            return place.timestamp() + LATE_MAX_S - self._most
        return max(place.timestamp() + LATE_MAX_S - self._most, self.opens(place) + LATE_MAX_S / 2)


@dataclass(slots=True)
class Pace:
    """The places of one conversation's requests. The first came with the claim."""

    ledger: Ledger
    carrier: CarrierName
    group: str
    ledger_clock: LedgerClock
    clock: Callable[[], float]
    deadline: float
    """On `clock`: after it nothing leaves, so that no place is worth taking."""
    place: datetime | None

    async def wait(self) -> float:
        """Wait for the next place, and return until when a request may leave for it, on `clock`.

        Raises:
            NoAnswer: There is no place in time, or the carrier wants nothing more for now.
            LedgerUnavailable: None can be had.
        """
        place, self.place = self.place or await self._another(), None
        if place is None:
            return float("inf")
        if (wait_s := self.ledger_clock.opens(place) - self.clock()) > 0:
            await asyncio.sleep(wait_s)
        return self.ledger_clock.closes(place)

    async def _another(self) -> datetime | None:
        asked_at = self.clock()
        given = await self.ledger.take_rate_slot(self.carrier, self.group)
        if given is None:  # the limit has no rate any more
            return None
        self.ledger_clock.learn(given.clock, asked_at=asked_at, heard_at=self.clock())
        if given.paused_until and given.paused_until > given.clock:
            raise NoAnswer(f"the carrier wants no {self.group} requests now", not_before=given.paused_until)
        if self.ledger_clock.opens(given.at) >= self.deadline:
            raise NoAnswer(f"the carrier's limit {self.group} has no place left in time", not_before=given.at)
        return given.at
