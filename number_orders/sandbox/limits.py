"""Rate limits, counted by group in windows that begin with their first request.

They use the machine's clock, however far the sandbox's clock is ahead, because a client compares the time at which it
may come back with its own clock.
"""

import math
from dataclasses import dataclass
from datetime import datetime, timedelta

from number_orders.sandbox.behaviour import Behaviour, LimitGroup


@dataclass(slots=True)
class _Window:
    ends_at: datetime
    used: int = 0


class RateLimits:
    """Counts requests and refuses those beyond the limit until the window ends."""

    def __init__(self) -> None:
        self._windows: dict[LimitGroup, _Window] = {}

    def refused_until(self, group: LimitGroup, behaviour: Behaviour, now: datetime) -> int | None:
        """Count one request. If it is beyond the limit, return the epoch second at which the client may come back."""
        limit = behaviour.limits.get(group)
        if limit is None:
            return None
        window = self._windows.get(group)
        if window is None or now >= window.ends_at:
            window = _Window(now + timedelta(seconds=behaviour.limit_window_s))
            self._windows[group] = window
        window.used += 1
        return math.ceil(window.ends_at.timestamp()) if window.used > limit else None
