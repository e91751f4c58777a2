"""Read when a carrier that answers "too many requests" may be asked again.

Reads `X-RateLimit-Reset` and `Retry-After`. Documents promise epoch seconds for the first, and seconds or an HTTP date
for the second. Carriers also write milliseconds, fractions and seconds from now, so the size of a number says what it
is. The caller passes the present.
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Final

LONGEST_WAIT: Final = timedelta(hours=1)
"""A longer wait is cut to this: one wrong header must not stop a carrier for a year."""
PAUSE_UNLESS_TOLD: Final = timedelta(seconds=30)
"""How long a limit is paused when the carrier answers "too many requests" without saying until when."""

_NUMBER: Final = re.compile(r"[0-9]{1,20}(\.[0-9]{1,9})?")
_RELATIVE_MAX: Final = 10**8
"""A smaller number is seconds from now: as an epoch it would be a moment before March 1973."""
_EPOCH_UNITS: Final = ((10**11, 1), (10**14, 10**3), (10**17, 10**6), (10**20, 10**9))
"""Numbers below the first are epoch times in this fraction of a second: seconds until the year 5138, then finer."""


def retry_at(headers: Mapping[str, str], now: datetime) -> datetime | None:
    """Return the moment that the carrier named, in UTC; None if it named none in the future.

    Args:
        headers: The answer's headers, with names in lower case.
        now: The present, in UTC.
    """
    reset, retry_after = (headers.get(name, "").strip() for name in ("x-ratelimit-reset", "retry-after"))
    moments = (_from_number(reset, now), _from_number(retry_after, now), _from_date(retry_after))
    future = next((moment for moment in moments if moment and moment > now), None)
    return min(future, now + LONGEST_WAIT) if future else None


def _from_number(text: str, now: datetime) -> datetime | None:
    """Read seconds from now, or an epoch time in seconds, milliseconds, microseconds or nanoseconds."""
    if not _NUMBER.fullmatch(text):
        return None
    number = float(text)
    if number < _RELATIVE_MAX:
        return now + timedelta(seconds=min(number, LONGEST_WAIT.total_seconds()))
    per_second = next((unit for below, unit in _EPOCH_UNITS if number < below), None)
    return datetime.fromtimestamp(number / per_second, UTC) if per_second else None


def _from_date(text: str) -> datetime | None:
    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, TypeError, IndexError):
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
