"""Notices when the sandbox itself was too slow to say exactly when requests came in.

Whoever measures a client's pace by the report's moments must know them: what arrived meanwhile is written down late,
and all at once.
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
    """Looks at the clock a hundred times a second, and keeps the times at which it could not."""

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
        """Report from when to when the sandbox was not looking."""
        return [[iso(started_at), iso(ended_at)] for started_at, ended_at in self._stalls]
