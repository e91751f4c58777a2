"""When a carrier that says "too many requests" wants to be asked again.

Reads `X-RateLimit-Reset` (epoch seconds) and `Retry-After` (seconds, or an HTTP date). The present is
passed in.
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Final

LONGEST_WAIT: Final = timedelta(hours=1)
"""A header that says more is taken for this much: one wrong header must not stop a carrier for a year."""

_SECONDS: Final = re.compile(r"[0-9]{1,12}")


def come_back_at(headers: Mapping[str, str], now: datetime) -> datetime | None:
    """Return the moment the carrier gave, or None when it gave none that lies ahead.

    Args:
        headers: Of the answer, names in lower case.
        now: The present, in UTC.
    """
    moments = (_epoch(headers.get("x-ratelimit-reset")), _retry_after(headers.get("retry-after"), now))
    ahead = next((moment for moment in moments if moment and moment > now), None)
    return min(ahead, now + LONGEST_WAIT) if ahead else None


def _epoch(text: str | None) -> datetime | None:
    seconds = _seconds(text)
    try:
        return None if seconds is None else datetime.fromtimestamp(seconds, UTC)
    except (ValueError, OverflowError, OSError):
        return None


def _retry_after(text: str | None, now: datetime) -> datetime | None:
    seconds = _seconds(text)
    if seconds is not None:
        return now + timedelta(seconds=min(seconds, LONGEST_WAIT.total_seconds()))
    try:
        moment = parsedate_to_datetime(text or "")
    except (ValueError, TypeError, IndexError):
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _seconds(text: str | None) -> int | None:
    return int(text) if text and _SECONDS.fullmatch(text.strip()) else None
