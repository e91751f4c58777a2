"""Records stalls: times in which the sandbox was too slow to note exactly when requests arrived.

A test that measures a client's rate by the report's timestamps needs them: requests that arrive during a stall are
recorded late, and all at once.
"""

import asyncio
from collections import deque
from datetime import datetime
from typing import Final

from number_orders.sandbox.clock import Clock, iso

_CHECK_EVERY_S: Final = 0.01
_STALL_MIN_S: Final = 0.02
_KEPT: Final = 10_000


class StallMonitor:
    """Checks the clock a hundred times a second and records the times in which it could not."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._stalls: deque[tuple[datetime, datetime]] = deque(maxlen=_KEPT)

    async def run(self) -> None:
        """Watch until cancelled."""
        while True:
            before = self._clock()
            await asyncio.sleep(_CHECK_EVERY_S)
            after = self._clock()
            if (after - before).total_seconds() > _CHECK_EVERY_S + _STALL_MIN_S:
                self._stalls.append((before, after))

    def as_json(self) -> list[list[str]]:
        """Return the start and end of every stall."""
        return [[iso(started_at), iso(ended_at)] for started_at, ended_at in self._stalls]
