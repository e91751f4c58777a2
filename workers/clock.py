"""The machine's clock, for those few who may ask it. What time it is, PostgreSQL says."""

import time
from datetime import UTC, datetime


def utc_now() -> datetime:
    """Return this machine's idea of the time, to read headers that count from now."""
    return datetime.fromtimestamp(time.time(), UTC)
