"""The machine's clock, where it need not agree with other machines. The time of orders is PostgreSQL's."""

import time
from datetime import UTC, datetime


def utc_now() -> datetime:
    """Return this machine's time, as needed to read a carrier's `Retry-After` or a token's expiry."""
    return datetime.fromtimestamp(time.time(), UTC)
