"""The practice carriers' only clock, and how they write a moment down."""

import time
from collections.abc import Callable
from datetime import UTC, datetime

Clock = Callable[[], datetime]


def wall_clock() -> datetime:
    """Return this moment, aware and in UTC."""
    return datetime.fromtimestamp(time.time(), UTC)


def iso(moment: datetime) -> str:
    """Write `moment` for the control API: UTC with microseconds, always the same width."""
    return moment.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")
