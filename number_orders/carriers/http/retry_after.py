"""Read when a carrier that answers "too many requests" may be asked again.

Reads `X-RateLimit-Reset` (epoch seconds) and `Retry-After` (seconds, or an HTTP date). The caller passes the present.
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Final

LONGEST_WAIT: Final = timedelta(hours=1)
"""A longer wait is cut to this: one wrong header must not stop a carrier for a year."""

_SECONDS: Final = re.compile(r"[0-9]{1,12}")


def retry_at(headers: Mapping[str, str], now: datetime) -> datetime | None:
    """Return the moment that the carrier named, in UTC; None if it named none in the future.

    Args:
        headers: The answer's headers, with names in lower case.
        now: The present, in UTC.
    """
    moments = (_from_epoch(headers.get("x-ratelimit-reset")), _from_retry_after(headers.get("retry-after"), now))
    future = next((moment for moment in moments if moment and moment > now), None)
    return min(future, now + LONGEST_WAIT) if future else None


def _from_epoch(text: str | None) -> datetime | None:
    seconds = _seconds(text)
    try:
        return None if seconds is None else datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError):
        return None


def _from_retry_after(text: str | None, now: datetime) -> datetime | None:
    seconds = _seconds(text)
    if seconds is not None:
        return now + timedelta(seconds=min(seconds, LONGEST_WAIT.total_seconds()))
    try:
        moment = parsedate_to_datetime(text or "")
    except (ValueError, TypeError, IndexError):
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _seconds(text: str | None) -> int | None:
    digits = (text or "").strip()
    return int(digits) if _SECONDS.fullmatch(digits) else None
